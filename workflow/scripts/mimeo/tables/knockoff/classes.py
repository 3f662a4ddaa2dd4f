"""Knockoff Nets, supplement: accuracy on the victim's classes that the pool has, and on those that it lacks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mimeo.cells import Measured
from mimeo.errors import MimeoError
from mimeo.evaluation import Truth, summary
from mimeo.evidence import Evidence, Predictions
from mimeo.layout import Table, bars, canvas, document, grid
from mimeo.overlap import overlap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS = ("predictions", "manifests", "classes", "synonyms")


def measure(evidence: Evidence) -> Iterator[Measured]:
    synonyms = evidence.synonyms()
    for cell in evidence.cells:
        names, found = evidence.manifest(cell.victim)["classes"], evidence.predictions(cell.arm)
        if len(names) != found.truth.classes:
            raise MimeoError(
                f"{cell.arm}: posteriors are over {found.truth.classes} classes, {cell.victim} has {len(names)}"
            )
        theirs = [name for dataset in cell.pool for name in evidence.classes(dataset)]
        known = {name for name, _ in overlap(names, theirs, synonyms)}
        has = np.array([name in known for name in names])
        for side, wanted in (("seen", has), ("unseen", ~has)):
            images = np.flatnonzero(wanted[found.truth.labels])
            if len(images):
                counts: dict[str, dict[str, float]] = {
                    "classes": {"value": int(wanted.sum())},
                    "images": {"value": len(images)},
                }
                count = len(found.classes)
                yield Measured(cell.row, f"{cell.column}, {side}", counts | scores_of(found, images), count, not count)


def scores_of(found: Predictions, images: np.ndarray) -> dict[str, dict[str, float]]:
    """Every metric over some of the test images; the resamples are those of the whole test set."""
    weights = found.weights[:, images]
    part = Truth(found.truth.labels[images], found.truth.victim[images])
    return summary(part, found.classes[:, images], found.kl[:, images], weights[weights.sum(1) > 0], found.seed)


def markdown(table: Table) -> str:
    return document(table, grid(table, "accuracy", "ratio"), "## Classes", grid(table, "classes"))


def figure(table: Table) -> "Figure":
    rows = table.measured("accuracy")
    cells = {(row.column, row.row): row for row in rows}
    places, names = (list(dict.fromkeys(getattr(row, key) for row in rows)) for key in ("column", "row"))
    drawing, [axes] = canvas(max(6.4, 1.3 * len(places)))
    bars(table, "accuracy", axes, places, names, lambda place, name: cells.get((place, name)))
    axes.set_xticks(range(len(places)), [place.replace(", ", ",\n") for place in places])
    axes.set_title(table.title, loc="left")
    axes.set_ylim(0, 119)
    axes.legend(ncols=3, loc="upper center", fontsize=8)
    return drawing
