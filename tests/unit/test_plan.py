"""Checks of the plan: what arms are called, which files they need, and what their jobs are told."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mimeo.seeds import seed_of
from plan import Arm, ConfigError, Plan
from plan.arms import Transfer

if TYPE_CHECKING:
    from tests.conftest import Configuration

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = Transfer("photographs-random", "top-1", 16000, "small-copycat")
FONTS = Transfer("fonts-random", "top-1", 1000, "small-fine-tune")
NAMES = st.from_regex(r"[a-c]([-_]?[a-c]){0,3}", fullmatch=True)
TRANSFERS = st.builds(Transfer, NAMES, NAMES, st.integers(0, 30), NAMES)
ARMS = st.builds(Arm, NAMES, NAMES, st.lists(TRANSFERS, min_size=1, max_size=2).map(tuple))

INGREDIENTS: dict[str, dict[str, Any]] = {
    "datasets": {
        "signs": {
            "title": "Signs",
            "plugin": "signs",
            "parameters": {},
            "size": 8,
            "channels": 1,
            "classes": ["a", "b"],
            "splits": {"train": 70, "test": 30},
        },
        "walls": {
            "title": "Walls",
            "plugin": "walls",
            "parameters": {},
            "size": 8,
            "channels": 1,
            "classes": [],
            "splits": {"pool": 1000, "more": 234},
        },
    },
    "queries": {
        "own": {"title": "Own", "images": ["signs/train"], "strategy": "random", "parameters": {}, "seed": 0},
        "walls": {
            "title": "Walls",
            "images": ["walls/pool", "walls/more"],
            "strategy": "random",
            "parameters": {},
            "seed": 0,
        },
    },
    "responses": {
        "posterior": {"title": "Posterior", "plugin": "posterior", "parameters": {}, "labels": "victim"},
        "original": {"title": "Original", "plugin": "posterior", "parameters": {}, "labels": "pool"},
    },
    "architectures": {"plain": {"title": "Plain", "plugin": "plain", "parameters": {"width": 8}}},
    "recipes": {
        "quick": {"epochs": 1, "batch": 10, "optimizer": "sgd", "rate": 0.1},
        "slow": {"epochs": 9, "batch": 10, "optimizer": "sgd", "rate": 0.1},
    },
    "victims": {
        "reader": {
            "title": "Reader",
            "kind": "trained",
            "parameters": {},
            "dataset": "signs",
            "architecture": "plain",
            "recipe": "slow",
        }
    },
}
BLOCK: dict[str, Any] = {
    "row": "{query} {response} {budget}",
    "column": "{dataset}",
    "victims": ["reader"],
    "queries": ["walls"],
    "responses": ["posterior"],
    "budgets": [100],
    "architectures": ["plain"],
    "recipe": "quick",
}


def planned(*blocks: dict[str, Any], **scale: Any) -> Plan:
    """A plan of one table whose blocks differ from BLOCK as given."""
    settings_ = {"replicates": 2, "block": 1, "twins": 1, "shard": 100, "resamples": 100, "comparable": False}
    table = {"title": "T", "caption": "C", "metrics": ["kl"], "cells": [BLOCK | block for block in blocks or ({},)]}
    return Plan(
        {"scale": "small", "tables": {"knockoff/accuracy": table}} | settings_ | scale, copy.deepcopy(INGREDIENTS)
    )


def then(query: str, budget: int | str, response: str = "posterior") -> dict[str, Any]:
    """A second transfer."""
    return {"query": query, "response": response, "budget": budget, "recipe": "slow"}


# --- arms and their paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "path"),
    [
        (
            Arm("digits-plain", "plain", (Transfer("digits-own", "posterior", 1078, "small-knockoff"),)),
            "digits-plain/digits-own/posterior-b1078/plain-small-knockoff",
        ),
        (
            Arm("digits-vgg", "alexnet-small", (Transfer("photographs-random", "top-1", 0, "small-copycat"),)),
            "digits-vgg/photographs-random/top-1-b0/alexnet-small-small-copycat",
        ),
        (
            Arm("digits-plain", "plain", (PHOTOGRAPHS, FONTS)),
            "digits-plain/photographs-random/top-1-b16000/plain-small-copycat"
            "/then/fonts-random/top-1-b1000/small-fine-tune",
        ),
    ],
)
def test_paths_stay(arm: Arm, path: str) -> None:
    """Seeds and stored weights hang on these paths: they may not change."""
    assert arm.path == path


def test_parent() -> None:
    """A fine-tuned arm's parent is the arm of its first transfer; others have none."""
    both = Arm("digits-plain", "plain", (PHOTOGRAPHS, FONTS))
    assert both.parent == Arm("digits-plain", "plain", (PHOTOGRAPHS,))
    assert both.parent.parent is None
    assert both.last == FONTS


@settings(database=None, deadline=None)
@given(st.lists(ARMS, min_size=2, max_size=2, unique=True))
def test_paths_differ(pair: list[Arm]) -> None:
    """Arms that differ have paths that differ, unless architecture and recipe are told apart by a hyphen alone."""
    first, second = pair
    joined = [f"{arm.architecture}-{arm.transfers[0].recipe}" for arm in pair]
    assume(first.architecture == second.architecture or joined[0] != joined[1])
    assert first.path != second.path


def test_every_arm_is_its_path(configuration: Configuration) -> None:
    """The demo's arms are kept by their paths, with the arms that they fine-tune, and each fills a cell."""
    plan = configuration.plan()
    assert all(arm.path == path for path, arm in plan.arms.items())
    assert all(arm.parent.path in plan.arms for arm in plan.arms.values() if arm.parent)
    shown = {cell.arm for cells in plan.tables.values() for cell in cells}
    assert shown | {arm.parent.path for arm in plan.arms.values() if arm.parent} == set(plan.arms)


def test_arms_are_shared_by_tables(configuration: Configuration) -> None:
    """An arm that two tables show is planned once."""
    plan = configuration.plan()
    cells = [cell.arm for table in plan.tables.values() for cell in table]
    assert len(set(cells)) < len(cells)
    files = [block for arm in plan.arms for block in plan.blocks(arm)]
    assert len(set(files)) == len(files)


def test_product() -> None:
    """A block of cells is the product of its lists."""
    plan = planned({"queries": ["own", "walls"], "budgets": [10, 20, 30]})
    cells = plan.tables["knockoff/accuracy"]
    assert [(cell.row, cell.column) for cell in cells] == [
        (f"{query} Posterior {budget}", "Signs") for query in ("Own", "Walls") for budget in (10, 20, 30)
    ]
    assert len(plan.arms) == 6


def test_the_parent_is_planned_too() -> None:
    """What a fine-tuned arm starts from is trained even where no table shows it."""
    plan = planned({"then": then("own", 50)})
    assert list(plan.arms) == [
        "reader/walls/posterior-b100/plain-quick/then/own/posterior-b50/slow",
        "reader/walls/posterior-b100/plain-quick",
    ]


def test_all_is_the_whole_pool() -> None:
    """Budget ``all`` is the number of images of the query set, all parts of it together."""
    plan = planned({"budgets": ["all"], "then": then("own", "all")})
    [arm] = [arm for arm in plan.arms.values() if arm.parent]
    assert [transfer.budget for transfer in arm.transfers] == [1234, 70]
    assert plan.pool_size("walls") == 1234


def test_shares_of_a_pool() -> None:
    """A share of a part counts as many images as it has, rounded, and one at least."""
    ingredients = copy.deepcopy(INGREDIENTS)
    [part] = ingredients["queries"]["own"]["images"]
    for share, count in ((0.5, 35), (0.1, 7), (0.001, 1)):
        ingredients["queries"]["own"]["shares"] = {part: share}
        plan = Plan(planned().scale, ingredients)
        assert plan.pool_size("own") == count
        assert plan.pool("own")["counts"] == {part: count}
    assert "counts" not in planned().pool("own")


def test_two_arms_in_one_cell() -> None:
    """Two arms may not fill the same cell."""
    with pytest.raises(ConfigError, match="two arms in the cell 'Walls' / 'Signs'"):
        planned({"row": "{query}", "budgets": [100, 200]})


# --- shards and blocks ----------------------------------------------------------------------------------------


def query_files(plan: Plan) -> set[str]:
    """Every shard of images, and every leak report."""
    return {*plan.all_image_shards(False), *plan.all_image_shards(True), *plan.all_leak_reports()}


def limits(span: str) -> tuple[int, int]:
    """Start and stop of a span."""
    start, stop = span.split("-")
    return int(start), int(stop)


@settings(database=None, deadline=None)
@given(st.integers(1, 1300), st.integers(0, 1234), st.integers(0, 1234))
def test_budgets_nest(shard: int, one: int, other: int) -> None:
    """The shards of a smaller budget are the first shards of a larger one, by name."""
    plan = planned(shard=shard)
    small, large = (plan.spans("walls", budget) for budget in sorted((one, other)))
    assert large[: len(small)] == small
    assert plan.image_shards("reader", "walls", max(one, other))[: len(small)] == plan.image_shards(
        "reader", "walls", min(one, other)
    )
    assert plan.label_shards("reader", "walls", max(one, other))[: len(small)] == plan.label_shards(
        "reader", "walls", min(one, other)
    )


@settings(database=None, deadline=None)
@given(st.integers(1, 1300), st.integers(0, 1234))
def test_shards_hold_the_budget(shard: int, budget: int) -> None:
    """Shards follow each other from 0, end with the pool at the latest, and none is there in vain."""
    plan = planned(shard=shard)
    spans = [limits(span) for span in plan.spans("walls", budget)]
    assert [start for start, _ in spans] == [number * shard for number in range(len(spans))]
    assert all(stop == min(start + shard, 1234) for start, stop in spans)
    if budget:
        assert spans[-1][0] < budget <= spans[-1][1]
    else:
        assert not spans


def test_names_of_shards() -> None:
    """Shards are named by their first and last row, in figures that sort as text."""
    plan = planned(shard=500)
    assert plan.spans("walls", 1234) == ["0000000-0000500", "0000500-0001000", "0001000-0001234"]
    assert plan.image_shards("reader", "walls", 1) == ["results/queries/walls/0000000-0000500.npy"]
    assert plan.label_shards("reader", "walls", 1) == ["results/labels/reader/walls/0000000-0000500.npy"]
    assert plan.leak_reports("reader", "walls", 1) == ["results/queries/walls/0000000-0000500.leaks-signs.json"]


@settings(database=None, deadline=None)
@given(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9))
def test_more_replicates_rename_no_block(block: int, few: int, many: int) -> None:
    """Blocks of fewer replicates are the first blocks of more replicates."""
    few, many = sorted((few, many))
    path = "reader/walls/posterior-b100/plain-quick"
    small, large = (planned(block=block, replicates=block * n).blocks(path) for n in (few, many))
    assert large[:few] == small
    assert len(large) == many


def test_names_of_blocks() -> None:
    """Blocks are named by their first and last replicate."""
    folder = "results/copycats/reader/walls/posterior-b100/plain-quick"
    plan = planned(replicates=6, block=3)
    assert plan.blocks("reader/walls/posterior-b100/plain-quick") == [
        f"{folder}/000-003.safetensors",
        f"{folder}/003-006.safetensors",
    ]


def test_a_larger_budget_adds_only() -> None:
    """One more budget and more replicates keep every file that was planned before."""

    def files(plan: Plan) -> set[str]:
        blocks = {block for arm in plan.arms for block in plan.blocks(arm)}
        return blocks | query_files(plan) | set(plan.all_label_shards()) | set(plan.records().values())

    before, after = planned({"budgets": [150]}), planned({"budgets": [150, 900]}, replicates=4)
    assert files(before) < files(after)


def test_untrained_arms_ask_nothing() -> None:
    """Budget 0 needs no image and no answer."""
    plan = planned({"budgets": [0]})
    assert query_files(plan) == set()
    assert plan.all_label_shards() == []


def test_classes_by_number() -> None:
    """A number stands for as many names; labels of one data set are its own whether or not their names are known."""
    ingredients = copy.deepcopy(INGREDIENTS)
    ingredients["datasets"]["signs"]["classes"] = 2
    block = BLOCK | {"queries": ["own"], "responses": ["original"], "budgets": [70]}
    plan = Plan(planned(block).scale, ingredients)
    assert plan.shape("reader") == planned(block).shape("reader") == {"size": 8, "channels": 1, "classes": 2}
    assert plan.training(next(iter(plan.arms))) == planned(block).training(next(iter(plan.arms)))


def test_committed_files_of_a_data_set() -> None:
    """A split file is named like the plug-in, or by a parameter; where there is none, nothing is needed."""
    plan = planned()
    entry = plan.ingredients["datasets"]["signs"]
    assert plan.dataset_files("signs", "splits", "csv") == []
    entry["plugin"] = "digits"
    assert plan.dataset_files("signs", "splits", "csv") == ["workflow/scripts/mimeo/datasets/splits/digits.csv"]
    assert plan.dataset_files("signs", "checksums", "sha256")
    entry["plugin"], entry["parameters"] = "folder", {"folder": "signs", "split_file": "digits"}
    assert plan.dataset_files("signs", "splits", "csv") == ["workflow/scripts/mimeo/datasets/splits/digits.csv"]
    assert plan.dataset_files("signs", "checksums", "sha256") == []


def test_original_labels_ask_nothing() -> None:
    """Where the labels come with the pool the victim is not asked, but the images are checked for leaks."""
    plan = planned({"queries": ["own"], "responses": ["original"], "budgets": [70]})
    assert plan.all_label_shards() == []
    assert query_files(plan) == {
        "results/queries/own/0000000-0000070.npy",
        "results/queries/own/0000000-0000070.leaks-signs.json",
    }


# --- query sets that are chosen as they are asked ---------------------------------------------------------------

CHOSEN = {
    "title": "Chosen",
    "images": ["walls/pool", "walls/more"],
    "strategy": "adaptive",
    "parameters": {"rewards": ["loss"]},
    "seed": 3,
    "tree": {"levels": ["colour"], "features": "plain"},
    "copycat": {"architecture": "plain", "recipe": "quick", "batch": 10},
}


CHOSEN_BLOCK = {"queries": ["chosen"], "budgets": [250], "victims": ["reader", "other"], "row": "{victim}"}


def chosen_plan(**changes: Any) -> Plan:
    """One arm a victim, of 250 images that are chosen."""
    blank = planned()
    block = BLOCK | CHOSEN_BLOCK | changes
    scale = copy.deepcopy(blank.scale)
    scale["tables"]["knockoff/accuracy"]["cells"] = [block]
    ingredients = copy.deepcopy(INGREDIENTS)
    ingredients["queries"]["chosen"] = copy.deepcopy(CHOSEN)
    ingredients["victims"]["other"] = {**INGREDIENTS["victims"]["reader"], "title": "Other"}
    return Plan(scale, ingredients)


def test_every_victim_has_a_chosen_query_set_of_its_own() -> None:
    """Images, reports, answers, orders and logs lie with the victim's answers, shard by shard."""
    plan = chosen_plan()
    spans = ["0000000-0000100", "0000100-0000200", "0000200-0000300"]
    assert plan.spans("chosen", 250) == spans
    for victim in ("reader", "other"):
        folder = f"results/labels/{victim}/chosen"
        assert plan.folder(victim, "chosen") == f"labels/{victim}/chosen/asked"
        assert plan.image_shards(victim, "chosen", 250) == [f"{folder}/asked/{span}.npy" for span in spans]
        assert plan.label_shards(victim, "chosen", 250) == [f"{folder}/{span}.npy" for span in spans]
        assert plan.leak_reports(victim, "chosen", 250) == [f"{folder}/asked/{s}.leaks-signs.json" for s in spans]
        arm = f"{victim}/chosen/posterior-b250/plain-quick"
        assert plan.policy_logs(arm) == [f"{folder}/asked/{span}.policy.npz" for span in spans]
        assert plan.order(plan.folder(victim, "chosen"), spans[1]) == f"{folder}/asked/{spans[1]}.order.npz"
        assert plan.query_of(plan.folder(victim, "chosen")) == "chosen"
    assert plan.query_of(plan.folder("reader", "walls")) == "walls"
    assert plan.order("queries/walls", spans[1]) == "results/queries/walls/order.npz"
    assert planned().policy_logs("reader/walls/posterior-b100/plain-quick") == []


def test_each_shard_goes_on_from_the_one_before() -> None:
    """The first from nothing; the last of a pool is shorter, and its state comes from a whole one."""
    plan = chosen_plan(budgets=["all"])
    folder = "results/labels/reader/chosen/asked"
    starts = [limits(span)[0] for span in plan.spans("chosen", 1234)]
    assert plan.state_before("reader", "chosen", 0) == []
    for before, start in itertools.pairwise(starts):
        expected = [f"{folder}/{before:07d}-{start:07d}.state.safetensors"]
        assert plan.state_before("reader", "chosen", start) == expected
    assert starts[-1] == 1200


def test_rooms_of_what_is_chosen() -> None:
    """A tree instead of an order; all that depends on answers is made in the room of labels."""
    plan = chosen_plan()
    assert plan.all_orders() == ["results/queries/chosen/tree.npz"]
    assert plan.targets("queries") == plan.all_orders()
    labels = plan.targets("labels")
    assert len(labels) == len(set(labels)) == 2 * 3 * 3
    assert all(path.startswith("results/labels/") for path in labels)
    assert plan.all_image_shards(False) == []
    assert set(plan.all_leak_reports()) == set(plan.all_leak_reports(True)) < set(labels)
    both = chosen_plan(queries=["chosen", "walls"], row="{victim} {query}")
    assert both.all_orders() == ["results/queries/chosen/tree.npz", "results/queries/walls/order.npz"]
    assert set(both.all_leak_reports()) == {*both.all_leak_reports(True), *both.all_leak_reports(False)}


def test_what_choosing_is_told() -> None:
    """All that decides which images are chosen, resolved; no title, and no budget: a longer run begins the same."""
    plan = chosen_plan()
    found = plan.choosing("reader", "chosen")
    parts = [{"plugin": "walls", "size": 8, "channels": 1}] * 2
    assert found == {
        "strategy": {"plugin": "adaptive", "parameters": {"rewards": ["loss"]}},
        "seed": 3,
        "batch": 10,
        "architecture": {"plugin": "plain", "parameters": {"width": 8}},
        "recipe": INGREDIENTS["recipes"]["quick"],
        "parts": parts,
        "shard": 100,
        "victim": plan.victim("reader"),
    }
    assert chosen_plan(budgets=[900]).choosing("reader", "chosen") == found
    assert plan.grouping("chosen") == {
        "images": CHOSEN["images"],
        "tree": CHOSEN["tree"],
        "seed": 3,
        "parts": parts,
        "features": {"plugin": "plain", "parameters": {"width": 8}},
    }


def test_a_larger_budget_adds_shards_of_what_is_chosen() -> None:
    """Files of a smaller budget are planned for a larger one as they are."""
    small, large = (set(chosen_plan(budgets=[budget]).targets("labels")) for budget in (150, 900))
    assert small < large


def test_original_labels_of_what_is_chosen_are_refused() -> None:
    """Images that the victim's answers have chosen have been paid for: that nobody was asked would be false."""
    with pytest.raises(ConfigError, match="chosen is chosen by what reader answers"):
        own = copy.deepcopy(CHOSEN) | {"images": ["signs/train"]}
        ingredients = copy.deepcopy(INGREDIENTS)
        ingredients["queries"]["chosen"] = own
        scale = copy.deepcopy(planned().scale)
        block = BLOCK | {"queries": ["chosen"], "responses": ["original"], "budgets": [10]}
        scale["tables"]["knockoff/accuracy"]["cells"] = [block]
        Plan(scale, ingredients)


# --- what is paid ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "queries"),
    [
        ({}, 100),
        ({"budgets": [0]}, 0),
        ({"queries": ["own"], "responses": ["original"], "budgets": [70]}, 0),
        ({"then": then("own", 50)}, 150),
        ({"then": then("walls", 50)}, 100),
        ({"then": then("walls", 400)}, 400),
        ({"then": then("own", 50, "original")}, 100),
        ({"queries": ["own"], "responses": ["original"], "budgets": [70], "then": then("walls", 20)}, 20),
        ({"queries": ["own"], "responses": ["original"], "budgets": [70], "then": then("own", 20)}, 20),
    ],
)
def test_paid(block: dict[str, Any], queries: int) -> None:
    """Asked images count once for each query set, at its larger budget; original labels cost nothing."""
    plan = planned(block)
    path = plan.tables["knockoff/accuracy"][0].arm
    assert plan.paid(path) == queries
    assert plan.names(path)["queries"] == queries


# --- what a job is told ---------------------------------------------------------------------------------------


def retitled(ingredients: dict[str, dict]) -> dict[str, dict]:
    """Ingredients in which every title is another."""
    changed = copy.deepcopy(ingredients)
    for entries in changed.values():
        for entry in entries.values():
            if "title" in entry:
                entry["title"] = f"{entry['title']}, renamed"
    return changed


def test_trainings_know_no_title(configuration: Configuration) -> None:
    """Renaming everything for the reader changes no spec of a victim, a training or a decoding."""

    def specs(plan: Plan) -> dict[str, Any]:
        return {
            "arms": {path: [plan.training(path), plan.names(path)] for path in plan.arms},
            "victims": {name: plan.victim(name) for name in plan.victims()},
            "data": {name: plan.decoding(name) for name in plan.ingredients["datasets"]},
        }

    plan = configuration.plan()
    scale = copy.deepcopy(plan.scale)
    for table in scale["tables"].values():
        table["title"], table["caption"] = "another title", "another caption"
    renamed = Plan(scale, retitled(plan.ingredients))
    assert "title" not in json.dumps(specs(plan))
    assert specs(renamed) == specs(plan)
    assert renamed.table("knockoff/accuracy") != plan.table("knockoff/accuracy")


def test_training_spec() -> None:
    """A training is told what decides its weights, resolved, and nothing else."""
    plan = planned({"then": then("own", 50)})
    fine_tuned, first = plan.arms
    assert plan.training(first) == {
        "arm": first,
        "budget": 100,
        "architecture": {"plugin": "plain", "parameters": {"width": 8}},
        "recipe": INGREDIENTS["recipes"]["quick"],
        "response": {"plugin": "posterior", "parameters": {}},
        "labels": "victim",
        "shape": {"size": 8, "channels": 1, "classes": 2},
    }
    assert plan.training(fine_tuned)["recipe"] == INGREDIENTS["recipes"]["slow"]
    assert plan.training(fine_tuned)["budget"] == 50


def test_victim_spec() -> None:
    """A victim is told what decides its weights, resolved, and nothing else."""
    assert planned().victim("reader") == {
        "kind": {"plugin": "trained", "parameters": {}},
        "dataset": "signs",
        "architecture": {"plugin": "plain", "parameters": {"width": 8}},
        "recipe": INGREDIENTS["recipes"]["slow"],
        "shape": {"size": 8, "channels": 1, "classes": 2},
    }


def test_seeds_differ(configuration: Configuration) -> None:
    """No two replicates of the demo, of any arms or victims, share a seed."""
    plan = configuration.plan()
    seeds = [seed_of("copycat", arm, replicate) for arm in plan.arms for replicate in range(plan.scale["replicates"])]
    seeds += [seed_of("victim", victim, role) for victim in plan.victims() for role in plan.roles()]
    assert len(set(seeds)) == len(seeds)


def test_a_seed_stays() -> None:
    """Seeds are a pure function of names, the same everywhere."""
    assert seed_of("copycat", "reader/walls/posterior-b100/plain-quick", 0) == 9029428257324179212


def test_table_spec() -> None:
    """A table is told its cells and where victim, ceiling and floor stand."""
    plan = planned({"budgets": [100, 200]})
    spec = plan.table("knockoff/accuracy")
    assert spec["cells"] == [
        [f"Walls Posterior {b}", "Signs", f"reader/walls/posterior-b{b}/plain-quick"] for b in (100, 200)
    ]
    assert [row[:2] for row in spec["references"]] == [[kind, "reader"] for kind in ("victim", "ceiling", "floor")]
    assert spec["layout"]["source"] == ["knockoff", "accuracy"]
    assert plan.table_inputs("knockoff/accuracy") == {
        "arms": [f"results/scores/copycats/reader/walls/posterior-b{b}/plain-quick/scores.json" for b in (100, 200)],
        "victims": ["results/scores/victims/reader.json"],
        "evidence": [],
    }


def test_claims_name_arms() -> None:
    """A claim's cells are resolved to arms, and their predictions listed once."""
    cells = [{"table": "knockoff/accuracy", "row": f"Walls Posterior {b}", "column": "Signs"} for b in (200, 100)]
    claim = {"paper": "knockoff", "text": "More helps", "metric": "accuracy", "of": cells[:1], "than": cells[1:]}
    plan = planned({"budgets": [100, 200]}, claims={"more": claim, "again": claim})
    arms = {budget: f"reader/walls/posterior-b{budget}/plain-quick" for budget in (100, 200)}
    assert (plan.claims()["more"]["of"], plan.claims()["more"]["than"]) == ([arms[200]], [arms[100]])
    assert plan.claim_inputs("predictions") == [
        f"results/scores/copycats/{arms[budget]}/predictions.npz" for budget in (200, 100)
    ]
    assert plan.claim_inputs("answers") == ["results/scores/victims/reader.npz"]


def test_outputs(configuration: Configuration) -> None:
    """A scale shows a CSV and a text for each table, both pictures where its plug-in draws, and its claims."""
    configuration.change("demo.yaml", ("scale",), "trial")
    named = configuration.read("ingredients/budgets.yaml")
    configuration.write("ingredients/budgets.yaml", {"trial": named["demo"]})
    plan = configuration.plan()
    shown = set(plan.outputs())
    for table in plan.tables:
        assert {f"results/tables/trial/{table}.{kind}" for kind in ("csv", "md")} <= shown
        pictures = {f"results/figures/trial/{table}.{kind}" for kind in ("png", "svg")}
        assert pictures <= shown if plan.has_figure(table) else not pictures & shown
    assert plan.has_figure("knockoff/budgets")
    assert not plan.has_figure("knockoff/accuracy")
    assert "results/tables/trial/claims.csv" in shown


# --- how fast -------------------------------------------------------------------------------------------------

SPEED = """
import sys, time, yaml
from pathlib import Path
from plan import load_plan
root, scale = Path(sys.argv[1]), Path(sys.argv[1]) / "config" / "demo.yaml"
began = time.process_time()
plan = load_plan(root, yaml.safe_load(scale.read_text()), [str(scale)])
plan.outputs(), plan.records(), plan.all_image_shards(False), plan.all_label_shards()
for arm in plan.arms:
    plan.training(arm), plan.names(arm), plan.blocks(arm)
    plan.code("train_copycat.py", plan.architecture_plugin(plan.arms[arm].architecture))
heavy = sorted({"torch", "numpy", "pandas", "scipy", "snakemake"} & set(sys.modules))
print(len(plan.arms), time.process_time() - began, *heavy)
"""


def test_a_thousand_arms(configuration: Configuration) -> None:
    """A plan of a thousand arms stands in seconds and imports no numerical library."""
    scale = configuration.read("demo.yaml")
    cells = [
        BLOCK
        | {
            "row": "{query} {response} {architecture} {budget}",
            "victims": ["digits-plain"],
            "queries": ["photographs-random"],
            "responses": ["posterior", "top-1"],
            "architectures": ["plain", "vgg-small"],
            "budgets": list(range(10, 2510, 10)),
            "recipe": "small-knockoff",
        }
    ]
    scale["tables"] = {"knockoff/accuracy": scale["tables"]["knockoff/accuracy"] | {"cells": cells}}
    scale["claims"], scale["headline"] = {}, []
    configuration.write("demo.yaml", scale)
    command = [sys.executable, "-c", SPEED, str(configuration.root)]
    done = subprocess.run(command, cwd=ROOT / "workflow", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    arms, seconds, *heavy = done.stdout.split()
    assert int(arms) == 1000
    assert float(seconds) < 5
    assert heavy == []
