"""What jobs ask of a scheduler, what ``make plan`` adds up, and that profiles and rules agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from mimeo.models import network
from mimeo.startup import torch
from mimeo.training import Recipe, train
from plan import ConfigError, Job, Resources, load_resources
from plan.__main__ import main, report
from plan.resources import FILE, ON_GPU, passes

if TYPE_CHECKING:
    from tests.conftest import Configuration

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ROOT / "workflow" / "profiles"
ASKS = FILE.relative_to("config")
ARM = "digits-plain/photographs-random/posterior-b4000/plain-small-knockoff"
TRAINING = Job.of("train_copycat", arm=ARM, first="000", stop="003")


@pytest.fixture
def resources(configuration: Configuration) -> Resources:
    return load_resources(configuration.root, configuration.plan())


def changed(configuration: Configuration, *keys: str, value: Any, device: str = "cpu") -> Resources:
    configuration.change(str(ASKS), keys, value)
    configuration.change("demo.yaml", ("device",), device)
    return load_resources(configuration.root, configuration.plan())


# --- one job ----------------------------------------------------------------------------------------------------


def test_memory_and_time_double_with_every_attempt(resources: Resources) -> None:
    first, second, third = ((resources.memory(TRAINING, n), resources.runtime(TRAINING, n)) for n in (1, 2, 3))
    assert second == (2 * first[0], 2 * first[1])
    assert third == (4 * first[0], 4 * first[1])


def test_no_job_asks_for_more_than_the_longest(configuration: Configuration) -> None:
    resources = changed(configuration, "longest", value=3)
    assert [resources.runtime(TRAINING, attempt) for attempt in (1, 2, 3)] == [2, 3, 3]


def test_time_grows_with_budget_epochs_replicates_and_slowness(configuration: Configuration) -> None:
    resources = changed(configuration, "networks", "plain", value={"size": 8, "cpu": 100, "gpu": 100, "weights": 1})
    steps = 4000 // 128 + 1
    epochs = -(-500 // steps)
    assert resources.load(TRAINING).seconds == 3 * 4000 * epochs / 100
    assert resources.runtime(TRAINING) == -(-3 * (30 + 3 * 4000 * epochs / 100) // 60)


def test_speed_is_in_proportion_to_the_area(configuration: Configuration) -> None:
    small = changed(configuration, "networks", "plain", value={"size": 8, "cpu": 100, "gpu": 1, "weights": 1})
    seconds = small.load(TRAINING).seconds
    large = changed(configuration, "networks", "plain", value={"size": 16, "cpu": 100, "gpu": 1, "weights": 1})
    assert large.load(TRAINING).seconds == seconds / 4


def test_a_rate_at_a_size_is_in_proportion_to_the_area(configuration: Configuration) -> None:
    """Patches of 8 pixels, decoded at a rate that holds for 16; without a size it holds for all."""
    job = Job.of("decode_queries", query="photographs-random", start="0000000", stop="0008000")
    entry = {"memory": 500, "minutes": 1, "rate": 100}
    assert changed(configuration, "work", "decode_queries", value=entry).load(job).seconds == 80
    entry["size"] = 16
    assert changed(configuration, "work", "decode_queries", value=entry).load(job).seconds == 20


def test_memory_holds_the_images_and_the_networks(configuration: Configuration) -> None:
    before = changed(configuration, "work", "train_copycat", value={"memory": 500, "minutes": 1, "copies": 0})
    after = changed(configuration, "work", "train_copycat", value={"memory": 500, "minutes": 1, "copies": 1000})
    assert after.memory(TRAINING) - before.memory(TRAINING) == 4000 * 8 * 8 * 1000 / 1e6
    heavy = changed(configuration, "networks", "plain", value={"size": 8, "cpu": 1, "gpu": 1, "weights": 100})
    assert heavy.memory(TRAINING) >= after.memory(TRAINING) + 3 * 100


@pytest.mark.parametrize(("device", "expected"), [("cpu", False), ("auto", True), ("cuda", True)])
def test_gpus_are_asked_for_where_a_network_may_use_one(
    configuration: Configuration, device: str, expected: bool
) -> None:
    resources = changed(configuration, "cuda", value=3000, device=device)
    assert resources.on_gpu("train_copycat") == expected
    assert not resources.on_gpu("decode_queries")
    cpu = changed(configuration, "cuda", value=3000).memory(TRAINING)
    assert resources.memory(TRAINING) - cpu == (3000 if expected else 0)


def test_small_trainings_share(configuration: Configuration) -> None:
    assert changed(configuration, "sharing", value=10).shares(TRAINING)
    assert not changed(configuration, "sharing", value=0.1).shares(TRAINING)


@pytest.mark.parametrize(("images", "batch"), [(0, 4), (1, 4), (4, 4), (5, 4), (6, 4), (13, 4)])
@pytest.mark.parametrize("least", [0, 7])
def test_passes_are_those_of_the_training(images: int, batch: int, least: int) -> None:
    recipe: dict[str, Any] = {"epochs": 2, "batch": batch, "optimizer": "sgd", "rate": 0.0, "least_steps": least}
    pixels = np.zeros((images, 8, 8, 1), np.uint8)
    targets = np.eye(2, dtype=np.float32)[np.arange(images) % 2]
    model = network({"plugin": "plain", "parameters": {}}, size=8, channels=1, classes=2)()
    if images == 1:
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))  # one image breaks batch normalisation
    losses = train(model, pixels, targets, Recipe(**recipe), 0, torch.device("cpu"))
    assert passes(recipe, images) == len(losses)


# --- all jobs ---------------------------------------------------------------------------------------------------


def test_every_job_of_every_scale_can_be_counted(configuration: Configuration) -> None:
    for scale in sorted(configuration.path("").glob("*.yaml")):
        if scale.name == "schema.yaml":
            continue
        resources = load_resources(configuration.root, configuration.plan(scale.name))
        jobs = resources.data_jobs() + resources.victim_jobs() + resources.closing_jobs()
        jobs += [job for name in resources.plan.tables for job in resources.table_jobs(name)]
        for job in jobs:
            assert resources.memory(job) >= 1
            assert 1 <= resources.runtime(job) <= resources.asks["longest"]
            assert (
                resources.minutes(job) <= resources.runtime(job) or resources.runtime(job) == resources.asks["longest"]
            )


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_plan_counts_shared_things_once(resources: Resources) -> None:
    lines = [cells(line) for line in report(resources).splitlines() if line.startswith("|")]
    header, _, *rows = lines
    found = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    assert set(resources.plan.tables) < set(found)
    total = found["**all, each once**"]
    assert int(total["arms"]) == len(resources.plan.arms) == 83
    parts = sum(int(row["jobs"]) for name, row in found.items() if not name.startswith("**"))
    assert int(total["jobs"]) == 294 < parts
    # The longest prefix of each query set: one victim's at random and the other's, three deep ones, those of 1,000.
    assert total["queries"] == f"{1078 + 4000 + 16000 + 8000 + 8000 + 3 * 8000 + 15 * 1000:,}"
    assert found["knockoff/responses"]["queries"] == "4,000"
    assert found["copycat/architectures"]["queries"] == "8,000"


def test_downloads_are_those_that_are_declared(configuration: Configuration) -> None:
    configuration.change("ingredients/datasets.yaml", ("photographs", "download"), 1500)
    entry = {"size": 8, "cpu": 1, "gpu": 1, "weights": 1, "download": 250}
    resources = changed(configuration, "networks", "vgg-small", value=entry)
    rows = {cells(line)[0]: cells(line)[-1] for line in report(resources).splitlines() if line.startswith("|")}
    assert rows["knockoff/responses"] == "1.5 GB"
    assert rows["copycat/architectures"] == "1.8 GB"
    assert rows["**all, each once**"] == "1.8 GB"


def test_the_plan_says_gpu_hours_where_gpus_are_used(configuration: Configuration) -> None:
    resources = changed(configuration, "safety", value=3, device="auto")
    header, _, *rows = [cells(line) for line in report(resources).splitlines() if line.startswith("|")]
    assert header[3:7] == ["GPU hours", "asked", "CPU hours", "asked"]
    total = rows[-1]
    expected, asked = float(total[3]), float(total[4])
    assert 0 < expected < asked
    jobs = {job for name in resources.plan.tables for job in resources.table_jobs(name) if resources.on_gpu(job.rule)}
    jobs |= {job for job in resources.data_jobs() if resources.on_gpu(job.rule)} | set(resources.victim_jobs())
    assert asked == pytest.approx(sum(resources.runtime(job) for job in jobs) / 60, abs=0.05)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "config/demo.yaml")]) == 0
    assert "| knockoff/accuracy |" in capsys.readouterr().out
    assert main([]) == 2
    assert main(["config/nothing.yaml"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: config/nothing.yaml: no such file"


def test_the_command_loads_no_numerical_library() -> None:
    program = "import sys, plan.__main__; print(*({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "workflow", capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


# --- the file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("safty",), 2, ["'safty'", "'safety'?"]),
        (("safety",), 0.5, ["safety", "0.5"]),
        (("longest",), 0, ["longest", "0"]),
        (("work", "train_copycats"), {"memory": 1, "minutes": 1}, ["'train_copycats'"]),
        (("work", "train_copycat", "memory"), 0, ["train_copycat.memory"]),
        (("networks", "plane"), {"size": 8, "cpu": 1, "gpu": 1, "weights": 1}, ["'plane'", "'plain'?"]),
        (("networks", "plain", "cpu"), 0, ["plain.cpu"]),
    ],
)
def test_wrong_resources(configuration: Configuration, keys: tuple[str, ...], value: Any, says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(configuration, *keys, value=value)
    assert len(str(caught.value).splitlines()) == 1
    for part in [str(FILE), *says]:
        assert part in str(caught.value)


def test_networks_of_the_house_have_a_speed(resources: Resources) -> None:
    assert set(resources.asks["networks"]) - {"default"} == set(resources.plan.ingredients["architectures"])


# --- rules and profiles -----------------------------------------------------------------------------------------


def profile(name: str) -> dict[str, Any]:
    return yaml.safe_load((PROFILES / name / "config.yaml").read_text())


def rules() -> dict[str, str]:
    """The rules that run a script, with their text."""
    found = re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", (ROOT / "Snakefile").read_text(), re.MULTILINE | re.DOTALL)
    return {name: text for name, text in found if "    script:\n" in text}


def test_both_profiles_treat_results_alike() -> None:
    slurm = profile("slurm")
    for key, value in profile("default").items():
        assert slurm[key] == value, key


def test_every_rule_asks_for_itself() -> None:
    for name, text in rules().items():
        assert f'    resources:\n        **asks("{name}"),\n' in text, name
        assert (f'    threads: needs.threads("{name}")\n' in text) == (name in ON_GPU), name
        assert "together(" in text, name
        assert not re.search(r"params:.*?(needs|asks)\b.*?script:", text, re.DOTALL), name


def groups() -> dict[str, list[str]]:
    """Group -> rules."""
    found: dict[str, list[str]] = {}
    for name, text in rules().items():
        [group] = re.findall(r'together\("(\w+)"', text)
        found.setdefault(group, []).append(name)
    return found


def test_every_group_has_a_size() -> None:
    sizes = dict(entry.split("=") for entry in profile("slurm")["group-components"])
    assert set(sizes) == set(groups())


def test_rules_of_a_group_agree_on_gpus() -> None:
    for group, members in groups().items():
        assert len({name in ON_GPU for name in members}) == 1, group


def test_partitions_let_every_job_run() -> None:
    """No job asks for more than the partitions of the profile allow, nor does a group of small ones."""
    limits = yaml.safe_load((PROFILES / "slurm" / "partitions.yaml").read_text())["partitions"]
    asks = yaml.safe_load((ROOT / FILE).read_text())
    assert all(partition["max_runtime"] >= asks["longest"] for partition in limits.values())
    assert any(partition.get("max_gpu") for partition in limits.values())
    sizes = dict(entry.split("=") for entry in profile("slurm")["group-components"])
    last = 2 ** int(profile("slurm")["retries"])
    # Small trainings: side by side, but for one that fine-tunes another, at the last attempt.
    assert int(sizes["copycats"]) <= profile("slurm")["cores"]
    assert 2 * asks["sharing"] * asks["safety"] * last <= min(partition["max_runtime"] for partition in limits.values())
