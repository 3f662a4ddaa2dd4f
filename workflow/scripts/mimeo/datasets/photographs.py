"""Natural images without a download: patches of the photographs that scikit-image and scikit-learn ship.

Drawings, text pages, test patterns and renderings in those packages are left out. A patch has a random
position and a log-uniform random scale; it keeps its photograph, the region it comes from and its scale as
labels, a real hierarchy for strategies that choose by label. Decoding is exact area averaging through
summed-area tables, all patches of a photograph at once.
"""

import contextlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mimeo.datasets import UNKNOWN, Index
from mimeo.errors import MimeoError

_CC0 = "CC0"
_PUBLIC = "public domain, no known copyright restrictions"
_BSD = "distributed with scikit-image (BSD-3-Clause)"
PHOTOGRAPHS = {
    "astronaut.png": f"{_PUBLIC} (NASA)",
    "brick.png": f"{_CC0} (CC0Textures)",
    "camera.png": f"{_CC0} (Lav Varshney)",
    "cell.png": _CC0,
    "chelsea.png": f"{_CC0} (Stefan van der Walt)",
    "coffee.png": f"{_CC0} (Rachel Michetti)",
    "coins.png": f"{_PUBLIC} (Brooklyn Museum)",
    "grass.png": f"{_CC0} (linolafett)",
    "gravel.png": f"{_CC0} (CC0Textures)",
    "hubble_deep_field.jpg": f"{_PUBLIC} (NASA)",
    "ihc.png": f"{_PUBLIC} (CMMI)",
    "moon.png": _BSD,
    "motorcycle_left.png": f"{_BSD}; Middlebury stereo 2014",
    "retina.jpg": f"{_CC0} (Wikimedia Commons)",
    "rocket.jpg": f"{_PUBLIC} (SpaceX)",
    "china.jpg": "CC BY 2.0 (danielbuechele)",
    "flower.jpg": "CC BY 2.0 (vultilion)",
}
REGIONS = 3


def _path(photograph: str) -> Path:
    for package in ("skimage.data", "sklearn.datasets.images"):
        path = Path(str(files(package).joinpath(photograph)))
        if path.is_file():
            return path
    raise MimeoError(f"photographs: {photograph} is in neither scikit-image nor scikit-learn as installed")


@contextlib.contextmanager
def _opened(photograph: str) -> Iterator[Image.Image]:
    path = _path(photograph)
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, UnidentifiedImageError) as error:
        raise MimeoError(f"{path}: not readable as an image: {error}") from None


def _size(photograph: str) -> tuple[int, int]:
    with _opened(photograph) as image:
        return image.size


def _pixels(photograph: str, channels: int) -> np.ndarray:
    """The photograph as float64, height x width x channels."""
    with _opened(photograph) as image:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float64)
    return pixels[..., None] if channels == 1 else pixels


def index(
    source: Path | None, splits: dict[str, int], *, smallest: int = 12, stretch: bool = True, seed: int = 0
) -> Index:
    """Draws the patches of the split ``pool``.

    Args:
        smallest: side of the smallest patch, in pixels of its photograph; the largest fills the shorter side.
        stretch: whether a patch's darkest value becomes 0 and its brightest 255 (automatic contrast). At 8 x 8
            an unstretched patch is mostly a flat grey, on which a classifier has little to say.
        seed: of the draw.
    """
    patches, draw = splits.get("pool", 0), np.random.default_rng(seed)
    names = sorted(PHOTOGRAPHS)
    sizes = np.array([_size(name) for name in names], float)
    which = draw.integers(len(names), size=patches)
    width, height = sizes[which].T
    largest = np.minimum(width, height)
    side = smallest * (largest / smallest) ** draw.random(patches)
    left, top = draw.random(patches) * (width - side), draw.random(patches) * (height - side)
    row = np.minimum((top + side / 2) / height * REGIONS, REGIONS - 1).astype(int)
    column = np.minimum((left + side / 2) / width * REGIONS, REGIONS - 1).astype(int)
    scale = np.minimum(np.log2(side / smallest), 5).astype(int)
    stem = np.array([name.split(".")[0] for name in names])[which]
    return Index(
        columns={
            "name": np.array([f"{number:06d}" for number in range(patches)]),
            "split": np.full(patches, "pool"),
            "label": np.full(patches, UNKNOWN),
            "photograph": stem,
            "region": np.array([f"{a}{b}" for a, b in zip(row, column, strict=True)]),
            "scale": np.array([f"x{2**s}" for s in scale]),
            "file": np.array(names)[which],
            "left": left.round(3),
            "top": top.round(3),
            "side": side.round(3),
            "stretch": np.full(patches, int(stretch)),
        },
        sources=tuple((_path(name), PHOTOGRAPHS[name]) for name in names),
    )


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Area-averages every patch to size x size."""
    patches = np.empty((len(items["name"]), size, size, channels), np.uint8)
    for photograph in np.unique(items["file"]):
        rows = np.flatnonzero(items["file"] == photograph)
        table = _summed_area(_pixels(str(photograph), channels))
        left, top, side = (items[key][rows].astype(float) for key in ("left", "top", "side"))
        means = _box_means(table, left, top, side, size)
        stretched = items["stretch"][rows].astype(int) == 1
        means[stretched] = _stretch(means[stretched])
        patches[rows] = np.clip(np.rint(means), 0, 255)
    return patches


def _summed_area(pixels: np.ndarray) -> np.ndarray:
    table = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1, pixels.shape[2]))
    table[1:, 1:] = pixels.cumsum(0).cumsum(1)
    return table


def _box_means(table: np.ndarray, left: np.ndarray, top: np.ndarray, side: np.ndarray, size: int) -> np.ndarray:
    """Means over a size x size grid of boxes with fractional borders: N x size x size x channels."""
    grid = np.arange(size + 1) / size
    y = np.clip(top[:, None] + side[:, None] * grid, 0, table.shape[0] - 1 - 1e-6)
    x = np.clip(left[:, None] + side[:, None] * grid, 0, table.shape[1] - 1 - 1e-6)
    row, column = y.astype(int)[:, :, None], x.astype(int)[:, None, :]
    down, right = (y - y.astype(int))[:, :, None, None], (x - x.astype(int))[:, None, :, None]
    upper = table[row, column] * (1 - right) + table[row, column + 1] * right
    lower = table[row + 1, column] * (1 - right) + table[row + 1, column + 1] * right
    corner = upper * (1 - down) + lower * down
    sums = corner[:, 1:, 1:] - corner[:, :-1, 1:] - corner[:, 1:, :-1] + corner[:, :-1, :-1]
    return sums * ((size / side) ** 2)[:, None, None, None]


def _stretch(means: np.ndarray) -> np.ndarray:
    """Contrast stretched to [0, 255] over a whole patch; contrast below 8 of 255 is left mostly flat."""
    low = means.min((1, 2, 3), keepdims=True)
    span = means.max((1, 2, 3), keepdims=True) - low
    return (means - low) / np.maximum(span, 8) * 255
