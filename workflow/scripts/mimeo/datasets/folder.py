"""Images in a folder of this machine: the papers' data sets once they are fetched, or your own.

Below the folder of all data sets lies one folder a data set, and in it ``{split}/{class}/...``, or ``{class}/...``
with a committed split file; images of an unlabelled split may lie at any depth. An image's name is its path below the
data set's folder. Class names are the folders' names, in sorted order.

Links are followed: shared stores hand data sets out as links, and a split arranged by links needs no copy. Nothing is
ever written there, and a link to a folder above itself is refused.
"""

import hashlib
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from mimeo.datasets import UNKNOWN, Index, Missing, read_split
from mimeo.errors import MimeoError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")  # none whose decoder starts another program
LARGEST = 2**27  # pixels of an image: 400 MB in colour
THREADS = 4  # some files are read while others are decoded; no pixel depends on it
FITS = ("crop", "squash")
SPLITS = Path(__file__).parent / "splits"


def index(
    source: Path | None,
    splits: dict[str, int],
    *,
    folder: str,
    unlabelled: list | None = None,
    split_file: str | None = None,
    fit: str = "crop",
) -> Index:
    """Lists names and sizes in bytes; no image is opened.

    Args:
        folder: of this data set, below the folder of all data sets.
        unlabelled: splits whose images have no class.
        split_file: a file of ``datasets/splits/``, without ``.csv``, that says which image belongs to which split;
            images that it does not name are no part of the data set. None: the first folder is the split.
        fit: how an image becomes a square: ``crop`` brings the shorter side to 256/224 of the size and cuts out the
            centre, as the papers' networks are tested; ``squash`` brings both sides to the size.
    """
    root, bare = _root(source, folder), set(unlabelled or ())
    if fit not in FITS:
        raise MimeoError(f"parameter fit: {fit!r} is none of {', '.join(FITS)}")
    if not bare <= set(splits):
        raise MimeoError(f"parameter unlabelled: {sorted(bare - set(splits))} are no splits of the data set")
    if split_file is None:
        split_of = {}
        sizes = {f"{split}/{name}": size for split in splits for name, size in _listed(root / split).items()}
    else:
        split_of = read_split(SPLITS / f"{split_file}.csv")
        sizes = _listed(root)
        _check_there(root, split_of, sizes)
        sizes = {name: sizes[name] for name, split in split_of.items() if split in splits}
    names = sorted(sizes)
    split = [split_of.get(name) or name.split("/")[0] for name in names]
    kinds = [
        None if where in bare else _class(root, name, 1 if split_file is None else 0)
        for name, where in zip(names, split, strict=True)
    ]
    classes = sorted({kind for kind in kinds if kind is not None})
    number = {kind: label for label, kind in enumerate(classes)} | {None: UNKNOWN}
    return Index(
        columns={
            "name": np.array(names),
            "split": np.array(split),
            "label": np.array([number[kind] for kind in kinds], np.int64),
            "bytes": np.array([sizes[name] for name in names], np.int64),
            "place": np.full(len(names), folder),
            "fit": np.full(len(names), fit),
        },
        classes=tuple(classes),
        summary=_summary(names, sizes),
    )


def _root(source: Path | None, folder: str) -> Path:
    if source is None:
        raise Missing(f"MIMEO_DATA is not set: it names the folder of all data sets, where {folder!r} is looked for")
    if Path(folder).is_absolute() or ".." in Path(folder).parts:
        raise MimeoError(f"parameter folder: {folder!r} is not below the folder of all data sets")
    return source / folder


def _listed(folder: Path) -> dict[str, int]:
    """Names below a folder, and sizes in bytes, of every image there."""
    if not folder.is_dir():
        raise Missing(f"no folder {folder}")
    return _images(folder, ())


def _images(folder: Path, above: tuple[tuple[int, int], ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    path = folder
    try:
        here = folder.stat()
        if (here.st_dev, here.st_ino) in above:
            raise MimeoError(f"{folder}: a link to a folder above it")
        for path in folder.iterdir():
            name = path.name
            if name.startswith("."):
                continue
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                below = _images(path, (*above, (here.st_dev, here.st_ino)))
                found |= {f"{name}/{rest}": size for rest, size in below.items()}
            elif stat.S_ISREG(status.st_mode) and path.suffix.lower() in SUFFIXES:
                found[name] = status.st_size
            if not name.isprintable():
                raise MimeoError(f"{str(path)!r}: a name that cannot be printed")
            if found.get(name) == 0:
                raise MimeoError(f"{path}: an empty file")
    except OSError as error:
        link = ", a broken link" if path.is_symlink() else ""
        raise MimeoError(f"{path}: not readable{link}: {error.strerror}") from None
    return found


def _check_there(root: Path, split_of: dict[str, str], sizes: dict[str, int]) -> None:
    lacking = [name for name in split_of if name not in sizes]
    if lacking:
        raise MimeoError(f"{root}: {len(lacking)} images of the split file are not there, the first is {lacking[0]!r}")


def _class(root: Path, name: str, depth: int) -> str:
    """The folder of that depth among those around an image."""
    folders = name.split("/")[:-1]
    if len(folders) <= depth:
        raise MimeoError(f"{root / name}: lies in no folder of a class (is its split one of `unlabelled`?)")
    return folders[depth]


def _summary(names: list[str], sizes: dict[str, int]) -> dict[str, int | str]:
    """What stands for the files in the manifest: hashing the content of a million would take hours."""
    digest = hashlib.sha256("".join(f"{name}\t{sizes[name]}\n" for name in names).encode())
    return {"images": len(names), "bytes": sum(sizes.values()), "sha256_of_names_and_sizes": digest.hexdigest()}


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Decodes with Pillow, several files at once; grey is ITU-R 601 luma, transparency is dropped."""
    Image.init()  # before there are threads
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # LARGEST is the limit here
    images = np.empty((len(items["name"]), size, size, channels), np.uint8)

    def decode(row: int) -> None:
        path = _root(source, str(items["place"][row])) / str(items["name"][row])
        images[row] = _pixels(path, int(items["bytes"][row]), str(items["fit"][row]), size, channels)

    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(decode, range(len(images))):
            pass
    return images


def _pixels(path: Path, listed: int, fit: str, size: int, channels: int) -> np.ndarray:
    """One image, size x size x channels; its file must be as long as it was when it was listed."""
    try:
        if path.stat().st_size != listed:
            raise MimeoError(f"{path}: has another length than when it was listed: delete its items.csv to list anew")
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise MimeoError(f"{path}: {image.width} x {image.height} pixels, at most {LARGEST:,} are decoded")
            square = _colours(image, channels).resize(
                (size, size), Image.Resampling.BILINEAR, box=_box(image.width, image.height, fit, size)
            )
            return np.asarray(square).reshape(size, size, channels)
    except MimeoError:
        raise
    except Exception as error:  # a damaged file raises what its decoder happens to raise
        raise MimeoError(f"{path}: not readable as an image: {' '.join(str(error).split())}") from None


def _colours(image: Image.Image, channels: int) -> Image.Image:
    """The image in grey or colour; of 16 bits a pixel the upper 8."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}")
    return image.convert("L" if channels == 1 else "RGB")


def _box(width: int, height: int, fit: str, size: int) -> tuple[float, float, float, float]:
    """What of the image is resampled to size x size: left, top, right and bottom, in pixels of the image.

    Resampling a part gives the pixels that cutting the part out of the whole resampled would give, and an image of
    extreme shape takes no more memory than another.
    """
    if fit == "squash":
        return 0, 0, width, height
    short = round(size * 256 / 224)
    across, down = (short, short * height // width) if width <= height else (short * width // height, short)
    left, top = round((across - size) / 2), round((down - size) / 2)
    per_column, per_row = width / across, height / down
    return left * per_column, top * per_row, (left + size) * per_column, (top + size) * per_row
