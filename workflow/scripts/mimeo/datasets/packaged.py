"""Pictures that packages of the system install: icons, clip art, stamps. Thousands, and none is downloaded by us.

A picture is one file. Of an icon that a theme has in several sizes (``48x48/apps/clock.png``, as freedesktop.org's
icon themes are laid out) the largest file counts; links and files of equal content count once; of one folder at most
``most`` are taken, so that no series (playing cards, a thousand stars) rules the pool. Of the rest a seed draws as many
as are declared, so that a package with a few more in its next release gives no error; which files they are, and a
digest of their content, the list and the manifest say. Each picture keeps its collection and topic (the
folders it lies in) as labels, a hierarchy for strategies that choose by label.
"""

import hashlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mimeo.datasets import UNKNOWN, Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import FORMATS, LARGEST, decode, listed

BY_SIZE = re.compile(r"^\d+(x\d+)?(@\d+)?$")


def index(
    source: Path | None, splits: dict[str, int], *, folders: dict, smallest: int = 32, most: int = 300, seed: int = 0
) -> Index:
    """Draws the pictures of the split ``pool``.

    Args:
        folders: where the packages install their pictures, each with its licence.
        smallest: pixels that the longer side must have; smaller pictures are left out.
        most: pictures of one folder.
        seed: of the draw.

    Raises:
        Missing: a folder is not there: its package is not installed.
        MimeoError: fewer pictures are there than are declared.
    """
    found = [picture for folder in sorted(folders) for picture in _pictures(Path(str(folder)), smallest)]
    digests: dict[str, int] = {}
    for row, (folder, name, _) in enumerate(found):
        digests.setdefault(_digest(folder / name), row)
    draw, wanted = np.random.default_rng(seed), splits.get("pool", 0)
    kept: list[int] = []
    taken: dict[tuple[Path, str], int] = {}
    for row in draw.permutation(sorted(digests.values())).tolist():
        series = found[row][0], _topic(found[row][1])
        taken[series] = taken.get(series, 0) + 1
        if taken[series] <= most:
            kept.append(row)
    if len(kept) < wanted:
        raise MimeoError(f"{len(kept):,} pictures are in {', '.join(sorted(folders))}, {wanted:,} are declared")
    of_row = {row: digest for digest, row in digests.items()}
    drawn = sorted(kept[:wanted])
    rows = [found[row] for row in drawn]
    content = hashlib.sha256("".join(of_row[row] for row in drawn).encode())
    return Index(
        columns={
            "name": np.array([str(folder / name) for folder, name, _ in rows]),
            "split": np.full(wanted, "pool"),
            "label": np.full(wanted, UNKNOWN),
            "collection": np.array([folder.name for folder, _, _ in rows]),
            "topic": np.array([_topic(name) for _, name, _ in rows]),
            "bytes": np.array([size for _, _, size in rows], np.int64),
        },
        summary={
            "pictures": wanted,
            "of": len(kept),
            "sha256_of_contents": content.hexdigest(),
            **{f"licence of {folder}": str(licence) for folder, licence in sorted(folders.items())},
        },
    )


def _pictures(folder: Path, smallest: int) -> Iterator[tuple[Path, str, int]]:
    """The pictures of a folder: the folder, the path from there and the size in bytes, by name."""
    if not folder.is_dir():
        raise Missing(f"no folder {folder}")
    largest: dict[str, tuple[int, str]] = {}
    for name, size in sorted(listed(folder).items()):
        *way, last = name.split("/")
        icon = "/".join([*(part for part in way if not BY_SIZE.match(part)), last])
        largest[icon] = max(largest.get(icon, (0, "")), (size, name))
    for size, name in largest.values():
        if _is_large_enough(folder / name, smallest):
            yield folder, name, size


def _is_large_enough(path: Path, smallest: int) -> bool:
    """Whether the header speaks of a picture of at least ``smallest`` pixels, and not of an absurdly large one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # LARGEST is the limit here
            with Image.open(path, formats=FORMATS) as image:
                return max(image.size) >= smallest and image.width * image.height <= LARGEST
    except Image.DecompressionBombError:
        return False
    except Exception as error:  # a damaged file raises what its decoder happens to raise
        raise MimeoError(f"{path}: not readable as an image: {' '.join(str(error).split())}") from None


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MimeoError(f"{path}: not readable: {error.strerror}") from None


def _topic(name: str) -> str:
    """The folder that a picture lies in, less folders that only say a size; ``other`` where there is none."""
    return next((part for part in reversed(name.split("/")[:-1]) if not BY_SIZE.match(part)), "other")


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Decodes the listed pictures, whole and on black, see ``mimeo.pictures``."""
    paths = [Path(str(name)) for name in items["name"]]
    return decode(paths, items["bytes"], np.full(len(paths), "pad"), size, channels)
