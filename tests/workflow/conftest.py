"""Fixtures of the workflow tests.

``chosen``
    ``finished`` with an arm more, whose images are chosen as they are asked: the query set ``photographs-adaptive``,
    200 images, in a row of the table of budgets.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

BUDGETS = '      - {<<: *natural, row: "{query} {budget}", budgets: [100, 200]}\n'
CHOSEN = '      - {<<: *natural, row: "{query} {budget}", queries: [photographs-adaptive], budgets: [200]}\n'


@pytest.fixture(scope="session")
def chosen_once(finished_once: "Project", tmp_path_factory: pytest.TempPathFactory) -> "Project":
    """The tiny scale and the arm more, run to their end; tests take ``chosen``, a copy."""
    root = tmp_path_factory.mktemp("chosen") / "project"
    shutil.copytree(finished_once.root, root, symlinks=True)
    project = type(finished_once)(root)
    project.edit("config/tiny.yaml", BUDGETS, BUDGETS + CHOSEN)
    run = project.run()
    assert run.code == 0, run.output
    (root / "run.txt").write_text("\n".join(f"{rule} {count}" for rule, count in sorted(run.jobs.items())))
    return project


@pytest.fixture
def chosen(chosen_once: "Project", tmp_path: Path) -> "Project":
    """A copy of the pipeline after that run."""
    shutil.copytree(chosen_once.root, tmp_path / "chosen", symlinks=True)
    return type(chosen_once)(tmp_path / "chosen")
