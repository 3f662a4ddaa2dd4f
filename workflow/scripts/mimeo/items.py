"""The list of a data set's images as a table of columns, kept as ``items.csv``."""

import csv
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mimeo.datasets import UNKNOWN
from mimeo.errors import MimeoError
from mimeo.seeds import seed_of
from mimeo.store import save_csv

REQUIRED = ("name", "split", "label")


def save_items(path: str, columns: Mapping[str, np.ndarray]) -> None:
    """Writes equal-length columns as CSV, in the order given."""
    save_csv(path, columns, zip(*(column.tolist() for column in columns.values()), strict=True))


def load_items(path: str) -> dict[str, np.ndarray]:
    """Reads the columns back: all text but ``label``, which is int64.

    Raises:
        MimeoError: missing, a required column is lacking, a row is short, or a label is not a number.
    """
    try:
        with open(path, newline="") as file:
            header, *rows = csv.reader(file)
        if any(len(row) != len(header) for row in rows):
            raise ValueError("a row has more or fewer cells than the header")
        columns = {name: np.array([row[i] for row in rows]) for i, name in enumerate(header)}
        columns["label"] = columns["label"].astype(np.int64)
        columns["name"], columns["split"]
    except (OSError, ValueError, OverflowError, KeyError, csv.Error) as error:
        raise MimeoError(f"{path}: not a list of items with the columns {', '.join(REQUIRED)}: {error}") from None
    return columns


def check_items(dataset: str, columns: Mapping[str, np.ndarray], classes: Iterable[str]) -> None:
    """Refuses a list that later stages would stumble over.

    Raises:
        MimeoError: no image, a name twice, columns of unequal length, or a label that is no class.
    """
    names, classes = columns["name"], list(classes)
    if not len(names):
        raise MimeoError(f"{dataset}: no image found")
    if any(len(column) != len(names) for column in columns.values()):
        raise MimeoError(f"{dataset}: columns of unequal length")
    unique, counts = np.unique(names, return_counts=True)
    if counts.max() > 1:
        raise MimeoError(f"{dataset}: image {unique[counts.argmax()]!r} is listed {counts.max()} times")
    wrong = (columns["label"] < UNKNOWN) | (columns["label"] >= len(classes))
    if wrong.any():
        at = int(wrong.argmax())
        raise MimeoError(f"{dataset}: image {names[at]!r} has label {columns['label'][at]}, classes are {len(classes)}")


def rows_of(dataset: str, columns: Mapping[str, np.ndarray], split: str) -> np.ndarray:
    """Row numbers of one split.

    Raises:
        MimeoError: the split is empty.
    """
    rows = np.flatnonzero(columns["split"] == split)
    if not len(rows):
        known = ", ".join(sorted(set(columns["split"].tolist())))
        raise MimeoError(f"{dataset}: split {split!r} is empty (splits there: {known})")
    return rows


def pooled(
    images: Sequence[str], counts: Mapping[str, int], listings: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[dict[str, np.ndarray]]]:
    """The images of a pool, part after part.

    Args:
        images: its parts, ``data set/split``.
        counts: parts of which only so many images are in it, drawn by chance; fewer are always among more.
        listings: the parts' items.csv.

    Returns:
        ``part`` (int16, which of the parts) and ``row`` (int64, of its items) of every image, and every part's columns.

    Raises:
        MimeoError: a listing has fewer images than were to be drawn.
    """
    parts, rows, tables = [], [], []
    for number, (place, path) in enumerate(zip(images, listings, strict=True)):
        dataset, split = place.split("/")
        columns = load_items(path)
        chosen = rows_of(dataset, columns, split)
        if place in counts:
            if len(chosen) < counts[place]:
                raise MimeoError(f"{path}: split {split!r} has {len(chosen)} images, not {counts[place]}")
            draw = np.random.default_rng(seed_of("share", place))
            chosen = np.sort(draw.permutation(chosen)[: counts[place]])
        parts.append(np.full(len(chosen), number, np.int16))
        rows.append(chosen.astype(np.int64))
        tables.append(columns)
    return np.concatenate(parts), np.concatenate(rows), tables


def labels_of(part: np.ndarray, row: np.ndarray, tables: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """The own class of each of a pool's images, int64; -1 where it has none."""
    return np.concatenate([columns["label"][row[part == number]] for number, columns in enumerate(tables)])


def check_classes(dataset: str, split: str, labels: np.ndarray, classes: list[str]) -> None:
    """Refuses a labelled split in which a class has no image, or an image no class.

    Raises:
        MimeoError: naming the class, or the count of unlabelled images.
    """
    if (labels == UNKNOWN).any():
        raise MimeoError(f"{dataset}: {int((labels == UNKNOWN).sum())} images of split {split!r} have no label")
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if len(empty):
        raise MimeoError(f"{dataset}: class {classes[empty[0]]!r} has no image in split {split!r}")


def take(columns: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The given rows of every column."""
    return {name: column[rows] for name, column in columns.items()}
