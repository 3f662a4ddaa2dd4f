"""Faces of Open Images V4: every box of the class that is large enough, cut out as a square, until there are enough.

Below the folder of all data sets lies ``openimages/``, which this pool shares with that of whole images: the official
lists, fetched where they are not there, and ``train/{id}.jpg``. A folder that holds all that are chosen is used
without the net. Faces are cut out when they are decoded; no file is written for them.

The lists have no published digest: the manifest has those of the files that were used.
"""

import re
from array import array
from pathlib import Path

import numpy as np
from PIL import Image

from mimeo.collecting import Collection, obtain, ranks, read_rows
from mimeo.datasets import UNKNOWN, Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import decode, summary

FOLDER = "openimages"
CLASSES = "class-descriptions-boxable.csv"  # no header: identifier, name
BOXES = "train-annotations-bbox.csv"
COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf")
LICENCE = "annotations CC BY 4.0, images listed as CC BY 2.0"
IDENTIFIER = re.compile("[0-9a-f]{16}")


def index(
    source: Path | None,
    splits: dict[str, int],
    *,
    label: str = "Human face",
    margin: float = 0.2,
    least: int = 64,
    seed: int = 0,
    url: str = "https://open-images-dataset.s3.amazonaws.com/train/{id}.jpg",
    lists: str = "https://storage.googleapis.com/openimages/2018_04",
    threads: int = 32,
    tolerated: float = 0.1,
) -> Index:
    """Chooses images with faces, fetches what is not there, and lists the faces; of images the headers are read.

    Args:
        label: the class whose boxes are cut out.
        margin: what is added on each side of a box, in parts of its longer side.
        least: pixels that a box's longer side must have.
        seed: of the choice.
        url: where an image is, with ``{id}`` in it.
        lists: where the official lists are.
        threads: images that are fetched at once.
        tolerated: share of images that may fail; others take their places.
    """
    if source is None:
        raise Missing(f"MIMEO_DATA is not set: it names the folder of all data sets, where {FOLDER!r} is looked for")
    if len(splits) != 1:
        raise MimeoError(f"{FOLDER}: one split is made, {len(splits)} are declared: {', '.join(splits)}")
    if margin < 0:
        raise MimeoError(f"parameter margin: {margin} is less than 0")
    if least < 1:
        raise MimeoError(f"parameter least: {least} is less than 1 pixel")
    [(split, wanted)] = splits.items()
    root = source / FOLDER
    images = Collection(root / "train", url, threads, tolerated, wanted)
    described = obtain(f"{lists}/{CLASSES}", root / CLASSES)
    boxed = obtain(f"{lists}/train/{BOXES}", root / BOXES)
    boxes = _boxes(boxed, _identifier(described, label), seed)
    squares: dict[str, list[tuple[int, int, int, int]]] = {}  # of images that are there: number, left, top, side

    def choose(failed: set[str]) -> list[str]:
        """The first images that have as many faces; of those that are not there, all boxes count for now."""
        chosen, count = [], 0
        for name, found in boxes.items():
            if count >= wanted:
                break
            if name in failed:
                continue
            if name not in squares and images.size(name):
                squares[name] = _squares(images.path(name), found, margin, least)
            chosen.append(name)
            count += len(squares.get(name, found))
        if count < wanted:
            raise MimeoError(
                f"{boxed}: {count} faces are to be had, of {least} pixels and with {len(failed)} images left out that "
                f"could not be fetched; the configuration says {wanted}"
            )
        return chosen

    images.complete(choose)
    chosen = choose(set(images.failed))
    faces = [(name, *square) for name in chosen for square in squares[name]][:wanted]
    faces.sort()
    ids, numbers, lefts, tops, sides = zip(*faces, strict=True)
    names = [f"train/{name}.jpg" for name in sorted(set(ids))]
    sizes = {f"train/{name}.jpg": images.size(name) for name in ids}
    return Index(
        columns={
            "name": np.array([f"{name}-{number}" for name, number in zip(ids, numbers, strict=True)]),
            "split": np.full(len(faces), split),
            "label": np.full(len(faces), UNKNOWN, np.int64),
            "image": np.array([f"train/{name}.jpg" for name in ids]),
            "bytes": np.array([images.size(name) for name in ids], np.int64),
            "left": np.array(lefts, np.int64),
            "top": np.array(tops, np.int64),
            "side": np.array(sides, np.int64),
        },
        sources=((described, LICENCE), (boxed, LICENCE)),
        summary=summary(names, sizes) | {"faces": len(faces), "failed": len(images.failed)},
    )


def _identifier(path: Path, label: str) -> str:
    found: dict[str, str] = {}
    read_rows(path, ("identifier", "name"), lambda identifier, name: found.update({name: identifier}), header=False)
    if label not in found:
        raise MimeoError(f"{path}: no class {label!r} (parameter label)")
    return found[label]


def _boxes(path: Path, identifier: str, seed: int) -> dict[str, list[tuple[float, ...]]]:
    """Boxes by image, images in the order of their turns: left, right, top and bottom, in parts of the image.

    Left out are boxes round a group, which show no one face, and boxes that are empty or leave the image.
    """
    ids, numbers = array("Q"), array("d")

    def take(name: str, kind: str, left: str, right: str, top: str, bottom: str, group: str) -> None:
        if not IDENTIFIER.fullmatch(name):
            raise ValueError(f"{name!r} is no image")
        if kind != identifier:
            return
        box = float(left), float(right), float(top), float(bottom)
        if any(number != number for number in box):
            raise ValueError("a box that is no number")
        if group != "1" and 0 <= box[0] < box[1] <= 1 and 0 <= box[2] < box[3] <= 1:
            ids.append(int(name, 16))
            numbers.extend(box)

    read_rows(path, COLUMNS, take)
    found: dict[str, list[tuple[float, ...]]] = {}
    images = np.array(ids, np.uint64)
    order = np.argsort(images, kind="stable")
    box = np.array(numbers).reshape(-1, 4)[order].tolist()
    for number, sides in zip(images[order].tolist(), box, strict=True):
        found.setdefault(f"{number:016x}", []).append(tuple(sides))
    names = list(found)
    turn = np.argsort(ranks(names, seed), kind="stable")
    return {names[row]: sorted(set(found[names[row]])) for row in turn.tolist()}


def _squares(path: Path, boxes: list[tuple[float, ...]], margin: float, least: int) -> list[tuple[int, int, int, int]]:
    """The faces of an image that are large enough: number, left, top and side, in pixels.

    A square that would leave the image is moved into it, and is no larger than the image's shorter side.
    """
    try:
        with Image.open(path, formats=("JPEG",)) as image:
            width, height = image.size
    except Exception as error:  # a damaged header raises what the parser happens to raise
        raise MimeoError(f"{path}: not readable as an image: {' '.join(str(error).split())}") from None
    found = []
    for number, (left, right, top, bottom) in enumerate(boxes):
        longer = max((right - left) * width, (bottom - top) * height)
        if longer < least:
            continue
        side = min(round(longer * (1 + 2 * margin)), width, height)
        x, y = round((left + right) / 2 * width - side / 2), round((top + bottom) / 2 * height - side / 2)
        found.append((number, min(max(x, 0), width - side), min(max(y, 0), height - side), side))
    return found


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Cuts the listed squares out of their images, see ``mimeo.pictures``."""
    if source is None:
        raise Missing(f"MIMEO_DATA is not set: it names the folder of all data sets, where {FOLDER!r} is looked for")
    paths = [source / FOLDER / str(image) for image in items["image"]]
    left, top, side = (items[name].astype(np.int64) for name in ("left", "top", "side"))
    squares = np.stack([left, top, left + side, top + side], axis=1)
    return decode(paths, items["bytes"], np.full(len(paths), "squash"), size, channels, squares)
