"""What a job says: one line to the terminal for a failure, everything else into its log."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from mimeo import console
from mimeo.console import Console, job
from mimeo.errors import MimeoError


def failed(log: Path, error: BaseException) -> int | str | None:
    """The exit status of a job that ends with this error."""
    with pytest.raises(SystemExit) as ended, job(str(log)) as say:
        say.note("before")
        raise error
    return ended.value.code


def test_mendable_failure_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, the same line on the terminal and in the log, and no traceback anywhere."""
    log = tmp_path / "deep" / "job.log"
    assert failed(log, MimeoError("items.csv: no image found")) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: items.csv: no image found\n")
    assert log.read_text() == "before\nerror: items.csv: no image found\n"


def test_other_failure_leaves_its_traceback_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "job.log"
    assert failed(log, RuntimeError("shapes differ:\n  3 x 4\n  4 x 4")) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"error: RuntimeError: shapes differ: 3 x 4 4 x 4 (see {log})\n")
    text = log.read_text()
    assert text.startswith("before\nTraceback (most recent call last):\n")
    assert "raise error\nRuntimeError: shapes differ:\n  3 x 4" in text.replace("    ", "")


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only file system"), (errno.EACCES, "no permission")],
)
def test_failure_of_the_machine_is_one_line(
    tmp_path: Path, number: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Full disks and forbidden folders name the file, or the log where the file is not known."""
    log = tmp_path / "job.log"
    assert failed(log, OSError(number, "as the system says", "results/a.npy")) == 1
    assert capsys.readouterr().err == f"error: results/a.npy: {reason}\n"
    assert log.read_text() == f"before\nerror: results/a.npy: {reason}\n"
    assert failed(log, OSError(number, "as the system says")) == 1
    assert capsys.readouterr().err == f"error: {log}: {reason}\n"


def test_failure_of_the_system_that_nobody_foresaw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "job.log"
    assert failed(log, OSError(errno.EIO, "Input/output error", "a.npy")) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: OSError: [Errno 5]") and len(err.splitlines()) == 1
    assert "Traceback" in log.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_full_disk_holds_the_log_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    """The line must reach the terminal although the log can't be written."""
    with pytest.raises(SystemExit) as ended, job("/dev/full"):
        raise OSError(errno.ENOSPC, "No space left on device", "results/a.npy")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: results/a.npy: the disk is full\n"


def test_success_says_nothing_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with job(str(tmp_path / "job.log")) as say:
        say.note("3 images")
        assert (tmp_path / "job.log").read_text() == "3 images\n"  # already there while the job runs
    assert capsys.readouterr() == ("", "")
    assert say.file.closed


def test_interruption_passes_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), job(str(tmp_path / "job.log")) as say:
        raise KeyboardInterrupt
    assert say.file.closed
    assert capsys.readouterr().err == ""


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the console sees: the list's last entry."""
    there = [0.0]
    monkeypatch.setattr(console, "clock", lambda: there[-1])
    return there


@pytest.fixture
def say(tmp_path: Path, moments: list[float]) -> Iterator[Console]:
    """A console whose clock starts at 0."""
    there = Console(tmp_path / "job.log")
    yield there
    there.file.close()


def test_progress_comes_seldom_and_estimates(
    say: Console, moments: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing before EVERY seconds, nothing again until as many have gone by; the log holds the same lines."""
    lines = []
    for moment, done in ((0.0, 1), (9.9, 20), (10.0, 25), (15.0, 40), (19.9, 45), (20.0, 50)):
        moments.append(moment)
        say.progress("victim digits", done, 100)
        lines.append(capsys.readouterr().err)
    first, second = "victim digits: 25%, about 30 s left\n", "victim digits: 50%, about 20 s left\n"
    assert lines == ["", "", first, "", "", second]
    assert say.path.read_text() == first + second


@pytest.mark.parametrize("done", [0, 100, 120])
def test_progress_is_silent_at_both_ends(
    say: Console, moments: list[float], done: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "EVERY", 0)
    moments.append(5.0)
    say.progress("victim", done, 100)
    assert capsys.readouterr().err == ""
    say.progress("victim", 50, 100)
    assert capsys.readouterr().err == "victim: 50%, about 5 s left\n"
