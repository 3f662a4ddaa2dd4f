"""What a data set's owners hand out: found unpacked, unpacked from an archive that lies there, or downloaded first.

Several jobs may want the same at once: each works under a name of its own, and the first that is done renames what it
has into place. Nothing half done is ever under the final name, and what failed leaves nothing behind.
"""

import contextlib
import hashlib
import http.client
import shutil
import stat
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from mimeo.datasets import Missing
from mimeo.errors import MimeoError
from mimeo.store import atomic

TIMES, ALLOWED = 20, 2**30  # what comes out may be so many times the archive's length, and so many bytes more
PATIENCE = 60  # seconds without a byte
BLOCK = 2**20


@dataclass(frozen=True)
class Archive:
    """An archive, and what is wanted of it.

    Attributes:
        file: its name in the data set's folder.
        holds: the folder or file at its top that is wanted, and its name once unpacked.
        url: where it is downloaded from; empty where it has to be fetched by hand.
        digest: ``md5:...`` or ``sha256:...`` of what the url gives; what lies there already is not held against it.
    """

    file: str
    holds: str
    url: str = ""
    digest: str = ""


def obtained(root: Path, archive: Archive) -> Path:
    """What an archive holds, unpacked: ``root / archive.holds``, wherever it has to come from.

    Args:
        root: the data set's folder; made where something is downloaded, if the folder around it is there.

    Raises:
        Missing: neither there nor to be downloaded.
        MimeoError: the archive is damaged, unsafe or without what is wanted, or there is no writing to the folder.
    """
    target, file = root / archive.holds, root / archive.file
    if target.exists():
        return target
    if not file.is_file():
        if not archive.url:
            raise Missing(f"neither {target} nor {file} is there")
        if not root.parent.is_dir():
            raise Missing(f"no folder {root.parent}")
        download(archive.url, file, archive.digest)
    unpack(file, archive.holds, target)
    return target


def download(url: str, path: Path, digest: str) -> None:
    """Downloads a file; it appears under ``path`` whole, with the right digest, or not at all.

    Args:
        digest: ``md5:...`` or ``sha256:...``, in hexadecimal.

    Raises:
        Missing: the server cannot be reached, refuses, or stops early.
        MimeoError: another digest, or there is no writing to the folder.
    """
    kind, _, expected = digest.partition(":")
    found, length = hashlib.new(kind), 0
    request = urllib.request.Request(url, headers={"User-Agent": "mimeo"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer, _written(path) as file:
            declared = answer.headers.get("Content-Length")
            while block := _received(url, answer):
                found.update(block)
                length += len(block)
                file.write(block)
            if declared is not None and length != int(declared):
                raise Missing(f"{url}: cut short after {length:,} of {int(declared):,} bytes")
            if found.hexdigest() != expected:
                raise MimeoError(f"{url}: has {kind} {found.hexdigest()}, expected {expected}: not kept")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Missing(f"{url}: not to be downloaded: {_line(error)}") from None


def _received(url: str, answer: IO[bytes]) -> bytes:
    try:
        return answer.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise Missing(f"{url}: cut short: {_line(error)}") from None


@contextlib.contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """``atomic``, with its own failures told from those of the network."""
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic(path) as file:
            yield file
    except OSError as error:
        raise MimeoError(f"{path}: not written: {_line(error)}") from None


def unpack(archive: Path, holds: str, target: Path) -> None:
    """Unpacks a tar (of any compression) or zip, and keeps of it one folder or file of its top, as ``target``.

    Raises:
        MimeoError: naming the archive and its member.
    """
    with _beside(archive, target) as folder:
        _members(archive, folder)
        if not (folder / holds).exists():
            raise MimeoError(f"{archive}: has no {holds!r} at its top")
        _settle(folder / holds, target)


def unpack_each(archive: Path, target: Path) -> None:
    """Unpacks a tar of tars: ``name.tar`` in it becomes the folder ``target/name``; nothing but them is looked at.

    Raises:
        MimeoError: naming the archive and its member.
    """
    with _beside(archive, target) as folder:
        whole = folder / target.name
        whole.mkdir()
        with _told(archive) as at, tarfile.open(archive) as outer:
            for member in _each(outer):
                at(member.name)
                name = PurePosixPath(member.name)
                if member.isreg() and name.suffix == ".tar" and _safe(member.name):
                    within = whole / name.stem
                    within.mkdir()
                    with tarfile.open(fileobj=outer.extractfile(member)) as inner:
                        _untar(inner, within, member.size, at, f"{name}: ")
        _settle(whole, target)


@contextlib.contextmanager
def _beside(archive: Path, target: Path) -> Iterator[Path]:
    """A folder beside the target that is gone afterwards, whatever happens."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise MimeoError(f"{archive}: not to be unpacked beside {target}: {_line(error)}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle(whole: Path, target: Path) -> None:
    """Renames what is whole; where another job was first, its own is as good."""
    try:
        whole.rename(target)
    except OSError as error:
        if not target.exists():
            raise MimeoError(f"{target}: not written: {_line(error)}") from None


@contextlib.contextmanager
def _told(archive: Path) -> Iterator[Callable[[str], None]]:
    """Makes any failure one line with the archive and the member that the block has said last."""
    at = ""

    def remember(name: str) -> None:
        nonlocal at
        at = name

    try:
        yield remember
    except Exception as error:  # a damaged archive raises what its reader happens to raise
        where = f", at {at!r}" if at else ""
        raise MimeoError(f"{archive}: not unpacked{where}: {_line(error)}") from None


def _members(archive: Path, folder: Path) -> None:
    with _told(archive) as at:
        length = archive.stat().st_size
        if tarfile.is_tarfile(archive):  # asked first: a tar may end in a zip
            with tarfile.open(archive) as tar:
                _untar(tar, folder, length, at)
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _unzip(opened, folder, length, at)
        else:
            raise ValueError("neither a tar nor a zip, or cut short")


def _untar(tar: tarfile.TarFile, folder: Path, length: int, at: Callable[[str], None], prefix: str = "") -> None:
    """Regular files, folders and links that lead downwards; the filter refuses devices and pipes."""
    total = 0
    for member in _each(tar):
        at(prefix + member.name)
        total += _sized(member.size, total, length)
        if not _safe(member.name) or ((member.issym() or member.islnk()) and not _safe(member.linkname)):
            raise ValueError("leads out of the archive")
        tar.extract(member, folder, filter="data")


def _each(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of a tar. Its own iteration ends without a word where a header is damaged."""
    yield from tar
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if any(tar.fileobj.read(tarfile.BLOCKSIZE)):  # zeros, or nothing: some writers leave the mark of the end out
        raise tarfile.ReadError("what follows it is no header")


def _unzip(opened: zipfile.ZipFile, folder: Path, length: int, at: Callable[[str], None]) -> None:
    total = 0
    for member in opened.infolist():
        at(member.filename)
        total += _sized(member.file_size, total, length)
        if not _safe(member.filename) or stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError("a link, or leads out of the archive")
        opened.extract(member, folder)


def _sized(size: int, total: int, length: int) -> int:
    """A member's size with a header's, refused where all together are absurdly more than the archive."""
    size += tarfile.BLOCKSIZE
    if total + size > TIMES * length + ALLOWED:
        raise ValueError(f"more than {TIMES} times the archive's {length:,} bytes")
    return size


def _safe(name: str) -> bool:
    """Whether a name stays below where it is unpacked, on any system."""
    windows = PureWindowsPath(name)
    return bool(name) and not (windows.drive or windows.root or ".." in windows.parts)


def _line(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return " ".join(str(reason).split()) or type(error).__name__
