"""The lock decides every version: the conda environments name the same ones, and so does what is installed."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def locked() -> dict[str, set[str]]:
    """Versions in the lock by package; a package has several where they depend on Python's."""
    found: dict[str, set[str]] = {}
    for name, number in re.findall(r"^([a-z0-9.-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.M):
        found.setdefault(name, set()).add(number)
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_environments_pin_what_the_lock_pins(path: Path) -> None:
    [pip] = [entry["pip"] for entry in yaml.safe_load(path.read_text())["dependencies"] if isinstance(entry, dict)]
    for requirement in pip:
        name, number = requirement.split("==")
        assert number in locked()[name], requirement


@pytest.mark.parametrize("name", ["torch", "torchvision", "snakemake", "dvc", "numpy", "scikit-learn"])
def test_installed_versions_are_the_locked_ones(name: str) -> None:
    assert version(name).partition("+")[0] in locked()[name]


def test_torch_and_torchvision_fit_each_other() -> None:
    from torchvision import ops

    assert ops.nms is not None
