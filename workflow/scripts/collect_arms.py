"""Every arm in one table, a row each, and the headline numbers that `dvc metrics` shows."""

from typing import Any

from mimeo.console import job
from mimeo.evaluation import METRICS
from mimeo.store import load_json, save_csv, save_json

NAMES = ("victim", "architecture", "query", "response", "budget", "recipe")
MADE = ("selected by", "start")
COUNTS = ("queries", "left out", "replicates", "sound")
SIDES = ("value", "low", "high")


def line(arm: dict[str, Any], made: list[str]) -> list[Any]:
    """An arm's names (of its last transfer), how its weights came about, counts (of queries asked, and of images of its
    last transfer that are left out of training), and metrics with their intervals; blank where all have failed."""
    names = [str(arm[key] if key in arm else arm["transfers"][-1][key]) for key in NAMES]
    counts = [arm["queries"], arm["left_out"], len(arm["replicates"]), arm["sound"]]
    metrics = [arm["metrics"].get(metric, {}).get(side, "") for metric in METRICS for side in SIDES]
    return [arm["arm"], *names, *made, *counts, *metrics]


def headline(
    tables: dict[str, dict[str, Any]], arms: dict[str, dict[str, Any]], victims: list[dict[str, Any]]
) -> dict[str, Any]:
    """Victims' accuracies, the leading metric of the headline tables, and how many trainings failed."""
    found: dict[str, Any] = {
        "victims": {victim["victim"]: victim["victim_metrics"]["accuracy"]["value"] for victim in victims}
    }
    for name, table in tables.items():
        values = {
            cell: arms[arm]["metrics"].get(table["metric"], {}).get("value") for cell, arm in table["cells"].items()
        }
        found[name] = {table["metric"]: values}
    found["arms"] = len(arms)
    found["failed trainings"] = sum(len(arm["replicates"]) - arm["sound"] for arm in arms.values())
    return found


def main(
    arms: list[str], victims: list[str], tables: dict[str, dict[str, Any]], made: dict[str, list[str]], table: str,
    metrics: str,
) -> None:  # fmt: skip
    """Writes the table (CSV) and the headline (JSON).

    Args:
        made: by arm, what its epochs were selected by, and what its weights start from.
    """
    scores = {arm["arm"]: arm for arm in map(load_json, arms)}
    sides = ("", "_low", "_high")
    header = ["arm", *NAMES, *MADE, *COUNTS, *(metric + side for metric in METRICS for side in sides)]
    save_csv(table, header, (line(arm, made[name]) for name, arm in scores.items()))
    save_json(metrics, headline(tables, scores, list(map(load_json, victims))))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.input.arms,
            snakemake.input.victims,
            snakemake.params.headline,
            snakemake.params.made,
            snakemake.output.table,
            snakemake.output.metrics,
        )
