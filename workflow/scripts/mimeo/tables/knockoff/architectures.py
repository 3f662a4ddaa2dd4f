"""Knockoff Nets, figure 10: family of the victim against family of the copycat."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, bars, canvas, document, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, grid(table, "accuracy", "ratio"))


def figure(table: Table) -> "Figure":
    drawing, [axes] = canvas()
    cells = {(row.row, row.column): row for row in table.measured("accuracy")}
    groups = list(dict.fromkeys(row for row, _ in cells))
    members = [column for column in dict.fromkeys(column for _, column in cells) if column not in table.names.values()]
    bars(table, "accuracy", axes, groups, members, lambda group, member: cells.get((group, member)))
    axes.set_xticks(range(len(groups)), [f"{group} victim" for group in groups])
    axes.set_title(table.title, loc="left")
    axes.set_ylim(0, 119)
    axes.legend(title="copycat", ncols=len(members), loc="upper center", fontsize=8)
    return drawing
