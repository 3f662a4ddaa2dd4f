"""ResNet's family (He et al. 2016) in small: residual blocks with batch normalisation and a global mean."""

import torch
from torch import nn

from mimeo.architectures import centre


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, projected where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.path(images) + self.shortcut(images))


def build(channels: int, size: int, classes: int, *, width: int = 16, blocks: int = 2) -> nn.Module:
    """``width``: channels of the stem; every one of the ``blocks`` after the first doubles them."""
    layers: list[nn.Module] = [
        centre(channels),
        nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    before = width
    for block in range(blocks):
        layers.append(Block(before, width << block, 1 if block == 0 else 2))
        before = width << block
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))
