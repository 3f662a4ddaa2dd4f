"""CelebA's aligned faces: ``img_align_celeba/{number}.jpg`` and ``list_eval_partition.txt``.

The list says which images there are, and each one's part (0 training, 1 validation, 2 test), which is a column. A pool
without classes, or, where traits are named, a task: each combination of them is a class. Its victim, a stand-in for an
interface that describes faces, learns the validation part, so that the far larger training part is left as a pool.
"""

import itertools
from pathlib import Path

import numpy as np

from mimeo.archives import Archive, obtained
from mimeo.datasets import Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import columns, decode_listed, home, listed, summary

ARCHIVE = Archive("img_align_celeba.zip", "img_align_celeba")  # its owners hand it out by hand alone
PARTS = "list_eval_partition.txt"
PERSONS = "identity_CelebA.txt"
TRAITS = "list_attr_celeba.txt"
SPLIT = "pool"
SPLITS = {0: "pool", 1: "train", 2: "test"}  # of a task


def index(
    source: Path | None,
    splits: dict[str, int],
    *,
    folder: str = "celeba",
    persons: bool = False,
    traits: list | None = None,
) -> Index:
    """Lists all parts together.

    Args:
        persons: whether ``identity_CelebA.txt`` is read, whose number of each person becomes a column ``person``.
        traits: names from ``list_attr_celeba.txt``. An image's class is the combination that it has of them; its
            split follows from its part.
    """
    root = home(source, folder)
    top = obtained(root, ARCHIVE)
    part = _numbers(root / PARTS)
    sizes = listed(top)
    lacking = [name for name in part if name not in sizes]
    if lacking:
        raise MimeoError(f"{top}: {len(lacking)} images of {PARTS} are not there, the first is {lacking[0]!r}")
    names = sorted(part)
    below = {f"{ARCHIVE.holds}/{name}": sizes[name] for name in names}
    extra = {"part": part} | ({"person": _complete(root / PERSONS, _numbers(root / PERSONS), names)} if persons else {})
    split, label = [SPLIT] * len(names), None
    if traits:
        wrong = sorted(set(part.values()) - set(SPLITS))
        if wrong:
            raise MimeoError(f"{root / PARTS}: part {wrong[0]} is none of {', '.join(map(str, SPLITS))}")
        known = _complete(root / TRAITS, _traits(root / TRAITS, traits), names)
        split, label = [SPLITS[part[name]] for name in names], [known[name] for name in names]
    return Index(
        columns=columns(folder, below, split, label)
        | {column: np.array([found[name] for name in names]) for column, found in extra.items()},
        classes=tuple(_combinations(traits)) if traits else (),
        summary=summary(list(below), below),
    )


def _complete(path: Path, found: dict[str, int], names: list[str]) -> dict[str, int]:
    bare = [name for name in names if name not in found]
    if bare:
        raise MimeoError(f"{path}: says nothing of {len(bare)} images, the first is {bare[0]!r}")
    return found


def _combinations(traits: list[str]) -> list[str]:
    """Names of the classes; the first trait changes first."""
    return [
        ", ".join(trait if has else f"not {trait}" for trait, has in zip(traits, reversed(bits), strict=True))
        for bits in itertools.product((False, True), repeat=len(traits))
    ]


def _traits(path: Path, traits: list[str]) -> dict[str, int]:
    """The class of every image: bit i is set where it has the i-th trait.

    The file: a count, a line of names, and a line an image with 1 or -1 for each name.
    """
    try:
        _, header, *lines = path.read_text().splitlines()
        names = header.split()
        unknown = [trait for trait in traits if trait not in names]
        if unknown:
            raise MimeoError(f"{path}: has no trait {unknown[0]!r}")
        places = [names.index(trait) for trait in traits]
        found = {}
        for image, *values in map(str.split, filter(str.strip, lines)):
            if len(values) != len(names) or {values[place] for place in places} - {"1", "-1"}:
                raise ValueError(f"the line of {image} is not of {len(names)} values of 1 or -1")
            found[image] = sum((values[place] == "1") << bit for bit, place in enumerate(places))
    except FileNotFoundError:
        raise Missing(f"no file {path}") from None
    except (OSError, ValueError) as error:
        raise MimeoError(f"{path}: not a list of images with their traits: {error}") from None
    return found


def _numbers(path: Path) -> dict[str, int]:
    """A list of lines with an image's name and a number."""
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
        found = {name: int(number) for name, number in lines}
    except FileNotFoundError:
        raise Missing(f"no file {path}") from None
    except (OSError, ValueError) as error:
        raise MimeoError(f"{path}: not a list of images with a number each: {error}") from None
    if len(found) < len(lines):
        raise MimeoError(f"{path}: an image stands in it twice")
    return found


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    return decode_listed(source, items, size, channels)
