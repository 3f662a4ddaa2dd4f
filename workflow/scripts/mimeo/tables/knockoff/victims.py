"""Knockoff Nets, table 1: the victims, their classes, images and accuracy."""

from collections.abc import Iterator

from mimeo.cells import Measured
from mimeo.evidence import Evidence
from mimeo.layout import Table, document, ours_text, pipe, published_text

NEEDS = ("manifests", "references")


def measure(evidence: Evidence) -> Iterator[Measured]:
    for victim, titles in evidence.victims.items():
        row, holds, scores = titles["victim"], evidence.manifest(victim), evidence.reference(victim)
        yield Measured(row, "classes", {"classes": {"value": len(holds["classes"])}})
        for split in ("train", "test"):
            yield Measured(row, split, {"images": {"value": holds["splits"][split]}})
        # The paper has it in its table 2.
        yield Measured(
            row, titles["victim_architecture"], {"accuracy": scores["victim_metrics"]["accuracy"]}, 1,
            bool(scores["failures"]), ("knockoff", "accuracy", "victim", row),
        )  # fmt: skip


def markdown(table: Table) -> str:
    lines = []
    for victim in dict.fromkeys(row.row for row in table.rows):
        mine = [row for row in table.rows if row.row == victim]
        network = next((row.column for row in mine if row.metric == "accuracy" and row.column), "–")
        cells = [
            next((row for row in mine if (row.metric, row.column) == place), None)
            for place in (("classes", "classes"), ("images", "train"), ("images", "test"), ("accuracy", network))
        ]
        lines.append(
            [victim, network]
            + [ours_text(cell) if cell else "–" for cell in cells]
            + [published_text(cell) if cell else "–" for cell in cells]
        )
    header = ["classes", "training images", "test images", "accuracy, %"]
    return document(table, pipe(["victim", "network", *header, *(f"{name} (paper)" for name in header)], lines))
