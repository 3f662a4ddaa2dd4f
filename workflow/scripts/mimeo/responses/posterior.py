"""The whole posterior, as it is."""

import numpy as np


def respond(posterior: np.ndarray) -> np.ndarray:
    return posterior
