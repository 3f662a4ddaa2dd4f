"""Image files on this machine: listed by name and size, decoded to squares. What every data set of files shares."""

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

from mimeo.errors import MimeoError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")  # none whose decoder starts another program
LARGEST = 2**27  # pixels of an image: 400 MB in colour
THREADS = 4  # some files are read while others are decoded; no pixel depends on it
FITS = ("crop", "squash")


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


def summary(names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, int | str]:
    """What stands for the files in a manifest: hashing the content of a million would take hours."""
    digest = hashlib.sha256("".join(f"{name}\t{sizes[name]}\n" for name in names).encode())
    return {"images": len(names), "bytes": sum(sizes.values()), "sha256_of_names_and_sizes": digest.hexdigest()}


def decode(paths: Sequence[Path], sizes: np.ndarray, fits: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Decodes with Pillow, several files at once; grey is ITU-R 601 luma, transparency is dropped.

    Args:
        sizes: bytes that each file must have, as when it was listed.
        fits: how each becomes a square: ``crop`` brings the shorter side to 256/224 of the size and cuts out the
            centre, as the papers' networks are tested; ``squash`` brings both sides to the size.

    Returns:
        uint8, N x size x size x channels.

    Raises:
        MimeoError: naming the file that is damaged, too large, or of another length.
    """

    def opened(row: int) -> Path:
        if paths[row].stat().st_size != int(sizes[row]):
            raise MimeoError("has another length than when it was listed: delete its items.csv to list anew")
        return paths[row]

    return _decoded([str(path) for path in paths], opened, fits, size, channels)


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
    names: Sequence[str], opened: Callable[[int], Path | io.BytesIO], fits: np.ndarray, size: int, channels: int
) -> np.ndarray:
    """Decodes what ``opened`` gives for each row; an error is a line that begins with the row's name."""
    Image.init()  # before there are threads
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # LARGEST is the limit here
    images = np.empty((len(names), size, size, channels), np.uint8)

    def one(row: int) -> None:
        try:
            images[row] = _pixels(opened(row), str(fits[row]), size, channels)
        except MimeoError as error:
            raise MimeoError(f"{names[row]}: {error}") from None
        except Exception as error:  # a damaged file raises what its decoder happens to raise
            raise MimeoError(f"{names[row]}: not readable as an image: {' '.join(str(error).split())}") from None

    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(one, range(len(images))):
            pass
    return images


def _pixels(file: Path | io.BytesIO, fit: str, size: int, channels: int) -> np.ndarray:
    """One image, size x size x channels."""
    with Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > LARGEST:
            raise MimeoError(f"{image.width} x {image.height} pixels, at most {LARGEST:,} are decoded")
        square = _colours(image, channels).resize(
            (size, size), Image.Resampling.BILINEAR, box=_box(image.width, image.height, fit, size)
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
