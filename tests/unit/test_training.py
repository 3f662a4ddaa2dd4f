"""Training: laws of loss, balance and schedule, and that a network learns, repeats and starts where it was told."""

import copy
import dataclasses
import inspect
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mimeo import training
from mimeo.models import network, posteriors, prepare_device
from mimeo.training import Online, Recipe, balanced, soft_cross_entropy, train

LAWS = settings(deadline=None, max_examples=80, derandomize=True, database=None)
SCHEMA = Path(__file__).resolve().parents[2] / "config" / "schema.yaml"
CLASSES = 4


@pytest.fixture(scope="module", autouse=True)
def device() -> torch.device:
    return prepare_device("cpu", 1)


def recipe(**changes: object) -> Recipe:
    """A recipe for the toy problem, with some of it changed."""
    there: dict[str, object] = {"epochs": 10, "batch": 32, "optimizer": "adamw", "rate": 0.01}
    return Recipe(**{**there, **changes})  # type: ignore[arg-type]


def quadrants(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy 8 x 8 images of which one quadrant is brighter: uint8 images and their classes."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(CLASSES, size=count)
    images = draw.integers(0, 120, (count, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 100
    return images.astype(np.uint8), labels


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[labels]


def fresh(plugin: str = "plain", seed: int = 0, **parameters: int) -> nn.Module:
    """A network for the toy problem."""
    torch.manual_seed(seed)
    small = {"width": 4} if plugin != "resnet_small" else {}
    return network({"plugin": plugin, "parameters": {**small, **parameters}}, 8, 1, CLASSES)()


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


# --- loss ---------------------------------------------------------------------------------------------------


@LAWS
@given(rows=st.integers(1, 6), classes=st.integers(2, 8), seed=st.integers(0, 2**31))
def test_loss_is_cross_entropy_with_soft_targets(rows: int, classes: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    outputs = 10 * torch.randn(rows, classes, generator=draw)
    targets = torch.rand(rows, classes, generator=draw).softmax(1)
    assert torch.allclose(soft_cross_entropy(outputs, targets), nn.functional.cross_entropy(outputs, targets))
    labels = torch.randint(classes, (rows,), generator=draw)
    hard = nn.functional.one_hot(labels, classes).float()
    assert torch.allclose(soft_cross_entropy(outputs, hard), nn.functional.cross_entropy(outputs, labels))


def test_loss_takes_targets_that_do_not_sum_to_one() -> None:
    """A truncated posterior is not renormalised; a row of zeros teaches nothing."""
    outputs = torch.tensor([[0.0, 0.0], [3.0, 1.0]])
    targets = torch.tensor([[0.5, 0.0], [0.0, 0.0]])
    assert soft_cross_entropy(outputs, targets).item() == pytest.approx(0.5 * np.log(2) / 2)


# --- balance ------------------------------------------------------------------------------------------------


@LAWS
@given(labels=st.lists(st.integers(0, 5), max_size=60), classes=st.integers(6, 9), seed=st.integers(0, 2**31))
def test_balanced_classes_are_of_equal_size(labels: list[int], classes: int, seed: int) -> None:
    """floor(N / classes) of each class that is there (one at least), spread evenly over its images."""
    there = np.array(labels, np.int64)
    rows = balanced(there, classes, np.random.default_rng(seed))
    each = max(1, len(labels) // classes)
    assert set(rows.tolist()) <= set(range(len(labels)))
    assert dict(zip(*np.unique(there[rows], return_counts=True), strict=True)) == dict.fromkeys(set(labels), each)
    for label in set(labels):
        members = np.flatnonzero(there == label)
        uses = np.bincount(rows, minlength=len(labels))[members]
        assert uses.max() - uses.min() <= 1
        assert uses.sum() == each
    assert np.array_equal(rows, balanced(there, classes, np.random.default_rng(seed)))


def test_balanced_is_mixed_and_picks_differently() -> None:
    labels = np.repeat(np.arange(4), [5, 100, 20, 75])
    one, other = (balanced(labels, 4, np.random.default_rng(seed)) for seed in (0, 1))
    assert np.bincount(labels[one]).tolist() == [50] * 4
    assert not np.array_equal(np.sort(one), np.sort(other))
    assert len(set(labels[one][:20].tolist())) == 4


def test_balancing_is_used_for_training() -> None:
    """A class of one image in a hundred is learnt when balanced, and steps count balanced images."""
    images, labels = quadrants(400, 0)
    rare = np.r_[np.flatnonzero(labels == 3)[:2], np.flatnonzero(labels != 3)]
    test_images, test_labels = quadrants(200, 1)
    recalls = {}
    for balance in (False, True):
        model = fresh()
        steps: list[int] = []

        def note(done: int, total: int, there: list[int] = steps) -> None:
            there.append(done)

        train(
            model, images[rare], one_hot(labels[rare]), recipe(balance=balance, epochs=4), 0, torch.device("cpu"), note
        )  # fmt: skip
        answers = posteriors(model, test_images, torch.device("cpu")).argmax(1)
        recalls[balance] = (answers == test_labels)[test_labels == 3].mean()
        rows = 4 * (len(rare) // 4) if balance else len(rare)
        assert steps[0] == -(-rows // 32)
    assert recalls[True] > recalls[False] + 0.2


# --- learning -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "rate": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
        {"schedule": "cosine"},
        {"schedule": "step", "drop_every": 0.3334},
        {"precision": "bfloat16"},
    ],
    ids=["adamw", "sgd", "cosine", "step", "bfloat16"],
)
def test_separable_problem_is_learnt(changes: dict[str, object], device: torch.device) -> None:
    images, labels = quadrants(400, 0)
    model = fresh()
    losses = train(model, images, one_hot(labels), recipe(**changes), 0, device)
    test_images, test_labels = quadrants(300, 1)
    assert (posteriors(model, test_images, device).argmax(1) == test_labels).mean() > 0.95
    assert len(losses) == 10
    assert losses[-1] < 0.5 * losses[0]
    assert not model.training
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_soft_targets_are_taught(device: torch.device) -> None:
    """The network comes to answer with the probabilities it was shown, not with their largest entry."""
    images, labels = quadrants(400, 0)
    soft = np.full((400, CLASSES), 0.15, np.float32)
    soft[np.arange(400), labels] = 0.55
    model = fresh()
    train(model, images, soft, recipe(), 0, device)
    test_images, test_labels = quadrants(200, 1)
    answers = posteriors(model, test_images, device)
    assert abs(answers[np.arange(200), test_labels].mean() - 0.55) < 0.05


def test_same_seed_same_weights(device: torch.device) -> None:
    """Bit for bit, with dropout, shift, flip and balance; whatever was drawn before."""
    images, labels = quadrants(150, 0)
    settings_ = recipe(epochs=2, shift=1, flip=True, balance=True)

    def trained(seed: int, noise: int) -> tuple[list[float], dict[str, torch.Tensor]]:
        model = fresh("alexnet_small")
        torch.manual_seed(noise)
        np.random.seed(noise)
        return train(model, images, one_hot(labels), settings_, seed, device), weights(model)

    (one_losses, one), (again_losses, again), (_, other) = trained(5, 1), trained(5, 2), trained(6, 1)
    assert one_losses == again_losses
    assert same(one, again)
    assert not same(one, other)


def test_no_image_leaves_the_network_as_it_is(device: torch.device) -> None:
    for balance in (False, True):
        model = fresh("resnet_small")
        before = weights(model)
        images, targets = np.empty((0, 8, 8, 1), np.uint8), np.empty((0, CLASSES), np.float32)
        assert train(model, images, targets, recipe(balance=balance), 0, device) == []
        assert same(before, weights(model))


def test_fine_tuning_starts_from_the_weights_given(device: torch.device) -> None:
    """With a rate next to nothing the weights stay where they were; with a real one they go on from there."""
    images, labels = quadrants(200, 0)
    model = fresh()
    first = train(model, images, one_hot(labels), recipe(), 0, device)
    before, tuned = weights(model), copy.deepcopy(model)
    train(model, images, one_hot(labels), recipe(rate=1e-12, epochs=2), 1, device)
    assert all(torch.allclose(before[name], tensor, atol=1e-6) for name, tensor in weights(model).items())
    further = train(tuned, images, one_hot(labels), recipe(epochs=2), 1, device)
    assert further[0] < first[0] / 4
    assert not same(before, weights(tuned))


def test_images_and_targets_are_not_written_to(device: torch.device) -> None:
    images, labels = quadrants(64, 0)
    targets = one_hot(labels)
    before, before_targets = images.copy(), targets.copy()
    train(fresh(), images, targets, recipe(epochs=1, shift=1, flip=True), 0, device)
    assert np.array_equal(images, before)
    assert np.array_equal(targets, before_targets)


def test_no_test_data_can_come_near() -> None:
    """What is not handed over can't select an epoch or a checkpoint; what may is a judge, which is none by default."""
    parameters = inspect.signature(train).parameters
    assert [*parameters] == [
        "network", "images", "targets", "recipe", "seed", "device", "progress", "checkpoints", "judge",
    ]  # fmt: skip
    assert parameters["judge"].default is None
    source = inspect.getsource(training)
    assert "load_" not in source and "open(" not in source


# --- learning as answers come in ------------------------------------------------------------------------------

FAMILIES = ("plain", "alexnet_small", "resnet_small")  # nothing random, dropout, batch normalisation


def online(plugin: str = "plain", seed: int = 0, changes: dict[str, object] | None = None) -> Online:
    """A network that learns as it goes; it starts from the seed alone, whatever was drawn before."""
    settings_ = recipe(**{"epochs": 1, "batch": 8, **(changes or {})})
    torch.manual_seed(seed)
    model = fresh(plugin, seed)
    torch.manual_seed(seed + 1)
    return Online(model, settings_, seed, torch.device("cpu"))


def fed(copycat: Online, images: np.ndarray, answers: np.ndarray, cuts: list[int]) -> None:
    """Feeds images in pieces that end at these places."""
    for start, stop in pairwise(sorted({0, *cuts, len(images)})):
        copycat.learn(images[start:stop], answers[start:stop])


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(plugin=st.sampled_from(FAMILIES), cuts=st.lists(st.integers(0, 45), max_size=6))
def test_online_pieces_do_not_matter(plugin: str, cuts: list[int]) -> None:
    """The same steps on the same images, whether they come in one go or in pieces."""
    images, labels = quadrants(45, 0)
    one = online(plugin)
    one.learn(images, one_hot(labels))
    expected = weights(one.network)
    other = online(plugin)
    fed(other, images, one_hot(labels), cuts)
    assert same(expected, weights(other.network))
    assert other.images is not None
    assert np.array_equal(other.images, images[40:])


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(
    plugin=st.sampled_from(FAMILIES), cut=st.integers(0, 45),
    optimiser=st.sampled_from([{}, {"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "sgd"}]),
)  # fmt: skip
def test_online_goes_on_from_a_state_exactly(plugin: str, cut: int, optimiser: dict[str, object]) -> None:
    """Put back into a network of other weights, after other draws: what waits, dropout and momentum included."""
    images, labels = quadrants(45, 0)
    answers = one_hot(labels)
    whole = online(plugin, changes=optimiser)
    whole.learn(images, answers)
    expected = weights(whole.network)
    first = online(plugin, changes=optimiser)
    if cut:
        first.learn(images[:cut], answers[:cut])
    state = {name: tensor.clone() for name, tensor in first.state().items()}
    second = online(plugin, 5, optimiser)
    torch.rand(7)
    second.put_back(state)
    second.learn(images[cut:], answers[cut:])
    assert same(expected, weights(second.network))
    assert all(torch.equal(tensor, second.state()[name]) for name, tensor in whole.state().items() if "wait" in name)


def test_online_images_wait_for_a_whole_batch(device: torch.device) -> None:
    images, labels = quadrants(16, 0)
    copycat = online()
    before = weights(copycat.network)
    copycat.learn(images[:5], one_hot(labels[:5]))
    assert same(before, weights(copycat.network))
    assert copycat.state()["waiting/images"].shape == (5, 8, 8, 1)
    copycat.learn(images[5:9], one_hot(labels[5:9]))
    assert not same(before, weights(copycat.network))
    assert torch.equal(copycat.state()["waiting/images"], torch.from_numpy(images[8:9]))
    assert torch.equal(copycat.state()["waiting/answers"], torch.from_numpy(one_hot(labels[8:9])))


@pytest.mark.parametrize("plugin", FAMILIES)
def test_online_predictions_change_nothing(plugin: str, device: torch.device) -> None:
    """Neither weights nor what is drawn later; and each image's answer is its own."""
    images, labels = quadrants(40, 0)
    copycat = online(plugin)
    copycat.learn(images[:16], one_hot(labels[:16]))
    before, drawn = weights(copycat.network), torch.get_rng_state()
    found = copycat.predict(images)
    assert same(before, weights(copycat.network))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert found.dtype == np.float32
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert np.allclose(found[7:8], copycat.predict(images[7:8]), atol=1e-5)


@pytest.mark.parametrize("plugin", FAMILIES)
@pytest.mark.parametrize("size", [3, 8, 24])
def test_online_says_what_it_thought_before_it_learnt(plugin: str, size: int, device: torch.device) -> None:
    """Bit for bit what it would have answered, whether one pass or two found it; the weights are the same."""
    images, labels = quadrants(5 * size, 0)
    one, other = online(plugin), online(plugin)
    expected, states = [], []
    for copycat in (one, other):
        torch.manual_seed(4)
        found = []
        for start in range(0, len(images), size):
            part, answers = images[start : start + size], one_hot(labels[start : start + size])
            if copycat is one:
                expected.append(copycat.predict(part))
            found.append(copycat.learn(part, answers))
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
        states.append(copycat.state())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert one.steady is (None if size != 8 else plugin == "plain")


def test_online_learns_what_it_is_told(device: torch.device) -> None:
    """One pass over soft answers; images and answers are not written to."""
    images, labels = quadrants(1600, 0)
    answers = 0.9 * one_hot(labels) + 0.025
    before, before_answers = images.copy(), answers.copy()
    copycat = online()
    fed(copycat, images, answers.astype(np.float32), list(range(0, 1600, 10)))
    test_images, test_labels = quadrants(300, 1)
    assert (copycat.predict(test_images).argmax(1) == test_labels).mean() > 0.9
    assert np.array_equal(images, before)
    assert np.array_equal(answers, before_answers)


# --- steps --------------------------------------------------------------------------------------------------


def steps_of(count: int, settings_: Recipe, plugin: str = "plain", **parameters: int) -> list[tuple[int, int]]:
    """What a training reports: steps done and steps in all, after every epoch."""
    images, labels = quadrants(count, 0)
    seen: list[tuple[int, int]] = []
    train(
        fresh(plugin, **parameters), images, one_hot(labels), settings_, 0, torch.device("cpu"),
        lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    return seen


@pytest.mark.parametrize(
    ("count", "steps"), [(1, 1), (2, 1), (15, 1), (16, 1), (17, 1), (18, 2), (32, 2), (33, 2), (34, 3)]
)
def test_every_image_is_seen_but_a_single_last_one(count: int, steps: int) -> None:
    assert steps_of(count, recipe(epochs=2, batch=16)) == [(steps, 2 * steps), (2 * steps, 2 * steps)]


def test_last_batch_of_one_image_does_not_break_batch_normalisation() -> None:
    """The network ends in 1 x 1 pixels, where batch normalisation needs two images."""
    assert len(steps_of(17, recipe(epochs=3, batch=16), "resnet_small", width=2, blocks=4)) == 3


def test_image_left_out_of_an_epoch_gets_its_turn() -> None:
    """Which image waits is drawn anew each epoch: two epochs see all three images of batches of two."""
    seen: set[float] = set()

    class Watch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.update(images[:, 0, 0, 0].mul(255).round().tolist())
            return self.scale * images.mean((1, 2, 3))[:, None].expand(-1, CLASSES)

    images = np.arange(9, dtype=np.uint8)[:, None, None, None].repeat(2, 1).repeat(2, 2)
    train(Watch(), images, one_hot(np.zeros(9, int)), recipe(epochs=6, batch=4), 0, torch.device("cpu"))
    assert seen == set(range(9))


@pytest.mark.parametrize(("least", "epochs"), [(0, 3), (6, 3), (7, 4), (20, 10), (21, 11)])
def test_least_steps_extend_the_epochs(least: int, epochs: int) -> None:
    """Two batches an epoch; never fewer epochs than the recipe says."""
    seen = steps_of(32, recipe(epochs=3, batch=16, least_steps=least))
    assert seen[-1] == (2 * epochs, 2 * epochs)
    assert len(seen) == epochs


def test_diverging_training_ends_early_and_says_so(device: torch.device) -> None:
    images, labels = quadrants(64, 0)
    losses = train(
        fresh(), images, one_hot(labels), recipe(epochs=30, optimizer="sgd", rate=1e6, momentum=0.9), 0, device
    )
    assert not np.isfinite(losses[-1])
    assert np.isfinite(losses[:-1]).all()
    assert len(losses) < 30


# --- schedules ----------------------------------------------------------------------------------------------


class Watched(torch.optim.SGD):
    """Notes the learning rate at every step."""

    seen: ClassVar[list[float]] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.seen.extend(group["lr"] for group in self.param_groups)


def rates(steps: int, **changes: object) -> list[float]:
    """The learning rate of every step of a training, relative to the recipe's."""
    Watched.seen.clear()
    images = np.zeros((2 * steps, 1, 1, 1), np.uint8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, CLASSES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_optimizer", lambda network, recipe: Watched(network.parameters(), recipe.rate))
        train(
            model, images, one_hot(np.zeros(2 * steps, int)), recipe(epochs=1, batch=2, rate=0.5, **changes), 0,
            torch.device("cpu"),
        )  # fmt: skip
    return [rate / 0.5 for rate in Watched.seen]


@LAWS
@given(third=st.integers(1, 60))
def test_step_schedule_drops_at_each_third(third: int) -> None:
    """Knockoff's and Copycat's schedules: times 0.1 after every third of the run."""
    expected = [1.0] * third + [0.1] * third + [0.01] * third
    assert rates(3 * third, schedule="step", drop_every=1 / 3) == pytest.approx(expected)


def test_step_schedule_obeys_factor_and_fraction() -> None:
    assert rates(8, schedule="step", drop=0.5, drop_every=0.25) == pytest.approx(
        [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    )
    assert rates(10, schedule="step", drop_every=0.6) == pytest.approx([1] * 6 + [0.1] * 4)
    assert rates(10, schedule="step") == pytest.approx([1] * 10)


def test_constant_schedule_is_constant() -> None:
    assert rates(17) == [1.0] * 17


@pytest.mark.parametrize("steps", [1, 7, 40, 400])
def test_cosine_schedule_warms_up_and_falls(steps: int) -> None:
    """Up over a twentieth of the run, then down to nearly nothing; never negative."""
    seen, warm = rates(steps, schedule="cosine"), max(1, steps // 20)
    assert seen[0] == pytest.approx(1 / warm)
    assert all(one < other for one, other in pairwise(seen[:warm]))
    assert all(one > other for one, other in pairwise(seen[warm:]))
    assert min(seen) > 0
    if steps >= 40:
        assert seen[-1] < 0.01 < 0.95 < max(seen)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_optimisers_get_their_settings_and_free_weights_alone(name: str, kind: type) -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    optimizer = training._optimizer(model, recipe(optimizer=name, rate=0.3, momentum=0.7, weight_decay=0.2))
    assert type(optimizer) is kind
    [group] = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.3, 0.2)
    assert group.get("momentum", 0.7) == 0.7
    assert [tuple(weight.shape) for weight in group["params"]] == [(2, 2)]


def test_recipe_has_the_keys_of_the_schema() -> None:
    """What the configuration may say of a recipe is what training knows, and the same must be said."""
    entry = yaml.safe_load(SCHEMA.read_text())["$defs"]["recipes"]["additionalProperties"]
    fields = dataclasses.fields(Recipe)
    assert {field.name for field in fields} == set(entry["properties"])
    assert {field.name for field in fields if field.default is dataclasses.MISSING} == set(entry["required"])
