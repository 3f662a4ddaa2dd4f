"""The training images of ILSVRC-2012, ``train/{wnid}/*.JPEG``; classes are the folders: WordNet's identifiers, sorted.

The code of Knockoff Nets asks a random 80% of them alone: split ``train``; the others are split ``rest``.

``classes/imagenet.csv`` has a readable name by identifier: torchvision's, which are in the order of the identifiers.
"""

import csv
from pathlib import Path

import numpy as np

from mimeo.archives import Archive, unpack_each
from mimeo.datasets import Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import (
    OFFICIAL_SEED,
    check_complete,
    columns,
    decode_listed,
    home,
    like_torchvision,
    listed,
    summary,
)

ARCHIVE = Archive("ILSVRC2012_img_train.tar", "train")  # a tar of tars, for those with an account
NAMES = Path(__file__).parent / "classes" / "imagenet.csv"
REST = 0.2


def index(source: Path | None, splits: dict[str, int], *, folder: str = "imagenet") -> Index:
    root = home(source, folder)
    top, archive = root / ARCHIVE.holds, root / ARCHIVE.file
    if not top.exists():
        if not archive.is_file():
            raise Missing(f"neither {top} nor {archive} is there")
        unpack_each(archive, top)
    sizes = listed(top)
    names = like_torchvision(sizes)
    check_complete(top, len(names), splits)
    classes = sorted({name.split("/")[0] for name in names})
    unknown = sorted(set(classes) - set(_known()))
    if unknown:
        raise MimeoError(f"{top}: folder {unknown[0]!r} is no class of ILSVRC-2012")
    number = {kind: label for label, kind in enumerate(classes)}
    below = {f"{ARCHIVE.holds}/{name}": sizes[name] for name in names}
    return Index(
        columns=columns(
            folder,
            below,
            np.where(_rest(len(names)), "rest", "train"),
            [number[name.split("/")[0]] for name in names],
        ),
        classes=tuple(classes),
        summary=summary(list(below), below),
    )


def _known() -> dict[str, str]:
    """The names of the 1,000 classes by identifier."""
    with open(NAMES, newline="") as file:
        return {row["wnid"]: row["name"] for row in csv.DictReader(file)}


def _rest(count: int) -> np.ndarray:
    """Which images are never asked: bool, one each."""
    rest = np.zeros(count, bool)
    random = np.random.RandomState(OFFICIAL_SEED)  # the legacy generator's stream is frozen
    rest[random.choice(count, int(REST * count), replace=False)] = True
    return rest


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    return decode_listed(source, items, size, channels)
