"""dvc.lock is in git for the demo, so it must be of this code and configuration: `dvc repro` brings it up to date."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def changed() -> dict[str, dict[str, str]]:
    """What of each stage's code and configuration is not what dvc.lock says; results may well be missing here."""
    dvc = Path(sys.executable).with_name("dvc")
    run = subprocess.run([dvc, "status", "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = {}
    for stage, parts in json.loads(run.stdout).items():
        dependencies = [entry for part in parts if isinstance(part, dict) for entry in [part.get("changed deps", {})]]
        found[stage] = {path: how for entry in dependencies for path, how in entry.items() if "results/" not in path}
    return found


def test_the_lock_is_of_this_code_and_configuration() -> None:
    assert (ROOT / "dvc.lock").is_file()
    assert {stage: what for stage, what in changed().items() if what} == {}
