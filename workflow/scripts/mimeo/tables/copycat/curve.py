"""Copycat CNN, data curve: macro F1 against the number of natural images, ours beside the paper's."""

from typing import TYPE_CHECKING

from mimeo.layout import INK, Table, budget_grid, canvas, curves, document, series_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, budget_grid(table, "macro_f1"))


def figure(table: Table) -> "Figure":
    drawing, [ours, theirs] = canvas(8.4, panels=2)
    curves(table, "macro_f1", ours)
    ours.set_xlabel("natural images (NPDD)")
    ours.set_title(f"Ours, scale {table.scale}", loc="left")
    ours.legend(loc="lower right")
    published = [row for row in table.published("macro_f1") if row.column == table.matches.get("Digits", row.column)]
    for colour, (name, points) in zip(INK, series_of(published).items(), strict=False):
        values = [float(row.published) * 100 for _, row in points]
        theirs.plot(
            [b / 1e6 for b, _ in points], values, "s--", color=colour, markersize=3.5, linewidth=1.2, label=name
        )
    theirs.set_xlabel("natural images (NPDD), millions")
    theirs.set_title(f"Published, {published[0].column if published else 'none'}", loc="left")
    theirs.legend(loc="lower right")
    return drawing
