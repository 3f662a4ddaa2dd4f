"""UCI handwritten digits as scikit-learn ships them: 1,797 images of 8 x 8 with 17 grey levels, 10 classes.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository (CC BY 4.0).
The split, 60/40 and stratified, is the committed file ``splits/digits.csv``.
"""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from mimeo.datasets import Index, read_split
from mimeo.errors import MimeoError

SPLIT = Path(__file__).parent / "splits" / "digits.csv"
LEVELS = 16


def _table() -> tuple[Path, np.ndarray]:
    """The CSV that ships in scikit-learn: 64 pixel counts in [0, 16] and the class, a row an image."""
    from importlib.resources import files

    path = Path(str(files("sklearn.datasets.data").joinpath("digits.csv.gz")))
    try:
        table = np.loadtxt(path, delimiter=",")
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise MimeoError(f"{path}: not readable: {error}") from None
    if table.ndim != 2 or table.shape[1] != 65:
        raise MimeoError(f"{path}: {table.shape[-1]} columns, expected 65")
    return path, table


def index(source: Path | None, splits: dict[str, int]) -> Index:
    """Names are ``0000`` to ``1796``, the order of scikit-learn's file."""
    path, table = _table()
    split = read_split(SPLIT)
    names = [f"{row:04d}" for row in range(len(table))]
    missing = next((name for name in names if name not in split), None)
    if missing or len(split) != len(names):
        raise MimeoError(f"{SPLIT}: names {len(split)} images, the data has {len(names)} ({missing or 'surplus'})")
    return Index(
        columns={
            "name": np.array(names),
            "split": np.array([split[name] for name in names]),
            "label": table[:, -1].astype(np.int64),
        },
        classes=tuple("0123456789"),
        sources=((path, "CC BY 4.0, UCI Optical Recognition of Handwritten Digits"),),
    )


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Grey levels scaled to [0, 255]; sizes other than 8 are resampled bilinearly."""
    _, table = _table()
    rows = table[items["name"].astype(int), :-1].reshape(-1, 8, 8)
    images = np.rint(rows * (255 / LEVELS)).astype(np.uint8)
    if size != 8:
        images = np.stack([np.asarray(Image.fromarray(image).resize((size, size), 2)) for image in images])
    return np.repeat(images[..., None], channels, axis=-1)
