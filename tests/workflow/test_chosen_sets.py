"""Query sets that are chosen as they are asked, through Snakemake: what runs, what is kept, and that it repeats."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

LABELS = "results/labels/digits-tiny/photographs-adaptive"
STATE = f"{LABELS}/asked/0000000-0000200.state.safetensors"
TABLES = {"make_table": 1, "draw_figure": 1, "collect_arms": 1, "collect_guards": 1, "collect_costs": 1}
ARM = {"train_copycat": 1, "score_copycat": 1}
CELL = "queries: [photographs-adaptive], budgets: [200]"
KINDS = ("npy", "leaks-digits.json", "order.npz", "policy.npz", "state.safetensors")


def test_it_runs_whole_and_then_nothing(chosen: "Project") -> None:
    """A tree, one job that chooses and asks, a check of what was chosen, an arm; nobody is asked in any other way."""
    ran = dict(line.split() for line in (chosen.root / "run.txt").read_text().splitlines())
    expected = {"group_pool": 1, "choose_queries": 1, "check_leaks": 1} | ARM | TABLES
    assert ran == {rule: str(count) for rule, count in expected.items()}
    assert "Nothing to be done" in chosen.run("-n").output
    made = {f"{LABELS}/0000000-0000200.npy"} | {f"{LABELS}/asked/0000000-0000200.{kind}" for kind in KINDS}
    assert set(chosen.digests(LABELS)) == made
    assert not (chosen.root / "results/checkpoints").exists()
    table = (chosen.root / "results/tables/tiny/knockoff/budgets.csv").read_text()
    assert '"Photographs, adaptive 200"' in table


def test_a_larger_budget_asks_only_what_is_new(chosen: "Project") -> None:
    before = chosen.digests()
    chosen.edit("config/tiny.yaml", CELL, CELL.replace("200", "200, 350"))
    run = chosen.run()
    assert run.code == 0, run.output
    assert run.jobs == {"choose_queries": 1, "check_leaks": 1} | ARM | TABLES
    after = chosen.digests()
    kept = [path for path in before if path.startswith(("results/labels/", "results/copycats/", "results/victims/"))]
    assert all(after[path] == before[path] for path in kept)
    assert f"{LABELS}/0000200-0000400.npy" in after
    assert "Nothing to be done" in chosen.run("-n").output


def test_an_edited_strategy_chooses_anew_and_trains_no_victim(chosen: "Project") -> None:
    chosen.edit("workflow/scripts/mimeo/strategies/adaptive.py", "LEAST = 1e-7", "LEAST = 1e-6")
    run = chosen.run()
    assert run.code == 0, run.output
    assert run.jobs == {"choose_queries": 1, "check_leaks": 1} | ARM | TABLES
    assert "Nothing to be done" in chosen.run("-n").output


def test_an_answer_that_is_lost_is_made_again(chosen: "Project") -> None:
    before = chosen.digests(LABELS)
    (chosen.root / LABELS / "0000000-0000200.npy").unlink()
    run = chosen.run()
    assert run.code == 0, run.output
    assert run.jobs["choose_queries"] == 1
    assert not {"group_pool", "ask_victim", "train_victim"} & set(run.jobs)
    assert chosen.digests(LABELS) == before


def test_killed_while_it_chooses_it_ends_with_the_same_bytes(finished: "Project") -> None:
    """kill -9 after a checkpoint; the next run goes on, and gives what a run in one go gives."""
    finished.edit("config/tiny.yaml", "shard: 200", "shard: 1500")
    finished.edit(
        "config/ingredients/queries.yaml",
        "tree: {levels: [photograph, region]}\n  copycat: {architecture: plain, recipe: small-online, batch: 16}",
        "tree: {levels: [photograph, region]}\n  copycat: {architecture: plain, recipe: small-online, batch: 1}",
    )
    finished.edit("config/tiny.yaml", 'row: "{query} {budget}",', 'queries: [photographs-adaptive], row: "{budget}",')
    target = f"{LABELS}/0000000-0001500.npy"
    kept = finished.root / "results/checkpoints/labels/digits-tiny/photographs-adaptive/0000000-0001500"
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", target, "--cores", "1", "--configfile", "config/tiny.yaml"],
        cwd=finished.root, env={**os.environ, "MIMEO_CHECKPOINT_SECONDS": "0.01"}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    while not (kept / "chosen.safetensors").exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (finished.root / target).exists()
    assert finished.run("--unlock").code == 0
    run = finished.run(target, cores=1)
    assert run.code == 0, run.output
    assert run.jobs == {"choose_queries": 1}
    log = finished.root / "logs/labels/digits-tiny/photographs-adaptive/0000000-0001500.log"
    assert re.search(r"goes on after \d+ of 1500 queries", log.read_text())
    assert not kept.exists()
    stopped = finished.digests(LABELS)
    shutil.rmtree(finished.root / LABELS)
    run = finished.run(target)
    assert run.code == 0, run.output
    assert "goes on" not in log.read_text()
    assert finished.digests(LABELS) == stopped


def test_one_core_and_two_choose_the_same(finished: "Project") -> None:
    """Several query sets at once, one of them with clusters of labels."""
    finished.edit(
        "config/tiny.yaml",
        'row: "{query} {budget}",',
        'row: "{query} {budget}", queries: [photographs-adaptive, fonts-adaptive, union-clustered-adaptive],',
    )
    seen = []
    for cores in (1, 2):
        run = finished.run("labels", cores=cores)
        assert run.code == 0, run.output
        assert run.jobs["group_pool"] == run.jobs["choose_queries"] == 3
        folders = ("results/labels", "results/queries")
        made = {path: digest for folder in folders for path, digest in finished.digests(folder).items()}
        seen.append({path: digest for path, digest in made.items() if "adaptive" in path})
        for folder in folders:
            for path in (finished.root / folder).glob("**/*-adaptive"):
                shutil.rmtree(path)
    assert len(seen[0]) == 3 * (1 + 1 + len(KINDS))
    assert seen[0] == seen[1]


def test_a_test_image_that_was_chosen_stops_the_run(chosen: "Project") -> None:
    """One line names it, and no copycat learns from it."""
    chosen.append(
        "config/ingredients/queries.yaml",
        """
stolen-adaptive:
  title: The test set among others
  images: [photographs/pool, digits/test]
  strategy: adaptive
  parameters: {rewards: [certainty]}
  tree: {levels: [label]}
  copycat: {architecture: plain, recipe: small-online, batch: 16}
""",
    )
    chosen.edit("config/tiny.yaml", CELL, CELL.replace("photographs-adaptive", "stolen-adaptive"))
    run = chosen.run()
    assert run.code != 0
    [line] = set(run.errors)
    assert re.match(
        r"error: query set stolen-adaptive: \d+ images are \(nearly\) test images of digits, the first '\d{4}' at "
        r"position \d+ is test image \d+$",
        line,
    )
    held = (chosen.root / "results/data/digits/items.csv").read_text().splitlines()
    assert any(row.startswith(f"{line.split(chr(39))[1]},test,") for row in held)
    assert "Traceback" not in run.output
    assert run.jobs["choose_queries"] == 1
    assert not run.jobs["train_copycat"]
    assert not list((chosen.root / "results/labels/digits-tiny/stolen-adaptive").rglob("*.json"))
