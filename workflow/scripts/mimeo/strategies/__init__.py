"""What a strategy is. A plug-in ``strategies/{name}.py`` holds one function:

``order(count, draw, *, ...) -> array``
    the order in which the images of a pool are asked: int64 indices into the pool, each at most once. A budget
    is a prefix of it, so larger budgets contain smaller ones. Keyword-only arguments are its own parameters.
"""
