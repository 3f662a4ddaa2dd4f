"""Networks on a device: where they run, how they are kept, how they answer."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mimeo.errors import MimeoError
from mimeo.plugins import load
from mimeo.startup import nn, torch
from mimeo.store import load_tensors, save_tensors

Network = Callable[[], nn.Module]


def prepare_device(name: str, threads: int) -> torch.device:
    """Chooses the device and makes arithmetic repeatable on it.

    Args:
        name: ``cpu``, ``cuda``, or ``auto`` (a GPU where there is one).
        threads: of the CPU, fixed by the scale and not by the cores that happen to be free, since sums depend
            on how they are split.

    Raises:
        MimeoError: ``cuda`` without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise MimeoError("device: cuda was asked for and this machine has no usable GPU")
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.benchmark = False
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def network(architecture: Mapping, size: int, channels: int, classes: int) -> Network:
    """A function that builds a fresh network: ``architecture`` has ``plugin`` and ``parameters``."""
    build = load("architectures", architecture["plugin"]).build
    return lambda: build(channels, size, classes, **architecture["parameters"])


END = "end/"


def save_models(
    path: str, models: Mapping[int, nn.Module], ends: Mapping[int, Mapping[str, torch.Tensor]] | None = None
) -> None:
    """Keeps replicates in one file: the tensor ``t`` of replicate ``r`` is named ``r/t``.

    Args:
        ends: the weights with which a replicate's training ended, where it has kept those of an earlier epoch; ``t`` of
            ``r`` is named ``end/r/t``.
    """
    tensors = {f"{replicate}/{name}": t for replicate, m in models.items() for name, t in m.state_dict().items()}
    for replicate, end in (ends or {}).items():
        tensors |= {f"{END}{replicate}/{name}": t.cpu() for name, t in end.items()}
    save_tensors(path, tensors)


def load_models(path: str | Path, fresh: Network, count: int, ended: bool = False) -> list[nn.Module]:
    """The ``count`` replicates of a file, in the order of their number, in evaluation mode on the CPU.

    Args:
        ended: as their trainings ended, where they have kept the weights of an earlier epoch.

    Raises:
        MimeoError: the file is damaged, holds another count, or tensors of another network.
    """
    tensors = load_tensors(path)
    ends = {name.removeprefix(END): tensors.pop(name) for name in list(tensors) if name.startswith(END)}
    if ended:
        tensors |= ends
    heads = {name.partition("/")[0] for name in tensors}
    if not all(head.isdecimal() for head in heads):
        raise MimeoError(f"{path}: its tensors are not named by replicate")
    numbers = sorted(map(int, heads))
    if len(numbers) != count:
        raise MimeoError(f"{path}: holds {len(numbers)} replicates, expected {count}")
    models = []
    for number in numbers:
        prefix = f"{number}/"
        state = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        model = fresh()
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise MimeoError(f"{path}: replicate {number} is of another architecture: {reason}") from None
        models.append(model.eval())
    return models


def to_device(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 images N x height x width x channels as a uint8 tensor N x channels x height x width, in
    channels-last memory (that is, without a copy of the pixels in another order)."""
    tensor = torch.from_numpy(np.array(images, copy=True) if not images.flags.writeable else images)
    return tensor.to(device).permute(0, 3, 1, 2)


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """uint8 in [0, 255] to float32 in [0, 1]."""
    return images.float().div_(255)


@torch.inference_mode()
def features(model: nn.Module, images: np.ndarray, device: torch.device, batch: int = 256) -> np.ndarray:
    """What a network's last linear layer sees: float32, N x features.

    Raises:
        MimeoError: it has none.
    """
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise MimeoError("features: the network has no linear layer, whose input they would be")
    seen: list[torch.Tensor] = []
    with linear[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().flatten(1).cpu())):
        posteriors(model.to(device), images, device, batch)
    return torch.cat(seen).numpy()


@torch.inference_mode()
def posteriors(model: nn.Module, images: np.ndarray, device: torch.device, batch: int = 1024) -> np.ndarray:
    """Softmax outputs of a network in evaluation mode.

    Args:
        images: uint8, N x height x width x channels.
        batch: images a pass.

    Returns:
        float32, N x classes.
    """
    answers = [
        model(to_unit(to_device(images[start : start + batch], device))).float().softmax(1).cpu()
        for start in range(0, len(images), batch)
    ]
    return torch.cat(answers).numpy()
