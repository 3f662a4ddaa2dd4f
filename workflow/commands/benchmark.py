"""How fast the adaptive strategy chooses, beside the way it is usually written: one image at a time, a fit an image.

Both ask the same victim about the same pool and train a copycat on every answer as they go. Then fresh networks are
trained on what each has asked, and scored on the victim's test images. Only the seconds of the loop count; loading the
pool and training the victim do not. Needs no results and leaves none.
"""

import argparse
import math
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import choose_queries
import decode_split
import group_pool
import list_images
import train_victim

from mimeo.console import Console
from mimeo.errors import MimeoError
from mimeo.evaluation import Truth, divergence, image_weights, interval, resampled
from mimeo.models import network, posteriors, prepare_device
from mimeo.outside import data_folder
from mimeo.plugins import load
from mimeo.pool import Pool
from mimeo.records import environment
from mimeo.startup import nn, torch
from mimeo.store import load_array, load_arrays
from mimeo.training import Online, Recipe, train
from plan import ConfigError, load_plan
from plan.arms import Plan
from plan.config import read_yaml

ROOT = Path(__file__).resolve().parents[2]
RESAMPLES = 2000
Answers = tuple[np.ndarray, np.ndarray]  # places in the pool, answers
Seconds = np.ndarray  # by the clock, and of the processor, which counts nothing of what else the machine does


def now() -> Seconds:
    """Both clocks."""
    return np.array([time.perf_counter(), time.process_time()])


class Bench:
    """A victim, trained here, and a pool with its tree of labels, in a temporary folder.

    Args:
        plan: of the scale that has victim and query set.
        query: one that is chosen as it is asked.
    """

    def __init__(self, plan: Plan, victim: str, query: str, recipe: str, threads: int, folder: Path) -> None:
        self.spec = plan.choosing(victim, query)
        self.recipe = Recipe(**plan.ingredients["recipes"][recipe])
        self.victim, self.query, self.shape = victim, query, plan.shape(victim)
        engine = {"device": plan.scale["device"], "threads": threads}
        self.device = prepare_device(engine["device"], engine["threads"])
        taught = plan.ingredients["victims"][victim]["dataset"]
        for dataset in dict.fromkeys([taught, *plan.datasets_of(query)]):
            spec = plan.ingredients["datasets"][dataset]
            listing, manifest = (str(folder / dataset / name) for name in ("items.csv", "manifest.json"))
            sums = [str(ROOT / file) for file in plan.dataset_files(dataset, "checksums", "sha256")]
            list_images.main(dataset, spec, sums, listing, manifest)
        for split in ("train", "test"):
            files = [str(folder / taught / name) for name in (f"{split}.npy", f"{split}-labels.npy")]
            listing, manifest = (str(folder / taught / name) for name in ("items.csv", "manifest.json"))
            decode_split.main(taught, split, plan.decoding(taught), listing, manifest, *files)
        self.images, self.labels = (load_array(folder / taught / name) for name in ("test.npy", "test-labels.npy"))
        say = Console(folder / "log.txt")
        made = [str(folder / name) for name in ("victim.safetensors", "victim.json", "victim.record.json")]
        inputs = [str(folder / taught / name) for name in ("train.npy", "train-labels.npy")]
        kept = str(folder / "checkpoints")
        train_victim.main(victim, "model", "", plan.victim(victim), engine, *inputs, *made, kept, say)
        say.file.close()
        listings = [str(folder / dataset / "items.csv") for dataset in plan.datasets_of(query)]
        tree = str(folder / "tree.npz")
        group_pool.main(query, plan.grouping(query), engine, listings, tree)
        self.tree = load_arrays(tree, "part", "row", "leaf", "group")
        self.pool = Pool(data_folder(), self.spec["parts"], listings, self.tree["part"], self.tree["row"])
        kind = self.spec["victim"]["kind"]
        self.ask = load("victims", kind["plugin"]).answerer(
            Path(made[0]), network(self.spec["victim"]["architecture"], **self.shape), self.device, **kind["parameters"]
        )
        self.truth = Truth(self.labels, self.ask(self.images))

    def fresh(self, seed: int) -> nn.Module:
        """An untrained copycat."""
        torch.manual_seed(seed)
        return network(self.spec["architecture"], **self.shape)()

    def batched(self, queries: int, batch: int, seed: int) -> tuple[Seconds, Answers]:
        """Mimeo's own loop, a step of the copycat for every batch: seconds, and what was asked."""
        strategy = self.spec["strategy"]
        policy = load("strategies", strategy["plugin"]).policy(
            self.tree["leaf"], self.tree["group"], self.shape["classes"], np.random.default_rng(seed),
            **strategy["parameters"],
        )  # fmt: skip
        copy = Online(self.fresh(seed), Recipe(**{**self.spec["recipe"], "batch": batch}), seed, self.device)
        found = []
        start = now()
        for first in range(0, queries, batch):
            size = min(batch, queries - first)
            found.append(
                choose_queries.step(self.victim, policy, self.pool, self.ask, copy, size, self.shape["classes"])
            )
        seconds = now() - start
        indices, _, answers = (np.concatenate(part) for part in zip(*found, strict=True))
        return seconds, (indices, answers.astype(np.float32))

    def naive(self, queries: int, seed: int) -> tuple[Seconds, Answers]:
        """One image at a time: seconds, and what was asked."""
        strategy = self.spec["strategy"]["parameters"]
        window = strategy.get("window", 25)
        bandit = Naive(self.tree["leaf"].tolist(), self.shape["classes"], strategy["rewards"], window, seed)
        model, recipe = self.fresh(seed).to(self.device), Recipe(**self.spec["recipe"])
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "adamw":
            optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.weight_decay)
        else:
            optimizer = torch.optim.SGD(
                model.parameters(), recipe.rate, recipe.momentum, weight_decay=recipe.weight_decay
            )
        criterion = nn.CrossEntropyLoss()
        indices, answers = [], []
        start = now()
        for _ in range(queries):
            leaf, index = bandit.draw()
            image = self.pool.take(np.array([index]))
            answer = self.ask(image)
            inputs = torch.from_numpy(image).to(self.device).permute(0, 3, 1, 2).float() / 255
            targets = torch.from_numpy(answer).to(self.device)
            model.eval()
            with torch.no_grad():
                prediction = model(inputs).softmax(1).cpu().numpy()
            model.train()
            optimizer.zero_grad()
            criterion(model(inputs), targets).backward()
            optimizer.step()
            bandit.learn(leaf, answer[0].tolist(), prediction[0].tolist())
            indices.append(index)
            answers.append(answer[0])
        return now() - start, (np.array(indices), np.stack(answers).astype(np.float16).astype(np.float32))

    def copied(self, asked: Answers, seed: int) -> np.ndarray:
        """Trains a fresh network on what was asked, by the recipe of the scale; its posteriors on the test images."""
        model = self.fresh(seed)
        train(model, self.pool.take(asked[0]), asked[1], self.recipe, seed, self.device)
        return posteriors(model, self.images, self.device)


class Naive:
    """The strategy of Knockoff Nets, section 4.1.2, over labels without a hierarchy, in plain Python."""

    def __init__(self, leaves: list[int], classes: int, rewards: list[str], window: int, seed: int) -> None:
        self.random, self.rewards, self.window = random.Random(seed), rewards, window
        count = max(leaves) + 1
        self.left: list[list[int]] = [[] for _ in range(count)]
        for index, leaf in enumerate(leaves):
            self.left[leaf].append(index)
        self.preferences, self.draws = [0.0] * count, [0] * count
        self.answers: list[list[float]] = []
        self.past: list[list[float]] = []
        self.classes = classes

    def draw(self) -> tuple[int, int]:
        """A label by its probability, and one of its images, none of them twice."""
        highest = max(self.preferences)
        weights = [math.exp(h - highest) if left else 0.0 for h, left in zip(self.preferences, self.left, strict=True)]
        total = sum(weights)
        self.policy = [weight / total for weight in weights]
        [leaf] = self.random.choices(range(len(weights)), self.policy)
        images = self.left[leaf]
        return leaf, images.pop(self.random.randrange(len(images)))

    def learn(self, leaf: int, answer: list[float], prediction: list[float]) -> None:
        """Moves the preferences by the answer's reward."""
        ordered = sorted(answer, reverse=True)
        past = self.answers[-self.window :]
        mean = [sum(column) / len(past) for column in zip(*past, strict=True)] if past else [0.0] * self.classes
        kinds = {
            "certainty": ordered[0] - ordered[1],
            "diversity": sum(max(0.0, y - m) for y, m in zip(answer, mean, strict=True)),
            "loss": -sum(y * math.log(max(p, 1e-7)) for y, p in zip(answer, prediction, strict=True)),
        }
        values = [kinds[kind] for kind in self.rewards]
        gain = 0.0
        if self.past:
            for value, column in zip(values, zip(*self.past[-self.window :], strict=True), strict=True):
                low, high = min(value, *column), max(value, *column)
                gain += (value - sum(column) / len(column)) / (high - low) if high > low else 0.0
        self.answers.append(answer)
        self.past.append(values)
        self.draws[leaf] += 1
        step = gain / self.draws[leaf]
        for other, probability in enumerate(self.policy):
            self.preferences[other] += step * ((other == leaf) - probability)


def percent(value: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * value:.1f}"


def main(plan: Plan, options: argparse.Namespace) -> None:
    """Prints a row for each way of choosing.

    Seconds a thousand queries, by the clock and of the processor, are medians over repeats. Accuracy is a mean over
    repeats, each with a query set and a copy of its own, with a 95% interval over test images and repeats; the
    difference from one image at a time, in points, is paired by test images.
    """
    if not plan.adaptive(options.query):
        raise MimeoError(f"{options.query} is not chosen as it is asked: there is no loop to measure")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(plan, options.victim, options.query, options.recipe, options.threads, Path(folder))
        ways: list[int | None] = [None, *options.batches]  # None: the naive loop
        seconds: dict[int | None, list[Seconds]] = {way: [] for way in ways}
        copies: dict[int | None, list[np.ndarray]] = {way: [] for way in ways}
        bench.batched(min(options.queries, 512), 64, 0)  # what is slow the first time
        bench.naive(min(options.queries, 64), 0)
        for repeat in range(options.repeats):
            for way in ways:  # taking turns, so that a busy machine slows all of them
                taken, asked = (
                    bench.naive(options.queries, repeat) if way is None
                    else bench.batched(options.queries, way, repeat)
                )  # fmt: skip
                seconds[way].append(taken / options.queries * 1000)
                copies[way].append(bench.copied(asked, repeat))
        report(bench, options, seconds, copies)


def report(
    bench: Bench,
    options: argparse.Namespace,
    seconds: dict[int | None, list[Seconds]],
    copies: dict[int | None, list[np.ndarray]],
) -> None:
    """The table, and on what it was measured."""
    facts = environment(bench.device.type)
    print(
        f"{options.queries} of the {len(bench.tree['leaf'])} images of {bench.query}, {bench.victim} (accuracy "
        f"{percent(float((bench.truth.answers == bench.truth.labels).mean()))}%), {options.repeats} repeats"
    )
    print(f"{facts['device']}, {torch.get_num_threads()} thread(s), torch {facts['packages']['torch']}\n")
    print(
        "| way | seconds per 1,000 queries (least to most) | times faster | processor seconds | times faster "
        "| accuracy, % | less one at a time |"
    )
    print("| :-- | --: | --: | --: | --: | --: | --: |")
    weights = image_weights(len(bench.labels), RESAMPLES, 0)
    base: np.ndarray | None = None
    for number, (way, took) in enumerate(seconds.items()):
        predictions = np.stack([copy.argmax(1) for copy in copies[way]])
        kl = np.stack([divergence(bench.truth.victim, copy) for copy in copies[way]])
        drawn = resampled(bench.truth, predictions, kl, weights, number)["accuracy"]
        value, (low, high) = float((predictions == bench.labels).mean()), interval(drawn)
        base = drawn if base is None else base
        less = " to ".join(percent(end) for end in interval(drawn - base)) if way else ""
        name = f"batches of {way}" if way else "one at a time, naive"
        median = np.median(took, 0)
        faster = np.median(seconds[None], 0) / median
        least, most = min(clock for clock, _ in took), max(clock for clock, _ in took)
        print(
            f"| {name} | {median[0]:.4f} ({least:.4f} to {most:.4f}) | {faster[0]:.1f} | {median[1]:.4f} "
            f"| {faster[1]:.1f} | {percent(value)} [{percent(low)}, {percent(high)}] | {less} |"
        )


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", default="config/demo.yaml", help="the file that has victim and query set")
    parser.add_argument("--victim", default="digits-plain")
    parser.add_argument("--query", default="photographs-adaptive", help="a query set that is chosen as it is asked")
    parser.add_argument("--recipe", default="small-knockoff", help="by which the last copies are trained")
    parser.add_argument("--queries", type=int, default=4096)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64, 256, 1024])
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for every way")
    parser.add_argument("--repeats", type=int, default=5, help="each with another seed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options = parsed()
    try:
        main(load_plan(Path.cwd(), read_yaml(Path(options.scale)), [options.scale]), options)
    except (ConfigError, MimeoError, OSError) as error:
        sys.exit(f"error: {error}")
