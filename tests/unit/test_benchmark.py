"""The benchmark of choosing: that it measures what it says, at a size at which no time means anything."""

import importlib.util
import math
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimeo.errors import MimeoError
from mimeo.plugins import load

if TYPE_CHECKING:
    from plan import Plan
    from tests.conftest import Configuration

FILE = Path(__file__).resolve().parents[2] / "workflow/commands/benchmark.py"
KINDS = ["certainty", "diversity", "loss"]


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


benchmark = loaded()


@pytest.fixture
def plan(configuration: "Configuration") -> "Plan":
    """The demo with a small pool and short trainings."""
    plan = configuration.plan()
    plan.ingredients["datasets"]["photographs"]["splits"]["pool"] = 400
    plan.ingredients["recipes"]["small-victim"]["epochs"] = 12
    plan.ingredients["recipes"]["small-knockoff"] |= {"epochs": 1, "least_steps": 10}
    return plan


def test_it_prints_ratios_and_accuracies(plan: "Plan", capsys: pytest.CaptureFixture[str]) -> None:
    options = benchmark.parsed(["--queries", "48", "--batches", "1", "16", "--repeats", "2"])
    benchmark.main(plan, options)
    first, hardware, *table = capsys.readouterr().out.splitlines()
    assert first.startswith("48 of the 400 images of photographs-adaptive, digits-plain (accuracy ")
    assert "1 thread(s)" in hardware
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")][2:]
    assert [row[0] for row in rows] == ["one at a time, naive", "batches of 1", "batches of 16"]
    base, processor = float(rows[0][1].split()[0]), float(rows[0][3])
    for row in rows:
        seconds, least, most = (float(number) for number in re.findall(r"[\d.]+", row[1]))
        assert 0 < least <= seconds <= most
        assert float(row[2]) == pytest.approx(base / seconds, rel=0.02, abs=0.06)
        assert float(row[4]) == pytest.approx(processor / float(row[3]), rel=0.02, abs=0.06)
        value, low, high = (float(number) for number in re.findall(r"[\d.]+", row[5]))
        assert 0 <= low <= value <= high <= 100
    assert not rows[0][6]
    assert all(re.fullmatch(r"-?[\d.]+ to -?[\d.]+", row[6]) for row in rows[1:])


def test_a_query_set_in_a_known_order_has_no_loop(plan: "Plan") -> None:
    with pytest.raises(MimeoError, match="fonts-random is not chosen as it is asked"):
        benchmark.main(plan, benchmark.parsed(["--query", "fonts-random"]))


def test_both_ways_ask_each_image_once_and_get_the_victims_answers(plan: "Plan", tmp_path: Path) -> None:
    bench = benchmark.Bench(plan, "digits-plain", "photographs-adaptive", "small-knockoff", 1, tmp_path)
    for seconds, (indices, answers) in (bench.naive(60, 0), bench.batched(60, 16, 0)):
        assert (seconds > 0).all()
        assert len(set(indices.tolist())) == 60
        assert np.allclose(answers, bench.ask(bench.pool.take(indices)), atol=1e-3)
    again = bench.batched(60, 16, 0)[1]
    assert np.array_equal(again[0], bench.batched(60, 16, 0)[1][0])
    assert np.array_equal(bench.naive(60, 1)[1][0], bench.naive(60, 1)[1][0])


def test_the_naive_policy_is_the_strategys_own_one_image_at_a_time() -> None:
    """On the same images, answers and predictions the preferences are the same, though nothing of the code is."""
    leaves = np.arange(6000) % 6
    draw = np.random.default_rng(3)
    ours = load("strategies", "adaptive").policy(
        leaves, np.zeros(6, int), 4, np.random.default_rng(0), rewards=KINDS, window=7
    )
    naive = benchmark.Naive(leaves.tolist(), 4, KINDS, 7, 0)
    for step in range(60):
        [index] = ours.choose(1)
        answer, said = draw.dirichlet(np.full(4, 0.5), 2).astype(np.float32)
        naive.draw()
        assert sum(naive.policy) == pytest.approx(1)
        naive.learn(int(leaves[index]), answer.tolist(), said.tolist())
        ours.learn(answer[None], said[None])
        assert np.allclose(naive.preferences, ours.leaf_preferences, atol=1e-6), step
    assert max(map(math.fabs, naive.preferences)) > 0.1


def test_the_naive_policy_takes_every_image_once() -> None:
    naive = benchmark.Naive([0, 1, 1, 2, 2, 2], 2, ["certainty"], 3, 0)
    drawn = []
    for _ in range(6):
        leaf, index = naive.draw()
        drawn.append(index)
        naive.learn(leaf, [0.9, 0.1], [0.5, 0.5])
    assert sorted(drawn) == list(range(6))
