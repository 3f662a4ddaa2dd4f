"""SVHN: house numbers, digits cut out at 32 x 32 in colour, 73,257 and 26,032 images (Netzer et al. 2011).

Source: ufldl.stanford.edu/housenumbers, files of MATLAB, which hold arrays and no code.
"""

from pathlib import Path

import numpy as np

from mimeo.datasets import Index
from mimeo.downloads import Published, facts, find, obtain
from mimeo.errors import MimeoError
from mimeo.pictures import squares

SIDE = 32
LICENCE = "non-commercial use, Netzer et al. 2011"
ADDRESS = "http://ufldl.stanford.edu/housenumbers/"
MD5S = {"train": "e26dedcc434d2e4c54c9b2d4a06d8373", "test": "eb5a983be6a315427106f1b164d9cef3"}
FILES = {split: Published(f"{split}_32x32.mat", md5, (f"{ADDRESS}{split}_32x32.mat",)) for split, md5 in MD5S.items()}


def index(source: Path | None, splits: dict[str, int]) -> Index:
    """Names are ``train/00000`` and so on, in the order of the files; class 10 of the files is the digit 0."""
    if not set(splits) <= set(FILES):
        raise MimeoError(f"splits {sorted(set(splits) - set(FILES))} are none of {', '.join(FILES)}")
    files = [FILES[split] for split in splits]
    there = [obtain(source, file) for file in files]
    labels = [_array(path, "y", 2).ravel() for path in there]
    counts = [len(part) for part in labels]
    row, split = np.concatenate([np.arange(count) for count in counts]), np.repeat(list(splits), counts)
    return Index(
        columns={
            "name": np.array([f"{part}/{number:05d}" for part, number in zip(split, row, strict=True)]),
            "split": split,
            "label": np.concatenate(labels).astype(np.int64) % 10,
            "file": np.repeat([file.path for file in files], counts),
            "row": row,
        },
        classes=tuple("0123456789"),
        summary=facts(files, LICENCE),
    )


def _array(path: Path, name: str, axes: int) -> np.ndarray:
    """One array of a file of MATLAB: X is 32 x 32 x 3 x N, y is N x 1."""
    from scipy.io import loadmat

    try:
        array = loadmat(path, variable_names=[name])[name]
    except Exception as error:  # a damaged file raises what its parser happens to raise
        raise MimeoError(f"{path}: not readable: {' '.join(str(error).split()) or type(error).__name__}") from None
    if array.dtype != np.uint8 or array.ndim != axes or (axes == 4 and array.shape[:3] != (SIDE, SIDE, 3)):
        raise MimeoError(
            f"{path}: its {name} is {array.dtype} of shape {array.shape}, expected bytes of {SIDE} x {SIDE}"
        )
    return array


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """As they are at 32; other sizes are resampled bilinearly."""
    images = np.empty((len(items["name"]), SIDE, SIDE, 3), np.uint8)
    for file in np.unique(items["file"]):
        mine = items["file"] == file
        path, row = find(source, str(file)), items["row"][mine].astype(int)
        whole = _array(path, "X", 4)
        if row.max() >= whole.shape[-1]:
            raise MimeoError(f"{path}: holds {whole.shape[-1]} images, more are listed")
        images[mine] = whole.transpose(3, 0, 1, 2)[row]
    return squares(images, size, channels)
