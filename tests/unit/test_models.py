"""Networks on a device: kept and loaded exactly, and answering with posteriors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mimeo.models import (
    Network,
    load_models,
    network,
    posteriors,
    prepare_device,
    save_models,
    to_device,
    to_unit,
)
from mimeo.plugins import load
from mimeo.store import save_tensors

Complaint = Callable[[Callable[[], object]], str]
SMALL = ("plain", "vgg_small", "resnet_small", "alexnet_small")


@pytest.fixture(scope="module", autouse=True)
def device() -> torch.device:
    return prepare_device("cpu", 1)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 8, 8, 1), dtype=np.uint8)


def plan(plugin: str = "plain", **parameters: object) -> Network:
    """A function that builds a network of four classes for 8 x 8 grey images."""
    return network({"plugin": plugin, "parameters": parameters}, 8, 1, 4)


def replicates(fresh: Network, count: int) -> dict[int, torch.nn.Module]:
    """Networks of different weights, numbered from 3."""
    torch.manual_seed(0)
    return {number: fresh() for number in range(3, 3 + count)}


@pytest.mark.parametrize("plugin", SMALL)
def test_replicates_come_back(tmp_path: Path, plugin: str, images: np.ndarray, device: torch.device) -> None:
    """The same weights, running means and all, in the order of their number, ready to answer."""
    models, path = replicates(plan(plugin), 3), str(tmp_path / "a.safetensors")
    for model in models.values():  # running means other than those of a fresh network
        model.to(memory_format=torch.channels_last)(torch.rand(9, 1, 8, 8))
    save_models(path, dict(reversed(models.items())))
    back = load_models(path, plan(plugin), 3)
    for model, there in zip(back, models.values(), strict=True):
        assert not model.training
        assert model.state_dict().keys() == there.state_dict().keys()
        assert all(torch.equal(tensor, there.state_dict()[name]) for name, tensor in model.state_dict().items())
        assert np.array_equal(posteriors(model, images, device), posteriors(there.eval(), images, device))


def test_ten_replicates_are_in_the_order_of_their_number(tmp_path: Path) -> None:
    """Replicate 10 comes after 9, not after 1."""
    models, path = replicates(plan(width=1), 9), str(tmp_path / "a.safetensors")
    save_models(path, models)
    for model, there in zip(load_models(path, plan(width=1), 9), models.values(), strict=True):
        assert torch.equal(next(model.parameters()), next(there.parameters()))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_count_is_one_line(tmp_path: Path, count: int, complaint: Complaint) -> None:
    path = str(tmp_path / "a.safetensors")
    save_models(path, replicates(plan(), 2))
    text = complaint(lambda: load_models(path, plan(), count))
    assert path in text and "holds 2 replicates" in text and str(count) in text


@pytest.mark.parametrize("other", [plan(width=7), plan("vgg_small"), plan("resnet_small")])
def test_other_architecture_is_one_line(tmp_path: Path, other: Network, complaint: Complaint) -> None:
    path = str(tmp_path / "a.safetensors")
    save_models(path, replicates(plan(), 1))
    text = complaint(lambda: load_models(path, other, 1))
    assert path in text and "replicate 3" in text and "another architecture" in text


def test_damaged_weights_are_one_line(tmp_path: Path, complaint: Complaint) -> None:
    path = tmp_path / "a.safetensors"
    save_models(str(path), replicates(plan(), 1))
    path.write_bytes(path.read_bytes()[:-4])
    assert str(path) in complaint(lambda: load_models(path, plan(), 1))


def test_weights_of_another_making_are_one_line(tmp_path: Path, complaint: Complaint) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, plan()().state_dict())
    assert str(path) in complaint(lambda: load_models(path, plan(), 1))


def test_a_victim_answers_as_its_network_does(tmp_path: Path, images: np.ndarray, device: torch.device) -> None:
    models, path = replicates(plan(), 1), tmp_path / "a.safetensors"
    save_models(str(path), models)
    answers = load("victims", "trained").answerer(path, plan(), device)(images)
    assert np.array_equal(answers, posteriors(models[3].eval(), images, device))


@pytest.mark.parametrize("plugin", SMALL)
def test_posteriors_are_probabilities(plugin: str, images: np.ndarray, device: torch.device) -> None:
    [model] = replicates(plan(plugin), 1).values()
    answers = posteriors(model.eval(), images, device)
    assert answers.shape == (70, 4)
    assert answers.dtype == np.float32
    assert (answers >= 0).all()
    assert np.abs(answers.sum(1) - 1).max() < 1e-6


@pytest.mark.parametrize("plugin", SMALL)
def test_posteriors_do_not_depend_on_how_many_are_asked(plugin: str, images: np.ndarray, device: torch.device) -> None:
    """Images are answered one by one; only the last digit of a float32 may follow the size of the last batch."""
    [model] = replicates(plan(plugin), 1).values()
    model.eval()
    whole = posteriors(model, images, device)
    for count in (1, 2, 33, 64):
        few = posteriors(model, images[:count], device)
        assert np.abs(few - whole[:count]).max() < 2e-7
    for batch in (1, 7, 32):
        assert np.abs(posteriors(model, images, device, batch) - whole).max() < 2e-7


def test_full_batches_are_the_same_bit_for_bit(images: np.ndarray, device: torch.device) -> None:
    [model] = replicates(plan(), 1).values()
    whole = posteriors(model.eval(), images, device, batch=16)
    assert np.array_equal(posteriors(model, images[:32], device, batch=16), whole[:32])


def test_network_is_fresh_at_every_call() -> None:
    fresh = plan()
    torch.manual_seed(0)
    one, other = fresh(), fresh()
    assert one is not other
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    torch.manual_seed(0)
    assert torch.equal(next(fresh().parameters()), next(one.parameters()))


def test_images_reach_the_device_as_they_are(images: np.ndarray, device: torch.device) -> None:
    """Channels first in shape, last in memory, without touching the array; read-only arrays too."""
    images = images.repeat(3, 3)
    frozen = images.copy()
    frozen.flags.writeable = False
    for there in (images, frozen):
        tensor = to_device(there, device)
        assert tensor.shape == (70, 3, 8, 8)
        assert tensor.dtype == torch.uint8
        assert tensor.is_contiguous(memory_format=torch.channels_last)
        assert np.array_equal(tensor.permute(0, 2, 3, 1).numpy(), images)
    unit = to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
    assert unit.tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_absent_gpu_is_one_line(complaint: Complaint) -> None:
    assert "cuda" in complaint(lambda: prepare_device("cuda", 1))
    assert prepare_device("auto", 1).type == "cpu"


def test_device_fixes_threads_and_determinism() -> None:
    assert prepare_device("cpu", 2).type == "cpu"
    assert torch.get_num_threads() == 2
    prepare_device("cpu", 1)
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
