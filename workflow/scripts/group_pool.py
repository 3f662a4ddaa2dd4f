"""Puts the labels of a pool's images into a tree of groups and leaves, for strategies that choose by label."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mimeo.console import job
from mimeo.datasets import UNKNOWN
from mimeo.errors import MimeoError
from mimeo.grouping import clusters, pixel_features
from mimeo.items import labels_of, pooled
from mimeo.outside import data_folder
from mimeo.pool import Pool
from mimeo.seeds import seed_of
from mimeo.store import save_arrays

SAMPLE = 20  # images of a label whose features are averaged
PART = 2048  # of them decoded at once


def paths_of(
    dataset: str, columns: dict[str, np.ndarray], rows: np.ndarray, levels: list[str]
) -> list[tuple[str, ...]]:
    """Every image's labels from coarse to fine, after its data set's name; empty where it has none of that kind."""
    texts = [columns[level][rows].astype(str) if level in columns else np.full(len(rows), "") for level in levels]
    texts = [np.where(text == str(UNKNOWN), "", text) for text in texts]
    return [(dataset, *values) for values in zip(*(text.tolist() for text in texts), strict=True)]


def joined(labels: Iterable[str]) -> str:
    """Labels from coarse to fine as one name."""
    return "/".join(filter(None, labels))


def main(query: str, spec: dict[str, Any], engine: dict[str, Any], items: list[str], tree: str) -> None:
    """Writes the tree.

    For every image of the pool ``part``, ``row`` (which item of which data set), ``label`` (its own class, or -1) and
    ``leaf``; for every leaf its ``group``; the names of leaves and groups.
    """
    part, row, tables = pooled(spec["images"], spec.get("counts", {}), items)
    there = sorted({name for columns in tables for name in columns})
    lacking = [level for level in spec["tree"]["levels"] if level not in there]
    if lacking:
        columns_there = ", ".join(there)
        raise MimeoError(f"{query}: tree.levels: the pool's items have no {lacking[0]!r} (columns: {columns_there})")
    paths: list[tuple[str, ...]] = []
    for number, (place, columns) in enumerate(zip(spec["images"], tables, strict=True)):
        paths += paths_of(place.split("/")[0], columns, row[part == number], spec["tree"]["levels"])
    names = sorted(set(paths))
    number_of = {name: leaf for leaf, name in enumerate(names)}
    leaf = np.array([number_of[path] for path in paths], np.int32)
    if spec["tree"].get("flat"):
        groups = ["all"] * len(names)
    elif "clusters" in spec["tree"]:
        count = spec["tree"]["clusters"]
        if count > len(names):
            raise MimeoError(f"{query}: {count} clusters are more than the {len(names)} labels of the pool")
        features = mean_features(spec, engine, Pool(data_folder(), spec["parts"], items, part, row), leaf, len(names))
        found = clusters(features, count, seed_of("clusters", *spec["images"], spec["seed"]))
        groups = [f"cluster {number:03d}" for number in found]
    else:
        groups = [joined(name[:2]) for name in names]
    known = sorted(set(groups))
    save_arrays(
        tree,
        {
            "part": part,
            "row": row,
            "label": labels_of(part, row, tables),
            "leaf": leaf,
            "group": np.array([known.index(group) for group in groups], np.int32),
            "leaves": np.array([joined(name) for name in names]),
            "groups": np.array(known),
        },
    )


def mean_features(
    spec: dict[str, Any], engine: dict[str, Any], pool: Pool, leaf: np.ndarray, leaves: int
) -> np.ndarray:
    """The mean features of up to SAMPLE random images of each label: float32, leaves x features."""
    draw = np.random.default_rng(seed_of("features", *spec["images"], spec["seed"]))
    shuffled = draw.permutation(len(leaf))
    ordered = shuffled[np.argsort(leaf[shuffled], kind="stable")]
    first = np.searchsorted(leaf[ordered], leaf[ordered])
    sample = ordered[np.arange(len(ordered)) - first < SAMPLE]
    describe = featurer(spec, engine, pool)
    parts = (sample[start : start + PART] for start in range(0, len(sample), PART))
    found = np.concatenate([describe(pool.take(part)) for part in parts])
    sums = np.zeros((leaves, found.shape[1]), np.float64)
    np.add.at(sums, leaf[sample], found)
    return (sums / np.bincount(leaf[sample], minlength=leaves)[:, None]).astype(np.float32)


def featurer(spec: dict[str, Any], engine: dict[str, Any], pool: Pool) -> Callable[[np.ndarray], np.ndarray]:
    """What describes images, uint8 N x size x size x channels, by features, float32 N x features: a network or none."""
    if not spec.get("features"):
        return pixel_features
    import torch

    from mimeo.models import features, network, prepare_device

    device = prepare_device(engine["device"], engine["threads"])
    torch.manual_seed(seed_of("network", *spec["images"], spec["seed"]))  # of one whose weights are random
    model = network(spec["features"], pool.width[0], pool.width[2], 2)().eval()
    return lambda images: features(model, images, device)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.wildcards.query,
            snakemake.params.spec,
            snakemake.params.engine,
            snakemake.input.listings,
            snakemake.output.tree,
        )
