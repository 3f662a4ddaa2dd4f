"""Omniglot: 1,623 characters of 50 alphabets, each drawn by 20 people, black on white (Lake et al. 2015).

Source: the repository of its authors (github.com/brendenlake/omniglot), the files that torchvision names; images are
decoded out of them. The alphabet is a column.
"""

import zipfile
from pathlib import Path

import numpy as np

from mimeo.datasets import Index
from mimeo.downloads import Published, facts, find, obtain
from mimeo.errors import MimeoError
from mimeo.pictures import decode_members

LICENCE = "MIT, Brenden Lake"
ADDRESS = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
MD5S = {"background": "68d2efa1b9178cc56df9314c21c6e718", "evaluation": "6b91aef0f799c5bb55b94e3f2daec811"}
FILES = {
    split: Published(f"omniglot-py/images_{split}.zip", md5, (f"{ADDRESS}images_{split}.zip",))
    for split, md5 in MD5S.items()
}


def index(source: Path | None, splits: dict[str, int]) -> Index:
    """Names are ``background/Greek/character01/0394_01.png``; classes are ``Greek/character01``, of both splits."""
    if not set(splits) <= set(FILES):
        raise MimeoError(f"splits {sorted(set(splits) - set(FILES))} are none of {', '.join(FILES)}")
    files = [FILES[split] for split in splits]
    found = [(split, member) for split in splits for member in _images(obtain(source, FILES[split]))]
    split, member = map(np.array, zip(*found, strict=True))
    _, alphabet, character, name = zip(*(path.split("/") for _, path in found), strict=True)
    kinds = [f"{one}/{other}" for one, other in zip(alphabet, character, strict=True)]
    classes, label = np.unique(kinds, return_inverse=True)
    return Index(
        columns={
            "name": np.array(["/".join(parts) for parts in zip(split, kinds, name, strict=True)]),
            "split": split,
            "label": label.astype(np.int64),
            "alphabet": np.array(alphabet),
            "file": np.array([FILES[part].path for part in split]),
            "member": member,
        },
        classes=tuple(classes.tolist()),
        summary=facts(files, LICENCE),
    )


def _images(path: Path) -> list[str]:
    """The images of an archive: ``images_background/{alphabet}/{character}/{image}.png``."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(name for name in archive.namelist() if name.endswith(".png"))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MimeoError(f"{path}: not readable: {' '.join(str(error).split())}") from None
    found = [name for name in found if not name.startswith("__MACOSX") and name.count("/") == 3]
    if not found:
        raise MimeoError(f"{path}: holds no image")
    return found


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Decodes the listed images, both sides brought to the size."""
    images = np.empty((len(items["name"]), size, size, channels), np.uint8)
    for file in np.unique(items["file"]):
        mine = items["file"] == file
        images[mine] = decode_members(find(source, str(file)), items["member"][mine].tolist(), size, channels)
    return images
