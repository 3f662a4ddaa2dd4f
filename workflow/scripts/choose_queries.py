"""Chooses a shard of queries by what the victim answers, and trains a copycat meanwhile (Knockoff Nets, 4.1.2).

Shards follow one another: each goes on from the state that the one before has left. So a larger budget asks only
what is new, and smaller budgets are prefixes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mimeo.answers import check_answers
from mimeo.checkpoints import Checkpoints
from mimeo.console import Console, job
from mimeo.models import network, prepare_device
from mimeo.outside import data_folder
from mimeo.plugins import load
from mimeo.pool import Pool
from mimeo.records import Cost
from mimeo.seeds import seed_of
from mimeo.store import load_arrays, load_sealed, save_array, save_arrays, save_sealed
from mimeo.strategies import Policy
from mimeo.training import Online, Recipe

SNAPSHOTS = 100  # of the policy, a shard


def step(
    victim: str, policy: Policy, pool: Pool, ask: Callable[[np.ndarray], np.ndarray], copy: Online, count: int,
    classes: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Chooses images, asks about them, and lets policy and copycat learn from the answers.

    Returns:
        int64, the images' places in the pool; float16, images x classes, the answers.
    """
    indices = policy.choose(count)
    pixels = pool.take(indices)
    posterior = ask(pixels)
    check_answers(victim, posterior, (len(indices), classes))
    shown = posterior.astype(np.float16)
    learnt = shown.astype(np.float32)
    policy.learn(learnt, copy.learn(pixels, learnt))
    return indices, shown


def main(
    victim: str, query: str, code: str, spec: dict[str, Any], engine: dict[str, Any], start: int, stop: int,
    tree: str, items: list[str], weights: str, before: list[str], images: str, answers: str, order: str, log: str,
    state: str, checkpoints: str, say: Console,
) -> None:  # fmt: skip
    """Writes the shard's images and answers, the order so far, what the policy did, and what the next goes on from."""
    import torch

    cost, device = Cost(), prepare_device(engine["device"], engine["threads"])
    known, shape = load_arrays(tree, "part", "row", "label", "leaf", "group"), spec["victim"]["shape"]
    pool = Pool(data_folder(), spec["parts"], items, known["part"], known["row"])
    ask = load("victims", spec["victim"]["kind"]["plugin"]).answerer(
        Path(weights), network(spec["victim"]["architecture"], **shape), device,
        **spec["victim"]["kind"]["parameters"],
    )  # fmt: skip
    seed = seed_of("choose", victim, query, spec["seed"])
    policy = load("strategies", spec["strategy"]["plugin"]).policy(
        known["leaf"], known["group"], shape["classes"], np.random.default_rng(seed), **spec["strategy"]["parameters"]
    )
    torch.manual_seed(seed)
    copy = Online(network(spec["architecture"], **shape)(), Recipe(**spec["recipe"]), seed, device)
    count, total = 0, stop - start
    chosen = {"indices": np.zeros(total, np.int64), "answers": np.zeros((total, shape["classes"]), np.float16)}
    taken: dict[str, list[np.ndarray]] = {"rewards": [], "at": [], "groups": [], "leaves": []}

    def put_back(kept: dict[str, Any]) -> None:
        policy.put_back({name[7:]: value.numpy() for name, value in kept.items() if name.startswith("policy/")})
        copy.put_back({name[5:]: value for name, value in kept.items() if name.startswith("copy/")})

    def everything() -> dict[str, Any]:
        found = {f"policy/{name}": torch.from_numpy(value) for name, value in policy.state().items()}
        return found | {f"copy/{name}": value for name, value in copy.state().items()}

    earlier = np.empty(0, np.int64)
    if before:
        _, kept = load_sealed(before[0])
        put_back(kept)
        earlier = kept["order"].numpy()
    facts = [code, spec, engine, device.type, start, stop]
    with Checkpoints(checkpoints, facts, [tree, *items, weights, *before], cost, say) as saved:
        there = saved.read("chosen")
        if there:
            _, kept = there
            put_back(kept)
            count = len(kept["indices"])
            for name, values in chosen.items():
                values[:count] = kept[name].numpy()
            taken = {name: [kept[f"taken/{name}"].numpy()] for name in taken}
            say.note(f"{saved.path('chosen')}: goes on after {count} of {total} queries")
        every = max(1, spec["shard"] // SNAPSHOTS)
        while count < total:
            if not taken["at"] or start + count >= int(taken["at"][-1].max()) + every:
                groups, leaves = policy.probabilities()
                taken["at"].append(np.array([start + count]))
                taken["groups"].append(groups[None].astype(np.float32))
                taken["leaves"].append(leaves[None].astype(np.float32))
            size = min(spec["batch"], total - count)
            rows = slice(count, count + size)
            chosen["indices"][rows], chosen["answers"][rows] = step(
                victim, policy, pool, ask, copy, size, shape["classes"]
            )
            taken["rewards"].append(policy.rewards())
            count += size
            say.progress(f"choosing {query} for {victim}", count, total)
            if saved.due():
                log_so_far = {f"taken/{name}": torch.from_numpy(np.concatenate(v)) for name, v in taken.items()}
                mine = {name: torch.from_numpy(values[:count]) for name, values in chosen.items()}
                saved.write("chosen", {}, everything() | log_so_far | mine, f"{count} of {total} queries")
    asked = np.concatenate([earlier, chosen["indices"]])
    save_array(images, pool.take(chosen["indices"]))
    save_array(answers, chosen["answers"])
    save_arrays(order, {name: known[name][asked] for name in ("part", "row", "label")})
    save_arrays(
        log,
        {"leaf": known["leaf"][chosen["indices"]]} | {name: np.concatenate(parts) for name, parts in taken.items()},
    )
    save_sealed(state, {}, everything() | {"order": torch.from_numpy(asked)})
    saved.remove()


if __name__ == "__main__":
    with job(snakemake.log[0]) as console:
        main(
            snakemake.wildcards.victim,
            snakemake.wildcards.query,
            snakemake.params.code,
            snakemake.params.spec,
            snakemake.params.engine,
            int(snakemake.wildcards.start),
            int(snakemake.wildcards.stop),
            snakemake.input.tree,
            snakemake.input.listings,
            snakemake.input.weights,
            snakemake.input.before,
            snakemake.output.images,
            snakemake.output.answers,
            snakemake.output.order,
            snakemake.output.policy,
            snakemake.output.state,
            snakemake.params.checkpoints,
            console,
        )
