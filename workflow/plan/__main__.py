"""Prints what a scale will take, table by table, before anything runs: ``python -m plan config/demo.yaml``."""

import sys
from collections.abc import Iterable
from pathlib import Path

from plan import ConfigError, Resources, load_plan, load_resources
from plan.config import read_yaml
from plan.resources import Job

ROOT = Path(__file__).resolve().parents[2]
HEADER = ("", "arms", "jobs", "GPU hours", "asked", "CPU hours", "asked", "queries", "disk", "downloads")


def row(resources: Resources, name: str, arms: list[str], jobs: Iterable[Job], downloads: bool = True) -> list[str]:
    """One line: hours are those expected, then those that jobs ask for at their first attempt."""
    hours = {(kind, asked): 0.0 for kind in ("GPU", "CPU") for asked in (False, True)}
    jobs = list(jobs)
    for job in jobs:
        kind, width = ("GPU", 1) if resources.on_gpu(job.rule) else ("CPU", resources.threads(job.rule))
        hours[kind, False] += width * resources.minutes(job) / 60
        hours[kind, True] += width * resources.runtime(job) / 60
    disk = sum(resources.load(job).kept for job in jobs) / 1e6
    return [
        name,
        f"{len(arms):,}" if arms else "–",
        f"{len(jobs):,}",
        *(f"{value:,.1f}" if value else "–" for value in hours.values()),
        f"{resources.queries(arms):,}" if arms else "–",
        size(disk),
        size(resources.downloads(arms)) if downloads else "–",
    ]


def size(megabytes: float) -> str:
    """MB for people."""
    if not megabytes:
        return "–"
    return f"{megabytes / 1000:,.1f} GB" if megabytes >= 1000 else f"{max(megabytes, 0.1):,.1f} MB"


def table(resources: Resources, every: list[Job]) -> str:
    """Markdown: a line for what all tables share, a line a table, and a sum that counts everything once."""
    plan = resources.plan
    shared = {"data and query sets": resources.data_jobs(), "victims and twins": resources.victim_jobs()}
    lines = [row(resources, name, [], jobs, downloads=False) for name, jobs in shared.items()]
    for name in plan.tables:
        lines.append(row(resources, name, resources.arms_of(name), resources.table_jobs(name)))
    lines.append(row(resources, "**all, each once**", list(plan.arms), every))
    rule = [":--", *["--:"] * (len(HEADER) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADER, rule, *lines))


def report(resources: Resources) -> str:
    """The table, between what it is of and what it is made from."""
    plan, every = resources.plan, resources.all_jobs()
    minutes, longest = max((resources.runtime(job), job.rule) for job in every)
    memory, largest = max((resources.memory(job), job.rule) for job in every)
    return f"""Planned for the scale {plan.name} (device: {plan.scale["device"]}), before anything runs:

{table(resources, every)}

A first attempt asks for at most {minutes:,} minutes ({longest}) and {memory:,} MB of memory ({largest}).
Hours are those expected, then those asked of a scheduler; trainings that share a GPU ask for fewer. The figures
come from config/cluster/resources.yaml; what trainings really took is in results/costs once they have run."""


def main(arguments: list[str]) -> int:
    """Prints the plan of the scale named."""
    if len(arguments) != 1:
        print("error: usage: python -m plan config/SCALE.yaml", file=sys.stderr)
        return 2
    try:
        plan = load_plan(ROOT, read_yaml(Path(arguments[0])), arguments)
        resources = load_resources(ROOT, plan)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report(resources))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
