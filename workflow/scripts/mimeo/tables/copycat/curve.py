"""Copycat CNN, data curve: macro F1 against the number of natural images, ours beside the paper's."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mimeo.layout import (
    FAINT,
    HOLLOW,
    INK,
    Table,
    budget_grid,
    canvas,
    curves,
    document,
    published_budget_grid,
    series_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, budget_grid(table, "macro_f1"), "## Published", published_budget_grid(table, "macro_f1"))


def figure(table: Table) -> "Figure":
    drawing, [ours, theirs] = canvas(8.4, panels=2)
    curves(table, "macro_f1", ours, beside=False)
    ours.set_xlabel("natural images (NPDD)")
    ours.set_title(f"Ours, scale {table.scale}", loc="left")
    ours.legend(loc="lower right")
    _published(table, theirs)
    theirs.set_xlabel("natural images (NPDD), millions")
    theirs.set_title("Published, NPDD-SL of every problem", loc="left")
    theirs.legend(loc="lower right", ncols=2)
    return drawing


def _published(table: Table, axes: "Axes") -> None:
    """One line a problem, those that stand beside ours in the colour of ours."""
    match, beside = table.column_matches, set(table.column_matches.values())
    rows = [row for row in table.published("macro_f1") if row.row.startswith("NPDD-SL ")]
    problems = list(dict.fromkeys(match.get(row.column, row.column) for row in rows))
    others = [problem for problem in problems if problem not in beside]
    for problem in problems:
        mine = [replace(row, column=problem) for row in rows if match.get(row.column, row.column) == problem]
        [points] = series_of(mine).values()
        ours = problem in beside
        axes.plot(
            [budget / 1e6 for budget, _ in points],
            [float(row.published) * 100 for _, row in points],
            "s--",
            color=INK[0] if ours else FAINT,
            markerfacecolor="white" if points[0][1].provenance in HOLLOW else None,
            zorder=3 if ours else 2,
            markersize=3,
            linewidth=1.4 if ours else 0.9,
            label=problem if ours else "other problems" if problem == others[0] else None,
        )
