"""Kaggle's Diabetic Retinopathy Detection, split as in the code of Knockoff Nets: 200 random images a level are tested.

As Kaggle hands it out, ``train/{image}.jpeg`` with ``trainLabels.csv`` (columns image, level), or sorted by level
beforehand, as that code wants it: ``training_imgs/{level}/{image}.jpeg``. Both give the same split.
"""

import csv
from pathlib import Path

import numpy as np

from mimeo.archives import Archive, obtained
from mimeo.datasets import Index
from mimeo.errors import MimeoError
from mimeo.pictures import check_complete, columns, decode_listed, held_out, home, like_torchvision, listed, summary

BY_LEVEL = "training_imgs"
IMAGES = Archive("train.zip", "train")
LABELS = Archive("trainLabels.csv.zip", "trainLabels.csv")
HELD_OUT = 200


def index(source: Path | None, splits: dict[str, int], *, folder: str = "diabetic5") -> Index:
    root = home(source, folder)
    if (root / BY_LEVEL).is_dir():
        sizes = listed(root / BY_LEVEL)
        names = like_torchvision(sizes)
        below = {f"{BY_LEVEL}/{name}": sizes[name] for name in names}
        levels = [name.split("/")[0] for name in names]
        check_complete(root / BY_LEVEL, len(names), splits)
    else:
        top = obtained(root, IMAGES)
        level = _levels(obtained(root, LABELS))
        sizes = listed(top)
        _check_labelled(top, sizes, level)
        names = sorted(sizes, key=lambda name: (level[Path(name).stem], name))
        below = {f"{IMAGES.holds}/{name}": sizes[name] for name in names}
        levels = [level[Path(name).stem] for name in names]
        check_complete(top, len(names), splits)
    classes = sorted(set(levels))
    labels = [classes.index(level) for level in levels]
    return Index(
        columns=columns(folder, below, np.where(held_out(labels, HELD_OUT), "test", "train"), labels),
        classes=tuple(classes),
        summary=summary(list(below), below),
    )


def _levels(path: Path) -> dict[str, str]:
    """Level by image."""
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        found = {row["image"]: row["level"] for row in rows}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise MimeoError(f"{path}: not a list with the columns image, level: {error}") from None
    for image, level in found.items():
        if level not in ("0", "1", "2", "3", "4"):
            raise MimeoError(f"{path}: image {image!r} has level {level!r}, expected 0 to 4")
    if len(found) < len(rows):
        raise MimeoError(f"{path}: an image stands in it twice")
    return found


def _check_labelled(top: Path, sizes: dict[str, int], level: dict[str, str]) -> None:
    there = {Path(name).stem for name in sizes}
    bare = sorted(there - set(level))
    if bare:
        raise MimeoError(f"{top}: {len(bare)} images have no label, the first is {bare[0]!r}")
    lacking = sorted(set(level) - there)
    if lacking:
        raise MimeoError(f"{top}: {len(lacking)} images with a label are not there, the first is {lacking[0]!r}")


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    return decode_listed(source, items, size, channels)
