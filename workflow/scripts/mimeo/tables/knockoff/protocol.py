"""Knockoff Nets by the protocol of its official code and by ours: warm starts, and epochs chosen by the test set."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, budget_grid, canvas, curves, document

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, budget_grid(table, "accuracy"))


def figure(table: Table) -> "Figure":
    drawing, [axes] = canvas(7.2, 4.6)
    curves(table, "accuracy", axes)
    axes.set_title(table.title, loc="left")
    axes.legend(loc="center right", fontsize=8)
    return drawing
