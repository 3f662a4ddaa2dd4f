"""What a data set is. A plug-in ``datasets/{name}.py`` holds two functions:

``index(source, splits, *, ...) -> Index``
    lists every image without decoding one. ``source`` is this machine's folder of data sets (the variable
    MIMEO_DATA; None where it is not set), which data that ships in a package needs not; ``splits`` says how many
    images each split is declared to have, which generated data sets make; keyword-only arguments are the plug-in's
    own parameters. What ``read`` has to know of them is a column.
``read(source, items, size, channels) -> array``
    decodes the listed images: uint8, N x size x size x channels, in the order of ``items``.

The split is a column of names, never an index draw over whatever happens to lie on disk. A committed split file is
``datasets/splits/{name}.csv``, named like the plug-in or by a parameter ``split_file``.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mimeo.errors import MimeoError

UNKNOWN = -1
OFFICIAL_SEED = 123  # DS_SEED of Knockoff Nets' code


class Missing(MimeoError):
    """The data set is not on this machine; what to fetch, its entry says."""


@dataclass(frozen=True)
class Index:
    """Every image of a data set.

    Attributes:
        columns: equal-length columns, ``name`` (unique), ``split`` and ``label`` (index into ``classes``, or
            UNKNOWN) among them; others are the plug-in's own: labels of a hierarchy, where to decode from.
        classes: class names in the order of their index; empty where the images have no class.
        sources: the files that the images come from, each with its licence.
        summary: what the manifest says of files too many to be named and hashed.
    """

    columns: dict[str, np.ndarray]
    classes: tuple[str, ...] = ()
    sources: tuple[tuple[Path, str], ...] = ()
    summary: dict[str, int | str] = field(default_factory=dict)


def held_out(labels: Sequence[int], count: int) -> np.ndarray:
    """Which images Knockoff Nets' code holds out for the test: ``count`` random ones of each class, by one seed.

    Args:
        labels: class indices, N, grouped by class, in the order of torchvision's ImageFolder.

    Returns:
        bool, N. Exactly NumPy's legacy generator, whose stream is frozen, shuffling lists of row numbers.
    """
    random = np.random.RandomState(OFFICIAL_SEED)
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    held = np.zeros(len(labels), bool)
    for of_class in rows.values():
        random.shuffle(of_class)
        held[of_class[:count]] = True
    return held


def check_complete(what: Path | str, found: int, splits: Mapping[str, int]) -> None:
    """A split that is drawn from all images is another one where some are lacking.

    Raises:
        MimeoError: more or fewer images than are declared, with the difference.
    """
    declared = sum(splits.values())
    if found != declared:
        difference = f"{abs(found - declared):,} too {'many' if found > declared else 'few'}"
        raise MimeoError(f"{what}: {found:,} images are there, {declared:,} are declared: {difference}")


def read_split(path: Path) -> dict[str, str]:
    """A committed split file (CSV with the columns name, split) as a mapping from name to split.

    Raises:
        MimeoError: missing, without these columns, or a name twice.
    """
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        split = {row["name"]: row["split"] for row in rows}
        if None in split.values():
            raise KeyError("a row without a split")
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise MimeoError(f"{path}: not a split file (columns name, split): {error}") from None
    if len(split) < len(rows):
        raise MimeoError(f"{path}: a name stands in it twice")
    return split
