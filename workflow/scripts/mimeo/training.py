"""Trains one network on images and (soft or hard) labels: victims and copycats alike.

Knockoff Nets, section 4.2: cross entropy with the victim's posterior. Copycat CNN, section 3: the same with hard
labels, classes balanced by replication. No test image comes near this module: the last epoch's weights are the
result, or those that a judge from outside values most.
"""

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mimeo.augmentation import augment
from mimeo.checkpoints import Checkpoint, Checkpoints, Place
from mimeo.judging import Judge
from mimeo.models import posteriors, to_device, to_unit
from mimeo.startup import nn, torch
from mimeo.state import put_back, state_of

TRIED = 16  # images on which a network is seen to answer the same in training, or not


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the (balanced) transfer set.
        least_steps: more epochs are made until this many batches have been seen; 0 for the papers' protocol.
        batch: images a step.
        optimizer: ``sgd`` or ``adamw``.
        rate: learning rate at the start.
        schedule: ``constant``; ``cosine`` (to zero); ``step`` (times ``drop`` after every ``drop_every`` of the
            whole run, a fraction).
        balance: replicate or truncate every class to floor(N / classes) images (Copycat CNN).
        shift, flip: see augmentation.
        select: whose word decides which epoch's weights are kept; where not ``last``, the caller brings a judge.
        precision: ``float32`` or ``bfloat16`` (autocast; weights stay in float32).
    """

    epochs: int
    batch: int
    optimizer: str
    rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    drop: float = 0.1
    drop_every: float = 1.0
    least_steps: int = 0
    balance: bool = False
    shift: int = 0
    flip: bool = False
    precision: str = "float32"
    select: str = "last"


def balanced(labels: np.ndarray, classes: int, draw: np.random.Generator) -> np.ndarray:
    """Indices that replicate or truncate every class to floor(N / classes) images, in random order.

    Args:
        labels: int, N; classes without an image stay without.
    """
    each = max(1, len(labels) // classes)
    picked = []
    for label in range(classes):
        members = draw.permutation(np.flatnonzero(labels == label))
        if len(members):
            picked.append(np.resize(members, each))
    return draw.permutation(np.concatenate(picked)) if picked else np.empty(0, np.int64)


def train(
    network: nn.Module,
    images: np.ndarray,
    targets: np.ndarray,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
    checkpoints: Checkpoints | None = None,
    judge: Judge | None = None,
) -> list[float]:
    """Trains in place, from the weights the network has, or from where a stopped training of the same kind was.

    Args:
        images: uint8, N x height x width x channels; none at all leaves the network as it is.
        targets: float32, N x classes, what the victim answered (rows need not sum to one).
        seed: of every draw made here: order, augmentation, dropout.
        progress: called with (steps done, steps in all) after every epoch.
        checkpoints: of the job; saved from time to time, at the end, and when the job is told to stop.
        judge: fresh; the network ends with the weights that it values most. Without one, with those of the last epoch.

    Returns:
        mean loss of each epoch; it ends early, with a value that is not finite, where the loss diverges.

    Raises:
        MimeoError: the job was told to stop; the same call in another run goes on from there.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    rows = np.arange(len(images))
    if recipe.balance:
        rows = balanced(targets.argmax(1), targets.shape[1], np.random.default_rng(seed))
    if not len(rows):
        return []
    pixels, answers = to_device(images, device), torch.from_numpy(np.asarray(targets)).to(device)
    chosen = torch.from_numpy(rows)
    # A last batch of one image would break batch normalisation: its image waits for another epoch.
    steps = max(1, len(rows) // recipe.batch + (len(rows) % recipe.batch > 1))
    epochs = max(recipe.epochs, -(-recipe.least_steps // steps))
    network.to(device).to(memory_format=torch.channels_last).train()
    optimizer = _optimizer(network, recipe)
    # Optimizer.step as torch wraps it would import the compiler, which takes longer than most trainings here.
    update = inspect.unwrap(type(optimizer).step)
    kept = Checkpoint(checkpoints, network, optimizer, generator, steps, epochs, judge) if checkpoints else None
    there = Place([], 0, chosen, torch.zeros((), device=device))
    losses, done, shuffled, total = (kept.resume() if kept else None) or there
    for epoch in range(len(losses), epochs):
        if not done:
            shuffled = chosen[torch.randperm(len(chosen), generator=generator)].to(device)
            total = torch.zeros((), device=device)
        for step in range(done, steps):
            batch = shuffled[step * recipe.batch : (step + 1) * recipe.batch]
            inputs = augment(to_unit(pixels[batch]), recipe.shift, recipe.flip, generator)
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                outputs = network(inputs)
            loss = soft_cross_entropy(outputs.float(), answers[batch])
            optimizer.zero_grad()
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * _factor(recipe, epoch * steps + step, epochs * steps)
            with torch.no_grad():
                update(optimizer)
            total += loss.detach()
            if kept and kept.due():
                kept.save(Place(losses, step + 1, shuffled, total))
        done = 0
        losses.append(total.item() / steps)
        if judge:
            judge.look(network, epoch + 1)
        if not np.isfinite(losses[-1]):
            break
        progress((epoch + 1) * steps, epochs * steps)
    if kept:
        kept.finish(Place(losses[:-1], steps, shuffled, total))
    if judge:
        judge.settle(network)
    network.eval()
    return losses


class Online:
    """A network that learns as answers come in, a step for every ``recipe.batch`` of them.

    The copycat of the adaptive strategy (Knockoff Nets, 4.1.2). Of the recipe count optimiser, rate, momentum, weight
    decay and batch.

    Args:
        network: fresh; trained in place.
        seed: of its random layers.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, seed: int, device: torch.device) -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last).eval()
        self.recipe, self.device = recipe, device
        self.optimizer = _optimizer(network, recipe)
        self.update = inspect.unwrap(type(self.optimizer).step)
        self.generator = torch.Generator().manual_seed(seed)
        self.steady: bool | None = None  # until there is a batch to try it on
        self.images: np.ndarray | None = None  # those that still wait for a whole batch, and their answers
        self.answers: np.ndarray | None = None

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Softmax outputs: float32, images x classes."""
        return posteriors(self.network, images, self.device)

    def learn(self, images: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Takes in images (uint8, N x height x width x channels) and their answers (float32, N x classes).

        Returns:
            float32, N x classes: what ``predict`` says of the images beforehand.
        """
        batch = self.recipe.batch
        if self.images is not None and self.answers is not None and len(self.images):
            predictions = self.predict(images)
            images, answers = np.concatenate([self.images, images]), np.concatenate([self.answers, answers])
        elif len(images) == batch and self._is_steady(images):
            return self._step(images, answers)  # one pass says what it predicts and what it has to learn
        else:
            predictions = self.predict(images)
        whole = len(images) // batch * batch
        for start in range(0, whole, batch):
            self._step(images[start : start + batch], answers[start : start + batch])
        self.images, self.answers = images[whole:], answers[whole:]
        return predictions

    def _is_steady(self, images: np.ndarray) -> bool:
        """Whether the network says the same, bit for bit, while it is trained: no dropout, no statistics of a batch."""
        if self.steady is None:
            inputs, tried = to_unit(to_device(images[:TRIED], self.device)), copy.deepcopy(self.network)
            with torch.random.fork_rng(), torch.no_grad():
                self.steady = torch.equal(tried.eval()(inputs), tried.train()(inputs))
        return self.steady

    def _step(self, images: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """A step on one batch; what the network predicted in it."""
        self.network.train()
        outputs = self.network(to_unit(to_device(images, self.device))).float()
        self.optimizer.zero_grad()
        soft_cross_entropy(outputs, torch.from_numpy(answers).to(self.device)).backward()
        with torch.no_grad():
            self.update(self.optimizer)
        self.network.eval()
        return outputs.detach().softmax(1).cpu().numpy()

    def state(self) -> dict[str, torch.Tensor]:
        """All that changes as it learns, as named tensors; not copied."""
        found = state_of(self.network, self.optimizer, self.generator)
        if self.images is not None and self.answers is not None:
            found |= {
                "waiting/images": torch.from_numpy(self.images),
                "waiting/answers": torch.from_numpy(self.answers),
            }
        return found

    def put_back(self, state: dict[str, torch.Tensor]) -> None:
        """Goes on from another one's state; this one has learnt nothing yet."""
        if "waiting/images" in state:
            self.images, self.answers = state["waiting/images"].numpy(), state["waiting/answers"].numpy()
        put_back(state, self.network, self.optimizer, self.generator)


def soft_cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over images of sum(-target log softmax(output)), as in the official code of Knockoff Nets."""
    return -(targets * outputs.log_softmax(1)).sum(1).mean()


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [p for p in network.parameters() if p.requires_grad]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, recipe.rate, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters, recipe.rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )


def _factor(recipe: Recipe, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step of ``steps``; cosine warms up over the first 20th."""
    if recipe.schedule == "cosine":
        return min(1.0, (step + 1) / max(1, steps // 20)) * 0.5 * (1 + math.cos(math.pi * step / steps))
    if recipe.schedule == "step":
        return recipe.drop ** int(step / steps / recipe.drop_every + 1e-9)
    return 1.0
