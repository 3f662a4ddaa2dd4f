"""The protocol switch in the plan: warm chains, who may see a test split, what is refused, what every arm is told."""

from __future__ import annotations

import copy
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import collect_arms
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mimeo.evaluation import METRICS
from mimeo.store import save_json
from plan import ConfigError, Job, Plan, load_plan, load_resources
from plan.arms import Arm, Transfer

if TYPE_CHECKING:
    from tests.conftest import Configuration

ROOT = Path(__file__).resolve().parents[2]
SCALES = sorted(path.name for path in (ROOT / "config").glob("*.yaml") if path.name != "schema.yaml")
RECIPES = "ingredients/recipes.yaml"
BLOCK: dict[str, Any] = {
    "row": "{query} {budget}",
    "column": "{dataset}",
    "victims": ["digits-plain"],
    "queries": ["photographs-random"],
    "responses": ["posterior"],
    "budgets": [100, 200],
    "architectures": ["plain"],
    "recipe": "small-knockoff",
}
BASE = "digits-plain/photographs-random/posterior-b100/plain-small-knockoff"


def planned(configuration: Configuration, *blocks: dict[str, Any]) -> Plan:
    """The demo with a single table, whose blocks differ from BLOCK as given."""
    scale = configuration.read("demo.yaml")
    table = {"title": "T", "caption": "C", "metrics": ["accuracy"], "cells": [BLOCK | block for block in blocks]}
    scale |= {"tables": {"knockoff/protocol": table}, "headline": [], "claims": {}}
    configuration.write("demo.yaml", scale)
    return configuration.plan()


def refusal(configuration: Configuration, *blocks: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        planned(configuration, *blocks)
    [line] = str(caught.value).splitlines()
    return line


# --- warm chains ----------------------------------------------------------------------------------------------


def test_a_warm_chain(configuration: Configuration) -> None:
    """Budgets in increasing order, each from the next smaller one; the smallest is the arm that all blocks share."""
    plan = planned(
        configuration, {"row": "Ours {budget}"}, {"row": "Warm {budget}", "warm": True, "budgets": [400, 100, 200]}
    )
    cells = {cell.row: cell.arm for cell in plan.tables["knockoff/protocol"]}
    assert cells == {
        "Ours 100": BASE,
        "Ours 200": BASE.replace("b100", "b200"),
        "Warm 100": BASE,
        "Warm 200": f"{BASE}/warm-b200",
        "Warm 400": f"{BASE}/warm-b200/warm-b400",
    }
    assert [*cells][2:] == ["Warm 400", "Warm 100", "Warm 200"]
    arm = plan.arms[f"{BASE}/warm-b200/warm-b400"]
    assert arm.parent and arm.parent.path == f"{BASE}/warm-b200"
    assert arm.parent.parent and arm.parent.parent.path == BASE
    inputs = plan.training_inputs(arm.path, "000-003")
    assert inputs["parent"] == [f"results/copycats/{BASE}/warm-b200/000-003.safetensors"]
    assert plan.training_inputs(BASE, "000-003")["parent"] == []
    assert {path: plan.arms[path].start for path in set(cells.values())} == {
        path: "warm" if "warm" in path else "fresh" for path in cells.values()
    }


def test_a_chain_pays_for_its_longest_budget(configuration: Configuration) -> None:
    """Its budgets are prefixes of one order: the victim is asked once."""
    plan = planned(configuration, {"warm": True, "budgets": [100, 200, 300]})
    last = f"{BASE}/warm-b200/warm-b300"
    assert plan.paid(last) == plan.names(last)["queries"] == 300
    assert plan.training(last)["budget"] == 300


def test_chains_are_of_a_block_and_of_one_kind(configuration: Configuration) -> None:
    """Every victim, query set, response and architecture has a chain of its own; `all` is the longest budget."""
    both = {"queries": ["photographs-random", "fonts-random"], "responses": ["posterior", "top-1"]}
    plan = planned(configuration, both | {"row": "{query} {response} {budget}", "warm": True, "budgets": ["all", 100]})
    assert len(plan.arms) == 8
    for arm in plan.arms.values():
        kinds = {(transfer.query, transfer.response, transfer.recipe) for transfer in arm.transfers}
        assert len(kinds) == 1
        assert arm.last.budget in (100, plan.pool_size(arm.last.query))


def test_ten_budgets_fit_a_file_system(configuration: Configuration) -> None:
    """Names of 255 bytes and paths of 1,024 are the least that a common file system has; Snakemake writes the path of
    an output in base 64 into one that it splits."""
    budgets = [1000 * number for number in range(1, 11)]
    plan = planned(configuration, {"warm": True, "budgets": budgets, "recipe": "small-knockoff-validation"})
    path = max(plan.records().values(), key=len)
    assert path.count("warm-b") == 9
    assert max(map(len, path.split("/"))) < 100
    assert 4 / 3 * len(path) < 500


def test_fine_tuning_is_no_warm_start(configuration: Configuration) -> None:
    """What goes on with other queries keeps its path, and its cell the budget of its first transfer."""
    then = {"query": "fonts-random", "response": "top-1", "budget": 300, "recipe": "small-fine-tune"}
    plan = planned(configuration, {"then": then, "budgets": [100]})
    [cell] = plan.tables["knockoff/protocol"]
    assert cell.arm == f"{BASE}/then/fonts-random/top-1-b300/small-fine-tune"
    assert cell.row.endswith(" 100")
    assert plan.arms[cell.arm].start == "fine-tuned"


TRANSFERS = st.builds(Transfer, st.sampled_from("qr"), st.just("p"), st.integers(0, 4), st.sampled_from("st"))
CHAINS = st.lists(TRANSFERS, min_size=1, max_size=4).map(lambda transfers: Arm("v", "n", tuple(transfers)))


@settings(database=None, deadline=None)
@given(CHAINS, CHAINS)
def test_paths_of_chains_differ(one: Arm, other: Arm) -> None:
    assert (one.path == other.path) == (one == other)


@settings(database=None, deadline=None)
@given(CHAINS)
def test_a_parent_is_a_prefix(arm: Arm) -> None:
    if arm.parent:
        assert arm.path.startswith(f"{arm.parent.path}/")
        assert arm.parent.start in {"warm": ("fresh", "warm")}.get(arm.start, ("fresh", "warm", "fine-tuned"))


def test_who_chose_is_handed_on(configuration: Configuration) -> None:
    """What goes on from weights that a test set has chosen is chosen by it too; held-out queries choose one epoch."""
    then = {"query": "fonts-random", "response": "top-1", "budget": 300, "recipe": "small-fine-tune"}
    kinds = ("small-knockoff", "small-knockoff-test", "small-knockoff-validation")
    plan = planned(
        configuration, *({"row": recipe, "budgets": [100], "recipe": recipe, "then": then} for recipe in kinds)
    )
    found = {cell.row: plan.selected_by(cell.arm) for cell in plan.tables["knockoff/protocol"]}
    assert found == dict(zip(kinds, ("last", "test", "last"), strict=True))
    firsts = {arm.last.recipe: plan.selected_by(path) for path, arm in plan.arms.items() if not arm.parent}
    assert firsts == dict(zip(kinds, ("last", "test", "validation"), strict=True))


# --- who may see a test split -----------------------------------------------------------------------------------


def loaded(scale: str) -> Plan:
    file = ROOT / "config" / scale
    return load_plan(ROOT, yaml.safe_load(file.read_text()), [str(file)])


def splits_of_tests(plan: Plan) -> set[str]:
    """Every file of a test split of the plan's victims."""
    datasets = {plan.ingredients["victims"][victim]["dataset"] for victim in plan.victims()}
    return {f"results/data/{dataset}/test{kind}.npy" for dataset in datasets for kind in ("", "-labels")}


@pytest.mark.parametrize("scale", SCALES)
def test_no_other_arm_is_trained_with_a_test_split(scale: str) -> None:
    """Of all arms those alone whose recipe says so have files of a test split among their inputs: their victim's."""
    plan, tuned = loaded(scale), 0
    for path, arm in plan.arms.items():
        inputs = [file for files in plan.training_inputs(path, "000-001").values() for file in files]
        tested = {file for file in inputs if file in splits_of_tests(plan) or "test" in Path(file).name}
        if plan.ingredients["recipes"][arm.last.recipe].get("select") == "test":
            tuned += 1
            dataset = plan.ingredients["victims"][arm.victim]["dataset"]
            assert tested == {f"results/data/{dataset}/test.npy", f"results/data/{dataset}/test-labels.npy"}
            assert plan.training_inputs(path, "000-001")["judged"] == sorted(tested, key=len)
        else:
            assert not tested, path
    shown = [cell.row for cell in plan.tables.get("knockoff/protocol", []) if "test set" in cell.row]
    assert (tuned > 0) == (len(shown) > 0)


@pytest.mark.parametrize("scale", SCALES)
def test_no_victim_chooses(scale: str) -> None:
    """Neither a victim of the scale nor any other that is written down."""
    plan = loaded(scale)
    for name, victim in plan.ingredients["victims"].items():
        assert plan.selects(victim["recipe"]) == "last", name
        assert "select" not in plan.victim(name)["recipe"]


@pytest.mark.parametrize("scale", SCALES)
def test_rows_say_whose_protocol_it_is(scale: str) -> None:
    """A cell of an arm that the test set has tuned stands in the table of protocols alone, and its row names it."""
    plan = loaded(scale)
    for name, cells in plan.tables.items():
        for cell in cells:
            if plan.selected_by(cell.arm) == "test":
                assert name == "knockoff/protocol"
                assert "test set" in cell.row or "Authors' protocol" in cell.row


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("select", ["validation", "test"])
def test_victims_that_choose_are_refused(configuration: Configuration, select: str) -> None:
    configuration.change(RECIPES, ("small-victim", "select"), select)
    assert refusal(configuration, {}).endswith(
        f"victims.yaml: digits-plain.recipe: small-victim has `select: {select}`, but a victim's last epoch is kept"
    )


def test_a_victim_may_say_last(configuration: Configuration) -> None:
    configuration.change(RECIPES, ("small-victim", "select"), "last")
    assert planned(configuration, {}).arms


def test_warm_and_then_are_refused(configuration: Configuration) -> None:
    then = {"query": "fonts-random", "response": "top-1", "budget": 300, "recipe": "small-fine-tune"}
    said = refusal(configuration, {}, {"then": then, "warm": True})
    assert "tables.knockoff/protocol.cells[1].warm: a block with `then`" in said


def test_too_few_to_hold_out(configuration: Configuration) -> None:
    said = refusal(configuration, {"recipe": "small-knockoff-validation", "budgets": [9]})
    assert "cells[0].budgets: 9 is too few to hold out a tenth, as small-knockoff-validation does" in said
    assert planned(configuration, {"recipe": "small-knockoff-validation", "budgets": [0, 10]}).arms


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        (RECIPES, ("small-knockoff", "select"), "best"),
        ("ingredients/queries.yaml", ("fonts-random", "leaks"), "ignore"),
        ("demo.yaml", ("tables", "knockoff/protocol", "cells", 0, "warm"), "yes"),
    ],
)
def test_values_that_are_none(configuration: Configuration, file: str, keys: tuple[str | int, ...], value: Any) -> None:
    configuration.change(file, keys, value)
    with pytest.raises(ConfigError, match=f"{keys[-1]}: {value!r} is not "):
        configuration.plan()


# --- what a training asks for -----------------------------------------------------------------------------------


def test_judging_takes_time(configuration: Configuration) -> None:
    """Every epoch's look at the test set counts, and the images that it needs."""
    kinds = {"last": {}, "test": {"recipe": "small-knockoff-test"}, "held": {"recipe": "small-knockoff-validation"}}
    plan = planned(configuration, *({"row": f"{name} {{budget}}", "budgets": [200]} | kinds[name] for name in kinds))
    resources = load_resources(configuration.root, plan)
    last, test, held = (
        resources.load(Job.of("train_copycat", arm=cell.arm, first="000", stop="003"))
        for cell in plan.tables["knockoff/protocol"]
    )
    assert last.seconds < held.seconds < test.seconds
    assert last.held < held.held < test.held
    assert last.kept == held.kept == test.kept


def test_long_chains_share_no_gpu(configuration: Configuration) -> None:
    """A group's members that wait for each other need their time one after the other."""
    plan = planned(configuration, {"warm": True, "budgets": [100, 200, 300]})
    resources = load_resources(configuration.root, plan)
    jobs = {path: Job.of("train_copycat", arm=path, first="000", stop="003") for path in plan.arms}
    assert {path.count("warm"): resources.shares(job) for path, job in jobs.items()} == {0: True, 1: True, 2: False}


# --- what a job is told -----------------------------------------------------------------------------------------


def test_defaults_change_no_spec(configuration: Configuration) -> None:
    """A training is told of a choice where there is one, and never what becomes of leaks: its inputs say which."""
    plan = planned(configuration, {})
    before = copy.deepcopy([plan.training(path) for path in plan.arms])
    assert all("select" not in spec["recipe"] for spec in before)
    assert "leak" not in str(before)
    configuration.change("ingredients/queries.yaml", ("photographs-random", "leaks"), "leave_out")
    assert [configuration.plan().training(path) for path in plan.arms] == before
    chosen = planned(configuration, {"recipe": "small-knockoff-test"})
    assert {chosen.training(path)["recipe"]["select"] for path in chosen.arms} == {"test"}


def test_the_table_of_arms_says_how_weights_came_about(tmp_path: Path) -> None:
    """By which epoch, from where, and how many images were left out."""
    files, made = [], {"a": ["last", "fresh"], "b": ["test", "warm"], "c": ["validation", "fine-tuned"]}
    for name in made:
        transfer = {"query": "q", "response": "r", "budget": 9, "recipe": "s"}
        score = {"value": 0.5, "low": 0.4, "high": 0.6}
        files.append(f"{tmp_path}/{name}.json")
        save_json(
            files[-1],
            {
                "arm": name, "victim": "v", "architecture": "n", "transfers": [transfer], "queries": 9, "left_out": 2,
                "replicates": [{}, {}], "sound": 2,
                "metrics": dict.fromkeys(METRICS, score),
            },
        )  # fmt: skip
    table = tmp_path / "arms.csv"
    collect_arms.main(files, [], {}, made, str(table), str(tmp_path / "metrics.json"))
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["arm"], row["selected by"], row["start"]) for row in rows] == [
        ("a", "last", "fresh"), ("b", "test", "warm"), ("c", "validation", "fine-tuned"),
    ]  # fmt: skip
    assert {(row["queries"], row["left out"], row["replicates"]) for row in rows} == {("9", "2", "2")}
