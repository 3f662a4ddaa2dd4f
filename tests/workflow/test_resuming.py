"""A training that is stopped or killed under Snakemake goes on in the next run and ends with the same bytes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project, Run

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="finds the training's process in /proc"),
]

VICTIM = "results/victims/digits-tiny/model"
LOG = "logs/victims/digits-tiny/model.log"
CHECKPOINT = "results/checkpoints/victims/digits-tiny/model/1.safetensors"


def start(project: "Project", every: float) -> subprocess.Popen[str]:
    """Snakemake making one victim, in a session of its own, saving every so many seconds."""
    command = [sys.executable, "-m", "snakemake", f"{VICTIM}.safetensors", "--cores", "1"]
    return subprocess.Popen(
        [*command, "--configfile", "config/tiny.yaml"], cwd=project.root, text=True, start_new_session=True,
        env={**os.environ, "MIMEO_CHECKPOINT_SECONDS": str(every)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def training(session: int) -> int | None:
    """The process of a session that now trains: it waits for SIGTERM, which neither Python nor a shell does."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and os.getsid(int(folder.name)) == session:
                caught = re.search(r"^SigCgt:\s*(\w+)$", (folder / "status").read_text(), re.MULTILINE)
                named = b".train_victim.py" in (folder / "cmdline").read_bytes()
                if named and caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
                    return int(folder.name)
        except OSError:
            continue  # it ended meanwhile
    return None


def wait(process: subprocess.Popen[str], until: Callable[[], object]) -> None:
    """Until something is there; the run must not end before."""
    while not until():
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)


def made(project: "Project") -> tuple[bytes, bytes]:
    """Weights and log of the victim."""
    return (project.root / f"{VICTIM}.safetensors").read_bytes(), (project.root / f"{VICTIM}.json").read_bytes()


def run(project: "Project") -> "Run":
    done = project.run(f"{VICTIM}.safetensors", cores=1)
    assert done.code == 0, done.output
    return done


@pytest.fixture
def long(project: "Project") -> "Project":
    """The tiny scale with a victim that takes seconds to train."""
    project.edit("config/ingredients/recipes.yaml", "tiny-victim: {epochs: 20,", "tiny-victim: {epochs: 100,")
    return project


def test_stopped_and_killed(long: "Project") -> None:
    """Told to stop, then killed with all around it, then left alone: the same weights and losses as in one go."""
    first = start(long, every=1000)
    wait(first, lambda: training(first.pid))
    time.sleep(0.1)
    os.kill(training(first.pid) or 0, signal.SIGTERM)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 1
    [line] = {line for line in said.splitlines() if line.startswith("error:")}
    assert re.fullmatch(r"error: stopped by SIGTERM after \d+\.\d of 100 epochs: the next run goes on from there", line)
    assert "Traceback" not in said
    assert (long.root / CHECKPOINT).is_file()
    assert not (long.root / f"{VICTIM}.safetensors").exists()

    before = (long.root / CHECKPOINT).stat().st_mtime_ns
    second = start(long, every=0.01)
    wait(second, lambda: (long.root / CHECKPOINT).stat().st_mtime_ns > before)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate(timeout=60)
    went_on = (long.root / LOG).read_text()
    assert line.split()[5] in went_on

    assert long.run("--unlock").code == 0
    assert run(long).jobs == {"train_victim": 1}
    assert re.search(r"goes on after \d+\.\d of 100 epochs", (long.root / LOG).read_text())
    stopped = made(long)
    assert not (long.root / "results" / "checkpoints").exists()

    (long.root / f"{VICTIM}.safetensors").unlink()
    run(long)
    assert "goes on" not in (long.root / LOG).read_text()
    assert made(long) == stopped
