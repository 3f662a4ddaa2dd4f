"""Rows of a table: what may be said of our number beside the paper's, and that files say it again."""

import csv
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import make_table
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimeo.cells import (
    COLUMNS,
    DIFFERS,
    ELSEWHERE,
    FAILED,
    REPRODUCED,
    UNPUBLISHED,
    Layout,
    Published,
    Row,
    load_published,
    load_rows,
    measured_rows,
    other_rows,
    save_rows,
)
from mimeo.store import save_json

Complaint = Callable[[Callable[[], object]], str]
LAWS = settings(deadline=None, max_examples=80, derandomize=True, database=None)
HEADER = "paper,table,row,column,metric,value,provenance,source\n"
LAYOUT = Layout("knockoff", "ours", ("knockoff", "theirs"), {"Random": "ILSVRC"}, {"Digits": "DIG10"}, True, False)
KEY = ("knockoff", "theirs", "ILSVRC", "DIG10", "accuracy")
MEASURED = {"value": 0.8, "low": 0.75, "high": 0.85}


def row_of(published: dict[Any, Published], **changes: Any) -> Row:
    """The one row of a measured cell."""
    there: dict[str, Any] = {"layout": LAYOUT, "measured": {"accuracy": MEASURED}, "replicates": 3, "failed": False}
    there |= changes
    [row] = measured_rows(
        there["layout"], published, "Random", "Digits", ["accuracy"], there["measured"], there["replicates"],
        there["failed"],
    )  # fmt: skip
    return row


# --- what may be said ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("0.80", REPRODUCED),
        ("0.75", REPRODUCED),
        ("0.85", REPRODUCED),
        ("0.854", DIFFERS),
        ("0.70", DIFFERS),
        ("0.99", DIFFERS),
    ],
)
def test_comparable_scale_says_reproduced_or_differs(value: str, status: str) -> None:
    row = row_of({KEY: Published(value, "seen")})
    assert row.status == status
    assert (row.ours, row.ours_low, row.ours_high) == ("0.800000", "0.750000", "0.850000")
    assert (row.published, row.provenance, row.replicates) == (value, "seen", "3")
    assert row.difference == f"{0.8 - float(value):+.4f}"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("0.9", REPRODUCED),  # rounded from as little as 0.85
        ("0.7", REPRODUCED),  # rounded from as much as 0.75
        ("0.90", DIFFERS),
        ("0.854", REPRODUCED),
        ("0.856", DIFFERS),
        ("1", REPRODUCED),  # from 0.5 up
    ],
)
def test_rounding_of_the_published_number_counts(value: str, status: str) -> None:
    """Half a unit of the last printed digit on either side."""
    inside = {"accuracy": {"value": 0.8, "low": 0.7499, "high": 0.8536}}
    assert row_of({KEY: Published(value, "seen")}, measured=inside).status == status


@LAWS
@given(digits=st.integers(0, 4), number=st.floats(0, 1), low=st.floats(0, 1), width=st.floats(0, 0.5))
def test_status_is_whether_intervals_meet(digits: int, number: float, low: float, width: float) -> None:
    text = f"{number:.{digits}f}"
    slack, high = 0.5 * 10**-digits, low + width
    value = float(text)
    distance = max(low - value, value - high, 0.0)
    if abs(distance - slack) < 1e-9:
        return  # a matter of floating point
    row = row_of(
        {KEY: Published(text, "seen")}, measured={"accuracy": {"value": (low + high) / 2, "low": low, "high": high}}
    )
    assert row.status == (REPRODUCED if distance < slack else DIFFERS)


def test_number_without_interval_is_compared_as_it_is() -> None:
    exact = {"accuracy": {"value": 0.8}}
    assert row_of({KEY: Published("0.80", "seen")}, measured=exact).status == REPRODUCED
    row = row_of({KEY: Published("0.81", "seen")}, measured=exact)
    assert row.status == DIFFERS
    assert (row.ours_low, row.ours_high) == ("", "")


def test_other_scale_never_says_reproduced_nor_differs() -> None:
    """Equal or not, the number stands beside the paper's and is not held against it."""
    elsewhere = replace(LAYOUT, comparable=False)
    for value in ("0.80", "0.10"):
        row = row_of({KEY: Published(value, "recalled")}, layout=elsewhere)
        assert row.status == ELSEWHERE
        assert (row.published, row.provenance) == (value, "recalled")


def test_what_the_paper_lacks_is_not_published() -> None:
    for comparable in (True, False):
        row = row_of({}, layout=replace(LAYOUT, comparable=comparable))
        assert row.status == UNPUBLISHED
        assert (row.published, row.provenance, row.difference) == ("", "", "")


@pytest.mark.parametrize("comparable", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_failed_run_is_shown_as_such(comparable: bool, known: bool) -> None:
    """No number of ours, and the paper's beside it; never a difference."""
    published = {KEY: Published("0.80", "seen")} if known else {}
    row = row_of(published, layout=replace(LAYOUT, comparable=comparable), measured={}, replicates=0, failed=True)
    assert row.status == FAILED
    assert (row.ours, row.ours_low, row.ours_high, row.difference, row.replicates) == ("", "", "", "", "0")
    assert row.published == ("0.80" if known else "")
    assert row_of(published, failed=True).status == FAILED  # a failed victim's numbers are no reproduction


def test_metrics_that_a_cell_lacks_are_left_out() -> None:
    rows = measured_rows(
        LAYOUT, {}, "Random", "Digits", ["accuracy", "queries", "kl"],
        {"accuracy": MEASURED, "queries": {"value": 4000}}, 3, False,
    )  # fmt: skip
    assert [(row.metric, row.ours) for row in rows] == [("accuracy", "0.800000"), ("queries", "4000")]


def test_published_cells_not_measured_here_are_listed_once() -> None:
    published = {
        KEY: Published("0.80", "seen"),
        (*KEY[:2], "OpenImages", "DIG10", "accuracy"): Published("0.70", "recalled"),
        (*KEY[:4], "kl"): Published("0.1", "seen"),  # a metric that is not shown
        ("knockoff", "another", *KEY[2:]): Published("0.5", "seen"),
        ("copycat", *KEY[1:]): Published("0.5", "seen"),
    }
    [row] = other_rows(LAYOUT, published, ["accuracy"], [row_of(published)])
    assert (row.row, row.column, row.published, row.provenance) == ("OpenImages", "DIG10", "0.70", "recalled")
    assert (row.paper, row.table, row.ours, row.status) == ("knockoff", "ours", "", ELSEWHERE)


# --- files --------------------------------------------------------------------------------------------------


def test_columns_are_exactly_these(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    save_rows(str(path), [row_of({KEY: Published("0.80", "seen")})])
    assert path.read_text() == (
        "paper,table,row,column,metric,ours,ours_low,ours_high,replicates,published,provenance,difference,status\n"
        "knockoff,ours,Random,Digits,accuracy,0.800000,0.750000,0.850000,3,0.80,seen,+0.0000,reproduced\n"
    )
    assert ",".join(COLUMNS) == path.read_text().splitlines()[0]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=6)


@LAWS
@given(texts=st.lists(st.tuples(*[TEXT] * len(COLUMNS)), max_size=4))
def test_rows_come_back(tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, ...]]) -> None:
    path = str(tmp_path_factory.mktemp("rows") / "table.csv")
    rows = [Row(*text) for text in texts]
    save_rows(path, rows)
    assert load_rows(path) == rows


@pytest.mark.parametrize(
    "content",
    [b"a,b\n1,2\n", b"paper,table\n1,2\n", b"\xff\xfe,\x00\n1,2\n", (",".join(COLUMNS) + "\n" + "1," * 20).encode()],
)
def test_file_that_is_no_table_is_one_line(tmp_path: Path, content: bytes, complaint: Complaint) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert str(path) in complaint(lambda: load_rows(str(path)))
    assert "absent.csv" in complaint(lambda: load_rows(str(tmp_path / "absent.csv")))


def test_table_cut_short_is_one_line(tmp_path: Path, complaint: Complaint) -> None:
    path = tmp_path / "table.csv"
    path.write_text(",".join(COLUMNS) + "\nknockoff,accuracy,Random,Digits,accuracy,0.8\n")
    assert str(path) in complaint(lambda: load_rows(str(path)))


def published_from(path: Path, lines: str) -> dict[Any, Published]:
    path.write_text(HEADER + lines)
    return load_published(str(path))


def test_published_numbers_keep_their_digits(tmp_path: Path) -> None:
    there = published_from(tmp_path / "p.csv", "knockoff,theirs,ILSVRC,DIG10,accuracy,0.80,recalled,KN_T2\n")
    assert there == {KEY: Published("0.80", "recalled")}


def test_published_twice_is_refused_with_its_line(tmp_path: Path, complaint: Complaint) -> None:
    line = "knockoff,theirs,ILSVRC,DIG10,accuracy,0.80,seen,KN_T2\n"
    other = "knockoff,theirs,ILSVRC,DIG10,kl,0.80,seen,KN_T2\n"
    path = tmp_path / "p.csv"
    text = complaint(lambda: published_from(path, line + other + line))
    assert str(path) in text and "line 4" in text and "ILSVRC / DIG10 / accuracy" in text


@pytest.mark.parametrize("value", ["eighty", "", "0,8", "80%"])
def test_published_value_that_is_no_number_is_refused_with_its_line(
    tmp_path: Path, value: str, complaint: Complaint
) -> None:
    path = tmp_path / "p.csv"
    text = complaint(lambda: published_from(path, f'a,b,c,d,e,1,seen,x\na,b,c,d,f,"{value}",seen,x\n'))
    assert str(path) in text and "line 3" in text


@pytest.mark.parametrize("content", ["paper,table\na,b\n", HEADER + "a,b,c\n", "\udcff\udcfe\n1,2\n"])
def test_published_file_that_is_damaged_is_one_line(tmp_path: Path, content: str, complaint: Complaint) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(content.encode(errors="surrogateescape"))
    assert str(path) in complaint(lambda: load_published(str(path)))
    assert "absent.csv" in complaint(lambda: load_published(str(tmp_path / "absent.csv")))


@pytest.mark.parametrize("tail", ["nan,seen,x", "inf,seen,x", "0.8,guessed,x", "0.8"])
def test_published_number_without_meaning_is_refused(tmp_path: Path, tail: str, complaint: Complaint) -> None:
    path = tmp_path / "p.csv"
    assert str(path) in complaint(lambda: published_from(path, f"a,b,c,d,e,{tail}\n"))


# --- from scores to rows ------------------------------------------------------------------------------------


def scores(metric: float) -> dict[str, dict[str, float]]:
    return {"accuracy": {"value": metric, "low": metric - 0.1, "high": metric + 0.1}}


@pytest.fixture
def spec() -> dict[str, Any]:
    """A table of two arms and three references."""
    return {
        "title": "Title",
        "caption": "Caption.",
        "scale": "toy",
        "metrics": ["accuracy", "queries"],
        "names": {"victim": "victim", "ceiling": "again", "floor": "majority"},
        "layout": {**asdict(LAYOUT), "paper": "knockoff", "table": "accuracy", "source": ["knockoff", "theirs"]},
        "references": [
            ["victim", "v", "victim", "Digits"],
            ["ceiling", "v", "again", "Digits"],
            ["floor", "v", "majority", "Digits"],
        ],
        "cells": [["Random", "Digits", "arm-1"], ["Other", "Digits", "arm-2"]],
    }


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """Scores of a victim and two arms, the second of which failed; and published numbers."""
    (tmp_path / "published.csv").write_text(
        HEADER + "knockoff,theirs,ILSVRC,DIG10,accuracy,0.8,seen,x\nknockoff,theirs,D2,DIG10,accuracy,0.6,recalled,x\n"
    )
    save_json(
        tmp_path / "v.json",
        {
            "victim": "v", "failures": [], "twins": 2, "victim_metrics": scores(0.9), "ceiling_metrics": scores(0.8),
            "floor_metrics": scores(0.1),
        },
    )  # fmt: skip
    save_json(tmp_path / "1.json", {"arm": "arm-1", "sound": 3, "queries": 4000, "metrics": scores(0.7)})
    save_json(tmp_path / "2.json", {"arm": "arm-2", "sound": 0, "queries": 500, "metrics": {}})
    return {
        "published": str(tmp_path / "published.csv"),
        "arms": [str(tmp_path / "1.json"), str(tmp_path / "2.json")],
        "victims": [str(tmp_path / "v.json")],
    }


def brief(rows: list[Row]) -> list[tuple[str, str, str, str, str]]:
    return [(row.row, row.metric, row.ours, row.replicates, row.status) for row in rows]


def test_table_has_references_then_cells(spec: dict[str, Any], files: dict[str, Any]) -> None:
    assert brief(make_table.rows_of(spec, **files)) == [
        ("victim", "accuracy", "0.900000", "1", UNPUBLISHED),
        ("again", "accuracy", "0.800000", "2", UNPUBLISHED),
        ("majority", "accuracy", "0.100000", "1", UNPUBLISHED),
        ("Random", "accuracy", "0.700000", "3", REPRODUCED),
        ("Random", "queries", "4000", "3", UNPUBLISHED),
        ("Other", "accuracy", "", "0", FAILED),
        ("Other", "queries", "500", "0", FAILED),
    ]


def test_table_lists_what_only_the_paper_has(spec: dict[str, Any], files: dict[str, Any]) -> None:
    spec["layout"]["others"] = True
    assert brief(make_table.rows_of(spec, **files))[7:] == [("D2", "accuracy", "", "", ELSEWHERE)]


def test_failed_victim_and_failed_twins_are_shown(spec: dict[str, Any], files: dict[str, Any], tmp_path: Path) -> None:
    """A failed victim's numbers stay visible; where no twin is sound there is no ceiling."""
    save_json(
        tmp_path / "v.json",
        {
            "victim": "v", "failures": ["chance level"], "twins": 0, "victim_metrics": scores(0.2),
            "ceiling_metrics": {}, "floor_metrics": scores(0.1),
        },
    )  # fmt: skip
    rows = [line for line in brief(make_table.rows_of(spec, **files)) if line[1] == "accuracy"]
    assert rows[0] == ("victim", "accuracy", "0.200000", "1", FAILED)
    assert rows[1] == ("again", "accuracy", "", "0", FAILED)
    assert rows[2][-1] == UNPUBLISHED


def test_table_is_written_for_programs_and_for_readers(
    spec: dict[str, Any], files: dict[str, Any], tmp_path: Path
) -> None:
    """The CSV holds the rows, the Markdown and the page the same numbers."""
    table, text, web = (tmp_path / f"table.{kind}" for kind in ("csv", "md", "html"))
    make_table.main(spec, **files, table=str(table), text=str(text), web=str(web))
    with open(table, newline="") as file:
        assert [Row(**line) for line in csv.DictReader(file)] == make_table.rows_of(spec, **files)
    assert text.read_text().startswith("# Title\n\nCaption.\n\n|")
    assert "| Random (paper: ILSVRC) | 70.0 [60.0, 80.0] | 80.0 |" in text.read_text()
    assert "| Other | failed |" in text.read_text()
    assert "<h1>Title</h1>" in web.read_text()
    assert "Random (paper: ILSVRC)</td>" in web.read_text() and "70.0 [60.0, 80.0]</td>" in web.read_text()
