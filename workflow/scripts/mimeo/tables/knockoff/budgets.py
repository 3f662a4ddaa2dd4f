"""Knockoff Nets, figure 5: accuracy against the number of queries."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, budget_grid, curve_panels, document

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, budget_grid(table, "accuracy"))


def figure(table: Table) -> "Figure":
    return curve_panels(table, "accuracy")
