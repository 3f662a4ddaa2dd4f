"""STL-10's 100,000 unlabelled photographs of 96 x 96 (Coates et al. 2011, from ImageNet).

Source: ai.stanford.edu/~acoates/stl10. One file of 2.8 GB is unpacked once from the archive, checked, and read where
it lies.
"""

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from mimeo.datasets import UNKNOWN, Index
from mimeo.downloads import Published, extract, facts, find, obtain
from mimeo.errors import MimeoError
from mimeo.pictures import squares

SIDE = 96
PIXELS = 3 * SIDE * SIDE
CHUNK = 4096  # images resampled at once
LICENCE = "research use, ImageNet's terms; Coates et al. 2011"
ARCHIVE = Published(
    "stl10_binary.tar.gz",
    "91f7769df0f17e558f3565bffb0c7dfb",
    ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
)
IMAGES = Published("stl10_binary/unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4", ())


def index(source: Path | None, splits: dict[str, int]) -> Index:
    """Names are ``unlabelled/00000`` and so on, in the order of the file."""
    if set(splits) != {"unlabelled"}:
        raise MimeoError(f"splits are {sorted(splits)}, there is unlabelled alone")
    path = extract(source, IMAGES, lambda: _opened(obtain(source, ARCHIVE)))
    count = len(_pixels(path))
    return Index(
        columns={
            "name": np.array([f"unlabelled/{number:05d}" for number in range(count)]),
            "split": np.full(count, "unlabelled"),
            "label": np.full(count, UNKNOWN),
            "file": np.full(count, IMAGES.path),
            "row": np.arange(count),
        },
        summary=facts([IMAGES], LICENCE),
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file of images inside the archive."""
    try:
        with tarfile.open(path, "r|gz") as archive:
            for entry in archive:
                part = archive.extractfile(entry) if entry.name == IMAGES.path else None
                if part:
                    yield part
                    return
    except tarfile.TarError as error:
        raise MimeoError(f"{path}: not readable: {' '.join(str(error).split())}") from None
    raise MimeoError(f"{path}: has no {IMAGES.path}, or is cut off")


def _pixels(path: Path) -> np.ndarray:
    """N x 3 x 96 x 96, columns before rows, on disk."""
    try:
        size = path.stat().st_size
        if not size or size % PIXELS:
            raise MimeoError(f"{path}: {size} bytes are no whole number of images")
        return np.memmap(path, np.uint8, "r", shape=(size // PIXELS, 3, SIDE, SIDE))
    except OSError as error:
        raise MimeoError(f"{path}: not readable: {error.strerror}") from None


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Resampled bilinearly, in chunks of bounded memory."""
    images, row = np.empty((len(items["name"]), size, size, channels), np.uint8), items["row"].astype(int)
    for file in np.unique(items["file"]):
        path, mine = find(source, str(file)), np.flatnonzero(items["file"] == file)
        whole = _pixels(path)
        if row[mine].max() >= len(whole):
            raise MimeoError(f"{path}: holds {len(whole)} images, more are listed")
        for start in range(0, len(mine), CHUNK):
            some = mine[start : start + CHUNK]
            images[some] = squares(whole[row[some]].transpose(0, 3, 2, 1), size, channels)
    return images
