"""GTSRB: photographs of 43 German traffic signs, 26,640 and 12,630 images of many sizes (Stallkamp et al. 2011).

Source: sid.erda.dk, the files that torchvision names; images are decoded out of them, whole, to squares. The training
images come in tracks of 30 of the same sign, one column.
"""

import csv
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from mimeo.datasets import Index
from mimeo.downloads import Published, facts, find, obtain
from mimeo.errors import MimeoError
from mimeo.pictures import decode_members

CLASSES = 43
LICENCE = "free use, Institut für Neuroinformatik, Ruhr-Universität Bochum"
ADDRESS = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
TRAINING, TEST, TRUTH = (
    Published(f"gtsrb/{name}", md5, (f"{ADDRESS}{name}",))
    for name, md5 in (
        ("GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478"),
        ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
        ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
    )
)
FILES = {"train": (TRAINING,), "test": (TEST, TRUTH)}
TABLE = "GT-final_test.csv"


def index(source: Path | None, splits: dict[str, int]) -> Index:
    """Names are ``train/00000/00000_00000.ppm``, class and track and number, and ``test/00000.ppm``."""
    if not set(splits) <= set(FILES):
        raise MimeoError(f"splits {sorted(set(splits) - set(FILES))} are none of {', '.join(FILES)}")
    files = [file for split in splits for file in FILES[split]]
    there = {file: obtain(source, file) for file in files}
    truth = _truth(there[TRUTH]) if TRUTH in there else {}
    rows = []
    for split in splits:
        images = FILES[split][0]
        for member in _images(there[images]):
            *_, folder, name = member.split("/")
            known = {"train": folder, "test": truth.get(name, "")}[split]
            if not known.isdecimal() or int(known) >= CLASSES:
                raise MimeoError(f"{there[images]}, {member}: its class is {known!r}, not one of {CLASSES}")
            track = name.split("_")[0] if split == "train" else ""
            short = f"{folder}/{name}" if split == "train" else name
            rows.append((f"{split}/{short}", split, int(known), images.path, member, track))
    header = ("name", "split", "label", "file", "member", "track")
    columns = {name: np.array(column) for name, column in zip(header, zip(*rows, strict=True), strict=True)}
    return Index(columns, tuple(f"{number:05d}" for number in range(CLASSES)), summary=facts(files, LICENCE))


def _images(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(name for name in archive.namelist() if name.endswith(".ppm"))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MimeoError(f"{path}: not readable: {' '.join(str(error).split())}") from None
    if not found:
        raise MimeoError(f"{path}: holds no image")
    return found


def _truth(path: Path) -> dict[str, str]:
    """The class of every test image, by its name: a table with semicolons."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(TABLE).decode()
        rows = csv.DictReader(io.StringIO(text), delimiter=";", skipinitialspace=True)
        return {row["Filename"]: row["ClassId"] or "" for row in rows}
    except (OSError, ValueError, KeyError, EOFError, csv.Error, zlib.error, zipfile.BadZipFile) as error:
        raise MimeoError(f"{path}, {TABLE}: not readable: {' '.join(str(error).split())}") from None


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Decodes the listed images, both sides brought to the size."""
    images = np.empty((len(items["name"]), size, size, channels), np.uint8)
    for file in np.unique(items["file"]):
        mine = items["file"] == file
        images[mine] = decode_members(find(source, str(file)), items["member"][mine].tolist(), size, channels)
    return images
