"""Fixtures for tests that run the pipeline: projects in temporary folders, and a scale so small that it is done soon.

``project``
    a fresh copy of the pipeline (no results) with the scale ``config/tiny.yaml``. Edit its files and run it::

        def test_one(project: Project) -> None:
            project.edit("config/tiny.yaml", "budgets: [100, 200]", "budgets: [100, 150]")
            run = project.run("-n")
            assert run.code == 0, run.output
            assert run.planned["train_copycat"] == 3

``finished``
    the same after a whole run of the tiny scale, with its times of modification: nothing is to be done. The run is
    made once a test session, and copied for each test.

The tiny scale has one victim with one twin, two query sets, three arms of one replicate, two tables and a figure.
Names that tests may count on: victim ``digits-tiny``, recipes ``tiny-victim`` and ``tiny-copycat``, queries
``digits-own`` (posterior, 100 images) and ``photographs-random`` (top-1, 100 and 200 images), shards of 200.

``versioned``
    ``finished`` as a repository of git and DVC, after ``dvc repro``, all committed.

``configuration``
    a copy of ``config/`` alone, whose plan is made in this process. Change one thing in it and load it::

        def test_two(configuration: Configuration) -> None:
            configuration.change("demo.yaml", ("replicates",), 4)
            with pytest.raises(ConfigError, match="replicates"):
                configuration.plan()

For annotations import the classes under ``TYPE_CHECKING`` from ``tests.conftest``.
"""

import functools
import hashlib
import operator
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from plan import Plan, load_plan

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    "Snakefile", "Makefile", "config", "workflow", "profiles", "envs", "dvc.yaml", ".dvc", ".dvcignore",
    "pyproject.toml", "requirements.lock",
)  # fmt: skip
TARGETS = ("all", "data", "victims", "queries", "labels", "copycats", "scores", "tables")
SCALE = """\
scale: tiny
comparable: false
device: cpu
threads: 1
replicates: 1
block: 1
twins: 1
shard: 200
resamples: 100
headline: [knockoff/accuracy]
claims: {}

tables:
  knockoff/accuracy:
    title: Accuracy by query set
    caption: Small enough to test with.
    metrics: [accuracy, ratio, agreement, kl, queries]
    cells:
      - &base
        row: "{query}"
        column: "{dataset}"
        victims: [digits-tiny]
        queries: [digits-own]
        responses: [posterior]
        budgets: own
        architectures: [plain]
        recipe: tiny-copycat
      - &natural {<<: *base, queries: [photographs-random], responses: [top-1], budgets: [200]}
    references: {column: "{dataset}"}

  knockoff/budgets:
    id: F5
    title: Accuracy against queries
    caption: Small enough to test with.
    metrics: [accuracy, agreement, queries]
    cells:
      - {<<: *natural, row: "{query} {budget}", budgets: [100, 200]}
    references: {column: "{dataset}"}
"""
ENTRIES = {
    "recipes": """
tiny-victim: {epochs: 20, batch: 64, optimizer: adamw, rate: 0.004}
tiny-copycat: {epochs: 2, batch: 64, optimizer: adamw, rate: 0.004}
""",
    "victims": """
digits-tiny: {title: Digits, kind: trained, dataset: digits, architecture: plain, recipe: tiny-victim}
""",
}


@dataclass(frozen=True)
class Run:
    """What a run of Snakemake came to.

    Attributes:
        code: the exit status.
        stdout, stderr: as printed; Snakemake's own reports are on stderr.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, for messages."""
        return self.stdout + self.stderr

    @property
    def jobs(self) -> Counter[str]:
        """Finished jobs by rule (target rules, which have nothing to make, are left out)."""
        rules = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", self.output, re.MULTILINE)
        return Counter(rule for rule in rules if rule not in TARGETS)

    @property
    def planned(self) -> Counter[str]:
        """Jobs that were to be run, by rule, as Snakemake's table of jobs has them; also of a dry run."""
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total +\d+$", self.output, re.MULTILINE | re.DOTALL)
        lines = (line.split() for line in table[1].splitlines()) if table else ()
        return Counter({rule: int(count) for rule, count in lines if rule not in TARGETS})

    @property
    def errors(self) -> list[str]:
        """The lines of stderr that start with ``error:``."""
        return [line for line in self.stderr.splitlines() if line.startswith("error:")]


@dataclass(frozen=True)
class Project:
    """A copy of the pipeline in a temporary folder."""

    root: Path

    def run(
        self, *arguments: str, configfile: str | None = "config/tiny.yaml", cores: int = 2, timeout: float = 300
    ) -> Run:
        """Runs Snakemake in the copy, with this interpreter.

        Args:
            arguments: options and targets, e.g. ``"-n"`` or ``"results/tables/tiny/knockoff/budgets.csv"``.
            configfile: the scale; None names none.
            cores: how many jobs at once.
            timeout: in seconds, after which the run is killed and the test fails.
        """
        scale = ["--configfile", configfile] if configfile else []
        # Targets come first: --configfile takes every word that follows it.
        command = [sys.executable, "-m", "snakemake", *arguments, "--cores", str(cores), *scale]
        return self.command(*command, timeout=timeout)

    def command(self, *arguments: str, timeout: float = 300, environment: dict[str, str] | None = None) -> Run:
        """Runs a program in the copy, such as ``git`` or ``dvc``; those of this environment are found first."""
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("SNAKEMAKE_")}
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        kept |= {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        kept |= environment or {}
        done = subprocess.run(arguments, cwd=self.root, env=kept, capture_output=True, text=True, timeout=timeout)
        return Run(done.returncode, done.stdout, done.stderr)

    def commit(self) -> None:
        """Commits everything that git does not ignore."""
        for arguments in (("add", "--all"), ("commit", "--quiet", "--allow-empty", "--message", "change")):
            run = self.command("git", *arguments)
            assert run.code == 0, run.output

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces a text that must stand exactly once in a file."""
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file}: {old!r} stands {text.count(old)} times in it"
        path.write_text(text.replace(old, new))

    def append(self, file: str, text: str) -> None:
        """Adds text at the end of a file."""
        with open(self.root / file, "a") as open_file:
            open_file.write(text)

    def digests(self, under: str = "results") -> dict[str, str]:
        """Every file below a folder, with the sha256 of its content."""
        files = sorted(path for path in (self.root / under).rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def repeating(self) -> dict[str, str]:
        """``digests`` of what must come out the same each time: all but the records of cost, and what is made of
        them."""
        passing = ("results/costs/", "results/provenance/")
        kept = ((file, digest) for file, digest in self.digests().items() if not file.startswith(passing))
        return {file: digest for file, digest in kept if not file.endswith(".record.json")}


@dataclass(frozen=True)
class Configuration:
    """A copy of the configuration in a temporary folder; files are named relative to its ``config/``."""

    root: Path

    def path(self, file: str) -> Path:
        """Where a file lies."""
        return self.root / "config" / file

    def read(self, file: str) -> Any:
        """A file's content, of which no part is shared with another part, as YAML's anchors would have it."""
        return _unshared(yaml.safe_load(self.path(file).read_text()))

    def write(self, file: str, content: Any) -> None:
        """Replaces a file."""
        self.path(file).write_text(yaml.safe_dump(content, sort_keys=False))

    def change(self, file: str, keys: tuple[str | int, ...], value: Any) -> None:
        """Sets one key, found by the keys and indices above it."""
        content = self.read(file)
        functools.reduce(operator.getitem, keys[:-1], content)[keys[-1]] = value
        self.write(file, content)

    def remove(self, file: str, keys: tuple[str | int, ...]) -> None:
        """Takes one key away, found as in ``change``."""
        content = self.read(file)
        del functools.reduce(operator.getitem, keys[:-1], content)[keys[-1]]
        self.write(file, content)

    def plan(self, scale: str = "demo.yaml") -> Plan:
        """Loads a scale as the Snakefile does."""
        return load_plan(self.root, self.read(scale), [str(self.path(scale))])


def _unshared(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _unshared(value) for key, value in content.items()}
    return [_unshared(value) for value in content] if isinstance(content, list) else content


def copy_project(to: Path) -> Project:
    """Copies what the pipeline is made of, and adds the tiny scale with its ingredients."""
    to.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(
                source, to / part, ignore=shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
            )
        elif source.is_file():
            shutil.copy2(source, to / part)
    project = Project(to)
    (to / "config" / "tiny.yaml").write_text(SCALE)
    project.append("config/ingredients/budgets.yaml", "\ntiny:\n  own: [100]\n")
    for kind, entries in ENTRIES.items():
        project.append(f"config/ingredients/{kind}.yaml", entries)
    return project


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """A copy of the configuration."""
    shutil.copytree(ROOT / "config", tmp_path / "configured" / "config")
    return Configuration(tmp_path / "configured")


@pytest.fixture(scope="session")
def copied() -> Callable[[Path], Project]:
    """The function that copies the pipeline to a folder, for fixtures that outlive a test."""
    return copy_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy of the pipeline, without results."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny scale run to its end; tests take ``finished``, a copy, and leave this one alone."""
    project = copy_project(tmp_path_factory.mktemp("finished") / "project")
    run = project.run()
    assert run.code == 0, run.output
    return project


@pytest.fixture
def finished(finished_once: Project, tmp_path: Path) -> Project:
    """A copy of the pipeline after a whole run of the tiny scale."""
    shutil.copytree(finished_once.root, tmp_path / "finished", symlinks=True)
    return Project(tmp_path / "finished")


@pytest.fixture(scope="session")
def versioned_once(finished_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """``finished`` as a repository of git and DVC, after ``dvc repro``, all committed; tests take a copy."""
    root = tmp_path_factory.mktemp("versioned") / "project"
    shutil.copytree(finished_once.root, root, symlinks=True)
    project = Project(root)
    project.edit("dvc.yaml", "scale: demo", "scale: tiny")
    for name in (".gitignore", "results/.gitignore"):
        shutil.copy2(ROOT / name, root / name)
    for arguments in (("git", "init", "--quiet"), ("dvc", "repro")):
        run = project.command(*arguments)
        assert run.code == 0, run.output
        assert not run.jobs, run.output
    project.commit()
    return project


@pytest.fixture
def versioned(versioned_once: Project, tmp_path: Path) -> Project:
    """A copy of the tiny scale under git and DVC, all committed."""
    shutil.copytree(versioned_once.root, tmp_path / "versioned", symlinks=True)
    return Project(tmp_path / "versioned")
