"""Holds the papers' claims against what was measured: each is a difference, with a verdict by its interval."""

from typing import Any

import numpy as np

from mimeo.cells import load_published
from mimeo.console import job
from mimeo.evaluation import Truth, image_weights, interval, resampled, weighted_metrics
from mimeo.layout import MARKS, pipe
from mimeo.page import save_document
from mimeo.seeds import seed_of
from mimeo.store import load_arrays, save_csv

COLUMNS = (
    "paper", "claim", "text", "metric", "measured", "against", "provenance", "difference", "low", "high", "verdict",
)  # fmt: skip
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


class Evidence:
    """Bootstrap values of arms, each computed once."""

    def __init__(self, arms: dict[str, dict[str, str]], resamples: int) -> None:
        self.arms, self.resamples = arms, resamples
        self.known: dict[tuple[str, str], tuple[float, np.ndarray] | None] = {}

    def of(self, arm: str, metric: str) -> tuple[float, np.ndarray] | None:
        """The metric's mean over sound replicates and its bootstrap values; None where no replicate is sound."""
        if (arm, metric) not in self.known:
            self.known[arm, metric] = self._measure(arm, metric)
        return self.known[arm, metric]

    def _measure(self, arm: str, metric: str) -> tuple[float, np.ndarray] | None:
        entry = self.arms[arm]
        there = load_arrays(entry["predictions"], "classes", "kl", "sound")
        answers = load_arrays(entry["answers"], "labels", "posteriors")
        truth, sound = Truth(answers["labels"], answers["posteriors"]), there["sound"]
        if not sound.any():
            return None
        weights = image_weights(len(truth.labels), self.resamples, seed_of("test images", entry["dataset"]))
        classes, kl = there["classes"][sound], there["kl"][sound]
        ones = np.ones((1, len(truth.labels)), np.float32)
        mean = np.mean([weighted_metrics(truth, c, k, ones)[metric][0] for c, k in zip(classes, kl, strict=True)])
        return float(mean), resampled(truth, classes, kl, weights, seed_of("replicates", arm))[metric]


def mean_of(evidence: Evidence, arms: list[str], metric: str) -> tuple[float, np.ndarray] | None:
    """Several arms as one: means of their values, resample by resample."""
    found = [evidence.of(arm, metric) for arm in arms]
    sound = [pair for pair in found if pair is not None]
    if len(sound) < len(found):
        return None
    return float(np.mean([value for value, _ in sound])), np.mean([values for _, values in sound], axis=0)


def verdict(low: float, high: float) -> str:
    """By the interval alone: above zero, below zero, or neither."""
    return HOLDS if low > 0 else FAILS if high < 0 else UNDECIDED


def weigh(name: str, claim: dict[str, Any], evidence: Evidence, numbers: dict) -> dict[str, str]:
    """One line of the claims table."""
    line = {"paper": claim["paper"], "claim": name, "text": claim["text"], "metric": claim["metric"]}
    measured = mean_of(evidence, claim["of"], claim["metric"])
    if claim.get("than"):
        against, provenance = mean_of(evidence, claim["than"], claim["metric"]), "measured"
    else:
        known = numbers[tuple(claim["published"])]
        against, provenance = (float(known.value), np.array(float(known.value))), known.provenance
    line["provenance"] = provenance
    if measured is None or against is None:
        return {**dict.fromkeys(COLUMNS, ""), **line, "verdict": f"{UNDECIDED} (failed run)"}
    low, high = interval(measured[1] - against[1])
    values = {"measured": measured[0], "against": against[0], "difference": measured[0] - against[0]}
    return {
        **line,
        **{key: f"{value:.6f}" for key, value in {**values, "low": low, "high": high}.items()},
        "verdict": verdict(low, high),
    }


def document(scale: str, lines: list[dict[str, str]]) -> str:
    """The claims as a reader wants them."""
    rows = [
        [
            line["text"],
            {"knockoff": "Knockoff Nets", "copycat": "Copycat CNN"}[line["paper"]],
            line["metric"].replace("_", " "),
            f"{float(line['measured']):.3f}" if line["measured"] else "–",
            f"{float(line['against']):.3f}{MARKS.get(line['provenance'], '')}" if line["against"] else "–",
            f"{float(line['difference']):+.3f} [{float(line['low']):+.3f}, {float(line['high']):+.3f}]"
            if line["difference"]
            else "–",
            f"**{line['verdict']}**",
        ]
        for line in lines
    ]
    return (
        "# What the papers claim, and what this scale shows\n\n"
        "A claim holds where the 95% interval of the difference lies above zero, does not hold where it lies below, "
        "and is undecided otherwise.\n\n"
        + pipe(["claim", "paper", "metric", "measured", "against", "difference", "verdict"], rows)
        + f"\n\nScale: {scale}. Paired bootstrap over test images, crossed with replicates. Against a published number"
        " the threshold is the lowest that the paper reports (‡ third-party notes, § derived, † recalled)."
        " Replicates of an arm share one draw of queries: the interval says nothing of other draws.\n"
    )


def main(
    scale: str, claims: dict[str, Any], arms: dict[str, dict[str, str]], resamples: int, published: str,
    table: str, text: str, web: str,
) -> None:  # fmt: skip
    """Writes the claims for programs (CSV), for readers (Markdown) and for browsers (HTML)."""
    numbers, evidence = load_published(published), Evidence(arms, resamples)
    lines = [weigh(name, claim, evidence, numbers) for name, claim in claims.items()]
    save_csv(table, COLUMNS, ([line[column] for column in COLUMNS] for line in lines))
    save_document(text, web, "Claims", document(scale, lines))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.wildcards.scale,
            snakemake.params.claims,
            snakemake.params.arms,
            snakemake.params.resamples,
            snakemake.input.published,
            snakemake.output.table,
            snakemake.output.text,
            snakemake.output.web,
        )
