"""Which of a victim's classes are among a pool's, by their names: table 3 of Knockoff Nets.

Names are the same where they are so after ``normalise``; that two names mean the same is said by a reviewed list. Who
counts the victim's classes takes each once: a class of a victim may have several of a pool.
"""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from mimeo.errors import MimeoError

COLUMNS = ["victim class", "pool class", "why"]


def normalise(name: str) -> str:
    """A class's name without what folders add to it; plural and singular are left alone.

    Lower case, underscores and hyphens as spaces, no number before a full stop (``001.``), and no ``-101``, by which
    Caltech-256 marks what it took over from Caltech-101.
    """
    plain = re.sub(r"^\d+\.", "", name.strip())
    plain = re.sub(r"-101$", "", plain)
    return " ".join(re.sub(r"[_-]", " ", plain).lower().split())


def overlap(
    victim_classes: Iterable[str], pool_classes: Iterable[str], synonyms: Iterable[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """Pairs of a victim's and a pool's class that mean the same, names as given, in the order given.

    Synonyms are looked for where the name itself is not in the pool: ILSVRC's mouse is a device, OpenImages' an animal
    beside its computer mouse.

    Args:
        synonyms: pairs of a victim's and a pool's name; they hold in this direction alone.
    """
    of_pool: dict[str, list[str]] = {}
    for name in pool_classes:
        of_pool.setdefault(normalise(name), []).append(name)
    known: dict[str, list[str]] = {}
    for ours, theirs in synonyms:
        known.setdefault(normalise(ours), []).append(normalise(theirs))
    found = []
    for name in victim_classes:
        plain = normalise(name)
        for same in [plain] if plain in of_pool else dict.fromkeys(known.get(plain, [])):
            found += [(name, theirs) for theirs in of_pool.get(same, [])]
    return found


def read_classes(path: str | Path) -> list[str]:
    """Class names: one a line of a text (``#`` begins a remark), or the column ``name`` of a ``.csv``.

    Raises:
        MimeoError: not readable, without that column, or a name twice.
    """
    path = Path(path)
    try:
        lines = path.read_text().splitlines()
        if path.suffix == ".csv":
            names = [row["name"] for row in csv.DictReader(lines)]
        else:
            names = [line for line in lines if line and not line.startswith("#")]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise MimeoError(f"{path}: not a list of classes: {error}") from None
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise MimeoError(f"{path}: class {twice!r} stands in it twice")
    return names


def read_synonyms(path: str | Path) -> list[tuple[str, str]]:
    """Pairs of a victim's and a pool's class from a CSV with the columns victim class, pool class, why.

    Raises:
        MimeoError: not readable, other columns, an empty cell, or a pair twice.
    """
    try:
        with open(path, newline="") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise MimeoError(f"{path}: not a list of synonyms: {error}") from None
    if header != COLUMNS:
        raise MimeoError(f"{path}: columns are {', '.join(header)}, expected {', '.join(COLUMNS)}")
    found: list[tuple[str, str]] = []
    for number, row in enumerate(rows, 2):
        if len(row) != len(COLUMNS) or not all(cell.strip() for cell in row):
            raise MimeoError(f"{path}: line {number} has an empty or missing cell")
        if (row[0], row[1]) in found:
            raise MimeoError(f"{path}: line {number}: {row[0]}, {row[1]} stands in it twice")
        found.append((row[0], row[1]))
    return found
