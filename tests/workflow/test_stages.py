"""dvc.yaml names, for every stage, the parameters that its jobs depend on: DVC would skip what it does not know of."""

import re
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

STAGES = {
    "data": ("list_images", "decode_split"),
    "victims": ("train_victim",),
    "queries": ("order_pool", "group_pool", "decode_queries", "check_leaks"),
    "labels": ("ask_victim", "choose_queries"),
    "copycats": ("train_copycat",),
    "scores": ("score_victim", "score_copycat"),
    "tables": ("make_table", "draw_figure", "weigh_claims", "collect_guards", "collect_arms", "collect_costs"),
}
SCALE, INGREDIENTS = "config/tiny.yaml", "config/ingredients"
CLAIM = """claims:
  more:
    paper: knockoff
    text: More queries help
    metric: accuracy
    of: [{table: knockoff/budgets, row: "Photographs, random 200", column: Digits}]
    than: [{table: knockoff/budgets, row: "Photographs, random 100", column: Digits}]
"""
EDITS = {
    "scale": (SCALE, "scale: tiny", "scale: other"),
    "comparable": (SCALE, "comparable: false", "comparable: true"),
    "device": (SCALE, "device: cpu", "device: auto"),
    "threads": (SCALE, "threads: 1", "threads: 2"),
    "replicates": (SCALE, "replicates: 1", "replicates: 2"),
    "block": (SCALE, "replicates: 1\nblock: 1", "replicates: 2\nblock: 2"),
    "twins": (SCALE, "twins: 1", "twins: 2"),
    "shard": (SCALE, "shard: 200", "shard: 100"),
    "resamples": (SCALE, "resamples: 100", "resamples: 200"),
    "headline": (SCALE, "headline: [knockoff/accuracy]", "headline: []"),
    "config/ingredients/budgets.yaml": ("config/ingredients/budgets.yaml", "  own: [100]", "  own: [201]"),
    "tables": (SCALE, "queries: [digits-own]", "queries: [fonts-random]"),
    "claims": (SCALE, "claims: {}\n", CLAIM),
    f"{INGREDIENTS}/datasets.yaml": (f"{INGREDIENTS}/datasets.yaml", "title: Digits", "title: Numerals"),
    f"{INGREDIENTS}/queries.yaml": (f"{INGREDIENTS}/queries.yaml", "", "seed: 5"),
    f"{INGREDIENTS}/responses.yaml": (
        f"{INGREDIENTS}/responses.yaml",
        "{title: Top-1}",
        "{title: Top-1, plugin: posterior}",
    ),
    f"{INGREDIENTS}/architectures.yaml": (
        f"{INGREDIENTS}/architectures.yaml",
        "{title: Plain}",
        "{title: Plain, parameters: {width: 8}}",
    ),
    f"{INGREDIENTS}/recipes.yaml": (
        f"{INGREDIENTS}/recipes.yaml",
        "tiny-victim: {epochs: 20",
        "tiny-victim: {epochs: 21",
    ),
    f"{INGREDIENTS}/recipes.yaml of the copycat trained meanwhile": (
        f"{INGREDIENTS}/recipes.yaml",
        "small-online: {epochs: 1, batch: 16",
        "small-online: {epochs: 1, batch: 8",
    ),
    f"{INGREDIENTS}/victims.yaml": (f"{INGREDIENTS}/victims.yaml", "recipe: tiny-victim}", "recipe: tiny-copycat}"),
}


def directly(output: str) -> set[str]:
    """The rules that a dry run would run for a reason of their own, and not because of what runs before them."""
    found: set[str] = set()
    for reason, rules in re.findall(r"^    (\S[^\n]*):\n        ([a-z_, ]+)$", output, re.M):
        if reason != "input files updated by another job":
            found |= set(rules.split(", "))
    return found


@pytest.mark.parametrize("key", EDITS)
def test_a_stage_knows_every_parameter_that_its_jobs_depend_on(chosen: "Project", key: str) -> None:
    finished, (file, old, new) = chosen, EDITS[key]
    key = key.split(" ")[0]
    finished.append("config/ingredients/budgets.yaml", "\nother: {own: [100]}\n")
    if old:
        finished.edit(file, old, new)
    else:
        path = finished.root / file
        entries = yaml.safe_load(path.read_text())
        entries["photographs-random"]["seed"] = 5
        path.write_text(yaml.safe_dump(entries))
    run = finished.run("-n")
    assert run.code == 0, run.output
    reached = {stage for stage, rules in STAGES.items() if directly(run.output) & set(rules)}
    assert reached
    stages = yaml.safe_load((finished.root / "dvc.yaml").read_text())["stages"]
    knowing = set()
    for name, stage in stages.items():
        [scale, *files] = stage["params"]
        keys = next(iter(scale.values()))
        if key in [*keys, *(path for entry in files for path in entry)]:
            knowing.add(name)
    assert reached <= knowing


def test_every_rule_belongs_to_a_stage(chosen: "Project") -> None:
    planned = chosen.run("-n", "--forceall").planned
    assert {"group_pool", "choose_queries"} <= planned.keys()
    assert planned.keys() <= {rule for rules in STAGES.values() for rule in rules}
