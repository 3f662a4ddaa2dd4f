"""AlexNet's family (Krizhevsky et al. 2012) in small: a wide first kernel, pooled, and dropout before linear layers."""

from torch import nn

from mimeo.architectures import centre


def build(channels: int, size: int, classes: int, *, width: int = 24, dropout: float = 0.3) -> nn.Module:
    """``width``: channels of the first convolution, doubled after it; ``dropout``: share of units dropped."""
    side = size // 4
    return nn.Sequential(
        centre(channels),
        nn.Conv2d(channels, width, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * side * side, 4 * width),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(4 * width, classes),
    )
