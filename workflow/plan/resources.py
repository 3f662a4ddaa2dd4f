"""What every job asks of a scheduler, and what it leaves on disk: from the plan and config/cluster/resources.yaml.

The Snakefile asks for memory and run time here, and ``make plan`` adds up the same figures by table. None of them
is among a job's parameters: they are guesses about machines, and no part of a result.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plan.arms import TENTH, Arm, Plan, class_count, refer
from plan.config import read_yaml, validate

FILE = Path("config") / "cluster" / "resources.yaml"
ON_GPU = (
    "train_victim",
    "score_victim",
    "group_pool",
    "ask_victim",
    "choose_queries",
    "train_copycat",
    "score_copycat",
)
FORWARD = 3  # a pass that only answers is so many times faster than one that learns
LINE = 100  # bytes of an image's line in a list
NAMED = 400  # bytes of the same line in memory
WHOLE = 2**30  # bytes of pixels up to which mimeo/pool.py decodes a pool at once
MEGA = 1e6


@dataclass(frozen=True)
class Job:
    """A job: its rule and its wildcards."""

    rule: str
    wildcards: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, rule: str, **wildcards: str) -> "Job":
        """A job from wildcards by name."""
        return cls(rule, tuple(sorted(wildcards.items())))


@dataclass(frozen=True)
class Load:
    """What a job works through.

    Attributes:
        seconds: of work, after its start.
        held: bytes of arrays that it reads or makes.
        kept: bytes that it leaves on disk.
        fixed: bytes in memory beside the arrays, say of networks.
    """

    seconds: float = 0.0
    held: float = 0.0
    kept: float = 0.0
    fixed: float = 0.0


class Resources:
    """Memory, run time, CPUs and disk of every job of a plan."""

    def __init__(self, plan: Plan, asks: dict[str, Any]) -> None:
        self.plan, self.asks = plan, asks
        self.gpus: bool = plan.scale["device"] != "cpu"

    # --- what a job asks for --------------------------------------------------------------------------------

    def on_gpu(self, rule: str) -> bool:
        """Whether a rule's jobs ask for a GPU: all where a network may work, in a scale that may use one."""
        return self.gpus and rule in ON_GPU

    def threads(self, rule: str) -> int:
        """CPUs of a rule's jobs: the scale's threads where a network works, else one."""
        return int(self.plan.scale["threads"]) if rule in ON_GPU else 1

    def memory(self, job: Job, attempt: int = 1) -> int:
        """MB."""
        entry, load = self._entry(job.rule), self.load(job)
        needed = entry["memory"] + (load.held * entry.get("copies", 1) + load.fixed) / MEGA
        needed += self.asks["cuda"] if self.on_gpu(job.rule) else 0
        return math.ceil(needed) * 2 ** (attempt - 1)

    def runtime(self, job: Job, attempt: int = 1) -> int:
        """Minutes asked for, with the safety factor, within what any job may ask."""
        needed = math.ceil(self.minutes(job) * self.asks["safety"])
        return int(min(needed * 2 ** (attempt - 1), self.asks["longest"]))

    def minutes(self, job: Job) -> float:
        """Minutes that a job is expected to take."""
        return self._entry(job.rule)["minutes"] + self.load(job).seconds / 60

    def shares(self, job: Job) -> bool:
        """Whether a training is small enough to run beside others on one GPU, and waits for one other at most: members
        of a group that wait for each other need their time one after the other."""
        arm = self.plan.arms.get(dict(job.wildcards).get("arm", ""))
        waits = len(arm.transfers) - 1 if arm else 0
        return waits < 2 and self.minutes(job) <= self.asks["sharing"]

    def _entry(self, rule: str) -> dict[str, Any]:
        return self.asks["work"].get(rule, self.asks["work"]["default"])

    # --- what each rule's jobs work through -----------------------------------------------------------------

    def load(self, job: Job) -> Load:
        """What a job works through; rules that only put numbers together have nothing to count."""
        count = getattr(self, f"_{job.rule}", None)
        return count(**dict(job.wildcards)) if count else Load()

    def _list_images(self, dataset: str) -> Load:
        images = sum(self._dataset(dataset)["splits"].values())
        return Load(self._at_rate("list_images", images), images * NAMED, images * LINE)

    def _decode_split(self, dataset: str, split: str) -> Load:
        images = self._dataset(dataset)["splits"][split]
        pixels = images * self._pixels(dataset)
        return Load(self._at_rate("decode_split", images, dataset), pixels, pixels + images * 8)

    def _order_pool(self, query: str) -> Load:
        images = self.plan.pool_size(query)
        return Load(self._at_rate("order_pool", images), images * NAMED, images * LINE)

    def _group_pool(self, query: str) -> Load:
        plan, images = self.plan, self.plan.pool_size(query)
        pixels = images * self._pixels(plan.datasets_of(query)[0])
        return Load(self._at_rate("group_pool", images), images * NAMED + min(pixels, WHOLE), images * LINE)

    def _decode_queries(self, query: str, start: str, stop: str) -> Load:
        images = int(stop) - int(start)
        first = self.plan.datasets_of(query)[0]
        pixels = images * self._pixels(first)
        return Load(self._at_rate("decode_queries", images, first), pixels, pixels)

    def _check_leaks(self, folder: str, start: str, stop: str, dataset: str) -> Load:
        images = int(stop) - int(start) + self._images(dataset, "train") + self._images(dataset, "test")
        return Load(self._at_rate("check_leaks", images, dataset), images * self._pixels(dataset), LINE)

    def _train_victim(self, victim: str, role: str) -> Load:
        entry = self.plan.entry("victims", victim)
        images = self._images(entry["dataset"], "train")
        return self._training(entry["architecture"], entry["dataset"], entry["recipe"], images, 1)

    def _score_victim(self, victim: str) -> Load:
        entry, models = self.plan.entry("victims", victim), len(self.plan.roles())
        return self._answering(entry["architecture"], entry["dataset"], self._images(entry["dataset"], "test"), models)

    def _ask_victim(self, victim: str, query: str, start: str, stop: str) -> Load:
        entry = self.plan.entry("victims", victim)
        return self._answering(entry["architecture"], entry["dataset"], int(stop) - int(start), 1)

    def _choose_queries(self, victim: str, query: str, start: str, stop: str) -> Load:
        """Decoding, the victim's answers, the copycat's predictions before it learns them, and its learning."""
        plan, images = self.plan, int(stop) - int(start)
        entry, copycat = plan.entry("victims", victim), plan.entry("queries", query)["copycat"]
        dataset = entry["dataset"]
        asked = self._answering(entry["architecture"], dataset, images, 1)
        predicted = self._answering(copycat["architecture"], dataset, images, 1)
        learnt = images / self._speed(copycat["architecture"], dataset)
        pool = plan.pool_size(query)
        pixels = images * self._pixels(dataset)
        seconds = self._at_rate("choose_queries", images) + asked.seconds + predicted.seconds + learnt
        held = pixels + pool * NAMED + min(pool * self._pixels(dataset), WHOLE)
        state = 3 * self._network(copycat["architecture"])["weights"] * MEGA  # weights and up to two moments
        return Load(seconds, held, asked.kept + pixels + state, asked.fixed + predicted.fixed + state)

    def _train_copycat(self, arm: str, first: str, stop: str) -> Load:
        known, count = self.plan.arms[arm], int(stop) - int(first)
        dataset = self.plan.entry("victims", known.victim)["dataset"]
        recipe, budget, network = known.last.recipe, known.last.budget, known.architecture
        load = self._training(network, dataset, recipe, budget, count)
        # Images by which every epoch is judged, where not the last is kept, and the weights of the one kept so far.
        judges = {"test": self._images(dataset, "test"), "validation": budget // TENTH}
        images = judges.get(self.plan.selects(recipe), 0) if budget else 0
        if not images:
            return load
        looks = passes(self.plan.entry("recipes", recipe), budget)
        seconds = load.seconds + looks * self._answering(network, dataset, images, count).seconds
        held, weights = load.held + images * self._pixels(dataset), self._network(network)["weights"] * MEGA
        return replace(load, seconds=seconds, held=held, fixed=load.fixed + weights)

    def _score_copycat(self, arm: str) -> Load:
        known, dataset = self.plan.arms[arm], self.plan.entry("victims", self.plan.arms[arm].victim)["dataset"]
        images = self._images(dataset, "test")
        return self._answering(known.architecture, dataset, images, self.plan.scale["replicates"])

    def _training(self, architecture: str, dataset: str, recipe: str, images: int, networks: int) -> Load:
        seen = networks * images * passes(self.plan.entry("recipes", recipe), images)
        weights = networks * self._network(architecture)["weights"] * MEGA
        # Weights, gradients and two moments of the one at work, and the weights of those that are done.
        held = images * self._pixels(dataset)
        return Load(seen / self._speed(architecture, dataset), held, weights, weights + 3 * weights / networks)

    def _answering(self, architecture: str, dataset: str, images: int, networks: int) -> Load:
        seconds = networks * images / (FORWARD * self._speed(architecture, dataset))
        answers = networks * images * class_count(self._dataset(dataset)) * 4
        weights = networks * self._network(architecture)["weights"] * MEGA
        return Load(seconds, images * self._pixels(dataset), answers / 2, weights + answers)

    def _at_rate(self, rule: str, images: int, dataset: str | None = None) -> float:
        """Seconds; a rate that holds for a size holds for others in proportion to their area."""
        entry = self._entry(rule)
        if "rate" not in entry:
            return 0.0
        area = (self._dataset(dataset)["size"] / entry["size"]) ** 2 if dataset and "size" in entry else 1.0
        return float(images * area / entry["rate"])

    def _dataset(self, name: str) -> dict[str, Any]:
        return self.plan.entry("datasets", name)

    def _images(self, dataset: str, split: str) -> int:
        return int(self._dataset(dataset)["splits"][split])

    def _pixels(self, dataset: str) -> int:
        entry = self._dataset(dataset)
        return int(entry["size"] ** 2 * entry["channels"])

    def _network(self, architecture: str) -> dict[str, Any]:
        return self.asks["networks"].get(architecture, self.asks["networks"]["default"])

    def _speed(self, architecture: str, dataset: str) -> float:
        """Images a second in training, on what the scale's jobs ask for."""
        entry = self._network(architecture)
        speed = entry["gpu"] if self.gpus else entry["cpu"] * self.plan.scale["threads"]
        return float(speed * (entry["size"] / self._dataset(dataset)["size"]) ** 2)

    # --- all jobs of a plan ---------------------------------------------------------------------------------

    def data_jobs(self) -> list[Job]:
        """Listing, decoding, ordering and guarding of everything that the plan's arms and victims need."""
        plan = self.plan
        queries = dict.fromkeys(transfer.query for arm in plan.arms.values() for transfer in arm.transfers)
        jobs = [Job.of("list_images", dataset=dataset) for dataset in plan.datasets(plan.arms)]
        jobs += [Job.of("decode_split", dataset=dataset, split=split) for dataset, split in plan.decoded_splits()]
        jobs += [Job.of("group_pool" if plan.adaptive(query) else "order_pool", query=query) for query in queries]
        for arm in plan.arms.values():
            dataset, query = plan.entry("victims", arm.victim)["dataset"], arm.last.query
            for start, stop in _ends(plan.spans(query, arm.last.budget)):
                span = {"start": start, "stop": stop}
                if not plan.adaptive(query):
                    jobs.append(Job.of("decode_queries", query=query, **span))
                jobs.append(Job.of("check_leaks", folder=plan.folder(arm.victim, query), dataset=dataset, **span))
        return list(dict.fromkeys(jobs))

    def victim_jobs(self) -> list[Job]:
        """Training of victims and twins, and their scores."""
        victims = self.plan.victims()
        jobs = [Job.of("train_victim", victim=victim, role=role) for victim in victims for role in self.plan.roles()]
        return jobs + [Job.of("score_victim", victim=victim) for victim in victims]

    def table_jobs(self, name: str) -> list[Job]:
        """What a table needs beyond data and victims: answers, copycats, scores, and the table itself."""
        paper, table = name.split("/")
        jobs = [job for arm in self.arms_of(name) for job in self.arm_jobs(arm)]
        jobs.append(Job.of("make_table", scale=self.plan.name, paper=paper, table=table))
        if self.plan.has_figure(name):
            jobs.append(Job.of("draw_figure", scale=self.plan.name, paper=paper, table=table))
        return list(dict.fromkeys(jobs))

    def arm_jobs(self, path: str) -> Iterator[Job]:
        """Answers, trainings and score."""
        arm = self.plan.arms[path]
        if self.plan.asks(arm.last):
            rule = "choose_queries" if self.plan.adaptive(arm.last.query) else "ask_victim"
            for start, stop in _ends(self.plan.spans(arm.last.query, arm.last.budget)):
                yield Job.of(rule, victim=arm.victim, query=arm.last.query, start=start, stop=stop)
        for first, stop in _ends(Path(block).stem for block in self.plan.blocks(path)):
            yield Job.of("train_copycat", arm=path, first=first, stop=stop)
        yield Job.of("score_copycat", arm=path)

    def closing_jobs(self) -> list[Job]:
        """Claims, guards, costs, and the table of all arms."""
        rules = ("weigh_claims", "collect_guards", "collect_arms", "collect_costs")
        return [Job.of(rule, scale=self.plan.name) for rule in rules if rule != "weigh_claims" or self.plan.claims()]

    def all_jobs(self) -> list[Job]:
        """Every job of the plan, once."""
        tables = [job for name in self.plan.tables for job in self.table_jobs(name)]
        return list(dict.fromkeys([*self.data_jobs(), *self.victim_jobs(), *tables, *self.closing_jobs()]))

    def arms_of(self, table: str) -> list[str]:
        """A table's arms, and those that they fine-tune."""
        found: dict[str, None] = {}
        for cell in self.plan.tables[table]:
            arm: Arm | None = self.plan.arms[cell.arm]
            while arm:
                found[arm.path] = None
                arm = arm.parent
        return list(found)

    def queries(self, arms: Iterable[str]) -> int:
        """Images that victims are asked for arms: of each victim and query set the longest prefix."""
        deepest: dict[tuple[str, str], int] = {}
        for path in arms:
            arm = self.plan.arms[path]
            for transfer in arm.transfers:
                if self.plan.asks(transfer):
                    key = arm.victim, transfer.query
                    deepest[key] = max(transfer.budget, deepest.get(key, 0))
        return sum(deepest.values())

    def downloads(self, arms: Iterable[str]) -> float:
        """MB that have to be fetched for arms and their victims: images, and weights to start from."""
        arms = list(arms)
        victims = {self.plan.arms[arm].victim for arm in arms}
        networks = {self.plan.arms[arm].architecture for arm in arms}
        networks |= {self.plan.entry("victims", victim)["architecture"] for victim in victims}
        images = sum(self._dataset(dataset).get("download", 0) for dataset in self.plan.datasets(arms))
        return float(images + sum(self._network(network).get("download", 0) for network in networks))


def passes(recipe: dict[str, Any], images: int) -> int:
    """Epochs of a training, as mimeo/training.py counts them: more than the recipe's where steps would be too few."""
    if not images:
        return 0
    steps = max(1, images // recipe["batch"] + (images % recipe["batch"] > 1))
    return int(max(recipe["epochs"], -(-recipe.get("least_steps", 0) // steps)))


def _ends(spans: Iterable[str]) -> Iterator[tuple[str, str]]:
    for span in spans:
        start, _, stop = span.partition("-")
        yield start, stop


def load_resources(root: Path, plan: Plan) -> Resources:
    """What a plan's jobs ask for.

    Args:
        root: the project's folder.

    Raises:
        ConfigError: with one line.
    """
    asks = read_yaml(root / FILE)
    validate(asks, read_yaml(root / "config" / "schema.yaml"), "resources", str(FILE))
    known = plan.ingredients | {"architectures": plan.ingredients["architectures"] | {"default": {}}}
    for name in asks["networks"]:
        refer("architectures", name, known, f"{FILE}: networks")
    return Resources(plan, asks)
