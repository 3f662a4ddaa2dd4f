"""Metrics against scikit-learn and against formulas written out; intervals against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mimeo.evaluation import (
    EPSILON,
    METRICS,
    Truth,
    confusion,
    divergence,
    image_weights,
    interval,
    point_metrics,
    resampled,
    summary,
    weighted_metrics,
)

LAWS = settings(deadline=None, max_examples=80, derandomize=True, database=None)


def truth_of(labels: list[int], answers: list[int], classes: int) -> Truth:
    """A test set whose victim is certain of its answers."""
    return Truth(np.array(labels, np.int64), np.eye(classes, dtype=np.float32)[answers])


@st.composite
def scored(draw: st.DrawFn) -> tuple[Truth, np.ndarray, np.ndarray]:
    """A small test set, predictions and divergences; classes may lack in any of them."""
    classes, count = draw(st.integers(2, 5)), draw(st.integers(1, 25))
    labels, answers, predictions = (
        draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)) for _ in range(3)
    )
    kl = draw(st.lists(st.floats(0, 16, width=32), min_size=count, max_size=count))
    return truth_of(labels, answers, classes), np.array(predictions), np.array(kl, np.float32)


@LAWS
@given(there=scored())
def test_metrics_are_scikit_learns(there: tuple[Truth, np.ndarray, np.ndarray]) -> None:
    """Macro F1 over classes that occur or are named; macro recall over classes that occur."""
    truth, predictions, kl = there
    values = point_metrics(truth, predictions, kl)
    assert set(values) == set(METRICS)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(truth.labels, predictions), abs=1e-6)
    f1 = sk.f1_score(truth.labels, predictions, average="macro", zero_division=0)
    assert values["macro_f1"] == pytest.approx(f1, abs=1e-6)
    present = np.unique(truth.labels)
    recall = sk.recall_score(truth.labels, predictions, labels=present, average="macro", zero_division=0)
    assert values["macro_recall"] == pytest.approx(recall, abs=1e-6)
    assert values["agreement"] == pytest.approx(sk.accuracy_score(truth.answers, predictions), abs=1e-6)
    table = sk.confusion_matrix(truth.labels, predictions, labels=range(truth.classes))
    assert np.array_equal(confusion(truth.labels, predictions, truth.classes), table)


@LAWS
@given(there=scored(), data=st.data())
def test_weights_are_repetitions(there: tuple[Truth, np.ndarray, np.ndarray], data: st.DataObject) -> None:
    """An image of weight three counts as three images, one of weight zero as none; rows are apart."""
    truth, predictions, kl = there
    count = len(predictions)
    row = st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(any)
    weights = np.array([data.draw(row), data.draw(row)], np.float32)
    values = weighted_metrics(truth, predictions, kl, weights)
    for number, row_weights in enumerate(weights):
        again = np.repeat(np.arange(count), row_weights.astype(int))
        repeated = point_metrics(Truth(truth.labels[again], truth.victim[again]), predictions[again], kl[again])
        for metric in METRICS:
            if metric == "ratio" and (truth.answers == truth.labels)[again].mean() < 1 / count:
                continue  # the ratio to a victim that is (nearly) never right is bounded
            assert values[metric][number] == pytest.approx(repeated[metric], rel=1e-5, abs=1e-6)


def test_agreement_ratio_and_divergence_by_hand() -> None:
    victim = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]], np.float32)
    truth = Truth(np.array([0, 0, 1, 1]), victim)  # the victim is right on three of four
    predictions, kl = np.array([0, 1, 0, 0]), np.array([0.5, 0.25, 0.25, 1], np.float32)
    values = point_metrics(truth, predictions, kl)
    assert values["accuracy"] == 0.25
    assert values["agreement"] == 0.5
    assert values["ratio"] == pytest.approx(0.25 / 0.75)
    assert values["kl"] == 0.5
    assert values["macro_recall"] == 0.25
    assert values["macro_f1"] == pytest.approx((2 * 1 / (2 + 3) + 0) / 2)


def test_recall_and_f1_differ_and_both_are_named() -> None:
    """One class of two named throughout: half the recall, but a third of the F1."""
    values = point_metrics(truth_of([0, 0, 1, 1], [0, 0, 1, 1], 2), np.zeros(4, int), np.zeros(4, np.float32))
    assert values["macro_recall"] == 0.5
    assert values["macro_f1"] == pytest.approx(1 / 3)


def test_victim_that_is_never_right_gives_a_finite_ratio() -> None:
    values = point_metrics(truth_of([0, 0], [1, 1], 2), np.array([0, 1]), np.zeros(2, np.float32))
    assert np.isfinite(values["ratio"])


@LAWS
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 6))
def test_divergence_is_kullback_and_leiblers(seed: int, classes: int) -> None:
    draw = np.random.default_rng(seed)
    p, q = draw.dirichlet(np.ones(classes), (2, 8)).clip(1e-6).astype(np.float32)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    expected = (p.astype(float) * np.log(p.astype(float) / q)).sum(1)
    assert np.allclose(divergence(p, q), expected, atol=1e-5)
    assert (divergence(p, q) >= -1e-7).all()
    assert np.abs(divergence(p, p)).max() < 1e-6


def test_divergence_of_zeros_is_finite() -> None:
    """A certain copy that is wrong is far away, yet not infinitely."""
    one, other = np.eye(2, dtype=np.float32)
    [away] = divergence(one[None], other[None])
    assert away == pytest.approx(-np.log(EPSILON), rel=1e-3)
    assert divergence(one[None], one[None])[0] == pytest.approx(0, abs=1e-6)


# --- resampling ---------------------------------------------------------------------------------------------


def test_image_weights_are_draws_with_replacement() -> None:
    weights = image_weights(50, 400, seed=7)
    assert weights.shape == (400, 50)
    assert weights.dtype == np.float32
    assert (weights.sum(1) == 50).all()
    assert (weights >= 0).all() and np.array_equal(weights, np.rint(weights))
    assert np.abs(weights.mean(0) - 1).max() < 0.25
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.05)  # a multinomial's


def test_image_weights_follow_the_seed_alone() -> None:
    assert np.array_equal(image_weights(20, 30, 1), image_weights(20, 30, 1))
    assert not np.array_equal(image_weights(20, 30, 1), image_weights(20, 30, 2))


def test_interval_of_a_constant_is_the_constant() -> None:
    assert interval(np.full(1000, 0.123)) == (0.123, 0.123)


def test_interval_holds_the_share_it_says() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert interval(values) == pytest.approx((25, 975))
    assert interval(values, 0.5) == pytest.approx((250, 750))


def test_replicates_are_resampled_too() -> None:
    """Trainings that differ make the interval wide, although every one of them is certain over images."""
    truth = truth_of([0] * 100, [0] * 100, 2)
    weights, kl = image_weights(100, 500, 0), np.zeros((4, 100), np.float32)
    same = np.tile(np.arange(100) % 2, (4, 1))
    apart = np.repeat(np.array([0, 0, 1, 1])[:, None], 100, 1)
    narrow, wide = (interval(resampled(truth, p, kl, weights, 1)["accuracy"]) for p in (same, apart))
    assert 0.15 < narrow[1] - narrow[0] < 0.25
    assert wide == (0, 1)


def test_resampled_values_follow_both_seeds() -> None:
    draw = np.random.default_rng(0)
    truth = truth_of(draw.integers(3, size=40).tolist(), draw.integers(3, size=40).tolist(), 3)
    predictions, kl = draw.integers(3, size=(3, 40)), draw.random((3, 40), np.float32)
    one, same, images, replicates = (
        resampled(truth, predictions, kl, image_weights(40, 50, a), b)["accuracy"]
        for a, b in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, images)
    assert not np.array_equal(one, replicates)


@pytest.mark.parametrize("metric", ["accuracy", "agreement", "ratio"])
def test_intervals_contain_the_truth(metric: str) -> None:
    """95% intervals of 100 simulated test sets: a copy right on 85% of images, a victim on all."""
    draw, count, right = np.random.default_rng(0), 200, 0.85
    contained = 0
    for simulation in range(100):
        labels = draw.integers(2, size=count)
        predictions = np.where(draw.random(count) < right, labels, 1 - labels)[None]
        truth = truth_of(labels.tolist(), labels.tolist(), 2)
        values = resampled(
            truth, predictions, np.zeros((1, count), np.float32), image_weights(count, 300, simulation), 0
        )
        low, high = interval(values[metric])
        assert 0.05 < high - low < 0.15
        contained += low <= right <= high
    assert contained >= 85


def test_summary_is_mean_and_interval() -> None:
    draw = np.random.default_rng(3)
    labels = draw.integers(4, size=300)
    truth = truth_of(labels.tolist(), labels.tolist(), 4)
    predictions = np.where(draw.random((3, 300)) < 0.7, labels, draw.integers(4, size=(3, 300)))
    kl = draw.random((3, 300)).astype(np.float32)
    there = summary(truth, predictions, kl, image_weights(300, 400, 0), seed=1)
    assert list(there) == list(METRICS)
    for metric, values in there.items():
        points = [point_metrics(truth, p, k)[metric] for p, k in zip(predictions, kl, strict=True)]
        assert values["value"] == pytest.approx(np.mean(points), abs=1e-6)
        assert values["low"] < values["value"] < values["high"]
        assert all(number == round(number, 6) for number in values.values())


def test_summary_without_sound_replicates_is_empty() -> None:
    truth = truth_of([0, 1], [0, 1], 2)
    nothing = np.empty((0, 2), np.int32), np.empty((0, 2), np.float32)
    assert summary(truth, *nothing, image_weights(2, 100, 0), 0) == {}
    assert summary(truth, np.array([]), np.array([]), image_weights(2, 100, 0), 0) == {}
