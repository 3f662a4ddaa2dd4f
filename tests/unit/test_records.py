"""What stands beside a number: versions, hardware, commit and cost."""

import re
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from mimeo import records
from mimeo.records import Cost, clock, environment
from mimeo.store import load_json, save_json


def test_environment_names_versions_and_hardware() -> None:
    there = environment("cpu")
    assert there["python"] == ".".join(map(str, sys.version_info[:3]))
    for package in ("torch", "torchvision", "numpy", "snakemake", "scikit-learn", "scikit-image", "matplotlib"):
        assert there["packages"][package] == version(package)
    assert there["device"].strip()
    assert len(there["platform"].split()) == 2


def test_absent_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PACKAGES", ("numpy", "no-such-package-here"))
    assert environment("cpu")["packages"] == {"numpy": version("numpy"), "no-such-package-here": None}


def test_commit_is_a_hash_or_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Twelve digits of the commit, ``+`` where files differ; None where there is no git."""
    commit = environment("cpu")["commit"]
    assert commit is None or re.fullmatch(r"[0-9a-f]{12,40}\+?", commit)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment("cpu")["commit"] is None


def test_environment_can_be_kept(tmp_path: Path) -> None:
    record = {**Cost().taken(), **environment("cpu")}
    save_json(tmp_path / "record.json", record)
    assert load_json(tmp_path / "record.json") == record


def test_cost_is_positive_and_grows() -> None:
    """Peak memory covers what the process has really held."""
    cost = Cost()
    first = cost.taken()
    held = np.ones(2**23)  # 64 MiB
    later = cost.taken()
    assert 0 <= first["seconds"] <= later["seconds"]
    assert later["memory"] >= held.nbytes
    assert later["memory"] >= first["memory"] > 2**20
    assert later["device_memory"] >= 0


def test_cost_counts_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((10.0, 12.3456))
    monkeypatch.setattr(records, "clock", lambda: next(moments))
    assert Cost().taken()["seconds"] == 2.346


def test_clock_never_goes_back() -> None:
    moments = [clock() for _ in range(100)]
    assert moments == sorted(moments)
