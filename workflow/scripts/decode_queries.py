"""Decodes one shard of a query set, in the order in which it is asked. Every image is decoded once."""

from typing import Any

import numpy as np

from mimeo.console import job
from mimeo.errors import MimeoError
from mimeo.items import load_items, take
from mimeo.outside import data_folder
from mimeo.plugins import load
from mimeo.store import load_arrays, save_array


def main(parts: list[dict[str, Any]], start: int, stop: int, order: str, items: list[str], shard: str) -> None:
    """Writes uint8 images (stop - start) x size x size x channels."""
    asked = load_arrays(order, "part", "row")
    part, row = asked["part"][start:stop], asked["row"][start:stop]
    if len(row) != stop - start:
        raise MimeoError(f"{order}: ends before position {stop}")
    size, channels = parts[0]["size"], parts[0]["channels"]
    images = np.empty((stop - start, size, size, channels), np.uint8)
    for number, (spec, path) in enumerate(zip(parts, items, strict=True)):
        mine = np.flatnonzero(part == number)
        columns = load_items(path)
        if len(mine) and row[mine].max() >= len(columns["name"]):
            raise MimeoError(f"{path}: lists {len(columns['name'])} images, {order} names more")
        chosen = take(columns, row[mine])
        images[mine] = load("datasets", spec["plugin"]).read(data_folder(), chosen, size, channels)
    save_array(shard, images)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.params.parts,
            int(snakemake.wildcards.start),
            int(snakemake.wildcards.stop),
            snakemake.input.order,
            snakemake.input.listings,
            snakemake.output.shard,
        )
