"""A data set, an architecture, a response and a table are one new file and one entry each; only new arms run."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

COLLECTED = {"collect_arms": 1, "collect_costs": 1, "collect_guards": 1}
ROOT = Path(__file__).parents[2]
MIMEO = "workflow/scripts/mimeo"
DATASET = '''"""Stripes of random width and direction: images that no camera took."""

from pathlib import Path

import numpy as np

from mimeo.datasets import UNKNOWN, Index


def index(source: Path | None, splits: dict[str, int], *, finest: float = 0.5) -> Index:
    count, draw = splits["pool"], np.random.default_rng(0)
    return Index(
        columns={
            "name": np.array([f"{number:04d}" for number in range(count)]),
            "split": np.full(count, "pool"),
            "label": np.full(count, UNKNOWN),
            "across": draw.uniform(0, finest, count).round(6),
            "down": draw.uniform(0, finest, count).round(6),
        }
    )


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    across, down = (items[key].astype(float)[:, None, None] for key in ("across", "down"))
    place = np.arange(size)
    waves = np.sin(2 * np.pi * (across * place[None, None, :] + down * place[None, :, None]))
    return np.repeat(np.rint(127.5 + 127.5 * waves).astype(np.uint8)[..., None], channels, axis=-1)
'''
ARCHITECTURE = '''"""One hidden layer: no convolution at all."""

from torch import nn

from mimeo.architectures import centre


def build(channels: int, size: int, classes: int, *, hidden: int) -> nn.Module:
    return nn.Sequential(
        centre(channels), nn.Flatten(), nn.Linear(channels * size * size, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )
'''
RESPONSE = '''"""Probabilities below a threshold become 0."""

import numpy as np


def respond(posterior: np.ndarray, *, least: float) -> np.ndarray:
    return np.where(posterior >= least, posterior, 0)
'''
TABLE = '''"""Agreement alone."""

from mimeo.layout import Table, document, grid


def markdown(table: Table) -> str:
    return document(table, grid(table, "agreement"))
'''
CELLS = """
  knockoff/agreement:
    title: Agreement
    caption: A table of its own.
    metrics: [agreement]
    cells:
      - {{<<: *base, row: "{{query}}", queries: [{query}], responses: [{response}], architectures: [{architecture}]}}
    references: {{column: "{{dataset}}"}}
"""
PER_CLASS = """
  knockoff/per_class:
    id: T9
    title: Images a class
    caption: A table of its own.
    metrics: [images]
    victims: [digits-tiny]
"""


def add_table(project: "Project", query: str = "digits-own", response: str = "posterior", net: str = "plain") -> None:
    """A table of its own, over one arm."""
    (project.root / MIMEO / "tables/knockoff/agreement.py").write_text(TABLE)
    project.append("config/tiny.yaml", CELLS.format(query=query, response=response, architecture=net))


def test_a_table_over_known_arms_trains_nothing(finished: "Project") -> None:
    add_table(finished)
    run = finished.run()
    assert run.code == 0, run.output
    assert run.jobs == {"make_table": 1}
    assert "Digits" in (finished.root / "results/tables/tiny/knockoff/agreement.md").read_text()


def test_a_table_of_other_files_is_made_by_its_id(finished: "Project") -> None:
    """The example of docs/adding.md: no arm, no training; by its id, and as one of its paper's."""
    document = (ROOT / "docs/adding.md").read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", document, re.DOTALL) if "NEEDS" in block]
    (finished.root / MIMEO / "tables/knockoff/per_class.py").write_text(example)
    finished.append("config/tiny.yaml", PER_CLASS)
    run = finished.run("knockoff_T9")
    assert run.code == 0, run.output
    assert run.jobs == {"make_table": 1, "knockoff_T9": 1}
    assert "| Digits | 107 |" in (finished.root / "results/tables/tiny/knockoff/per_class.md").read_text()
    assert finished.run("knockoff").jobs == {}
    assert finished.run().jobs == {}


def test_a_response_trains_its_arm_and_asks_nobody(finished: "Project") -> None:
    (finished.root / MIMEO / "responses/threshold.py").write_text(RESPONSE)
    finished.append(
        "config/ingredients/responses.yaml", "\nthreshold: {title: At least 0.1, parameters: {least: 0.1}}\n"
    )
    add_table(finished, response="threshold")
    run = finished.run()
    assert run.code == 0, run.output
    assert run.jobs == {"train_copycat": 1, "score_copycat": 1, "make_table": 1, **COLLECTED}


def test_an_architecture_trains_its_arm(finished: "Project") -> None:
    (finished.root / MIMEO / "architectures/shallow.py").write_text(ARCHITECTURE)
    finished.append("config/ingredients/architectures.yaml", "\nshallow: {title: Shallow, parameters: {hidden: 32}}\n")
    add_table(finished, net="shallow")
    run = finished.run()
    assert run.code == 0, run.output
    assert run.jobs == {"train_copycat": 1, "score_copycat": 1, "make_table": 1, **COLLECTED}


def test_a_data_set_is_listed_ordered_decoded_and_asked(finished: "Project") -> None:
    (finished.root / MIMEO / "datasets/stripes.py").write_text(DATASET)
    finished.append(
        "config/ingredients/datasets.yaml",
        "\nstripes: {title: Stripes, size: 8, channels: 1, splits: {pool: 150}, parameters: {finest: 0.4}}\n",
    )
    finished.append(
        "config/ingredients/queries.yaml",
        "\nstripes-random: {title: Stripes, images: [stripes/pool], strategy: random}\n",
    )
    add_table(finished, query="stripes-random")
    run = finished.run()
    assert run.code == 0, run.output
    assert run.jobs == dict.fromkeys(
        (
            "list_images",
            "order_pool",
            "decode_queries",
            "check_leaks",
            "ask_victim",
            "train_copycat",
            "score_copycat",
            "make_table",
            *COLLECTED,
        ),
        1,
    )


def test_a_comment_in_a_script_or_in_the_configuration_reruns_nothing(finished: "Project") -> None:
    finished.append("config/tiny.yaml", "\n# a comment\n")
    for file in ("training.py", "datasets/photographs.py", "layout.py"):
        finished.append(f"{MIMEO}/{file}", "\n# a comment\n")
    run = finished.run()
    assert run.code == 0, run.output
    assert "Nothing to be done" in run.output


def test_an_edited_response_reruns_its_arms_alone(finished: "Project") -> None:
    finished.edit(f"{MIMEO}/responses/top_1.py", "dtype=posterior.dtype", "dtype=np.float32")
    run = finished.run("-n")
    assert run.code == 0, run.output
    assert run.planned["train_copycat"] == run.planned["score_copycat"] == 2
    assert not {"train_victim", "ask_victim", "decode_queries", "order_pool"} & set(run.planned)
