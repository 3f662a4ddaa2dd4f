"""What an API shows of a posterior: laws that hold for every posterior."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mimeo.plugins import load

LAWS = settings(deadline=None, max_examples=100, derandomize=True, database=None)
RESPONSES: list[tuple[str, dict[str, int]]] = [
    ("posterior", {}),
    ("top_1", {}),
    ("top_k", {"k": 2}),
    ("rounded", {"decimals": 2}),
]


@st.composite
def posteriors(draw: st.DrawFn) -> np.ndarray:
    """Float32 posteriors of 1 to 6 images over 2 to 8 classes, many with ties and zeros."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(2, 8)))
    parts = draw(hnp.arrays(np.float32, shape, elements=st.integers(0, 6).map(float)))
    parts[:, 0] += parts.sum(1) == 0
    return parts / parts.sum(1, keepdims=True)


def ranking(row: np.ndarray) -> list[int]:
    """Classes from the most probable, the lower index first among equals."""
    return sorted(range(len(row)), key=lambda label: (-row[label], label))


@LAWS
@given(posterior=posteriors())
def test_posterior_is_shown_as_it_is(posterior: np.ndarray) -> None:
    assert np.array_equal(load("responses", "posterior").respond(posterior), posterior)


@LAWS
@given(posterior=posteriors(), k=st.integers(1, 10))
def test_top_k_keeps_the_k_largest(posterior: np.ndarray, k: int) -> None:
    """The k largest keep their values, the others are zero, ties go to the lower index."""
    shown = load("responses", "top_k").respond(posterior, k=k)
    for row, there in zip(shown, posterior, strict=True):
        kept = ranking(there)[:k]
        assert row.tolist() == [value if label in kept else 0 for label, value in enumerate(there.tolist())]


@LAWS
@given(posterior=posteriors(), beyond=st.integers(0, 3))
def test_top_k_of_all_classes_is_the_posterior(posterior: np.ndarray, beyond: int) -> None:
    shown = load("responses", "top_k").respond(posterior, k=posterior.shape[1] + beyond)
    assert np.array_equal(shown, posterior)


@LAWS
@given(posterior=posteriors())
def test_top_1_is_one_hot_at_the_largest(posterior: np.ndarray) -> None:
    shown = load("responses", "top_1").respond(posterior)
    assert np.array_equal(shown.sum(1), np.ones(len(posterior)))
    assert shown.max(1).tolist() == [1] * len(posterior)
    assert shown.argmax(1).tolist() == [ranking(row)[0] for row in posterior]


def test_ties_go_to_the_lower_index() -> None:
    tie = np.array([[0.2, 0.4, 0.4], [0.25, 0.5, 0.25]], np.float32)
    assert load("responses", "top_1").respond(tie).tolist() == [[0, 1, 0], [0, 1, 0]]
    assert load("responses", "top_k").respond(tie, k=2).tolist() == [[0, *tie[0, 1:]], [0.25, 0.5, 0]]


@LAWS
@given(posterior=posteriors(), decimals=st.integers(0, 4))
def test_rounding_moves_by_at_most_half_a_unit(posterior: np.ndarray, decimals: int) -> None:
    shown = load("responses", "rounded").respond(posterior, decimals=decimals)
    assert np.abs(shown - posterior).max() <= 0.5 * 10**-decimals + 1e-6
    units = shown.astype(float) * 10**decimals
    assert np.abs(units - np.rint(units)).max() < 1e-3
    assert np.array_equal(load("responses", "rounded").respond(shown, decimals=decimals), shown)


@pytest.mark.parametrize(("name", "parameters"), RESPONSES)
def test_shape_and_type_stay_and_input_is_untouched(name: str, parameters: dict[str, int]) -> None:
    posterior = np.random.default_rng(0).dirichlet(np.ones(5), 20).astype(np.float32)
    before = posterior.copy()
    posterior.flags.writeable = False
    shown = load("responses", name).respond(posterior, **parameters)
    assert shown.shape == before.shape
    assert shown.dtype == np.float32
    assert np.array_equal(posterior, before)


@pytest.mark.parametrize(("name", "parameters"), RESPONSES)
def test_images_are_answered_one_by_one(name: str, parameters: dict[str, int]) -> None:
    """An answer does not depend on what else is asked, so that prefixes of answers are answers to prefixes."""
    posterior = np.random.default_rng(1).dirichlet(np.ones(5), 20).astype(np.float32)
    respond = load("responses", name).respond
    whole = respond(posterior, **parameters)
    for count in (1, 7):
        assert np.array_equal(respond(posterior[:count], **parameters), whole[:count])
