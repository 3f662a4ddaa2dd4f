"""Results travel: by remotes of three kinds to fresh clones, through DVC's cache, and through its experiments."""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

CURVE = 'row: "{query} {budget}", budgets: [100, 200]'
NEW_ARM = {"train_copycat": 1, "score_copycat": 1, "make_table": 1, "draw_figure": 1}
NEW_ARM |= {"collect_arms": 1, "collect_guards": 1, "collect_costs": 1}
NOTHING = "Nothing to be done"
CACHE = ".dvc/cache/files/md5"


def done(project: "Project", *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Runs a program that must succeed, and returns what it printed."""
    run = project.command(*arguments, environment=environment)
    assert run.code == 0, f"{' '.join(arguments)}: {run.output}"
    return run.output


def clone(project: "Project", to: Path) -> "Project":
    """A fresh clone, with an environment."""
    done(project, "git", "clone", "--quiet", str(project.root), str(to))
    (to / ".venv").symlink_to(Path(sys.executable).parents[1])
    (to / ".git/info/exclude").write_text(".venv\n")
    return replace(project, root=to)


def restore(project: "Project", environment: dict[str, str] | None = None) -> str:
    """``make restore`` without setting the environment up again."""
    return done(project, "make", "--old-file=.venv/.ready", "restore", environment=environment)


def change_budgets(project: "Project", new: str) -> None:
    project.edit("config/tiny.yaml", CURVE, CURVE.replace("[100, 200]", new))


# --- remotes --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> tuple[str, dict[str, str], dict[str, str]]:
    """A folder as a remote: its address, DVC's options for it, and what the environment must hold."""
    return str(tmp_path / "store"), {}, {}


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """An SSH server on localhost as a remote."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    import asyncssh

    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("host", "client")}
    for name, key in keys.items():
        key.write_private_key(str(home / f".ssh/{name}"))
        key.write_public_key(str(home / f".ssh/{name}.pub"))
    program = [sys.executable, str(Path(__file__).with_name("ssh_server.py"))]
    files = [str(home / ".ssh/host"), str(home / ".ssh/client.pub")]
    with subprocess.Popen([*program, *files], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = server.stdout.readline().strip()
        public = (home / ".ssh/host.pub").read_text()
        (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
        address = f"ssh://mimeo@127.0.0.1:{port}{tmp_path / 'store'}"
        yield address, {"keyfile": str(home / ".ssh/client")}, {"HOME": str(home)}
        server.terminate()


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """An S3-compatible server on localhost as a remote."""
    with open(tmp_path / "moto.log", "w+") as log:
        program = [str(Path(sys.executable).with_name("moto_server")), "--host", "127.0.0.1", "--port", "0"]
        with subprocess.Popen(program, stdout=log, stderr=log) as server:
            port = ""
            while not port:
                assert server.poll() is None, Path(log.name).read_text()
                time.sleep(0.1)
                port = Path(log.name).read_text().partition("http://127.0.0.1:")[2].split("\n")[0].strip()
            endpoint = f"http://127.0.0.1:{port}"
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/results", method="PUT"), timeout=30)
            access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
            yield "s3://results/store", {"endpointurl": endpoint}, access
            server.terminate()


@pytest.mark.parametrize("kind", ["folder", "ssh", "s3"])
def test_a_fresh_clone_restores_everything(
    versioned: "Project", tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    address, options, environment = request.getfixturevalue(kind)
    done(versioned, "dvc", "remote", "add", "--default", "store", address)
    for option, value in options.items():
        done(versioned, "dvc", "remote", "modify", "store", option, value)
    versioned.commit()
    done(versioned, "dvc", "push", environment=environment)
    fresh = clone(versioned, tmp_path / "clone")
    said = restore(fresh, environment)
    assert "Data and pipelines are up to date" in said
    assert NOTHING in said
    again = done(fresh, "dvc", "repro", environment=environment)
    assert "Data and pipelines are up to date" in again
    assert fresh.digests("results/copycats") == versioned.digests("results/copycats")


def test_after_a_restore_an_edit_runs_what_it_reaches(versioned: "Project", tmp_path: Path) -> None:
    done(versioned, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    versioned.commit()
    done(versioned, "dvc", "push")
    fresh = clone(versioned, tmp_path / "clone")
    restore(fresh)
    change_budgets(fresh, "[150, 200]")
    run = fresh.command("dvc", "repro")
    assert run.jobs == Counter(NEW_ARM), run.output
    fresh.edit("config/tiny.yaml", "budgets: [150, 200]", "budgets: [150, 50]")
    assert fresh.run().jobs == Counter(NEW_ARM)


def test_what_does_not_match_its_record_is_named_and_made_again(versioned: "Project", tmp_path: Path) -> None:
    """A restore of which a file was lost on the way, and a clone in which code has changed."""
    done(versioned, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    versioned.commit()
    done(versioned, "dvc", "push")
    fresh = clone(versioned, tmp_path / "clone")
    restore(fresh)
    [weights, *_] = sorted((fresh.root / "results/copycats").rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    fresh.edit("workflow/scripts/mimeo/tables/knockoff/budgets.py", "\ndef markdown", "\nEDITED = 1\n\n\ndef markdown")
    said = done(fresh, "dvc", "status")
    assert "results/copycats" in said
    assert "workflow" in said
    run = fresh.run()
    assert f"{weights.relative_to(fresh.root)}: not what was written" in run.stderr
    assert run.jobs["train_copycat"] == 1
    assert run.jobs["train_victim"] == 0


def test_two_clones_get_each_others_arms(versioned: "Project", tmp_path: Path) -> None:
    done(versioned, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    versioned.commit()
    done(versioned, "dvc", "push")
    shared = tmp_path / "shared.git"
    done(versioned, "git", "clone", "--quiet", "--bare", ".", str(shared))
    first, second = (
        clone(replace(versioned, root=shared), tmp_path / "first"),
        clone(replace(versioned, root=shared), tmp_path / "second"),
    )
    budgets = ["[100, 200]"]
    for here, there, new in ((first, second, "[100, 200, 150]"), (second, first, "[100, 200, 150, 50]")):
        restore(here)
        here.edit("config/tiny.yaml", f"budgets: {budgets[-1]}", f"budgets: {new}")
        budgets.append(new)
        run = here.command("dvc", "repro")
        assert run.jobs == Counter(NEW_ARM), run.output
        here.commit()
        done(here, "dvc", "push")
        done(here, "git", "push", "--quiet")
        done(there, "git", "pull", "--quiet")
        assert NOTHING in restore(there)
        assert "up to date" in done(there, "dvc", "repro")


# --- DVC's cache ----------------------------------------------------------------------------------------------


def cached(project: "Project") -> dict[str, bool]:
    """The files of DVC's cache: whether each still holds what its name says."""
    found = {}
    for path in (project.root / CACHE).rglob("*"):
        if path.is_file():
            name = path.parent.name + path.name.removesuffix(".dir")
            found[name] = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == name
    return found


@pytest.mark.parametrize("links", ["reflink,copy", "copy", "hardlink", "symlink"])
def test_retraining_leaves_no_file_read_only_and_the_cache_whole(versioned: "Project", links: str) -> None:
    done(versioned, "dvc", "config", "--local", "cache.type", links)
    done(versioned, "dvc", "checkout", "--relink")
    before = cached(versioned)
    assert all(before.values())
    assert NOTHING in versioned.run("-n").output
    versioned.edit("config/ingredients/recipes.yaml", "tiny-copycat: {epochs: 2", "tiny-copycat: {epochs: 3")
    # Even root is held to the files' modes here, as everybody else is.
    held = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    run = versioned.command(*held, "snakemake", "--cores", "2", "--configfile", "config/tiny.yaml")
    assert run.code == 0, run.output
    assert run.jobs["train_copycat"] == 3
    for path in (versioned.root / "results/copycats").rglob("*.*"):
        assert path.stat().st_mode & 0o200, path
        assert not path.is_symlink()
    done(versioned, "dvc", "repro")
    after = cached(versioned)
    assert all(after.values())
    assert before.keys() <= after.keys()
    assert "up to date" in done(versioned, "dvc", "repro")


def test_an_earlier_budget_comes_back_without_training(versioned: "Project") -> None:
    """What was pruned here comes back from DVC's cache, with what Snakemake has to know of it."""
    change_budgets(versioned, "[150, 200]")
    done(versioned, "dvc", "repro")
    versioned.commit()
    listed = done(versioned, "make", "--old-file=.venv/.ready", "prune")
    assert "top-1-b100" in listed
    assert "REMOVE=yes" in listed
    done(versioned, "make", "--old-file=.venv/.ready", "prune", "REMOVE=yes")
    assert not list((versioned.root / "results").rglob("top-1-b100"))
    assert NOTHING in versioned.run("-n").output
    done(versioned, "dvc", "commit", "--force")
    versioned.commit()
    done(versioned, "git", "checkout", "--quiet", "HEAD~2", "--", ".")
    done(versioned, "dvc", "checkout")
    run = versioned.command("dvc", "repro")
    assert run.code == 0, run.output
    assert not run.jobs
    assert NOTHING in versioned.run("-n").output
    assert list((versioned.root / "results").rglob("top-1-b100"))


# --- what DVC shows -------------------------------------------------------------------------------------------


def test_dvc_shows_what_an_edit_has_changed(versioned: "Project") -> None:
    versioned.edit("config/ingredients/budgets.yaml", "own: [100]", "own: [60]")
    done(versioned, "dvc", "repro")
    changed = json.loads(done(versioned, "dvc", "params", "diff", "--json").splitlines()[-1])
    assert changed == {"config/ingredients/budgets.yaml": {"tiny.own": {"old": "[100]", "new": "[60]"}}}
    assert "results/copycats/" in done(versioned, "dvc", "diff")
    assert "arms" in done(versioned, "dvc", "metrics", "show")
    done(versioned, "dvc", "metrics", "diff")
    done(versioned, "dvc", "plots", "diff")
    assert (versioned.root / "dvc_plots/index.html").is_file()


def test_an_experiment_on_a_budget(versioned: "Project") -> None:
    run = versioned.command(
        "dvc", "exp", "run", "--name", "fewer", "-S", "config/ingredients/budgets.yaml:tiny.own=[60]"
    )
    assert run.code == 0, run.output
    assert run.jobs["train_copycat"] == 1
    shown = done(versioned, "dvc", "exp", "show", "--md")
    assert "fewer" in shown
    assert "tiny.own" in shown
