"""Lists the results that no scale in config/ uses any more; with --remove it removes them.

Nothing is removed by itself: an old budget's arms stay, so that going back to it costs nothing. Answers of victims
(results/labels) are never removed: they may have been paid for.
"""

import argparse
import sys
from pathlib import Path

from snakemake.persistence import RECORD_FORMAT_VERSION

sys.path.insert(0, str(Path(__file__).parent.parent))
from plan import ConfigError, load_plan
from plan.arms import ROOMS
from plan.config import read_yaml
from plan.provenance import Provenance, locked


def unused(root: Path, provenance: Provenance) -> list[str]:
    """The files in results/ that no scale needs, in order.

    Raises:
        ConfigError: a scale is not valid, there is none, or what the results were made from is not known.
    """
    targets: set[str] = set()
    for file in sorted((root / "config").glob("*.y*ml")):
        if file.name != "schema.yaml":
            plan = load_plan(root, read_yaml(file), [str(file)])
            targets.update(path for room in ROOMS for path in plan.targets(room))
    if not targets:
        raise ConfigError("config/: no scale, by which to know what is used")
    if provenance.unreadable:
        raise ConfigError(f"{provenance.unreadable[0]}: not readable: what a scale needs cannot be known")
    used = provenance.upstream(targets)
    makers = provenance.outputs()
    kept = {path for path, log in makers.items() if log in used} | targets
    found = [path for path in provenance.artifacts() if path not in kept and path.split("/")[1] != "labels"]
    return [path for path in found if _is_ours(root, path)]


def _is_ours(root: Path, path: str) -> bool:
    """Whether a file lies in its room: a folder that is a link may hold what is somebody's, or labels."""
    room, labels = (root / "results" / name for name in (path.split("/")[1], "labels"))
    folder = (root / path).parent.resolve()
    return folder.is_relative_to(room.resolve()) and not folder.is_relative_to(labels.resolve())


def main(root: Path, remove: bool) -> None:
    """Prints one line a file with its size, and a sum."""
    if locked(root):
        raise ConfigError("another run works in this folder, or was killed there: snakemake --unlock")
    provenance = Provenance(root, RECORD_FORMAT_VERSION)
    provenance.reconcile()
    found = unused(root, provenance)
    sizes = {path: (root / path).lstat().st_size for path in found}
    for path, size in sizes.items():
        print(f"{size / 1e6:10.3f} MB  {ascii(path)[1:-1]}")
    total = f"{len(found)} unused files, {sum(sizes.values()) / 1e6:.3f} MB"
    if not remove:
        print(f"{total}" + (": make prune REMOVE=yes removes them" if found else ""))
        return
    for path in found:
        (root / path).unlink()
        for folder in (root / path).parents:
            if folder.parent == root / "results" or any(folder.iterdir()):
                break
            folder.rmdir()
    provenance.forget(found)
    print(f"{total}: removed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--remove", action="store_true", help="remove what is listed")
    try:
        main(Path.cwd(), parser.parse_args().remove)
    except (ConfigError, OSError) as error:
        sys.exit(f"error: {error}")
