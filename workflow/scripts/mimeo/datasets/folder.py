"""Images in a folder of this machine: the papers' data sets once they are fetched, or your own.

Below the folder of all data sets lies one folder a data set, and in it ``{split}/{class}/...``, or ``{class}/...``
with a committed split file; images of an unlabelled split may lie at any depth. An image's name is its path below the
data set's folder. Class names are the folders' names, in sorted order.

Links are followed: shared stores hand data sets out as links, and a split arranged by links needs no copy. Nothing is
ever written there, and a link to a folder above itself is refused.
"""

from pathlib import Path

import numpy as np

from mimeo.datasets import UNKNOWN, Index, Missing, read_split
from mimeo.errors import MimeoError
from mimeo.pictures import FITS, decode_listed, home, listed, summary

SPLITS = Path(__file__).parent / "splits"


def index(
    source: Path | None,
    splits: dict[str, int],
    *,
    folder: str,
    unlabelled: list | None = None,
    split_file: str | None = None,
    fit: str = "crop",
) -> Index:
    """Lists names and sizes in bytes; no image is opened.

    Args:
        folder: of this data set, below the folder of all data sets.
        unlabelled: splits whose images have no class.
        split_file: a file of ``datasets/splits/``, without ``.csv``, that says which image belongs to which split;
            images that it does not name are no part of the data set. None: the first folder is the split.
        fit: how an image becomes a square: ``crop`` brings the shorter side to 256/224 of the size and cuts out the
            centre, as the papers' networks are tested; ``squash`` brings both sides to the size; ``pad`` brings
            the longer side to it, in the middle of a black square (a white one if the image is dark).
    """
    root, bare = home(source, folder), set(unlabelled or ())
    if fit not in FITS:
        raise MimeoError(f"parameter fit: {fit!r} is none of {', '.join(FITS)}")
    if not bare <= set(splits):
        raise MimeoError(f"parameter unlabelled: {sorted(bare - set(splits))} are no splits of the data set")
    if split_file is None:
        split_of = {}
        sizes = {f"{split}/{name}": size for split in splits for name, size in _found(root / split).items()}
    else:
        split_of = read_split(SPLITS / f"{split_file}.csv")
        sizes = _found(root)
        _check_there(root, split_of, sizes)
        sizes = {name: sizes[name] for name, split in split_of.items() if split in splits}
    names = sorted(sizes)
    split = [split_of.get(name) or name.split("/")[0] for name in names]
    kinds = [
        None if where in bare else _class(root, name, 1 if split_file is None else 0)
        for name, where in zip(names, split, strict=True)
    ]
    classes = sorted({kind for kind in kinds if kind is not None})
    number = {kind: label for label, kind in enumerate(classes)} | {None: UNKNOWN}
    return Index(
        columns={
            "name": np.array(names),
            "split": np.array(split),
            "label": np.array([number[kind] for kind in kinds], np.int64),
            "bytes": np.array([sizes[name] for name in names], np.int64),
            "place": np.full(len(names), folder),
            "fit": np.full(len(names), fit),
        },
        classes=tuple(classes),
        summary=summary(names, sizes),
    )


def _found(folder: Path) -> dict[str, int]:
    """Names below a folder, and sizes in bytes, of every image there."""
    if not folder.is_dir():
        raise Missing(f"no folder {folder}")
    return listed(folder)


def _check_there(root: Path, split_of: dict[str, str], sizes: dict[str, int]) -> None:
    lacking = [name for name in split_of if name not in sizes]
    if lacking:
        raise MimeoError(f"{root}: {len(lacking)} images of the split file are not there, the first is {lacking[0]!r}")


def _class(root: Path, name: str, depth: int) -> str:
    """The folder of that depth among those around an image."""
    folders = name.split("/")[:-1]
    if len(folders) <= depth:
        raise MimeoError(f"{root / name}: lies in no folder of a class (is its split one of `unlabelled`?)")
    return folders[depth]


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Decodes the listed files, see ``mimeo.pictures``."""
    return decode_listed(source, items, size, channels)
