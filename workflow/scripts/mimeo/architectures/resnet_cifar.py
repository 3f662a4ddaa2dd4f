"""ResNet for images of 32 pixels (He et al. 2016, section 4.2): three stages at full, half and a quarter of the size.

Shortcuts have no weights (their option A): where the size halves, pixels are skipped and channels of zeros appended.
"""

import torch
from torch import nn

from mimeo.architectures import centre
from mimeo.errors import MimeoError

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.stride, self.more = (1 if before == after else 2), after - before
        self.path = nn.Sequential(
            nn.Conv2d(before, after, 3, self.stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kept = images[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.path(images) + nn.functional.pad(kept, (0, 0, 0, 0, 0, self.more)))


def build(channels: int, size: int, classes: int, *, depth: int = 20) -> nn.Module:
    """``depth``: layers with weights, 6 n + 2 for n blocks a stage: 20, 32, 44, 56, 110.

    Raises:
        MimeoError: no such depth.
    """
    blocks, rest = divmod(depth - 2, 6)
    if blocks < 1 or rest:
        raise MimeoError(f"architecture resnet_cifar: depth {depth} is not 6 n + 2")
    layers: list[nn.Module] = [
        centre(channels),
        nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(WIDTHS[0]),
        nn.ReLU(inplace=True),
    ]
    before = WIDTHS[0]
    for width in WIDTHS:
        for _ in range(blocks):
            layers.append(Block(before, width))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))
