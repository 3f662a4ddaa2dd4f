"""Stops a query set that holds (nearly) an image of the victim's test set; counts overlaps with its training set."""

import numpy as np

from mimeo.console import Console, job
from mimeo.errors import MimeoError
from mimeo.guard import near_duplicates
from mimeo.items import load_items
from mimeo.store import load_array, load_arrays, save_json


def main(
    query: str, dataset: str, start: int, shard: str, order: str, items: list[str], train: str, test: str,
    report: str, say: Console,
) -> None:  # fmt: skip
    """Writes how many images were checked and how many are training images of the victim.

    Raises:
        MimeoError: an image of the test set is among the queries.
    """
    images = load_array(shard, dtype=np.uint8, shape=(None, None, None, None))
    leaks = near_duplicates(images, load_array(test, dtype=np.uint8))
    if (leaks >= 0).any():
        place = int((leaks >= 0).argmax())
        asked = load_arrays(order, "part", "row")
        columns = load_items(items[asked["part"][start + place]])
        name = str(columns["name"][asked["row"][start + place]])
        raise MimeoError(
            f"query set {query}: {int((leaks >= 0).sum())} images are (nearly) test images of {dataset}, the first "
            f"{name!r} at position {start + place} is test image {leaks[place]}"
        )
    overlaps = int((near_duplicates(images, load_array(train, dtype=np.uint8)) >= 0).sum())
    say.note(f"{len(images)} images checked, {overlaps} overlap with the training set of {dataset}")
    save_json(
        report,
        {"query": query, "dataset": dataset, "start": start, "checked": len(images), "training_overlaps": overlaps},
    )


if __name__ == "__main__":
    with job(snakemake.log[0]) as console:
        main(
            snakemake.params.query,
            snakemake.wildcards.dataset,
            int(snakemake.wildcards.start),
            snakemake.input.shard,
            snakemake.input.order,
            snakemake.input.listings,
            snakemake.input.train,
            snakemake.input.test,
            snakemake.output.report,
            console,
        )
