"""Claims of the papers: verdicts by the interval of a difference, on predictions made to order."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import weigh_claims
from hypothesis import given, settings
from hypothesis import strategies as st
from weigh_claims import COLUMNS, FAILS, HOLDS, UNDECIDED, verdict

from mimeo.store import save_arrays

LAWS = settings(deadline=None, max_examples=80, derandomize=True, database=None)
COUNT, CLASSES, RESAMPLES = 400, 4, 300
LABELS = np.arange(COUNT) % CLASSES
FINITE = st.floats(-1, 1)


@LAWS
@given(bounds=st.tuples(FINITE, FINITE).map(sorted))
def test_verdict_is_by_the_interval_alone(bounds: list[float]) -> None:
    low, high = bounds
    expected = HOLDS if low > 0 else FAILS if high < 0 else UNDECIDED
    assert verdict(low, high) == expected
    mirrored = {HOLDS: FAILS, FAILS: HOLDS, UNDECIDED: UNDECIDED}
    assert verdict(-high, -low) == mirrored[expected]


def test_interval_that_touches_zero_decides_nothing() -> None:
    assert verdict(0.0, 0.5) == verdict(-0.5, 0.0) == verdict(0.0, 0.0) == UNDECIDED


@pytest.fixture
def arms(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Arms whose three replicates are right on a known share of the test images."""
    save_arrays(tmp_path / "victim.npz", {"labels": LABELS, "posteriors": np.eye(CLASSES, dtype=np.float32)[LABELS]})
    there = {}
    shares = {"good": 0.9, "poor": 0.6, "fair": 0.75, "fair-too": 0.75, "failed": 0.25}
    for number, (name, share) in enumerate(shares.items()):
        draw = np.random.default_rng(number)
        classes = np.stack([draw.permutation(np.where(np.arange(COUNT) < share * COUNT, 0, 1)) for _ in range(3)])
        classes = ((LABELS + classes) % CLASSES).astype(np.int32)
        path = tmp_path / f"{name}.npz"
        sound = np.full(3, name != "failed")
        save_arrays(path, {"classes": classes, "kl": np.full((3, COUNT), 0.5, np.float32), "sound": sound})
        there[name] = {"predictions": str(path), "answers": str(tmp_path / "victim.npz"), "dataset": "toy"}
    return there


def weighed(tmp_path: Path, arms: dict[str, dict[str, str]], **claims: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The lines of the claims table, by claim; all are about accuracy unless they say otherwise."""
    published = tmp_path / "published.csv"
    published.write_text(
        "paper,table,row,column,metric,value,provenance,source\n"
        "knockoff,claims,low,all,ratio_low,0.81,recalled,KN\n"
        "knockoff,claims,high,all,ratio_low,0.97,seen,KN\n"
    )
    whole = {
        name: {"paper": "knockoff", "text": f"Claim {name}", "metric": "accuracy", "than": [], **claim}
        for name, claim in claims.items()
    }
    table, text, web = (tmp_path / f"claims.{kind}" for kind in ("csv", "md", "html"))
    weigh_claims.main("toy", whole, arms, RESAMPLES, str(published), str(table), str(text), str(web))
    with open(table, newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == COLUMNS
        return {line["claim"]: line for line in reader}


def test_claims_hold_fail_and_stay_open(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    lines = weighed(
        tmp_path, arms,
        better={"of": ["good"], "than": ["poor"]},
        worse={"of": ["poor"], "than": ["good"]},
        alike={"of": ["fair"], "than": ["fair-too"]},
        itself={"of": ["fair"], "than": ["fair"]},
    )  # fmt: skip
    assert {name: line["verdict"] for name, line in lines.items()} == {
        "better": HOLDS, "worse": FAILS, "alike": UNDECIDED, "itself": UNDECIDED,
    }  # fmt: skip
    better = lines["better"]
    assert float(better["measured"]) == pytest.approx(0.9)
    assert float(better["against"]) == pytest.approx(0.6)
    assert float(better["difference"]) == pytest.approx(0.3)
    assert 0.2 < float(better["low"]) < 0.3 < float(better["high"]) < 0.4
    assert (better["provenance"], better["paper"], better["text"]) == ("measured", "knockoff", "Claim better")
    # Paired: on the same resamples an arm differs from itself by nothing at all.
    assert float(lines["itself"]["low"]) == float(lines["itself"]["high"]) == 0
    assert float(lines["worse"]["low"]) == pytest.approx(-float(better["high"]))


def test_arms_on_the_same_images_are_compared_pairwise(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    """Resamples belong to the test images, not to the arm: equal answers of two arms differ by nothing."""
    there = {name: values[:1] for name, values in np.load(arms["good"]["predictions"]).items()}
    for name in ("one", "other"):
        save_arrays(tmp_path / f"{name}.npz", there)
        arms[name] = {**arms["good"], "predictions": str(tmp_path / f"{name}.npz")}
    line = weighed(tmp_path, arms, equal={"of": ["one"], "than": ["other"]})["equal"]
    assert float(line["low"]) == float(line["high"]) == 0


def test_arms_are_averaged(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    lines = weighed(tmp_path, arms, mean={"of": ["good", "poor"], "than": ["fair"]})
    assert float(lines["mean"]["measured"]) == pytest.approx(0.75)
    assert lines["mean"]["verdict"] == UNDECIDED


def test_claims_against_published_numbers(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    """The number is taken as exact; how it is known is said."""
    lines = weighed(
        tmp_path, arms,
        reached={"metric": "ratio", "of": ["good"], "published": ["knockoff", "claims", "low", "all", "ratio_low"]},
        missed={"metric": "ratio", "of": ["good"], "published": ["knockoff", "claims", "high", "all", "ratio_low"]},
    )  # fmt: skip
    assert (lines["reached"]["verdict"], lines["missed"]["verdict"]) == (HOLDS, FAILS)
    assert (lines["reached"]["provenance"], lines["missed"]["provenance"]) == ("recalled", "seen")
    assert float(lines["reached"]["against"]) == 0.81
    text = (tmp_path / "claims.md").read_text()
    assert "| 0.810† |" in text and "| 0.970 |" in text


@pytest.mark.parametrize(("of", "than"), [("failed", "good"), ("good", "failed")])
def test_failed_run_decides_nothing(tmp_path: Path, arms: dict[str, dict[str, str]], of: str, than: str) -> None:
    """Nor does the mean of a sound arm and a failed one."""
    lines = weighed(tmp_path, arms, one={"of": [of], "than": [than]}, mean={"of": [of, "fair"], "than": [than]})
    for line in lines.values():
        assert line["verdict"] == "undecided (failed run)"
        assert (line["measured"], line["difference"], line["low"]) == ("", "", "")
    assert "| – | – | – | **undecided (failed run)** |" in (tmp_path / "claims.md").read_text()


def test_failed_replicates_enter_no_mean(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    there = dict(np.load(arms["good"]["predictions"]))
    there["classes"][1] = (LABELS + 2) % CLASSES  # a training that came to nothing
    save_arrays(arms["good"]["predictions"], {**there, "sound": np.array([True, False, True])})
    line = weighed(tmp_path, arms, one={"of": ["good"], "than": ["poor"]})["one"]
    assert float(line["measured"]) == pytest.approx(0.9)
    assert line["verdict"] == HOLDS


def test_every_metric_can_be_claimed(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    metrics = ("accuracy", "macro_recall", "macro_f1", "ratio", "agreement")
    claims = {metric: {"metric": metric, "of": ["good"], "than": ["poor"]} for metric in metrics}
    for metric, line in weighed(tmp_path, arms, **claims).items():
        assert line["metric"] == metric
        assert line["verdict"] == HOLDS
        assert math.isclose(float(line["measured"]), 0.9, abs_tol=0.01)


def test_document_for_readers(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    weighed(
        tmp_path,
        arms,
        one={"of": ["good"], "than": ["poor"]},
        two={"paper": "copycat", "of": ["poor"], "than": ["good"]},
    )
    text = (tmp_path / "claims.md").read_text()
    assert "| claim | paper | metric | measured | against | difference | verdict |\n|:--|--:|" in text
    [one] = [line for line in text.splitlines() if line.startswith("| Claim one")]
    assert one.startswith("| Claim one | Knockoff Nets | accuracy | 0.900 | 0.600 | +0.300 [+0.2")
    assert one.endswith("| **holds** |")
    assert "| Claim two | Copycat CNN |" in text and "**does not hold**" in text
    assert "Scale: toy." in text
    page = (tmp_path / "claims.html").read_text()
    assert "Claim one</td>" in page and "<strong>does not hold</strong>" in page


def test_claims_repeat_to_the_byte(tmp_path: Path, arms: dict[str, dict[str, str]]) -> None:
    digests = set()
    for _ in range(2):
        weighed(tmp_path, arms, one={"of": ["fair"], "than": ["fair-too"]})
        digests.add(b"".join((tmp_path / f"claims.{kind}").read_bytes() for kind in ("csv", "md", "html")))
    assert len(digests) == 1
