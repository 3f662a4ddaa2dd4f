"""Orders a pool: which image of which data set is asked first, second, ... Budgets are prefixes of this order."""

from typing import Any

import numpy as np

from mimeo.console import job
from mimeo.errors import MimeoError
from mimeo.items import labels_of, pooled
from mimeo.plugins import load
from mimeo.seeds import seed_of
from mimeo.store import save_arrays


def main(query: str, spec: dict[str, Any], items: list[str], order: str) -> None:
    """Writes three arrays of equal length: ``part`` (which of the pool's data sets), ``row`` (of its items) and
    ``label`` (its own class, or -1)."""
    part, row, tables = pooled(spec["images"], spec.get("counts", {}), items)
    count, label = len(part), labels_of(part, row, tables)
    draw = np.random.default_rng(seed_of("order", *spec["images"], spec["strategy"], spec["seed"]))
    ranking = load("strategies", spec["strategy"]).order(count, draw, **spec["parameters"])
    if len(ranking) != count or len(np.unique(ranking)) != count:
        raise MimeoError(f"{query}: strategy {spec['strategy']} does not order every image exactly once")
    save_arrays(order, {"part": part[ranking], "row": row[ranking], "label": label[ranking]})


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(snakemake.wildcards.query, snakemake.params.spec, snakemake.input.listings, snakemake.output.order)
