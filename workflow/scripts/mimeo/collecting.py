"""Fetching lists and many image files from the net: in parallel, resumable, and patient with files that are gone.

What data sets share whose images are fetched one by one. Nothing here decides which images those are.
"""

import csv
import hashlib
import secrets
import shutil
import ssl
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from http.client import HTTPException
from io import BytesIO
from itertools import islice
from operator import itemgetter
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, build_opener, urlopen

import numpy as np
from PIL import Image

from mimeo.datasets import Missing
from mimeo.errors import MimeoError
from mimeo.records import clock
from mimeo.store import atomic, save_csv

TIMEOUT = 30.0  # seconds without a byte
EVERY = 10.0  # seconds between two lines of progress
IN_A_ROW = 10  # requests without a useful answer, after which the net is taken to be away
FEW = 1000  # images from which on a share of failures says something
PERMANENT = ("HTTP 404", "HTTP 410")  # not tried again; anything else may pass
NOTES = ("id", "reason")


def obtain(url: str, path: Path) -> Path:
    """Fetches one file, unless it is there.

    Raises:
        Missing: it is neither there nor to be had.
    """
    if path.is_file():
        return path
    print(f"fetching {url}", file=sys.stderr, flush=True)
    try:
        answer = urlopen(url, timeout=TIMEOUT)
    except (OSError, HTTPException, ValueError) as error:
        raise Missing(f"{path} is not there, and {url} gives {_reason(error)}") from None
    with answer, atomic(path) as file:
        try:
            shutil.copyfileobj(answer, file, 2**20)
        except (TimeoutError, ConnectionError, ssl.SSLError, HTTPException) as error:  # not those of the disk
            raise Missing(f"{path} is not there, and {url} breaks off: {_reason(error)}") from None
        expected = answer.headers.get("Content-Length")
        if expected is not None and file.tell() != int(expected):
            raise Missing(f"{path} is not there, and {url} breaks off after {file.tell()} of {expected} bytes")
    return path


def read_rows(path: Path, columns: Sequence[str], take: Callable[..., None], header: bool = True) -> None:
    """Calls ``take`` with each row's cells of these columns, all text; without a header, with all of as many cells.

    Raises:
        MimeoError: missing, a column is lacking, or a row is short or one that ``take`` refuses by a ValueError.
    """
    line = 1
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            found = next(rows, []) if header else list(columns)
            if lacking := [name for name in columns if name not in found]:
                raise ValueError(f"no column {lacking[0]!r}")
            cells = itemgetter(*map(found.index, columns))
            for row in rows:
                line = rows.line_num
                if len(row) != len(found):
                    raise ValueError(f"{len(row)} cells, expected {len(found)}")
                take(*cells(row))
    except (OSError, ValueError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
        raise MimeoError(f"{path}, line {line}: {_reason(error)} (delete a damaged file to begin it anew)") from None


def ranks(names: Iterable[str], seed: int) -> np.ndarray:
    """For each name a number that decides its turn, uint64: a hash, so that the order of a file doesn't count."""
    digests = b"".join(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


class Collection:
    """Images ``{id}.jpg`` of one folder, and ``failed.csv`` beside the folder, which says what could not be had.

    A file appears under its name only when it is whole, so what a killed run leaves is used by the next. Several runs
    may fill one folder. A killed run may leave hidden files ``.{id}.*``, one a thread, which nobody reads.

    Attributes:
        failed: reasons by id, of failures that ``failed.csv`` notes and that this run has met.
    """

    def __init__(self, folder: Path, url: str, threads: int, tolerated: float, wanted: int) -> None:
        """Looks at the notes; no request is made.

        Args:
            url: where an image is, with ``{id}`` in it.
            threads: images that are fetched at once.
            tolerated: share of requests that may fail; as long as they are few, of 1,000 (or of ``wanted``).
            wanted: images in all.

        Raises:
            MimeoError: an argument is out of range, or ``failed.csv`` is damaged.
        """
        if "{id}" not in url or not url.startswith(("http://", "https://")):
            raise MimeoError(f"parameter url: {url!r} is no web address with {{id}} in it")
        if threads < 1:
            raise MimeoError(f"parameter threads: {threads} is not at least 1")
        if not 0 <= tolerated <= 1:
            raise MimeoError(f"parameter tolerated: {tolerated} is not between 0 and 1")
        self.folder, self.url, self.threads = folder, url, threads
        self.tolerated, self.base = tolerated, min(wanted, FEW)
        self.notes = folder.parent / "failed.csv"
        self.failed: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.tried = self.lost = self.in_a_row = 0
        if self.notes.exists():
            read_rows(self.notes, NOTES, self.failed.__setitem__)
        self.noted = dict(self.failed)
        # One for all requests: each context of its own would read the machine's certificates.
        self.opener = build_opener(HTTPSHandler(context=ssl.create_default_context()))

    def path(self, name: str) -> Path:
        """Where an image lies, or will."""
        return self.folder / f"{name}.jpg"

    def size(self, name: str) -> int:
        """Bytes of an image; 0 where it is not there."""
        if name not in self.sizes:
            with suppress(FileNotFoundError, NotADirectoryError):
                self.sizes[name] = self.path(name).stat().st_size
        return self.sizes.get(name, 0)

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Those that are not there; an empty file is none."""
        return [name for name in names if not self.size(name)]

    def complete(self, choose: Callable[[set[str]], Sequence[str]]) -> None:
        """Fetches until all that are chosen are there.

        What is chosen depends on nothing but what failed, not on what came first. Images that are already all there
        need no net; failures that may pass were replaced then, and are not tried again, so that the choice stays.

        Args:
            choose: the images wanted, given those that cannot be had.

        Raises:
            Missing: the net is away.
            MimeoError: too many failed, or what ``choose`` raises.
        """
        with suppress(MimeoError):  # too few, but some may be had now
            if not self.lacking(choose(set(self.failed))):
                return
        self.failed = {name: reason for name, reason in self.failed.items() if reason in PERMANENT}
        while lacking := self.lacking(choose(set(self.failed))):
            self.fetch(lacking)

    def fetch(self, names: Sequence[str]) -> None:
        """Fetches images, notes those that fail, and says on the terminal how far it is.

        Raises:
            Missing: the net is away.
            MimeoError: too many failed.
        """
        Image.init()  # before there are threads
        self.folder.mkdir(parents=True, exist_ok=True)
        start = last = clock()
        queue, done = iter(names), 0
        pool = ThreadPoolExecutor(self.threads)
        waiting: dict[Future[str], str] = {}
        try:
            while True:
                # No more than twice as many as are fetched at once: half a million futures would take memory.
                for name in islice(queue, 2 * self.threads - len(waiting)):
                    waiting[pool.submit(self._fetch, name)] = name
                if not waiting:
                    break
                wait(waiting, return_when=FIRST_COMPLETED)
                for future in [future for future in waiting if future.done()]:  # in the order in which they were asked
                    self._count(waiting.pop(future), future.result())
                    done += 1
                if (now := clock()) - last >= EVERY:
                    last = now
                    rate = done / (now - start)
                    line = f"{done:,} of {len(names):,} images, {rate:.0f} a second, {self.lost:,} failed"
                    print(f"{self.folder.parent.name}: {line}", file=sys.stderr, flush=True)
                    self._note()
        finally:
            pool.shutdown(cancel_futures=True)
            self._note()

    def _fetch(self, name: str) -> str:
        """Fetches one image; returns why not, or nothing."""
        try:
            with self.opener.open(self.url.replace("{id}", name), timeout=TIMEOUT) as answer:
                content = answer.read()
        except (OSError, HTTPException) as error:
            return _reason(error)
        if not content:
            return "empty"
        try:
            with Image.open(BytesIO(content), formats=("JPEG",)):
                pass
        except Exception:  # a damaged header raises what the parser happens to raise
            return "not a JPEG file"
        # Not by mimeo.store: it waits for the disk at every file, and sets the process's umask, which threads share.
        path = self.path(name)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            part.write_bytes(content)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self.sizes[name] = len(content)
        return ""

    def _count(self, name: str, reason: str) -> None:
        self.tried += 1
        self.in_a_row = self.in_a_row + 1 if reason and reason not in PERMANENT else 0
        if not reason:
            return
        self.failed[name] = reason
        self.lost += 1
        if self.in_a_row == IN_A_ROW:
            raise Missing(
                f"{self.folder}: {IN_A_ROW} requests in a row failed, the last, of {self.url.replace('{id}', name)}, "
                f"with {reason}; {self.tried - self.lost} images were fetched and stay"
            )
        if self.lost > self.tolerated * max(self.tried, self.base):
            raise (Missing if self.in_a_row == self.tried else MimeoError)(
                f"{self.folder}: {self.lost} of {self.tried} images could not be fetched, more than the share of "
                f"{self.tolerated} that is tolerated; the last, {name}, with {reason} (see {self.notes.name})"
            )

    def _note(self) -> None:
        if self.failed != self.noted:
            save_csv(self.notes, NOTES, sorted(self.failed.items()))
            self.noted = dict(self.failed)


def _reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    text = " ".join(str(getattr(error, "reason", "") or error).split())
    return text or type(error).__name__
