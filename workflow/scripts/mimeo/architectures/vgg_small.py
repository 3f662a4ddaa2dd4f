"""VGG's family (Simonyan and Zisserman 2015) in small: pairs of 3 x 3 convolutions, each pair pooled."""

from torch import nn

from mimeo.architectures import centre


def build(channels: int, size: int, classes: int, *, width: int = 16, stages: int = 2) -> nn.Module:
    """``width``: channels of the first stage, doubled at each of the ``stages``, which halve the image."""
    layers: list[nn.Module] = [centre(channels)]
    before = channels
    for stage in range(stages):
        for _ in range(2):
            layers += [nn.Conv2d(before, width << stage, 3, padding=1), nn.ReLU(inplace=True)]
            before = width << stage
        layers.append(nn.MaxPool2d(2))
    side = size >> stages
    layers += [
        nn.Flatten(),
        nn.Linear(before * side * side, 4 * width),
        nn.ReLU(inplace=True),
        nn.Linear(4 * width, classes),
    ]
    return nn.Sequential(*layers)
