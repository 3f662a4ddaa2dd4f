"""Knockoff Nets, figure 11: accuracy against what the queries cost."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, budget_grid, curve_panels, document, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(
        table,
        budget_grid(table, "usd"),
        "## Accuracy",
        budget_grid(table, "accuracy"),
        "## Ratio",
        grid(table, "ratio"),
    )


def figure(table: Table) -> "Figure":
    return curve_panels(table, "accuracy", across="usd")
