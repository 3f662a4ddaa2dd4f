"""Scores a victim on its test set, with the ceiling (itself retrained from other seeds) and the floor (one class)."""

from pathlib import Path
from typing import Any

import numpy as np

from mimeo.console import job
from mimeo.evaluation import Truth, confusion, divergence, image_weights, summary
from mimeo.gate import failures
from mimeo.models import network, prepare_device
from mimeo.plugins import load
from mimeo.seeds import seed_of
from mimeo.store import load_array, load_json, save_arrays, save_json


def main(
    victim: str, spec: dict[str, Any], engine: dict[str, Any], images: str, labels: str, train_labels: str,
    weights: list[str], logs: list[str], scores: str, answers: str,
) -> None:  # fmt: skip
    """The first of ``weights`` is the victim, the others its twins; a twin that failed enters no mean."""
    device, shape = prepare_device(engine["device"], engine["threads"]), spec["shape"]
    pixels = load_array(images, dtype=np.uint8, shape=(None, shape["size"], shape["size"], shape["channels"]))
    truth_labels = np.array(load_array(labels, dtype=np.int64, shape=(len(pixels),)))
    taught = np.bincount(load_array(train_labels, dtype=np.int64), minlength=shape["classes"])
    plugin, fresh = load("victims", spec["kind"]["plugin"]), network(spec["architecture"], **shape)
    posteriors, reasons = [], []
    for path, log in zip(weights, logs, strict=True):
        posterior = plugin.answerer(Path(path), fresh, device, **spec["kind"]["parameters"])(pixels)
        finite = bool(np.isfinite(posterior).all())
        posterior = np.nan_to_num(posterior, nan=1 / shape["classes"])
        posteriors.append(posterior)
        losses = [float(loss) for loss in load_json(log)["losses"]]
        found = failures(losses, posterior.argmax(1), truth_labels, taught)
        reasons.append(found + ([] if finite else ["outputs are not finite"]))
    model, twins = posteriors[0], [p for p, why in zip(posteriors[1:], reasons[1:], strict=True) if not why]
    truth = Truth(truth_labels, model)
    resamples = image_weights(len(truth_labels), engine["resamples"], seed_of("test images", spec["dataset"]))
    majority = np.bincount(truth_labels, minlength=shape["classes"]).argmax()
    constant = np.broadcast_to(model.mean(0), model.shape)
    floor = np.full((1, len(pixels)), majority)
    save_json(
        scores,
        {
            "victim": victim,
            "dataset": spec["dataset"],
            "failures": reasons[0],
            "twin_failures": reasons[1:],
            "confusion": confusion(truth_labels, truth.answers, shape["classes"]).tolist(),
            "victim_metrics": summary(truth, model.argmax(1)[None], divergence(model, model)[None], resamples, 0),
            "ceiling_metrics": summary(
                truth,
                np.array([twin.argmax(1) for twin in twins]),
                np.array([divergence(model, twin) for twin in twins]),
                resamples,
                seed_of("twins", victim),
            ),
            "floor_metrics": summary(truth, floor, divergence(model, constant)[None], resamples, 0),
            "twins": len(twins),
        },
    )
    save_arrays(answers, {"labels": truth_labels, "posteriors": model})


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.wildcards.victim,
            snakemake.params.spec,
            snakemake.params.engine,
            snakemake.input.images,
            snakemake.input.labels,
            snakemake.input.train_labels,
            snakemake.input.weights,
            snakemake.input.logs,
            snakemake.output.scores,
            snakemake.output.answers,
        )
