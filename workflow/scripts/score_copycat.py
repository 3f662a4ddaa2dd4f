"""Scores every replicate of an arm on the victim's test images: against the truth and against the victim."""

from typing import Any

import numpy as np

from mimeo.console import job
from mimeo.evaluation import Truth, confusion, divergence, image_weights, point_metrics, summary
from mimeo.gate import failures
from mimeo.models import load_models, network, posteriors, prepare_device
from mimeo.seeds import seed_of
from mimeo.store import load_array, load_arrays, load_json, save_arrays, save_json


def main(
    names: dict[str, Any], spec: dict[str, Any], engine: dict[str, Any], dataset: str, images: str, victim: str,
    answers: str, weights: list[str], logs: list[str], scores: str, predictions: str,
) -> None:  # fmt: skip
    """Failed replicates are listed with their reasons and enter neither mean nor interval."""
    device, shape = prepare_device(engine["device"], engine["threads"]), spec["shape"]
    pixels = load_array(images, dtype=np.uint8, shape=(None, shape["size"], shape["size"], shape["channels"]))
    known = load_arrays(answers, "labels", "posteriors")
    truth, fresh = Truth(known["labels"], known["posteriors"]), network(spec["architecture"], **shape)
    histories = [load_json(log) for log in logs]
    replicates, classes, kl = [], [], []
    victim_failed = [f"victim failed ({reason})" for reason in load_json(victim)["failures"]]
    for path, log in zip(weights, histories, strict=True):
        for model, entry in zip(load_models(path, fresh, len(log["replicates"])), log["replicates"], strict=True):
            posterior = posteriors(model.to(device), pixels, device)
            losses = [float(loss) for loss in entry["losses"]]
            finite = bool(np.isfinite(posterior).all())
            posterior = np.nan_to_num(posterior, nan=1 / shape["classes"])
            classes.append(posterior.argmax(1).astype(np.int32))
            kl.append(divergence(truth.victim, posterior))
            reasons = failures(losses, classes[-1], truth.labels, np.array(log["label_counts"]))
            reasons += victim_failed + ([] if finite else ["outputs are not finite"])
            replicates.append(
                {
                    "replicate": entry["replicate"],
                    "seed": entry["seed"],
                    "epochs": len(losses),
                    "kept": entry.get("kept", len(losses)),
                    "failures": reasons,
                    "metrics": point_metrics(truth, classes[-1], kl[-1]),
                    "confusion": confusion(truth.labels, classes[-1], shape["classes"]).tolist(),
                }
            )
    sound = np.array([not replicate["failures"] for replicate in replicates])
    resamples = image_weights(len(pixels), engine["resamples"], seed_of("test images", dataset))
    save_arrays(predictions, {"classes": np.array(classes), "kl": np.array(kl), "sound": sound})
    save_json(
        scores,
        {
            **names,
            "arm": spec["arm"],
            "settings": spec,
            "untrained": spec["budget"] == 0,
            "replicates": replicates,
            "sound": int(sound.sum()),
            "label_counts": histories[0]["label_counts"],
            "trained_on": histories[0]["trained_on"],
            "left_out": histories[0]["left_out"],
            "metrics": summary(
                truth, np.array(classes)[sound], np.array(kl)[sound], resamples, seed_of("replicates", spec["arm"])
            ),
        },
    )


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.params.spec["names"],
            snakemake.params.spec["training"],
            snakemake.params.engine,
            snakemake.params.spec["dataset"],
            snakemake.input.images,
            snakemake.input.victim,
            snakemake.input.answers,
            snakemake.input.weights,
            snakemake.input.logs,
            snakemake.output.scores,
            snakemake.output.predictions,
        )
