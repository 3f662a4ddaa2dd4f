"""Checkpoints: a training that was stopped goes on from its last one and ends with the same weights, bit for bit.

A job has one folder, with one file for each network it trains. A file is replaced at each save. So there is at most,
for each network, its weights; for the one under way also the optimiser's state (at most twice the weights), the
weights of the epoch that a judge values most so far (where one judges), the epoch's order (8 bytes an image), the
random generators' states and 60 bytes an epoch; and, while it is being replaced, that file twice. The folder goes when
the job has written its outputs.
"""

import contextlib
import hashlib
import json
import shutil
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mimeo.console import Console
from mimeo.errors import MimeoError
from mimeo.judging import Judge
from mimeo.records import Cost, checkpoint_seconds, clock
from mimeo.startup import nn, torch
from mimeo.state import put_back, state_of
from mimeo.store import load_sealed, save_sealed

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SHARE = 0.05  # of the time, at most, goes into saving, however slow the disk


class Place(NamedTuple):
    """Where a training stands: after ``step`` steps (1 to all) of the epoch that follows those of ``losses``.

    ``order`` (int64) has that epoch's images as they are seen, ``total`` (float32) is the sum of its steps' losses.
    """

    losses: list[float]
    step: int
    order: torch.Tensor
    total: torch.Tensor


class Checkpoints:
    """The checkpoints of a job. While used as a context, SIGTERM and SIGINT wait for the step under way and a save.

    Args:
        folder: the job's own; nothing else writes there.
        facts: all that decides the result but for files, as JSON has it: what is trained, how, by what code, on what.
        files: the job's inputs, known by path, size and time of modification.
        cost: gets what earlier, stopped parts of the job have cost.
        say: gets a note where a checkpoint is used, or can't be.
    """

    def __init__(self, folder: str, facts: Any, files: Iterable[str], cost: Cost, say: Console) -> None:
        inputs = [(file, Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in files]
        about = json.dumps([facts, inputs, torch.__version__], sort_keys=True)
        self.identity = hashlib.sha256(about.encode()).hexdigest()
        self.folder, self.cost, self.say = Path(folder), cost, say
        self.every = checkpoint_seconds()
        self.next = clock() + self.every
        self.told = self.count = 0

    def __enter__(self) -> "Checkpoints":
        for left in self.folder.glob(".*"):  # by a job that was killed while it saved
            left.unlink()
        self.former = {number: signal.signal(number, self._tell) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)
        if kind is None:
            self.obey("the last epoch")

    def _tell(self, number: int, frame: object) -> None:
        self.told = number

    def obey(self, far: str) -> None:
        """Ends the job where it was told to stop, which it now can without a loss; ``far`` is how far it has come."""
        if self.told:
            name = signal.Signals(self.told).name
            raise MimeoError(f"stopped by {name} after {far}: the next run goes on from there")

    def path(self, name: str) -> Path:
        """The file of what is kept by a name."""
        return self.folder / f"{name}.safetensors"

    def due(self) -> bool:
        """Whether it is time to save: by the clock, or because the job was told to stop."""
        return bool(self.told) or clock() >= self.next

    def read(self, name: str) -> tuple[Any, dict[str, torch.Tensor]] | None:
        """What ``write`` has kept last, facts and tensors; where there is none to use, None."""
        path = self.path(name)
        if not path.exists():
            return None
        try:
            about, kept = load_sealed(path)
        except MimeoError as error:
            self.say.note(f"{error}: not used")
            return None
        if about["identity"] != self.identity:
            self.say.note(f"{path}: of other inputs, code or settings: not used")
            return None
        self.cost.add(about["cost"])
        self.say.start = min(self.say.start, clock() - about["cost"]["seconds"])  # of what is left to do
        return about, kept

    def write(self, name: str, about: dict[str, Any], tensors: Mapping[str, torch.Tensor], far: str) -> None:
        """Replaces what is kept by that name; ``far`` is how far the job has come.

        Raises:
            MimeoError: the job was told to stop.
        """
        began, path = clock(), self.path(name)
        for _ in range(3):  # another job may just be removing an empty folder around this one
            with contextlib.suppress(FileNotFoundError):
                path.parent.mkdir(parents=True, exist_ok=True)
        save_sealed(path, {**about, "identity": self.identity, "cost": self.cost.taken()}, tensors)
        self.next = clock() + max(self.every, (clock() - began) / SHARE)
        self.obey(far)

    def remove(self) -> None:
        """Removes the folder, and the folders around it that are then empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # the first that is not empty
            for parent in self.folder.parents:
                parent.rmdir()


@dataclass
class Checkpoint:
    """The checkpoint of the job's next training.

    Attributes:
        network: on its device, in its memory format.
        generator: of the training's own draws; PyTorch's global ones are kept as well.
        steps: in an epoch.
        epochs: in all.
        judge: that chooses an epoch, if any; with the training it goes on from where it was.
    """

    job: Checkpoints
    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    steps: int
    epochs: int
    judge: Judge | None = None

    def __post_init__(self) -> None:
        self.job.count += 1
        self.name = str(self.job.count)

    def resume(self) -> Place | None:
        """Puts everything where it was at the last save; where there is none to use, None, and nothing changes."""
        found = self.job.read(self.name)
        if found is None:
            return None
        about, kept = found
        put_back(kept, self.network, self.optimizer, self.generator)
        device = next(self.network.parameters()).device
        if self.judge:
            mine = {name[7:]: tensor for name, tensor in kept.items() if name.startswith("judged/")}
            self.judge.put_back(about["values"], mine)
        place = Place(about["losses"], about["step"], kept["order"].to(device), kept["total"].to(device))
        self.job.say.note(f"{self.job.path(self.name)}: goes on after {self._far(place)}")
        return place

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.job.due()

    def save(self, place: Place) -> None:
        """Replaces the file.

        Raises:
            MimeoError: the job was told to stop.
        """
        kept = state_of(self.network, self.optimizer, self.generator) | {"order": place.order, "total": place.total}
        about: dict[str, Any] = {"losses": place.losses, "step": place.step}
        if self.judge:
            kept |= {f"judged/{name}": tensor for name, tensor in self.judge.weights.items()}
            about["values"] = self.judge.values
        self.job.write(self.name, about, kept, self._far(place))

    def finish(self, place: Place) -> None:
        """Saves the training at its end, once, without what only further steps would need."""
        if len(place.order):
            self.optimizer.state.clear()
            self.save(place._replace(order=place.order[:0]))

    def _far(self, place: Place) -> str:
        return f"{len(place.losses) + place.step / self.steps:.1f} of {self.epochs} epochs"
