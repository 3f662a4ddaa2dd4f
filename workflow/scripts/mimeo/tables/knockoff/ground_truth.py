"""Knockoff Nets, supplement: what original labels of the victim's own images would give, image by image."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, budget_grid, canvas, curves, document

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, budget_grid(table, "accuracy"))


def figure(table: Table) -> "Figure":
    drawing, [axes] = canvas()
    curves(table, "accuracy", axes)
    axes.set_xlabel("training images")
    axes.set_title(table.title, loc="left")
    axes.legend(loc="lower right", fontsize=8)
    return drawing
