"""Desk scale and its part without a net: planned before an image is there, whole, and with one set of results.

``PYTHONPATH=workflow python tests/unit/test_desk.py`` writes the document's table anew.
"""

import csv
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plan import Plan, load_plan

ROOT = Path(__file__).resolve().parents[2]
DATA = {"Fashion-MNIST", "MNIST", "CIFAR-10", "SVHN", "GTSRB"}
FETCHED = {"cifar100-random", "stl10-random", "kmnist-random", "emnist-random", "omniglot-random"}
PACKAGED = {"icons-random", "glyphs-random", "photographs-32px-random", "mixture-random", "mixture-adaptive"}


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())


def planned(name: str, scale: dict[str, Any] | None = None) -> Plan:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIMEO_DATA", raising=False)
        return load_plan(ROOT, scale or read(name), [str(ROOT / "config" / f"{name}.yaml")])


@pytest.fixture(scope="module")
def desk() -> Plan:
    return planned("desk")


@pytest.fixture(scope="module")
def fashion() -> Plan:
    return planned("fashion")


def test_victims(desk: Plan, fashion: Plan) -> None:
    """Five data sets, each by a ResNet for Knockoff Nets' tables and by a VGG for Copycat CNN's."""
    assert {desk.dataset_of(victim)["title"] for victim in desk.victims()} == DATA
    assert len(desk.victims()) == 2 * len(DATA)
    assert list(fashion.victims()) == ["fashion-mnist-small"]


def test_every_image_is_of_one_size(desk: Plan, fashion: Plan) -> None:
    """32 pixels in three channels: every pool fits every victim."""
    for plan in (desk, fashion):
        sizes = {
            (plan.ingredients["datasets"][name]["size"], plan.ingredients["datasets"][name]["channels"])
            for name in plan.datasets(plan.arms)
        }
        assert sizes == {(32, 3)}


def test_accuracy_asks_every_pool(desk: Plan) -> None:
    """Each victim its own images and every pool, but MNIST no EMNIST, whose digits are of the same collection."""
    asked: dict[str, set[str]] = {}
    for cell in desk.tables["knockoff/accuracy"]:
        asked.setdefault(cell.column, set()).add(desk.arms[cell.arm].last.query)
    assert set(asked) == DATA
    for column, queries in asked.items():
        own = {query for query in queries if query.endswith("-own")}
        assert len(own) == 1
        assert queries - own == (FETCHED | PACKAGED) - ({"emnist-random"} if column == "MNIST" else set())


def test_accuracy_asks_equally(desk: Plan) -> None:
    """A pool costs the same whoever is copied, and pools of a kind cost the same."""
    budgets: dict[str, set[int]] = {}
    for cell in desk.tables["knockoff/accuracy"]:
        last = desk.arms[cell.arm].last
        if not last.query.endswith("-own") and ", all " not in cell.row:
            budgets.setdefault("fetched" if last.query in FETCHED else "packaged", set()).add(last.budget)
    assert budgets == {"fetched": {30_000}, "packaged": {8_000}}


def test_tables_of_both_papers(desk: Plan) -> None:
    papers = {
        "knockoff": ["accuracy", "budgets", "responses", "architectures"],
        "copycat": ["main", "curve", "architectures"],
    }
    assert set(desk.tables) == {f"{paper}/{table}" for paper, tables in papers.items() for table in tables}
    curve = len(desk.scale["budgets"]["stolen-curve"])
    assert len(desk.tables["copycat/curve"]) == 5 * (1 + curve) + 2 * curve
    assert len(desk.tables["knockoff/responses"]) == 5 * 7
    assert len(desk.tables["knockoff/architectures"]) == 2 * 5
    assert len(desk.tables["copycat/architectures"]) == 2 * 5


def test_adaptive_query_sets_are_of_pools_that_are_not_asked_whole(desk: Plan) -> None:
    """Else there is nothing to choose."""
    asked = {(t.query, t.budget) for arm in desk.arms.values() for t in arm.transfers if desk.adaptive(t.query)}
    assert {query for query, _ in asked} == {"mixture-adaptive"}
    assert all(3 * budget <= desk.pool_size(query) for query, budget in asked)


def test_fashion_is_a_part_of_desk(desk: Plan, fashion: Plan) -> None:
    """Equal arms are equal files with equal settings, so that neither scale makes anew what the other has made."""
    assert set(fashion.arms) < set(desk.arms)
    for arm in fashion.arms:
        assert fashion.training(arm) == desk.training(arm)
        assert fashion.blocks(arm) == desk.blocks(arm)
    assert fashion.victim("fashion-mnist-small") == desk.victim("fashion-mnist-small")
    assert set(fashion.all_image_shards(adaptive=False)) < set(desk.all_image_shards(adaptive=False))
    assert set(fashion.all_leak_reports()) < set(desk.all_leak_reports())
    for key in ("device", "threads", "replicates", "block", "twins", "shard", "resamples"):
        assert fashion.scale[key] == desk.scale[key], key
    for table, cells in fashion.tables.items():
        assert {(cell.row, cell.arm) for cell in cells} <= {(cell.row, cell.arm) for cell in desk.tables[table]}


def test_fashion_needs_no_net(fashion: Plan) -> None:
    """What its images come from: packages of Python, and of the system, which are named where one may lack."""
    names = set(fashion.datasets(fashion.arms))
    assert names == {"fashion-mnist", "icons", "glyphs", "photographs-32px"}
    for name in names - {"photographs-32px"}:
        entry = fashion.ingredients["datasets"][name]
        assert "package" in entry["obtain"] or entry["obtain"].startswith("apt-get install"), name
        assert "/usr/share/" in str(entry["parameters"]), name


def test_near_copies_of_test_images_stop_no_run(desk: Plan) -> None:
    """Public data sets hold some, so no copy learns them; in pools of packages one would be a surprise, and stops."""
    queries = {t.query for arm in desk.arms.values() for t in arm.transfers}
    left = {query for query in queries if desk.ingredients["queries"][query]["leaks"] == "leave_out"}
    assert queries - left == PACKAGED | {"fonts-32px-random"}


def test_licences_are_declared(fashion: Plan) -> None:
    folders = fashion.ingredients["datasets"]["icons"]["parameters"]["folders"]
    assert len(folders) == 5
    assert all(folders.values())
    assert fashion.ingredients["datasets"]["glyphs"]["parameters"]["licence"] == "OFL-1.1"


def test_pictures_of_ones_own(desk: Plan) -> None:
    """The lines that the scale has as a comment are two blocks of its table: five arms more."""
    text = (ROOT / "config" / "desk.yaml").read_text()
    opened = text.replace("      # - {<<: *", "      - {<<: *")
    assert opened.count("own-pictures-random") == text.count("own-pictures-random") == 2
    plan = planned("desk", yaml.safe_load(opened))
    assert len(plan.arms) == len(desk.arms) + 5
    more = {plan.arms[arm].victim for arm in set(plan.arms) - set(desk.arms)}
    assert {plan.dataset_of(victim)["title"] for victim in more} == DATA


def test_claims_have_arms(desk: Plan, fashion: Plan) -> None:
    for plan in (desk, fashion):
        claims = plan.claims()
        assert len(claims) >= 2
        assert all(set(claim["of"] + claim["than"]) <= set(plan.arms) for claim in claims.values())


def test_networks_are_those_of_32_pixels(desk: Plan) -> None:
    """No network that fetches weights, and none that was made for larger images."""
    used = {arm.architecture for arm in desk.arms.values()}
    assert used == {"resnet-small-32px", "plain-32px", "alexnet-32px", "vgg-32px", "resnet20", "resnet56"}


# --- what was measured ----------------------------------------------------------------------------------------

TABLE = ROOT / "results/tables/fashion/knockoff/accuracy.csv"
DOCUMENT = ROOT / "docs/desk.md"
PLACE = re.compile(r"(?<=<!-- table: see tests/unit/test_desk.py -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


def measured() -> str:
    """The document's table from the committed one, rows by accuracy."""
    with open(TABLE, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["ours"]]
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["row"], {})[row["metric"]] = row
    lines = ["| copied from | queries | accuracy, % | ratio | agreement, % |", "| :-- | --: | --: | --: | --: |"]
    for name, metrics in sorted(found.items(), key=lambda item: -float(item[1]["accuracy"]["ours"])):
        accuracy, agreement = metrics["accuracy"], metrics.get("agreement")
        low, high = (100 * float(accuracy[f"ours_{side}"]) for side in ("low", "high"))
        queries = f"{float(metrics['queries']['ours']):,.0f}" if "queries" in metrics else "–"
        agreed = f"{100 * float(agreement['ours']):.1f}" if agreement else "–"
        text = f"{100 * float(accuracy['ours']):.1f} [{low:.1f}, {high:.1f}]"
        lines.append(f"| {name} | {queries} | {text} | {float(metrics['ratio']['ours']):.2f}× | {agreed} |")
    return "\n".join(lines) + "\n"


def test_the_document_says_what_the_table_says() -> None:
    found = PLACE.search(DOCUMENT.read_text())
    assert found is not None
    assert found[0] == measured()


def test_committed_tables_are_those_of_the_plan(fashion: Plan) -> None:
    """Every table and figure that the scale shows is there, and its rows are the plan's."""
    assert not [path for path in fashion.outputs() if not (ROOT / path).is_file()]
    with open(TABLE, newline="") as file:
        rows = {row["row"] for row in csv.DictReader(file) if row["ours"]}
    references = {row for _, _, row, _ in fashion._references("knockoff/accuracy")}
    assert rows == {cell.row for cell in fashion.tables["knockoff/accuracy"]} | references


if __name__ == "__main__":
    DOCUMENT.write_text(PLACE.sub(lambda _: measured(), DOCUMENT.read_text()))
    sys.exit()
