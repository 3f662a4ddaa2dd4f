"""Draws a table's figure from its CSV, as PNG and SVG; the same table gives the same bytes."""

from typing import Any

from mimeo.cells import load_rows
from mimeo.console import job
from mimeo.layout import table_of
from mimeo.plugins import load
from mimeo.store import atomic


def main(spec: dict[str, Any], table: str, png: str, svg: str) -> None:
    """Writes both pictures."""
    layout = spec["layout"]
    drawing = load(f"tables/{layout['paper']}", layout["table"]).figure(table_of(spec, load_rows(table)))
    with atomic(png) as file:
        drawing.savefig(file, format="png", dpi=160, metadata={"Software": None})
    with atomic(svg) as file:
        drawing.savefig(file, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(snakemake.params.spec, snakemake.input.table, snakemake.output.png, snakemake.output.svg)
