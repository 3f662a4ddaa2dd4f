"""Shows what the guards found: query images that the victim had learnt or is tested on, arms whose epoch the test set
has chosen, and trainings that failed."""

from typing import Any

from mimeo.console import job
from mimeo.layout import pipe
from mimeo.page import save_document
from mimeo.store import load_json, save_csv

COLUMNS = ("guard", "what", "images", "found", "reason")
Line = tuple[str, ...]


def leaks(reports: list[str]) -> tuple[list[Line], list[Line]]:
    """Lines of a query set and victim's data set: how many images were checked, and how many of them are test images
    (where there are any; they are left out of training), and how many the victim had learnt."""
    sums: dict[tuple[str, str], list[int]] = {}
    for report in map(load_json, reports):
        total = sums.setdefault((report["query"], report["dataset"]), [0, 0, 0])
        total[0] += report["checked"]
        total[1] += len(report["left_out"])
        total[2] += report["training_overlaps"]
    tested: list[Line] = []
    learnt: list[Line] = []
    for (query, dataset), (checked, out, overlaps) in sorted(sums.items()):
        what = f"{query} against {dataset}"
        if out:
            tested.append(("test images", what, str(checked), str(out), "left out of training"))
        learnt.append(("training images", what, str(checked), str(overlaps), ""))
    return tested, learnt


def chosen(arms: list[dict[str, Any]], tuned: list[str]) -> list[Line]:
    """One line an arm whose epochs the test set has chosen: how many trainings."""
    counts = {arm["arm"]: str(len(arm["replicates"])) for arm in arms}
    return [("selected by the test set", name, "", counts[name], "not our protocol") for name in tuned]


def failed(arms: list[dict[str, Any]], victims: list[dict[str, Any]]) -> list[Line]:
    """One line a training that failed, with the reasons."""
    lines: list[Line] = []
    for victim in victims:
        roles = {"model": victim["failures"]} | {
            f"twin {number}": reasons for number, reasons in enumerate(victim["twin_failures"], 1)
        }
        lines += [("failed", f"{victim['victim']}, {role}", "", "1", "; ".join(r)) for role, r in roles.items() if r]
    for arm in arms:
        for replicate in arm["replicates"]:
            if replicate["failures"]:
                what = f"{arm['arm']}, replicate {replicate['replicate']}"
                lines.append(("failed", what, "", "1", "; ".join(replicate["failures"])))
    return lines


def document(tested: list[Line], learnt: list[Line], picked: list[Line], failures: list[Line], trainings: int) -> str:
    """The lists as a reader wants them."""
    leaking, known = (
        pipe(
            ["query set", "images checked", f"of these {found}"],
            ([what, f"{int(images):,}", f"{int(count):,}"] for _, what, images, count, _ in lines),
        )
        for lines, found in ((tested, "test images"), (learnt, "the victim had learnt"))
    )
    wrong = pipe(["training", "reason"], ([what, reason] for _, what, _, _, reason in failures))
    flattered = pipe(["arm", "trainings"], ([what, found] for _, what, _, found, _ in picked))
    return (
        "# What the guards found\n\n## Test images of the victim among the queries\n\n"
        + (
            "These equal or nearly equal a test image of the victim. They count as queries, but no copy learns them."
            f"\n\n{leaking}\n\n"
            if tested
            else "None: no query image equals or nearly equals one.\n\n"
        )
        + f"## Training images of the victim among the queries\n\n{known}\n\n"
        + "## Arms whose epoch the test set has chosen\n\n"
        + (
            "Their numbers flatter: the test set that measures them has chosen among their epochs.\n\n" + flattered
            if picked
            else "None."
        )
        + f"\n\n## Failed trainings\n\n{len(failures)} of {trainings} trainings failed; they enter no mean."
        + (f"\n\n{wrong}" if failures else "")
        + "\n"
    )


def main(
    reports: list[str], arms: list[str], victims: list[str], tuned: list[str], table: str, text: str, web: str
) -> None:
    """Writes the findings for programs (CSV), for readers (Markdown) and for browsers (HTML).

    Args:
        tuned: names of the arms whose epochs the test set has chosen.
    """
    copies, originals = list(map(load_json, arms)), list(map(load_json, victims))
    tested, learnt = leaks(reports)
    picked, failures = chosen(copies, tuned), failed(copies, originals)
    trainings = sum(len(arm["replicates"]) for arm in copies)
    trainings += sum(1 + len(victim["twin_failures"]) for victim in originals)
    save_csv(table, COLUMNS, [*tested, *learnt, *picked, *failures])
    save_document(text, web, "Guards", document(tested, learnt, picked, failures, trainings))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.input.reports,
            snakemake.input.arms,
            snakemake.input.victims,
            snakemake.params.tuned,
            snakemake.output.table,
            snakemake.output.text,
            snakemake.output.web,
        )
