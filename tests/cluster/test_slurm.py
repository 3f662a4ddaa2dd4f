"""The pipeline on a real SLURM: what it asks for, what it gets, and what becomes of jobs that are stopped."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.conftest import Cluster, Ended, Submitted
    from tests.conftest import Project

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
STEM = "000-001"


def arm(network: str) -> str:
    return f"digits-tiny/fonts-random/original-b200/{network}-long"


def number_of(run: Submitted, network: str) -> int | None:
    """SLURM's number of an arm's latest training, once it is running and has said something."""
    if not (run.project.root / f"logs/copycats/{arm(network)}/{STEM}.log").exists():
        return None
    printed = subprocess.run(["squeue", "--noheader", "-O", "JobID:12,State:12,Comment:200"], capture_output=True)
    for line in printed.stdout.decode().splitlines():
        if f"{network}-long" in line and "RUNNING" in line:
            return int(line[:12])
    return None


def stop(run: Submitted, network: str, *command: str) -> int:
    """Has SLURM stop an arm's training while it is at work."""
    run.wait_for(lambda: number_of(run, network))
    time.sleep(6)
    number = number_of(run, network)
    assert number is not None
    subprocess.run([*command, str(number)], check=True)
    return number


@pytest.fixture(scope="module")
def trouble(submitted: dict[str, Submitted]) -> Submitted:
    """The run in which things go wrong, ended; two of its trainings are stopped on the way."""
    run = submitted["trouble"]
    stop(run, "cancelled", "scancel")
    stop(run, "requeued", "scontrol", "requeue")
    run.finish()
    return run


@pytest.fixture(scope="module")
def demo(submitted: dict[str, Submitted], trouble: Submitted) -> Submitted:
    """The demo, ended (after the other run, whose jobs have to be stopped in time)."""
    submitted["demo"].finish()
    return submitted["demo"]


def say(run: Submitted, network: str) -> str:
    return (run.project.root / f"logs/copycats/{arm(network)}/{STEM}.log").read_text()


def test_starting_twice_starts_once(cluster: Cluster) -> None:
    notes = {file: file.read_text() for file in cluster.state.glob("*.pid")}
    assert len(notes) == 3
    subprocess.run([str(Path(__file__).parent / "slurm.sh"), "start"], check=True)
    assert notes == {file: file.read_text() for file in cluster.state.glob("*.pid")}


# --- jobs that are stopped --------------------------------------------------------------------------------------


def failures(run: Submitted, what: str) -> list[str]:
    """What Snakemake reported of failed jobs whose outputs or inputs have a name in them, once a job of SLURM."""
    reports = re.findall(r"^Error in rule \w+:(?:\n    .*)+", run.output, re.MULTILINE)
    found = {number[1]: text for text in reports if (number := re.search(r"external_jobid: (\d+)", text))}
    return [text for text in found.values() if what in text]


def failed(run: Submitted, what: str) -> int:
    """How often a job failed."""
    return len(failures(run, what))


def test_a_killed_job_is_retried_and_goes_on(trouble: Submitted) -> None:
    assert "CANCELLED" in {job.state for job in trouble.cluster.ended(trouble.name)}
    assert failed(trouble, arm("cancelled")) == 1
    assert "goes on after" in say(trouble, "cancelled")


def test_a_preempted_job_goes_back_into_the_queue_and_goes_on(trouble: Submitted) -> None:
    """SLURM starts it again by itself, under the same number: Snakemake sees no failure."""
    assert failed(trouble, arm("requeued")) == 0
    assert "goes on after" in say(trouble, "requeued")
    states = [job.state for job in trouble.cluster.ended(trouble.name)]
    assert "REQUEUED" in states or "PREEMPTED" in states or "PENDING" in states, states


def test_too_little_time_is_doubled_and_the_training_goes_on(trouble: Submitted) -> None:
    limits = {job.limit for job in trouble.cluster.of(trouble.name)}
    assert {"1:00", "2:00"} <= limits
    assert failed(trouble, arm("late")) == 1
    assert "TIMEOUT" in {job.state for job in trouble.cluster.ended(trouble.name)}
    assert "goes on after" in say(trouble, "late")


def test_a_stopped_training_ends_with_the_same_weights(
    trouble: Submitted, copied: Callable[[Path], Project], tmp_path: Path
) -> None:
    """Without SLURM, uninterrupted: bit for bit the same, since networks pause on the cluster alone."""
    alone = copied(tmp_path / "alone")
    for folder in ("config", "workflow"):
        subprocess.run(["cp", "-r", str(trouble.project.root / folder), str(alone.root)], check=True)
    networks = ("late", "cancelled", "requeued")
    run = alone.run(*(f"results/copycats/{arm(network)}/{STEM}.safetensors" for network in networks))
    assert run.code == 0, run.output
    ours, theirs = alone.digests("results/copycats"), trouble.project.digests("results/copycats")
    for network in networks:
        for ending in ("safetensors", "json"):
            file = f"results/copycats/{arm(network)}/{STEM}.{ending}"
            assert ours[file] == theirs[file], file


def test_too_little_memory_is_doubled(trouble: Submitted) -> None:
    """The first attempt is killed by SLURM, whose log is the one that says why; the second is given twice as much."""
    [report] = failures(trouble, "results/victims/digits-tiny/model")
    [log] = re.findall(r"(/\S+/logs/slurm/\S+\.log)", report)
    assert "memory limit" in Path(log).read_text()
    sizes = {job.memory for job in trouble.cluster.of(trouble.name)}
    assert {"421M", "842M"} <= sizes, sizes
    assert (trouble.project.root / "results/victims/digits-tiny/model.safetensors").exists()


def test_a_job_that_fails_for_good_says_where_its_log_is(trouble: Submitted) -> None:
    """Each message names our log and SLURM's; both are there and hold the reason. The rest of the run goes on."""
    assert trouble.process.returncode == 1
    reports = failures(trouble, arm("broken"))
    assert len(reports) == 3, "an attempt and two retries"
    for report in reports:
        [line] = re.findall(r"^    log: (.*) \(check", report, re.MULTILINE)
        ours, theirs = line.split(", ")
        assert ours == f"logs/copycats/{arm('broken')}/{STEM}.log"
        assert theirs.startswith(str(trouble.project.root / "logs/slurm"))
        for log in (trouble.project.root / ours, Path(theirs)):
            assert "this network is broken" in log.read_text()


# --- the demo ---------------------------------------------------------------------------------------------------


def test_the_demo_runs_through(demo: Submitted) -> None:
    """Every job ends well at its first attempt, every table is made, and plain Snakemake finds nothing to do."""
    assert demo.process.returncode == 0, demo.output
    assert {job.state for job in demo.cluster.ended(demo.name)} == {"COMPLETED"}
    plain = demo.project.run("-n", "--config", "device=auto", configfile="config/demo.yaml")
    assert "Nothing to be done" in plain.output, plain.output
    assert not list((demo.project.root / "logs/slurm").rglob("*.log")), "SLURM's logs of jobs that ended well are gone"


def test_the_demo_finds_what_it_finds_elsewhere(demo: Submitted) -> None:
    """The committed tables, but for the rounding of other hardware."""
    tables = sorted((ROOT / "results/tables/demo").rglob("*.csv"))
    assert len(tables) >= 9
    compared = 0
    for table in (table for table in tables if table.parent.name in ("knockoff", "copycat")):
        place = demo.project.root / table.relative_to(ROOT)
        ours, theirs = (list(csv.DictReader(file.open(newline=""))) for file in (place, table))
        assert [row["row"] for row in ours] == [row["row"] for row in theirs]
        for one, other in zip(ours, theirs, strict=True):
            if one["metric"] == "accuracy" and other["ours"]:
                assert abs(float(one["ours"]) - float(other["ours"])) < 0.05, (table, one["row"])
                compared += 1
    assert compared > 40


def overlaps(jobs: list[Ended]) -> int:
    """The most jobs that ran at one time."""
    return max(sum(other.start <= job.start < other.end for other in jobs) for job in jobs)


def test_gpu_jobs_ask_for_one_gpu_and_see_one(demo: Submitted) -> None:
    jobs, devices = demo.cluster.ended(demo.name), demo.cluster.devices()
    on_gpu = [job for job in jobs if job.partition == "gpu"]
    assert len(on_gpu) > 10
    assert len(jobs) > len(on_gpu)
    for job in jobs:
        expected = ({"0"}, {"1"}) if job.partition == "gpu" else ({"none"},)
        assert devices[job.number] in expected, job
    for seen in demo.cluster.of(demo.name):
        assert (seen.gres == "gres:gpu:1") == (seen.partition == "gpu"), seen


def test_never_more_than_two_gpu_jobs_at_once(demo: Submitted) -> None:
    """By SLURM's records, and two on different GPUs wherever they overlap; CPUs were left for more."""
    jobs = [job for job in demo.cluster.ended(demo.name) if job.partition == "gpu"]
    assert overlaps(jobs) == 2
    devices = demo.cluster.devices()
    for job in jobs:
        for other in jobs:
            if job.number < other.number and max(job.start, other.start) < min(job.end, other.end):
                assert devices[job.number] != devices[other.number]
    assert any(job.state == "PENDING" and job.partition == "gpu" for job in demo.cluster.of(demo.name))
    busiest = max(sum(j.cpus for j in jobs if j.state == "RUNNING") for _, jobs in demo.cluster.seen)
    assert busiest < 12


def test_no_job_waits_for_what_cannot_come(demo: Submitted, trouble: Submitted) -> None:
    """No run time beyond the partition's, no size beyond the node's: jobs wait for their turn alone."""
    reasons = {job.reason for run in (demo, trouble) for job in run.cluster.of(run.name) if job.state == "PENDING"}
    assert "Resources" in reasons
    assert not [reason for reason in reasons if re.search("Partition|Limit|Constraint|Config|Dependency|Held", reason)]
    assert all(minutes(job.limit) <= 60 for run in (demo, trouble) for job in run.cluster.of(run.name))


def minutes(limit: str) -> int:
    parts = [int(part) for part in limit.split(":")]
    return parts[0] if len(parts) == 2 else parts[0] * 60 + parts[1]


def test_small_jobs_are_grouped(demo: Submitted) -> None:
    """294 jobs of the demo are some 44 of SLURM's: what is ready when decides what is grouped."""
    finished = len(list((demo.project.root / "results/copycats").rglob("*.record.json")))
    assert finished == 83
    assert len(demo.cluster.ended(demo.name)) <= 294 / 5


def test_small_trainings_share_a_gpu(demo: Submitted) -> None:
    """83 trainings, four in a job with a GPU and those with them that go on from theirs; while two such jobs run, three
    or four trainings are at work."""
    numbers = {int(number) for number in re.findall(r"group_copycats_train_copycat/(\d+)\.log", demo.output)}
    assert 16 <= len(numbers) <= 24
    jobs = [job for job in demo.cluster.ended(demo.name) if job.number in numbers]
    assert {job.partition for job in jobs} == {"gpu"}
    assert {job.cpus for job in demo.cluster.of(demo.name) if job.number in numbers} == {2}
    trained, said = (demo.project.root / folder / "copycats" for folder in ("results", "logs"))
    spans = []
    for record in trained.rglob("*.record.json"):  # results are touched when a group ends, logs are not
        log = said / record.relative_to(trained).with_name(record.name.replace(".record.json", ".log"))
        end = log.stat().st_mtime
        spans.append((end - json.loads(record.read_text())["seconds"], end))
    at_once = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
    assert 3 <= at_once <= 4
