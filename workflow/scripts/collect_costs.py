"""Collects what every training cost and on what it ran: seconds and memory differ from run to run, so this table
stands apart from those that repeat exactly."""

from mimeo.console import job
from mimeo.store import load_json, save_csv

COLUMNS = ("work", "replicates", "seconds", "memory_mib", "device_memory_mib", "device", "torch", "commit")


def main(records: dict[str, str], table: str) -> None:
    """Writes one line a training block, by the name of its victim or arm."""
    lines = []
    for name, path in sorted(records.items()):
        record = load_json(path)
        memory = [round(record[key] / 2**20) for key in ("memory", "device_memory")]
        made_by = [record["device"], record["packages"]["torch"], record["commit"]]
        lines.append([name, record.get("replicates", 1), record["seconds"], *memory, *made_by])
    save_csv(table, COLUMNS, lines)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(dict(zip(snakemake.params.names, snakemake.input.records, strict=True)), snakemake.output.table)
