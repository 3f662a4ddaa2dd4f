"""What a table is. A plug-in ``tables/{paper}/{table}.py`` holds

``markdown(table) -> str``
    the table in the paper's layout, as a whole Markdown document;
``figure(table) -> matplotlib Figure``
    where the paper draws one. A plug-in without it has no figure.

Both get a ``mimeo.layout.Table`` and draw with the helpers beside it. Which arms fill the table is in the
scale's configuration.
"""
