"""CIFAR-10 and CIFAR-100: 50,000 and 10,000 colour images of 32 x 32 (Krizhevsky 2009).

Source: the binary versions (cs.toronto.edu/~kriz/cifar.html). Those for Python, which torchvision reads, are pickles,
and a pickle is a program. Its labels come as columns: ``coarse`` is the superclass of CIFAR-100.
"""

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mimeo.datasets import Index
from mimeo.downloads import Published, facts, find, obtain
from mimeo.errors import MimeoError
from mimeo.pictures import squares

SIDE = 32
PIXELS = 3 * SIDE * SIDE


@dataclass(frozen=True)
class Version:
    """Attributes: ``parts``, a split's files in the archive; ``names``, its lists of class names, the last the label's;
    a row of a file holds one byte for each list, then the pixels."""

    file: Published
    parts: dict[str, tuple[str, ...]]
    names: tuple[str, ...]


VERSIONS = {
    "CIFAR10": Version(
        Published(
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        ),
        {
            "train": tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
            "test": ("cifar-10-batches-bin/test_batch.bin",),
        },
        ("cifar-10-batches-bin/batches.meta.txt",),
    ),
    "CIFAR100": Version(
        Published(
            "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
        ),
        {"train": ("cifar-100-binary/train.bin",), "test": ("cifar-100-binary/test.bin",)},
        ("cifar-100-binary/coarse_label_names.txt", "cifar-100-binary/fine_label_names.txt"),
    ),
}


def index(source: Path | None, splits: dict[str, int], *, name: str) -> Index:
    """Names are ``train/00000`` and so on, in the order of the files.

    Args:
        name: CIFAR10 or CIFAR100.
    """
    if name not in VERSIONS:
        raise MimeoError(f"parameter name: {name!r} is none of {', '.join(VERSIONS)}")
    version = VERSIONS[name]
    if not set(splits) <= set(version.parts):
        raise MimeoError(f"splits {sorted(set(splits) - set(version.parts))} are none of {', '.join(version.parts)}")
    path = obtain(source, version.file)
    parts = [part for split in splits for part in version.parts[split]]
    held = _members(path, (*parts, *version.names))
    classes = [tuple(held[part].decode("ascii", "replace").split()) for part in version.names]
    rows = [_rows(path, part, held[part], len(version.names)) for part in parts]
    counts = [len(part) for part in rows]
    labels = np.concatenate(rows)[:, : len(version.names)]
    split = np.repeat([split for split in splits for _ in version.parts[split]], counts)
    order = np.concatenate([np.arange(np.count_nonzero(split == one)) for one in splits])
    if (labels >= [len(part) for part in classes]).any():
        raise MimeoError(f"{path}: a label is none of its classes")
    columns = {
        "name": np.array([f"{part}/{number:05d}" for part, number in zip(split, order, strict=True)]),
        "split": split,
        "label": labels[:, -1].astype(np.int64),
        "file": np.full(len(split), version.file.path),
        "member": np.repeat(parts, counts),
        "row": np.concatenate([np.arange(count) for count in counts]),
        "labels": np.full(len(split), len(classes)),
    }
    coarse = {"coarse": np.array(classes[0])[labels[:, 0]]} if len(classes) > 1 else {}
    licence = "none stated; Krizhevsky 2009, from the Tiny Images"
    return Index(columns | coarse, classes[-1], summary=facts([version.file], licence))


def _members(path: Path, members: tuple[str, ...]) -> dict[str, bytes]:
    """The bytes of some members, in one pass of the archive."""
    found = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for entry in archive:
                part = archive.extractfile(entry) if entry.name in members else None
                if part:
                    found[entry.name] = part.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise MimeoError(f"{path}: not readable: {' '.join(str(error).split())}") from None
    lacking = next((member for member in members if member not in found), None)
    if lacking:
        raise MimeoError(f"{path}: has no {lacking}, or is cut off")
    return found


def _rows(path: Path, member: str, held: bytes, labels: int) -> np.ndarray:
    """An image a row: its labels, then its pixels by channel."""
    if not held or len(held) % (labels + PIXELS):
        raise MimeoError(f"{path}, {member}: {len(held)} bytes are no whole number of images")
    return np.frombuffer(held, np.uint8).reshape(-1, labels + PIXELS)


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """As they are at 32; other sizes are resampled bilinearly."""
    images = np.empty((len(items["name"]), SIDE, SIDE, 3), np.uint8)
    row, labels = items["row"].astype(int), items["labels"].astype(int)
    for file in np.unique(items["file"]):
        path, members = find(source, str(file)), np.unique(items["member"][items["file"] == file]).tolist()
        held = _members(path, tuple(members))
        for member in members:
            mine = np.flatnonzero((items["file"] == file) & (items["member"] == member))
            whole = _rows(path, member, held[member], labels[mine[0]])
            if row[mine].max() >= len(whole):
                raise MimeoError(f"{path}, {member}: holds {len(whole)} images, more are listed")
            images[mine] = whole[row[mine], labels[mine[0]] :].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return squares(images, size, channels)
