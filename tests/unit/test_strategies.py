"""Orders of a pool: permutations that depend on the seed alone, and the stage that writes them."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import order_pool
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimeo.items import save_items
from mimeo.plugins import load
from mimeo.store import load_arrays

Complaint = Callable[[Callable[[], object]], str]
LAWS = settings(deadline=None, max_examples=60, derandomize=True, database=None)


@LAWS
@given(count=st.integers(0, 300), seed=st.integers(0, 2**63))
def test_random_is_a_permutation_fixed_by_its_seed(count: int, seed: int) -> None:
    order = load("strategies", "random").order
    ranking = order(count, np.random.default_rng(seed))
    assert ranking.dtype == np.int64
    assert np.array_equal(np.sort(ranking), np.arange(count))
    assert np.array_equal(ranking, order(count, np.random.default_rng(seed)))


def test_random_depends_on_the_seed_and_prefers_no_image() -> None:
    """Over many seeds every image is asked first about equally often."""
    order = load("strategies", "random").order
    first = np.bincount([order(10, np.random.default_rng(seed))[0] for seed in range(2000)], minlength=10)
    assert first.min() > 140
    assert first.max() < 260


def test_random_knows_no_budget() -> None:
    """An order is drawn before any budget is known: smaller budgets are prefixes of larger ones."""
    assert list(inspect.signature(load("strategies", "random").order).parameters) == ["count", "draw"]


# --- the stage ----------------------------------------------------------------------------------------------


@pytest.fixture
def pool(tmp_path: Path) -> list[str]:
    """Two listings: five images, three of them in the pool; and four images without labels."""
    paths = [str(tmp_path / f"{name}.csv") for name in ("first", "second")]
    splits = np.array(["pool", "test", "pool", "test", "pool"])
    save_items(paths[0], {"name": np.array(list("abcde")), "split": splits, "label": np.arange(5)})
    save_items(paths[1], {"name": np.array(list("wxyz")), "split": np.full(4, "pool"), "label": np.full(4, -1)})
    return paths


def spec(**changes: Any) -> dict[str, Any]:
    """A query set as the configuration describes it."""
    return {
        "images": ["first/pool", "second/pool"],
        "strategy": "random",
        "parameters": {},
        "seed": 0,
        **changes,
    }


def ordered(tmp_path: Path, query: str, listings: list[str], **changes: Any) -> list[tuple[int, int, int]]:
    """Part, row and label of every image of the order."""
    path = str(tmp_path / f"{query}.npz")
    order_pool.main(query, spec(**changes), listings, path)
    there = load_arrays(path, "part", "row", "label")
    return list(zip(*(there[name].tolist() for name in ("part", "row", "label")), strict=True))


def test_order_holds_every_pool_image_once(tmp_path: Path, pool: list[str]) -> None:
    """Images of other splits stay out; each keeps its own class."""
    order = ordered(tmp_path, "both", pool)
    assert sorted(order) == [(0, 0, 0), (0, 2, 2), (0, 4, 4), (1, 0, -1), (1, 1, -1), (1, 2, -1), (1, 3, -1)]


def test_order_follows_pool_strategy_and_seed_alone(tmp_path: Path, pool: list[str]) -> None:
    assert ordered(tmp_path, "one", pool) == ordered(tmp_path, "another", pool)
    others = [ordered(tmp_path, "one", pool, seed=seed) for seed in range(1, 6)]
    assert all(other != ordered(tmp_path, "one", pool) for other in others)


@pytest.mark.parametrize("ranking", [[0, 1, 2, 3, 4, 5, 5], [0, 1, 2, 3, 4, 5]], ids=["twice", "short"])
def test_strategy_that_does_not_order_the_pool_is_refused(
    tmp_path: Path, pool: list[str], ranking: list[int], monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    broken = SimpleNamespace(order=lambda count, draw: np.array(ranking))
    monkeypatch.setattr(order_pool, "load", lambda kind, name: broken)
    text = complaint(lambda: order_pool.main("both", spec(), pool, str(tmp_path / "order.npz")))
    assert "both" in text and "random" in text
    assert not (tmp_path / "order.npz").exists()
