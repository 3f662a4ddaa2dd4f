"""What a table is. A plug-in ``tables/{paper}/{table}.py`` holds

``markdown(table) -> str``
    the table in the paper's layout, as a whole Markdown document;
``figure(table) -> matplotlib Figure``
    where the paper draws one. A plug-in without it has no figure.

Both get a ``mimeo.layout.Table`` and draw with the helpers beside it. Which arms fill the table is in the
scale's configuration; its numbers are their scores. A table of other numbers holds two things more:

``NEEDS``
    a tuple, written out, of the kinds of files that it is made from: ``manifests`` (what victims' data sets hold),
    ``references`` (scores of victims), ``predictions`` (what arms predict of the test images), ``policies`` (what
    adaptive query sets chose, and why), ``classes`` (names of the classes of victims' data sets and pools),
    ``synonyms``;
``measure(evidence) -> iterable of mimeo.cells.Measured``
    every cell with its values by metric, from what a ``mimeo.evidence.Evidence`` reads of these files.
"""
