"""A victim that this pipeline trains itself: its softmax outputs, straight from the network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mimeo.models import load_models, posteriors
from mimeo.startup import torch


def answerer(
    weights: Path, network: Callable[[], torch.nn.Module], device: torch.device
) -> Callable[[np.ndarray], np.ndarray]:
    """Loads the network's weights and answers with its softmax outputs."""
    [model] = load_models(weights, network, 1)
    model.to(device)
    return lambda images: posteriors(model, images, device)
