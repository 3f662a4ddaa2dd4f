"""The same machine gives the same bytes, whatever the number of cores; a second run has nothing to do."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow


def test_one_core_and_two_give_the_same_bytes(project: "Project", finished: "Project") -> None:
    run = project.run(cores=1)
    assert run.code == 0, run.output
    ours, theirs = project.repeating(), finished.repeating()
    kinds = {Path(file).suffix for file in ours}
    assert {".safetensors", ".npy", ".npz", ".csv", ".md", ".html", ".png", ".svg", ".json"} <= kinds
    assert ours == theirs


def test_a_second_run_has_nothing_to_do(finished: "Project") -> None:
    run = finished.run()
    assert run.code == 0, run.output
    assert "Nothing to be done" in run.output


def test_touched_files_rerun_nothing(finished: "Project") -> None:
    for folder in ("config", "workflow"):
        for path in (finished.root / folder).rglob("*"):
            path.touch()
    (finished.root / "Snakefile").touch()
    run = finished.run("-n")
    assert "Nothing to be done" in run.output, run.output


def test_no_temporary_file_is_left(finished: "Project") -> None:
    assert not [path for path in (finished.root / "results").rglob(".*") if path.name != ".gitignore"]
