"""Lists of images: roundtrips, and lists that later stages would stumble over."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimeo.datasets import UNKNOWN
from mimeo.items import check_classes, check_items, labels_of, load_items, pooled, rows_of, save_items, take

Complaint = Callable[[Callable[[], object]], str]
LAWS = settings(deadline=None, max_examples=60, derandomize=True, database=None)
CLASSES = ["cat", "dog", "owl"]


def columns(**changes: object) -> dict[str, np.ndarray]:
    """Four images of two splits, with some columns replaced."""
    there: dict[str, object] = {
        "name": ["a", "b", "c", "d"],
        "split": ["train", "test", "train", "train"],
        "label": [0, 1, 2, UNKNOWN],
    }
    return {name: np.array(values) for name, values in {**there, **changes}.items()}


# Text of a CSV cell: quotes, commas and line feeds included. Numpy drops NULs at the end of a text; a lone carriage
# return is left unquoted by the csv of Python 3.11.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)


@LAWS
@given(rows=st.lists(st.tuples(TEXT, TEXT, st.integers(-1, 9), TEXT), min_size=1, max_size=6))
def test_roundtrip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, str]]) -> None:
    """Any text comes back, whatever a CSV makes of quotes, commas and line ends."""
    path = str(tmp_path_factory.mktemp("items") / "items.csv")
    names, splits, labels, extra = zip(*rows, strict=True)
    there = {
        "name": np.array(names),
        "split": np.array(splits),
        "label": np.array(labels),
        "species": np.array(extra),
    }
    save_items(path, there)
    back = load_items(path)
    assert list(back) == ["name", "split", "label", "species"]
    assert back["label"].dtype == np.int64
    assert all(back[name].tolist() == column.tolist() for name, column in there.items())


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    """A float's text is its shortest exact one, so what decoding computes from it stays the same."""
    values = np.random.default_rng(0).uniform(size=50)
    path = str(tmp_path / "items.csv")
    save_items(
        path, {"name": np.arange(50), "split": np.full(50, "pool"), "label": np.full(50, UNKNOWN), "left": values}
    )
    assert np.array_equal(load_items(path)["left"].astype(float), values)


def test_columns_of_unequal_length_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        save_items(str(tmp_path / "items.csv"), columns(label=[0, 1]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name,split\na,train\n",  # no label
        b"name,label\na,1\n",  # no split
        b"split,label\ntrain,1\n",  # no name
        b"name,split,label\na,train\n",  # a short row
        b"name,split,label\na,train,cat\n",  # a label that is no number
        b"name,split,label\na,train,1.5\n",
        b"name,split,label\n\xff\xfe,train,1\n",  # not UTF-8
        b'name,split,label\n"a,train,1\n',  # a quote that never ends
    ],
)
def test_damaged_list_is_one_line(tmp_path: Path, content: bytes, complaint: Complaint) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(content)
    assert str(path) in complaint(lambda: load_items(str(path)))


def test_missing_list_is_one_line(tmp_path: Path, complaint: Complaint) -> None:
    assert "absent.csv" in complaint(lambda: load_items(str(tmp_path / "absent.csv")))


@pytest.mark.parametrize(
    "row",
    ["a" * 200_000 + ",train,1", "a,train,99999999999999999999", "a,train,1,surplus"],
    ids=["long", "big", "wide"],
)
def test_strange_rows_are_one_line(tmp_path: Path, row: str, complaint: Complaint) -> None:
    path = tmp_path / "items.csv"
    path.write_text(f"name,split,label\n{row}\n")
    assert str(path) in complaint(lambda: load_items(str(path)))


def test_sound_list_passes() -> None:
    check_items("pets", columns(), CLASSES)
    check_items("pets", columns(label=[UNKNOWN] * 4), ())


def test_duplicate_name_is_refused(complaint: Complaint) -> None:
    text = complaint(lambda: check_items("pets", columns(name=["a", "b", "a", "c"]), CLASSES))
    assert "pets" in text and "'a'" in text and "2 times" in text


@pytest.mark.parametrize("label", [3, 99, -2])
def test_label_out_of_range_is_refused(label: int, complaint: Complaint) -> None:
    text = complaint(lambda: check_items("pets", columns(label=[0, 1, label, 0]), CLASSES))
    assert "pets" in text and "'c'" in text and str(label) in text


def test_unequal_columns_and_no_image_are_refused(complaint: Complaint) -> None:
    assert "pets" in complaint(lambda: check_items("pets", columns(label=[0, 1, 2]), CLASSES))
    assert "pets" in complaint(lambda: check_items("pets", columns(species=["x"]), CLASSES))
    empty = {name: column[:0] for name, column in columns().items()}
    assert "pets" in complaint(lambda: check_items("pets", empty, CLASSES))


def test_rows_of_a_split(complaint: Complaint) -> None:
    assert rows_of("pets", columns(), "train").tolist() == [0, 2, 3]
    assert rows_of("pets", columns(), "test").tolist() == [1]
    text = complaint(lambda: rows_of("pets", columns(), "validation"))
    assert "pets" in text and "'validation'" in text and "test, train" in text


def test_classes_of_a_split(complaint: Complaint) -> None:
    check_classes("pets", "train", np.array([2, 0, 1, 0]), CLASSES)
    assert "'dog'" in complaint(lambda: check_classes("pets", "train", np.array([2, 0, 0]), CLASSES))
    text = complaint(lambda: check_classes("pets", "train", np.array([0, UNKNOWN, 2, UNKNOWN, 1]), CLASSES))
    assert "pets" in text and "'train'" in text and "2 images" in text


def test_take_follows_the_order_asked() -> None:
    chosen = take(columns(), np.array([3, 0, 0]))
    assert chosen["name"].tolist() == ["d", "a", "a"]
    assert chosen["label"].tolist() == [UNKNOWN, 0, 0]


# --- pools ------------------------------------------------------------------------------------------------------


@pytest.fixture
def listings(tmp_path: Path) -> list[str]:
    """Two data sets: 40 images of two splits, with classes; 10 without."""
    splits = np.array(["train", "test"] * 20)
    one = {"name": np.arange(40).astype(str), "split": splits, "label": np.arange(40) % 3}
    other = {"name": np.arange(10).astype(str), "split": np.full(10, "pool"), "label": np.full(10, -1)}
    paths = [str(tmp_path / "one.csv"), str(tmp_path / "other.csv")]
    for path, columns in zip(paths, (one, other), strict=True):
        save_items(path, columns)
    return paths


def test_pools_are_united_part_by_part(listings: list[str]) -> None:
    """Every image of the splits named, part after part, with its own class."""
    part, row, tables = pooled(["one/train", "other/pool"], {}, listings)
    assert part.tolist() == [0] * 20 + [1] * 10
    assert row.tolist() == [*range(0, 40, 2), *range(10)]
    assert labels_of(part, row, tables).tolist() == [n % 3 for n in range(0, 40, 2)] + [-1] * 10


@given(st.integers(1, 20), st.integers(1, 20))
@settings(database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shares_nest(listings: list[str], few: int, many: int) -> None:
    """A share has as many images as asked, of its split, none twice; fewer are among more; other parts are whole."""
    few, many = sorted((few, many))
    part, small, _ = pooled(["one/train", "other/pool"], {"one/train": few}, listings)
    _, large, _ = pooled(["one/train", "other/pool"], {"one/train": many}, listings)
    assert (part == 0).sum() == few and (part == 1).sum() == 10
    assert set(small[:few]) <= set(large[:many]) <= set(range(0, 40, 2))
    assert len(set(large[:many])) == many


def test_a_share_of_too_few(listings: list[str], complaint: Complaint) -> None:
    """A listing that is shorter than declared is refused."""
    said = complaint(lambda: pooled(["other/pool"], {"other/pool": 11}, listings[1:]))
    assert "other.csv" in said and "10 images, not 11" in said
