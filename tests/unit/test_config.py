"""Checks of the configuration: what is there loads, and what is wrong is refused in one line that says where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from plan import ConfigError, load_plan
from plan.config import DEFAULTS, KINDS, read_published, read_yaml

if TYPE_CHECKING:
    from tests.conftest import Configuration

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
SCALES = sorted(path.name for path in CONFIG.glob("*.yaml") if path.name != "schema.yaml")
SCHEMA = yaml.safe_load((CONFIG / "schema.yaml").read_text())["$defs"]
DEMO, DATASETS, RESPONSES, ARCHITECTURES, RECIPES, QUERIES, VICTIMS = (
    "demo.yaml",
    *(f"ingredients/{kind}.yaml" for kind in KINDS),
)
GONE = object()  # in place of a value: takes the key away

Keys = tuple[str | int, ...]
Change = tuple[str, Keys, Any]


# --- what is there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_loads(configuration: Configuration, scale: str) -> None:
    """Each scale of the house makes a plan in which every table has cells, or says whom it is about."""
    plan = configuration.plan(scale)
    assert plan.name == Path(scale).stem
    assert set(plan.tables) == set(configuration.read(scale)["tables"])
    assert all(cells or "victims" in plan.scale["tables"][name] for name, cells in plan.tables.items())
    assert plan.arms


@pytest.mark.parametrize("scale", SCALES)
def test_every_table_is_a_target_by_its_number(configuration: Configuration, scale: str) -> None:
    assert all("id" in table for table in configuration.plan(scale).scale["tables"].values())


def test_every_ingredient_file_is_read() -> None:
    """The files of config/ingredients are the kinds that the plan knows and the budgets, and each has entries."""
    assert {path.stem for path in (CONFIG / "ingredients").iterdir()} == {*KINDS, "budgets"}
    for kind in KINDS:
        assert read_yaml(CONFIG / "ingredients" / f"{kind}.yaml"), kind


def test_defaults(configuration: Configuration) -> None:
    """What an entry leaves out is filled in: plug-in by name, no parameters, and the defaults of its kind."""
    ingredients = configuration.plan().ingredients
    assert ingredients["responses"]["top-1"] == {
        "title": "Top-1",
        "plugin": "top_1",
        "parameters": {},
        "labels": "victim",
    }
    assert ingredients["responses"]["top-2"]["plugin"] == "top_k"
    assert ingredients["responses"]["original"]["labels"] == "pool"
    assert ingredients["architectures"]["vgg-small"]["plugin"] == "vgg_small"
    assert ingredients["queries"]["fonts-random"]["seed"] == 0
    assert ingredients["queries"]["fonts-random"]["parameters"] == {}
    assert ingredients["datasets"]["photographs"]["classes"] == []
    assert ingredients["victims"]["digits-plain"]["parameters"] == {}


def test_given_values_are_kept(configuration: Configuration) -> None:
    """A default never replaces what an entry says."""
    configuration.change(QUERIES, ("fonts-random", "seed"), 7)
    configuration.change(RESPONSES, ("own",), {"title": "Own", "plugin": "posterior", "labels": "pool"})
    ingredients = configuration.plan().ingredients
    assert ingredients["queries"]["fonts-random"]["seed"] == 7
    assert ingredients["responses"]["own"] == {
        "title": "Own",
        "plugin": "posterior",
        "labels": "pool",
        "parameters": {},
    }


# --- the schema -----------------------------------------------------------------------------------------------


def properties(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property described anywhere in a part of the schema, with its place."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "properties":
                for name, entry in value.items():
                    yield f"{path}.{name}", entry
                    yield from properties(entry, f"{path}.{name}")
            else:
                yield from properties(value, path)
    elif isinstance(node, list):
        for value in node:
            yield from properties(value, path)


def references(node: Any) -> Iterator[str]:
    """Every definition that a part of the schema refers to."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix("#/$defs/")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


PROPERTIES = dict(item for name, part in SCHEMA.items() for item in properties(part, name))


def test_schema_has_properties() -> None:
    """The walk finds what a reader of the schema finds."""
    assert {"recipes.epochs", "table.cells.then.budget", "scale.claims.of"} <= set(PROPERTIES)


@pytest.mark.parametrize("place", sorted(PROPERTIES))
def test_schema_describes(place: str) -> None:
    """A key has a description, is one of listed values, or refers to a definition."""
    entry = PROPERTIES[place]
    nested = "properties" in str(entry) or "$ref" in str(entry)
    assert "description" in entry or "enum" in entry or nested


def test_schema_definitions_are_used() -> None:
    """Every definition is of a file, or referred to; and the other way."""
    named = {target for part in SCHEMA.values() for target in references(part)}
    assert named <= set(SCHEMA)
    assert set(SCHEMA) - named == {*KINDS, "named_budgets", "scale", "resources"}


def test_schema_refuses_unknown_keys_everywhere() -> None:
    """Every object with listed keys is closed."""

    def objects(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if "properties" in node and "type" in node:
                yield node
            for value in node.values():
                yield from objects(value)

    found = list(objects(SCHEMA))
    assert len(found) > 10
    for entry in found:
        assert entry.get("additionalProperties") is False, sorted(entry["properties"])


def test_schema_states_the_defaults() -> None:
    """The defaults of the schema are those that the plan fills in."""
    stated = {
        kind: {
            key: entry["default"]
            for key, entry in SCHEMA[kind]["additionalProperties"]["properties"].items()
            if "default" in entry
        }
        for kind in KINDS
    }
    assert {kind: found for kind, found in stated.items() if found} == DEFAULTS


def test_schema_knows_every_recipe_setting() -> None:
    """The keys of a recipe are the fields of the class that trains by it, and the same are required."""
    tree = ast.parse((ROOT / "workflow/scripts/mimeo/training.py").read_text())
    [recipe] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Recipe"]
    fields = [node for node in recipe.body if isinstance(node, ast.AnnAssign)]
    known = SCHEMA["recipes"]["additionalProperties"]
    assert {ast.unparse(field.target) for field in fields} == set(known["properties"])
    assert {ast.unparse(field.target) for field in fields if field.value is None} == set(known["required"])


# --- strict YAML ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a"),
        ("a:\n  b: 1\n  b: 1\n", 3, "b"),
        ("a:\n  - {c: 1}\n  - {c: 1, d: 2, c: 3}\n", 3, "c"),
        ("a: &x {b: 1}\nc: {<<: *x, d: 1, d: 2}\n", 2, "d"),
    ],
)
def test_double_keys_are_refused(tmp_path: Path, text: str, line: int, key: str) -> None:
    """A key given twice is refused at any depth, with its line."""
    file = tmp_path / "doubled.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(file)
    assert str(caught.value) == f"{file}: line {line}: {key!r} is given twice"


def test_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    """YAML's merge key is no double: what stands beside it wins."""
    file = tmp_path / "merged.yaml"
    file.write_text("a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\n")
    assert read_yaml(file)["d"] == {"b": 3, "c": 2}


# --- what is wrong --------------------------------------------------------------------------------------------

ACCURACY, MAIN = ("tables", "knockoff/accuracy"), ("tables", "copycat/main")
CELL = (*ACCURACY, "cells", 0)
VICTIM_TABLE = ("tables", "knockoff/victims")
THEN = (*MAIN, "cells", 3, "then")
CLAIM = ("claims", "more-queries")
RANDOM = {"title": "New", "images": ["digits/train"], "strategy": "random"}
KNOWN_NUMBER = {"table": "knockoff/claims", "row": "open world random", "column": "all", "metric": "ratio_low"}
CELLS = [
    {
        "row": "{query}",
        "column": "{dataset}",
        "victims": ["digits-plain"],
        "queries": ["digits-own"],
        "responses": ["posterior"],
        "budgets": [10],
        "architectures": ["plain"],
        "recipe": "small-knockoff",
    }
]
TABLE = {"title": "New", "caption": "New", "metrics": ["kl"], "cells": CELLS}

WRONG: dict[str, tuple[list[Change], str, list[str]]] = {
    # unknown keys
    "unknown key": ([(DEMO, ("colour",), "red")], DEMO, ["'colour'"]),
    "unknown key of a table": ([(DEMO, (*ACCURACY, "subtitle"), "x")], DEMO, ["knockoff/accuracy", "'subtitle'"]),
    "unknown key of cells": ([(DEMO, (*CELL, "epochs"), 3)], DEMO, ["knockoff/accuracy.cells[0]", "'epochs'"]),
    "unknown key of then": ([(DEMO, (*THEN, "rate"), 3)], DEMO, ["copycat/main.cells[3].then", "'rate'"]),
    "unknown key of a claim": ([(DEMO, (*CLAIM, "why"), "x")], DEMO, ["claims.more-queries", "'why'"]),
    "unknown key of an ingredient": ([(VICTIMS, ("digits-plain", "colour"), 1)], VICTIMS, ["digits-plain", "'colour'"]),
    # tables of other numbers, ids and prices
    "scores without cells": (
        [(DEMO, ("tables", "knockoff/budgets", "cells"), GONE)],
        DEMO,
        ["budgets.cells", "required"],
    ),
    "victims beside cells": (
        [(DEMO, (*ACCURACY, "victims"), ["digits-plain"])],
        DEMO,
        ["knockoff/accuracy.victims", "without cells"],
    ),
    "needs without victims": (
        [(DEMO, (*VICTIM_TABLE, "victims"), GONE)],
        DEMO,
        ["knockoff/victims", "victims or cells", "manifests"],
    ),
    "needs without pools": (
        [(DEMO, ("tables", "knockoff/overlap", "pools"), GONE)],
        DEMO,
        ["knockoff/overlap", "pools or cells", "classes"],
    ),
    "pools without victims": (
        [(DEMO, ("tables", "knockoff/overlap", "victims"), GONE)],
        DEMO,
        ["knockoff/overlap.victims", "pools"],
    ),
    "table of nobody": (
        [(DEMO, (*VICTIM_TABLE, "victims"), ["digits-plane"])],
        DEMO,
        ["knockoff/victims.victims", "'digits-plane'", "did you mean 'digits-plain'?"],
    ),
    "pool of no data set": (
        [(DEMO, ("tables", "knockoff/overlap", "pools", "Fonts"), ["font"])],
        DEMO,
        ["knockoff/overlap.pools.Fonts", "'font'", "did you mean 'fonts'?"],
    ),
    "policy of random queries": (
        [(DEMO, ("tables", "knockoff/policy", "cells", 0, "queries"), ["union-random"])],
        DEMO,
        ["knockoff/policy.cells", "union-random", "no policy"],
    ),
    "id twice": ([(DEMO, (*ACCURACY, "id"), "F5")], DEMO, ["knockoff/budgets.id", "'F5'", "two tables"]),
    "id twice but for a hyphen": ([(DEMO, (*ACCURACY, "id"), "S_semi_open")], DEMO, ["accuracy.id", "S_semi_open"]),
    "id that is no name": ([(DEMO, (*ACCURACY, "id"), "T 2")], DEMO, ["knockoff/accuracy.id", "T 2"]),
    "dollars without a price": (
        [(VICTIMS, ("digits-plain", "price"), GONE)],
        DEMO,
        ["knockoff/cost.metrics", "usd", "digits-plain", "price"],
    ),
    "negative price": ([(VICTIMS, ("digits-plain", "price"), -1)], VICTIMS, ["digits-plain.price"]),
    "headline without scores": ([(DEMO, ("headline",), ["knockoff/victims"])], DEMO, ["headline", "knockoff/victims"]),
    # typos in keys
    "typo in a key": ([(DEMO, ("replicate",), 3)], DEMO, ["'replicate'", "did you mean 'replicates'?"]),
    "typo in a cell's key": ([(DEMO, (*CELL, "budget"), [3])], DEMO, ["cells[0]", "did you mean 'budgets'?"]),
    "typo in a recipe": (
        [(RECIPES, ("small-victim", "optimiser"), "sgd")],
        RECIPES,
        ["small-victim", "did you mean 'optimizer'?"],
    ),
    "missing key": ([(DEMO, ("shard",), GONE)], DEMO, ["'shard'"]),
    "missing key of an ingredient": ([(RECIPES, ("small-victim", "rate"), GONE)], RECIPES, ["small-victim", "'rate'"]),
    # wrong types and values
    "budget as text": ([(DEMO, (*CELL, "budgets"), ["1000"])], DEMO, ["cells[0].budgets[0]", "'1000'"]),
    "half a replicate": ([(DEMO, ("replicates",), 2.5)], DEMO, ["replicates", "2.5"]),
    "no replicate": ([(DEMO, ("replicates",), 0)], DEMO, ["replicates", "0"]),
    "replicates as a switch": ([(DEMO, ("replicates",), True)], DEMO, ["replicates", "True"]),
    "no twin": ([(DEMO, ("twins",), 0)], DEMO, ["twins"]),
    "too few resamples": ([(DEMO, ("resamples",), 99)], DEMO, ["resamples", "99"]),
    "unknown device": ([(DEMO, ("device",), "tpu")], DEMO, ["device", "'tpu'"]),
    "unknown metric": ([(DEMO, (*ACCURACY, "metrics"), ["acuracy"])], DEMO, ["metrics[0]", "'acuracy'"]),
    "negative rate": ([(RECIPES, ("small-victim", "rate"), -0.1)], RECIPES, ["small-victim.rate", "-0.1"]),
    "two channels": ([(DATASETS, ("fonts", "channels"), 2)], DATASETS, ["fonts.channels", "2"]),
    "classes as numbers": (
        [(DATASETS, ("fonts", "classes"), [0, 1])],
        DATASETS,
        ["fonts.classes[", "'string'"],
    ),
    "no number of classes": ([(DATASETS, ("fonts", "classes"), 0)], DATASETS, ["fonts.classes", "0"]),
    "number of classes with a point": ([(DATASETS, ("fonts", "classes"), 2.5)], DATASETS, ["fonts.classes", "2.5"]),
    "download that is none": ([(DATASETS, ("fonts", "download"), -1)], DATASETS, ["fonts.download", "-1"]),
    "list for a mapping": ([(DEMO, ACCURACY, [])], DEMO, ["tables.knockoff/accuracy"]),
    "no table": ([(DEMO, ("tables",), {})], DEMO, ["tables"]),
    "no cell": ([(DEMO, (*ACCURACY, "cells"), [])], DEMO, ["knockoff/accuracy.cells"]),
    "replicates between blocks": (
        [(DEMO, ("replicates",), 3), (DEMO, ("block",), 2)],
        DEMO,
        ["replicates: 3", "block (2)"],
    ),
    # budgets
    "negative budget": ([(DEMO, (*CELL, "budgets"), [-1])], DEMO, ["cells[0].budgets[0]", "-1"]),
    "budget beyond the pool": (
        [(DEMO, (*CELL, "budgets"), [1079])],
        DEMO,
        ["cells[0].budgets", "1079", "1078 images of digits-own"],
    ),
    "budget beyond the second pool": (
        [(DEMO, (*THEN, "budget"), 4001)],
        DEMO,
        ["cells[3].then", "4001", "4000 images of fonts-random"],
    ),
    "budget twice": ([(DEMO, (*CELL, "budgets"), [10, 20, 10])], DEMO, ["cells[0].budgets"]),
    "query set twice": ([(DEMO, (*CELL, "queries"), ["digits-own"] * 2)], DEMO, ["cells[0].queries"]),
    # names without an entry
    "victim without entry": ([(DEMO, (*CELL, "victims"), ["nobody"])], DEMO, ["cells[0]", "'nobody'", VICTIMS]),
    "query without entry": (
        [(DEMO, (*CELL, "queries"), ["digits-owm"])],
        DEMO,
        ["cells[0].queries", "'digits-owm'", QUERIES, "did you mean 'digits-own'?"],
    ),
    "response without entry": ([(DEMO, (*CELL, "responses"), ["top-3"])], DEMO, ["cells[0]", "'top-3'", RESPONSES]),
    "architecture without entry": (
        [(DEMO, (*CELL, "architectures"), ["plane"])],
        DEMO,
        ["cells[0].architectures", "'plane'", ARCHITECTURES, "did you mean 'plain'?"],
    ),
    "recipe without entry": ([(DEMO, (*CELL, "recipe"), "roast")], DEMO, ["cells[0].recipe", "'roast'", RECIPES]),
    "second query without entry": ([(DEMO, (*THEN, "query"), "fnts")], DEMO, ["cells[3].then", "'fnts'", QUERIES]),
    "second response without entry": ([(DEMO, (*THEN, "response"), "x")], DEMO, ["cells[3].then", "'x'", RESPONSES]),
    "second recipe without entry": ([(DEMO, (*THEN, "recipe"), "x")], DEMO, ["cells[3].then", "'x'", RECIPES]),
    "query of no data set": (
        [(QUERIES, ("digits-own", "images"), ["digit/train"])],
        QUERIES,
        ["digits-own.images", "'digit'", DATASETS, "did you mean 'digits'?"],
    ),
    "victim of no data set": ([(VICTIMS, ("digits-vgg", "dataset"), "x")], VICTIMS, ["digits-vgg.dataset", "'x'"]),
    "victim of no architecture": (
        [(VICTIMS, ("digits-vgg", "architecture"), "vgg-smal")],
        VICTIMS,
        ["digits-vgg.architecture", "'vgg-smal'", "did you mean 'vgg-small'?"],
    ),
    "victim of no recipe": ([(VICTIMS, ("digits-vgg", "recipe"), "x")], VICTIMS, ["digits-vgg.recipe", "'x'"]),
    # entries and tables without a plug-in, and parameters that do not fit it
    "data set without plug-in": (
        [(DATASETS, ("paintings",), {"title": "P", "size": 8, "channels": 1, "splits": {"pool": 9}})],
        DATASETS,
        ["paintings", "workflow/scripts/mimeo/datasets/paintings.py"],
    ),
    "response without plug-in": (
        [(RESPONSES, ("smeared-out",), {"title": "S"})],
        RESPONSES,
        ["smeared-out", "workflow/scripts/mimeo/responses/smeared_out.py"],
    ),
    "architecture without plug-in": (
        [(ARCHITECTURES, ("plain", "plugin"), "fancy")],
        ARCHITECTURES,
        ["plain", "workflow/scripts/mimeo/architectures/fancy.py"],
    ),
    "strategy without plug-in": (
        [(QUERIES, ("digits-own", "strategy"), "greedy")],
        QUERIES,
        ["digits-own", "workflow/scripts/mimeo/strategies/greedy.py"],
    ),
    "victim kind without plug-in": (
        [(VICTIMS, ("digits-plain", "kind"), "bought")],
        VICTIMS,
        ["digits-plain", "workflow/scripts/mimeo/victims/bought.py"],
    ),
    "table without plug-in": (
        [(DEMO, ("tables", "knockoff/prices"), TABLE)],
        DEMO,
        ["tables.knockoff/prices", "workflow/scripts/mimeo/tables/knockoff/prices.py"],
    ),
    "unknown parameter": (
        [(RESPONSES, ("top-2", "parameters"), {"n": 2})],
        RESPONSES,
        ["top-2.parameters", "'n'", "known: k"],
    ),
    "missing parameter": ([(RESPONSES, ("top-2", "parameters"), {})], RESPONSES, ["top-2.parameters", "'k'"]),
    "parameter of another type": (
        [(RESPONSES, ("top-2", "parameters", "k"), "two")],
        RESPONSES,
        ["top-2.parameters.k", "'two'", "int"],
    ),
    "switch for a number": ([(RESPONSES, ("top-2", "parameters", "k"), True)], RESPONSES, ["top-2.parameters.k"]),
    "parameter of a strategy": (
        [(QUERIES, ("digits-own", "parameters"), {"heat": 1})],
        QUERIES,
        ["digits-own.parameters", "'heat'"],
    ),
    "parameter of a victim": (
        [(VICTIMS, ("digits-plain", "parameters"), {"heat": 1})],
        VICTIMS,
        ["digits-plain.parameters", "'heat'"],
    ),
    # strategies that choose as they ask
    "choosing without labels": (
        [(QUERIES, ("fonts-adaptive", "tree"), GONE)],
        QUERIES,
        ["fonts-adaptive.tree", "required", "'adaptive'"],
    ),
    "choosing without a copycat": (
        [(QUERIES, ("fonts-adaptive", "copycat"), GONE)],
        QUERIES,
        ["fonts-adaptive.copycat", "required", "'adaptive'"],
    ),
    "labels for a strategy that does not choose": (
        [(QUERIES, ("fonts-random", "tree"), {"levels": ["label"]})],
        QUERIES,
        ["fonts-random.tree", "not for", "'random'"],
    ),
    "copycat for a strategy that does not choose": (
        [(QUERIES, ("fonts-random", "copycat"), {"architecture": "plain", "recipe": "small-online", "batch": 1})],
        QUERIES,
        ["fonts-random.copycat", "not for", "'random'"],
    ),
    "choosing without rewards": (
        [(QUERIES, ("fonts-adaptive", "parameters"), {})],
        QUERIES,
        ["fonts-adaptive.parameters", "'rewards'"],
    ),
    "tree without levels": ([(QUERIES, ("fonts-adaptive", "tree"), {})], QUERIES, ["fonts-adaptive.tree", "'levels'"]),
    "unknown key of a tree": (
        [(QUERIES, ("fonts-adaptive", "tree", "cluster"), 3)],
        QUERIES,
        ["fonts-adaptive.tree", "'cluster'", "did you mean 'clusters'?"],
    ),
    "no cluster": ([(QUERIES, ("fonts-adaptive", "tree", "clusters"), 0)], QUERIES, ["fonts-adaptive.tree.clusters"]),
    "features of no architecture": (
        [(QUERIES, ("fonts-adaptive", "tree"), {"levels": ["label"], "clusters": 2, "features": "plane"})],
        QUERIES,
        ["fonts-adaptive.tree.features", "'plane'", ARCHITECTURES, "did you mean 'plain'?"],
    ),
    "copycat of no architecture": (
        [(QUERIES, ("fonts-adaptive", "copycat", "architecture"), "plane")],
        QUERIES,
        ["fonts-adaptive.copycat.architecture", "'plane'", "did you mean 'plain'?"],
    ),
    "copycat of no recipe": (
        [(QUERIES, ("fonts-adaptive", "copycat", "recipe"), "small-onlin")],
        QUERIES,
        ["fonts-adaptive.copycat.recipe", "'small-onlin'", "did you mean 'small-online'?"],
    ),
    "unknown key of a copycat": (
        [(QUERIES, ("fonts-adaptive", "copycat", "batches"), 3)],
        QUERIES,
        ["fonts-adaptive.copycat", "'batches'", "did you mean 'batch'?"],
    ),
    "copycat without a batch": (
        [(QUERIES, ("fonts-adaptive", "copycat", "batch"), 0)],
        QUERIES,
        ["fonts-adaptive.copycat.batch", "0"],
    ),
    "original labels of what is chosen by answers": (
        [(DEMO, (*MAIN, "cells", 0, "queries"), ["fonts-adaptive"])],
        DEMO,
        ["copycat/main.cells[0]", "fonts-adaptive", "chosen", "original labels"],
    ),
    # what does not go together
    "two arms in one cell": (
        [(DEMO, (*CELL, "budgets"), [10, 20])],
        DEMO,
        ["tables.knockoff/accuracy", "'P_V (KD)' / 'Digits'", "posterior-b10/", "posterior-b20/"],
    ),
    "unknown field of a row": ([(DEMO, (*CELL, "row"), "{qery}")], DEMO, ["cells[0].row", "'{qery}'", "{query}"]),
    "unknown field of a column": ([(DEMO, (*CELL, "column"), "{x}")], DEMO, ["cells[0].column", "'{x}'"]),
    "field without a name": ([(DEMO, (*CELL, "row"), "{}")], DEMO, ["cells[0].row", "'{}'"]),
    "field left open": ([(DEMO, (*CELL, "row"), "{query")], DEMO, ["cells[0].row", "'{query'"]),
    "reward that is none": (
        [(QUERIES, ("photographs-adaptive", "parameters"), {"rewards": ["certainy"]})],
        QUERIES,
        ["photographs-adaptive.parameters.rewards", "certainy"],
    ),
    "reward twice": (
        [(QUERIES, ("photographs-adaptive", "parameters"), {"rewards": ["loss", "loss"]})],
        QUERIES,
        ["photographs-adaptive.parameters.rewards", "loss"],
    ),
    "clusters of a flat tree": (
        [(QUERIES, ("union-flat-adaptive", "tree"), {"levels": ["label"], "flat": True, "clusters": 3})],
        QUERIES,
        ["union-flat-adaptive.tree.clusters", "flat"],
    ),
    "features of no clusters": (
        [(QUERIES, ("union-adaptive", "tree"), {"levels": ["label"], "features": "plain"})],
        QUERIES,
        ["union-adaptive.tree.features", "clusters"],
    ),
    "share of what is not in the pool": (
        [(QUERIES, ("digits-own", "shares"), {"digits/tran": 0.5})],
        QUERIES,
        ["digits-own.shares", "digits/tran", "digits/train"],
    ),
    "whole as a share": ([(QUERIES, ("digits-own", "shares"), {"digits/train": 1})], QUERIES, ["digits-own.shares"]),
    "split that is not there": (
        [(QUERIES, ("digits-own", "images"), ["digits/pool"])],
        QUERIES,
        ["digits-own.images", "digits", "'pool'", "train, test"],
    ),
    "pool of several sizes": (
        [
            (DATASETS, ("photographs-flat", "size"), 16),
            (QUERIES, ("mixed",), {**RANDOM, "images": ["digits/train", "photographs-flat/pool"]}),
        ],
        QUERIES,
        ["mixed.images", "size"],
    ),
    "images of another size than the victim's": (
        [(DATASETS, ("photographs-flat", "size"), 16)],
        DEMO,
        ["knockoff/accuracy.cells[3]", "photographs-flat-random", "digits-plain"],
    ),
    "images of other channels than the victim's": (
        [(DATASETS, ("photographs-flat", "channels"), 3)],
        DEMO,
        ["knockoff/accuracy.cells[3]", "photographs-flat-random", "digits-plain"],
    ),
    "original labels of other classes": (
        [(DATASETS, ("fonts", "classes"), list("abcdefghij"))],
        DEMO,
        ["knockoff/initialisation.cells[1]", "fonts-random", "digits-plain"],
    ),
    "original labels of as many classes": (
        [(DATASETS, ("fonts", "classes"), 10)],
        DEMO,
        ["knockoff/initialisation.cells[1]", "fonts-random", "digits-plain"],
    ),
    "original labels by number alone": (
        [(DATASETS, ("fonts", "classes"), 10), (DATASETS, ("digits", "classes"), 10)],
        DEMO,
        ["knockoff/initialisation.cells[1]", "fonts-random", "digits-plain"],
    ),
    "victim of one class": ([(DATASETS, ("digits", "classes"), 1)], VICTIMS, ["digits-plain.dataset", "classes"]),
    "original labels of photographs": (
        [(DEMO, (*MAIN, "cells", 0, "queries"), ["photographs-random"])],
        DEMO,
        ["copycat/main.cells[0]", "photographs-random", "original labels"],
    ),
    "victim without classes": ([(DATASETS, ("digits", "classes"), [])], VICTIMS, ["digits-plain.dataset", "classes"]),
    "victim without a test split": (
        [(DATASETS, ("digits", "splits"), {"train": 1078})],
        VICTIMS,
        ["digits-plain.dataset", "digits", "'test'"],
    ),
    # claims
    "claim on a row that is not there": (
        [(DEMO, (*CLAIM, "of", 0, "row"), "Photographs, random 8001")],
        DEMO,
        ["claims.more-queries.of", "Photographs, random 8001", "did you mean row"],
    ),
    "claim against a table that is not there": (
        [(DEMO, (*CLAIM, "than", 0, "table"), "knockoff/none")],
        DEMO,
        ["claims.more-queries.than", "knockoff/none"],
    ),
    "claim on a number that is not there": (
        [(DEMO, ("claims", "other-architecture", "published", "column"), "SHN11")],
        DEMO,
        ["claims.other-architecture.published", "SHN11", "published.csv"],
    ),
    "claim with two thresholds": ([(DEMO, (*CLAIM, "published"), KNOWN_NUMBER)], DEMO, ["claims.more-queries"]),
    "claim without a threshold": ([(DEMO, (*CLAIM, "than"), GONE)], DEMO, ["claims.more-queries"]),
    # names
    "name with a space": ([(QUERIES, ("my queries",), RANDOM)], QUERIES, ["'my queries'"]),
    "name with a slash": ([(QUERIES, ("my/queries",), RANDOM)], QUERIES, ["'my/queries'"]),
    "name with dots": ([(VICTIMS, ("..",), {})], VICTIMS, ["'..'"]),
    "scale's name with a slash": ([(DEMO, ("scale",), "../demo")], DEMO, ["scale", "'../demo'"]),
    "table's name without a paper": ([(DEMO, ("tables", "prices"), {})], DEMO, ["'prices'"]),
    "plug-in outside its folder": (
        [(RESPONSES, ("posterior", "plugin"), "../errors")],
        RESPONSES,
        ["posterior.plugin", "'../errors'"],
    ),
}


def refused(configuration: Configuration, file: str, says: list[str]) -> None:
    """The demo must be refused in one line that names the file and what else is expected."""
    with pytest.raises(ConfigError) as caught:
        configuration.plan()
    text = str(caught.value)
    assert len(text.splitlines()) == 1, text
    assert file in text.split(": ")[0], text
    for expected in says:
        assert expected in text


def changed(configuration: Configuration, changes: list[Change]) -> None:
    """Changes what a case lists; GONE takes a key away."""
    for file, keys, value in changes:
        if value is GONE:
            configuration.remove(file, keys)
        else:
            configuration.change(file, keys, value)


@pytest.mark.parametrize(("changes", "file", "says"), WRONG.values(), ids=WRONG)
def test_wrong_configuration(configuration: Configuration, changes: list[Change], file: str, says: list[str]) -> None:
    """One thing wrong in an otherwise right configuration is refused, and the message says where it stands."""
    changed(configuration, changes)
    refused(configuration, file, says)


MISLEADING: dict[str, tuple[list[Change], str, list[str]]] = {
    "whole number with a point": ([(DEMO, ("replicates",), 3.0)], DEMO, ["replicates", "3.0"]),
    "shard with a point": ([(DEMO, ("shard",), 8000.0)], DEMO, ["shard", "8000.0"]),
    "rate that is no number": ([(RECIPES, ("small-victim", "rate"), float("nan"))], RECIPES, ["small-victim.rate"]),
    "name with a line end": ([(DEMO, ("scale",), "demo\n")], DEMO, ["scale"]),
    "split with a space": ([(DATASETS, ("digits", "splits", "a b"), 9)], DATASETS, ["digits.splits", "'a b'"]),
    "table named by a number": ([(DEMO, ("tables", 5), TABLE)], DEMO, ["tables", "5"]),
    "attribute of a field": ([(DEMO, (*CELL, "row"), "{query.title}")], DEMO, ["cells[0].row"]),
    "part of a field": ([(DEMO, (*CELL, "row"), "{budget[0]}")], DEMO, ["cells[0].row"]),
    "unknown field of a reference": (
        [(DEMO, (*ACCURACY, "references"), {"row": "{nobody}"})],
        DEMO,
        ["knockoff/accuracy.references.row", "'{nobody}'"],
    ),
    "published table that is not there": (
        [(DEMO, (*ACCURACY, "published"), {"table": "knockoff/acuracy"})],
        DEMO,
        ["knockoff/accuracy.published", "knockoff/acuracy"],
    ),
    "published row that is not there": (
        [(DEMO, (*ACCURACY, "published", "rows"), {"Photographs, random": "ILSVRC randm"})],
        DEMO,
        ["knockoff/accuracy.published", "ILSVRC randm"],
    ),
    "arm in the cell of a reference": (
        [(DEMO, (*CELL, "row"), "victim")],
        DEMO,
        ["tables.knockoff/accuracy", "'victim' / 'Digits'"],
    ),
    "two victims in the cell of a reference": (
        [(DEMO, (*CELL, "victims"), ["digits-plain", "digits-vgg"]), (DEMO, (*CELL, "row"), "copy of {victim}")],
        DEMO,
        ["tables.knockoff/accuracy", "'victim' / 'Digits'"],
    ),
    "two arms of one path": (
        [
            (ARCHITECTURES, ("plain-small",), {"title": "Small", "plugin": "plain"}),
            (RECIPES, ("knockoff",), {"epochs": 1, "batch": 1, "optimizer": "sgd", "rate": 1}),
            (
                DEMO,
                ("tables", "knockoff/budgets", "cells"),
                [{**CELLS[0], "budgets": ["all"], "architectures": ["plain-small"], "recipe": "knockoff"}],
            ),
            (DEMO, ("claims",), {}),
        ],
        DEMO,
        ["digits-plain/digits-own/posterior-b1078/plain-small-knockoff"],
    ),
}


@pytest.mark.parametrize(("changes", "file", "says"), MISLEADING.values(), ids=MISLEADING)
def test_configuration_that_ought_to_be_refused(
    configuration: Configuration, changes: list[Change], file: str, says: list[str]
) -> None:
    """What would fail or mislead in a later stage is refused when it is read."""
    changed(configuration, changes)
    refused(configuration, file, says)


LATE: dict[str, tuple[list[Change], str, list[str]]] = {
    "format of a field": ([(DEMO, (*CELL, "row"), "{query:d}")], DEMO, ["cells[0].row", "'{query:d}'"]),
    "conversion of a field": ([(DEMO, (*CELL, "row"), "{query!x}")], DEMO, ["cells[0].row", "'{query!x}'"]),
    "budget twice, once in words": ([(DEMO, (*CELL, "budgets"), ["all", 1078])], DEMO, ["knockoff/accuracy", "1078"]),
}


@pytest.mark.parametrize(("changes", "file", "says"), LATE.values(), ids=LATE)
def test_configuration_that_is_refused_too_late(
    configuration: Configuration, changes: list[Change], file: str, says: list[str]
) -> None:
    """What breaks off, or doubles a line of a table, is refused when it is read."""
    changed(configuration, changes)
    refused(configuration, file, says)


def test_entries_of_one_anchor(configuration: Configuration) -> None:
    """Two entries that share an anchor are two entries: each has the plug-in of its own name."""
    text = configuration.path(RESPONSES).read_text()
    assert "top-1: {title: Top-1}" in text
    changed_text = text.replace("posterior: {title: Posterior}", "posterior: &same {title: Posterior}")
    configuration.path(RESPONSES).write_text(changed_text.replace("top-1: {title: Top-1}", "top-1: *same"))
    configuration.change(DEMO, ("tables",), {"knockoff/accuracy": TABLE})
    configuration.change(DEMO, ("claims",), {})
    configuration.change(DEMO, ("headline",), [])
    responses = configuration.plan().ingredients["responses"]
    assert responses["posterior"]["plugin"] == "posterior"
    assert responses["top-1"]["plugin"] == "top_1"


@pytest.mark.parametrize("file", [QUERIES, "schema.yaml"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no mapping"),
        ("# nothing but a comment\n", "holds no mapping"),
        ("- digits\n", "holds no mapping"),
        ("a: [1, 2\n", "line 2"),
        ("a:\n\tb: 1\n", "line 2"),
        ("a: 1\nb: *a\n", "line 2"),
        ("a: 1\na: 2\n", "line 2: 'a' is given twice"),
        ("a: \x00\n", "unacceptable character"),
        pytest.param("? [a, b]\n: 1\n", "line 1"),
        pytest.param("a: &a\n  b: *a\n", "line"),
    ],
)
def test_what_is_no_configuration(configuration: Configuration, file: str, text: str, says: str) -> None:
    """A file that is empty, no YAML or no mapping is refused in one line, with the line where there is one."""
    configuration.path(file).write_text(text)
    refused(configuration, file, [says])


@pytest.mark.parametrize("file", [DEMO, *(f"ingredients/{kind}.yaml" for kind in KINDS)])
def test_missing_file(configuration: Configuration, file: str) -> None:
    """A file that is not there is named."""
    scale = configuration.read(DEMO)
    configuration.path(file).unlink()
    with pytest.raises(ConfigError) as caught:
        load_plan(configuration.root, scale, [str(configuration.path(DEMO))])
    assert str(caught.value) == f"{configuration.path(file)}: no such file"


def test_file_that_is_no_text(configuration: Configuration) -> None:
    """Bytes that are no UTF-8 are refused in one line."""
    configuration.path(QUERIES).write_bytes(b"a: \xff\xfe\n")
    refused(configuration, QUERIES, ["utf-8"])


@pytest.mark.parametrize("text", [None, "paper,table\nknockoff,claims\n"])
def test_published_numbers_that_are_none(configuration: Configuration, text: str | None) -> None:
    """Published numbers that are missing or of another shape are refused in one line."""
    file = configuration.path("published.csv")
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    refused(configuration, "published.csv", [])
    with pytest.raises(ConfigError):
        read_published(file)


def test_a_scale_that_names_no_published_number_needs_none(configuration: Configuration) -> None:
    """A scale without claims and matches loads, whatever becomes of the published numbers."""
    configuration.change(DEMO, ("claims",), {})
    for table in configuration.read(DEMO)["tables"]:
        configuration.change(DEMO, ("tables", table, "published"), {})
    configuration.path("published.csv").unlink()
    assert configuration.plan().claims() == {}
