"""Knockoff Nets, figure 9: what the victim's answer shows."""

from typing import TYPE_CHECKING

from mimeo.layout import Table, bars, canvas, document, grid, reference_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown(table: Table) -> str:
    return document(table, grid(table, "accuracy", "ratio"))


def figure(table: Table) -> "Figure":
    drawing, [axes] = canvas(7.2)
    rows = [row for row in table.measured("accuracy") if row.row not in table.names.values()]
    cells = {(row.row, row.column): row for row in rows}
    names, columns = (list(dict.fromkeys(getattr(row, key) for row in rows)) for key in ("row", "column"))
    bars(table, "accuracy", axes, names, columns, lambda group, member: cells.get((group, member)))
    reference_lines(table, "accuracy", axes)
    axes.set_xticks(range(len(names)), [name.replace(" to ", " to\n") for name in names])
    axes.set_title(table.title, loc="left")
    axes.set_ylim(0, 119)
    axes.legend(ncols=4, loc="upper center", fontsize=8)
    return drawing
