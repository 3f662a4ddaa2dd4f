"""Trains a block of replicates of one arm: fresh networks, each from its own seed, on the victim's answers."""

from typing import Any

import numpy as np

from mimeo.checkpoints import Checkpoints
from mimeo.console import Console, job
from mimeo.errors import MimeoError
from mimeo.models import load_models, network, prepare_device, save_models
from mimeo.plugins import load
from mimeo.records import Cost, environment
from mimeo.seeds import seed_of
from mimeo.store import load_array, load_arrays, load_shards, save_json
from mimeo.training import Recipe, balanced, train


def targets_of(spec: dict[str, Any], order: list[str], answers: list[str]) -> np.ndarray:
    """What the copycat learns: the response to the first ``budget`` images, float32, budget x classes."""
    budget, classes = spec["budget"], spec["shape"]["classes"]
    if not budget:
        return np.empty((0, classes), np.float32)
    if spec["labels"] == "pool":
        labels = load_arrays(order[0], "label")["label"][:budget]
        if len(labels) < budget or (labels < 0).any() or (labels >= classes).any():
            raise MimeoError(f"{order[0]}: not every one of the first {budget} images has one of {classes} classes")
        shown = np.eye(classes, dtype=np.float32)[labels]
    else:
        for path in answers:
            if not np.isfinite(load_array(path, dtype=np.float16)).all():
                raise MimeoError(f"{path}: an answer is not finite")
        shown = load_shards(answers, budget, np.float16, (classes,)).astype(np.float32)
    return load("responses", spec["response"]["plugin"]).respond(shown, **spec["response"]["parameters"])


def main(
    spec: dict[str, Any], engine: dict[str, Any], first: int, stop: int, order: list[str], shards: list[str],
    answers: list[str], parent: list[str], weights: str, log: str, record: str, checkpoints: str, say: Console,
) -> None:  # fmt: skip
    """Writes the block's weights, a log that repeats exactly and a record that does not (cost, hardware)."""
    import torch

    cost, device = Cost(), prepare_device(engine["device"], engine["threads"])
    shape, recipe = spec["shape"], Recipe(**spec["recipe"])
    width = (shape["size"], shape["size"], shape["channels"])
    images = load_shards(shards, spec["budget"], np.uint8, width) if spec["budget"] else np.empty((0, *width), np.uint8)
    targets = targets_of(spec, order, answers)
    fresh = network(spec["architecture"], **shape)
    before = load_models(parent[0], fresh, stop - first) if parent else None
    models, logs = {}, []
    facts, files = [spec, engine, device.type, first, stop], [*order, *shards, *answers, *parent]
    with Checkpoints(checkpoints, facts, files, cost, say) as kept:
        for replicate in range(first, stop):
            seed = seed_of("copycat", spec["arm"], replicate)
            torch.manual_seed(seed)
            model = before[replicate - first] if before else fresh()
            losses = train(
                model, images, targets, recipe, seed, device,
                lambda done, total: say.progress(f"copycat {spec['arm']} (replicate {replicate})", done, total),  # noqa: B023
                kept,
            )  # fmt: skip
            say.note(f"replicate {replicate}: {len(losses)} epochs, loss {losses[-1] if losses else 'untrained'}")
            models[replicate] = model.cpu()
            logs.append({"replicate": replicate, "seed": seed, "losses": [repr(loss) for loss in losses]})
    counts = np.bincount(targets.argmax(1), minlength=shape["classes"])
    drawn = targets.argmax(1)
    if recipe.balance and len(drawn):
        drawn = drawn[balanced(drawn, shape["classes"], np.random.default_rng(0))]
    save_models(weights, models)
    trained_on = np.bincount(drawn, minlength=shape["classes"]).tolist()
    save_json(log, {"label_counts": counts.tolist(), "trained_on": trained_on, "replicates": logs})
    save_json(record, {**cost.taken(), "replicates": stop - first, **environment(device.type)})
    kept.remove()


if __name__ == "__main__":
    with job(snakemake.log[0]) as console:
        main(
            snakemake.params.spec,
            snakemake.params.engine,
            int(snakemake.wildcards.first),
            int(snakemake.wildcards.stop),
            snakemake.input.order,
            snakemake.input.shards,
            snakemake.input.answers,
            snakemake.input.parent,
            snakemake.output.weights,
            snakemake.output.log,
            snakemake.output.record,
            snakemake.params.checkpoints,
            console,
        )
