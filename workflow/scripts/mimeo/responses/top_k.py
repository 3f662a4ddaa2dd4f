"""The k largest probabilities; the others become 0 and nothing is renormalised (Knockoff Nets, figure 9)."""

import numpy as np

from mimeo.errors import MimeoError


def respond(posterior: np.ndarray, *, k: int) -> np.ndarray:
    """Among equal probabilities the class of the lower index is kept."""
    if k < 1:
        raise MimeoError(f"response top_k: k is {k}, it must be at least 1")
    order = np.argsort(-posterior, axis=1, kind="stable")[:, :k]
    kept = np.zeros_like(posterior)
    np.put_along_axis(kept, order, np.take_along_axis(posterior, order, 1), 1)
    return kept
