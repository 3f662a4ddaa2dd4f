"""What a job says: notes into its log, progress to the terminal, and any failure as one line in both."""

import contextlib
import errno
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from mimeo.errors import MimeoError
from mimeo.records import clock

EVERY = 10.0  # seconds between two progress lines on the terminal
MENDABLE = {errno.ENOSPC: "the disk is full", errno.EROFS: "read-only file system", errno.EACCES: "no permission"}


class Console:
    """Writes one job's log."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.file = open(path, "w", buffering=1)  # noqa: SIM115 (closed by job)
        self.start = self.last = clock()

    def note(self, text: str) -> None:
        """One line into the log."""
        print(text, file=self.file)

    def progress(self, what: str, done: int, total: int) -> None:
        """At most one line in EVERY seconds, to terminal and log: how far, and an estimate of what is left."""
        now = clock()
        if now - self.last < EVERY or not 0 < done < total:
            return
        self.last = now
        left = (now - self.start) / done * (total - done)
        line = f"{what}: {done / total:.0%}, about {left:.0f} s left"
        print(line, file=sys.stderr, flush=True)
        self.note(line)


@contextlib.contextmanager
def job(log: str) -> Iterator[Console]:
    """Runs a stage: a failure ends the process with status 1 and one line; tracebacks go into the log alone."""
    console = Console(Path(log))
    try:
        yield console
    except MimeoError as error:
        _fail(console, str(error))
    except OSError as error:
        reason = MENDABLE.get(error.errno or 0)
        if reason is None:
            _crash(console, error)
        _fail(console, f"{error.filename or log}: {reason}")
    except Exception as error:
        _crash(console, error)
    finally:
        with contextlib.suppress(OSError):
            console.file.close()


def _fail(console: Console, line: str) -> None:
    print(f"error: {line}", file=sys.stderr)
    _keep(console, f"error: {line}")
    raise SystemExit(1)


def _crash(console: Console, error: Exception) -> None:
    line = f"{type(error).__name__}: {' '.join(str(error).split())} (see {console.path})"
    trace = traceback.format_exc()
    print(f"error: {line}", file=sys.stderr)
    _keep(console, trace)
    raise SystemExit(1)


def _keep(console: Console, text: str) -> None:
    """Into the log, unless it lies on the very disk that is full."""
    with contextlib.suppress(OSError):
        console.note(text)
