"""What the guards found is shown: overlaps by query set, failed trainings with their reasons."""

import csv
from pathlib import Path

import collect_guards

from mimeo.store import save_json


def test_overlaps_are_summed_and_failures_listed(tmp_path: Path) -> None:
    reports = [tmp_path / "0.json", tmp_path / "1.json"]
    for number, path in enumerate(reports):
        save_json(path, {"query": "own", "dataset": "digits", "checked": 10, "training_overlaps": 3 + number})
    arm, victim = tmp_path / "arm.json", tmp_path / "victim.json"
    sound = {"replicate": 0, "failures": []}
    save_json(arm, {"arm": "a/b", "replicates": [sound, {"replicate": 1, "failures": ["diverged", "chance level"]}]})
    save_json(victim, {"victim": "v", "failures": [], "twin_failures": [[], ["diverged"]]})
    outputs = [tmp_path / f"guards.{kind}" for kind in ("csv", "md", "html")]
    collect_guards.main([str(path) for path in reports], [str(arm)], [str(victim)], *map(str, outputs))
    with open(outputs[0], newline="") as file:
        assert list(csv.reader(file)) == [
            list(collect_guards.COLUMNS),
            ["training images", "own against digits", "20", "7", ""],
            ["failed", "v, twin 2", "", "1", "diverged"],
            ["failed", "a/b, replicate 1", "", "1", "diverged; chance level"],
        ]
    text = outputs[1].read_text()
    assert "| own against digits | 20 | 7 |" in text
    assert "2 of 5 trainings failed" in text
    assert ">a/b, replicate 1</td>" in outputs[2].read_text()
