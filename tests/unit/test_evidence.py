"""Tables that read other files than scores: what the plan finds for them, and what their plug-ins make of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import make_table
import numpy as np
import pytest

from mimeo.cells import DIFFERS, ELSEWHERE, FAILED, REPRODUCED, UNPUBLISHED, Measured, Row
from mimeo.evaluation import Truth, divergence, image_weights, summary
from mimeo.evidence import Evidence
from mimeo.plugins import load
from mimeo.seeds import seed_of
from mimeo.store import save_arrays, save_csv, save_json
from plan.evidence import KINDS

if TYPE_CHECKING:
    from tests.conftest import Configuration

Complaint = Callable[[Callable[[], object]], str]
HEADER = ("paper", "table", "row", "column", "metric", "value", "provenance", "source")
ARM, OTHER = "v/pool/posterior-b40/plain-quick", "v/pool/posterior-b20/plain-quick"


def spec_of(table: str, files: dict[str, dict[str, list[str]]], **changes: Any) -> dict[str, Any]:
    """What a table is told, of one victim ``v`` of the data set ``animals`` and two arms that ask ``zoo``."""
    told = {
        "files": files,
        "victims": {
            "v": {"victim": "Animals", "dataset": "Animals", "victim_architecture": "Plain", "data": "animals"}
        },
        "arms": {arm: {"victim": "v", "budget": budget, "pool": ["zoo"]} for arm, budget in ((ARM, 40), (OTHER, 20))},
        "pools": {"Zoo": ["zoo"], "Both": ["zoo", "animals"]},
        "declared": {},
        "resamples": 100,
    }
    return {
        "title": "Title",
        "caption": "Caption.",
        "scale": "toy",
        "metrics": ["accuracy"],
        "names": {"victim": "victim"},
        "cells": [["Zoo", "Animals", ARM]],
        "references": [],
        "evidence": told | changes,
        "layout": {
            "paper": "knockoff", "table": table, "source": ["knockoff", table], "rows": {}, "columns": {},
            "comparable": True, "others": True,
        },
    }  # fmt: skip


def measured(spec: dict[str, Any]) -> list[Measured]:
    """What the table's plug-in measures."""
    return list(load("tables/knockoff", spec["layout"]["table"]).measure(Evidence(spec)))


def brief(cells: list[Measured]) -> dict[tuple[str, str, str], float]:
    """Values by row, column and metric."""
    return {(cell.row, cell.column, metric): v["value"] for cell in cells for metric, v in cell.values.items()}


# --- what the plan finds --------------------------------------------------------------------------------------


def test_files_by_kind(configuration: Configuration) -> None:
    """Every kind's files, by what they are of; those of a table are its inputs, each once, and scores are not."""
    plan = configuration.plan()
    assert plan.table_inputs("knockoff/victims") == {
        "arms": [],
        "victims": [],
        "evidence": [
            "results/data/digits/manifest.json",
            "results/scores/victims/digits-plain.json",
            "results/scores/victims/digits-vgg.json",
        ],
    }
    assert plan.table_inputs("knockoff/overlap")["evidence"] == ["config/synonyms.csv"]  # names are declared
    told = plan.table("knockoff/policy")["evidence"]
    for arm, files in told["files"]["policies"].items():
        query = plan.arms[arm].last.query
        assert files[0] == f"results/queries/{query}/tree.npz"
        assert files[1:] == plan.policy_logs(arm) != []
    assert plan.table_inputs("knockoff/accuracy")["evidence"] == []
    assert "evidence" not in plan.table("knockoff/accuracy")


def test_files_at_the_papers_scale(configuration: Configuration) -> None:
    """Overlap needs what git has and nothing else; classes are seen or unseen by predictions."""
    plan = configuration.plan("paper.yaml")
    files = plan.table_inputs("knockoff/overlap")["evidence"]
    assert len(files) == 7
    assert not [file for file in files if file.startswith("results/")]
    told = plan.table("knockoff/classes")["evidence"]
    assert set(told["files"]) == {"predictions", "manifests", "classes", "synonyms"}
    for arm, (predictions, answers) in told["files"]["predictions"].items():
        assert predictions == f"results/scores/copycats/{arm}/predictions.npz"
        assert answers == f"results/scores/victims/{told['arms'][arm]['victim']}.npz"


def test_every_kind_is_used(configuration: Configuration) -> None:
    """No kind is there in vain."""
    used = set()
    for scale in ("demo.yaml", "paper.yaml"):
        plan = configuration.plan(scale)
        used |= {kind for name in plan.tables for kind in plan.evidence(name).get("files", {})}
    assert used == set(KINDS)


def test_victims_that_a_table_alone_scores(configuration: Configuration) -> None:
    """They are among the victims, so that rooms, records and costs have them."""
    configuration.change("demo.yaml", ("tables", "knockoff/victims", "victims"), ["digits-plain", "digits-spare"])
    entry = configuration.read("ingredients/victims.yaml")["digits-plain"] | {"title": "Spare"}
    configuration.change("ingredients/victims.yaml", ("digits-spare",), entry)
    plan = configuration.plan()
    assert plan.victims() == ["digits-plain", "digits-vgg", "digits-spare"]
    assert "results/victims/digits-spare/model.safetensors" in plan.targets("victims")


def test_a_price_is_no_part_of_a_victim(configuration: Configuration) -> None:
    """It changes what the table of costs is told, and nothing that is trained, asked or scored."""
    before = configuration.plan()
    configuration.change("ingredients/victims.yaml", ("digits-plain", "price"), 2.5)
    after = configuration.plan()
    for told in (lambda p: {v: p.victim(v) for v in p.victims()}, lambda p: {a: p.training(a) for a in p.arms}):
        assert told(after) == told(before)
    changed = [name for name in after.tables if after.table(name) != before.table(name)]
    assert changed == ["knockoff/cost"]
    assert set(after.table("knockoff/cost")["prices"].values()) == {2.5}


def test_targets(configuration: Configuration) -> None:
    """A paper's target makes all its tables and figures, an id's one of them."""
    plan = configuration.plan()
    targets = plan.table_targets()
    assert targets["knockoff_T2"][1] == [
        f"results/tables/demo/knockoff/accuracy.{kind}" for kind in ("csv", "md", "html")
    ]
    assert targets["knockoff_F5"][1][-2:] == [
        f"results/figures/demo/knockoff/budgets.{kind}" for kind in ("png", "svg")
    ]
    assert "knockoff_S_hierarchy" in targets
    both = targets["knockoff"][1] + targets["copycat"][1]
    assert sorted(both) == sorted(file for name in plan.tables for file in plan.table_files(name))


# --- table 1 --------------------------------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path: Path) -> str:
    rows = [
        ("knockoff", "accuracy", "victim", "Animals", "accuracy", "0.8", "recalled", "x"),
        ("knockoff", "victims", "Animals", "train", "images", "2.33e4", "recalled", "x"),
        ("knockoff", "victims", "Animals", "test", "images", "100", "seen", "x"),
        ("knockoff", "victims", "Birds", "classes", "classes", "7", "seen", "x"),
    ]
    save_csv(tmp_path / "published.csv", HEADER, rows)
    return str(tmp_path / "published.csv")


def manifest(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "manifest.json"
    save_json(path, {"classes": ["cat", "dog", "bird"], "splits": {"train": 23280, "test": 90}} | changes)
    return str(path)


def test_victims(tmp_path: Path, published: str) -> None:
    """Counts from the manifest, accuracy from the scores beside that of the paper's table 2, and counts as printed."""
    save_json(
        tmp_path / "v.json",
        {"failures": [], "victim_metrics": {"accuracy": {"value": 0.81, "low": 0.79, "high": 0.83}}},
    )
    files = {"manifests": {"v": [manifest(tmp_path)]}, "references": {"v": [str(tmp_path / "v.json")]}}
    spec = spec_of("victims", files) | {"metrics": ["classes", "images", "accuracy"]}
    rows = make_table.rows_of(spec, published, [], [])
    assert [(r.row, r.column, r.metric, r.ours, r.published, r.status) for r in rows] == [
        ("Animals", "classes", "classes", "3", "", UNPUBLISHED),
        ("Animals", "train", "images", "23280", "2.33e4", REPRODUCED),  # 23.3k
        ("Animals", "test", "images", "90", "100", DIFFERS),
        ("Animals", "Plain", "accuracy", "0.810000", "0.8", REPRODUCED),
        ("Birds", "classes", "classes", "", "7", ELSEWHERE),
    ]
    make_table.main(spec, published, [], [], *(str(tmp_path / f"t.{kind}") for kind in ("csv", "md", "html")))
    text = (tmp_path / "t.md").read_text()
    assert "| Animals | Plain | 3 | 23,280 | 90 | 81.0 [79.0, 83.0] | – | 23,300† | 100 | 80.0† |" in text
    assert "| Birds | – | – | – | – | – | 7 | – | – | – |" in text


def test_a_failed_victim_is_shown_as_such(tmp_path: Path, published: str) -> None:
    save_json(tmp_path / "v.json", {"failures": ["diverged"], "victim_metrics": {"accuracy": {"value": 0.3}}})
    files = {"manifests": {"v": [manifest(tmp_path)]}, "references": {"v": [str(tmp_path / "v.json")]}}
    rows = make_table.rows_of(spec_of("victims", files), published, [], [])
    assert [row.status for row in rows if row.metric == "accuracy"] == [FAILED]


@pytest.mark.parametrize("content", [[], {"classes": []}, {"victim_metrics": {}}])
def test_manifests_and_references_of_another_kind(tmp_path: Path, complaint: Complaint, content: Any) -> None:
    save_json(tmp_path / "x.json", content)
    files = {kind: {"v": [str(tmp_path / "x.json")]} for kind in ("manifests", "references")}
    evidence = Evidence(spec_of("victims", files))
    for read in (evidence.manifest, evidence.reference):
        assert "x.json: " in complaint(lambda read=read: read("v"))  # type: ignore[misc]


# --- table 3 --------------------------------------------------------------------------------------------------


def names(tmp_path: Path) -> dict[str, dict[str, list[str]]]:
    """Lists of names: of the victim in a text, of the pool in a manifest."""
    (tmp_path / "animals.txt").write_text("# four\n001.cat\n002.dogs\n003.bird\n004.whale-101\n")
    save_json(tmp_path / "zoo.json", {"classes": ["Cat", "Beagle", "Poodle", "Whale"], "splits": {"pool": 9}})
    save_csv(
        tmp_path / "synonyms.csv", ("victim class", "pool class", "why"),
        [("dogs", "beagle", "kind"), ("dogs", "poodle", "kind")],
    )  # fmt: skip
    lists = {"animals": [str(tmp_path / "animals.txt")], "zoo": [str(tmp_path / "zoo.json")]}
    return {"classes": lists, "synonyms": {"synonyms": [str(tmp_path / "synonyms.csv")]}}


def test_overlap(tmp_path: Path) -> None:
    """A class counts once, however many of the pool's it has; a union has the victim's own."""
    found = brief(measured(spec_of("overlap", names(tmp_path))))
    assert found["Zoo", "Animals", "labels"] == 3
    assert found["Zoo", "Animals", "label_fraction"] == 0.75
    assert found["Zoo", "Animals", "labels_by_name"] == 2
    assert found["Zoo", "Animals", "classes"] == 4
    assert found["Both", "Animals", "label_fraction"] == 1
    assert found["Both", "Animals", "classes"] == 8


def test_declared_names_and_pools_without_classes(tmp_path: Path) -> None:
    """Names of the configuration need no file; images without a class have none of the victim's."""
    spec = spec_of("overlap", names(tmp_path), declared={"zoo": [], "animals": ["cat"]}, pools={"Zoo": ["zoo"]})
    assert brief(measured(spec))["Zoo", "Animals", "labels"] == 0


def test_lists_that_are_not_there(tmp_path: Path, complaint: Complaint) -> None:
    files = names(tmp_path)
    (tmp_path / "zoo.json").unlink()
    assert "zoo.json" in complaint(lambda: measured(spec_of("overlap", files)))


# --- seen and unseen classes ------------------------------------------------------------------------------------


@pytest.fixture
def arms(tmp_path: Path) -> dict[str, dict[str, list[str]]]:
    """Two sound replicates and a failed one over 60 test images of four classes, of which the zoo has three."""
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 15)
    victim = np.full((60, 4), 0.1, np.float32)
    victim[np.arange(60), labels] = 0.7
    classes = np.where(draw.random((3, 60)) < 0.8, labels, (labels + 1) % 4).astype(np.int32)
    classes[:, labels == 2] = 2  # the bird, which the zoo lacks, is always right
    save_arrays(tmp_path / "answers.npz", {"labels": labels, "posteriors": victim})
    save_arrays(
        tmp_path / "predictions.npz",
        {
            "classes": classes,
            "kl": np.stack([divergence(victim, victim)] * 3),
            "sound": np.array([True, False, True]),
        },
    )
    there = [str(tmp_path / "predictions.npz"), str(tmp_path / "answers.npz")]
    listed = manifest(tmp_path, classes=["001.cat", "002.dogs", "003.bird", "004.whale-101"])
    return names(tmp_path) | {"predictions": {ARM: there}, "manifests": {"v": [listed]}}


def test_classes(arms: dict[str, Any], tmp_path: Path) -> None:
    """Accuracy over the images of either side, means over sound replicates, resamples of the whole test set."""
    [seen, unseen] = measured(spec_of("classes", arms))
    assert (seen.column, seen.replicates, seen.failed) == ("Animals, seen", 2, False)
    assert {metric: seen.values[metric]["value"] for metric in ("classes", "images")} == {"classes": 3, "images": 45}
    with np.load(tmp_path / "predictions.npz") as there, np.load(tmp_path / "answers.npz") as known:
        kept, labels, posteriors = there["classes"][there["sound"]], known["labels"], known["posteriors"]
    side = labels != 2
    right = (kept == labels)[:, side]
    assert seen.values["accuracy"]["value"] == pytest.approx(right.mean(), abs=1e-6)
    assert seen.values["ratio"]["value"] == pytest.approx(right.mean(), abs=1e-6)
    weights = image_weights(60, 100, seed_of("test images", "animals"))[:, side]
    expected = summary(
        Truth(labels[side], posteriors[side]), kept[:, side], np.zeros((2, 45), np.float32), weights,
        seed_of("replicates", ARM),
    )  # fmt: skip
    assert seen.values["accuracy"] == expected["accuracy"]
    assert 0 < expected["accuracy"]["low"] < expected["accuracy"]["high"] < 1
    assert unseen.column == "Animals, unseen"
    assert {metric: unseen.values[metric]["value"] for metric in ("accuracy", "images")} == {
        "accuracy": 1,
        "images": 15,
    }


def test_a_side_without_images_is_left_out(arms: dict[str, Any]) -> None:
    """Where the pool has all classes, or none, there is one side."""
    spec = spec_of("classes", arms, declared={"zoo": []})
    assert [cell.column for cell in measured(spec)] == ["Animals, unseen"]


def test_failed_arms_are_said_to_be_failed(arms: dict[str, Any], tmp_path: Path) -> None:
    with np.load(tmp_path / "predictions.npz") as there:
        save_arrays(tmp_path / "predictions.npz", {**there, "sound": np.zeros(3, bool)})
    assert {
        (cell.failed, cell.replicates, "accuracy" in cell.values) for cell in measured(spec_of("classes", arms))
    } == {(True, 0, False)}


def test_predictions_of_other_images(arms: dict[str, Any], tmp_path: Path, complaint: Complaint) -> None:
    with np.load(tmp_path / "answers.npz") as known:
        save_arrays(tmp_path / "answers.npz", {name: array[:50] for name, array in known.items()})
    text = complaint(lambda: measured(spec_of("classes", arms)))
    assert "predictions.npz: predictions are not of the 50 images" in text


def test_classes_of_another_data_set(arms: dict[str, Any], tmp_path: Path, complaint: Complaint) -> None:
    manifest(tmp_path)
    assert "4 classes, v has 3" in complaint(lambda: measured(spec_of("classes", arms)))


# --- policies -------------------------------------------------------------------------------------------------


def policy_files(tmp_path: Path, groups: tuple[str, ...] = ("cluster 000", "sea"), count: int = 40) -> dict[str, Any]:
    """A tree of three leaves, and two shards of a policy that comes to draw nothing but fish."""
    group = np.array([0, 0, 1]) if len(groups) > 1 else np.zeros(3, int)
    save_arrays(
        tmp_path / "tree.npz",
        {"group": group, "leaves": np.array(["land/cat", "land/dog", "sea/fish"]), "groups": np.array(groups)},
    )
    files = [str(tmp_path / "tree.npz")]
    leaf = np.concatenate([np.tile([0, 1, 2, 1], count // 8), np.full(count // 2, 2)])
    for number, start in enumerate((0, count // 2)):
        at = np.array([start, start + count // 4])
        fish = np.array([0.5, 0.6, 0.9, 0.99])[2 * number : 2 * number + 2]
        leaves = np.stack([(1 - fish) / 2, (1 - fish) / 2, fish], 1)
        coarse = np.stack([1 - fish, fish], 1) if len(groups) > 1 else np.ones((2, 1))
        part = leaf[start : start + count // 2]
        save_arrays(tmp_path / f"{number}.npz", {"leaf": part, "at": at, "groups": coarse, "leaves": leaves})
        files.append(str(tmp_path / f"{number}.npz"))
    return {"policies": {ARM: files, OTHER: files[:2]}}


def test_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of windows sum to one, probabilities are those at a window's end, clusters say what they hold."""
    monkeypatch.setattr(load("tables/knockoff", "policy"), "WINDOWS", 4)
    found = brief(measured(spec_of("policy", policy_files(tmp_path))))
    land, sea, column = "cluster 000 (as land/dog)", "sea", "Zoo, Animals"
    shares = {name: [found[f"{name} {stop}", column, "share"] for stop in (10, 20, 30, 40)] for name in (land, sea)}
    assert shares == {land: [0.8, 0.7, 0, 0], sea: [0.2, 0.3, 1, 1]}
    policy = [found[f"{sea} {stop}", column, "probability"] for stop in (10, 20, 30, 40)]
    assert policy == pytest.approx([0.6, 0.9, 0.99, 0.99])  # of the last window none is there but that at its start
    total = [found[f"{land} {stop}", column, "probability"] for stop in (10, 20, 30, 40)]
    assert np.add(policy, total) == pytest.approx(1)


def test_a_smaller_budget_is_a_prefix(tmp_path: Path) -> None:
    spec = spec_of("policy", policy_files(tmp_path)) | {"cells": [["Zoo", "Animals", OTHER]]}
    stops = {int(cell.row.split()[-1]) for cell in measured(spec)}
    assert max(stops) == 20 and len(stops) == 20


def test_policy_without_groups_shows_leaves(tmp_path: Path) -> None:
    found = brief(measured(spec_of("policy", policy_files(tmp_path, ("all",)))))
    assert found["sea/fish 40", "Zoo, Animals", "share"] == 1
    assert {row.rsplit(" ", 1)[0] for row, _, _ in found} == {"sea/fish", "land/cat", "land/dog"}


def test_rare_groups_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load("tables/knockoff", "policy"), "SHOWN", 1)
    found = brief(measured(spec_of("policy", policy_files(tmp_path, ("all",)))))
    assert {row.rsplit(" ", 1)[0] for row, _, _ in found} == {"sea/fish", "others"}
    assert sum(v for (row, _, m), v in found.items() if m == "share" and row.endswith(" 2")) == pytest.approx(1)


def test_logs_that_are_too_short_or_of_another_tree(tmp_path: Path, complaint: Complaint) -> None:
    files = policy_files(tmp_path)
    short = copy.deepcopy(files)
    short["policies"][ARM].pop()
    assert "0.npz: 20 queries are logged, the arm has 40" in complaint(lambda: measured(spec_of("policy", short)))
    save_arrays(
        tmp_path / "tree.npz", {"group": np.zeros(2, int), "leaves": np.array(["a", "b"]), "groups": np.array(["x"])}
    )
    assert "0.npz: is of another tree than" in complaint(lambda: measured(spec_of("policy", files)))


# --- dollars --------------------------------------------------------------------------------------------------


def test_dollars(tmp_path: Path) -> None:
    """Queries times the price; nothing for what was never asked."""
    save_json(tmp_path / "1.json", {"arm": "a", "sound": 3, "queries": 30000, "metrics": {"accuracy": {"value": 0.7}}})
    save_json(tmp_path / "2.json", {"arm": "b", "sound": 3, "queries": 0, "metrics": {"accuracy": {"value": 0.7}}})
    spec = spec_of("cost", {}) | {"metrics": ["accuracy", "usd"], "cells": [["A", "C", "a"], ["B", "C", "b"]]}
    del spec["evidence"]
    save_csv(tmp_path / "published.csv", HEADER, [])
    scores = [str(tmp_path / f"{number}.json") for number in (1, 2)]
    rows: list[Row] = make_table.rows_of(
        spec | {"prices": {"a": 1, "b": 1}}, str(tmp_path / "published.csv"), scores, []
    )
    assert [(row.row, row.ours) for row in rows if row.metric == "usd"] == [("A", "30.000000"), ("B", "0.000000")]
