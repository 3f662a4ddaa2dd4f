"""Shows what the guards found: query images that the victim had learnt, and trainings that failed."""

from mimeo.console import job
from mimeo.layout import pipe
from mimeo.page import save_document
from mimeo.store import load_json, save_csv

COLUMNS = ("guard", "what", "images", "found", "reason")


def leaks(reports: list[str]) -> list[tuple[str, ...]]:
    """One line a query set and victim's data set: how many images were checked, and how many it had learnt."""
    sums: dict[tuple[str, str], list[int]] = {}
    for report in map(load_json, reports):
        total = sums.setdefault((report["query"], report["dataset"]), [0, 0])
        total[0] += report["checked"]
        total[1] += report["training_overlaps"]
    return [
        ("training images", f"{query} against {dataset}", str(checked), str(found), "")
        for (query, dataset), (checked, found) in sorted(sums.items())
    ]


def failed(arms: list[str], victims: list[str]) -> list[tuple[str, ...]]:
    """One line a training that failed, with the reasons."""
    lines: list[tuple[str, ...]] = []
    for victim in map(load_json, victims):
        roles = {"model": victim["failures"]} | {
            f"twin {number}": reasons for number, reasons in enumerate(victim["twin_failures"], 1)
        }
        lines += [("failed", f"{victim['victim']}, {role}", "", "1", "; ".join(r)) for role, r in roles.items() if r]
    for arm in map(load_json, arms):
        for replicate in arm["replicates"]:
            if replicate["failures"]:
                what = f"{arm['arm']}, replicate {replicate['replicate']}"
                lines.append(("failed", what, "", "1", "; ".join(replicate["failures"])))
    return lines


def document(overlaps: list[tuple[str, ...]], failures: list[tuple[str, ...]], trainings: int) -> str:
    """Both lists as a reader wants them."""
    learnt = pipe(
        ["query set", "images checked", "of these the victim had learnt"],
        ([what, f"{int(images):,}", f"{int(found):,}"] for _, what, images, found, _ in overlaps),
    )
    wrong = pipe(["training", "reason"], ([what, reason] for _, what, _, _, reason in failures))
    return (
        "# What the guards found\n\n"
        "No query image equals or nearly equals a test image of the victim: the run would have stopped.\n\n"
        f"## Training images of the victim among the queries\n\n{learnt}\n\n"
        f"## Failed trainings\n\n{len(failures)} of {trainings} trainings failed; they enter no mean."
        + (f"\n\n{wrong}" if failures else "")
        + "\n"
    )


def main(reports: list[str], arms: list[str], victims: list[str], table: str, text: str, web: str) -> None:
    """Writes the findings for programs (CSV), for readers (Markdown) and for browsers (HTML)."""
    overlaps, failures = leaks(reports), failed(arms, victims)
    trainings = sum(len(load_json(arm)["replicates"]) for arm in arms)
    trainings += sum(1 + len(load_json(victim)["twin_failures"]) for victim in victims)
    save_csv(table, COLUMNS, [*overlaps, *failures])
    save_document(text, web, "Guards", document(overlaps, failures, trainings))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.input.reports,
            snakemake.input.arms,
            snakemake.input.victims,
            snakemake.output.table,
            snakemake.output.text,
            snakemake.output.web,
        )
