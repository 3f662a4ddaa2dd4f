"""Knockoff Nets, supplement: copies that start from weights learnt on other images, and copies that start from none."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, by_column, document, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, grid(table, "accuracy", "ratio"))


def figure(table: Table) -> "Figure":
    return by_column(table, "accuracy")
