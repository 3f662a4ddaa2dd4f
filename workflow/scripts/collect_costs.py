"""Collects what every training cost and on what it ran: seconds and memory differ from run to run, so this table
stands apart from those that repeat exactly."""

import csv
import io

from mimeo.console import job
from mimeo.store import load_json, save_text

COLUMNS = ("work", "replicates", "seconds", "memory_mib", "device_memory_mib", "device", "torch", "commit")


def main(records: dict[str, str], table: str) -> None:
    """Writes one line a training block, by the name of its victim or arm."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, path in sorted(records.items()):
        record = load_json(path)
        memory = [round(record[key] / 2**20) for key in ("memory", "device_memory")]
        writer.writerow(
            [
                name,
                record.get("replicates", 1),
                record["seconds"],
                *memory,
                record["device"],
                record["packages"]["torch"],
                record["commit"],
            ]
        )
    save_text(table, out.getvalue())


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(dict(zip(snakemake.params.names, snakemake.input.records, strict=True)), snakemake.output.table)
