"""Knockoff Nets, figure 8: what each reward of the policy does, alone and with others."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, budget_grid, by_column, curve_panels, document, grid, series_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    several = series_of(table.measured("accuracy"))
    return document(table, budget_grid(table, "accuracy") if several else grid(table, "accuracy", "ratio"))


def figure(table: Table) -> "Figure":
    """Curves where rows end in a budget, bars where they do not."""
    if not series_of(table.measured("accuracy")):
        return by_column(table, "accuracy")
    return curve_panels(table, "accuracy")
