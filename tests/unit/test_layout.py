"""Tables in Markdown against exact text, and figures that draw, are labelled and repeat."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import draw_figure
import pytest

from mimeo import tables
from mimeo.cells import (
    ELSEWHERE,
    FAILED,
    REPRODUCED,
    UNPUBLISHED,
    Layout,
    Published,
    Row,
    measured_rows,
    other_rows,
    save_rows,
)
from mimeo.layout import (
    INK,
    LEGEND,
    MARKS,
    NAMES,
    Table,
    budget_grid,
    details,
    document,
    grid,
    ours_text,
    pipe,
    published_budget_grid,
    published_text,
    series_of,
    table_of,
    value_text,
)
from mimeo.page import page
from mimeo.plugins import load

FOLDER = Path(tables.__file__).parent
PLUGINS = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/[!_]*.py"))
DRAWN = [name for name in PLUGINS if hasattr(load(f"tables/{name.split('/')[0]}", name.split("/")[1]), "figure")]


def cell(row: str, column: str, ours: str = "", metric: str = "accuracy", **more: str) -> Row:
    """A measured cell with an interval of 0.1 each way, or one that has no number of ours."""
    around = {"ours_low": f"{float(ours) - 0.1:.6f}", "ours_high": f"{float(ours) + 0.1:.6f}"} if ours else {}
    there = {"ours": ours, "replicates": "3" if ours else "", **around, **more}
    return Row("knockoff", "t", row, column, metric, **there)


def table(*rows: Row, **changes: Any) -> Table:
    """A table of these rows."""
    there = Table(
        title="Title",
        caption="Caption.",
        scale="toy",
        metrics=("accuracy", "ratio"),
        rows=rows,
        names={"victim": "victim", "floor": "majority"},
        row_matches={},
        column_matches={},
    )
    return replace(there, **changes)


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", "0.876543", "87.7"),
        ("macro_f1", "1", "100.0"),
        ("agreement", "0", "0.0"),
        ("ratio", "0.976", "0.98×"),
        ("queries", "1234567", "1,234,567"),
        ("kl", "0.12345", "0.123"),
        ("images", "2.33e4", "23,300"),
        ("labels", "108", "108"),
        ("label_fraction", "0.005", "0.5"),
        ("share", "0.1234", "12.3"),
        ("usd", "1234.5", "1,234.50"),
    ],
)
def test_numbers_as_readers_want_them(metric: str, value: str, text: str) -> None:
    assert value_text(metric, value) == text


def test_our_number_comes_with_its_interval() -> None:
    assert ours_text(cell("a", "b", "0.8")) == "80.0 [70.0, 90.0]"
    assert ours_text(cell("a", "b", "0.8", "ratio")) == "0.80× [0.70, 0.90]"
    assert ours_text(Row("p", "t", "a", "b", "queries", ours="4000")) == "4,000"
    assert ours_text(cell("a", "b", status=FAILED)) == "failed"
    assert ours_text(cell("a", "b")) == "–"


@pytest.mark.parametrize(
    ("provenance", "text"), [("seen", "76.8"), ("derived", "76.8§"), ("secondary", "76.8‡"), ("recalled", "76.8†")]
)
def test_published_number_shows_how_it_is_known(provenance: str, text: str) -> None:
    assert published_text(cell("a", "b", published="0.768", provenance=provenance)) == text


def test_every_mark_is_explained() -> None:
    assert {mark for mark in MARKS.values() if mark} == set(LEGEND)
    assert published_text(cell("a", "b")) == "–"


# --- tables -------------------------------------------------------------------------------------------------


def test_pipe_is_markdown() -> None:
    assert pipe(["a", "b"], [["1", "2"], ["3", "4"]]) == "| a | b |\n|:--|--:|\n| 1 | 2 |\n| 3 | 4 |"


def test_grid_without_the_paper() -> None:
    there = table(
        cell("victim", "Digits", "0.95"),
        cell("Random", "Digits", "0.8"),
        cell("Random", "Digits", "0.84", "ratio"),
        cell("Random", "Faces", status=FAILED),
    )
    assert grid(there, "accuracy", "ratio") == (
        "|  | Digits | Faces |\n"
        "|:--|--:|--:|\n"
        "| victim | 95.0 [85.0, 105.0] | – |\n"
        "| Random | 80.0 [70.0, 90.0] (0.84×) | failed |"
    )
    assert "×" not in grid(there, "accuracy")


def test_grid_beside_the_paper() -> None:
    """Matched names stand in one line, the paper's other rows below; every number keeps its mark."""
    there = table(
        cell("Random", "Digits", "0.8", published="0.7", provenance="recalled"),
        cell("Adaptive", "Digits", "0.9"),
        cell("OpenImages", "DIG10", published="0.6", provenance="seen", status=ELSEWHERE),
        cell("ILSVRC", "DIG10", metric="ratio", published="0.9", provenance="seen", status=ELSEWHERE),
        row_matches={"Random": "ILSVRC"},
        column_matches={"Digits": "DIG10"},
    )
    assert grid(there, "accuracy", "ratio") == (
        "|  | Digits | DIG10 (paper) |\n"
        "|:--|--:|--:|\n"
        "| Random (paper: ILSVRC) | 80.0 [70.0, 90.0] | 70.0† (0.90×) |\n"
        "| Adaptive | 90.0 [80.0, 100.0] | – |\n"
        "| OpenImages | – | 60.0 |"
    )


def test_a_second_number_alone_keeps_its_mark() -> None:
    there = table(
        cell("Random", "Digits", "0.8", published="0.7", provenance="seen"),
        cell("Other", "Digits", "0.8"),
        cell("Other", "Digits", "0.9", "ratio", published="0.7", provenance="recalled"),
    )
    assert grid(there, "accuracy", "ratio").splitlines()[2:] == [
        "| Random | 80.0 [70.0, 90.0] | 70.0 |",
        "| Other | 80.0 [70.0, 90.0] (0.90×) | – (0.70×†) |",
    ]


def mapped(rows: dict[str, str], columns: dict[str, str], *cells: tuple[str, str], others: bool = True) -> Table:
    """A table made as the stage makes it: our cells at 0.8, all of the paper's at 0.7."""
    layout = Layout("knockoff", "t", ("knockoff", "t"), rows, columns, False, others)
    keys = [layout.key(row, column, "accuracy") for row, column in cells]
    published = dict.fromkeys([*keys, ("knockoff", "t", "Other", "Column", "accuracy")], Published("0.7", "seen"))
    there = [
        row
        for name, column in cells
        for row in measured_rows(layout, published, name, column, ["accuracy"], {"accuracy": {"value": 0.8}}, 3, False)
    ]
    spec = {
        "title": "Title", "caption": "Caption.", "scale": "toy", "metrics": ["accuracy"], "names": {},
        "layout": {"rows": rows, "columns": columns},
    }  # fmt: skip
    return table_of(spec, there + other_rows(layout, published, ["accuracy"], there))


def test_grid_of_a_table_as_the_stage_makes_it() -> None:
    there = mapped({"Random": "ILSVRC"}, {"Digits": "DIG10"}, ("Random", "Digits"))
    assert grid(there, "accuracy") == (
        "|  | Digits | DIG10 (paper) | Column (paper) |\n"
        "|:--|--:|--:|--:|\n"
        "| Random (paper: ILSVRC) | 80.0 | 70.0 | – |\n"
        "| Other | – | – | 70.0 |"
    )


def test_grid_where_rows_and_columns_share_a_name() -> None:
    """A family of victims and a family of copycats are called alike, and the paper's names may differ."""
    there = mapped({"Plain": "VGG-16"}, {"Plain": "ResNet-34"}, ("Plain", "Plain"))
    assert "| Plain (paper: VGG-16) | 80.0 | 70.0 | – |" in grid(there, "accuracy")


def test_series_are_sorted_by_budget_and_skip_other_rows() -> None:
    rows = [cell(name, "D", "0.5") for name in ("A 1000", "B b 10", "A 200", "victim", "A x", "300", "A -1")]
    there = {name: [budget for budget, _ in points] for name, points in series_of(rows).items()}
    assert there == {"A": [200, 1000], "B b": [10]}


def test_budget_grid() -> None:
    there = table(
        cell("victim", "Digits", "0.95"),
        cell("Random 1000", "Digits", "0.8"),
        cell("Random 0", "Digits", "0.1"),
        cell("Fonts 1000", "Digits", status=FAILED),
        cell("majority", "Digits", "0.1"),
    )
    assert budget_grid(there, "accuracy") == (
        "| accuracy, % at queries | 0 | 1,000 |\n"
        "|:--|--:|--:|\n"
        "| Random | 10.0 [0.0, 20.0] | 80.0 [70.0, 90.0] |\n"
        "| Fonts | – | failed |\n"
        "\n"
        "victim: 95.0 [85.0, 105.0]\n"
        "\n"
        "majority: 10.0 [0.0, 20.0]"
    )


def test_budget_grid_of_two_victims() -> None:
    there = budget_grid(table(cell("Random 10", "Digits", "0.2"), cell("Random 10", "Faces", "0.6")), "accuracy")
    assert "20.0 [10.0, 30.0]" in there and "60.0 [50.0, 70.0]" in there


def test_published_budget_grid() -> None:
    """Every problem of the paper in its own name, those beside ours too; ours are not in it."""
    there = table(
        cell("NPDD-SL 0", "Digits", "0.1", published="0.2", provenance="recalled"),
        cell("NPDD-SL 10", "Digits", "0.5"),
        cell("NPDD-SL 3000000", "DIG10", published="0.9", provenance="seen"),
        cell("NPDD-SL 0", "ACT101", published="0.05", provenance="seen"),
        column_matches={"Digits": "DIG10"},
    )
    assert published_budget_grid(there, "accuracy") == (
        "| accuracy, % at queries | 0 | 3,000,000 |\n"
        "|:--|--:|--:|\n"
        "| NPDD-SL, ACT101 | 5.0 | – |\n"
        "| NPDD-SL, DIG10 | 20.0† | 90.0 |"
    )


def test_details_show_every_metric_and_status() -> None:
    there = table(
        cell("Random", "Digits", "0.8", status=REPRODUCED),
        cell("Random", "Digits", "0.84", "ratio", status=UNPUBLISHED),
        cell("Fonts", "Digits", status=FAILED, replicates="0"),
        cell("OpenImages", "DIG10", published="0.7", provenance="seen", status=ELSEWHERE),
    )
    assert details(there) == (
        "| row | column | accuracy, % | ratio to the victim | replicates | status |\n"
        "|:--|--:|--:|--:|--:|--:|\n"
        "| Random | Digits | 80.0 [70.0, 90.0] | 0.84× [0.74, 0.94] | 3 | reproduced |\n"
        "| Fonts | Digits | failed | – | 0 | failed run |"
    )


def test_document_explains_the_marks_that_occur() -> None:
    marked = table(cell("a", "b", "0.8", published="0.7", provenance="recalled"))
    text = document(marked, "THE TABLE", "## More", "MORE")
    assert text.startswith("# Title\n\nCaption.\n\nTHE TABLE\n\n## More\n\nMORE\n\n## Every metric\n\n| row |")
    assert "Scale: toy." in text and LEGEND["†"] in text
    assert LEGEND["‡"] not in text and LEGEND["§"] not in text
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert "†" not in document(table(cell("a", "b", "0.8")))
    exact = document(table(Row("p", "t", "a", "b", "accuracy", ours="1")))
    assert "bootstrap" in text and "Scale: toy.\n" in exact and "bootstrap" not in exact


# --- plug-ins -----------------------------------------------------------------------------------------------


def everything(metric: str) -> list[Row]:
    """Cells that every plug-in finds something in: curves, families, references, a failure, the paper's numbers."""
    names = ("NPDD-SL 0", "NPDD-SL 100", "NPDD-SL 1000", "Fonts 100", "Fonts 1000")
    rows = [cell("victim", "Digits", "0.95", metric), cell("majority", "Digits", "0.1", metric)]
    rows += [cell(name, "Digits", f"{0.3 + 0.1 * number:.2f}", metric) for number, name in enumerate(names)]
    rows += [cell("NPDD-SL 100", "Faces", "0.4", metric), cell("Fonts 3000", "Digits", metric=metric, status=FAILED)]
    return rows + [
        cell(f"NPDD-SL {budget}", column, metric=metric, published=value, provenance="recalled", status=ELSEWHERE)
        for budget, value in ((0, "0.2"), (100000, "0.7"), (3000000, "0.9"))
        for column in ("ACT101", "DIG10")
    ]


@pytest.fixture(scope="module")
def full() -> Table:
    rows = [row for metric in ("accuracy", "macro_f1", "ratio") for row in everything(metric)]
    return table(*rows, metrics=("accuracy", "macro_f1", "ratio"), column_matches={"Digits": "DIG10"})


@pytest.mark.parametrize("name", PLUGINS)
def test_plugins_write_markdown(name: str, full: Table) -> None:
    """Title, our numbers, the paper's with their marks where the layout has them, and every metric."""
    text = load(f"tables/{name.split('/')[0]}", name.split("/")[1]).markdown(full)
    assert text.startswith("# Title\n")
    assert "95.0" in text and "failed" in text and "## Every metric" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) > 6
    for line, below in pairwise(lines):
        assert line.endswith("|")
        if below.startswith("|:--"):
            assert below.count("|") == line.count("|")


@pytest.fixture
def closed_afterwards() -> Iterator[None]:
    """Figures that pyplot keeps are closed."""
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.mark.usefixtures("closed_afterwards")
@pytest.mark.parametrize("name", DRAWN)
def test_figures_are_labelled(name: str, full: Table) -> None:
    """Every panel says what is across and what is up, and which line or bar is which."""
    from matplotlib.figure import Figure

    drawing = load(f"tables/{name.split('/')[0]}", name.split("/")[1]).figure(full)
    assert isinstance(drawing, Figure)
    assert drawing.axes[0].get_ylabel() in NAMES.values()
    for axes in drawing.axes:
        ticks = [tick.get_text() for tick in axes.get_xticklabels()]
        assert axes.get_xlabel() or any(text.strip("0123456789k.−") for text in ticks)
        assert axes.get_title("left")
        assert legend(axes)
        assert axes.lines or axes.patches


@pytest.mark.usefixtures("closed_afterwards")
@pytest.mark.parametrize("name", DRAWN)
def test_figures_repeat_to_the_byte(name: str, full: Table, tmp_path: Path) -> None:
    """From the same CSV the stage draws the same PNG and SVG."""
    paper, short = name.split("/")
    save_rows(str(tmp_path / "table.csv"), full.rows)
    spec = {
        "title": full.title, "caption": full.caption, "scale": full.scale, "metrics": list(full.metrics),
        "names": full.names, "layout": {"paper": paper, "table": short, "rows": {}, "columns": full.column_matches},
    }  # fmt: skip
    pictures = []
    for number in range(2):
        png, svg = tmp_path / f"{number}.png", tmp_path / f"{number}.svg"
        draw_figure.main(spec, str(tmp_path / "table.csv"), str(png), str(svg))
        pictures.append((png.read_bytes(), svg.read_bytes()))
    assert pictures[0] == pictures[1]
    png_bytes, svg_bytes = pictures[0]
    assert png_bytes.startswith(b"\x89PNG") and b"<svg" in svg_bytes
    assert len(png_bytes) > 5000


def figure(name: str, *rows: Row, **changes: Any) -> Any:
    """What a plug-in draws of these rows."""
    return load(f"tables/{name.split('/')[0]}", name.split("/")[1]).figure(table(*rows, **changes))


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.usefixtures("closed_afterwards")
def test_curves_show_the_numbers_of_the_rows() -> None:
    drawing = figure(
        "knockoff/budgets", cell("victim", "D", "0.95"), cell("A 100", "D", "0.5"), cell("A 1000", "D", "0.8"),
        cell("B 100", "D", status=FAILED), cell("B 1000", "D", "0.4"),
    )  # fmt: skip
    [axes] = drawing.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["A"] == [[100, 50], [1000, 80]]
    assert lines["B"] == [[1000, 40]]  # a failed point is left out, not drawn at zero
    assert [y for _, y in lines["victim"]] == pytest.approx([95, 95])
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["100", "1k"]


@pytest.mark.usefixtures("closed_afterwards")
def test_budget_zero_has_its_place() -> None:
    drawing = figure("knockoff/budgets", cell("A 0", "D", "0.1"), cell("A 100", "D", "0.5"))
    assert drawing.axes[0].get_xscale() == "symlog"
    assert [tick.get_text() for tick in drawing.axes[0].get_xticklabels()] == ["0", "100"]


@pytest.mark.usefixtures("closed_afterwards")
def test_bars_show_the_numbers_of_the_rows() -> None:
    drawing = figure(
        "knockoff/architectures", cell("Plain", "VGG", "0.5"), cell("Plain", "ResNet", "0.6"),
        cell("Deep", "VGG", "0.7"), cell("Deep", "ResNet", status=FAILED), cell("Plain", "victim", "0.9"),
    )  # fmt: skip
    [axes] = drawing.axes
    assert legend(axes) == ["VGG", "ResNet"]
    assert sorted(bar.get_height() for bar in axes.patches) == pytest.approx([50, 60, 70])


@pytest.mark.usefixtures("closed_afterwards")
@pytest.mark.parametrize("name", ["knockoff/architectures", "knockoff/budgets"])
def test_many_members_are_all_drawn(name: str) -> None:
    """The paper's own figure has more families than there are colours."""
    count = len(INK) + 2
    if name == "knockoff/budgets":
        rows = [cell(f"Family-{number} 100", "D", "0.5") for number in range(count)]
    else:
        rows = [cell("Victim", f"Family-{number}", "0.5") for number in range(count)]
    assert legend(figure(name, *rows).axes[0]) == [f"Family-{number}" for number in range(count)]


@pytest.mark.usefixtures("closed_afterwards")
def test_published_curve_in_full() -> None:
    """Every problem of the paper is a line of its own."""
    rows = [
        cell(f"NPDD-SL {budget}", column, metric="macro_f1", published="0.5", provenance="seen")
        for column in ("ACT101", "DIG10", "FER7")
        for budget in (0, 1000000)
    ]
    there = figure(
        "copycat/curve", cell("NPDD-SL 100", "Digits", "0.5", "macro_f1"), *rows, column_matches={"Digits": "DIG10"}
    )
    ours, theirs = there.axes
    assert [line.get_marker() for line in ours.lines] == ["o"]  # the paper's have a panel of their own
    assert [line.get_xdata().tolist() for line in theirs.lines] == [[0, 1]] * 3
    assert legend(theirs) == ["other problems", "DIG10"]


@pytest.mark.usefixtures("closed_afterwards")
def test_published_curve_keeps_the_points_that_stand_beside_ours() -> None:
    ours = cell("NPDD-SL 0", "Digits", "0.1", "macro_f1", published="0.2", provenance="seen")
    more = cell("NPDD-SL 100", "Digits", "0.5", "macro_f1")
    theirs = cell("NPDD-SL 1000000", "DIG10", metric="macro_f1", published="0.9", provenance="seen")
    there = figure("copycat/curve", ours, more, theirs, column_matches={"Digits": "DIG10"})
    assert [line.get_xydata().tolist() for line in there.axes[1].lines] == [[[0, 20], [1, 90]]]


@pytest.mark.usefixtures("closed_afterwards")
def test_untrained_copycats_alone_can_be_drawn() -> None:
    drawing = figure("knockoff/budgets", cell("A 0", "D", "0.1"))
    assert [tick.get_text() for tick in drawing.axes[0].get_xticklabels()] == ["0"]


@pytest.mark.usefixtures("closed_afterwards")
def test_the_papers_points_show_how_they_are_known() -> None:
    """Filled where seen, hollow where recalled; the legend names curve, provenance and scale."""
    drawing = figure(
        "knockoff/budgets", cell("A 100", "D", "0.5", published="0.4", provenance="seen"),
        cell("A 1000", "D", "0.8", published="0.7", provenance="recalled", status=ELSEWHERE),
        cell("B 3000", "CUBS200", published="0.6", provenance="secondary", status=ELSEWHERE),
    )  # fmt: skip
    [axes] = drawing.axes
    points = {line.get_label(): line for line in axes.lines if line.get_marker() != "o"}
    assert {label: line.get_xydata().tolist() for label, line in points.items()} == {
        "paper: A, D (seen)": [[100, pytest.approx(40)]],
        "paper: A, D (recalled, another scale)": [[1000, pytest.approx(70)]],
        "paper: B, CUBS200 (third-party notes, another scale)": [[3000, pytest.approx(60)]],
    }
    filled = {label: line.get_markerfacecolor() != "white" for label, line in points.items()}
    assert list(filled.values()) == [True, False, False]
    assert len({line.get_marker() for line in points.values()}) == 3
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["100", "1k", "3k"]
    assert "paper: A, D (seen)" in legend(axes)


@pytest.mark.usefixtures("closed_afterwards")
def test_the_papers_points_on_bars() -> None:
    drawing = figure(
        "knockoff/responses", cell("Posterior", "D", "0.5", published="0.6", provenance="derived"),
        cell("Top-1", "D", "0.4", published="0.3", provenance="recalled"), cell("Top-2", "D", "0.4"),
    )  # fmt: skip
    [axes] = drawing.axes
    points = {line.get_label(): line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "D"}
    assert points == {"paper (derived)": [[0, pytest.approx(60)]], "paper (recalled)": [[1, pytest.approx(30)]]}
    assert {"paper (derived)", "paper (recalled)"} < set(legend(axes))


@pytest.mark.usefixtures("closed_afterwards")
def test_curves_over_dollars() -> None:
    """Points lie at what they cost; one that has no price is left out."""
    drawing = figure(
        "knockoff/cost", cell("A 100", "D", "0.5"), cell("A 1000", "D", "0.8"), cell("A 2000", "D", "0.9"),
        Row("knockoff", "t", "A 100", "D", "usd", ours="0.2"), Row("knockoff", "t", "A 1000", "D", "usd", ours="2"),
    )  # fmt: skip
    [axes] = drawing.axes
    assert {line.get_label(): line.get_xydata().tolist() for line in axes.lines} == {"A": [[0.2, 50], [2, 80]]}
    assert axes.get_xlabel() == "US dollars"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.2", "2"]


@pytest.mark.usefixtures("closed_afterwards")
def test_labels_of_ticks_do_not_lie_on_each_other() -> None:
    rows = [cell(f"A {budget}", "D", "0.5") for budget in (100, 1000, 1078, 2000)]
    assert [tick.get_text() for tick in figure("knockoff/budgets", *rows).axes[0].get_xticklabels()] == [
        "100", "1k", "2k",
    ]  # fmt: skip


@pytest.mark.usefixtures("closed_afterwards")
def test_bars_by_column() -> None:
    """A group a column, a bar a row; reference lines where they belong to all groups."""
    rows = (cell("From scratch", "D", "0.5"), cell("Pretrained", "D", "0.8"), cell("victim", "D", "0.9"))
    drawing = figure("knockoff/initialisation", *rows)
    assert [bar.get_height() for bar in drawing.axes[0].patches] == [50, 80]
    assert legend(drawing.axes[0]) == ["victim", "From scratch", "Pretrained"]
    several = figure("knockoff/initialisation", *rows, cell("Pretrained", "E", "0.7"))
    assert legend(several.axes[0]) == ["From scratch", "Pretrained"]
    assert [tick.get_text() for tick in several.axes[0].get_xticklabels()] == ["D", "E"]


@pytest.mark.usefixtures("closed_afterwards")
def test_rewards_as_bars_or_curves() -> None:
    assert len(figure("knockoff/rewards", cell("loss", "D", "0.5"), cell("none", "D", "0.4")).axes[0].patches) == 2
    [line] = figure("knockoff/rewards", cell("loss 10", "D", "0.5"), cell("loss 20", "D", "0.6")).axes[0].lines
    assert line.get_xydata().tolist() == [[10, 50], [20, 60]]


@pytest.mark.usefixtures("closed_afterwards")
def test_policies_are_stacked() -> None:
    """A panel a query set; in every window the groups stand on each other, the others faint."""
    rows = [
        Row("knockoff", "t", f"{name} {stop}", column, "share", ours=value)
        for column in ("Union", "Photographs")
        for stop, values in ((100, ("0.6", "0.3", "0.1")), (200, ("0.2", "0.7", "0.1")))
        for name, value in zip(("sea", "land", "others"), values, strict=True)
    ]
    drawing = figure("knockoff/policy", *rows, metrics=("share", "probability"))
    assert [axes.get_title("left") for axes in drawing.axes] == ["Union", "Photographs"]
    for axes in drawing.axes:
        assert legend(axes) == ["others", "land", "sea"]
        bars = [(bar.get_x(), bar.get_width(), round(bar.get_y()), round(bar.get_height())) for bar in axes.patches]
        assert bars == [
            (0, 100, 0, 60),
            (100, 100, 0, 20),
            (0, 100, 60, 30),
            (100, 100, 20, 70),
            (0, 100, 90, 10),
            (100, 100, 90, 10),
        ]
        assert len({bar.get_facecolor() for bar in axes.patches}) == 3


@pytest.mark.usefixtures("closed_afterwards")
def test_seen_and_unseen_classes_stand_side_by_side() -> None:
    rows = [cell(pool, f"D, {side}", "0.5") for pool in ("A", "B") for side in ("seen", "unseen")]
    axes = figure("knockoff/classes", *rows).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["D,\nseen", "D,\nunseen"]
    assert legend(axes) == ["A", "B"]


# --- pages --------------------------------------------------------------------------------------------------


def test_page_is_the_document_in_html() -> None:
    text = page("R & <D>", "# Title\n\nSome **bold** text, 0.98×.\n\n" + pipe(["", "a"], [["x", "1"], ["y", "–"]]))
    assert text.startswith("<!doctype html>")
    assert "<title>R &amp; &lt;D></title>" in text
    assert "<h1>Title</h1>" in text and "<strong>bold</strong>" in text and "0.98×" in text
    assert text.count("<tr>") == 3 and text.count('<div class="wide"><table>') == text.count("</table></div>") == 1
    assert '<td style="text-align:right">1</td>' in text
    assert "http" not in text  # nothing is loaded from anywhere


def test_page_runs_nothing() -> None:
    """Markup in a title or a name is shown, not interpreted."""
    attack = "<script>alert(1)</script>"
    text = page(attack, f"# {attack}\n\n{attack}\n\n" + pipe(["", attack], [[attack, "[x](javascript:alert(1))"]]))
    assert "<script" not in text and 'href="javascript' not in text
    assert text.count("&lt;script&gt;") == 4
