"""The list of a data set's images as a table of columns, kept as ``items.csv``."""

import csv
from collections.abc import Iterable, Mapping

import numpy as np

from mimeo.datasets import UNKNOWN
from mimeo.errors import MimeoError
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
