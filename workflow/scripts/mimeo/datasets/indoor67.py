"""MIT Indoor Scenes as the code of Knockoff Nets has it: ``TestImages.txt`` is the test set, ALL others are trained on.

``Images/{class}/...`` and ``TestImages.txt`` with lines such as ``kitchen/int474.jpg``. ``TrainImages.txt``, 80 images
a class, is not used: results with it are not comparable.
"""

from pathlib import Path

import numpy as np

from mimeo.archives import Archive, obtained
from mimeo.datasets import Index, Missing
from mimeo.errors import MimeoError
from mimeo.pictures import columns, decode_listed, home, like_torchvision, listed, summary

ARCHIVE = Archive("indoorCVPR_09.tar", "Images")  # no digest of it is known to us: fetched by hand
TEST = "TestImages.txt"


def index(source: Path | None, splits: dict[str, int], *, folder: str = "indoor67") -> Index:
    root = home(source, folder)
    top = obtained(root, ARCHIVE)
    tested = _tested(root / TEST)
    sizes = listed(top)
    names = like_torchvision(sizes)
    lacking = [name for name in tested if name not in set(names)]
    if lacking:
        raise MimeoError(f"{top}: {len(lacking)} images of {TEST} are not there, the first is {lacking[0]!r}")
    classes = sorted({name.split("/")[0] for name in names})
    number = {kind: label for label, kind in enumerate(classes)}
    below = {f"{ARCHIVE.holds}/{name}": sizes[name] for name in names}
    return Index(
        columns=columns(
            folder,
            below,
            ["test" if name in tested else "train" for name in names],
            [number[name.split("/")[0]] for name in names],
        ),
        classes=tuple(classes),
        summary=summary(list(below), below),
    )


def _tested(path: Path) -> dict[str, None]:
    """The names in it, in their order."""
    try:
        return dict.fromkeys(line.strip() for line in path.read_text().splitlines() if line.strip())
    except FileNotFoundError:
        raise Missing(f"no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MimeoError(f"{path}: not readable: {error}") from None


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    return decode_listed(source, items, size, channels)
