"""Open Images V4: up to so many training images of each boxable class, fetched one by one from the public bucket.

Below the folder of all data sets lies ``openimages/``: the official lists, fetched where they are not there, and
``train/{id}.jpg``. A folder that holds all that are chosen is used without the net.

The lists have no published digest: the manifest has those of the files that were used. The paper's own choice of
images is not published either; this one has its size and its rule.
"""

import re
from array import array
from itertools import pairwise
from pathlib import Path

import numpy as np

from mimeo.collecting import Collection, obtain, ranks, read_rows
from mimeo.datasets import Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import decode, summary

FOLDER = "openimages"
CLASSES = "class-descriptions-boxable.csv"  # no header: identifier, name
LABELS = "train-annotations-human-imagelabels-boxable.csv"
LICENCE = "annotations CC BY 4.0, images listed as CC BY 2.0"
IDENTIFIER = re.compile("[0-9a-f]{16}")


def index(
    source: Path | None,
    splits: dict[str, int],
    *,
    per_class: int = 2000,
    seed: int = 0,
    url: str = "https://open-images-dataset.s3.amazonaws.com/train/{id}.jpg",
    lists: str = "https://storage.googleapis.com/openimages/2018_04",
    threads: int = 32,
    tolerated: float = 0.1,
) -> Index:
    """Chooses images, fetches what is not there, and lists names, classes and sizes.

    Args:
        per_class: the most images of a class. Where all classes together have more than the split's count, classes
            give one image after the other in turn until it is reached.
        seed: of the choice.
        url: where an image is, with ``{id}`` in it.
        lists: where the official lists are.
        threads: images that are fetched at once.
        tolerated: share of images that may fail; others of their class take their places.
    """
    if source is None:
        raise Missing(f"MIMEO_DATA is not set: it names the folder of all data sets, where {FOLDER!r} is looked for")
    if len(splits) != 1:
        raise MimeoError(f"{FOLDER}: one split is made, {len(splits)} are declared: {', '.join(splits)}")
    [(split, wanted)] = splits.items()
    root = source / FOLDER
    images = Collection(root / "train", url, threads, tolerated, wanted)
    described = obtain(f"{lists}/{CLASSES}", root / CLASSES)
    labelled = obtain(f"{lists}/train/{LABELS}", root / LABELS)
    classes = _classes(described)
    candidates = Candidates(labelled, classes, seed)
    chosen: dict[str, int] = {}

    def choose(failed: set[str]) -> list[str]:
        nonlocal chosen
        chosen = candidates.choose(per_class, wanted, failed)
        return list(chosen)

    images.complete(choose)
    ids = sorted(chosen)
    names = [f"train/{name}.jpg" for name in ids]
    sizes = dict(zip(names, map(images.size, ids), strict=True))
    kinds = sorted(classes.values())
    number = {kind: label for label, kind in enumerate(kinds)}
    label_of = np.array([number[kind] for kind in classes.values()], np.int64)
    return Index(
        columns={
            "name": np.array(names),
            "split": np.full(len(names), split),
            "label": label_of[[chosen[name] for name in ids]],
            "bytes": np.array([sizes[name] for name in names], np.int64),
        },
        classes=tuple(kinds),
        sources=((described, LICENCE), (labelled, LICENCE)),
        summary=summary(names, sizes) | {"failed": len(images.failed)},
    )


def _classes(path: Path) -> dict[str, str]:
    """Names by identifier, in the order of the names."""
    found: dict[str, str] = {}

    def take(identifier: str, name: str) -> None:
        if identifier in found or name in found.values():
            raise ValueError(f"{identifier} or {name!r} stands there twice")
        found[identifier] = name

    read_rows(path, ("identifier", "name"), take, header=False)
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


class Candidates:
    """Which images have which class, in the order of their turns."""

    def __init__(self, path: Path, classes: dict[str, str], seed: int) -> None:
        """Reads the list of labels; of 9 million rows those that say that the class is there."""
        self.path = path
        number = {identifier: label for label, identifier in enumerate(classes)}
        ids, labels = array("Q"), array("q")

        def take(name: str, identifier: str, confidence: str) -> None:
            if not IDENTIFIER.fullmatch(name):
                raise ValueError(f"{name!r} is no image")
            if identifier not in number:
                raise ValueError(f"{identifier!r} is no class of {CLASSES}")
            if float(confidence) == 1:  # 0: a person said that it is not there
                ids.append(int(name, 16))
                labels.append(number[identifier])

        read_rows(path, ("ImageID", "LabelName", "Confidence"), take)
        unique, image = np.unique(np.array(ids, np.uint64), return_inverse=True)
        turn = np.lexsort((unique, ranks(map(_name, unique.tolist()), seed)))
        self.ids = unique[turn]  # in the order of their turns
        place = np.empty(len(turn), np.int64)
        place[turn] = np.arange(len(turn))
        pairs = np.unique(np.stack([np.array(labels, np.int64), place[image]]), axis=1)  # some are said twice
        ends = np.searchsorted(pairs[0], np.arange(len(classes) + 1))
        self.of = [pairs[1, start:stop] for start, stop in pairwise(ends.tolist())]

    def choose(self, per_class: int, wanted: int, failed: set[str]) -> dict[str, int]:
        """Images, by name, and the class for which each was chosen.

        The rarest class chooses first, since it has no others to take, whereas a common class hardly misses those
        that it loses. An image has one class only.

        Raises:
            MimeoError: there are fewer than wanted.
        """
        free = ~np.isin(self.ids, np.array([int(name, 16) for name in failed if IDENTIFIER.fullmatch(name)], np.uint64))
        rows, label, place = [], [], []
        for kind in sorted(range(len(self.of)), key=lambda kind: (len(self.of[kind]), kind)):
            own = self.of[kind][free[self.of[kind]]][:per_class]
            free[own] = False
            rows.append(own)
            label.append(np.full(len(own), kind))
            place.append(np.arange(len(own)))
        row, kinds, nth = np.concatenate(rows), np.concatenate(label), np.concatenate(place)
        if len(row) < wanted:
            raise MimeoError(
                f"{self.path}: {len(row)} images are to be had, {per_class} a class at most and {len(failed)} left "
                f"out that could not be fetched; the configuration says {wanted}"
            )
        first = np.lexsort((kinds, nth))[:wanted]
        return dict(zip(map(_name, self.ids[row[first]].tolist()), kinds[first].tolist(), strict=True))


def _name(number: int) -> str:
    return f"{number:016x}"


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Decodes the listed files, see ``mimeo.pictures``; the centre is cut out, as of the papers' other images."""
    if source is None:
        raise Missing(f"MIMEO_DATA is not set: it names the folder of all data sets, where {FOLDER!r} is looked for")
    paths = [source / FOLDER / str(name) for name in items["name"]]
    return decode(paths, items["bytes"], np.full(len(paths), "crop"), size, channels)
