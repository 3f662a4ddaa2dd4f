"""Knockoff Nets, figure 7: which labels of the pool the policy draws, as queries go on."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import cycle, pairwise
from typing import TYPE_CHECKING

import numpy as np

from mimeo.cells import Measured
from mimeo.evidence import Evidence, PolicyLog
from mimeo.layout import FAINT, INK, NAMES, Table, budget_grid, canvas, document, series_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS = ("policies",)
WINDOWS, SHOWN = 20, 8  # parts of the queries; groups that are shown by name, those drawn most
OTHERS = "others"
SHADES = (*INK, "#7fb3c8", "#efb98a")  # as many as are shown


def measure(evidence: Evidence) -> Iterator[Measured]:
    """Of each window of queries: the share of it that came from each group, and the group's probability at its end."""
    for cell in evidence.cells:
        log = evidence.policy(cell.arm)
        names, drawn, policy = groups_of(log)
        top = np.argsort(-np.bincount(drawn, minlength=len(names)), kind="stable")[:SHOWN]
        rest = np.setdiff1d(np.arange(len(names)), top)
        shown = [(names[group], np.array([group])) for group in top]
        shown += [(OTHERS, rest)] if len(rest) else []
        windows = min(WINDOWS, cell.budget)
        ends = [cell.budget * number // windows for number in range(windows + 1)]
        for start, stop in pairwise(ends):
            counts = np.bincount(drawn[start:stop], minlength=len(names)) / (stop - start)
            last = policy[max(0, int(np.searchsorted(log.at, stop, side="right")) - 1)]
            for name, members in shown:
                values = {
                    "share": {"value": float(counts[members].sum())},
                    "probability": {"value": float(last[members].sum())},
                }
                yield Measured(f"{name} {stop}", f"{cell.row}, {cell.column}", values)


def groups_of(log: PolicyLog) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of groups, the group of every query, and the policy over groups; of leaves, where there is one group."""
    if len(log.groups) == 1:
        return log.leaves, log.leaf, log.leaf_policy
    names, drawn = list(log.groups), np.bincount(log.leaf, minlength=len(log.leaves))
    for number, name in enumerate(names):
        members = np.flatnonzero(log.group == number)
        most = log.leaves[members[drawn[members].argmax()]]
        if not most.startswith(name):  # a cluster's name says nothing of what it holds
            names[number] = f"{name} (as {most})"
    return names, log.group[log.leaf], log.group_policy


def markdown(table: Table) -> str:
    metric = table.metrics[0]
    return document(table, *(f"## {column}\n\n{budget_grid(of(table, column), metric)}" for column in columns(table)))


def columns(table: Table) -> list[str]:
    """Query sets, each of which is a panel."""
    return list(dict.fromkeys(row.column for row in table.measured(table.metrics[0])))


def of(table: Table, column: str) -> Table:
    """The rows of one column alone."""
    return replace(table, rows=tuple(row for row in table.rows if row.column == column))


def colours(names: Iterable[str]) -> list[str]:
    """One each, the others' faint."""
    ink = cycle(SHADES)
    return [FAINT if name == OTHERS else next(ink) for name in names]


def figure(table: Table) -> "Figure":
    metric, panels = table.metrics[0], columns(table)
    drawing, every = canvas(max(6.4, 4.2 * len(panels)), panels=len(panels))
    for axes, column in zip(every, panels, strict=True):
        height: dict[int, float] = {}
        curves = series_of(of(table, column).measured(metric))
        ends = sorted({stop for points in curves.values() for stop, _ in points})
        starts = dict(zip(ends, [0, *ends], strict=False))
        for colour, (name, points) in zip(colours(curves), curves.items(), strict=False):
            for number, (stop, row) in enumerate(points):
                share = float(row.ours or 0) * 100
                axes.bar(
                    starts[stop], share, stop - starts[stop], bottom=height.get(stop, 0.0), align="edge", color=colour,
                    linewidth=0, label=None if number else name,
                )  # fmt: skip
                height[stop] = height.get(stop, 0.0) + share
        axes.set_title(column, loc="left")
        axes.set_xlabel("queries")
        axes.set_ylabel(NAMES[metric])
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    return drawing
