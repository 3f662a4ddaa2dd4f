"""Grey images of 28 x 28 in MNIST's format (idx): MNIST itself and the sets that were made to replace it.

Source: the files that torchvision names, as it lays them out; unpacked in memory, so that no unpacked file is trusted.
EMNIST is its part ``balanced``; its images lie on their side in the files and are turned upright here.
"""

import string
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mimeo.datasets import Index
from mimeo.downloads import Published, content, facts, find, obtain
from mimeo.errors import MimeoError
from mimeo.pictures import squares

SIDE = 28
KINDS = ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
PARTS = {split: tuple(f"{part}-{kind}" for kind in KINDS) for split, part in (("train", "train"), ("test", "t10k"))}
BALANCED = {split: tuple(f"gzip/emnist-balanced-{split}-{kind}" for kind in KINDS) for split in ("train", "test")}


@dataclass(frozen=True)
class Collection:
    """Attributes: ``files`` as published; ``parts``, a split's images and labels, either files or members of one."""

    files: tuple[Published, ...]
    parts: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    licence: str
    sideways: bool = False


def _four(
    folder: str, mirrors: tuple[str, ...], md5s: tuple[str, ...], contents: tuple[str, ...] = ("",) * 4
) -> tuple[Published, ...]:
    """The files of a set that is published like MNIST: images and labels of both splits."""
    names = [name for part in PARTS.values() for name in part]
    return tuple(
        Published(f"{folder}/raw/{name}", md5, tuple(f"{mirror}{name}" for mirror in mirrors), held)
        for name, md5, held in zip(names, md5s, contents, strict=True)
    )


COLLECTIONS = {
    "MNIST": Collection(
        files=_four(
            "MNIST",
            ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
        parts=PARTS,
        classes=tuple(string.digits),
        licence="CC BY-SA 3.0, LeCun, Cortes, Burges",
    ),
    "FashionMNIST": Collection(
        files=_four(
            "FashionMNIST",
            ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
            # Debian's copies lack name and time in their headers; with these put back they have the md5s above.
            (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        parts=PARTS,
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        licence="MIT, Zalando SE",
    ),
    "KMNIST": Collection(
        files=_four(
            "KMNIST",
            ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            (
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
        ),
        parts=PARTS,
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        licence="CC BY-SA 4.0, CODH (KMNIST)",
    ),
    "EMNIST": Collection(
        files=(
            Published(
                "EMNIST/raw/gzip.zip",
                "58c8d27c78d21e728a6bc7b3cc06412e",
                ("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",),
            ),
        ),
        parts=BALANCED,
        classes=tuple(sorted({*string.digits, *string.ascii_letters} - set("cijklmopsuvwxyz"))),
        licence="public domain (NIST), Cohen et al.",
        sideways=True,
    ),
}


def index(source: Path | None, splits: dict[str, int], *, name: str, package: str | None = None) -> Index:
    """Names are ``train/00000`` and so on, in the order of the files.

    Args:
        name: of the set, as torchvision calls its class: MNIST, FashionMNIST, KMNIST or EMNIST.
        package: the folder in which the system's package manager installs the files, looked at where they are not in
            the folder of all data sets.
    """
    if name not in COLLECTIONS:
        raise MimeoError(f"parameter name: {name!r} is none of {', '.join(COLLECTIONS)}")
    chosen = COLLECTIONS[name]
    if not set(splits) <= set(chosen.parts):
        raise MimeoError(f"splits {sorted(set(splits) - set(chosen.parts))} are none of {', '.join(chosen.parts)}")
    wanted = [path for split in splits for path in chosen.parts[split]]
    files = {file.path: file for file in chosen.files if len(chosen.files) == 1 or Path(file.path).name in wanted}
    there = {Path(path).name: obtain(source, file, package) for path, file in files.items()}
    whole = next(iter(files))  # the one archive of a set that is a single file
    labels, places = [], []
    for split in splits:
        images, named = (_place(part, files, whole) for part in chosen.parts[split])
        path, member = named
        labels.append(_parsed(there[Path(path).name], member, 1).astype(np.int64))
        places.append(images)
    counts = [len(part) for part in labels]
    row = np.concatenate([np.arange(count) for count in counts])
    column = np.repeat(list(splits), counts)
    return Index(
        columns={
            "name": np.array([f"{split}/{number:05d}" for split, number in zip(column, row, strict=True)]),
            "split": column,
            "label": np.concatenate(labels),
            "file": np.repeat([path for path, _ in places], counts),
            "member": np.repeat([member for _, member in places], counts),
            "row": row,
            "sideways": np.full(len(row), int(chosen.sideways)),
            "package": np.full(len(row), package or ""),
        },
        classes=chosen.classes,
        summary=facts(files.values(), chosen.licence),
    )


def _place(part: str, files: dict[str, Published], whole: str) -> tuple[str, str]:
    """Where a part lies: a file of its own, or the one archive and its member."""
    own = next((path for path in files if Path(path).name == part), None)
    return (own, "") if own else (whole, part)


def _parsed(path: Path, member: str, axes: int) -> np.ndarray:
    """What an idx file of bytes holds: N, or N x 28 x 28.

    Its header is the type (8: bytes), the number of axes, and their lengths as big-endian integers of 4 bytes.
    """
    held = content(path, member)
    start = 4 + 4 * axes
    lengths = np.frombuffer(held[4:start], ">u4") if len(held) >= start else np.zeros(0, ">u4")
    expected = [SIDE] * (axes - 1)
    if held[:4] != bytes([0, 0, 8, axes]) or lengths[1:].tolist() != expected or len(held) - start != lengths.prod():
        what = "labels" if axes == 1 else f"images of {SIDE} x {SIDE}"
        raise MimeoError(f"{path}{member and f', {member}'}: not an idx file of {what}, or cut off")
    return np.frombuffer(held, np.uint8, offset=start).reshape(lengths.astype(int))


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Grey, repeated in every channel; other sizes than 28 are resampled bilinearly."""
    images = np.empty((len(items["name"]), SIDE, SIDE), np.uint8)
    row, places = items["row"].astype(int), list(zip(items["file"], items["member"], items["package"], strict=True))
    for place in sorted(set(places)):
        file, member, package = map(str, place)
        mine = np.array([other == place for other in places])
        path = find(source, file, package)
        whole = _parsed(path, member, 3)
        if row[mine].max() >= len(whole):
            raise MimeoError(f"{path}{member and f', {member}'}: holds {len(whole)} images, more are listed")
        images[mine] = whole[row[mine]]
    sideways = items["sideways"].astype(int) == 1
    images[sideways] = images[sideways].swapaxes(1, 2)
    return squares(images, size, channels)
