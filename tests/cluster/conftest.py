"""A real SLURM on this machine, and two runs on it that are started together and judged by the tests.

``demo``
    the demo's scale, whole, on the GPU partition: nothing goes wrong.
``trouble``
    a scale whose jobs are killed, sent back into the queue, out of memory, out of time, or fail for good.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

SLURM = Path(__file__).parent / "slurm.sh"
STATE = Path(os.environ.get("MIMEO_SLURM", "/var/lib/mimeo-slurm"))
FIELDS = "JobID:12,Name:64,Partition:12,State:12,Reason:32,tres-per-node:16,NumCPUs:6,MinMemory:12,TimeLimit:16"
PATIENCE = 900  # seconds for a run; ten times what it takes elsewhere would be a fault


def slurm(command: str) -> None:
    """Installs, starts or stops the cluster."""
    done = subprocess.run([str(SLURM), command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Seen:
    """A job as squeue showed it."""

    number: int
    run: str
    partition: str
    state: str
    reason: str
    gres: str
    cpus: int
    memory: str
    limit: str


@dataclass(frozen=True)
class Ended:
    """A job's end (one of possibly several), as SLURM has recorded it."""

    number: int
    run: str
    partition: str
    state: str
    start: datetime
    end: datetime


class Cluster:
    """What the cluster was seen to do, from its start to now."""

    state = STATE

    def __init__(self) -> None:
        self.seen: list[tuple[float, list[Seen]]] = []
        self.going = True
        self.watch = threading.Thread(target=self._watch, daemon=True)
        self.watch.start()

    def _watch(self) -> None:
        while self.going:
            self.seen.append((time.time(), self.queue()))
            time.sleep(1)

    def queue(self) -> list[Seen]:
        """The queue now."""
        printed = subprocess.run(["squeue", "--noheader", "-O", FIELDS], capture_output=True, text=True).stdout
        widths = [int(field.split(":")[1]) for field in FIELDS.split(",")]
        jobs = []
        for line in printed.splitlines():
            parts = [line[sum(widths[:i]) : sum(widths[: i + 1])].strip() for i in range(len(widths))]
            number, run, partition, state, reason, gres, cpus, memory, limit = parts
            jobs.append(Seen(int(number), run, partition, state, reason, gres, int(cpus), memory, limit))
        return jobs

    def of(self, run: str) -> list[Seen]:
        """Every sight of a run's jobs."""
        return [job for _, jobs in self.seen for job in jobs if job.run == run]

    def ended(self, run: str) -> list[Ended]:
        """The run's jobs that ended."""
        found = []
        for line in (STATE / "log" / "jobs").read_text().splitlines():
            entry = dict(part.split("=", 1) for part in line.split() if "=" in part)
            if entry["Name"] == run:
                start, end = (datetime.fromisoformat(entry[key]) for key in ("StartTime", "EndTime"))
                found.append(Ended(int(entry["JobId"]), run, entry["Partition"], entry["JobState"], start, end))
        return found

    def devices(self) -> dict[int, set[str]]:
        """What jobs' tasks found in CUDA_VISIBLE_DEVICES: ``none`` where it was not set."""
        found: dict[int, set[str]] = {}
        for line in (STATE / "log" / "devices").read_text().splitlines():
            number, _, devices = line.partition(" ")
            found.setdefault(int(number), set()).add(devices)
        return found


@dataclass
class Submitted:
    """A run of Snakemake whose jobs go to the cluster."""

    project: Project
    cluster: Cluster
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    @property
    def name(self) -> str:
        """What SLURM calls the run's jobs."""
        return re.findall(r"^SLURM run ID: (\S+)", self.output, re.MULTILINE)[0]

    def finish(self) -> int:
        """Waits for the end; the exit status."""
        return self.process.wait(PATIENCE)

    def wait_for(self, what: Callable[[], object]) -> None:
        """Waits until something is the case while the run goes on."""
        until = time.monotonic() + PATIENCE
        while not what():
            assert self.process.poll() is None and time.monotonic() < until, self.output
            time.sleep(0.5)


def submit(project: Project, cluster: Cluster, *arguments: str) -> Submitted:
    """Starts a run with the profile as it is, but for what a test cluster has less of: CPUs, accounting and time."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--workflow-profile", "workflow/profiles/slurm"]
    command += ["--cores", "2", "--slurm-status-command", "squeue"]
    command += ["--latency-wait", "20", "--slurm-init-seconds-before-status-checks", "2"]
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith(("SNAKEMAKE_", "SLURM_"))}
    log = project.root / "output.txt"
    with open(log, "wb") as file:
        process = subprocess.Popen(command, cwd=project.root, env=kept, stdout=file, stderr=subprocess.STDOUT)
    return Submitted(project, cluster, process, log)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster, for the whole session."""
    slurm("stop")
    slurm("start")
    found = Cluster()
    yield found
    found.going = False
    found.watch.join()
    slurm("stop")


@pytest.fixture(scope="session")
def submitted(
    cluster: Cluster,
    copied: Callable[[Path], Project],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[dict[str, Submitted]]:
    """The runs that the chosen tests judge, started at once."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    runs: dict[str, Submitted] = {}
    try:
        for name, arguments in {"trouble": trouble_arguments(), "demo": DEMO}.items():
            if name in wanted:
                project = copied(tmp_path_factory.mktemp(name) / "project")
                if name == "trouble":
                    arrange_trouble(project)
                runs[name] = submit(project, cluster, *arguments)
        yield runs
    finally:
        for run in runs.values():
            run.process.terminate()
            run.process.wait()


# `auto` uses a GPU where there is one: jobs ask for one, and as it is pretended the networks run on the CPU.
DEMO = ["--configfile", "config/demo.yaml", "--config", "device=auto"]


# --- the scale on which things go wrong ---------------------------------------------------------------------------

SLOW = {"late": 0.25, "cancelled": 0.1, "requeued": 0.1}  # networks, and seconds that their steps pause on the cluster
PLUGIN = """
import os, time
from mimeo.architectures import plain

def build(channels: int, size: int, classes: int, *, pause: float = 0.0):
    network = plain.build(channels, size, classes)
    def wait(module, inputs):
        if pause < 0:
            raise ValueError("this network is broken")
        if module.training and "SLURM_JOB_ID" in os.environ:
            time.sleep(pause)
    network.register_forward_pre_hook(wait)
    return network
"""


def arm(network: str) -> str:
    """The arm of a network."""
    return f"digits-tiny/fonts-random/original-b200/{network}-long"


def trouble_arguments() -> list[str]:
    """Targets that need no table, so that one arm may fail."""
    targets = [f"results/copycats/{arm(network)}/000-001.safetensors" for network in (*SLOW, "broken")]
    return [*targets, "results/victims/digits-tiny/model.safetensors", "--configfile", "config/tiny.yaml"]


def arrange_trouble(project: Project) -> None:
    """Networks that are slow or broken, too little memory for victims, too little time for the slowest."""
    (project.root / "workflow/scripts/mimeo/architectures/waiting.py").write_text(PLUGIN)
    for name, pause in {**SLOW, "broken": -1.0}.items():
        entry = f"{name}: {{title: {name}, plugin: waiting, parameters: {{pause: {pause}}}}}\n"
        project.append("config/ingredients/architectures.yaml", entry)
    project.append("config/ingredients/recipes.yaml", "long: {epochs: 120, batch: 64, optimizer: adamw, rate: 0.004}\n")
    names = ", ".join([*SLOW, "broken"])
    cells = f"""
      - {{<<: *base, row: "{{architecture}}", queries: [fonts-random], responses: [original], budgets: [200],
          architectures: [{names}], recipe: long}}
"""
    project.edit("config/tiny.yaml", "budgets: [100, 200]}\n", "budgets: [100, 200]}" + cells)
    resources = "config/cluster/resources.yaml"
    project.edit(resources, "train_victim: {memory: 1200", "train_victim: {memory: 420")
    project.edit(resources, "train_copycat: {memory: 1200, minutes: 0.5", "train_copycat: {memory: 1200, minutes: 0.3")
    project.edit(resources, "sharing: 10", "sharing: 0")
    project.append(resources, "".join(f"  {n}: {{size: 8, cpu: 1000000, gpu: 1000000, weights: 1}}\n" for n in SLOW))
