"""Orders a pool: which image of which data set is asked first, second, ... Budgets are prefixes of this order."""

from typing import Any

import numpy as np

from mimeo.console import job
from mimeo.errors import MimeoError
from mimeo.items import load_items, rows_of
from mimeo.plugins import load
from mimeo.seeds import seed_of
from mimeo.store import save_arrays


def main(query: str, spec: dict[str, Any], items: list[str], order: str) -> None:
    """Writes three arrays of equal length: ``part`` (which of the pool's data sets), ``row`` (of its items) and
    ``label`` (its own class, or -1)."""
    parts, rows, labels = [], [], []
    for number, (place, path) in enumerate(zip(spec["images"], items, strict=True)):
        dataset, split = place.split("/")
        columns = load_items(path)
        chosen = rows_of(dataset, columns, split)
        parts.append(np.full(len(chosen), number, np.int16))
        rows.append(chosen.astype(np.int64))
        labels.append(columns["label"][chosen])
    count = sum(map(len, rows))
    draw = np.random.default_rng(seed_of("order", *spec["images"], spec["strategy"], spec["seed"]))
    ranking = load("strategies", spec["strategy"]).order(count, draw, **spec["parameters"])
    if len(ranking) != count or len(np.unique(ranking)) != count:
        raise MimeoError(f"{query}: strategy {spec['strategy']} does not order every image exactly once")
    save_arrays(
        order,
        {
            "part": np.concatenate(parts)[ranking],
            "row": np.concatenate(rows)[ranking],
            "label": np.concatenate(labels)[ranking],
        },
    )


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(snakemake.wildcards.query, snakemake.params.spec, snakemake.input.listings, snakemake.output.order)
