"""A plain convolutional network: three convolutions, the last two with stride 2, and two linear layers."""

from torch import nn

from mimeo.architectures import centre


def build(channels: int, size: int, classes: int, *, width: int = 16) -> nn.Module:
    """``width``: channels of the first convolution; the next have two and four times as many."""
    side = (size + 3) // 4
    return nn.Sequential(
        centre(channels),
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(4 * width * side * side, 4 * width),
        nn.ReLU(inplace=True),
        nn.Linear(4 * width, classes),
    )
