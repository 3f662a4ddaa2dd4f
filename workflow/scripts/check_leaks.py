"""Stops a query set that holds (nearly) an image of the victim's test set, or names such images so that no copy learns
them, as the query set's entry says; counts overlaps with its training set."""

import numpy as np

from mimeo.console import Console, job
from mimeo.errors import MimeoError
from mimeo.guard import near_duplicates
from mimeo.items import load_items
from mimeo.store import load_array, load_arrays, save_json


def main(
    query: str, dataset: str, leaks: str, start: int, shard: str, order: str, items: list[str], train: str, test: str,
    report: str, say: Console,
) -> None:  # fmt: skip
    """Writes how many images were checked, which are left out, and how many are training images of the victim.

    Args:
        leaks: ``stop`` or ``leave_out``, what becomes of a query set with an image of the test set. Left out are
            positions within the shard; the victim is asked about them all the same, and they count as queries.

    Raises:
        MimeoError: an image of the test set is among the queries, and the query set is to stop.
    """
    images = load_array(shard, dtype=np.uint8, shape=(None, None, None, None))
    found = near_duplicates(images, load_array(test, dtype=np.uint8))
    out = np.flatnonzero(found >= 0)
    if len(out) and leaks == "stop":
        place = int(out[0])
        asked = load_arrays(order, "part", "row")
        columns = load_items(items[asked["part"][start + place]])
        name = str(columns["name"][asked["row"][start + place]])
        raise MimeoError(
            f"query set {query}: {len(out)} images are (nearly) test images of {dataset}, the first "
            f"{name!r} at position {start + place} is test image {found[place]}"
        )
    overlaps = int((near_duplicates(images, load_array(train, dtype=np.uint8)) >= 0).sum())
    say.note(
        f"{len(images)} images checked, {len(out)} are left out, {overlaps} overlap with the training set of {dataset}"
    )
    save_json(
        report,
        {
            "query": query,
            "dataset": dataset,
            "start": start,
            "checked": len(images),
            "left_out": out.tolist(),
            "training_overlaps": overlaps,
        },
    )


if __name__ == "__main__":
    with job(snakemake.log[0]) as console:
        main(
            snakemake.params.query,
            snakemake.wildcards.dataset,
            snakemake.params.leaks,
            int(snakemake.wildcards.start),
            snakemake.input.shard,
            snakemake.input.order,
            snakemake.input.listings,
            snakemake.input.train,
            snakemake.input.test,
            snakemake.output.report,
            console,
        )
