"""Killed at any moment, on a full disk, without permission to write: what is there is whole, and a rerun goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project, Run

pytestmark = pytest.mark.workflow

KILLS = 12


def start(project: "Project") -> subprocess.Popen:
    """Snakemake at the tiny scale, in a process group of its own."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config/tiny.yaml"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=project.root, stdout=quiet, stderr=quiet, start_new_session=True)


def contents(project: "Project") -> dict[str, str]:
    """What must come out the same, but for files that were never finished."""
    return {file: digest for file, digest in project.repeating().items() if "/." not in file}


def test_killed_again_and_again_it_ends_with_the_same_bytes(project: "Project", finished_once: "Project") -> None:
    draw, killed = random.Random(0), 0
    for _ in range(KILLS):
        run = start(project)
        try:
            run.wait(draw.uniform(1, 4))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            killed += 1
            assert project.run("--unlock").code == 0
    last = project.run()
    assert last.code == 0, last.output
    assert killed
    assert contents(project) == contents(finished_once)
    assert "Nothing to be done" in project.run("-n").output


def test_a_lock_left_behind_is_explained_and_one_command_removes_it(project: "Project") -> None:
    run = start(project)
    locks = project.root / ".snakemake/locks"
    while not list(locks.glob("*")):
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    blocked = project.run()
    assert blocked.code != 0
    assert "--unlock" in blocked.stderr
    assert "Traceback" not in blocked.output
    assert project.run("--unlock", configfile=None).code == 0
    assert project.run("results/data/digits/items.csv").code == 0


def mounted(project: "Project", mount: str, mend: str) -> "Run":
    """Runs Snakemake twice in a mount namespace of its own: after one mount of results/, and after another."""
    snakemake = f"{sys.executable} -m snakemake --cores 2 --configfile config/tiny.yaml"
    script = f"mkdir -p results && {mount} && {{ {snakemake}; echo first: $?; {mend} && {snakemake}; }}"
    run = project.command("unshare", "--map-root-user", "--mount", "sh", "-c", script)
    if "first: " not in run.stdout:
        pytest.skip(f"no mounts in a namespace of one's own on this machine: {run.stderr}")
    return run


@pytest.mark.parametrize(
    ("mount", "mend", "reason"),
    [
        ("mount -t tmpfs -o size=300k tmpfs results", "mount -o remount,size=100m results", "the disk is full"),
        (
            "mount -t tmpfs -o size=100m tmpfs results && mount -o remount,ro results",
            "mount -o remount,rw results",
            "Read-only file system",
        ),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_cannot_be_written_to_is_one_clear_line(
    project: "Project", mount: str, mend: str, reason: str
) -> None:
    run = mounted(project, mount, mend)
    assert "first: 1" in run.stdout
    assert run.code == 0, run.output
    assert "Traceback" not in run.output
    assert any(reason in line and "results/" in line for line in run.stderr.splitlines()), run.output
