"""Copycat CNN, AlexNet table: copycats of another family than the target."""

from mimeo.layout import Table, document, grid


def markdown(table: Table) -> str:
    return document(table, grid(table, "macro_f1"), "## Accuracy", grid(table, "accuracy", "ratio"))
