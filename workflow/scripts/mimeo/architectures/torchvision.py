"""Every classifier of torchvision, by name, from scratch or with its ImageNet weights and a new last layer."""

import torch
from torch import nn

from mimeo.architectures import Normalise
from mimeo.errors import MimeoError

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Fit(nn.Module):
    """Grey images to three channels, and any size to the one that the network was made for."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if images.shape[-1] != self.size:
            images = nn.functional.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=True)
        return images


class LogitsOnly(nn.Module):
    """Drops the auxiliary outputs that GoogLeNet and Inception return while training."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer = self.network(images)
        return answer if isinstance(answer, torch.Tensor) else answer.logits


def build(
    channels: int, size: int, classes: int, *, model: str, weights: str | None = None, resize: int | None = None
) -> nn.Module:
    """Builds ``torchvision.models.{model}``.

    Args:
        model: a classifier's name, e.g. ``resnet34``.
        weights: a name such as ``DEFAULT`` or ``IMAGENET1K_V1`` (fetched and checked by torchvision), or None.
        resize: side in pixels that images are resampled to inside the network; None keeps ``size``.

    Raises:
        MimeoError: no such classifier or weights, or the weights can't be fetched.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise MimeoError(f"architecture torchvision: no classifier {model!r} in torchvision (e.g. resnet34)")
    try:
        if weights is None:
            network = models.get_model(model, weights=None, num_classes=classes)
        else:
            network = _new_head(models.get_model(model, weights=weights), classes)
    except (KeyError, ValueError):
        raise MimeoError(f"architecture torchvision: {model} has no weights {weights!r}") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a hash that differs
        raise MimeoError(f"architecture torchvision: weights of {model} can't be fetched: {error}") from None
    return nn.Sequential(Fit(resize or size), Normalise(MEAN, DEVIATION), LogitsOnly(network))


def _new_head(network: nn.Module, classes: int) -> nn.Module:
    """Replaces the last layer that maps to the 1,000 ImageNet classes, whatever the family calls it."""
    for name, layer in reversed(list(network.named_modules())):
        fresh: nn.Module
        if isinstance(layer, nn.Linear) and layer.out_features == 1000:
            fresh = nn.Linear(layer.in_features, classes)
        elif isinstance(layer, nn.Conv2d) and layer.out_channels == 1000:
            fresh = nn.Conv2d(layer.in_channels, classes, layer.kernel_size)  # type: ignore[arg-type]
        else:
            continue
        network.set_submodule(name, fresh)
        return network
    raise MimeoError("architecture torchvision: no layer of 1000 outputs to replace")
