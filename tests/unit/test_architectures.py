"""Architectures: every plug-in maps images to logits, from a seed, at every size it is asked for."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import nn

from mimeo import architectures
from mimeo.architectures import Normalise, centre
from mimeo.architectures import torchvision as plugin
from mimeo.models import network, prepare_device
from mimeo.plugins import load

Complaint = Callable[[Callable[[], object]], str]
FILES = sorted(path.stem for path in Path(architectures.__file__).parent.glob("[!_]*.py"))


def needed(name: str) -> list[str]:
    """Parameters of a plug-in that have no default."""
    parameters = inspect.signature(load("architectures", name).build).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]


SMALL = [name for name in FILES if not needed(name)]


@pytest.fixture(scope="module", autouse=True)
def device() -> torch.device:
    return prepare_device("cpu", 1)


def built(name: str, channels: int, size: int, classes: int, seed: int = 0, **parameters: Any) -> nn.Module:
    """A fresh network from a seed."""
    torch.manual_seed(seed)
    return network({"plugin": name, "parameters": parameters}, size, channels, classes)()


def test_plugins_are_found() -> None:
    assert {"alexnet_small", "plain", "resnet_cifar", "resnet_small", "vgg_small"} <= set(SMALL)
    assert "torchvision" in FILES


@pytest.mark.parametrize("name", FILES)
def test_interface(name: str) -> None:
    """Channels, size and classes by place; everything else by keyword."""
    parameters = list(inspect.signature(load("architectures", name).build).parameters.values())
    assert [p.name for p in parameters[:3]] == ["channels", "size", "classes"]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[3:])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 13, 16, 28, 32])
@pytest.mark.parametrize("name", SMALL)
def test_small_networks_map_images_to_logits(name: str, size: int, channels: int) -> None:
    """In training and in evaluation; every weight takes part, and outputs are not yet probabilities."""
    model = built(name, channels, size, 7)
    images = torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(1))
    outputs = model.train()(images)
    assert outputs.shape == (2, 7)
    outputs.square().sum().backward()
    for weight in model.parameters():
        assert weight.grad is not None
    assert model.eval()(images).shape == (2, 7)
    assert not torch.allclose(outputs.sum(1), torch.ones(2))


@pytest.mark.parametrize("name", SMALL)
def test_weights_follow_the_seed(name: str) -> None:
    one, same, other = (built(name, 1, 8, 10, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def weights(name: str, channels: int, size: int, **parameters: int) -> int:
    """Weights of a network for ten classes."""
    return sum(weight.numel() for weight in built(name, channels, size, 10, **parameters).parameters())


@pytest.mark.parametrize("name", SMALL)
def test_width_and_classes_are_obeyed(name: str) -> None:
    narrow, wide = ({"depth": 8}, {"depth": 14}) if name == "resnet_cifar" else ({"width": 4}, {"width": 8})
    assert weights(name, 1, 8, **narrow) < weights(name, 1, 8, **wide)
    assert built(name, 1, 8, 37)(torch.rand(2, 1, 8, 8)).shape == (2, 37)


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_resnets_of_cifar_have_the_published_weights(depth: int, millions: float) -> None:
    """He et al. 2016, table 6; weights alone are counted, as there, and layers by hand."""
    digits = 1 if depth == 110 else 2
    assert round(weights("resnet_cifar", 3, 32, depth=depth) / 1e6, digits) == millions
    layers = [
        m for m in built("resnet_cifar", 3, 32, 10, depth=depth).modules() if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    assert len(layers) == depth


def test_resnets_of_cifar_halve_twice() -> None:
    """From 32 pixels to 8 before the global mean, and the shortcut passes an image on where the path is zero."""
    network = built("resnet_cifar", 3, 32, 10, depth=8)
    assert isinstance(network, nn.Sequential)
    inner = network[:-3](torch.rand(2, 3, 32, 32))
    assert inner.shape == (2, 64, 8, 8)
    block = network[5]
    assert isinstance(block, nn.Module)
    for weight in block.parameters():
        nn.init.zeros_(weight)
    before = torch.rand(2, 16, 32, 32)
    after = block(before)
    assert torch.equal(after[:, :16], before[:, :, ::2, ::2])
    assert not after[:, 16:].any()


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_resnets_of_cifar_have_6n_plus_2_layers(depth: int, complaint: Complaint) -> None:
    assert "6 n + 2" in complaint(lambda: built("resnet_cifar", 3, 32, 10, depth=depth))


@pytest.mark.parametrize("name", SMALL)
def test_images_enter_unnormalised(name: str) -> None:
    """The first layer normalises, and keeps nothing in the weights' file."""
    model = built(name, 3, 8, 10)
    assert isinstance(model[0], Normalise)  # type: ignore[index]
    assert not [key for key in model.state_dict() if key.startswith("0.")]


def test_normalisation_by_hand() -> None:
    images = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 1, 3)
    assert centre(1)(images).flatten().tolist() == [-1, -0.5, 1]
    colour = Normalise([0.5, 0.0, 1.0], [0.5, 2.0, 0.25])(torch.ones(1, 3, 1, 1))
    assert colour.flatten().tolist() == [1, 0.5, 0]


# --- torchvision --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("model", "parameters"),
    [("resnet18", {}), ("alexnet", {"resize": 64}), ("squeezenet1_1", {}), ("googlenet", {"resize": 64})],
)
def test_torchvision_classifiers_give_logits(model: str, parameters: dict[str, int], channels: int) -> None:
    """In training too, where GoogLeNet returns auxiliary outputs beside them; grey images and small ones alike."""
    there = built("torchvision", channels, 32, 7, model=model, weights=None, **parameters)
    images = torch.rand(2, channels, 32, 32, generator=torch.Generator().manual_seed(0))
    for mode in (True, False):
        outputs = there.train(mode)(images)
        assert isinstance(outputs, torch.Tensor)
        assert outputs.shape == (2, 7)
        assert torch.isfinite(outputs).all()


def test_torchvision_weights_follow_the_seed() -> None:
    one, same, other = (built("torchvision", 1, 32, 7, seed, model="squeezenet1_1").state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_fitting_images_to_the_network() -> None:
    """Grey becomes three equal channels; other sizes are resampled, the right size is left alone."""
    fit = plugin.Fit(16)
    images = torch.rand(2, 1, 8, 8)
    large = fit(images)
    assert large.shape == (2, 3, 16, 16)
    assert torch.equal(large[:, 0], large[:, 2])
    assert torch.allclose(nn.functional.avg_pool2d(large[:, :1], 2).mean(), images.mean(), atol=0.02)
    right = torch.rand(2, 3, 16, 16)
    assert torch.equal(fit(right), right)
    assert fit(torch.full((1, 3, 50, 50), 0.3)).allclose(torch.tensor(0.3))


@pytest.mark.parametrize("model", ["no_such_network", "", "resnet", "fasterrcnn_resnet50_fpn", "raft_small"])
def test_unknown_classifier_is_one_line(model: str, complaint: Complaint) -> None:
    """Detectors and the like are no classifiers."""
    assert repr(model) in complaint(lambda: built("torchvision", 3, 32, 7, model=model))


def test_unknown_weights_are_one_line(complaint: Complaint) -> None:
    text = complaint(lambda: built("torchvision", 3, 32, 7, model="resnet18", weights="IMAGENET9"))
    assert "resnet18" in text and "IMAGENET9" in text


@pytest.mark.parametrize(
    "error",
    [
        URLError("no route to host"),
        ConnectionResetError("reset by peer"),
        pytest.param(RuntimeError('invalid hash value (expected "b8a52dc0", got "00")')),
    ],
)
def test_weights_that_cannot_be_fetched_are_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    from torchvision.models import _api

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(_api, "load_state_dict_from_url", refuse)
    text = complaint(lambda: built("torchvision", 3, 32, 7, model="squeezenet1_1", weights="IMAGENET1K_V1"))
    assert "squeezenet1_1" in text


@pytest.mark.parametrize("model", ["resnet18", "vgg11", "densenet121", "squeezenet1_1", "mobilenet_v3_small"])
def test_new_head_replaces_the_last_layer_alone(model: str) -> None:
    """Every other tensor keeps its shape; the network then has as many outputs as there are classes."""
    from torchvision import models

    with torch.device("meta"):
        there = models.get_model(model, weights=None)
        before = {name: weight.shape for name, weight in there.named_parameters()}
        made = plugin._new_head(there, 7)
        after = {name: weight.shape for name, weight in made.named_parameters()}
        assert made.eval()(torch.rand(2, 3, 64, 64)).shape == (2, 7)
    assert before.keys() == after.keys()
    changed = [name for name in before if before[name] != after[name]]
    assert len({name.rpartition(".")[0] for name in changed}) == 1
    assert {before[name][0] for name in changed} == {1000}
    assert {after[name][0] for name in changed} == {7}


def test_new_head_needs_a_layer_to_replace(complaint: Complaint) -> None:
    complaint(lambda: plugin._new_head(nn.Sequential(nn.Linear(4, 999)), 7))


def test_auxiliary_outputs_are_dropped() -> None:
    class Answer:
        logits = torch.ones(1)

    assert torch.equal(plugin.LogitsOnly(nn.Identity())(torch.zeros(1)), torch.zeros(1))
    assert torch.equal(plugin.LogitsOnly(nn.Identity())(Answer()), torch.ones(1))


# --- plug-ins by name ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"), [("architectures", "absent"), ("strategies", "absent"), ("tables/knockoff", "absent")]
)
def test_absent_plugin_is_one_line(kind: str, name: str, complaint: Complaint) -> None:
    assert f"{kind}/{name}.py" in complaint(lambda: load(kind, name))


def test_plugin_whose_import_fails_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that a plug-in lacks is not mistaken for an absent plug-in."""
    (tmp_path / "needs_more.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        load("architectures", "needs_more")
