"""Metrics of copies against the truth and against the victim, with intervals over test images and replicates.

Every metric is computed from weighted counts, so one function serves the point estimate (all weights one) and all
bootstrap resamples at once. Macro F1 and macro recall stand side by side: the Copycat repository calls either of
them "macro average".
"""

from dataclasses import dataclass

import numpy as np

METRICS = ("accuracy", "macro_recall", "macro_f1", "ratio", "agreement", "kl")
EPSILON = 1e-7


@dataclass(frozen=True)
class Truth:
    """What copies are held against.

    Attributes:
        labels: int, N true classes of the test images.
        victim: float32, N x classes, the victim's posteriors.
    """

    labels: np.ndarray
    victim: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """int, N: the victim's classes."""
        return self.victim.argmax(1)

    @property
    def classes(self) -> int:
        """How many classes."""
        return self.victim.shape[1]


def divergence(victim: np.ndarray, copy: np.ndarray) -> np.ndarray:
    """KL(victim || copy) of every image, in nats, probabilities clipped at EPSILON: float32, N."""
    p, q = np.clip(victim, EPSILON, 1).astype(float), np.clip(copy, EPSILON, 1).astype(float)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    return (p * np.log(p / q)).sum(1).astype(np.float32)


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts of images, true class x predicted class: int64."""
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def image_weights(count: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of ``count`` test images is drawn in each bootstrap resample: float32, resamples x count.

    The seed belongs to the test set, so that two arms scored on it are compared on the same resamples.
    """
    draw = np.random.default_rng(seed)
    return draw.multinomial(count, np.full(count, 1 / count), resamples).astype(np.float32)


def weighted_metrics(
    truth: Truth, predictions: np.ndarray, kl: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Every metric of one set of predictions under each row of weights.

    Args:
        predictions: int, N.
        kl: float32, N, as from ``divergence``.
        weights: float32, rows x N.

    Returns:
        one array of ``rows`` values a metric.
    """
    total = weights.sum(1)
    one_hot = np.eye(truth.classes, dtype=np.float32)
    is_true, is_predicted = one_hot[truth.labels], one_hot[predictions]
    hits = weights @ (is_true * is_predicted)
    support, predicted = weights @ is_true, weights @ is_predicted
    seen, named = support > 0, support + predicted > 0
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=seen)
    f1 = np.divide(2 * hits, support + predicted, out=np.zeros_like(hits), where=named)
    accuracy = hits.sum(1) / total
    victim_accuracy = weights @ (truth.answers == truth.labels).astype(np.float32) / total
    return {
        "accuracy": accuracy,
        "macro_recall": recall.sum(1) / seen.sum(1),
        "macro_f1": f1.sum(1) / named.sum(1),
        "ratio": accuracy / np.maximum(victim_accuracy, 1 / len(truth.labels)),
        "agreement": weights @ (predictions == truth.answers).astype(np.float32) / total,
        "kl": weights @ kl / total,
    }


def point_metrics(truth: Truth, predictions: np.ndarray, kl: np.ndarray) -> dict[str, float]:
    """The metrics of one set of predictions over the test set as it is."""
    ones = np.ones((1, len(truth.labels)), np.float32)
    return {name: float(v[0]) for name, v in weighted_metrics(truth, predictions, kl, ones).items()}


def resampled(
    truth: Truth, predictions: np.ndarray, kl: np.ndarray, weights: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Means over replicates in each bootstrap resample of test images crossed with replicates.

    Args:
        predictions, kl: replicates x N.
        weights: from ``image_weights``.
        seed: of the draw of replicates.

    Returns:
        one array of ``resamples`` values a metric.
    """
    each = [weighted_metrics(truth, p, k, weights) for p, k in zip(predictions, kl, strict=True)]
    count, draw = len(each), np.random.default_rng(seed)
    shares = draw.multinomial(count, np.full(count, 1 / count), len(weights)) / count
    return {metric: (shares * np.stack([values[metric] for values in each], 1)).sum(1) for metric in METRICS}


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summary(
    truth: Truth, predictions: np.ndarray, kl: np.ndarray, weights: np.ndarray, seed: int
) -> dict[str, dict[str, float]]:
    """Mean over replicates and bootstrap interval of every metric; empty where no replicate is sound.

    Args:
        predictions, kl: replicates x N.
        weights: from ``image_weights``.
        seed: of the draw of replicates.

    Returns:
        ``{metric: {value, low, high}}``, rounded to 6 decimals.
    """
    if not len(predictions):
        return {}
    points = [point_metrics(truth, p, k) for p, k in zip(predictions, kl, strict=True)]
    values = resampled(truth, predictions, kl, weights, seed)
    rows = {}
    for metric in METRICS:
        low, high = interval(values[metric])
        mean = float(np.mean([point[metric] for point in points]))
        rows[metric] = {"value": round(mean, 6), "low": round(low, 6), "high": round(high, 6)}
    return rows
