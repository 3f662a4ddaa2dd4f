"""What no scale uses is listed and removed: never labels, never what a scale needs, nothing outside results/."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from plan import ConfigError, provenance
from plan.provenance import Job

if TYPE_CHECKING:
    from tests.conftest import Configuration

FILE = Path(__file__).resolve().parents[2] / "workflow/commands/prune.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prune", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prune = load()


@pytest.fixture
def root(configuration: "Configuration") -> Path:
    """Configuration with a victim's weights, with their log beside them, and three files that nobody needs."""
    root = configuration.root
    used = configuration.plan().targets("victims")[0]
    log = used.replace(".safetensors", ".json")
    order = configuration.plan().targets("queries")[0].rpartition("/")[0] + "/order.npz"
    for file in (used, log, order, *UNUSED, "results/labels/old/a.npy", "results/checkpoints/a", "config/a.npz"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("")
    jobs = {}
    for files in ([used, log], UNUSED[:2]):
        digests = tuple((file, EMPTY) for file in files)
        room = files[0].split("/")[1]
        jobs = {files[0]: Job("rule", (), (), digests, 6, None)}
        (root / "results/provenance").mkdir(exist_ok=True)
        (root / f"results/provenance/{room}.json").write_text(provenance._text_of(jobs))
    return root


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
UNUSED = ["results/copycats/old/arm/a.json", "results/copycats/old/arm/b.json", "results/scores/old.json"]


def files(root: Path) -> set[str]:
    return {
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".snakemake" not in path.parts
    }


def test_it_lists_and_removes_what_is_unused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(root)
    prune.main(root, remove=False)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in said[:-1]] == UNUSED
    assert said[-1].startswith("3 unused files")
    prune.main(root, remove=True)
    assert before - files(root) == set(UNUSED)
    assert not (root / "results/copycats/old").exists()
    assert UNUSED[0] not in (root / "results/provenance/copycats.json").read_text()
    capsys.readouterr()
    prune.main(root, remove=True)
    assert capsys.readouterr().out == "0 unused files, 0.000 MB: removed\n"


def test_what_lies_behind_a_link_is_somebodys(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "photos"
    outside.mkdir()
    (outside / "a.jpg").write_text("")
    (root / "results/data/mine").parent.mkdir()
    (root / "results/data/mine").symlink_to(outside)
    (root / "results/data/labels").symlink_to(root / "results/labels")
    (root / "results/answers").symlink_to(root / "results/labels")
    (root / "results/data/a.jpg").symlink_to(outside / "a.jpg")
    prune.main(root, remove=True)
    assert (outside / "a.jpg").exists()
    assert (root / "results/labels/old/a.npy").exists()
    assert not (root / "results/data/a.jpg").is_symlink()


def test_an_odd_name_is_printed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "results/scores" / os.fsdecode(b"\xff\n")).write_text("")
    prune.main(root, remove=False)
    assert "scores/\\udcff\\n" in capsys.readouterr().out


def invalid(root: Path) -> None:
    (root / "config/other.yaml").write_text("scale: other\n")


def invalid_with_another_ending(root: Path) -> None:
    (root / "config/other.yml").write_text("scale: other\n")


def none(root: Path) -> None:
    for file in (root / "config").glob("*.yaml"):
        if file.name != "schema.yaml":
            file.unlink()


def unreadable(root: Path) -> None:
    (root / "results/provenance/victims.json").write_text("{")


def locked(root: Path) -> None:
    (root / ".snakemake/locks").mkdir(parents=True)
    (root / ".snakemake/locks/0.input.lock").write_text("")


@pytest.mark.parametrize("change", [invalid, invalid_with_another_ending, none, unreadable, locked])
def test_it_stops_before_anything_is_removed(root: Path, change: "object") -> None:
    assert callable(change)
    change(root)
    before = files(root)
    with pytest.raises(ConfigError):
        prune.main(root, remove=True)
    assert files(root) == before
