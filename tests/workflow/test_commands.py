"""Every command in the README and in docs/cluster.md is run here, in a copy whose demo is the tiny scale."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


CLUSTER = "# needs a cluster"


def commands(file: str = "README.md") -> list[str]:
    """The lines of a document's shell blocks, without comments, but for those marked as needing a cluster."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / file).read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if CLUSTER not in line]
    lines = [line.partition("#")[0].strip() for line in lines]
    return [line for line in lines if line]


@pytest.fixture
def newcomer(finished: "Project") -> Path:
    """A clone as a newcomer has it after ``make setup``, with the demo's work already done at the tiny scale."""
    root = finished.root
    tiny = (root / "config/tiny.yaml").read_text().replace("scale: tiny", "scale: demo")
    (root / "config/demo.yaml").write_text(tiny)
    finished.edit("config/ingredients/budgets.yaml", "\ndemo:\n", "\ndemo:\n  own: [100]\n")
    for name in ("Makefile", "requirements.lock", ".dvcignore"):
        shutil.copy(ROOT / name, root)
    (root / "tests").mkdir()
    (root / "tests/test_nothing.py").write_text("def test_nothing() -> None:\n    assert True\n")
    (root / ".venv/bin").mkdir(parents=True)
    for path in BIN.iterdir():
        (root / ".venv/bin" / path.name).symlink_to(path)
    (root / ".venv/.ready").touch()
    (root / ".gitignore").write_text(".venv/\n.snakemake/\nlogs/\n")
    (root / "results/.gitignore").write_text((ROOT / "results/.gitignore").read_text())
    for command in (["git", "init", "-q"], ["git", "add", "-A"], [str(BIN / "dvc"), "init", "-q", "-f"]):
        subprocess.run(command, cwd=root, check=True)
    return root


def shell(command: str, root: Path) -> str:
    """Runs a command line as a user would and returns what it prints."""
    path = f"{root / '.venv/bin'}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE_", "MAKE"))}
    done = subprocess.run(
        command.replace("source ", ". "),
        shell=True,
        cwd=root,
        env=kept | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_every_command_of_the_readme(newcomer: Path) -> None:
    found = commands()
    assert {"make demo", "make test", "make report", "dvc repro"} <= set(found)
    for command in found:
        shell(command, newcomer)
    assert (newcomer / "report.html").stat().st_size > 100_000
    assert (newcomer / "results/tables/demo/knockoff/budgets.csv").is_file()


def test_dvc_repro_runs_the_demo_and_then_nothing(newcomer: Path) -> None:
    shutil.rmtree(newcomer / "results/tables", ignore_errors=True)
    first = shell("dvc repro", newcomer)
    assert "Running stage 'tables'" in first
    assert (newcomer / "results/tables/demo/knockoff/accuracy.csv").is_file()
    assert (newcomer / "dvc.lock").is_file()
    second = shell("dvc repro", newcomer)
    assert "Running stage" not in second
    assert "up to date" in second


def test_make_sets_up_once(newcomer: Path) -> None:
    printed = shell("make demo", newcomer)
    assert "uv" not in printed
    assert "Nothing to be done" in shell("make demo", newcomer)


def test_every_command_of_the_cluster_document(newcomer: Path) -> None:
    found = commands("docs/cluster.md")
    assert found == ["make plan SCALE=demo", "make plan SCALE=paper"]
    demo, paper = (shell(command, newcomer) for command in found)
    assert "| knockoff/budgets | 2 |" in demo
    assert "| knockoff/accuracy | 28 | 191 | 184.9 |" in paper
    assert "| copycat/main | 26 | 1,187 | 362.2 |" in paper
