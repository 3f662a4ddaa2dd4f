"""Published files of data sets: found on this machine, checked, and fetched once where they are not there.

Sources in order: the folder of all data sets, where they lie as torchvision lays them out; a folder in which the
system's package manager installs them; the publishers' addresses, from which they go into the first. Fetching is our
own: torchvision takes most sets' unpacked files on trust, so one cut off while it was unpacked would be taken for good.
"""

import contextlib
import gzip
import hashlib
import http.client
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mimeo.datasets import Missing
from mimeo.errors import MimeoError
from mimeo.store import atomic

CHUNK = 2**20
PATIENCE = 60  # seconds without a byte


@dataclass(frozen=True)
class Published:
    """A file as its publishers offer it.

    Attributes:
        path: where it lies below the folder of all data sets: torchvision's layout.
        md5: of the file.
        addresses: where it can be had, the first that answers counts.
        content: sha256 of what a .gz file holds: how a copy with another header, as packages have it, is known.
    """

    path: str
    md5: str
    addresses: tuple[str, ...]
    content: str = ""


def facts(files: Iterable[Published], licence: str) -> dict[str, int | str]:
    """What a manifest says of checked files: the published digests, whichever of the sources they come from."""
    return {**{file.path: f"md5 {file.md5}" for file in files}, "licence": licence}


def obtain(source: Path | None, file: Published, package: str | None = None) -> Path:
    """A published file on this machine, checked; fetched where it is not there. For ``index``.

    Raises:
        Missing: it is not there and cannot be fetched, or there is no folder to fetch it into.
        MimeoError: a file of its name is there, and is not it.
    """
    there = _there(source, file.path, package)
    if there is None:
        there = _target(source, file.path)
        _fetch(file, there)
    else:
        _check(there, file)
    return there


def find(source: Path | None, path: str, package: str | None = None) -> Path:
    """A file that ``obtain`` has checked. For ``read``, which fetches nothing.

    Raises:
        Missing: it is no longer there.
    """
    there = _there(source, path, package)
    if there is None:
        raise Missing(f"no file {_target(source, path)}: delete the data set's items.csv to fetch it again")
    return there


def extract(
    source: Path | None, file: Published, opened: Callable[[], contextlib.AbstractContextManager[IO[bytes]]]
) -> Path:
    """A file that is published as part of an archive: as it lies there, else unpacked from what ``opened`` gives.

    Raises:
        Missing: there is no folder to unpack it into.
        MimeoError: a file of its name is there, or comes out of the archive, and is not it.
    """
    there = _there(source, file.path)
    if there is not None:
        _check(there, file)
        return there
    target = _target(source, file.path)
    try:
        with opened() as part:
            _write(part, target, file.md5)
    except (OSError, EOFError, zlib.error) as error:
        raise MimeoError(f"{target}: not to be unpacked: {_line(error)}") from None
    return target


def content(path: Path, member: str = "") -> bytes:
    """The bytes of a .gz file, or of one that is a member of a .zip file.

    Raises:
        MimeoError: not readable, truncated or damaged.
    """
    try:
        if not member:
            return gzip.decompress(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            return gzip.decompress(archive.read(member))
    except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise MimeoError(f"{path}{member and f', {member}'}: not readable: {_line(error)}") from None


def _there(source: Path | None, path: str, package: str | None = None) -> Path | None:
    """The first place that has the file."""
    places = [source / path] if source else []
    places += [Path(package) / Path(path).name] if package else []
    try:
        return next((place for place in places if place.is_file()), None)
    except OSError as error:
        raise MimeoError(f"{error.filename}: not readable: {error.strerror}") from None


def _target(source: Path | None, path: str) -> Path:
    if source is None:
        raise Missing(f"MIMEO_DATA is not set: it names the folder of all data sets, where {path!r} is looked for")
    return source / path


def _check(path: Path, file: Published) -> None:
    try:
        with open(path, "rb") as opened:
            found = hashlib.file_digest(opened, _md5).hexdigest()
    except OSError as error:
        raise MimeoError(f"{path}: not readable: {error.strerror}") from None
    if found == file.md5:
        return
    if file.content:
        with contextlib.suppress(MimeoError):
            if hashlib.sha256(content(path)).hexdigest() == file.content:
                return
    raise MimeoError(
        f"{path}: has md5 {found}, expected {file.md5}: damaged or another file; delete it to fetch it anew"
    )


def _fetch(file: Published, target: Path) -> None:
    tried = []
    for address in file.addresses:
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "mimeo"})
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                _write(answer, target, file.md5)
            return
        except (OSError, ValueError, http.client.HTTPException, MimeoError) as error:
            tried.append(f"{address}: {_line(error)}")
    raise Missing(f"{target} is not there and cannot be fetched ({'; '.join(tried)})")


def _write(part: IO[bytes], target: Path, md5: str) -> None:
    """Writes a stream to a file that appears only when it is whole and has the digest."""
    digest = _md5()
    with atomic(target) as file:
        while chunk := part.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != md5:
            raise MimeoError(
                f"{target.name} came with md5 {digest.hexdigest()}, expected {md5}: cut off or another file"
            )


def _md5() -> "hashlib._Hash":
    """A check of wholeness, not of safety: publishers give no other digest."""
    return hashlib.md5(usedforsecurity=False)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
