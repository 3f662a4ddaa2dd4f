"""Knockoff Nets, table 2: accuracy and ratio of copies by query set."""

from mimeo.layout import Table, document, grid


def markdown(table: Table) -> str:
    return document(table, grid(table, "accuracy", "ratio"))
