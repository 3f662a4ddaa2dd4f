"""Knockoff Nets, supplement: what original labels of the victim's own images would give, image by image."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, budget_grid, curve_panels, document

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, budget_grid(table, "accuracy"))


def figure(table: Table) -> "Figure":
    drawing = curve_panels(table, "accuracy")
    for axes in drawing.axes:
        axes.set_xlabel("training images")
    return drawing
