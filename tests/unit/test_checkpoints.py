"""Checkpoints: whatever stops a training, and however often, the weights are those of one that was not stopped."""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import train_copycat
import train_victim
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from mimeo import checkpoints
from mimeo.checkpoints import Checkpoint, Checkpoints
from mimeo.console import Console
from mimeo.errors import MimeoError
from mimeo.models import network, prepare_device, save_models
from mimeo.records import Cost, checkpoint_seconds
from mimeo.store import load_json, load_sealed, save_array, save_json, save_sealed
from mimeo.training import Recipe, train

CPU = torch.device("cpu")
CLASSES, COUNT, BATCH, EPOCHS = 4, 24, 8, 3
STEPS = EPOCHS * COUNT // BATCH
NETWORKS: dict[str, dict[str, Any]] = {
    "batch norm": {"plugin": "resnet_small", "parameters": {"width": 4, "blocks": 1}},
    "dropout": {"plugin": "alexnet_small", "parameters": {"width": 4}},
}
RECIPE: dict[str, Any] = {"epochs": EPOCHS, "batch": BATCH, "optimizer": "adamw", "rate": 0.01}
ALL: dict[str, Any] = {**RECIPE, "schedule": "cosine", "balance": True, "shift": 1, "flip": True}
OPTIMISERS: list[dict[str, Any]] = [
    {"optimizer": "adamw", "weight_decay": 0.01},
    {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-3},
    {"optimizer": "sgd"},
]
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3)).astype(np.uint8)
ANSWERS = np.random.default_rng(1).dirichlet(np.ones(CLASSES), COUNT).astype(np.float16)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    prepare_device("cpu", 1)


@pytest.fixture
def say(tmp_path: Path) -> Iterator[Console]:
    there = Console(tmp_path / "job.log")
    yield there
    there.file.close()


def stopping(patch: pytest.MonkeyPatch, after: int, number: int = signal.SIGTERM) -> None:
    """Sends this process a signal after so many steps of all trainings together."""
    steps, really = itertools.count(1), Checkpoint.due

    def due(self: Checkpoint) -> bool:
        if next(steps) == after:
            signal.raise_signal(number)
        return really(self)

    patch.setattr(Checkpoint, "due", due)


def stopped(call: Callable[[], object], after: int, number: int = signal.SIGTERM) -> str:
    """Makes a call that is told to stop; what it says."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(MimeoError) as caught:
        stopping(patch, after, number)
        call()
    return str(caught.value)


class Toy:
    """One training with its checkpoints in a folder; ``run`` returns weights and losses as bytes."""

    def __init__(self, folder: Path, recipe: dict[str, Any], plugin: str = "dropout") -> None:
        self.folder, self.recipe, self.plugin = folder, Recipe(**recipe), plugin
        self.facts: Any = "toy"
        self.files: list[str] = []

    def run(self, kept: bool = True) -> tuple[bytes, list[float]]:
        torch.manual_seed(3)
        model = network(NETWORKS[self.plugin], 8, 3, CLASSES)()
        say, targets = Console(self.folder / "job.log"), ANSWERS.astype(np.float32)
        try:
            if kept:
                with Checkpoints(str(self.folder / "kept"), self.facts, self.files, Cost(), say) as there:
                    losses = train(model, IMAGES, targets, self.recipe, 7, CPU, checkpoints=there)
            else:
                losses = train(model, IMAGES, targets, self.recipe, 7, CPU)
        finally:
            say.file.close()
        save_models(str(self.folder / "weights"), {0: model})
        return (self.folder / "weights").read_bytes(), losses

    @property
    def kept(self) -> list[Path]:
        return sorted((self.folder / "kept").iterdir())

    @property
    def log(self) -> str:
        return (self.folder / "job.log").read_text()


# --- the same weights -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plugin", NETWORKS)
@pytest.mark.parametrize("after", range(1, STEPS + 1))
def test_stopped_at_any_step(after: int, plugin: str, tmp_path: Path) -> None:
    toy = Toy(tmp_path, ALL, plugin)
    whole = toy.run(kept=False)
    said = stopped(toy.run, after)
    far = f"{after * BATCH / COUNT:.1f} of {EPOCHS} epochs"
    assert said == f"stopped by SIGTERM after {far}: the next run goes on from there"
    assert toy.run() == whole
    assert toy.log == f"{tmp_path}/kept/1.safetensors: goes on after {far}\n"


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(
    plugin=st.sampled_from(list(NETWORKS)),
    optimiser=st.sampled_from(OPTIMISERS),
    schedule=st.sampled_from([{}, {"schedule": "cosine"}, {"schedule": "step", "drop_every": 1 / 3}]),
    precision=st.sampled_from(["float32", "bfloat16"]),
    changes=st.fixed_dictionaries({"balance": st.booleans(), "shift": st.integers(0, 2), "flip": st.booleans()}),
    batch=st.sampled_from([5, 8, 24]),
    stops=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
def test_stopped_again_and_again(
    plugin: str, optimiser: dict, schedule: dict, precision: str, changes: dict, batch: int, stops: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recipe = {**RECIPE, **optimiser, **schedule, **changes, "precision": precision, "batch": batch}
        toy = Toy(Path(folder), recipe, plugin)
        whole = toy.run(kept=False)
        for after in stops:
            with pytest.MonkeyPatch.context() as patch:
                stopping(patch, after)
                try:
                    toy.run()
                except MimeoError as error:
                    assert "stopped by SIGTERM" in str(error)
                    assert len(toy.kept) == 1
        assert toy.run() == whole


def test_killed_between_two_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came after the last save is trained again; draws made in between leave no trace."""
    toy = Toy(tmp_path, ALL)
    whole = toy.run(kept=False)
    steps = itertools.count(1)

    def due(self: Checkpoint) -> bool:
        if (step := next(steps)) == STEPS - 1:
            raise KeyError("killed")
        return step == 4

    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr(Checkpoint, "due", due)
        toy.run()
    torch.rand(100)
    assert toy.run() == whole
    assert "goes on after 1.3 of 3 epochs" in toy.log


def test_diverged_training_is_not_taken_up_again(tmp_path: Path) -> None:
    toy = Toy(tmp_path, {**RECIPE, "epochs": 30, "optimizer": "sgd", "rate": 1e9, "momentum": 0.9})
    weights, losses = toy.run()
    assert not np.isfinite(losses[-1]) and len(losses) < 30
    again = toy.run()
    assert again[0] == weights
    assert repr(again[1]) == repr(losses)


# --- whole jobs -----------------------------------------------------------------------------------------------

ENGINE = {"device": "cpu", "threads": 1}


def outputs(path: Path) -> tuple[str, str, str]:
    """Where a job is to write weights, log and record."""
    return f"{path}.safetensors", f"{path}.json", f"{path}.record.json"


class Block:
    """A job that trains replicates 2 to 5 of an arm, from scratch or from a parent's weights."""

    def __init__(self, folder: Path, parent: list[str]) -> None:
        self.folder, self.parent = folder, parent
        save_array(folder / "shard.npy", IMAGES)
        save_array(folder / "answers.npy", ANSWERS)
        save_json(folder / "guard.json", {"start": 0, "left_out": []})
        self.spec = {
            "arm": "a/b", "budget": COUNT, "architecture": NETWORKS["dropout"], "recipe": ALL, "labels": "victim",
            "response": {"plugin": "posterior", "parameters": {}}, "code": "1",
            "shape": {"size": 8, "channels": 3, "classes": CLASSES},
        }  # fmt: skip

    def run(self, name: str, say: Console) -> tuple[bytes, bytes]:
        at = self.folder
        weights, log, record = outputs(at / name)
        train_copycat.main(
            self.spec, ENGINE, 2, 5, [], [str(at / "shard.npy")], [str(at / "guard.json")], [str(at / "answers.npy")],
            self.parent, [], weights, log, record, str(at / "kept" / "a" / "b" / "2-5"), say,
        )  # fmt: skip
        return Path(weights).read_bytes(), Path(log).read_bytes()


@pytest.mark.parametrize("tuned", [False, True], ids=["from scratch", "fine-tuned"])
def test_block_stopped_in_each_replicate(tuned: bool, tmp_path: Path, say: Console) -> None:
    """Finished replicates are not trained again, their files are not written again, and nothing is left."""
    block = Block(tmp_path, [])
    if tuned:
        block.run("parent", say)
        block.parent = [str(tmp_path / "parent.safetensors")]
    whole = block.run("whole", say)
    assert not (tmp_path / "kept").exists()
    folder = tmp_path / "kept" / "a" / "b" / "2-5"
    written: dict[Path, int] = {}
    for replicate, after in enumerate((4, STEPS, STEPS), 1):  # in the middle of the 1st, the 2nd, the 3rd
        stopped(lambda: block.run("again", say), after)
        assert sorted(path.name for path in folder.iterdir()) == [f"{n}.safetensors" for n in range(1, replicate + 1)]
        for path in written:
            assert path.stat().st_mtime_ns == written[path]
        written = {path: path.stat().st_mtime_ns for path in sorted(folder.iterdir())[: replicate - 1]}
    assert not (tmp_path / "again.json").exists()
    assert block.run("again", say) == whole
    assert not (tmp_path / "kept").exists()
    assert say.path.read_text().count("goes on after") == 6


def test_victim_stopped(tmp_path: Path, say: Console) -> None:
    """The job as a whole, with what its parts have cost; stopped after the last step it has only to write."""
    labels = ANSWERS.argmax(1).astype(np.int64)
    save_array(tmp_path / "images.npy", IMAGES)
    save_array(tmp_path / "labels.npy", labels)
    spec = {
        "architecture": NETWORKS["batch norm"], "recipe": ALL, "shape": {"size": 8, "channels": 3, "classes": CLASSES}
    }  # fmt: skip

    def run(name: str) -> tuple[bytes, bytes]:
        weights, log, record = outputs(tmp_path / name)
        train_victim.main(
            "v", "model", "code", spec, ENGINE, str(tmp_path / "images.npy"), str(tmp_path / "labels.npy"),
            weights, log, record, str(tmp_path / "kept"), say,
        )  # fmt: skip
        return Path(weights).read_bytes(), Path(log).read_bytes()

    whole = run("whole")
    stopped(lambda: run("again"), 2)
    about, tensors = load_sealed(tmp_path / "kept" / "1.safetensors")
    dear = {"seconds": 5000.0, "memory": 2**50, "device_memory": 7}
    save_sealed(tmp_path / "kept" / "1.safetensors", {**about, "cost": dear}, tensors)
    stopped(lambda: run("again"), STEPS - 2)
    assert run("again") == whole
    record = load_json(tmp_path / "again.record.json")
    assert 5000 < record["seconds"] < 5600
    assert (record["memory"], record["device_memory"]) == (2**50, 7)
    assert not (tmp_path / "kept").exists()


# --- checkpoints that are not used ----------------------------------------------------------------------------


def test_checkpoint_of_something_else(tmp_path: Path) -> None:
    """Other facts, another content, another time of an input: each is another training."""
    toy = Toy(tmp_path, ALL)
    (tmp_path / "input").write_text("1")
    toy.files = [str(tmp_path / "input")]
    whole = toy.run(kept=False)

    def facts() -> None:
        toy.facts = {"recipe": "other"}

    def content() -> None:
        (tmp_path / "input").write_text("12")

    def time() -> None:
        now = (tmp_path / "input").stat()
        os.utime(tmp_path / "input", ns=(now.st_atime_ns, now.st_mtime_ns + 1))

    for change in (facts, content, time):
        stopped(toy.run, 5)
        change()
        assert toy.run() == whole
        assert toy.log == f"{tmp_path}/kept/1.safetensors: of other inputs, code or settings: not used\n"
        toy.run()
        assert "goes on after 3.0 of 3" in toy.log, "it was not replaced"
        shutil.rmtree(tmp_path / "kept")


@settings(deadline=None, max_examples=30, derandomize=True, database=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_damaged_checkpoint(where: float, bit: int, cut: bool) -> None:
    """Cut anywhere or with any bit flipped: not used, one note, and replaced."""
    with tempfile.TemporaryDirectory() as folder:
        toy = Toy(Path(folder), {**RECIPE, "epochs": 1})
        whole = toy.run()
        [path] = toy.kept
        content = bytearray(path.read_bytes())
        place = int(where * len(content))
        if cut:
            del content[place:]
        else:
            content[place] ^= 1 << bit
        path.write_bytes(content)
        assert toy.run() == whole
        assert len(toy.log.splitlines()) == 1
        assert "not used" in toy.log
        toy.run()
        assert "goes on" in toy.log


# --- bounds and manners ---------------------------------------------------------------------------------------


def test_size_is_bounded(tmp_path: Path) -> None:
    """Weights, twice as much for the optimiser, the order and some KiB; at the end the weights and some KiB."""
    toy = Toy(tmp_path, ALL)
    size = len(toy.run(kept=False)[0])
    for after in (1, 3, STEPS - 4):
        stopped(toy.run, after)
        assert [path.name for path in toy.kept] == ["1.safetensors"]
        assert toy.kept[0].stat().st_size < 3 * size + 8 * COUNT + 20_000
    toy.run()
    assert toy.kept[0].stat().st_size < size + 15_000
    assert not [name for name in load_file(toy.kept[0]) if name.startswith("optimizer")]


def test_what_a_killed_save_left_is_removed(tmp_path: Path) -> None:
    toy = Toy(tmp_path, ALL)
    stopped(toy.run, 1)
    (tmp_path / "kept" / ".1.safetensors.x7").write_bytes(b"half")
    toy.run()
    assert len(toy.kept) == 1


def test_removal_leaves_other_jobs_alone(tmp_path: Path, say: Console) -> None:
    (tmp_path / "kept" / "a" / "other").mkdir(parents=True)
    (tmp_path / "kept" / "a" / "b" / "c").mkdir(parents=True)
    Checkpoints(str(tmp_path / "kept" / "a" / "b" / "c"), 0, [], Cost(), say).remove()
    assert [str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*")] == ["a", "a/other"]
    Checkpoints(str(tmp_path / "kept" / "none" / "there"), 0, [], Cost(), say).remove()
    assert (tmp_path / "kept" / "a" / "other").is_dir()


def test_signals_are_heeded_while_training_only(tmp_path: Path, say: Console) -> None:
    before = [signal.getsignal(number) for number in checkpoints.SIGNALS]
    toy = Toy(tmp_path, ALL)
    assert stopped(toy.run, 2, signal.SIGINT).startswith("stopped by SIGINT after")
    assert [signal.getsignal(number) for number in checkpoints.SIGNALS] == before
    toy.run()
    assert [signal.getsignal(number) for number in checkpoints.SIGNALS] == before
    late = "stopped by SIGTERM after the last epoch"
    with pytest.raises(MimeoError, match=late), Checkpoints(str(tmp_path), 0, [], Cost(), say):
        signal.raise_signal(signal.SIGTERM)


def test_saves_come_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Console) -> None:
    """Not before the period is over, and seldom enough where saving is slow."""
    now, saves = [0.0], []
    monkeypatch.setattr(checkpoints, "clock", lambda: now[0])
    monkeypatch.setenv("MIMEO_CHECKPOINT_SECONDS", "10")

    def slow(*arguments: object) -> None:
        saves.append(now[0])
        now[0] += 2 if len(saves) > 1 else 0

    monkeypatch.setattr(checkpoints, "save_sealed", slow)
    model = network(NETWORKS["dropout"], 8, 3, CLASSES)()
    with Checkpoints(str(tmp_path / "kept"), 0, [], Cost(), say) as there:
        kept = Checkpoint(there, model, torch.optim.SGD(model.parameters()), torch.Generator(), 3, 3)
        place = checkpoints.Place([], 1, torch.zeros(1), torch.zeros(()))
        for now[0] in (9.9, 10.0, 19.9, 20.0, 61.9, 62.0):
            if kept.due():
                kept.save(place)
    assert saves == [10.0, 20.0, 62.0]


def test_period_is_checked(monkeypatch: pytest.MonkeyPatch, complaint: Callable[[Callable[[], object]], str]) -> None:
    monkeypatch.delenv("MIMEO_CHECKPOINT_SECONDS", raising=False)
    assert checkpoint_seconds() == 60
    monkeypatch.setenv("MIMEO_CHECKPOINT_SECONDS", "0.5")
    assert checkpoint_seconds() == 0.5
    for wrong in ("", "soon", "-1", "nan"):
        monkeypatch.setenv("MIMEO_CHECKPOINT_SECONDS", wrong)
        assert complaint(checkpoint_seconds) == f"MIMEO_CHECKPOINT_SECONDS: {wrong!r} is no number of seconds"
