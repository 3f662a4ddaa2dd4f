"""Knockoff Nets, table 3: how many of a victim's classes a pool has."""

from collections.abc import Iterator

from mimeo.cells import Measured
from mimeo.evidence import Evidence
from mimeo.layout import Table, document, grid
from mimeo.overlap import overlap

NEEDS = ("classes", "synonyms")


def measure(evidence: Evidence) -> Iterator[Measured]:
    synonyms = evidence.synonyms()
    for pool, datasets in evidence.pools.items():
        theirs = [name for dataset in datasets for name in evidence.classes(dataset)]
        for titles in evidence.victims.values():
            ours = evidence.classes(titles["data"])
            labels = len({name for name, _ in overlap(ours, theirs, synonyms)})
            values: dict[str, dict[str, float]] = {
                "labels": {"value": labels},
                "label_fraction": {"value": labels / len(ours)},
                "labels_by_name": {"value": len({name for name, _ in overlap(ours, theirs)})},
                "classes": {"value": len(theirs)},
            }
            yield Measured(pool, titles["dataset"], values)


def markdown(table: Table) -> str:
    return document(
        table, grid(table, "labels", "label_fraction"), "## Under the same name", grid(table, "labels_by_name")
    )
