"""Asks a victim for the posteriors of one shard of query images. This is the only place where a victim is asked."""

from pathlib import Path
from typing import Any

import numpy as np

from mimeo.answers import check_answers
from mimeo.console import job
from mimeo.models import network, prepare_device
from mimeo.plugins import load
from mimeo.store import load_array, save_array


def main(victim: str, spec: dict[str, Any], engine: dict[str, Any], weights: str, shard: str, answers: str) -> None:
    """Writes float16 posteriors, images of the shard x classes.

    Raises:
        MimeoError: an answer is not a posterior over the victim's classes.
    """
    device, shape = prepare_device(engine["device"], engine["threads"]), spec["shape"]
    width = (shape["size"], shape["size"], shape["channels"])
    images = load_array(shard, dtype=np.uint8, shape=(None, *width))
    ask = load("victims", spec["kind"]["plugin"]).answerer(
        Path(weights), network(spec["architecture"], **shape), device, **spec["kind"]["parameters"]
    )
    posterior = ask(images)
    check_answers(victim, posterior, (len(images), shape["classes"]))
    save_array(answers, posterior.astype(np.float16))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.wildcards.victim,
            snakemake.params.spec,
            snakemake.params.engine,
            snakemake.input.weights,
            snakemake.input.shard,
            snakemake.output.answers,
        )
