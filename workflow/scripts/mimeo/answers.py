"""What a victim may answer."""

import numpy as np

from mimeo.errors import MimeoError


def check_answers(victim: str, posterior: np.ndarray, expected: tuple[int, int]) -> None:
    """Refuses answers of another shape, not finite, negative, or not summing to one.

    Raises:
        MimeoError: naming the first answer that is none.
    """
    if posterior.shape != expected:
        raise MimeoError(f"victim {victim}: answered with shape {posterior.shape}, expected {expected}")
    sums = posterior.sum(1)
    wrong = ~np.isfinite(posterior).all(1) | (posterior < 0).any(1) | ~(np.abs(sums - 1) < 1e-2)
    if wrong.any():
        at = int(wrong.argmax())
        raise MimeoError(f"victim {victim}: answer {at} is no posterior (sum {sums[at]}, least {posterior[at].min()})")
