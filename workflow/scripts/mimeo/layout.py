"""Draws tables in Markdown and figures with matplotlib, from rows alone. Imports no torch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import cycle
from math import log
from typing import TYPE_CHECKING, Any

from mimeo.cells import ELSEWHERE, FAILED, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PERCENT = {"accuracy", "macro_recall", "macro_f1", "agreement", "label_fraction", "share", "probability"}
COUNTS = {"queries", "classes", "images", "labels", "labels_by_name"}
NAMES = {
    "accuracy": "accuracy, %",
    "macro_recall": "macro recall, %",
    "macro_f1": "macro F1, %",
    "agreement": "agreement, %",
    "ratio": "ratio to the victim",
    "kl": "KL divergence, nats",
    "queries": "queries",
    "usd": "US dollars",
    "classes": "classes",
    "images": "images",
    "labels": "classes in the pool",
    "label_fraction": "share of classes, %",
    "labels_by_name": "of them under the same name",
    "share": "share of queries, %",
    "probability": "probability, %",
}
MARKS = {"seen": "", "derived": "§", "secondary": "‡", "recalled": "†"}
LEGEND = {
    "§": "§ derived from published numbers",
    "‡": "‡ from third-party notes on the paper",
    "†": "† recalled from memory of the paper, not verified",
}
KNOWN = {"seen": "seen", "derived": "derived", "secondary": "third-party notes", "recalled": "recalled"}
HOLLOW = ("secondary", "recalled")
INK = ("#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#787774")
FAINT, DARK = "#c9c7c3", "#37352f"


@dataclass(frozen=True)
class Table:
    """What a plug-in draws: the rows of one table and how it is called.

    Attributes:
        rows: measured and published cells.
        names: the rows (victim, ceiling, floor) that copies are held against, by kind.
        row_matches, column_matches: our name -> the paper's, where they differ.
    """

    title: str
    caption: str
    scale: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    names: dict[str, str]
    row_matches: dict[str, str]
    column_matches: dict[str, str]

    def measured(self, metric: str) -> list[Row]:
        """Rows that this scale measures (failed ones too)."""
        return [row for row in self.rows if row.metric == metric and (row.ours or row.status == FAILED)]

    def published(self, metric: str) -> list[Row]:
        """Rows that carry a published number."""
        return [row for row in self.rows if row.metric == metric and row.published]


def table_of(spec: dict[str, Any], rows: Iterable[Row]) -> Table:
    """What a plug-in draws from, as the configuration describes the table."""
    return Table(
        title=spec["title"],
        caption=spec["caption"],
        scale=spec["scale"],
        metrics=tuple(spec["metrics"]),
        rows=tuple(rows),
        names=spec["names"],
        row_matches=spec["layout"]["rows"],
        column_matches=spec["layout"]["columns"],
    )


# --- text ---------------------------------------------------------------------------------------------------


def value_text(metric: str, value: str) -> str:
    """A number as a reader wants it."""
    if metric in PERCENT:
        return f"{float(value) * 100:.1f}"
    if metric == "ratio":
        return f"{float(value):.2f}×"
    if metric in COUNTS:
        return f"{int(float(value)):,}"
    if metric == "usd":
        return f"{float(value):,.2f}"
    return f"{float(value):.3f}"


def ours_text(row: Row) -> str:
    """Our number with its interval, or what became of it."""
    if not row.ours:
        return "failed" if row.status == FAILED else "–"
    text = value_text(row.metric, row.ours)
    if row.ours_low:
        low, high = value_text(row.metric, row.ours_low), value_text(row.metric, row.ours_high)
        text += f" [{low.rstrip('×')}, {high.rstrip('×')}]"
    return text


def published_text(row: Row) -> str:
    """The paper's number with the mark of how it is known."""
    return value_text(row.metric, row.published) + MARKS[row.provenance] if row.published else "–"


def pipe(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    header = list(header)
    out = ["| " + " | ".join(header) + " |", "|:--" + "|--:" * (len(header) - 1) + "|"]
    out += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(out)


def grid(table: Table, metric: str, second: str | None = None) -> str:
    """Rows x columns as in the paper: our columns first, then the paper's own, a second metric in parentheses."""
    ours = {(r.row, r.column): r for r in table.measured(metric)}
    extra = {(r.row, r.column): r for r in table.measured(second)} if second else {}
    known, beside = _published_cells(table, metric), _published_cells(table, second) if second else {}
    columns = list(dict.fromkeys(column for _, column in ours))
    theirs = list(dict.fromkeys(column for _, column in known))
    names = list(dict.fromkeys(row for row, _ in ours))
    names += [row for row in dict.fromkeys(row for row, _ in known) if row not in _matched(table, names)]
    lines = []
    for name in names:
        match = table.row_matches.get(name, name)
        line = [f"{name} (paper: {match})" if match != name else name]
        for column in columns:
            cell, more = ours.get((name, column)), extra.get((name, column))
            text = ours_text(cell) if cell else "–"
            line.append(f"{text} ({value_text(more.metric, more.ours)})" if more and more.ours else text)
        for column in theirs:
            there, more = known.get((match, column)), beside.get((match, column))
            text = published_text(there) if there else "–"
            mark = "" if there or not more else MARKS[more.provenance]
            line.append(f"{text} ({value_text(more.metric, more.published)}{mark})" if more else text)
        lines.append(line)
    return pipe(["", *columns, *(f"{column} (paper)" for column in theirs)], lines)


def _matched(table: Table, names: Iterable[str]) -> set[str]:
    return {table.row_matches.get(name, name) for name in names}


def _published_cells(table: Table, metric: str) -> dict[tuple[str, str], Row]:
    """Published numbers by the paper's row and column."""
    rows, columns = table.row_matches, table.column_matches
    return {(rows.get(r.row, r.row), columns.get(r.column, r.column)): r for r in table.published(metric)}


def details(table: Table) -> str:
    """Every measured cell with every metric, replicates and status."""
    cells: dict[tuple[str, str], dict[str, Row]] = {}
    for row in table.rows:
        if row.ours or row.status == FAILED:
            cells.setdefault((row.row, row.column), {})[row.metric] = row
    lines = []
    for (name, column), metrics in cells.items():
        lead = next(iter(metrics.values()))
        texts = [ours_text(metrics[m]) if m in metrics else "–" for m in table.metrics]
        lines.append([name, column, *texts, lead.replicates, lead.status])
    return pipe(["row", "column", *(NAMES[m] for m in table.metrics), "replicates", "status"], lines)


def document(table: Table, *parts: str) -> str:
    """The whole Markdown file: title, caption, the parts, every metric, and what the marks mean."""
    marks = {MARKS[row.provenance] for row in table.rows if row.provenance}
    scale = f"Scale: {table.scale}."
    if any(row.ours_low or row.status == FAILED for row in table.rows):
        scale += (
            " Mean over replicates with a 95% interval from a bootstrap over test images crossed with replicates; with "
            "few replicates it understates what other seeds would do."
        )
    notes = [scale, *(LEGEND[mark] for mark in LEGEND if mark in marks)]
    heading = f"# {table.title}\n\n{table.caption}"
    return "\n\n".join([heading, *parts, "## Every metric", details(table), *notes]) + "\n"


# --- pictures -----------------------------------------------------------------------------------------------


def canvas(width: float = 6.4, height: float = 4.0, panels: int = 1) -> "tuple[Figure, list[Axes]]":
    """A figure with the house's look, and its axes from left to right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "axes.axisbelow": True,
            "legend.frameon": False,
            "svg.hashsalt": "mimeo",
            "figure.constrained_layout.use": True,
        }
    )
    figure, axes = pyplot.subplots(1, panels, figsize=(width, height), squeeze=False, sharey=True)
    return figure, list(axes[0])


def series_of(rows: Iterable[Row]) -> dict[str, list[tuple[int, Row]]]:
    """Rows called ``name budget`` as curves: name -> (budget, row), by budget. Where rows stand in several columns, a
    curve's name has its column too."""
    found = [(row, *row.row.rpartition(" ")[::2]) for row in rows]
    found = [(row, name, budget) for row, name, budget in found if name and budget.isdecimal()]
    several = len({row.column for row, _, _ in found}) > 1
    curves: dict[str, list[tuple[int, Row]]] = {}
    for row, name, budget in found:
        curves.setdefault(f"{name}, {row.column}" if several else name, []).append((int(budget), row))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in curves.items()}


def budget_grid(table: Table, metric: str) -> str:
    """Curves as a table: one line a curve, one column a budget."""
    curves = series_of(table.measured(metric))
    budgets = sorted({budget for points in curves.values() for budget, _ in points})
    lines = []
    for name, points in curves.items():
        at = dict(points)
        lines.append([name, *(ours_text(at[b]) if b in at else "–" for b in budgets)])
    known = "\n\n".join(
        f"{row.row}: {ours_text(row)}" for row in table.measured(metric) if row.row in table.names.values()
    )
    return pipe([f"{NAMES[metric]} at queries", *(f"{b:,}" for b in budgets)], lines) + (
        f"\n\n{known}" if known else ""
    )


def published_budget_grid(table: Table, metric: str) -> str:
    """The paper's curves as a table: one line a curve and column, one column a budget."""
    rows, match = table.published(metric), table.column_matches
    places = list(dict.fromkeys(match.get(row.column, row.column) for row in rows))
    found = {
        (name, place): dict(points)
        for place in places
        for name, points in series_of(
            replace(row, column=place) for row in rows if match.get(row.column, row.column) == place
        ).items()
    }
    budgets = sorted({budget for at in found.values() for budget in at})
    lines = [
        [f"{name}, {place}", *(published_text(at[b]) if b in at else "–" for b in budgets)]
        for (name, place), at in sorted(found.items())
    ]
    return pipe([f"{NAMES[metric]} at queries", *(f"{b:,}" for b in budgets)], lines)


def curves(
    table: Table,
    metric: str,
    axes: "Axes",
    label: Callable[[str], str] = lambda name: name,
    across: str = "queries",
    beside: bool = True,
) -> None:
    """Draws our curves with their intervals, the paper's points, and victim, ceiling and floor as lines.

    Args:
        label: what a curve is called in the legend.
        across: ``queries``, the number at the end of a row's name, or another metric of the same cell.
        beside: whether the paper's points are drawn too.
    """
    place = _places(table, across)
    ticks: set[float] = set()
    for colour, (name, points) in zip(cycle(INK), series_of(table.measured(metric)).items(), strict=False):
        there = place(points)
        ticks |= {x for x, _ in there}
        there = [(x, row) for x, row in there if row.ours]
        x = [x for x, _ in there]
        y, low, high = ([_scaled(metric, getattr(r, k)) for _, r in there] for k in ("ours", "ours_low", "ours_high"))
        axes.plot(x, y, "o-", color=colour, markersize=3.5, linewidth=1.4, label=label(name))
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    published = table.published(metric) if beside else []
    theirs = [point for points in series_of(published).values() for point in place(points)]
    published_points(axes, metric, theirs, _curve)
    reference_lines(table, metric, axes)
    if 0 in ticks:
        axes.set_xscale("symlog", linthresh=min((tick for tick in ticks if tick), default=1), linscale=0.5)
    else:
        axes.set_xscale("log")
    marked = _apart(ticks | {x for x, _ in theirs})
    axes.set_xticks(marked, [_thousands(tick) for tick in marked])
    axes.minorticks_off()
    axes.set_xlabel(NAMES[across])
    axes.set_ylabel(NAMES[metric])


def curve_panels(table: Table, metric: str, across: str = "queries") -> "Figure":
    """A figure of curves, see ``curves``: one panel a column, that is a victim. The paper's points of victims that this
    scale does not measure are in all of them."""
    match, places = table.column_matches, list(dict.fromkeys(row.column for row in table.measured(metric)))
    known = {match.get(place, place) for place in places}
    figure, panels = canvas(max(6.4, 4.2 * len(places)), 5.0, max(1, len(places)))
    for axes, place in zip(panels, places, strict=True):
        mine = {place, match.get(place, place)}
        rows = [row for row in table.rows if row.column in mine or match.get(row.column, row.column) not in known]
        curves(replace(table, rows=tuple(rows)), metric, axes, across=across)
        axes.set_title(f"{table.title}: {place}" if len(places) > 1 else table.title, loc="left")
        axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12), fontsize=7)
    return figure


def _apart(ticks: set[float]) -> list[float]:
    """Those of the ticks of a logarithmic axis whose labels do not lie on each other."""
    above = sorted(tick for tick in ticks if tick)
    kept = above[:1]
    for tick in above[1:]:
        if log(tick / kept[-1]) > 0.045 * log(above[-1] / above[0]):
            kept.append(tick)
    return [0.0, *kept] if 0 in ticks else kept


def _places(table: Table, across: str) -> Callable[[list[tuple[int, Row]]], list[tuple[float, Row]]]:
    """Where a curve's points lie: at their budgets, or at another metric's value, without those that have none."""
    if across == "queries":
        return lambda points: [(float(budget), row) for budget, row in points]
    known = {(row.row, row.column): float(row.ours) for row in table.measured(across) if row.ours}
    return lambda points: [(known[r.row, r.column], r) for _, r in points if (r.row, r.column) in known]


def published_points(
    axes: "Axes", metric: str, points: Iterable[tuple[float, Row]], name: Callable[[Row], str] | None = None
) -> None:
    """The paper's numbers as points: filled where they were seen or derived, hollow where recalled or from notes.

    The legend says how they are known, and whether they are of another scale.

    Args:
        points: where each lies across, and its row.
        name: whose they are, where their place does not say it; each has a shape of its own then.
    """
    found: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for x, row in points:
        known = KNOWN[row.provenance] + (", another scale" if row.status == ELSEWHERE else "")
        text = f"paper: {name(row)} ({known})" if name else f"paper ({known})"
        found.setdefault((text, row.provenance in HOLLOW), []).append((x, _scaled(metric, row.published)))
    shapes = cycle("Dsv^P" if name else "D")
    for (text, hollow), places in found.items():
        axes.plot(
            [x for x, _ in places],
            [y for _, y in places],
            next(shapes),
            color=DARK,
            markerfacecolor="white" if hollow else DARK,
            markersize=4.5,
            zorder=4,
            label=text,
        )


def _curve(row: Row) -> str:
    """The curve of a row called ``name budget``, with its column."""
    return f"{row.row.rpartition(' ')[0]}, {row.column}"


def reference_lines(table: Table, metric: str, axes: "Axes") -> None:
    """Victim, ceiling and floor across the whole width."""
    styles = {"victim": "-", "ceiling": "--", "floor": ":"}
    kinds = {name: kind for kind, name in table.names.items()}
    for row in table.measured(metric):
        if row.row in kinds and row.ours:
            label = {"victim": "victim", "ceiling": "victim retrained", "floor": "majority class"}[kinds[row.row]]
            axes.axhline(
                _scaled(metric, row.ours), color=DARK, linewidth=0.9, linestyle=styles[kinds[row.row]], label=label
            )


def bars(
    table: Table,
    metric: str,
    axes: "Axes",
    groups: list[str],
    members: list[str],
    cell: Callable[[str, str], Row | None],
) -> None:
    """Grouped bars with intervals, and the paper's points: one group a row, one bar a member."""
    width = 0.8 / max(1, len(members))
    beside: list[tuple[float, Row]] = []
    for number, (member, colour) in enumerate(zip(members, cycle(INK), strict=False)):
        found = [(place, cell(group, member)) for place, group in enumerate(groups)]
        there = [(place, row) for place, row in found if row is not None and row.ours]
        x = [place + (number - (len(members) - 1) / 2) * width for place, _ in there]
        y = [_scaled(metric, row.ours) for _, row in there]
        low = [v - _scaled(metric, row.ours_low) for v, (_, row) in zip(y, there, strict=True)]
        high = [_scaled(metric, row.ours_high) - v for v, (_, row) in zip(y, there, strict=True)]
        axes.bar(x, y, width * 0.92, color=colour, label=member)
        axes.errorbar(
            x,
            y,
            yerr=[[max(0, e) for e in low], [max(0, e) for e in high]],
            fmt="none",
            ecolor=DARK,
            elinewidth=0.8,
            capsize=2,
        )
        beside += [
            (place + (number - (len(members) - 1) / 2) * width, row)
            for place, row in found
            if row is not None and row.published
        ]
    published_points(axes, metric, beside)
    axes.set_xticks(range(len(groups)), groups)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel(NAMES[metric])


def by_column(table: Table, metric: str) -> "Figure":
    """A figure of bars: a group a column, a bar a row; victim, ceiling and floor as lines where there is one column."""
    rows = [row for row in table.measured(metric) if row.row not in table.names.values()]
    cells = {(row.column, row.row): row for row in rows}
    columns, names = (list(dict.fromkeys(getattr(row, key) for row in rows)) for key in ("column", "row"))
    figure, [axes] = canvas(max(6.4, 0.22 * len(cells) + 3))
    bars(table, metric, axes, columns, names, lambda column, name: cells.get((column, name)))
    if len(columns) == 1:
        reference_lines(table, metric, axes)
    axes.set_title(table.title, loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    return figure


def _scaled(metric: str, value: str) -> float:
    return float(value) * (100 if metric in PERCENT else 1)


def _thousands(value: float) -> str:
    return f"{value / 1000:.0f}k" if value >= 1000 and value % 1000 == 0 else f"{value:g}"
