"""Makes a table from the scores of its arms: measured cells beside published ones, as CSV and Markdown."""

from typing import Any

from mimeo.cells import Layout, Row, load_published, measured_rows, other_rows, save_rows
from mimeo.console import job
from mimeo.errors import MimeoError
from mimeo.layout import table_of
from mimeo.page import save_document
from mimeo.plugins import load
from mimeo.store import load_json


def rows_of(spec: dict[str, Any], published: str, arms: list[str], victims: list[str]) -> list[Row]:
    """Every row of the table, references first, then the cells, then what only the paper has."""
    layout = Layout(**{**spec["layout"], "source": tuple(spec["layout"]["source"])})
    numbers, metrics = load_published(published), spec["metrics"]
    scores = {score["arm"]: score for score in (_scores(path, "arm") for path in arms)}
    known = {score["victim"]: score for score in (_scores(path, "victim") for path in victims)}
    rows: list[Row] = []
    for kind, victim, row, column in spec["references"]:
        score = known[victim]
        count = score["twins"] if kind == "ceiling" else 1
        rows += measured_rows(
            layout, numbers, row, column, metrics, score[f"{kind}_metrics"], count,
            count == 0 or (kind == "victim" and bool(score["failures"])),
        )  # fmt: skip
    for row, column, arm in spec["cells"]:
        score = scores[arm]
        measured = {**score["metrics"], "queries": {"value": score["queries"]}}
        rows += measured_rows(layout, numbers, row, column, metrics, measured, score["sound"], score["sound"] == 0)
    return rows + (other_rows(layout, numbers, metrics, rows) if layout.others else [])


def _scores(path: str, kind: str) -> dict[str, Any]:
    """One JSON record of scores.

    Raises:
        MimeoError: it is not of that kind.
    """
    score = load_json(path)
    if not isinstance(score, dict) or not {kind, "metrics" if kind == "arm" else "victim_metrics"} <= score.keys():
        raise MimeoError(f"{path}: holds no scores of a{'n arm' if kind == 'arm' else ' victim'}")
    return score


def main(
    spec: dict[str, Any], published: str, arms: list[str], victims: list[str], table: str, text: str, web: str
) -> None:
    """Writes the table for programs (CSV), for readers (Markdown) and for browsers (HTML)."""
    rows = rows_of(spec, published, arms, victims)
    save_rows(table, rows)
    drawn = load(f"tables/{spec['layout']['paper']}", spec["layout"]["table"]).markdown(table_of(spec, rows))
    save_document(text, web, spec["title"], drawn)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.params.spec,
            snakemake.input.published,
            snakemake.input.arms,
            snakemake.input.victims,
            snakemake.output.table,
            snakemake.output.text,
            snakemake.output.web,
        )
