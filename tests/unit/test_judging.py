"""A judge keeps the epoch that it values most, changes nothing of the training, and outlives any stop."""

import itertools
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import train_copycat
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mimeo.checkpoints import Checkpoint, Checkpoints
from mimeo.console import Console
from mimeo.errors import MimeoError
from mimeo.judging import Judge
from mimeo.models import load_models, network, posteriors, prepare_device, save_models
from mimeo.records import Cost
from mimeo.store import load_json, save_array, save_json
from mimeo.training import Recipe, train

CPU, CLASSES, COUNT, BATCH = torch.device("cpu"), 4, 24, 8
STEPS = COUNT // BATCH  # an epoch
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3)).astype(np.uint8)
ANSWERS = np.random.default_rng(1).dirichlet(np.ones(CLASSES), COUNT).astype(np.float16)
OTHERS = np.random.default_rng(2).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
LABELS = np.random.default_rng(3).integers(0, CLASSES, 50)
NETWORK: dict[str, Any] = {"plugin": "alexnet_small", "parameters": {"width": 4}}  # with dropout
RECIPE: dict[str, Any] = {
    "epochs": 4, "batch": BATCH, "optimizer": "adamw", "rate": 0.01, "schedule": "cosine", "shift": 1, "flip": True,
}  # fmt: skip
SHAPE = {"size": 8, "channels": 3, "classes": CLASSES}
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    prepare_device("cpu", 1)


def fresh() -> nn.Module:
    torch.manual_seed(3)
    return network(NETWORK, 8, 3, CLASSES)()


def weights(model: nn.Module) -> Weights:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def trained(judge: Judge | None, **recipe: Any) -> tuple[Weights, list[float]]:
    model = fresh()
    losses = train(model, IMAGES, ANSWERS.astype(np.float32), Recipe(**RECIPE | recipe), 7, CPU, judge=judge)
    assert not model.training
    return weights(model), losses


def by_list(values: list[float], seen: list[Weights]) -> Judge:
    """A judge that gives the values of a list, one an epoch, and notes the weights it has seen."""
    there = iter(values)

    def value(model: nn.Module) -> float:
        assert not model.training
        seen.append(weights(model))
        return next(there)

    return Judge(value)


@settings(deadline=None, max_examples=30, derandomize=True, database=None)
@given(values=st.lists(st.integers(0, 3).map(float), min_size=1, max_size=6))
def test_the_last_of_the_most_valued_epochs_is_kept(values: list[float]) -> None:
    """Its value is the maximum and no later epoch has it; the weights are those seen then, and at the end."""
    seen: list[Weights] = []
    judge = by_list(values, seen)
    found, losses = trained(judge, epochs=len(values))
    assert judge.values == values
    assert len(losses) == len(seen) == len(values)
    assert values[judge.epoch - 1] == max(values)
    assert max(values) not in values[judge.epoch :]
    assert same(found, seen[judge.epoch - 1])
    assert same({name: tensor.clone() for name, tensor in judge.end.items()}, seen[-1])
    assert not judge.weights


def test_where_values_rise_the_last_epoch_is_kept() -> None:
    """Then a training with a judge is one without, to the bit: to be looked at changes no draw."""
    plain = trained(None)
    judged = trained(by_list([0.1, 0.2, 0.3, 0.4], []))
    assert judged[1] == plain[1]
    assert same(judged[0], plain[0])


def test_epochs_that_least_steps_add_are_judged_too() -> None:
    judge = by_list([0, 0, 0, 0, 0, 1, 0], [])
    _, losses = trained(judge, least_steps=7 * STEPS - 1)
    assert (len(losses), judge.epoch) == (7, 6)


def test_nothing_to_learn_is_not_judged() -> None:
    judge, model = by_list([], []), fresh()
    before = weights(model)
    empty = np.empty((0, 8, 8, 3), np.uint8), np.empty((0, CLASSES), np.float32)
    assert train(model, *empty, Recipe(**RECIPE), 0, CPU, judge=judge) == []
    assert judge.epoch == 0
    assert same(before, weights(model))


def test_a_diverged_epoch_is_seen() -> None:
    """One value an epoch, and its loss says that it diverged."""
    judge = Judge(train_copycat.agreement(OTHERS, LABELS, CPU))
    _, losses = trained(judge, epochs=30, optimizer="sgd", rate=1e9, momentum=0.9, schedule="constant")
    assert not np.isfinite(losses[-1])
    assert len(judge.values) == len(losses) < 30


# --- checkpoints ----------------------------------------------------------------------------------------------


def stopping(patch: pytest.MonkeyPatch, after: int) -> None:
    """Sends this process SIGTERM after so many steps."""
    steps, really = itertools.count(1), Checkpoint.due

    def due(self: Checkpoint) -> bool:
        if next(steps) == after:
            signal.raise_signal(signal.SIGTERM)
        return really(self)

    patch.setattr(Checkpoint, "due", due)


def judged_by(values: list[float]) -> Callable[[nn.Module], float]:
    """Values by the epoch of the weights, whoever asks and how often: those of a plain training are known by heart."""
    seen: list[Weights] = []
    trained(by_list([0.0] * len(values), seen), epochs=len(values))

    def value(model: nn.Module) -> float:
        [epoch] = [number for number, there in enumerate(seen) if same(there, weights(model))]
        return values[epoch]

    return value


@pytest.mark.parametrize("values", [[0, 0, 0, 0], [3, 0, 1, 2], [1, 3, 3, 0], [0, 1, 2, 3]], ids=str)
def test_stopped_at_every_step(values: list[float], tmp_path: Path) -> None:
    """The same weights, losses and values as in one go, and the file is bounded: weights, those kept, optimiser."""
    value = judged_by(values)
    whole_judge = Judge(value)
    whole, losses = trained(whole_judge)
    save_models(str(tmp_path / "weights"), {0: fresh()})
    size = (tmp_path / "weights").stat().st_size
    for after in range(1, 4 * STEPS + 1):
        folder = tmp_path / str(after)

        def run(folder: Path = folder) -> tuple[Weights, list[float], Judge]:
            model, judge, say = fresh(), Judge(value), Console(folder / "log")
            try:
                with Checkpoints(str(folder / "kept"), 0, [], Cost(), say) as kept:
                    targets = ANSWERS.astype(np.float32)
                    found = train(model, IMAGES, targets, Recipe(**RECIPE), 7, CPU, checkpoints=kept, judge=judge)
            finally:
                say.file.close()
            return weights(model), found, judge

        with pytest.MonkeyPatch.context() as patch, pytest.raises(MimeoError, match="stopped by SIGTERM"):
            stopping(patch, after)
            run()
        [file] = (folder / "kept").iterdir()
        assert file.stat().st_size < 4 * size + 8 * COUNT + 25_000
        for _ in range(2):  # goes on, then begins anew with all that was finished
            found, again, judge = run()
            assert same(found, whole)
            assert again == losses
            assert (judge.values, judge.epoch) == (whole_judge.values, whole_judge.epoch)
            assert same(judge.end, whole_judge.end)
        assert file.stat().st_size < 2 * size + 20_000


# --- the stage ------------------------------------------------------------------------------------------------


class Block:
    """A job that trains one replicate of an arm on COUNT images in two shards, of which the guard leaves some out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, part in (("0", slice(0, 14)), ("1", slice(14, COUNT))):
            save_array(folder / f"shard{name}.npy", IMAGES[part])
            save_array(folder / f"answers{name}.npy", ANSWERS[part])
        save_array(folder / "test.npy", OTHERS)
        save_array(folder / "test-labels.npy", LABELS)
        self.guard([], [])

    def guard(self, first: list[int], second: list[int]) -> None:
        save_json(self.folder / "guard0.json", {"start": 0, "left_out": first})
        save_json(self.folder / "guard1.json", {"start": 14, "left_out": second})

    def both(self, name: str, end: str) -> list[str]:
        return [str(self.folder / f"{name}{number}.{end}") for number in "01"]

    def run(self, name: str = "out", budget: int = COUNT, **recipe: Any) -> tuple[Weights, dict[str, Any]]:
        tested = recipe.get("select") == "test"
        judged = [str(self.folder / f"{file}.npy") for file in ("test", "test-labels")] if tested else []
        spec = {
            "arm": "a/b", "budget": budget, "architecture": NETWORK, "recipe": RECIPE | recipe, "labels": "victim",
            "response": {"plugin": "posterior", "parameters": {}}, "code": "1", "shape": SHAPE,
        }  # fmt: skip
        at, say = self.folder / name, Console(self.folder / "log")
        try:
            train_copycat.main(
                spec, {"device": "cpu", "threads": 1}, 0, 1, [], self.both("shard", "npy"), self.both("guard", "json"),
                self.both("answers", "npy"), [], judged, f"{at}.safetensors", f"{at}.json", f"{at}.record.json",
                str(self.folder / "kept"), say,
            )  # fmt: skip
        finally:
            say.file.close()
        [model] = load_models(f"{at}.safetensors", network(NETWORK, **SHAPE), 1)
        return weights(model), load_json(f"{at}.json")


@pytest.fixture
def block(tmp_path: Path) -> Block:
    return Block(tmp_path)


def test_last_says_nothing_of_a_choice(block: Block) -> None:
    """An arm that keeps the last epoch has no judge, whether that is said or not."""
    plain, log = block.run()
    said, again = block.run(select="last")
    assert same(plain, said)
    assert log == again
    assert "kept" not in log["replicates"][0] and "values" not in log["replicates"][0]


def test_the_test_set_chooses(block: Block) -> None:
    """The weights kept are, of all epochs, most accurate on the images handed over; the log says so."""
    found, log = block.run(select="test", epochs=8)
    [replicate] = log["replicates"]
    values = [float(value) for value in replicate["values"]]
    assert len(values) == 8
    assert replicate["kept"] == len(values) - values[::-1].index(max(values))
    model = fresh()
    model.load_state_dict(found)
    assert (posteriors(model.eval(), OTHERS, CPU).argmax(1) == LABELS).mean() == max(values)
    assert f"epoch {replicate['kept']} is kept, by test" in (block.folder / "log").read_text()
    assert log["label_counts"] == block.run()[1]["label_counts"]


def test_the_end_is_kept_beside_what_was_chosen(block: Block) -> None:
    """What a warm start goes on from: as if no one had chosen; a fresh arm's file has nothing of the kind."""
    plain, _ = block.run(epochs=8)
    chosen, log = block.run(select="test", epochs=8)
    assert log["replicates"][0]["kept"] < 8
    [ended] = load_models(block.folder / "out.safetensors", network(NETWORK, **SHAPE), 1, ended=True)
    assert same(weights(ended), plain)
    assert not same(chosen, plain)
    block.run(epochs=8)
    [ended] = load_models(block.folder / "out.safetensors", network(NETWORK, **SHAPE), 1, ended=True)
    assert same(weights(ended), plain)


def test_held_out_queries_choose_and_are_not_learnt(block: Block) -> None:
    """What was answered about them decides by the choice alone; their number is missing from what is learnt."""
    mine = train_copycat.held_out(COUNT)
    found, log = block.run(select="validation")
    [replicate] = log["replicates"]
    assert len(mine) in (2, 3)
    assert sum(log["label_counts"]) == sum(log["trained_on"]) == COUNT - len(mine)
    model = fresh()
    model.load_state_dict(found)
    agreed = posteriors(model.eval(), IMAGES[mine], CPU).argmax(1) == ANSWERS[mine].argmax(1)
    assert agreed.mean() == max(map(float, replicate["values"]))
    # The guard leaves the same two out: then the same training without a judge, whose last epoch may be another.
    block.guard([int(place) for place in mine if place < 14], [int(place) - 14 for place in mine if place >= 14])
    _, without = block.run()
    assert without["replicates"][0]["losses"] == replicate["losses"]


@settings(deadline=None, database=None)
@given(st.integers(0, 3000), st.integers(0, 3000))
def test_held_out_queries_nest(one: int, other: int) -> None:
    """One of every ten in a row; of a smaller budget's queries a larger one holds out the same."""
    small, large = (train_copycat.held_out(budget) for budget in sorted((one, other)))
    assert np.array_equal(large[large < min(one, other)], small)
    assert np.array_equal(large[: max(one, other) // 10] // 10, np.arange(max(one, other) // 10))


# --- what the guard leaves out --------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [COUNT, 16, 14])
def test_images_left_out_are_not_learnt(block: Block, tmp_path: Path, budget: int) -> None:
    """As if they had never been asked, to the bit; those beyond the budget do not count."""
    block.guard([0, 5], [1, 4])
    found, log = block.run(budget=budget)
    out = [place for place in (0, 5, 15, 18) if place < budget]
    assert log["left_out"] == len(out)
    assert sum(log["label_counts"]) == budget - len(out)
    assert f"{len(out)} of {budget} queries are left out" in (block.folder / "log").read_text()
    rows = np.setdiff1d(np.arange(budget), out)
    (tmp_path / "pure").mkdir()
    pure = Block(tmp_path / "pure")
    save_array(tmp_path / "pure" / "shard0.npy", IMAGES[rows])
    save_array(tmp_path / "pure" / "answers0.npy", ANSWERS[rows])
    same_as, clean = pure.run(budget=len(rows))
    assert same(found, same_as)
    assert clean["replicates"] == log["replicates"]
    assert clean["left_out"] == 0
    block.guard([], [])
    assert not same(found, block.run(budget=budget)[0])


def test_held_out_images_that_are_left_out_choose_nothing(block: Block) -> None:
    mine = train_copycat.held_out(COUNT)
    block.guard([int(mine[0])], [])
    assert sum(block.run(select="validation")[1]["label_counts"]) == COUNT - len(mine)
    block.guard([int(place) for place in mine if place < 14], [int(place) - 14 for place in mine if place >= 14])
    with pytest.raises(MimeoError, match=f"a/b: none of {COUNT - len(mine)} queries is left to choose the epoch by"):
        block.run(select="validation")


def test_nothing_left_to_learn(block: Block) -> None:
    block.guard(list(range(14)), [])
    with pytest.raises(MimeoError, match="a/b: none of 14 queries is left to learn"):
        block.run(budget=14)


@pytest.mark.parametrize(
    "report", [[], {}, {"start": 0}, {"start": 0, "left_out": ["a"]}, {"start": 0, "left_out": {}}]
)
def test_reports_that_are_none(block: Block, report: Any) -> None:
    save_json(block.folder / "guard0.json", report)
    with pytest.raises(MimeoError, match=r"guard0.json: not a report of the guard against leaks"):
        block.run()


@settings(deadline=None, max_examples=20, derandomize=True, database=None)
@given(out=st.sets(st.integers(0, COUNT - 1), max_size=COUNT), budget=st.integers(0, COUNT))
def test_places_left_out_are_of_the_prefix(out: set[int], budget: int) -> None:
    """Places in shards are places in the order, whatever the shards' number."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for start in range(0, COUNT, 5):
            files.append(f"{folder}/{start}.json")
            save_json(
                files[-1], {"start": start, "left_out": [p - start for p in sorted(out) if start <= p < start + 5]}
            )
        assert train_copycat.left_out(files, budget).tolist() == sorted(place for place in out if place < budget)
