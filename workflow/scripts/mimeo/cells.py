"""Rows of a table: what was measured beside what was published, and what may be said of the two.

One row a cell and metric, with the columns COLUMNS. A status never says more than the numbers allow:
``reproduced`` and ``differs`` are given at a comparable scale alone.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from typing import Any

from mimeo.errors import MimeoError
from mimeo.store import save_csv

REPRODUCED, DIFFERS, FAILED = "reproduced", "differs", "failed run"
ELSEWHERE, UNPUBLISHED = "not comparable (another scale)", "not published"
PROVENANCES = ("seen", "derived", "secondary", "recalled")
Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Row:
    """One cell's value of one metric; empty strings stand for what is not there."""

    paper: str
    table: str
    row: str
    column: str
    metric: str
    ours: str = ""
    ours_low: str = ""
    ours_high: str = ""
    replicates: str = ""
    published: str = ""
    provenance: str = ""
    difference: str = ""
    status: str = UNPUBLISHED


@dataclass(frozen=True)
class Measured:
    """A cell as a table's own ``measure`` finds it.

    Attributes:
        values: ``{metric: {value, low, high}}``; ``low`` and ``high`` may lack for exact numbers.
        replicates: how many sound trainings stand behind it; None where nothing was trained for it.
        failed: whether none is sound.
        known_as: paper, table, row and column of the published number, where it stands in another table.
    """

    row: str
    column: str
    values: dict[str, dict[str, float]]
    replicates: int | None = None
    failed: bool = False
    known_as: tuple[str, str, str, str] | None = None


COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True)
class Published:
    """A number of a paper, as text with the digits printed, and how it is known."""

    value: str
    provenance: str


def load_published(path: str) -> dict[Key, Published]:
    """The published numbers by paper, table, row, column and metric.

    Raises:
        MimeoError: missing, a column lacks, a value is no number, or a key stands twice.
    """
    found: dict[Key, Published] = {}
    try:
        with open(path, newline="") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames:
                raise TypeError("it is empty")
            for entry in reader:
                line = reader.line_num
                key = (entry["paper"], entry["table"], entry["row"], entry["column"], entry["metric"])
                if key in found:
                    raise MimeoError(f"{path}: line {line}: given twice: {' / '.join(key)}")
                if not math.isfinite(float(entry["value"])):
                    raise ValueError(f"{entry['value']} is no number")
                if entry["provenance"] not in PROVENANCES:
                    raise ValueError(f"provenance {entry['provenance']!r} is none of {', '.join(PROVENANCES)}")
                found[key] = Published(entry["value"], entry["provenance"])
    except (OSError, KeyError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise MimeoError(f"{path}: not readable as published numbers: {error}") from None
    except ValueError as error:
        raise MimeoError(f"{path}: line {line}: {error}") from None
    return found


@dataclass(frozen=True)
class Layout:
    """How a table's cells map to the paper's.

    Attributes:
        paper, table: of our table.
        source: paper and table in the published numbers.
        rows, columns: our names -> the paper's, where they differ.
        comparable: whether this scale may be held against the paper.
        others: whether published cells that are not measured here are listed too.
    """

    paper: str
    table: str
    source: tuple[str, str]
    rows: dict[str, str]
    columns: dict[str, str]
    comparable: bool
    others: bool

    def key(self, row: str, column: str, metric: str) -> Key:
        """The paper's name of our cell."""
        return (*self.source, self.rows.get(row, row), self.columns.get(column, column), metric)


def measured_rows(
    layout: Layout,
    published: dict[Key, Published],
    row: str,
    column: str,
    metrics: Iterable[str],
    measured: dict[str, dict[str, float]],
    replicates: int | None,
    failed: bool,
    known_as: tuple[str, str, str, str] | None = None,
) -> list[Row]:
    """Rows of one cell that this scale measures; arguments as the attributes of ``Measured``."""
    rows = []
    for metric in metrics:
        values = measured.get(metric)
        known = published.get((*known_as, metric) if known_as else layout.key(row, column, metric))
        if values is None and not failed:
            continue
        texts = {} if values is None else {f"ours{_tail(k)}": _number(v) for k, v in values.items()}
        beside = {}
        if known:
            beside = {"published": known.value, "provenance": known.provenance}
            if values is not None:
                beside["difference"] = f"{values['value'] - float(known.value):+.4f}"
        status = _status(values, known, layout.comparable, failed)
        rows.append(
            Row(
                layout.paper,
                layout.table,
                row,
                column,
                metric,
                **texts,
                replicates="" if replicates is None else str(replicates),
                **beside,
                status=status,
            )
        )
    return rows


def other_rows(
    layout: Layout, published: dict[Key, Published], metrics: Iterable[str], taken: Iterable[Row]
) -> list[Row]:
    """Rows of the paper's table that this scale does not measure, in the paper's names."""
    done = {layout.key(row.row, row.column, row.metric) for row in taken}
    return [
        Row(
            layout.paper,
            layout.table,
            key[2],
            key[3],
            key[4],
            published=number.value,
            provenance=number.provenance,
            status=ELSEWHERE,
        )
        for key, number in published.items()
        if key[:2] == layout.source and key[4] in set(metrics) and key not in done
    ]


def save_rows(path: str, rows: Iterable[Row]) -> None:
    """Writes the rows as CSV."""
    save_csv(path, COLUMNS, map(astuple, rows))


def load_rows(path: str) -> list[Row]:
    """Reads what ``save_rows`` wrote.

    Raises:
        MimeoError: missing or with other columns.
    """
    try:
        with open(path, newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise TypeError("other columns")
            entries = list(reader)
        if any(None in entry.values() for entry in entries):
            raise TypeError("a row is cut short")
        return [Row(**entry) for entry in entries]
    except (OSError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise MimeoError(f"{path}: not a table: {error}") from None


def _status(values: dict[str, float] | None, known: Published | None, comparable: bool, failed: bool) -> str:
    if failed or values is None:
        return FAILED
    if known is None:
        return UNPUBLISHED
    if not comparable:
        return ELSEWHERE
    # The published number is rounded to the digits printed: half a unit of the last counts for it (2.33e4 is 23.3k).
    slack = 0.5 * 10.0 ** int(Decimal(known.value).as_tuple().exponent)
    low, high = values.get("low", values["value"]), values.get("high", values["value"])
    return REPRODUCED if low - slack <= float(known.value) <= high + slack else DIFFERS


def _tail(key: str) -> str:
    return "" if key == "value" else f"_{key}"


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"
