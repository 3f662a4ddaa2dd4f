"""What the guards found is shown: overlaps by query set, epochs that the test set has chosen, failed trainings."""

import csv
from pathlib import Path

import collect_guards

from mimeo.store import save_json


def test_overlaps_are_summed_and_failures_listed(tmp_path: Path) -> None:
    reports = [tmp_path / "0.json", tmp_path / "1.json"]
    for number, path in enumerate(reports):
        found = {"checked": 10, "left_out": [], "training_overlaps": 3 + number}
        save_json(path, {"query": "own", "dataset": "digits", **found})
    arm, victim = tmp_path / "arm.json", tmp_path / "victim.json"
    sound = {"replicate": 0, "failures": []}
    replicates = [sound, {"replicate": 1, "failures": ["diverged", "chance level"]}]
    save_json(arm, {"arm": "a/b", "replicates": replicates})
    save_json(victim, {"victim": "v", "failures": [], "twin_failures": [[], ["diverged"]]})
    outputs = [tmp_path / f"guards.{kind}" for kind in ("csv", "md", "html")]
    collect_guards.main([str(path) for path in reports], [str(arm)], [str(victim)], [], *map(str, outputs))
    with open(outputs[0], newline="") as file:
        assert list(csv.reader(file)) == [
            list(collect_guards.COLUMNS),
            ["training images", "own against digits", "20", "7", ""],
            ["failed", "v, twin 2", "", "1", "diverged"],
            ["failed", "a/b, replicate 1", "", "1", "diverged; chance level"],
        ]
    text = outputs[1].read_text()
    assert "| own against digits | 20 | 7 |" in text
    assert "None: no query image equals or nearly equals one." in text
    assert "the test set has chosen\n\nNone.\n" in text
    assert "2 of 5 trainings failed" in text
    assert ">a/b, replicate 1</td>" in outputs[2].read_text()


def test_what_is_left_out_and_what_the_test_set_has_chosen(tmp_path: Path) -> None:
    """Query images that are test images are counted over shards; arms that a test set has tuned are named."""
    reports = [tmp_path / f"{number}.json" for number in range(3)]
    for path, query, out in zip(reports, ("pool", "pool", "own"), ([1, 7], [0], []), strict=True):
        found = {"checked": 10, "left_out": out, "training_overlaps": 0}
        save_json(path, {"query": query, "dataset": "digits", **found})
    arms = {name: tmp_path / f"{name}.json" for name in ("last", "validation", "test")}
    for name, path in arms.items():
        sound = [{"replicate": number, "failures": []} for number in range(3)]
        save_json(path, {"arm": f"a/{name}", "replicates": sound})
    outputs = [tmp_path / f"guards.{kind}" for kind in ("csv", "md", "html")]
    collect_guards.main(list(map(str, reports)), list(map(str, arms.values())), [], ["a/test"], *map(str, outputs))
    with open(outputs[0], newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["test images", "pool against digits", "20", "3", "left out of training"],
            ["training images", "own against digits", "10", "0", ""],
            ["training images", "pool against digits", "20", "0", ""],
            ["selected by the test set", "a/test", "", "3", "not our protocol"],
        ]
    text = outputs[1].read_text()
    assert (
        "| query set | images checked | of these test images |\n|:--|--:|--:|\n| pool against digits | 20 | 3 |" in text
    )
    assert "no query image" not in text
    assert "| a/test | 3 |" in text
    assert "a/validation" not in text
