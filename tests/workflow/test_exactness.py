"""After any change exactly the affected jobs run, under Snakemake and under DVC: an event a test, counted by rule."""

import csv
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

SHARD = "results/queries/photographs-random/0000000-0000200.npy"
WEIGHTS = "results/copycats/digits-tiny/photographs-random/top-1-b200/plain-tiny-copycat/000-001.safetensors"
PREDICTIONS = "results/scores/copycats/digits-tiny/photographs-random/top-1-b200/plain-tiny-copycat/predictions.npz"
CURVE = 'row: "{query} {budget}", budgets: [100, 200]'
REFERENCES = 'budgets: [100, 200]}\n    references: {column: "{dataset}"}'
ENTRY = "workflow/scripts/mimeo"

ARMS_TABLES = {"collect_arms": 1, "collect_guards": 1}
BOTH_TABLES = {"make_table": 2, "draw_figure": 1}
CURVE_TABLE = {"make_table": 1, "draw_figure": 1}
COSTS = {"collect_costs": 1}
ARM = {"train_copycat": 1, "score_copycat": 1}
SHARD_MADE = {"decode_queries": 1, "check_leaks": 1, "ask_victim": 1}
AFTER_VICTIM = {"score_victim": 1, "ask_victim": 2, "train_copycat": 3, "score_copycat": 3}


def cells(*lines: str) -> Callable[["Project"], None]:
    """Gives the table of the curve these blocks of cells."""
    blocks = "\n".join(f"      - {{<<: *natural, {line}}}" for line in lines)
    return lambda project: project.edit("config/tiny.yaml", f"      - {{<<: *natural, {CURVE}}}", blocks)


def touch(project: "Project") -> None:
    for path in project.root.rglob("*"):
        if not {".snakemake", ".git", ".dvc"} & set(path.parts):
            os.utime(path)


def comment(project: "Project") -> None:
    for file in ("config/tiny.yaml", "config/ingredients/recipes.yaml"):
        project.append(file, "\n# a comment\n\n")


def revert(project: "Project") -> None:
    before = (project.root / "config/tiny.yaml").read_text()
    project.edit("config/tiny.yaml", CURVE, CURVE.replace("100", "50"))
    assert project.run("-n").planned
    (project.root / "config/tiny.yaml").write_text(before)


def strategy(project: "Project") -> None:
    shutil.copy2(project.root / f"{ENTRY}/strategies/random.py", project.root / f"{ENTRY}/strategies/shuffled.py")
    project.append(
        "config/ingredients/queries.yaml",
        "\nphotographs-shuffled: {title: Shuffled, images: [photographs/pool], strategy: shuffled}\n",
    )
    cells(CURVE, 'row: "{query}", queries: [photographs-shuffled], budgets: [100]')(project)


def victim(project: "Project") -> None:
    project.append(
        "config/ingredients/victims.yaml",
        "\ndigits-other: {title: Other, kind: trained, dataset: digits, architecture: plain, recipe: tiny-victim}\n",
    )
    project.edit(
        "config/tiny.yaml",
        REFERENCES,
        REFERENCES.replace("references: {", 'references: {row: "{victim} {reference}", '),
    )
    cells(CURVE, 'row: "{victim}", victims: [digits-other], budgets: [100]')(project)


def table(project: "Project") -> None:
    entry = """\
  knockoff/architectures:
    title: Families
    caption: Of an arm that is there already.
    metrics: [accuracy]
    cells:
      - {<<: *natural, row: "{architecture}"}
    references: {column: "{dataset}"}
"""
    project.append("config/tiny.yaml", entry)


def flip(file: str) -> Callable[["Project"], None]:
    """Flips a byte in the middle of a file, keeping its size and its time."""

    def change(project: "Project") -> None:
        path = project.root / file
        before = path.stat()
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


def delete(file: str) -> Callable[["Project"], None]:
    return lambda project: (project.root / file).unlink()


def edit(file: str, old: str, new: str) -> Callable[["Project"], None]:
    return lambda project: project.edit(file, old, new)


def published(project: "Project") -> None:
    path = project.root / "config/published.csv"
    with open(path, newline="") as file:
        first = next(csv.DictReader(file))["value"]
    path.write_text(path.read_text().replace(f",{first},", f",{first}1,", 1))


@dataclass(frozen=True)
class Event:
    """A change and the jobs it leads to; under DVC fewer, where what was made again came out the same."""

    change: Callable[["Project"], None]
    jobs: dict[str, int]
    under_dvc: dict[str, int] | None = None


EVENTS = {
    "nothing": Event(lambda project: None, {}),
    "every file touched": Event(touch, {}),
    "comments and blank lines": Event(comment, {}),
    "an edit reverted": Event(revert, {}),
    "a budget changed within the prefix asked": Event(
        cells(CURVE.replace("100", "150")), ARM | CURVE_TABLE | ARMS_TABLES | COSTS
    ),
    "a budget changed beyond the prefix asked": Event(
        cells(CURVE.replace("200", "350")),
        SHARD_MADE | ARM | CURVE_TABLE | ARMS_TABLES | COSTS,
    ),
    "a budget added": Event(
        cells(CURVE.replace("200", "200, 250")),
        SHARD_MADE | ARM | CURVE_TABLE | ARMS_TABLES | COSTS,
    ),
    "a replicate added": Event(
        edit("config/tiny.yaml", "replicates: 1", "replicates: 2"),
        {"train_copycat": 3, "score_copycat": 3} | BOTH_TABLES | ARMS_TABLES | COSTS,
    ),
    "a response added": Event(
        cells(CURVE, 'row: "{response}", responses: [top-2]'), ARM | CURVE_TABLE | ARMS_TABLES | COSTS
    ),
    "an architecture added": Event(
        cells(CURVE, 'row: "{architecture}", architectures: [vgg-small]'), ARM | CURVE_TABLE | ARMS_TABLES | COSTS
    ),
    "a strategy added": Event(strategy, {"order_pool": 1} | SHARD_MADE | ARM | CURVE_TABLE | ARMS_TABLES | COSTS),
    "a victim added": Event(
        victim,
        {"train_victim": 2, "score_victim": 1, "ask_victim": 1} | ARM | CURVE_TABLE | ARMS_TABLES | COSTS,
    ),
    "a table added": Event(table, {"make_table": 1, "draw_figure": 1}),
    "an architecture's plug-in edited": Event(
        edit(f"{ENTRY}/architectures/plain.py", "        centre(channels),\n", ""),
        {"train_victim": 2} | AFTER_VICTIM | BOTH_TABLES | ARMS_TABLES | COSTS,
    ),
    "a response's plug-in edited": Event(
        edit(f"{ENTRY}/responses/top_1.py", "return np.eye", "return 0.9 * np.eye"),
        {"train_copycat": 2, "score_copycat": 2} | BOTH_TABLES | ARMS_TABLES | COSTS,
    ),
    "the training module edited": Event(
        edit(f"{ENTRY}/training.py", "    return 1.0\n", "    return 0.99\n"),
        {"train_victim": 2} | AFTER_VICTIM | BOTH_TABLES | ARMS_TABLES | COSTS,
    ),
    "a table's code edited": Event(
        edit(f"{ENTRY}/tables/knockoff/budgets.py", "\ndef markdown", "\nEDITED = True\n\n\ndef markdown"), CURVE_TABLE
    ),
    "a published number edited": Event(published, BOTH_TABLES),
    "weights deleted": Event(delete(WEIGHTS), ARM | BOTH_TABLES | ARMS_TABLES | COSTS, {"train_copycat": 1} | COSTS),
    "weights corrupted": Event(flip(WEIGHTS), ARM | BOTH_TABLES | ARMS_TABLES | COSTS, {"train_copycat": 1} | COSTS),
    "predictions deleted": Event(
        delete(PREDICTIONS), {"score_copycat": 1} | BOTH_TABLES | ARMS_TABLES, {"score_copycat": 1}
    ),
    "query images corrupted": Event(
        flip(SHARD),
        SHARD_MADE | {"train_copycat": 2, "score_copycat": 2} | BOTH_TABLES | ARMS_TABLES | COSTS,
        {"decode_queries": 1, "check_leaks": 1},
    ),
}


BY_NAME = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())


@BY_NAME
def test_snakemake_runs_exactly_what_is_affected(finished: "Project", event: Event) -> None:
    event.change(finished)
    run = finished.run()
    assert run.code == 0, run.output
    assert run.jobs == Counter(event.jobs)
    again = finished.run("-n")
    assert "Nothing to be done" in again.output


@BY_NAME
def test_dvc_runs_exactly_what_is_affected(versioned: "Project", event: Event) -> None:
    event.change(versioned)
    run = versioned.command("dvc", "repro")
    assert run.code == 0, run.output
    assert run.jobs == Counter(event.jobs if event.under_dvc is None else event.under_dvc)
    again = versioned.command("dvc", "repro")
    assert "Data and pipelines are up to date" in again.output
    assert "Nothing to be done" in versioned.run("-n").output
