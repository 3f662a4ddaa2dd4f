"""The papers' own scale: planned without an image, as large as the papers say, cell by cell where they published."""

from pathlib import Path

import pytest
import yaml

from plan import Plan, load_plan
from plan.config import read_published

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config" / "paper.yaml"
PROBLEMS = {"ACT101", "DIG10", "FER7", "GOC9", "PED2", "SHN10", "SIG30"}
# Base learning rates of the solvers for VGG-16, 3M images (seen).
RATES = {
    "act101": 1e-4, "dig10": 1e-3, "fer7": 1e-4, "goc9": 3e-3, "ped2": 5e-5, "shn10": 5e-5, "sig30": 5e-4,
}  # fmt: skip
SUPPLEMENT = 107  # arms of Knockoff Nets beyond table 2 and figures 5, 9 and 10


@pytest.fixture(scope="module")
def plan() -> Plan:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIMEO_DATA", raising=False)
        return load_plan(ROOT, yaml.safe_load(FILE.read_text()), [str(FILE)])


def asked(plan: Plan, table: str) -> set[tuple[str, str]]:
    """Transfer sets of a table: pairs of victim and query set that cost queries."""
    arms = {plan.arms[cell.arm] for cell in plan.tables[table]}
    return {(arm.victim, t.query) for arm in arms for t in arm.transfers if plan.asks(t) and t.budget}


def test_victims(plan: Plan) -> None:
    """Knockoff Nets' four, one of another family and the API's stand-in, Copycat CNN's seven."""
    assert len(plan.victims()) == 4 + 1 + 1 + 7
    assert {plan.dataset_of(victim)["title"] for victim in plan.victims()} == {
        "Caltech256", "CUBS200", "Indoor67", "Diabetic5", "Traits of faces", *PROBLEMS,
    }  # fmt: skip


def test_knockoff_accuracy(plan: Plan) -> None:
    """28 transfer sets, 28 copies: per victim its own images, and three pools at random and adaptively."""
    assert len(asked(plan, "knockoff/accuracy")) == 4 * (1 + 2 * 3) == 28
    assert len({cell.arm for cell in plan.tables["knockoff/accuracy"]}) == 28
    budgets = {plan.arms[cell.arm].last.budget for cell in plan.tables["knockoff/accuracy"] if "(KD)" not in cell.row}
    assert budgets == {60_000}


def test_d2_is_a_union(plan: Plan) -> None:
    """Its labels are those of ILSVRC (1000), OpenImages (601 by the supplement) and the victims: 2,129 in all."""
    parts = plan.datasets_of("d2-random")
    assert parts == ["imagenet", "openimages", "caltech256", "cub200", "indoor67", "diabetic5"]
    assert sum(plan.ingredients["datasets"][part]["classes"] for part in parts) == 2129
    assert plan.pool_size("d2-random") == 1_024_934 + 550_000 + 23_380 + 5_994 + 14_280 + 34_126


def test_knockoff_figures(plan: Plan) -> None:
    """Curves of four victims, three pools, two strategies; families, two by seven; seven responses."""
    cells = {name: len(found) for name, found in plan.tables.items()}
    curve = len(plan.scale["budgets"]["curve"])
    assert cells["knockoff/budgets"] == 4 * 3 * 2 * curve
    assert cells["knockoff/architectures"] == 2 * 7
    assert cells["knockoff/responses"] == 4 * 7
    shared = 4 * 3 * 2 + 1 + 4  # of 60,000 images: the curves' ends, ResNet-34 from ResNet-34, the whole posterior
    knockoffs = [arm for arm in plan.arms.values() if arm.victim.endswith("-resnet34") or "caltech" in arm.victim]
    assert len(knockoffs) == 28 + 24 * curve + 14 + 28 - shared + SUPPLEMENT


def test_knockoff_supplement(plan: Plan) -> None:
    """What a table of rewards, hierarchies, pools, cost, labels or weights adds to the arms of the main text."""
    main = {f"knockoff/{name}" for name in ("accuracy", "budgets", "architectures", "responses")}
    known = {cell.arm for name in main for cell in plan.tables[name]}
    added = {
        name: len({cell.arm for cell in cells} - known)
        for name, cells in plan.tables.items()
        if name.startswith("knockoff/") and name not in main
    }
    curve = len(plan.scale["budgets"]["curve"])
    assert added == {
        "knockoff/victims": 0,
        "knockoff/overlap": 0,
        "knockoff/policy": 0,
        "knockoff/rewards": 4 * 7,
        "knockoff/hierarchy": 4 * 2,
        "knockoff/semi_open": 4 * 4,
        "knockoff/cost": 2 * 2 * curve,
        "knockoff/classes": 0,
        "knockoff/ground_truth": 5 + 3 + 4 + 5,
        "knockoff/initialisation": 4,
        "knockoff/protocol": 10,
    }
    assert sum(added.values()) == SUPPLEMENT


def test_knockoff_protocol(plan: Plan) -> None:
    """Ours and the authors' at three budgets of the curve: 3 arms by held-out queries, 2 warm ones, 3 by the test set
    and 2 of both; the smallest budget has nothing to start from."""
    arms = {cell.arm for cell in plan.tables["knockoff/protocol"]}
    assert len(plan.tables["knockoff/protocol"]) == 5 * 3
    others = arms - {cell.arm for cell in plan.tables["knockoff/budgets"]}
    found = [(plan.selects(plan.arms[arm].last.recipe), plan.arms[arm].start) for arm in others]
    assert sorted(found) == sorted(
        [("validation", "fresh")] * 3 + [("last", "warm")] * 2 + [("test", "fresh")] * 3 + [("test", "warm")] * 2
    )
    assert len(arms) == 13


def test_overlaps_are_left_out(plan: Plan) -> None:
    """Pools that hold images of other data sets do not stop the scale."""
    policies = {query: plan.ingredients["queries"][query]["leaks"] for query in ("imagenet-random", "npdd-random")}
    assert set(policies.values()) == {"leave_out"}


def test_copycat_main(plan: Plan) -> None:
    """33 models: 7 targets, 5 PDD-OL, and 7 each of PDD-SL, NPDD-SL and NPDD+PDD-SL."""
    rows = [cell.row for cell in plan.tables["copycat/main"]]
    counts = {row: rows.count(row) for row in rows}
    assert counts == {"PDD-OL": 5, "PDD-SL": 7, "NPDD-SL": 7, "NPDD+PDD-SL": 7}
    assert len({cell.arm for cell in plan.tables["copycat/main"]}) + 7 == 33


def test_copycat_curve_and_family(plan: Plan) -> None:
    """7 x (6 + 5) points, of which the 3M ones are the main table's; 7 baselines and 7 copies by AlexNet."""
    assert len(plan.tables["copycat/curve"]) == 7 * (6 + 5)
    assert len(plan.tables["copycat/architectures"]) == 7 + 7
    copycats = [arm for arm in plan.arms.values() if plan.dataset_of(arm.victim)["title"] in PROBLEMS]
    assert len(copycats) == (5 + 7 * 3) + (7 * 11 - 7 * 2) + 14
    assert {arm.last.budget for arm in copycats if arm.last.query == "npdd-random"} == {
        0, 100_000, 500_000, 1_000_000, 1_500_000, 3_000_000,
    }  # fmt: skip


def test_copycat_rates_are_the_solvers(plan: Plan) -> None:
    """Rate by problem; 5 epochs of 3M images in batches of 32 are the solvers' 468,750 steps."""
    recipes = {
        plan.dataset_of(arm.victim)["title"].lower(): plan.ingredients["recipes"][arm.transfers[0].recipe]
        for arm in plan.arms.values()
        if arm.transfers[0].query == "npdd-random" and arm.architecture == "vgg16"
    }
    assert {problem: recipe["rate"] for problem, recipe in recipes.items()} == RATES
    assert {recipe["epochs"] * 3_000_000 // recipe["batch"] for recipe in recipes.values()} == {468_750}
    assert all(recipe["balance"] for recipe in recipes.values())


def test_all_arms(plan: Plan) -> None:
    """185 of Knockoff Nets, its supplement, 103 of Copycat CNN, three trainings each; every one stands in a table."""
    assert len(plan.arms) == 185 + SUPPLEMENT + 103
    assert sum(len(plan.blocks(arm)) for arm in plan.arms) == 3 * (288 + SUPPLEMENT)
    assert set(plan.arms) == {cell.arm for cells in plan.tables.values() for cell in cells}


def test_sizes_are_the_published_ones(plan: Plan) -> None:
    """What an entry declares is what config/published.csv has, as far as it was seen there."""
    names = {"ODD": "train", "TDD": "test", "PDD": "problem-domain"}
    numbers = {}
    for line in (ROOT / "config" / "published.csv").read_text().splitlines():
        if line.startswith("copycat,datasets,"):
            _, _, problem, split, _, value, *_ = line.split(",")
            numbers[problem, split] = int(value)
    for problem in PROBLEMS:
        entry = plan.ingredients["datasets"][problem.lower()]
        assert {split: numbers[problem, theirs] for theirs, split in names.items()} == entry["splits"]
        count = entry["classes"] if isinstance(entry["classes"], int) else len(entry["classes"])
        assert count == numbers[problem, "classes"]
    assert plan.pool_size("npdd-random") == numbers["NPDD", "NPDD"]


@pytest.mark.parametrize(
    ("table", "lacking"),
    [
        ("knockoff/accuracy", set()),
        ("knockoff/budgets", set()),
        ("copycat/main", set()),
        ("copycat/curve", {"NPDD+PDD-SL 0"}),  # the untrained network, which is also NPDD-SL 0
        ("copycat/architectures", set()),
    ],
)
def test_published_cells_are_measured(plan: Plan, table: str, lacking: set[str]) -> None:
    """Every published cell has one of ours of the same name, but for those that need what is not there yet."""
    theirs = {key[2:4] for key in read_published(ROOT / "config" / "published.csv") if "/".join(key[:2]) == table}
    ours = {(cell.row, cell.column) for cell in plan.tables[table]}
    ours |= {(row, column) for kind, _, row, column in plan._references(table) if kind == "victim"}
    assert theirs
    assert {row for row, column in theirs - ours} == lacking


def test_no_training_needs_what_a_machine_says(plan: Plan) -> None:
    """What decides a result has no word of where images lie or where they come from."""
    known = str([plan.training(arm) for arm in plan.arms] + [plan.decoding(name) for name in plan.datasets(plan.arms)])
    assert "MIMEO" not in known and "tar" not in known and "folder': '" not in known


def test_every_folder_says_what_to_get(plan: Plan) -> None:
    """Who lacks the images is told what to fetch."""
    for name in plan.datasets(plan.arms):
        assert len(plan.ingredients["datasets"][name]["obtain"]) > 40, name
