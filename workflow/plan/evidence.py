"""What tables read beside scores: files of the kinds that a plug-in names in ``NEEDS``, by what they are of."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from plan.errors import ConfigError, did_you_mean
from plan.sources import needs, plugin_file

if TYPE_CHECKING:
    from plan.arms import Plan

# What of a table's entry each kind of files is worked out from: one of these keys has to be there.
KINDS: dict[str, tuple[str, ...]] = {
    "manifests": ("victims", "cells"),
    "references": ("victims", "cells"),
    "predictions": ("cells",),
    "policies": ("cells",),
    "classes": ("pools", "cells"),
    "synonyms": (),
}


def check_needs(name: str, table: dict, where: str) -> None:
    """Holds a table's entry against what its plug-in reads.

    Args:
        name: ``paper/table``.
        where: file and key, for the message.

    Raises:
        ConfigError: the plug-in names an unknown kind, or the entry lacks what it needs or has what it does not.
    """
    wanted, file = needs(name), f"workflow/scripts/{plugin_file('tables', name)}"
    for kind in wanted:
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise ConfigError(f"{file}: NEEDS: {kind!r} is no kind (known: {known}){did_you_mean(kind, KINDS)}")
        if KINDS[kind] and not any(key in table for key in KINDS[kind]):
            raise ConfigError(f"{where}: {' or '.join(KINDS[kind])}: required, since the plug-in needs {kind}")
    if not wanted and "cells" not in table:
        raise ConfigError(f"{where}.cells: required, since the plug-in shows scores of arms")
    for key in ("victims", "pools"):
        if key in table and (not wanted or "cells" in table):
            raise ConfigError(f"{where}.{key}: for tables without cells alone: cells say whom they are about")
    if "pools" in table and "victims" not in table:
        raise ConfigError(f"{where}.victims: required, since there are pools")


def evidence(plan: "Plan", name: str) -> dict[str, Any]:
    """What a table's plug-in is told of victims, arms and pools, and where the files of each kind lie.

    Returns:
        nothing where the table needs none; else ``files``, by kind and by what they belong to, ``victims``, ``arms``
        and ``pools``, ``declared``, names of classes that the configuration has, and how many ``resamples``.

    Raises:
        ConfigError: an arm has no file of a kind that is needed.
    """
    kinds = needs(name)
    if not kinds:
        return {}
    entry, where = plan.scale["tables"][name], f"{plan.file}: tables.{name}"
    arms = list(dict.fromkeys(cell.arm for cell in plan.tables[name]))
    victims = list(dict.fromkeys([*entry.get("victims", ()), *(plan.arms[arm].victim for arm in arms)]))
    datasets = {victim: plan.entry("victims", victim, f"{where}.victims")["dataset"] for victim in victims}
    pools = entry.get("pools", {})
    for title, parts in pools.items():
        for part in parts:
            plan.entry("datasets", part, f"{where}.pools.{title}")
    asked = {arm: _asked(plan, arm) for arm in arms}
    listed = dict.fromkeys([*datasets.values(), *_flat(pools.values()), *_flat(asked.values())])
    declared = {part: plan.entry("datasets", part)["classes"] for part in listed}
    declared = {part: names for part, names in declared.items() if isinstance(names, list)}
    found: dict[str, Callable[[], dict[str, list[str]]]] = {
        "manifests": lambda: {victim: [plan.manifest(dataset)] for victim, dataset in datasets.items()},
        "references": lambda: {victim: [plan.reference(victim)] for victim in victims},
        "predictions": lambda: {arm: plan.predictions(arm) for arm in arms},
        "policies": lambda: {arm: _policy(plan, arm, where) for arm in arms},
        "classes": lambda: {part: [_classes(plan, part)] for part in listed if part not in declared},
        "synonyms": lambda: {"synonyms": ["config/synonyms.csv"]},
    }
    return {
        "files": {kind: found[kind]() for kind in kinds},
        "victims": {victim: plan.victim_titles(victim) | {"data": datasets[victim]} for victim in victims},
        "arms": {
            arm: {"victim": plan.arms[arm].victim, "budget": plan.arms[arm].last.budget, "pool": asked[arm]}
            for arm in arms
        },
        "pools": pools,
        "declared": declared if "classes" in kinds else {},
        "resamples": plan.scale["resamples"],
    }


def _asked(plan: "Plan", arm: str) -> list[str]:
    """The data sets of all query sets of an arm."""
    return list(dict.fromkeys(_flat(plan.datasets_of(t.query) for t in plan.arms[arm].transfers)))


def _policy(plan: "Plan", arm: str, where: str) -> list[str]:
    """The tree of labels that a policy chose from, and what it did, shard by shard."""
    logs, query = plan.policy_logs(arm), plan.arms[arm].last.query
    if not logs:
        raise ConfigError(f"{where}.cells: {query} has no policy: its strategy does not choose as it asks")
    return [f"results/queries/{query}/tree.npz", *logs]


def _classes(plan: "Plan", dataset: str) -> str:
    """Where the names of a data set's classes are: in git, or in what its images are listed with."""
    committed = [file for kind in ("txt", "csv") for file in plan.dataset_files(dataset, "classes", kind)]
    return committed[0] if committed else plan.manifest(dataset)


def _flat(lists: Iterable[Iterable[str]]) -> list[str]:
    return [text for texts in lists for text in texts]
