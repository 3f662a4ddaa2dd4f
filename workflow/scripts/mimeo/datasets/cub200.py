"""Caltech-UCSD Birds 200 (2011) with its own split.

``CUB_200_2011/`` holds ``images/{class}/...`` and four lists: ``images.txt`` (number, name), ``classes.txt`` (number,
class), ``image_class_labels.txt`` (image, class) and ``train_test_split.txt`` (image, 1 for training). Images that the
lists do not name are no part of the data set.
"""

from pathlib import Path

import numpy as np

from mimeo.archives import Archive, obtained
from mimeo.datasets import Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import columns, decode_listed, home, listed, summary

ARCHIVE = Archive(
    "CUB_200_2011.tgz",
    "CUB_200_2011",
    "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
    "sha256:0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",  # TensorFlow Datasets'
)
SPLITS = {"1": "train", "0": "test"}


def index(source: Path | None, splits: dict[str, int], *, folder: str = "cub200") -> Index:
    root = home(source, folder)
    top = obtained(root, ARCHIVE)
    names, classes = _pairs(top / "images.txt"), _pairs(top / "classes.txt")
    kind_of = _values(top / "image_class_labels.txt", names, classes)
    split_of = _values(top / "train_test_split.txt", names, SPLITS)
    sizes = listed(top / "images")
    lacking = [name for name in names.values() if name not in sizes]
    if lacking:
        raise MimeoError(f"{top / 'images'}: {len(lacking)} images of images.txt lack, the first is {lacking[0]!r}")
    label = {number: row for row, number in enumerate(sorted(classes, key=classes.__getitem__))}
    order = sorted(names, key=names.__getitem__)
    below = {f"{ARCHIVE.holds}/images/{names[image]}": sizes[names[image]] for image in order}
    return Index(
        columns=columns(
            folder, below, [SPLITS[split_of[image]] for image in order], [label[kind_of[image]] for image in order]
        ),
        classes=tuple(sorted(classes.values())),
        summary=summary(list(below), below),
    )


def _pairs(path: Path) -> dict[str, str]:
    """A list of lines with two words: the second by the first."""
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    except FileNotFoundError:
        raise Missing(f"no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MimeoError(f"{path}: not readable: {error}") from None
    for number, words in enumerate(lines, 1):
        if len(words) != 2:
            raise MimeoError(f"{path}: line {number} has {len(words)} words, expected 2")
    found = dict(lines)
    if len(found) < len(lines):
        raise MimeoError(f"{path}: a number stands in it twice")
    return found


def _values(path: Path, names: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """What a list says of every image."""
    found = _pairs(path)
    for image, name in names.items():
        if found.get(image) not in known:
            said = f"says {found[image]!r}" if image in found else "says nothing"
            raise MimeoError(f"{path}: {said} of image {image} ({name})")
    return found


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    return decode_listed(source, items, size, channels)
