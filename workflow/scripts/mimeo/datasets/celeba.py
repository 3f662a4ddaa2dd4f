"""CelebA's aligned faces, a pool without classes: ``img_align_celeba/{number}.jpg`` and ``list_eval_partition.txt``.

The list says which images there are, and each one's part (0 training, 1 validation, 2 test), which is a column.
"""

from pathlib import Path

import numpy as np

from mimeo.archives import Archive, obtained
from mimeo.datasets import Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import columns, decode_listed, home, listed, summary

ARCHIVE = Archive("img_align_celeba.zip", "img_align_celeba")  # its owners hand it out by hand alone
PARTS = "list_eval_partition.txt"
PERSONS = "identity_CelebA.txt"
SPLIT = "pool"


def index(source: Path | None, splits: dict[str, int], *, folder: str = "celeba", persons: bool = False) -> Index:
    """Lists all parts together.

    Args:
        persons: whether ``identity_CelebA.txt`` is read, whose number of each person becomes a column ``person``.
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
    extra = {"part": part} | ({"person": _numbers(root / PERSONS)} if persons else {})
    for file, found in zip((PARTS, PERSONS), extra.values(), strict=False):
        bare = [name for name in names if name not in found]
        if bare:
            raise MimeoError(f"{root / file}: says nothing of {len(bare)} images, the first is {bare[0]!r}")
    return Index(
        columns=columns(folder, below, [SPLIT] * len(names))
        | {column: np.array([found[name] for name in names]) for column, found in extra.items()},
        summary=summary(list(below), below),
    )


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
