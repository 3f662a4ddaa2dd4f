"""Lists the images of a data set: items.csv (name, split, label, ...) and a manifest (sources, licences, classes)."""

from pathlib import Path
from typing import Any

import numpy as np

from mimeo.console import job
from mimeo.datasets import Index, Missing
from mimeo.errors import MimeoError
from mimeo.items import check_items, save_items
from mimeo.outside import data_folder
from mimeo.plugins import load
from mimeo.store import save_json, sha256_of


def check_sources(dataset: str, paths: list[Path], checksums: Path) -> None:
    """Holds files against a list in the format of sha256sum.

    Raises:
        MimeoError: a file differs, or the list does not name it.
    """
    try:
        lines = (line.split() for line in checksums.read_text().splitlines() if line.strip())
        known = {name.lstrip("*"): digest for digest, name in lines}
    except (OSError, ValueError) as error:
        raise MimeoError(f"{checksums}: not a list of checksums: {error}") from None
    for path in paths:
        found, expected = sha256_of(path), known.get(path.name)
        if found != expected:
            raise MimeoError(
                f"{dataset}: {path.name} has sha256 {found}, expected {expected} ({checksums.name}): {path}"
            )


def listed(dataset: str, spec: dict[str, Any]) -> Index:
    """What the data set's plug-in lists.

    Raises:
        MimeoError: the data are not there; with what to fetch, and where from.
    """
    try:
        return load("datasets", spec["plugin"]).index(data_folder(), spec["splits"], **spec["parameters"])
    except Missing as error:
        obtain = " ".join(spec.get("obtain", "its entry does not say where it comes from").split())
        raise MimeoError(f"{dataset}: {error}. To get it: {obtain}") from None


def main(dataset: str, spec: dict[str, Any], checksums: list[str], items: str, manifest: str) -> None:
    """Runs the data set's plug-in and holds what it finds against what is declared: hashes, classes, sizes."""
    index = listed(dataset, spec)
    for path in checksums:
        check_sources(dataset, [source for source, _ in index.sources], Path(path))
    check_items(dataset, index.columns, index.classes)
    declared = spec["classes"]
    if isinstance(declared, int):
        if len(index.classes) != declared:
            raise MimeoError(f"{dataset}: {len(index.classes)} classes are there, the configuration says {declared}")
    elif list(index.classes) != declared:
        raise MimeoError(f"{dataset}: classes are {list(index.classes)}, the configuration says {declared}")
    names, counts = np.unique(index.columns["split"], return_counts=True)
    found = dict(zip(names.tolist(), counts.tolist(), strict=True))
    for split, count in spec["splits"].items():
        if found.get(split, 0) != count:
            raise MimeoError(
                f"{dataset}: split {split!r} has {found.get(split, 0)} images, the configuration says {count}"
            )
    save_items(items, index.columns)
    sources = [
        {"file": Path(path).name, "sha256": sha256_of(path), "licence": licence} for path, licence in index.sources
    ]
    facts = {"dataset": dataset, "classes": list(index.classes), "splits": found, "sources": sources}
    save_json(manifest, facts | ({"summary": index.summary} if index.summary else {}))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            snakemake.params.spec,
            snakemake.input.checksums,
            snakemake.output.listing,
            snakemake.output.manifest,
        )
