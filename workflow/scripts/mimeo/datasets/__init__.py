"""What a data set is. A plug-in ``datasets/{name}.py`` holds two functions:

``index(source, splits, *, ...) -> Index``
    lists every image without decoding one. ``source`` is the folder that holds the files (None for data that
    ships in a package); ``splits`` says how many images each split is declared to have, which generated data
    sets make; keyword-only arguments are the plug-in's own parameters.
``read(source, items, size, channels) -> array``
    decodes the listed images: uint8, N x size x size x channels, in the order of ``items``.

The split is a column of names, never an index draw over whatever happens to lie on disk.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mimeo.errors import MimeoError

UNKNOWN = -1


@dataclass(frozen=True)
class Index:
    """Every image of a data set.

    Attributes:
        columns: equal-length columns, ``name`` (unique), ``split`` and ``label`` (index into ``classes``, or
            UNKNOWN) among them; others are the plug-in's own: labels of a hierarchy, where to decode from.
        classes: class names in the order of their index; empty where the images have no class.
        sources: the files that the images come from, each with its licence.
    """

    columns: dict[str, np.ndarray]
    classes: tuple[str, ...] = ()
    sources: tuple[tuple[Path, str], ...] = ()


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
