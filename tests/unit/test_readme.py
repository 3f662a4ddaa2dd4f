"""The README's table says what the committed tables say. ``python tests/unit/test_readme.py`` writes it anew."""

import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PLACE = re.compile(r"(?<=<!-- headline: see tests/unit/test_readme.py -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
MARKS = {"seen": "", "derived": " §", "secondary": " ‡", "recalled": " †"}
LINES = (  # name, table, row, what the paper reports: table, row, column, metrics
    ("the victim itself", "knockoff/accuracy", "victim", None),
    (
        "its own training images, posterior",
        "knockoff/accuracy",
        "P_V (KD)",
        ("knockoff", "claims", "P_V (KD)", "all", "ratio_low", "ratio_high"),
    ),
    (
        "8,000 photographs, posterior",
        "knockoff/accuracy",
        "Photographs, random",
        ("knockoff", "claims", "open world random", "all", "ratio_low", "ratio_high"),
    ),
    (
        "16,000 photographs, hard labels",
        "copycat/main",
        "NPDD-SL",
        ("copycat", "main", "NPDD-SL", "DIG10", "ratio_macro_f1"),
    ),
    (
        "1,000 rendered digits, hard labels",
        "copycat/main",
        "PDD-SL",
        ("copycat", "main", "PDD-SL", "DIG10", "ratio_macro_f1"),
    ),
    ("floor: the largest class", "knockoff/accuracy", "Floor: majority class", None),
)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def headline() -> str:
    """The README's table from the committed tables and the published numbers."""
    published = {
        (r["paper"], r["table"], r["row"], r["column"], r["metric"]): r for r in rows(ROOT / "config/published.csv")
    }
    lines = [
        "| copied from | our demo: accuracy, % | ratio to the victim | the paper's ratio |",
        "| :-- | --: | --: | :-- |",
    ]
    for name, table, row, there in LINES:
        cells = {
            r["metric"]: r for r in rows(ROOT / f"results/tables/demo/{table}.csv") if r["row"] == row and r["ours"]
        }
        ours = cells["accuracy"]
        low, high = (100 * float(ours[f"ours_{side}"]) for side in ("low", "high"))
        known = "–"
        if there is not None:
            numbers = [published[(*there[:4], metric)] for metric in there[4:]]
            known = " to ".join(f"{float(n['value']):.2f}" for n in numbers) + "×" + MARKS[numbers[0]["provenance"]]
            known += ", macro F1, DIG10" if len(numbers) == 1 else ""
        text = f"{100 * float(ours['ours']):.1f} [{low:.1f}, {high:.1f}]"
        lines.append(f"| {name} | {text} | {float(cells['ratio']['ours']):.2f}× | {known} |")
    return "\n".join(lines) + "\n"


def test_headline_is_what_the_tables_say() -> None:
    found = PLACE.search(README.read_text())
    assert found is not None
    assert found[0] == headline()


def test_every_path_that_the_readme_names_is_there() -> None:
    text = README.read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    tree = [line.split()[0] for line in re.findall(r"```text\n(.*?)```", text, re.DOTALL)[0].splitlines()]
    plain = [path for path in tree if "*" not in path]
    assert links and plain
    folders = (ROOT, ROOT / "workflow/scripts/mimeo")
    missing = [path for path in links + plain if not any((folder / path).exists() for folder in folders)]
    assert not missing


if __name__ == "__main__":
    README.write_text(PLACE.sub(lambda _: headline(), README.read_text()))
    sys.exit()
