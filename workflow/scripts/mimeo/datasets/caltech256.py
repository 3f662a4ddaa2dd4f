"""Caltech-256 without its clutter, split as in the code of Knockoff Nets: 25 random images a class are the test set.

``256_ObjectCategories/{number}.{class}/{number}_{image}.jpg``. Images are numbered from 1 in each class, so that the
whole list, which the split is a function of, follows from one count a class. Of what else lies there (``RENAME2`` among
the spiders, the empty ``greg`` among the dogs) nothing is an image.
"""

from pathlib import Path

import numpy as np

from mimeo.archives import Archive, obtained
from mimeo.datasets import Index
from mimeo.errors import MimeoError
from mimeo.pictures import check_complete, columns, decode_listed, held_out, home, like_torchvision, listed, summary

ARCHIVE = Archive(
    "256_ObjectCategories.tar",
    "256_ObjectCategories",
    "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",
    "md5:67b4f42ca05d46448c6bb8ecd2220f6d",  # torchvision's
)
CLUTTER = "257.clutter"
HELD_OUT = 25


def index(source: Path | None, splits: dict[str, int], *, folder: str = "caltech256") -> Index:
    root = home(source, folder)
    top = obtained(root, ARCHIVE)
    sizes = listed(top)
    names = [name for name in like_torchvision(sizes) if not name.startswith(f"{CLUTTER}/")]
    check_complete(top, len(names), splits)
    classes = sorted({name.split("/")[0] for name in names})
    _check_numbered(top, names)
    number = {kind: label for label, kind in enumerate(classes)}
    labels = [number[name.split("/")[0]] for name in names]
    below = {f"{ARCHIVE.holds}/{name}": sizes[name] for name in names}
    return Index(
        columns=columns(folder, below, np.where(held_out(labels, HELD_OUT), "test", "train"), labels),
        classes=tuple(classes),
        summary=summary(list(below), below),
    )


def _check_numbered(top: Path, names: list[str]) -> None:
    """A file lacking here and one too many there would leave the count as it is, and change the split."""
    count: dict[str, int] = {}
    for name in names:
        kind = name.split("/")[0]
        count[kind] = count.get(kind, 0) + 1
        expected = f"{kind}/{kind[:3]}_{count[kind]:04d}.jpg"
        if name != expected:
            raise MimeoError(f"{top}: expected image {expected!r}, found {name!r}")


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    return decode_listed(source, items, size, channels)
