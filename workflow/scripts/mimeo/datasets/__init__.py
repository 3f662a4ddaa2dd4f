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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mimeo.errors import MimeoError

UNKNOWN = -1


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
