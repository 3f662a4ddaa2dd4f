"""Random, without replacement (Knockoff Nets, section 4.1.2; Copycat CNN): budgets are prefixes of one long draw."""

import numpy as np


def order(count: int, draw: np.random.Generator) -> np.ndarray:
    """A permutation of the ``count`` images of the pool."""
    return draw.permutation(count)
