"""Makes a table: measured cells, scores or what its plug-in measures, beside published ones, as CSV and Markdown."""

from collections.abc import Iterator
from typing import Any

from mimeo.cells import Layout, Measured, Row, load_published, measured_rows, other_rows, save_rows
from mimeo.console import job
from mimeo.errors import MimeoError
from mimeo.evidence import Evidence
from mimeo.layout import table_of
from mimeo.page import save_document
from mimeo.plugins import load
from mimeo.store import load_json


def rows_of(spec: dict[str, Any], published: str, arms: list[str], victims: list[str]) -> list[Row]:
    """Every row of the table, references first, then the cells, then what only the paper has."""
    layout = Layout(**{**spec["layout"], "source": tuple(spec["layout"]["source"])})
    numbers, metrics = load_published(published), spec["metrics"]
    cells = plugin(spec).measure(Evidence(spec)) if "evidence" in spec else scored(spec, arms, victims)
    rows: list[Row] = []
    for cell in cells:
        rows += measured_rows(
            layout, numbers, cell.row, cell.column, metrics, cell.values, cell.replicates, cell.failed, cell.known_as
        )
    return rows + (other_rows(layout, numbers, metrics, rows) if layout.others else [])


def plugin(spec: dict[str, Any]) -> Any:
    """The table's plug-in."""
    return load(f"tables/{spec['layout']['paper']}", spec["layout"]["table"])


def scored(spec: dict[str, Any], arms: list[str], victims: list[str]) -> Iterator[Measured]:
    """Victim, ceiling and floor, then the cells: scores of arms, and what their queries cost."""
    scores = {score["arm"]: score for score in (_scores(path, "arm") for path in arms)}
    known = {score["victim"]: score for score in (_scores(path, "victim") for path in victims)}
    for kind, victim, row, column in spec["references"]:
        score = known[victim]
        count = score["twins"] if kind == "ceiling" else 1
        failed = count == 0 or (kind == "victim" and bool(score["failures"]))
        yield Measured(row, column, score[f"{kind}_metrics"], count, failed)
    for row, column, arm in spec["cells"]:
        score = scores[arm]
        values = {**score["metrics"], "queries": {"value": score["queries"]}}
        if arm in spec.get("prices", {}):
            values["usd"] = {"value": score["queries"] * spec["prices"][arm] / 1000}
        yield Measured(row, column, values, score["sound"], score["sound"] == 0)


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
    save_document(text, web, spec["title"], plugin(spec).markdown(table_of(spec, rows)))


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
