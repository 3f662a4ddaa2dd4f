"""Grouping a pool's labels and choosing from it: trees, shards that go on from one another, stops, bad answers."""

import itertools
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import choose_queries
import decode_queries
import group_pool
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mimeo import pool
from mimeo.checkpoints import Checkpoints
from mimeo.console import Console
from mimeo.errors import MimeoError
from mimeo.grouping import GRID, clusters, pixel_features
from mimeo.items import load_items, save_items, take
from mimeo.models import features, network, posteriors, prepare_device, save_models
from mimeo.plugins import load
from mimeo.pool import Pool
from mimeo.store import load_array, load_arrays, save_arrays

LAWS = settings(deadline=None, max_examples=40, derandomize=True, database=None)
ENGINE = {"device": "cpu", "threads": 1}
LEVELS = {"photograph": "photographs", "region": "photographs"}
SPLITS = {"digits": {"train": 1078, "test": 719}, "fonts": {"pool": 90}, "photographs": {"pool": 260}}
PARTS = {name: {"plugin": name, "size": 8, "channels": 1} for name in SPLITS}
NETWORK = {"plugin": "plain", "parameters": {"width": 4}}
SHAPE = {"size": 8, "channels": 1, "classes": 10}
OUTPUTS = ("images.npy", "answers.npy", "order.npz", "policy.npz", "state.safetensors")
POOLS = {
    "photographs": ["photographs/pool"],
    "digits": ["digits/train"],
    "fonts": ["fonts/pool"],
    "union": ["digits/train", "fonts/pool", "photographs/pool"],
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    prepare_device("cpu", 1)


@pytest.fixture(scope="module")
def listings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The items of small data sets."""
    folder = tmp_path_factory.mktemp("listings")
    for name, splits in SPLITS.items():
        save_items(str(folder / f"{name}.csv"), load("datasets", name).index(None, splits).columns)
    return {name: str(folder / f"{name}.csv") for name in SPLITS}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that has learnt nothing answers as well as any."""
    path = str(tmp_path_factory.mktemp("victim") / "weights.safetensors")
    torch.manual_seed(1)
    model = network(NETWORK, **SHAPE)()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # so that answers differ
    save_models(path, {0: model})
    return path


def names_of(images: list[str]) -> list[str]:
    return [part.split("/")[0] for part in images]


def grouped(listings: dict[str, str], images: list[str], folder: Path, **tree: Any) -> dict[str, np.ndarray]:
    """The tree of a pool."""
    features_of = tree.pop("network", None)
    spec = {
        "images": images, "tree": tree, "seed": 0, "parts": [PARTS[name] for name in names_of(images)],
        "features": features_of,
    }  # fmt: skip
    path = str(folder / "tree.npz")
    group_pool.main("some", spec, ENGINE, [listings[name] for name in names_of(images)], path)
    return load_arrays(path, "part", "row", "label", "leaf", "group", "leaves", "groups")


def pool_of(listings: dict[str, str], images: list[str], tree: dict[str, np.ndarray]) -> Pool:
    names = names_of(images)
    return Pool(None, [PARTS[name] for name in names], [listings[name] for name in names], tree["part"], tree["row"])


# --- trees ----------------------------------------------------------------------------------------------------


def test_a_leaf_is_an_images_labels_and_its_first_is_its_group(listings: dict[str, str], tmp_path: Path) -> None:
    tree = grouped(listings, POOLS["photographs"], tmp_path, levels=["photograph", "region"])
    columns = load_items(listings["photographs"])
    assert tree["row"].tolist() == list(range(260))
    expected = [f"photographs/{p}/{r}" for p, r in zip(columns["photograph"], columns["region"], strict=True)]
    assert tree["leaves"][tree["leaf"]].tolist() == expected
    groups = tree["groups"][tree["group"][tree["leaf"]]].tolist()
    assert groups == [f"photographs/{photograph}" for photograph in columns["photograph"]]
    assert tree["leaves"].tolist() == sorted(set(expected))
    assert sorted(set(tree["group"].tolist())) == list(range(len(tree["groups"])))
    assert (tree["label"] == -1).all()


def test_a_level_more_splits_leaves_and_leaves_groups_alone(listings: dict[str, str], tmp_path: Path) -> None:
    coarse = grouped(listings, POOLS["photographs"], tmp_path, levels=["photograph"])
    fine = grouped(listings, POOLS["photographs"], tmp_path, levels=["photograph", "scale"])
    assert coarse["groups"].tolist() == fine["groups"].tolist()
    assert np.array_equal(coarse["group"][coarse["leaf"]], fine["group"][fine["leaf"]])
    assert len(fine["leaves"]) > len(coarse["leaves"])
    for leaf in range(len(fine["leaves"])):
        assert len(set(coarse["leaf"][fine["leaf"] == leaf].tolist())) == 1


def test_a_union_has_a_group_a_data_set_where_it_has_no_coarser_labels(
    listings: dict[str, str], tmp_path: Path
) -> None:
    """Columns that a data set lacks, and labels that are not known, are left out of its names."""
    tree = grouped(listings, POOLS["union"], tmp_path, levels=["photograph", "label", "region"])
    columns = {name: load_items(listings[name]) for name in SPLITS}
    train = np.flatnonzero(columns["digits"]["split"] == "train")
    assert np.bincount(tree["part"]).tolist() == [1078, 90, 260]
    assert np.array_equal(tree["row"][tree["part"] == 0], train)
    digits = tree["leaves"][tree["leaf"][tree["part"] == 0]].tolist()
    assert digits == [f"digits/{label}" for label in columns["digits"]["label"][train]]
    assert np.array_equal(tree["label"][tree["part"] == 0], columns["digits"]["label"][train])
    assert set(tree["groups"].tolist()) == {"digits", "fonts"} | {
        f"photographs/{name}" for name in columns["photographs"]["photograph"]
    }
    photographs = tree["leaves"][tree["leaf"][tree["part"] == 2]].tolist()
    assert all(name.count("/") == 2 and "-1" not in name for name in photographs)


def test_flat_has_one_group_and_the_same_leaves(listings: dict[str, str], tmp_path: Path) -> None:
    tree = grouped(listings, POOLS["union"], tmp_path, levels=["photograph", "label"])
    flat = grouped(listings, POOLS["union"], tmp_path, levels=["photograph", "label"], flat=True)
    assert flat["groups"].tolist() == ["all"]
    assert set(flat["group"].tolist()) == {0}
    for name in ("part", "row", "label", "leaf", "leaves"):
        assert np.array_equal(flat[name], tree[name])


@pytest.mark.parametrize("net", [None, NETWORK, {"plugin": "resnet_small", "parameters": {"width": 4}}])
def test_clusters_are_as_many_as_asked_for_and_the_same_again(
    listings: dict[str, str], tmp_path: Path, net: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was drawn before, and however many images are decoded at once."""
    levels = ["photograph", "label"]
    tree = grouped(listings, POOLS["union"], tmp_path, levels=levels, clusters=5, network=net)
    before = (tmp_path / "tree.npz").read_bytes()
    assert tree["groups"].tolist() == [f"cluster {number:03d}" for number in range(5)]
    assert sorted(set(tree["group"].tolist())) == list(range(5))
    torch.manual_seed(99)
    np.random.seed(99)
    grouped(listings, POOLS["union"], tmp_path, levels=levels, clusters=5, network=net)
    assert (tmp_path / "tree.npz").read_bytes() == before
    monkeypatch.setattr(group_pool, "PART", 64)
    again = grouped(listings, POOLS["union"], tmp_path, levels=levels, clusters=5, network=net)
    assert np.array_equal(again["group"], tree["group"])


def test_more_clusters_than_labels(
    listings: dict[str, str], tmp_path: Path, complaint: Callable[[Callable[[], object]], str]
) -> None:
    said = complaint(lambda: grouped(listings, POOLS["digits"], tmp_path, levels=["label", "font"]))
    assert "tree.levels" in said and "'font'" in said
    said = complaint(lambda: grouped(listings, POOLS["digits"], tmp_path, levels=["label"], clusters=11))
    assert said == "some: 11 clusters are more than the 10 labels of the pool"
    assert not list(tmp_path.iterdir())
    assert len(grouped(listings, POOLS["digits"], tmp_path, levels=["label"], clusters=10)["groups"]) == 10


def test_labels_that_look_alike_are_one_cluster() -> None:
    """Two clouds of features, far apart, whatever the seed and the scale of each feature."""
    draw = np.random.default_rng(0)
    cloud = np.repeat([0, 1], 20)
    values = (draw.normal(0, 0.1, (40, 6)) + cloud[:, None]) * 10.0 ** np.arange(-3, 3)
    for seed in (0, 1, 2**40):
        found = clusters(values.astype(np.float32), 2, seed)
        assert found.tolist() in (cloud.tolist(), (1 - cloud).tolist())
    assert set(clusters(np.ones((5, 2), np.float32), 1, 0)) == {0}


@LAWS
@given(size=st.integers(1, 40), channels=st.sampled_from([1, 3]), count=st.integers(1, 4), seed=st.integers(0, 99))
def test_pixel_features_are_means_of_a_grid(size: int, channels: int, count: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, size, size, channels)).astype(np.uint8)
    found = pixel_features(images)
    cells = min(size, GRID)
    edges = [cell * size // cells for cell in range(cells + 1)]
    boxes = list(itertools.pairwise(edges))
    expected = [[[image[a:b, c:d].mean((0, 1)) for c, d in boxes] for a, b in boxes] for image in images]
    assert found.dtype == np.float32
    assert np.allclose(found, np.array(expected).reshape(count, -1), rtol=1e-5)


def test_features_are_what_the_last_layer_sees(complaint: Callable[[Callable[[], object]], str]) -> None:
    torch.manual_seed(0)
    model = network(NETWORK, **SHAPE)().eval()
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1)).astype(np.uint8)
    found = features(model, images, torch.device("cpu"), batch=4)
    [*_, last] = model.children()
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        answers = last(torch.from_numpy(found)).softmax(1).numpy()
    assert np.allclose(answers, posteriors(model, images, torch.device("cpu")), atol=1e-6)
    none = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.Flatten())
    assert "no linear layer" in complaint(lambda: features(none, images, torch.device("cpu")))


# --- pools ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
def test_a_pool_gives_what_is_decoded(
    listings: dict[str, str], tmp_path: Path, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order, with repeats, of one data set or several, all of it decoded at once or not."""
    images = POOLS["union"]
    tree = grouped(listings, images, tmp_path, levels=["label"])
    save_arrays(tmp_path / "order.npz", {name: tree[name] for name in ("part", "row")})
    parts, items = [PARTS[name] for name in names_of(images)], [listings[name] for name in names_of(images)]
    count = len(tree["part"])
    decode_queries.main(parts, 0, count, str(tmp_path / "order.npz"), items, str(tmp_path / "all.npy"))
    decoded = np.array(load_array(tmp_path / "all.npy"))
    if not whole:
        monkeypatch.setattr(pool, "WHOLE", decoded.nbytes - 1)
    there = pool_of(listings, images, tree)
    assert (there.whole is not None) == whole
    assert np.array_equal(there.take(np.arange(count)), decoded)
    draw = np.random.default_rng(0)
    for size in (0, 1, 2, 17, 300):
        indices = draw.integers(0, count, size)
        found = there.take(indices)
        assert found.dtype == np.uint8
        assert np.array_equal(found, decoded[indices])


def test_what_is_taken_may_be_written_to(listings: dict[str, str], tmp_path: Path) -> None:
    """The pool itself stays as it is."""
    there = pool_of(listings, POOLS["fonts"], grouped(listings, POOLS["fonts"], tmp_path, levels=["label"]))
    before = there.take(np.arange(5))
    there.take(np.arange(5))[:] = 0
    assert np.array_equal(there.take(np.arange(5)), before)
    assert before.any()


# --- choosing -------------------------------------------------------------------------------------------------


class Choosing:
    """The stage on a pool, in a folder: each shard's outputs lie in a folder named by its limits."""

    def __init__(self, listings: dict[str, str], victim: str, folder: Path, pool: str = "photographs") -> None:
        self.folder, self.images = folder, POOLS[pool]
        self.items = [listings[name] for name in names_of(self.images)]
        levels = [level for level, part in LEVELS.items() if any(image.startswith(part) for image in self.images)]
        self.tree = grouped(listings, self.images, folder, levels=[*levels, "label"])
        self.weights, self.code = victim, "code"
        recipe = {"epochs": 1, "batch": 16, "optimizer": "adamw", "rate": 0.002}
        self.spec: dict[str, Any] = {
            "strategy": {"plugin": "adaptive", "parameters": {"rewards": ["certainty", "diversity", "loss"]}},
            "seed": 0, "batch": 16, "architecture": NETWORK, "recipe": recipe, "shard": 64,
            "parts": [PARTS[name] for name in names_of(self.images)],
            "victim": {"kind": {"plugin": "trained", "parameters": {}}, "architecture": NETWORK, "shape": SHAPE},
        }  # fmt: skip

    def path(self, start: int, stop: int, name: str) -> Path:
        return self.folder / f"{start}-{stop}" / name

    def run(self, start: int, stop: int, before: tuple[int, int] | None = None) -> dict[str, bytes]:
        """Makes a shard, and returns its outputs."""
        images, answers, order, log, state = (str(self.path(start, stop, name)) for name in OUTPUTS)
        say = Console(self.folder / "job.log")
        try:
            choose_queries.main(
                "reader", "some", self.code, self.spec, ENGINE, start, stop, str(self.folder / "tree.npz"), self.items,
                self.weights, [str(self.path(*before, "state.safetensors"))] if before else [],
                images, answers, order, log, state, str(self.folder / "kept"), say,
            )  # fmt: skip
        finally:
            say.file.close()
        assert not (self.folder / "kept").exists()
        return self.outputs(start, stop)

    def chain(self, *limits: int) -> None:
        """Makes shards that follow one another."""
        before = None
        for start, stop in itertools.pairwise(limits):
            self.run(start, stop, before)
            before = start, stop

    def outputs(self, start: int, stop: int) -> dict[str, bytes]:
        return {name: self.path(start, stop, name).read_bytes() for name in OUTPUTS}

    def order(self, start: int, stop: int) -> list[tuple[int, int]]:
        found = load_arrays(self.path(start, stop, "order.npz"), "part", "row")
        return list(zip(found["part"].tolist(), found["row"].tolist(), strict=True))

    def array(self, start: int, stop: int, name: str) -> np.ndarray:
        return np.array(load_array(self.path(start, stop, name)))

    def policy(self, start: int, stop: int) -> dict[str, np.ndarray]:
        return load_arrays(self.path(start, stop, "policy.npz"), "leaf", "rewards", "at", "groups", "leaves")

    @property
    def log(self) -> str:
        return (self.folder / "job.log").read_text()


@pytest.fixture
def choosing(listings: dict[str, str], victim: str, tmp_path: Path) -> Choosing:
    return Choosing(listings, victim, tmp_path)


@pytest.mark.parametrize("pool_name", ["photographs", "union"])
def test_shards_that_follow_one_another_choose_what_one_long_one_does(
    listings: dict[str, str], victim: str, tmp_path: Path, pool_name: str
) -> None:
    """Where batches divide shards: the same images, answers and rewards, and in the end the same state, bit for bit."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "whole").mkdir()
    parts = Choosing(listings, victim, tmp_path / "parts", pool_name)
    whole = Choosing(listings, victim, tmp_path / "whole", pool_name)
    parts.chain(0, 64, 128, 192)
    whole.run(0, 192)
    spans = [(0, 64), (64, 128), (128, 192)]
    for name in ("images.npy", "answers.npy"):
        assert np.array_equal(np.concatenate([parts.array(*s, name) for s in spans]), whole.array(0, 192, name))
    for name in ("leaf", "rewards"):
        assert np.array_equal(np.concatenate([parts.policy(*span)[name] for span in spans]), whole.policy(0, 192)[name])
    assert parts.order(128, 192) == whole.order(0, 192)
    assert parts.outputs(128, 192)["state.safetensors"] == whole.outputs(0, 192)["state.safetensors"]


@pytest.mark.parametrize("batch", [1, 16, 24, 100])
def test_budgets_are_prefixes_and_no_image_is_asked_twice(
    listings: dict[str, str], victim: str, tmp_path: Path, batch: int
) -> None:
    """To the last image of the pool, whether batches divide shards or not, while answers wait for a whole batch."""
    choosing = Choosing(listings, victim, tmp_path, "fonts")
    choosing.spec |= {"batch": batch, "shard": 40}
    choosing.chain(0, 40, 80, 90)
    orders = [choosing.order(*span) for span in ((0, 40), (40, 80), (80, 90))]
    assert [len(order) for order in orders] == [40, 80, 90]
    assert orders[2][:80] == orders[1]
    assert orders[1][:40] == orders[0]
    assert sorted(orders[2]) == [(0, row) for row in range(90)]


def test_a_shard_is_the_same_again_and_differs_by_seed_and_victim(choosing: Choosing) -> None:
    first = choosing.run(0, 64)
    torch.manual_seed(5)
    assert choosing.run(0, 64) == first
    order = choosing.order(0, 64)
    choosing.spec["seed"] = 1
    choosing.run(0, 64)
    assert choosing.order(0, 64) != order


def test_a_pool_that_is_not_decoded_at_once_gives_the_same(choosing: Choosing, monkeypatch: pytest.MonkeyPatch) -> None:
    first = choosing.run(0, 64)
    monkeypatch.setattr(pool, "WHOLE", 0)
    assert choosing.run(0, 64) == first


def test_images_and_answers_are_those_of_the_order(choosing: Choosing, victim: str) -> None:
    """What is trained on is what was chosen, and what the victim says of it, to within float16."""
    choosing.chain(0, 64, 100)
    columns = load_items(choosing.items[0])
    rows = np.array([row for _, row in choosing.order(64, 100)])
    for span, mine in (((0, 64), rows[:64]), ((64, 100), rows[64:])):
        images = choosing.array(*span, "images.npy")
        assert np.array_equal(images, load("datasets", "photographs").read(None, take(columns, mine), 8, 1))
        model = network(NETWORK, **SHAPE)
        ask = load("victims", "trained").answerer(Path(victim), model, torch.device("cpu"))
        answers = choosing.array(*span, "answers.npy")
        assert answers.dtype == np.float16
        assert np.allclose(answers, ask(images), atol=1e-3)
        assert len({tuple(answer) for answer in answers.tolist()}) > 10


def test_the_log_says_what_the_policy_did(choosing: Choosing) -> None:
    """Whose image each query was, what it was worth, and now and then all probabilities."""
    choosing.spec |= {"batch": 4, "shard": 1600}
    choosing.chain(0, 60, 130)
    leaf_of = dict(zip(choosing.tree["row"].tolist(), choosing.tree["leaf"].tolist(), strict=True))
    leaves = [leaf_of[row] for _, row in choosing.order(60, 130)]
    for (start, stop), mine in (((0, 60), leaves[:60]), ((60, 130), leaves[60:])):
        found = choosing.policy(start, stop)
        count = len(found["at"])
        assert found["leaf"].tolist() == mine
        assert found["rewards"].shape == (stop - start, 3)
        assert np.isfinite(found["rewards"]).all()
        assert found["at"][0] == start
        assert (np.diff(found["at"]) >= 16).all()
        assert found["at"][-1] < stop
        assert count == -(-(stop - start) // 16)
        assert found["groups"].shape == (count, len(choosing.tree["groups"]))
        assert found["leaves"].shape == (count, len(choosing.tree["leaves"]))
        for name in ("groups", "leaves"):
            assert (found[name] >= 0).all()
            assert np.allclose(found[name].sum(1), 1, atol=1e-5)
        for at, group, leaf in zip(found["at"], found["groups"], found["leaves"], strict=True):
            assert np.allclose(np.bincount(choosing.tree["group"], leaf), group, atol=1e-6)
            gone = np.bincount(leaves[:at], minlength=len(leaf)) == np.bincount(choosing.tree["leaf"])
            assert np.array_equal(leaf == 0, gone)
    assert not np.allclose(found["groups"][0], found["groups"][-1])


# --- stopping -------------------------------------------------------------------------------------------------


def stopped(choosing: Choosing, after: int, how: str, *shard: Any) -> str:
    """Makes a shard and stops it after so many batches: told to, or by an error after a checkpoint; what it says."""
    steps, really = itertools.count(1), Checkpoints.due
    killed = RuntimeError("killed")

    def due(self: Checkpoints) -> bool:
        if next(steps) == after:
            if how == "told":
                signal.raise_signal(signal.SIGTERM)
            else:
                patch.setattr(Checkpoints, "obey", dies)
                return True
        return really(self)

    def dies(self: Checkpoints, far: str) -> None:
        raise killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises((MimeoError, RuntimeError)) as caught:
        patch.setattr(Checkpoints, "due", due)
        choosing.run(*shard)
    return str(caught.value)


@pytest.mark.parametrize("how", ["told", "killed"])
@pytest.mark.parametrize("after", [1, 3, 5])
@pytest.mark.parametrize("batch", [10, 16])
def test_stopped_anywhere_it_ends_with_the_same_bytes(choosing: Choosing, after: int, how: str, batch: int) -> None:
    """In a shard that goes on from another, with answers that wait for a whole batch of the copycat's, and without."""
    choosing.spec |= {"batch": batch}
    choosing.run(0, 64)
    whole = choosing.run(64, 64 + 5 * batch, (0, 64))
    for name in OUTPUTS:
        choosing.path(64, 64 + 5 * batch, name).unlink()
    said = stopped(choosing, after, how, 64, 64 + 5 * batch, (0, 64))
    if how == "told":
        far = f"{after * batch} of {5 * batch} queries"
        assert said == f"stopped by SIGTERM after {far}: the next run goes on from there"
    assert not choosing.path(64, 64 + 5 * batch, "answers.npy").exists()
    assert choosing.run(64, 64 + 5 * batch, (0, 64)) == whole
    assert f"goes on after {after * batch} of {5 * batch} queries" in choosing.log


@settings(deadline=None, max_examples=4, derandomize=True, database=None)
@given(stops=st.lists(st.integers(1, 3), min_size=2, max_size=4), batch=st.sampled_from([7, 16]))
def test_stopped_again_and_again(listings: dict[str, str], victim: str, stops: list[int], batch: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        choosing = Choosing(listings, victim, Path(folder))
        choosing.spec |= {"batch": batch}
        whole = choosing.run(0, 13 * batch)
        for after in stops:
            stopped(choosing, after, "told", 0, 13 * batch)
        assert choosing.run(0, 13 * batch) == whole
        assert f"goes on after {sum(stops) * batch} of" in choosing.log


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", ["damaged", "other code", "other seed", "another state before"])
def test_a_checkpoint_that_is_not_its_own_is_not_used(choosing: Choosing, harm: str) -> None:
    choosing.run(0, 64)
    stopped(choosing, 2, "told", 64, 128, (0, 64))
    kept = choosing.folder / "kept" / "chosen.safetensors"
    if harm == "damaged":
        flip(kept)
    elif harm == "other code":
        choosing.code = "edited"
    elif harm == "other seed":
        choosing.spec["seed"] = 1
    else:
        path = choosing.path(0, 64, "state.safetensors")
        path.write_bytes(path.read_bytes())
    found = choosing.run(64, 128, (0, 64))
    assert "not used" in choosing.log
    assert "goes on" not in choosing.log
    assert choosing.run(64, 128, (0, 64)) == found  # as where no checkpoint was


def test_a_damaged_state_is_refused(choosing: Choosing, complaint: Callable[[Callable[[], object]], str]) -> None:
    choosing.run(0, 64)
    path = choosing.path(0, 64, "state.safetensors")
    flip(path)
    said = complaint(lambda: choosing.run(64, 128, (0, 64)))
    assert said.startswith(f"{path}: damaged")
    assert not (choosing.folder / "64-128").exists()


def cut(path: Path, whole: Path) -> str:
    """The first half of a file under another name."""
    content = whole.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n", 0, len(content) // 2) + 1])
    return str(path)


@pytest.mark.parametrize("file", ["tree", "items", "weights"])
def test_a_damaged_input_is_refused(
    choosing: Choosing, file: str, complaint: Callable[[Callable[[], object]], str]
) -> None:
    path = choosing.folder / ("tree.npz" if file == "tree" else "cut")
    if file == "items":
        choosing.items = [cut(path, Path(choosing.items[0]))]
    elif file == "weights":
        choosing.weights = cut(path, Path(choosing.weights))
    else:
        cut(path, path)
    assert complaint(lambda: choosing.run(0, 64)).startswith(str(path))
    assert not (choosing.folder / "0-64").exists()


# --- bad answers ----------------------------------------------------------------------------------------------


def spoilt(kind: str, answers: np.ndarray) -> np.ndarray:
    """Answers of which the last is none."""
    answers = answers.copy()
    if kind == "shape":
        return answers[:, :-1]
    if kind == "count":
        return answers[:-1]
    answers[-1] = {"nan": np.nan, "negative": -answers[-1], "sum": answers[-1] / 2, "infinite": np.inf}[kind]
    return answers


@pytest.fixture
def ill(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A victim that answers wrongly from the third batch on."""
    module, asked = load("victims", "trained"), itertools.count()
    really = module.answerer

    def answerer(*arguments: Any) -> Callable[[np.ndarray], np.ndarray]:
        ask = really(*arguments)
        return lambda images: spoilt(request.param, ask(images)) if next(asked) >= 2 else ask(images)

    monkeypatch.setattr(module, "answerer", answerer)
    yield request.param


@pytest.mark.parametrize("ill", ["shape", "count", "nan", "negative", "sum", "infinite"], indirect=True)
def test_an_answer_that_is_none_is_refused(
    choosing: Choosing, ill: str, complaint: Callable[[Callable[[], object]], str]
) -> None:
    said = complaint(lambda: choosing.run(0, 64))
    assert said.startswith("victim reader: answer")
    assert not (choosing.folder / "0-64").exists()
