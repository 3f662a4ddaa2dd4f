"""What a table's own ``measure`` reads: files of the kinds that its plug-in names in ``NEEDS``, by what they are of."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from mimeo.errors import MimeoError
from mimeo.evaluation import Truth, image_weights
from mimeo.overlap import read_classes, read_synonyms
from mimeo.seeds import seed_of
from mimeo.store import load_arrays, load_json


@dataclass(frozen=True)
class Cell:
    """A place in a table, and the arm that fills it.

    Attributes:
        budget: queries of its last transfer.
        pool: the data sets of its query sets.
    """

    row: str
    column: str
    arm: str
    victim: str
    budget: int
    pool: tuple[str, ...]


@dataclass(frozen=True)
class Predictions:
    """What an arm's sound replicates say of the victim's test images.

    Attributes:
        truth: labels and the victim's posteriors.
        classes: int32, replicates x N.
        kl: float32, replicates x N, divergence from the victim.
        weights: float32, resamples x N, see ``mimeo.evaluation.image_weights``; the same for all arms of a test set.
        seed: of the draw of replicates.
    """

    truth: Truth
    classes: np.ndarray
    kl: np.ndarray
    weights: np.ndarray
    seed: int


@dataclass(frozen=True)
class PolicyLog:
    """What a policy did while it chose.

    Attributes:
        leaves, groups: names.
        leaf: int, queries: the leaf of each image, in the order asked.
        group: int, leaves: the group of each.
        at: int, snapshots: how many queries had been asked.
        group_policy, leaf_policy: float32, snapshots x groups and x leaves: probabilities.
    """

    leaves: list[str]
    groups: list[str]
    leaf: np.ndarray
    group: np.ndarray
    at: np.ndarray
    group_policy: np.ndarray
    leaf_policy: np.ndarray


class Evidence:
    """The files that a table needs.

    Attributes:
        cells: of the table, in their order.
        victims: titles of each victim (``victim``, ``dataset``, ``victim_architecture``), and its ``data`` set.
        pools: data sets of each pool, by title.
        names: what victim, ceiling and floor are called.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.told: dict[str, Any] = spec["evidence"]
        arms = self.told["arms"]
        self.cells = [
            Cell(row, column, arm, arms[arm]["victim"], arms[arm]["budget"], tuple(arms[arm]["pool"]))
            for row, column, arm in spec["cells"]
        ]
        self.victims: dict[str, dict[str, str]] = self.told["victims"]
        self.pools: dict[str, list[str]] = self.told["pools"]
        self.names: dict[str, str] = spec["names"]

    def _files(self, kind: str, of: str) -> list[str]:
        return list(self.told["files"][kind][of])

    def manifest(self, victim: str) -> dict[str, Any]:
        """What a victim's data set holds: ``classes``, names in the order of their labels, and ``splits``, images each.

        Raises:
            MimeoError: not readable, or without these.
        """
        [path] = self._files("manifests", victim)
        return _manifest(path)

    def reference(self, victim: str) -> dict[str, Any]:
        """The scores of a victim (``victim_metrics``, ``failures``).

        Raises:
            MimeoError: not readable, or without these.
        """
        [path] = self._files("references", victim)
        found = load_json(path)
        if not isinstance(found, dict) or not {"victim_metrics", "failures"} <= found.keys():
            raise MimeoError(f"{path}: holds no scores of a victim")
        return found

    def predictions(self, arm: str) -> Predictions:
        """What an arm's sound replicates predict.

        Raises:
            MimeoError: a file is not readable, or the two are not of the same images.
        """
        path, answers = self._files("predictions", arm)
        there, known = load_arrays(path, "classes", "kl", "sound"), load_arrays(answers, "labels", "posteriors")
        count, sound = len(known["labels"]), there["sound"]
        if there["classes"].shape != (len(sound), count) or there["kl"].shape != (len(sound), count):
            raise MimeoError(f"{path}: predictions are not of the {count} images of {answers}")
        dataset = self.victims[self.told["arms"][arm]["victim"]]["data"]
        return Predictions(
            Truth(known["labels"], known["posteriors"]),
            there["classes"][sound],
            there["kl"][sound],
            image_weights(count, self.told["resamples"], seed_of("test images", dataset)),
            seed_of("replicates", arm),
        )

    def policy(self, arm: str) -> PolicyLog:
        """What the policy behind an arm's queries did, up to the arm's budget.

        Raises:
            MimeoError: a file is not readable, the logs hold fewer queries, or they are of another tree.
        """
        tree_file, *files = self._files("policies", arm)
        tree, budget = load_arrays(tree_file, "group", "leaves", "groups"), self.told["arms"][arm]["budget"]
        logs = [load_arrays(file, "leaf", "at", "groups", "leaves") for file in files]
        for file, log in zip(files, logs, strict=True):
            widths = log["groups"].shape[1:], log["leaves"].shape[1:]
            if widths != (tree["groups"].shape, tree["leaves"].shape) or log["leaf"].max(initial=0) >= len(
                tree["leaves"]
            ):
                raise MimeoError(f"{file}: is of another tree than {tree_file}")
        leaf, at, groups, leaves = (
            np.concatenate([log[key] for log in logs]) for key in ("leaf", "at", "groups", "leaves")
        )
        if len(leaf) < budget:
            raise MimeoError(f"{files[-1]}: {len(leaf)} queries are logged, the arm has {budget}")
        kept = at < budget
        return PolicyLog(
            tree["leaves"].tolist(), tree["groups"].tolist(), leaf[:budget], tree["group"],
            at[kept], groups[kept], leaves[kept],
        )  # fmt: skip

    def classes(self, dataset: str) -> list[str]:
        """Names of a data set's classes, in no certain order; none where its images have no class.

        Raises:
            MimeoError: not readable.
        """
        if dataset in self.told["declared"]:
            return list(self.told["declared"][dataset])
        [path] = self._files("classes", dataset)
        return list(_manifest(path)["classes"]) if PurePath(path).suffix == ".json" else read_classes(path)

    def synonyms(self) -> list[tuple[str, str]]:
        """Pairs of a victim's and a pool's class that mean the same.

        Raises:
            MimeoError: not readable.
        """
        [path] = self._files("synonyms", "synonyms")
        return read_synonyms(path)


def _manifest(path: str) -> dict[str, Any]:
    found = load_json(path)
    if not isinstance(found, dict) or not {"classes", "splits"} <= found.keys():
        raise MimeoError(f"{path}: is no manifest of a data set")
    return found
