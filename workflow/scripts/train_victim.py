"""Trains a victim, or its twin from another seed, on the original labels of its data set's training split."""

from typing import Any

import numpy as np

from mimeo.checkpoints import Checkpoints
from mimeo.console import Console, job
from mimeo.errors import MimeoError
from mimeo.models import network, prepare_device, save_models
from mimeo.records import Cost, environment
from mimeo.seeds import seed_of
from mimeo.store import load_array, save_json
from mimeo.training import Recipe, train


def main(
    victim: str, role: str, code: str, spec: dict[str, Any], engine: dict[str, Any], images: str, labels: str,
    weights: str, log: str, record: str, checkpoints: str, say: Console,
) -> None:  # fmt: skip
    """Writes weights, a log that repeats exactly (losses, seed) and a record that does not (cost, hardware)."""
    import torch

    cost, device = Cost(), prepare_device(engine["device"], engine["threads"])
    shape = spec["shape"]
    pixels = load_array(images, dtype=np.uint8, shape=(None, shape["size"], shape["size"], shape["channels"]))
    classes = load_array(labels, dtype=np.int64, shape=(len(pixels),))
    if classes.min() < 0 or classes.max() >= shape["classes"]:
        raise MimeoError(f"{labels}: a label is none of {shape['classes']} classes")
    seed = seed_of("victim", victim, role)
    torch.manual_seed(seed)
    model = network(spec["architecture"], **shape)()
    facts = [victim, role, code, spec, engine, device.type]
    with Checkpoints(checkpoints, facts, [images, labels], cost, say) as kept:
        losses = train(
            model,
            pixels,
            np.eye(shape["classes"], dtype=np.float32)[classes],
            Recipe(**spec["recipe"]),
            seed,
            device,
            lambda done, total: say.progress(f"victim {victim} ({role})", done, total),
            kept,
        )
    say.note(f"loss {losses[0]:.4f} -> {losses[-1]:.4f} in {len(losses)} epochs")
    save_models(weights, {0: model})
    save_json(log, {"seed": seed, "losses": [repr(loss) for loss in losses]})
    save_json(record, {**cost.taken(), **environment(device.type)})
    kept.remove()


if __name__ == "__main__":
    with job(snakemake.log[0]) as console:
        main(
            snakemake.wildcards.victim,
            snakemake.wildcards.role,
            snakemake.params.code,
            snakemake.params.spec,
            snakemake.params.engine,
            snakemake.input.images,
            snakemake.input.labels,
            snakemake.output.weights,
            snakemake.output.log,
            snakemake.output.record,
            snakemake.params.checkpoints,
            console,
        )
