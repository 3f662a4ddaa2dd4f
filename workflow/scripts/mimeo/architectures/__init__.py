"""What an architecture is. A plug-in ``architectures/{name}.py`` holds one function:

``build(channels, size, classes, *, ...) -> torch.nn.Module``
    a fresh network from N x channels x size x size float images in [0, 1] to N x classes logits. Normalisation
    is the network's own first layer, so a copycat never needs to know its victim's. Keyword-only arguments are
    the plug-in's own parameters.
"""

import torch
from torch import nn


class Normalise(nn.Module):
    """Subtracts a mean and divides by a deviation, one a channel; expects images in [0, 1]."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: list[float], deviation: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.deviation


def centre(channels: int) -> Normalise:
    """Maps [0, 1] to [-1, 1]: for networks that are trained from scratch."""
    return Normalise([0.5] * channels, [0.5] * channels)
