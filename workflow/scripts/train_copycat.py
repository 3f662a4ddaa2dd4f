"""Trains a block of replicates of one arm on the victim's answers, from fresh weights or from another arm's.

Which epoch is kept is the recipe's: the last; the one that agrees most with answers held out of the training; or, as
in the official code of Knockoff Nets, the one that is most accurate on the victim's test set. The test set is an input
of those arms alone that ask for it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mimeo.checkpoints import Checkpoints
from mimeo.console import Console, job
from mimeo.errors import MimeoError
from mimeo.judging import Judge
from mimeo.models import load_models, network, posteriors, prepare_device, save_models
from mimeo.plugins import load
from mimeo.records import Cost, environment
from mimeo.seeds import seed_of
from mimeo.store import load_array, load_arrays, load_json, load_shards, save_json
from mimeo.training import Recipe, balanced, train

TENTH = 10  # of so many queries in a row one is held out, where these choose the epoch
Value = Callable[[Any], float]


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


def left_out(guards: list[str], budget: int) -> np.ndarray:
    """Positions among the first ``budget`` queries of images that the guard leaves out: int, in order.

    Raises:
        MimeoError: a report that is none.
    """
    found = [np.empty(0, np.int64)]
    for path in guards:
        report = load_json(path)
        try:
            found.append(int(report["start"]) + np.array(report["left_out"], np.int64).reshape(-1))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise MimeoError(f"{path}: not a report of the guard against leaks") from None
    places = np.unique(np.concatenate(found))
    return places[places < budget]


def held_out(budget: int) -> np.ndarray:
    """Positions of the queries that choose the epoch and are not learnt: int, one of every TENTH in a row.

    The draw of a place depends on the place alone. So what a smaller budget holds out a larger one does too, and an arm
    that goes on from another's weights is not judged by what those have learnt.
    """
    draw, count = np.random.default_rng(seed_of("held out")), -(-budget // TENTH)
    places = TENTH * np.arange(count) + (TENTH * draw.random(count)).astype(np.int64)
    return places[places < budget]


def agreement(images: np.ndarray, classes: np.ndarray, device: Any) -> Value:
    """A judge's value of a network: the share of images that it puts into the classes given.

    Args:
        images: uint8, N x height x width x channels.
        classes: int, N.
    """
    return lambda model: float((posteriors(model, images, device).argmax(1) == classes).mean())


def chosen(
    spec: dict[str, Any], select: str, judged: list[str], images: np.ndarray, targets: np.ndarray, out: np.ndarray,
    device: Any,
) -> tuple[np.ndarray, Value | None]:  # fmt: skip
    """Positions of the queries that are learnt (int, in order), and what values an epoch, where the last is not kept.

    Args:
        judged: images and labels of the victim's test set, where the recipe lets these choose.
        out: positions that are left out.

    Raises:
        MimeoError: no image is left to learn, or to choose the epoch by.
    """
    budget, size, channels = spec["budget"], spec["shape"]["size"], spec["shape"]["channels"]
    rows = np.setdiff1d(np.arange(budget), out)
    value = None
    if select == "validation":
        apart = np.intersect1d(rows, held_out(budget))
        if budget and not len(apart):
            raise MimeoError(f"{spec['arm']}: none of {len(rows)} queries is left to choose the epoch by")
        rows = np.setdiff1d(rows, apart)
        value = agreement(images[apart], targets[apart].argmax(1), device)
    elif select == "test":
        pixels = load_array(judged[0], dtype=np.uint8, shape=(None, size, size, channels))
        value = agreement(pixels, np.array(load_array(judged[1], dtype=np.int64, shape=(len(pixels),))), device)
    if budget and not len(rows):
        raise MimeoError(f"{spec['arm']}: none of {budget} queries is left to learn")
    return rows, value


def main(
    spec: dict[str, Any], engine: dict[str, Any], first: int, stop: int, order: list[str], shards: list[str],
    guards: list[str], answers: list[str], parent: list[str], judged: list[str], weights: str, log: str, record: str,
    checkpoints: str, say: Console,
) -> None:  # fmt: skip
    """Writes the block's weights, a log that repeats exactly and a record that does not (cost, hardware)."""
    import torch

    cost, device = Cost(), prepare_device(engine["device"], engine["threads"])
    shape, recipe, budget = spec["shape"], Recipe(**spec["recipe"]), spec["budget"]
    width = (shape["size"], shape["size"], shape["channels"])
    images = load_shards(shards, budget, np.uint8, width) if budget else np.empty((0, *width), np.uint8)
    targets, out = targets_of(spec, order, answers), left_out(guards, budget)
    rows, value = chosen(spec, recipe.select, judged, images, targets, out, device)
    if len(rows) < budget:
        images, targets = images[rows], targets[rows]
    if len(out):
        say.note(f"{len(out)} of {budget} queries are left out: (nearly) test images of the victim")
    fresh = network(spec["architecture"], **shape)
    before = load_models(parent[0], fresh, stop - first, ended=spec.get("warm", False)) if parent else None
    models, ends, logs = {}, {}, []
    facts = [spec, engine, device.type, first, stop]
    with Checkpoints(checkpoints, facts, [*order, *shards, *guards, *answers, *parent, *judged], cost, say) as kept:
        for replicate in range(first, stop):
            seed = seed_of("copycat", spec["arm"], replicate)
            torch.manual_seed(seed)
            model = before[replicate - first] if before else fresh()
            judge = Judge(value) if value else None
            losses = train(
                model, images, targets, recipe, seed, device,
                lambda done, total: say.progress(f"copycat {spec['arm']} (replicate {replicate})", done, total),  # noqa: B023
                kept, judge,
            )  # fmt: skip
            say.note(f"replicate {replicate}: {len(losses)} epochs, loss {losses[-1] if losses else 'untrained'}")
            entry = {"replicate": replicate, "seed": seed, "losses": [repr(loss) for loss in losses]}
            if judge:
                entry |= {"kept": judge.epoch, "values": [repr(found) for found in judge.values]}
                say.note(f"replicate {replicate}: epoch {judge.epoch} is kept, by {recipe.select}")
                ends[replicate] = judge.end
            models[replicate] = model.cpu()
            logs.append(entry)
    drawn = targets.argmax(1)
    counts = np.bincount(drawn, minlength=shape["classes"])
    if recipe.balance and len(drawn):
        drawn = drawn[balanced(drawn, shape["classes"], np.random.default_rng(0))]
    save_models(weights, models, ends)
    trained_on = np.bincount(drawn, minlength=shape["classes"]).tolist()
    save_json(
        log, {"label_counts": counts.tolist(), "trained_on": trained_on, "left_out": len(out), "replicates": logs}
    )
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
            snakemake.input.guards,
            snakemake.input.answers,
            snakemake.input.parent,
            snakemake.input.judged,
            snakemake.output.weights,
            snakemake.output.log,
            snakemake.output.record,
            snakemake.params.checkpoints,
            console,
        )
