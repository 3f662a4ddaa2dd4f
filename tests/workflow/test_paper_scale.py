"""The papers' scale is planned on a machine without its images; a scale over an image folder runs to its end."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

CELLS = """
  knockoff/responses:
    title: From a folder
    caption: Small enough to test with.
    metrics: [accuracy, queries]
    cells:
      - {<<: *base, row: "{query}", queries: [shots-random], budgets: [all]}
    references: {column: "{dataset}"}
"""


def test_the_papers_scale_is_planned(project: "Project", monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job is counted, and none needs an image to be counted."""
    monkeypatch.delenv("MIMEO_DATA", raising=False)
    run = project.run("-n", configfile="config/paper.yaml")
    assert run.code == 0, run.output
    assert not (project.root / "results").exists()
    assert run.planned["train_victim"] == 13 * (1 + 1)  # each with a twin
    assert run.planned["train_copycat"] == 395 * 3
    assert run.planned["score_copycat"] == 395
    assert run.planned["list_images"] == 6 + 2 + 8  # Knockoff Nets', its faces, and Copycat CNN's
    assert sum(run.planned.values()) > 3000


def test_overlap_needs_no_image(project: "Project", monkeypatch: pytest.MonkeyPatch) -> None:
    """Table 3 of Knockoff Nets is made by its id from names alone, and says what the paper says, or that it differs."""
    monkeypatch.delenv("MIMEO_DATA", raising=False)
    run = project.run("knockoff_T3", configfile="config/paper.yaml")
    assert run.code == 0, run.output
    assert run.jobs == {"make_table": 1, "knockoff_T3": 1}
    with open(project.root / "results/tables/paper/knockoff/overlap.csv", newline="") as file:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(file) if row["metric"] == "labels"}
    counts = {place: (row["ours"], row["published"], row["status"]) for place, row in rows.items()}
    assert counts["ILSVRC", "Caltech256"] == ("108", "108", "reproduced")
    assert counts["ILSVRC", "Indoor67"] == ("10", "10", "reproduced")
    assert counts["OpenImages", "CUBS200"] == ("1", "1", "reproduced")
    assert counts["OpenImages", "Caltech256"] == ("111", "114", "differs")
    assert counts["D2", "Caltech256"] == ("256", "", "not published")


def test_missing_images_say_what_to_get(project: "Project", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line at the job, with and without the folder of all data sets."""
    target = "results/data/dig10/items.csv"
    for folder, says in ((None, "MIMEO_DATA is not set"), (tmp_path, f"no folder {tmp_path / 'dig10' / 'train'}")):
        if folder:
            monkeypatch.setenv("MIMEO_DATA", str(folder))
        else:
            monkeypatch.delenv("MIMEO_DATA", raising=False)
        run = project.run(target, configfile="config/paper.yaml")
        assert run.code != 0
        [line] = set(run.errors)
        assert line.startswith("error: dig10: ") and says in line and "NIST Special Database 19" in line


def test_a_folder_is_a_pool(finished: "Project", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its images are listed, decoded and asked; moving them changes nothing, one more is noticed by the list."""
    draw, pool = np.random.default_rng(0), tmp_path / "data" / "shots" / "pool"
    pool.mkdir(parents=True)
    for number in range(150):
        Image.fromarray(draw.integers(0, 256, (12, 16, 3)).astype(np.uint8)).save(pool / f"{number:03d}.png")
    finished.append(
        "config/ingredients/datasets.yaml",
        "\nshots: {title: Shots, plugin: folder, parameters: {folder: shots, unlabelled: [pool]}, "
        "size: 8, channels: 1, splits: {pool: 150}}\n",
    )
    finished.append(
        "config/ingredients/queries.yaml", "\nshots-random: {title: Shots, images: [shots/pool], strategy: random}\n"
    )
    finished.append("config/tiny.yaml", CELLS)
    monkeypatch.setenv("MIMEO_DATA", str(tmp_path / "data"))
    run = finished.run()
    assert run.code == 0, run.output
    assert run.jobs["list_images"] == run.jobs["decode_queries"] == run.jobs["ask_victim"] == 1
    assert np.load(finished.root / "results/queries/shots-random/0000000-0000150.npy").shape == (150, 8, 8, 1)
    (tmp_path / "data").rename(tmp_path / "moved")
    monkeypatch.setenv("MIMEO_DATA", str(tmp_path / "moved"))
    again = finished.run()
    assert "Nothing to be done" in again.output
    monkeypatch.delenv("MIMEO_DATA")
    assert "Nothing to be done" in finished.run().output
    monkeypatch.setenv("MIMEO_DATA", str(tmp_path / "moved"))
    (tmp_path / "moved/shots/pool/000.png").rename(tmp_path / "moved/shots/pool/more.png")
    (tmp_path / "moved/shots/pool/more.txt").write_text("no image")
    Image.fromarray(draw.integers(0, 256, (9, 9)).astype(np.uint8)).save(tmp_path / "moved/shots/pool/151.png")
    (finished.root / "results/data/shots/items.csv").unlink()
    refused = finished.run()
    assert refused.code != 0
    assert "151 images, the configuration says 150" in refused.output
