"""Image files on this machine: listed by name and size, decoded to squares. What every data set of files shares.

Two columns say where an image is: ``place``, the data set's folder below the folder of all data sets, and ``name``,
the path from there.
"""

import hashlib
import io
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from mimeo.datasets import UNKNOWN, Missing
from mimeo.errors import MimeoError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
TORCHVISIONS = SUFFIXES - {".gif"}  # what torchvision's ImageFolder lists, as the papers' code does
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")  # none whose decoder starts another program
LARGEST = 2**27  # pixels of an image: 400 MB in colour
THREADS = 4  # some files are read while others are decoded; no pixel depends on it
FITS = ("crop", "squash", "pad")
DARK = 64  # mean value of what can be seen of an image: below it, black line art would vanish on black
OFFICIAL_SEED = 123  # DS_SEED of Knockoff Nets' code


def home(source: Path | None, folder: str) -> Path:
    """A data set's folder, which need not be there.

    Raises:
        Missing: there is no folder of all data sets.
        MimeoError: the data set's is not below it.
    """
    if source is None:
        raise Missing(f"MIMEO_DATA is not set: it names the folder of all data sets, where {folder!r} is looked for")
    if Path(folder).is_absolute() or ".." in Path(folder).parts:
        raise MimeoError(f"parameter folder: {folder!r} is not below the folder of all data sets")
    return source / folder


def listed(folder: Path) -> dict[str, int]:
    """Every image below a folder: its path from there, with slashes, and its size in bytes. No image is opened.

    Links are followed; hidden files are left alone.

    Raises:
        MimeoError: an empty file, a name that cannot be printed, a link that leads in a circle or nowhere.
    """
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


def like_torchvision(sizes: Mapping[str, int]) -> list[str]:
    """Names ``{class}/...`` as torchvision's ImageFolder orders them; what lies in no class it leaves out."""
    names = [name for name in sizes if "/" in name and Path(name).suffix.lower() in TORCHVISIONS]
    parts = {name: (name.partition("/")[0], *name.rpartition("/")[::2]) for name in names}
    return sorted(names, key=parts.__getitem__)


def held_out(labels: Sequence[int], count: int) -> np.ndarray:
    """Which images Knockoff Nets' code holds out for the test: ``count`` random ones of each class, by one seed.

    Args:
        labels: class indices, N, grouped by class, in the order of torchvision's ImageFolder.

    Returns:
        bool, N. Exactly NumPy's legacy generator, whose stream is frozen, shuffling lists of row numbers.
    """
    random = np.random.RandomState(OFFICIAL_SEED)
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    held = np.zeros(len(labels), bool)
    for of_class in rows.values():
        random.shuffle(of_class)
        held[of_class[:count]] = True
    return held


def check_complete(what: Path, found: int, splits: Mapping[str, int]) -> None:
    """A split that is drawn from all images is another one where some are lacking.

    Raises:
        MimeoError: more or fewer images than are declared, with the difference.
    """
    declared = sum(splits.values())
    if found != declared:
        difference = f"{abs(found - declared):,} too {'many' if found > declared else 'few'}"
        raise MimeoError(f"{what}: {found:,} images are there, {declared:,} are declared: {difference}")


def columns(
    place: str, sizes: Mapping[str, int], split: Sequence[str] | np.ndarray, label: Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """The columns of a data set's list, all but its own, for images that are cropped.

    Args:
        place: the data set's folder below the folder of all data sets.
        sizes: names from there with bytes, in the order of the list.
        split: of each image.
        label: of each image; None where none has a class.
    """
    count = len(sizes)
    return {
        "name": np.array(list(sizes)),
        "split": np.array(split),
        "label": np.full(count, UNKNOWN) if label is None else np.array(label, np.int64),
        "bytes": np.array(list(sizes.values()), np.int64),
        "place": np.full(count, place),
        "fit": np.full(count, "crop"),
    }


def summary(names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, int | str]:
    """What stands for the files in a manifest: hashing the content of a million would take hours."""
    digest = hashlib.sha256("".join(f"{name}\t{sizes[name]}\n" for name in names).encode())
    return {"images": len(names), "bytes": sum(sizes.values()), "sha256_of_names_and_sizes": digest.hexdigest()}


def decode_listed(source: Path | None, items: Mapping[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """``decode`` for the columns place, name, bytes and fit of a list."""
    paths = [home(source, str(place)) / str(name) for place, name in zip(items["place"], items["name"], strict=True)]
    return decode(paths, items["bytes"], items["fit"], size, channels)


def decode(
    paths: Sequence[Path],
    sizes: np.ndarray,
    fits: np.ndarray,
    size: int,
    channels: int,
    parts: np.ndarray | None = None,
) -> np.ndarray:
    """Decodes with Pillow, several files at once; grey is ITU-R 601 luma, transparency is dropped.

    Args:
        sizes: bytes that each file must have, as when it was listed.
        fits: how each becomes a square: ``crop`` brings the shorter side to 256/224 of the size and cuts out the
            centre, as the papers' networks are tested; ``squash`` brings both sides to the size; ``pad`` brings the
            longer side to it, in the middle of a black square, which shows where the image is transparent; a dark
            image is put on white.
        parts: what of each image is taken for the image: left, top, right and bottom in pixels, N x 4; None: all.

    Returns:
        uint8, N x size x size x channels.

    Raises:
        MimeoError: naming the file that is damaged, too large, or of another length.
    """

    def opened(row: int) -> Path:
        if paths[row].stat().st_size != int(sizes[row]):
            raise MimeoError("has another length than when it was listed: delete its items.csv to list anew")
        return paths[row]

    return _decoded([str(path) for path in paths], opened, fits, size, channels, parts)


def decode_members(archive: Path, members: Sequence[str], size: int, channels: int) -> np.ndarray:
    """Decodes image files as they lie in a .zip file, several at once, both sides brought to the size.

    Returns:
        uint8, N x size x size x channels.

    Raises:
        MimeoError: naming the archive, and the file in it, that is damaged, too large or not there.
    """
    try:
        with zipfile.ZipFile(archive) as files:

            def opened(row: int) -> io.BytesIO:
                return io.BytesIO(files.read(members[row]))

            names = [f"{archive}, {member}" for member in members]
            return _decoded(names, opened, np.full(len(names), "squash"), size, channels)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MimeoError(f"{archive}: not readable as a .zip file: {' '.join(str(error).split())}") from None


def _decoded(
    names: Sequence[str],
    opened: Callable[[int], Path | io.BytesIO],
    fits: np.ndarray,
    size: int,
    channels: int,
    parts: np.ndarray | None = None,
) -> np.ndarray:
    """Decodes what ``opened`` gives for each row; an error is a line that begins with the row's name."""
    Image.init()  # before there are threads
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # LARGEST is the limit here
    images = np.empty((len(names), size, size, channels), np.uint8)

    def one(row: int) -> None:
        part = None if parts is None else tuple(parts[row].tolist())
        try:
            images[row] = _pixels(opened(row), str(fits[row]), size, channels, part)
        except MimeoError as error:
            raise MimeoError(f"{names[row]}: {error}") from None
        except Exception as error:  # a damaged file raises what its decoder happens to raise
            raise MimeoError(f"{names[row]}: not readable as an image: {' '.join(str(error).split())}") from None

    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(one, range(len(images))):
            pass
    return images


def _pixels(
    file: Path | io.BytesIO, fit: str, size: int, channels: int, part: tuple[int, ...] | None = None
) -> np.ndarray:
    """One image, or a part of it, size x size x channels."""
    with Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > LARGEST:
            raise MimeoError(f"{image.width} x {image.height} pixels, at most {LARGEST:,} are decoded")
        left, top, right, bottom = part or (0, 0, image.width, image.height)
        if fit == "pad":
            square = _padded(image, (left, top, right, bottom), size).convert("L" if channels == 1 else "RGB")
        else:
            inner = _box(right - left, bottom - top, fit, size)
            square = _colours(image, channels).resize(
                (size, size),
                Image.Resampling.BILINEAR,
                box=(left + inner[0], top + inner[1], left + inner[2], top + inner[3]),
            )
        return np.asarray(square).reshape(size, size, channels)


def squares(images: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Images that are arrays already, brought to a size as ``decode`` brings them there, all at once.

    Args:
        images: uint8, N x height x width (grey) or N x height x width x 3.

    Returns:
        uint8, N x size x size x channels; grey is repeated, and is ITU-R 601 luma of colour.
    """
    if images.ndim == 4 and channels == 1:
        tall = np.ascontiguousarray(images).reshape(-1, images.shape[2], 3)
        images = (
            np.asarray(Image.fromarray(tall).convert("L")).reshape(images.shape[:3]) if len(images) else images[..., 0]
        )
    if len(images) and images.shape[1:3] != (size, size):
        # Pillow resamples rows, then columns, and rounds in between: as one tall picture each, to the same pixels
        images = _resampled(_resampled(images, size).swapaxes(1, 2), size).swapaxes(1, 2)
    elif not len(images):
        images = np.empty((0, size, size, *images.shape[3:]), np.uint8)
    return images if images.ndim == 4 else np.repeat(images[..., None], channels, axis=-1)


def _resampled(images: np.ndarray, width: int) -> np.ndarray:
    """Rows of every image brought to a width."""
    count, height, _, *colours = images.shape
    tall = Image.fromarray(np.ascontiguousarray(images).reshape(count * height, -1, *colours))
    return np.asarray(tall.resize((width, count * height), Image.Resampling.BILINEAR)).reshape(
        count, height, width, *colours
    )


def _padded(image: Image.Image, box: tuple[int, int, int, int], size: int) -> Image.Image:
    """A part of the image, its longer side brought to the size, in the middle of a black square; on white if dark."""
    width, height = box[2] - box[0], box[3] - box[1]
    across, down = (max(1, round(size * side / max(width, height))) for side in (width, height))
    # resized with its transparency, which Pillow multiplies in first: no colour of an invisible pixel bleeds out
    small = _known(image).convert("RGBA").resize((across, down), Image.Resampling.BILINEAR, box=box)
    values = np.asarray(small, np.float32)
    seen = values[..., 3]
    dark = (values[..., :3].mean(2) * seen).sum() < DARK * seen.sum()
    square = Image.new("RGB", (size, size), "white" if dark else "black")
    square.paste(small, ((size - across) // 2, (size - down) // 2), small)
    return square


def _colours(image: Image.Image, channels: int) -> Image.Image:
    """The image in grey or colour."""
    return _known(image).convert("L" if channels == 1 else "RGB")


def _known(image: Image.Image) -> Image.Image:
    """The image with 8 bits a channel; of 16 bits a pixel the upper 8."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode}")
    return image


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
