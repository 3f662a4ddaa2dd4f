"""Checks of the table of published numbers, config/published.csv."""

import csv
import itertools
import re
from decimal import Decimal
from pathlib import Path

PUBLISHED = Path(__file__).resolve().parents[2] / "config" / "published.csv"
HEADER = ["paper", "table", "row", "column", "metric", "value", "provenance", "source"]
PROBLEMS = {"ACT101", "DIG10", "FER7", "GOC9", "PED2", "SHN10", "SIG30"}
MODELS = {"ODD-OL", "PDD-OL", "PDD-SL", "NPDD-SL", "NPDD+PDD-SL"}
VICTIMS = {"Caltech256", "CUBS200", "Indoor67", "Diabetic5"}
TRANSFERS = {
    "victim",
    "P_V (KD)",
    "D2 random",
    "ILSVRC random",
    "OpenImages random",
    "D2 adaptive",
    "ILSVRC adaptive",
    "OpenImages adaptive",
}
FRACTION = re.compile(r"(accuracy|macro_f1|macro_recall|label_fraction)(_[a-z0-9_]+)?")
RATIO = re.compile(r"ratio(_[a-z0-9_]+)?")
COUNT = re.compile(r"(images|classes|labels|queries)(_by_code)?")
MONEY = re.compile(r"dollars(_[a-z0-9_]+)?")


def records() -> list[dict[str, str]]:
    """Return the rows of the file, each keyed by the header."""
    with PUBLISHED.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def table(paper: str, name: str) -> dict[tuple[str, str, str], dict[str, str]]:
    """Return one table, keyed by row, column and metric."""
    return {
        (record["row"], record["column"], record["metric"]): record
        for record in records()
        if (record["paper"], record["table"]) == (paper, name)
    }


def number(record: dict[str, str]) -> Decimal:
    """Return the value of a row, exactly as written."""
    return Decimal(record["value"])


def test_header_and_shape() -> None:
    """The header is exact and every line has one field per column."""
    with PUBLISHED.open(encoding="utf-8", newline="") as handle:
        lines = list(csv.reader(handle))
    assert lines[0] == HEADER
    assert len(lines) > 1
    assert {len(line) for line in lines} == {len(HEADER)}


def test_text_is_plain() -> None:
    """The file has Unix line ends, no stray spaces and no empty field."""
    raw = PUBLISHED.read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    for record in records():
        for field in record.values():
            assert field
            assert field == " ".join(field.split())


def test_keys_are_unique() -> None:
    """No cell is given twice for one metric."""
    keys = [tuple(record[name] for name in HEADER[:5]) for record in records()]
    assert len(set(keys)) == len(keys)


def test_order() -> None:
    """The rows are grouped by paper and table, in alphabetical order."""
    groups = [(record["paper"], record["table"]) for record in records()]
    assert groups == sorted(groups)
    assert {paper for paper, _ in groups} == {"knockoff", "copycat", "copycat2018"}


def test_provenance() -> None:
    """The provenance is one of the four words."""
    words = {record["provenance"] for record in records()}
    assert words <= {"seen", "derived", "secondary", "recalled"}


def test_sources_name_no_place() -> None:
    """The sources hold neither web addresses nor absolute paths."""
    for record in records():
        assert "://" not in record["source"]
        assert not re.search(r"(^|\s)[/~]\w", record["source"]), record


def test_values_are_in_range() -> None:
    """Every value is a decimal that is possible for its metric; 2.33e4 stands for a printed 23.3k."""
    for record in records():
        assert re.fullmatch(r"\d+(\.\d+)?(e\d)?", record["value"]), record
        value, metric = number(record), record["metric"]
        assert value.is_finite()
        if FRACTION.fullmatch(metric):
            assert 0 <= value <= 1, record
        elif RATIO.fullmatch(metric):
            assert 0 <= value <= Decimal("1.2"), record
        elif COUNT.fullmatch(metric):
            assert value == int(value) >= 0, record
        else:
            assert MONEY.fullmatch(metric), record


def test_ranges_are_ordered() -> None:
    """The low end of a range does not exceed its high end."""
    cells = {tuple(record[name] for name in HEADER[:5]): number(record) for record in records()}
    pairs = 0
    for key, low in cells.items():
        high = cells.get((*key[:4], key[4].removesuffix("_low") + "_high"))
        if key[4].endswith("_low") and high is not None:
            assert low <= high, key
            pairs += 1
    assert pairs > 0


def test_knockoff_accuracy_is_complete() -> None:
    """The accuracy table holds every cell twice, all of it recalled."""
    cells = table("knockoff", "accuracy")
    assert set(cells) == set(itertools.product(TRANSFERS, VICTIMS, ("accuracy", "ratio")))
    assert {record["provenance"] for record in cells.values()} == {"recalled"}


def test_knockoff_ratios_agree() -> None:
    """The ratios, given to two decimals, are the accuracies over the victim's."""
    for name in ("accuracy", "repository"):
        cells = table("knockoff", name)
        for (row, column, metric), record in cells.items():
            if metric == "ratio":
                accuracy = number(cells[row, column, "accuracy"])
                victim = number(cells["victim", column, "accuracy"])
                assert abs(number(record) - accuracy / victim) <= Decimal("0.011"), record


def test_copycat_main_is_complete() -> None:
    """The main table holds all problems; two of them lack the PDD-OL baseline."""
    cells = table("copycat", "main")
    assert {row for row, _, _ in cells} == MODELS
    assert {column for _, column, _ in cells} == PROBLEMS
    expected = set(itertools.product(MODELS, PROBLEMS)) - {("PDD-OL", "PED2"), ("PDD-OL", "SHN10")}
    for metric in ("accuracy", "macro_recall", "macro_f1"):
        assert {(row, column) for row, column, name in cells if name == metric} == expected


def test_copycat_reaches_the_target() -> None:
    """Every NPDD-SL copy has at least 0.967 of its target's macro F1, unrounded."""
    cells = table("copycat", "main")
    for problem in PROBLEMS:
        copy = number(cells["NPDD-SL", problem, "macro_f1"])
        target = number(cells["ODD-OL", problem, "macro_f1"])
        assert copy >= Decimal("0.967") * target, problem


def test_copycat_ratios_agree() -> None:
    """The ratios, given to four decimals, are the quotients of the table's values."""
    main = table("copycat", "main")
    for name in ("main", "architectures"):
        cells = table("copycat", name)
        for (row, column, metric), record in cells.items():
            score, base = metric.removeprefix("ratio_"), main
            if score == metric:
                continue
            reference = "ODD-OL"
            if score.endswith("_to_baseline"):
                score, base = score.removesuffix("_to_baseline"), cells
                reference = "AlexNet baseline"
            quotient = number(cells[row, column, score]) / number(base[reference, column, score])
            assert abs(number(record) - quotient) <= Decimal("0.0001"), record


def test_copycat_curve_is_complete() -> None:
    """The curve has six budgets per series and ends at the main table's values."""
    cells, main = table("copycat", "curve"), table("copycat", "main")
    budgets = (0, 100_000, 500_000, 1_000_000, 1_500_000, 3_000_000)
    points = itertools.product(("NPDD-SL", "NPDD+PDD-SL"), budgets)
    rows = {"ODD-OL"} | {f"{series} {budget}" for series, budget in points}
    assert set(cells) == set(itertools.product(rows, PROBLEMS, ("macro_f1",)))
    for problem in PROBLEMS:
        for row in ("ODD-OL", "NPDD-SL", "NPDD+PDD-SL"):
            last = row if row == "ODD-OL" else f"{row} 3000000"
            end = number(cells[last, problem, "macro_f1"])
            assert end == number(main[row, problem, "macro_f1"]), (row, problem)
