"""Ours and the authors' protocol side by side, and a pool with test images: from configuration to tables."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

TABLE = """
  knockoff/protocol:
    title: Protocols
    caption: Small enough to test with.
    metrics: [accuracy, queries]
    cells:
      - &ours {<<: *natural, row: "Ours {budget}", budgets: [100, 200]}
      - {<<: *ours, row: "Held-out queries {budget}", recipe: tiny-validation}
      - {<<: *ours, row: "Authors' protocol {budget}", recipe: tiny-test, warm: true}
      - {<<: *ours, row: "With test images {budget}", queries: [mixed-random], budgets: [150]}
    references: {column: "{dataset}"}
"""
RECIPES = """
tiny-validation: {epochs: 3, batch: 64, optimizer: adamw, rate: 0.004, select: validation}
tiny-test: {epochs: 3, batch: 64, optimizer: adamw, rate: 0.004, select: test}
"""
QUERIES = """
mixed-random: {title: Mixed, images: [photographs/pool, digits/test], strategy: random, leaks: leave_out}
"""
ARM = "digits-tiny/{query}/top-1-b{budget}/plain-tiny-{recipe}"


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_protocols_and_test_images(finished: "Project") -> None:
    finished.append("config/tiny.yaml", TABLE)
    finished.append("config/ingredients/recipes.yaml", RECIPES)
    finished.append("config/ingredients/queries.yaml", QUERIES)
    run = finished.run()
    assert run.code == 0, run.output
    new = {"train_copycat": 5, "score_copycat": 5, "make_table": 1, "draw_figure": 1}
    asked = dict.fromkeys(("order_pool", "decode_queries", "check_leaks", "ask_victim"), 1)
    assert run.jobs == Counter(new | asked | {"collect_arms": 1, "collect_guards": 1, "collect_costs": 1})
    tables = finished.root / "results" / "tables" / "tiny"
    arms = {row["arm"]: row for row in rows(tables / "arms.csv")}
    kinds = {
        arm: (row["selected by"], row["start"], row["queries"])
        for arm, row in arms.items()
        if "photographs-random" in arm
    }
    tuned = ARM.format(query="photographs-random", budget=100, recipe="test")
    assert kinds == {
        ARM.format(query="photographs-random", budget=100, recipe="copycat"): ("last", "fresh", "100"),
        ARM.format(query="photographs-random", budget=200, recipe="copycat"): ("last", "fresh", "200"),
        ARM.format(query="photographs-random", budget=100, recipe="validation"): ("validation", "fresh", "100"),
        ARM.format(query="photographs-random", budget=200, recipe="validation"): ("validation", "fresh", "200"),
        tuned: ("test", "fresh", "100"),
        f"{tuned}/warm-b200": ("test", "warm", "200"),
    }
    guards = {(row["guard"], row["what"]): row for row in rows(tables / "guards.csv")}
    assert ("selected by the test set", tuned) in guards
    mixed, report = ARM.format(query="mixed-random", budget=150, recipe="copycat"), "mixed-random/0000000-0000200"
    with open(finished.root / "results" / "queries" / f"{report}.leaks-digits.json") as file:
        out = json.load(file)["left_out"]
    assert 0 < len(out) < 50
    assert guards["test images", "mixed-random against digits"]["found"] == str(len(out))
    with open(finished.root / "results" / "scores" / "copycats" / mixed / "scores.json") as file:
        score = json.load(file)
    assert 0 < score["left_out"] == len([place for place in out if place < 150]) < 150
    assert sum(score["label_counts"]) == 150 - score["left_out"]
    assert (arms[mixed]["left out"], arms[mixed]["queries"]) == (str(score["left_out"]), "150")
    assert "Authors' protocol" in (tables / "knockoff" / "protocol.md").read_text()
    assert "Nothing to be done" in finished.run("-n").output
    # Said to stop, the same pool does, before anything learns from it.
    finished.edit("config/ingredients/queries.yaml", "leaks: leave_out}", "leaks: stop}")
    run = finished.run()
    assert run.code != 0
    [line] = set(run.errors)
    assert line.startswith(f"error: query set mixed-random: {len(out)} images are (nearly) test images of digits")
