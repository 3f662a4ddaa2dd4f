"""Arms, the shards they need, the cells they fill: everything between a configuration and a list of files."""

import itertools
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from plan.errors import ConfigError, did_you_mean
from plan.evidence import evidence
from plan.sources import SCRIPTS, closure, digest, functions, needs, plugin_file

RESULTS = "results"
ROOMS = ("data", "victims", "queries", "labels", "copycats", "scores", "tables")
TENTH = 10  # of so many queries train_copycat.py holds out one, where these choose the epoch
SCORED = ("accuracy", "macro_recall", "macro_f1", "ratio", "agreement", "kl")
ONLINE = ("batch", "optimizer", "rate", "momentum", "weight_decay")  # keys of a recipe that count as answers come in
REFERENCES = {"victim": "Victim", "ceiling": "Ceiling: victim retrained", "floor": "Floor: majority class"}


@dataclass(frozen=True)
class Transfer:
    """One training of a copycat: the first ``budget`` images of a query set, as the response shows them."""

    query: str
    response: str
    budget: int
    recipe: str


@dataclass(frozen=True)
class Arm:
    """One victim x query set x budget x response x architecture x recipe, with all its replicates.

    ``transfers`` has several entries where each fine-tunes what the one before has trained.
    """

    victim: str
    architecture: str
    transfers: tuple[Transfer, ...]

    @property
    def path(self) -> str:
        """The arm's name, used in paths and for its seeds."""
        first = self.transfers[0]
        path = f"{self.victim}/{first.query}/{first.response}-b{first.budget}/{self.architecture}-{first.recipe}"
        for before, t in itertools.pairwise(self.transfers):
            more = _is_more(before, t)
            path += f"/warm-b{t.budget}" if more else f"/then/{t.query}/{t.response}-b{t.budget}/{t.recipe}"
        return path

    @property
    def start(self) -> str:
        """What its weights start from: ``fresh`` ones; ``warm``, an arm's of a smaller budget of the same queries;
        ``fine-tuned``, another arm's."""
        return "fresh" if not self.warm else "warm" if all(self.warm) else "fine-tuned"

    @property
    def warm(self) -> list[bool]:
        """Of every transfer but the first, whether it is the one before with more queries."""
        return [_is_more(before, after) for before, after in itertools.pairwise(self.transfers)]

    @property
    def last(self) -> Transfer:
        """The transfer that ends it."""
        return self.transfers[-1]

    @property
    def parent(self) -> "Arm | None":
        """The arm whose weights this one fine-tunes."""
        return Arm(self.victim, self.architecture, self.transfers[:-1]) if len(self.transfers) > 1 else None


def _is_more(before: Transfer, after: Transfer) -> bool:
    """Whether a transfer is one with more queries of the same kind."""
    return after.budget > before.budget and replace(after, budget=before.budget) == before


@dataclass(frozen=True)
class Cell:
    """A place in a table, filled by an arm."""

    row: str
    column: str
    arm: str


class Plan:
    """A scale worked out: arms by their path, cells by table, and where every artifact lies."""

    def __init__(self, scale: dict, ingredients: dict[str, dict], file: str = "configuration") -> None:
        self.scale, self.ingredients, self.file = scale, ingredients, file
        self.name: str = scale["scale"]
        self.arms: dict[str, Arm] = {}
        self.tables: dict[str, list[Cell]] = {}
        for name, table in scale["tables"].items():
            self.tables[name] = list(self._cells(table, f"{file}: tables.{name}"))
            self._check_unique(name)

    # --- from a table's entry to arms -----------------------------------------------------------------------

    def _cells(self, table: dict, where: str) -> Iterator[Cell]:
        for number, block in enumerate(table.get("cells", [])):
            at = f"{where}.cells[{number}]"
            lists = [block[key] for key in ("victims", "queries", "responses", "architectures")]
            lists.insert(3, self._budgets(block["budgets"], f"{at}.budgets"))
            for victim, query, response, budget, architecture in itertools.product(*lists):
                transfers = [self._transfer(query, response, budget, block["recipe"], victim, at)]
                if block.get("warm"):
                    if "then" in block:
                        raise ConfigError(
                            f"{at}.warm: a block with `then` starts from no smaller budget: leave one out"
                        )
                    [own] = transfers
                    every = {self._transfer(query, response, b, block["recipe"], victim, at) for b in lists[3]}
                    transfers = [t for t in sorted(every, key=lambda t: t.budget) if t.budget <= own.budget]
                elif "then" in block:
                    then = block["then"]
                    deeper = self._budget(then["budget"], f"{at}.then.budget")
                    transfers.append(
                        self._transfer(then["query"], then["response"], deeper, then["recipe"], victim, f"{at}.then")
                    )
                self.entry("architectures", architecture, f"{at}.architectures")
                arm = self._add(Arm(victim, architecture, tuple(transfers)))
                titles = self._titles(arm)
                yield Cell(
                    _fill(block["row"], titles, f"{at}.row"), _fill(block["column"], titles, f"{at}.column"), arm.path
                )

    def _budgets(self, budgets: list | str, where: str) -> list:
        """Budgets as they stand in a cell, or those of that name."""
        if isinstance(budgets, list):
            return budgets
        named = self.scale["budgets"]
        if budgets not in named:
            raise ConfigError(f"{where}: no budgets are called {budgets!r}{did_you_mean(budgets, named)}")
        return named[budgets]

    def _budget(self, budget: int | str, where: str) -> int | str:
        if not isinstance(budget, str) or budget == "all":
            return budget
        found = self._budgets(budget, where)
        if len(found) != 1:
            raise ConfigError(f"{where}: {budget!r} stands for {len(found)} budgets: one is needed")
        return found[0]

    def _transfer(self, query: str, response: str, budget: int | str, recipe: str, victim: str, where: str) -> Transfer:
        self.entry("recipes", recipe, f"{where}.recipe")
        shown = self.entry("responses", response, f"{where}.responses")
        dataset = self.dataset_of(victim, where)
        self.entry("queries", query, f"{where}.queries")
        for part in self.datasets_of(query):
            source = self.ingredients["datasets"][part]
            if (source["size"], source["channels"]) != (dataset["size"], dataset["channels"]):
                raise ConfigError(f"{where}: images of {query} are not of the size that {victim} takes")
            taught = self.entry("victims", victim)["dataset"]
            if shown["labels"] == "pool" and not _same_classes(part, source["classes"], taught, dataset["classes"]):
                raise ConfigError(f"{where}: {query} has no original labels of {victim}'s classes")
        if shown["labels"] == "pool" and self.adaptive(query):
            raise ConfigError(f"{where}: {query} is chosen by what {victim} answers: it has no original labels alone")
        pool = self.pool_size(query)
        if budget == "all":
            budget = pool
        if self.selects(recipe) == "validation" and 0 < int(budget) < TENTH:
            raise ConfigError(f"{where}.budgets: {budget} is too few to hold out a tenth, as {recipe} does")
        if int(budget) > pool:
            raise ConfigError(f"{where}.budgets: {budget} is more than the {pool} images of {query}")
        return Transfer(query, response, int(budget), recipe)

    def _add(self, arm: Arm) -> Arm:
        if self.arms.setdefault(arm.path, arm) != arm:
            raise ConfigError(f"{self.file}: two arms are called {arm.path}: rename an architecture or a recipe")
        if arm.parent:
            self._add(arm.parent)
        return arm

    def victim_titles(self, victim: str) -> dict[str, Any]:
        """What a victim, its data set and its network are called."""
        entry = self.ingredients["victims"][victim]
        family = self.ingredients["architectures"][entry["architecture"]]
        dataset = self.dataset_of(victim)
        return {"victim": entry["title"], "dataset": dataset["title"], "victim_architecture": family["title"]}

    def _titles(self, arm: Arm) -> dict[str, Any]:
        first = arm.transfers[0]
        named = {
            "query": self.ingredients["queries"][first.query],
            "response": self.ingredients["responses"][first.response],
            "architecture": self.ingredients["architectures"][arm.architecture],
        }
        titles = {key: entry["title"] for key, entry in named.items()}
        shown = arm.last if arm.start == "warm" else first
        return self.victim_titles(arm.victim) | titles | {"budget": shown.budget}

    def _check_unique(self, table: str) -> None:
        taken: dict[tuple[str, str], str] = {}
        for kind, victim, row, column in self._references(table):
            if taken.setdefault((row, column), f"{kind} of {victim}") != f"{kind} of {victim}":
                raise ConfigError(
                    f"{self.file}: tables.{table}.references: two victims in the cell {row!r} / {column!r}"
                )
        for cell in self.tables[table]:
            other = taken.setdefault((cell.row, cell.column), "")
            if other:
                raise ConfigError(
                    f"{self.file}: tables.{table}: two arms in the cell {cell.row!r} / {cell.column!r}: "
                    f"{other} and {cell.arm}"
                )
            taken[cell.row, cell.column] = cell.arm

    # --- look-ups -------------------------------------------------------------------------------------------

    def entry(self, kind: str, name: str, where: str = "plan") -> dict:
        """An ingredient by kind and name.

        Raises:
            ConfigError: there is none; a near name is suggested.
        """
        return refer(kind, name, self.ingredients, where)

    def dataset_of(self, victim: str, where: str = "plan") -> dict:
        """The data set that a victim learns and is tested on."""
        return self.ingredients["datasets"][self.entry("victims", victim, f"{where}.victims")["dataset"]]

    def datasets_of(self, query: str) -> list[str]:
        """The data sets of a query set's pool, in the order of its parts."""
        return [part.split("/")[0] for part in self.ingredients["queries"][query]["images"]]

    def pool_size(self, query: str) -> int:
        """How many images a query set orders."""
        return sum(count for _, count in self._parts(query))

    def _parts(self, query: str) -> Iterator[tuple[str, int]]:
        """The parts of a query set's pool, and how many images of each are in it."""
        entry = self.ingredients["queries"][query]
        for part in entry["images"]:
            dataset, split = part.split("/")
            count = self.ingredients["datasets"][dataset]["splits"][split]
            yield part, max(1, round(count * entry.get("shares", {}).get(part, 1)))

    def adaptive(self, query: str) -> bool:
        """Whether a query set's strategy chooses as it asks, so that every victim has a query set of its own."""
        return "policy" in functions("strategies", self.ingredients["queries"][query]["strategy"])

    def asks(self, transfer: Transfer) -> bool:
        """Whether the victim is asked (original labels come with the pool)."""
        return self.ingredients["responses"][transfer.response]["labels"] == "victim"

    def selects(self, recipe: str) -> str:
        """Which epoch's weights a recipe keeps: ``last``, or the one that ``validation`` or ``test`` images choose."""
        return str(self.ingredients["recipes"][recipe].get("select", "last"))

    def cell(self, reference: dict, where: str) -> str:
        """The arm in a cell named by table, row and column.

        Raises:
            ConfigError: no such cell.
        """
        for cell in self.tables.get(reference["table"], []):
            if (cell.row, cell.column) == (reference["row"], reference["column"]):
                return cell.arm
        names = [c.row for c in self.tables.get(reference["table"], [])]
        hint = did_you_mean(reference["row"], names, "row ")
        raise ConfigError(
            f"{where}: no cell {reference['row']!r} / {reference['column']!r} in table {reference['table']}{hint}"
        )

    def victims(self) -> list[str]:
        """The victims in use, in the order of their first arm; then those that only a table scores."""
        scored = [
            victim
            for name, table in self.scale["tables"].items()
            for victim in table.get("victims", ())
            if "references" in needs(name)
        ]
        return list(dict.fromkeys([*(arm.victim for arm in self.arms.values()), *scored]))

    # --- what a job is told: only what changes its result ---------------------------------------------------

    def plugged(self, kind: str, name: str) -> dict[str, Any]:
        """Plug-in and parameters of an ingredient."""
        entry = self.ingredients[kind][name]
        return {"plugin": entry["plugin"], "parameters": entry["parameters"]}

    def shape(self, victim: str) -> dict[str, int]:
        """Size, channels and classes of a victim's images."""
        dataset = self.dataset_of(victim)
        return {"size": dataset["size"], "channels": dataset["channels"], "classes": class_count(dataset)}

    def decoding(self, dataset: str) -> dict[str, Any]:
        """What decodes a data set's images, and to what."""
        entry = self.ingredients["datasets"][dataset]
        return {"plugin": entry["plugin"], "size": entry["size"], "channels": entry["channels"]}

    def victim(self, name: str) -> dict[str, Any]:
        """Everything that decides a victim's weights and answers, but the files it reads."""
        entry = self.ingredients["victims"][name]
        return {
            "kind": {"plugin": entry["kind"], "parameters": entry["parameters"]},
            "dataset": entry["dataset"],
            "architecture": self.plugged("architectures", entry["architecture"]),
            "recipe": self.ingredients["recipes"][entry["recipe"]],
            "shape": self.shape(name),
        }

    def pool(self, query: str) -> dict[str, Any]:
        """Which images are in a query set's pool, but the files that list them."""
        entry = self.ingredients["queries"][query]
        counts = {part: count for part, count in self._parts(query) if part in entry.get("shares", {})}
        return {"images": entry["images"]} | ({"counts": counts} if counts else {})

    def ordering(self, query: str) -> dict[str, Any]:
        """Everything that decides the order of a query set, but the files it reads."""
        entry = self.ingredients["queries"][query]
        return self.pool(query) | {key: entry[key] for key in ("strategy", "parameters", "seed")}

    def grouping(self, query: str) -> dict[str, Any]:
        """Everything that decides the tree of a pool's labels, but the files it reads."""
        entry = self.ingredients["queries"][query]
        features = entry["tree"].get("features")
        return {
            **self.pool(query),
            "tree": entry["tree"],
            "seed": entry["seed"],
            "parts": [self.decoding(dataset) for dataset in self.datasets_of(query)],
            "features": self.plugged("architectures", features) if features else None,
        }

    def choosing(self, victim: str, query: str) -> dict[str, Any]:
        """Everything that decides which images a strategy chooses as it asks, but the files it reads."""
        entry = self.ingredients["queries"][query]
        copycat = entry["copycat"]
        recipe = self.ingredients["recipes"][copycat["recipe"]]
        return {
            "strategy": {"plugin": entry["strategy"], "parameters": entry["parameters"]},
            "seed": entry["seed"],
            "batch": copycat["batch"],
            "architecture": self.plugged("architectures", copycat["architecture"]),
            "recipe": {"epochs": 1} | {key: recipe[key] for key in ONLINE if key in recipe},
            "parts": [self.decoding(dataset) for dataset in self.datasets_of(query)],
            "shard": self.scale["shard"],
            "victim": self.victim(victim),
        }

    def training(self, path: str) -> dict[str, Any]:
        """Everything that decides an arm's weights, but the files it reads."""
        arm = self.arms[path]
        transfer = arm.last
        response = self.ingredients["responses"][transfer.response]
        warm = {"warm": True} if arm.warm and arm.warm[-1] else {}
        return warm | {
            "arm": path,
            "budget": transfer.budget,
            "architecture": self.plugged("architectures", arm.architecture),
            "recipe": self.ingredients["recipes"][transfer.recipe],
            "response": self.plugged("responses", transfer.response),
            "labels": response["labels"],
            "shape": self.shape(arm.victim),
        }

    def selected_by(self, path: str) -> str:
        """What chose an arm's epoch, as its recipe has it; ``test`` also where its weights go on from such ones.

        A warm start goes on from the weights with which the training before ended, whichever epoch that has kept.
        """
        arm = self.arms[path]
        used = [*(not warm for warm in arm.warm), True]
        chosen = [self.selects(t.recipe) for t, kept in zip(arm.transfers, used, strict=True) if kept]
        return "test" if "test" in chosen else chosen[-1]

    def training_inputs(self, path: str, block: str) -> dict[str, list[str]]:
        """The files that an arm's training reads, by what they are to it.

        Of a test set these are none, but where the arm's recipe says that it chooses the epoch by that (``judged``).

        Args:
            block: of replicates, as ``first-stop``.
        """
        arm = self.arms[path]
        last, parent, victim = arm.last, arm.parent, arm.victim
        asks, tested = self.asks(last), self.selects(last.recipe) == "test"
        dataset = self.ingredients["victims"][victim]["dataset"]
        return {
            "shards": self.image_shards(victim, last.query, last.budget),
            "guards": self.leak_reports(victim, last.query, last.budget),
            "answers": self.label_shards(victim, last.query, last.budget) if asks else [],
            "order": [] if asks else [f"{RESULTS}/queries/{last.query}/order.npz"],
            "parent": [f"{RESULTS}/copycats/{parent.path}/{block}.safetensors"] if parent else [],
            "judged": [f"{RESULTS}/data/{dataset}/test{kind}.npy" for kind in ("", "-labels")] if tested else [],
        }

    def names(self, path: str) -> dict[str, Any]:
        """An arm's names, for its record."""
        arm = self.arms[path]
        return {
            "victim": arm.victim,
            "architecture": arm.architecture,
            "transfers": [
                {"query": t.query, "response": t.response, "budget": t.budget, "recipe": t.recipe}
                for t in arm.transfers
            ],
            "queries": self.paid(path),
        }

    def paid(self, path: str) -> int:
        """How many images the victim was asked for an arm: one query set's prefix is paid once."""
        deepest: dict[str, int] = {}
        for transfer in self.arms[path].transfers:
            if self.asks(transfer):
                deepest[transfer.query] = max(transfer.budget, deepest.get(transfer.query, 0))
        return sum(deepest.values())

    # --- tables and claims ----------------------------------------------------------------------------------

    def table(self, name: str) -> dict[str, Any]:
        """What a table shows, and how it is laid out."""
        entry = self.scale["tables"][name]
        paper, short = name.split("/")
        source = entry.get("published", {})
        more = {"evidence": self.evidence(name)} if needs(name) else {}
        if "usd" in entry["metrics"]:
            more["prices"] = self._prices(name)
        return more | {
            "title": entry["title"],
            "caption": entry["caption"],
            "scale": self.name,
            "metrics": entry["metrics"],
            "names": self._reference_names(name),
            "cells": [[cell.row, cell.column, cell.arm] for cell in self.tables[name]],
            "references": self._references(name),
            "layout": {
                "paper": paper,
                "table": short,
                "source": source.get("table", name).split("/"),
                "rows": source.get("rows", {}),
                "columns": source.get("columns", {}),
                "comparable": self.scale["comparable"],
                "others": source.get("others", True),
            },
        }

    def evidence(self, name: str) -> dict[str, Any]:
        """What a table's plug-in reads beside scores, see ``plan.evidence``."""
        return evidence(self, name)

    def _prices(self, name: str) -> dict[str, float]:
        """US dollars for 1,000 queries, by arm."""
        prices = {}
        for cell in self.tables[name]:
            victim = self.arms[cell.arm].victim
            if "price" not in self.entry("victims", victim):
                raise ConfigError(
                    f"{self.file}: tables.{name}.metrics: usd: {victim} has no price in config/ingredients/victims.yaml"
                )
            prices[cell.arm] = self.entry("victims", victim)["price"]
        return prices

    def _reference_names(self, name: str) -> dict[str, str]:
        """What a table calls victim, ceiling and floor."""
        entry = self.scale["tables"][name].get("references", {})
        return REFERENCES | {kind: title for kind, title in entry.items() if kind in REFERENCES}

    def _references(self, name: str) -> list[list[str]]:
        """Where victim, ceiling and floor stand: kind, victim, row, column."""
        entry = self.scale["tables"][name].get("references", {})
        where = f"{self.file}: tables.{name}.references"
        rows = []
        for victim in dict.fromkeys(self.arms[cell.arm].victim for cell in self.tables[name]):
            titles = self.victim_titles(victim)
            for kind, title in self._reference_names(name).items():
                titles["reference"] = title
                row = _fill(entry.get("row", "{reference}"), titles, f"{where}.row")
                rows.append([kind, victim, row, _fill(entry.get("column", "{victim}"), titles, f"{where}.column")])
        return rows

    def table_inputs(self, name: str) -> dict[str, list[str]]:
        """The scores that a table shows, or the files that its plug-in measures from (``evidence``)."""
        if needs(name):
            kinds = self.evidence(name)["files"].values()
            files = dict.fromkeys(file for kind in kinds for files in kind.values() for file in files)
            return {"arms": [], "victims": [], "evidence": list(files)}
        arms = dict.fromkeys(cell.arm for cell in self.tables[name])
        victims = dict.fromkeys(self.arms[arm].victim for arm in arms)
        return {"arms": _arm_scores(arms), "victims": _victim_scores(victims), "evidence": []}

    def table_files(self, name: str) -> list[str]:
        """A table as CSV, Markdown and HTML, and its figure, where it has one."""
        files = [f"{RESULTS}/tables/{self.name}/{name}.{kind}" for kind in ("csv", "md", "html")]
        drawn = ("png", "svg") if self.has_figure(name) else ()
        return files + [f"{RESULTS}/figures/{self.name}/{name}.{kind}" for kind in drawn]

    def table_targets(self) -> dict[str, tuple[str, list[str]]]:
        """What each target makes: a paper's name all its tables and figures, ``{paper}_{id}`` one of them.

        Returns:
            what the target is, for people, and files, by its name.

        Raises:
            ConfigError: an id is given twice, or a target has the name of a rule.
        """
        taken = {*ROOMS, "all", *(path.stem for path in SCRIPTS.glob("*.py"))}
        found: dict[str, tuple[str, list[str]]] = {}
        for name, table in self.scale["tables"].items():
            paper, where = name.split("/")[0], f"{self.file}: tables.{name}"
            files = self.table_files(name)
            found[paper] = ("Every table and figure of the paper.", found.get(paper, ("", []))[1] + files)
            targets = [paper]
            if "id" in table:
                targets.append(f"{paper}_{table['id'].replace('-', '_')}")
                if targets[1] in found:
                    raise ConfigError(f"{where}.id: {table['id']!r} is given to two tables of {paper}")
                found[targets[1]] = (f"{table['title']}: {name}.", files)
            for target in targets:
                if target in taken:
                    raise ConfigError(f"{where}: a target cannot be called {target!r}: a rule has that name")
        return found

    def headline(self) -> dict[str, dict[str, Any]]:
        """The tables of which the leading metric is a headline: the metric, and arms by row and column."""
        found = {}
        for name in self.scale["headline"]:
            if name not in self.tables:
                hint = did_you_mean(name, self.tables)
                raise ConfigError(f"{self.file}: headline: no table is called {name!r}{hint}")
            if needs(name) or self.scale["tables"][name]["metrics"][0] not in SCORED:
                raise ConfigError(f"{self.file}: headline: the leading metric of {name} is no score of arms")
            cells = {f"{cell.row} / {cell.column}": cell.arm for cell in self.tables[name]}
            found[name] = {"metric": self.scale["tables"][name]["metrics"][0], "cells": cells}
        return found

    def claims(self) -> dict[str, dict[str, Any]]:
        """The claims with the arms they compare."""
        found = {}
        for name, claim in self.scale["claims"].items():
            where = f"{self.file}: claims.{name}"
            entry: dict[str, Any] = {key: claim[key] for key in ("paper", "text", "metric")}
            for side in ("of", "than"):
                entry[side] = [self.cell(cell, f"{where}.{side}") for cell in claim.get(side, [])]
            if "published" in claim:
                key = claim["published"]
                entry["published"] = [*key["table"].split("/"), key["row"], key["column"], key["metric"]]
            found[name] = entry
        return found

    def claim_arms(self) -> dict[str, dict[str, str]]:
        """Where the predictions of the arms in claims lie, and what they are held against."""
        arms = dict.fromkeys(arm for claim in self.claims().values() for arm in claim["of"] + claim["than"])
        return {
            arm: {
                **dict(zip(("predictions", "answers"), self.predictions(arm), strict=True)),
                "dataset": self.ingredients["victims"][self.arms[arm].victim]["dataset"],
            }
            for arm in arms
        }

    def claim_inputs(self, kind: str) -> list[str]:
        """The files behind the claims: ``predictions`` or ``answers``."""
        return list(dict.fromkeys(entry[kind] for entry in self.claim_arms().values()))

    # --- where things lie -----------------------------------------------------------------------------------

    def blocks(self, path: str) -> list[str]:
        """The weights of an arm: one file a block of replicates."""
        size = self.scale["block"]
        return [
            f"{RESULTS}/copycats/{path}/{first:03d}-{first + size:03d}.safetensors"
            for first in range(0, self.scale["replicates"], size)
        ]

    def spans(self, query: str, budget: int) -> list[str]:
        """The shards that hold the first ``budget`` images of a query set, as ``start-stop``.

        Shards have a fixed size, so that a longer prefix adds shards and leaves the others as they are; the
        last ends where the pool does.
        """
        size, pool = self.scale["shard"], self.pool_size(query)
        return [f"{start:07d}-{min(start + size, pool):07d}" for start in range(0, budget, size)]

    def folder(self, victim: str, query: str) -> str:
        """Where a query set lies, below results/: with the victim's answers where it was chosen by them."""
        return f"labels/{victim}/{query}/asked" if self.adaptive(query) else f"queries/{query}"

    def query_of(self, folder: str) -> str:
        """The name of the query set in such a folder."""
        return folder.removesuffix("/asked").rsplit("/", 1)[1]

    def image_shards(self, victim: str, query: str, budget: int) -> list[str]:
        """The decoded images of a query set's prefix."""
        return [f"{RESULTS}/{self.folder(victim, query)}/{span}.npy" for span in self.spans(query, budget)]

    def order(self, folder: str, span: str) -> str:
        """The file that says which images a query set has at least up to the end of a shard, in their order."""
        adaptive = self.adaptive(self.query_of(folder))
        return f"{RESULTS}/{folder}/{span}.order.npz" if adaptive else f"{RESULTS}/{folder}/order.npz"

    def manifest(self, dataset: str) -> str:
        """The file that says what a data set holds."""
        return f"{RESULTS}/data/{dataset}/manifest.json"

    def reference(self, victim: str) -> str:
        """The scores of a victim, its twins and the largest class."""
        return f"{RESULTS}/scores/victims/{victim}.json"

    def predictions(self, arm: str) -> list[str]:
        """What an arm's replicates predict of the test images, and what its victim answers to them."""
        victim = self.arms[arm].victim
        return [f"{RESULTS}/scores/copycats/{arm}/predictions.npz", f"{RESULTS}/scores/victims/{victim}.npz"]

    def policy_logs(self, arm: str) -> list[str]:
        """What the policy behind an arm's queries did, shard by shard; none where there is no policy."""
        last, victim = self.arms[arm].last, self.arms[arm].victim
        folder = f"{RESULTS}/{self.folder(victim, last.query)}"
        spans = self.spans(last.query, last.budget) if self.adaptive(last.query) else []
        return [f"{folder}/{span}.policy.npz" for span in spans]

    def label_shards(self, victim: str, query: str, budget: int) -> list[str]:
        """The victim's answers to a query set's prefix."""
        return [f"{RESULTS}/labels/{victim}/{query}/{span}.npy" for span in self.spans(query, budget)]

    def leak_report(self, victim: str, query: str, span: str) -> str:
        """The report that a shard holds no test image of a victim."""
        dataset = self.ingredients["victims"][victim]["dataset"]
        return f"{RESULTS}/{self.folder(victim, query)}/{span}.leaks-{dataset}.json"

    def leak_reports(self, victim: str, query: str, budget: int) -> list[str]:
        """The reports that a prefix holds no test image of a victim."""
        return [self.leak_report(victim, query, span) for span in self.spans(query, budget)]

    def state_before(self, victim: str, query: str, start: int) -> list[str]:
        """What a query set chosen as it is asked goes on from: nothing where it begins."""
        spans = self.spans(query, start)
        return [f"{RESULTS}/{self.folder(victim, query)}/{spans[-1]}.state.safetensors"] if spans else []

    def all_orders(self) -> list[str]:
        """The order of every query set in the plan that is asked or decoded; of those chosen as they are asked, the
        tree of labels that is chosen from."""
        queries = dict.fromkeys(arm.last.query for arm in self.arms.values() if arm.last.budget)
        return [f"{RESULTS}/queries/{query}/{'tree' if self.adaptive(query) else 'order'}.npz" for query in queries]

    def all_image_shards(self, adaptive: bool) -> list[str]:
        """Every shard of query images in the plan.

        Args:
            adaptive: of query sets chosen as they are asked, or of the others.
        """
        return self._all_of_prefixes(self.image_shards, adaptive)

    def all_leak_reports(self, adaptive: bool | None = None) -> list[str]:
        """Every leak report in the plan.

        Args:
            adaptive: of query sets chosen as they are asked, or of the others; of both where it is None.
        """
        return self._all_of_prefixes(self.leak_reports, adaptive)

    def _all_of_prefixes(self, files: Callable[[str, str, int], list[str]], adaptive: bool | None) -> list[str]:
        found: dict[str, None] = {}
        for arm in self.arms.values():
            if adaptive in (None, self.adaptive(arm.last.query)):
                found |= dict.fromkeys(files(arm.victim, arm.last.query, arm.last.budget))
        return list(found)

    def all_label_shards(self) -> list[str]:
        """Every shard of answers in the plan."""
        files: dict[str, None] = {}
        for arm in self.arms.values():
            if self.asks(arm.last):
                files |= dict.fromkeys(self.label_shards(arm.victim, arm.last.query, arm.last.budget))
        return list(files)

    def roles(self) -> list[str]:
        """The victim itself and its twins from other seeds."""
        return ["model", *(f"twin-{number}" for number in range(1, self.scale["twins"] + 1))]

    def datasets(self, arms: Iterable[str]) -> list[str]:
        """The data sets of arms: what their victims learn and are tested on, and what they are asked."""
        found: dict[str, None] = {}
        for arm in map(self.arms.__getitem__, arms):
            found[self.ingredients["victims"][arm.victim]["dataset"]] = None
            found |= dict.fromkeys(part for t in arm.transfers for part in self.datasets_of(t.query))
        return list(found)

    def decoded_splits(self) -> list[tuple[str, str]]:
        """Data sets and splits that victims learn and are tested on."""
        datasets = dict.fromkeys(self.ingredients["victims"][victim]["dataset"] for victim in self.victims())
        return [(dataset, split) for dataset in datasets for split in ("train", "test")]

    def records(self) -> dict[str, str]:
        """The records of what every training cost, by the name of its victim or arm."""
        found = {
            f"{victim} ({role})": f"{RESULTS}/victims/{victim}/{role}.record.json"
            for victim in self.victims()
            for role in self.roles()
        }
        for arm in self.arms:
            for block in self.blocks(arm):
                stem = block.removesuffix(".safetensors")
                found[f"{arm} [{stem.rsplit('/', 1)[1]}]"] = f"{stem}.record.json"
        return found

    def has_figure(self, table: str) -> bool:
        """Whether a table's plug-in draws one."""
        paper, short = table.split("/")
        return "figure" in functions(f"tables/{paper}", short)

    def targets(self, room: str) -> list[str]:
        """What is made in a room of results/; files made beside them follow by themselves.

        Args:
            room: one of ROOMS.
        """
        rooms: dict[str, Callable[[], list[str]]] = {
            "data": lambda: [
                *(f"{RESULTS}/data/{dataset}/items.csv" for dataset in self.datasets(self.arms)),
                *(f"{RESULTS}/data/{dataset}/{split}.npy" for dataset, split in self.decoded_splits()),
                *(file for name in self.tables for file in self.table_inputs(name)["evidence"] if "/data/" in file),
            ],
            "victims": lambda: [
                f"{RESULTS}/victims/{victim}/{role}.safetensors" for victim in self.victims() for role in self.roles()
            ],
            "queries": lambda: [*self.all_orders(), *self.all_image_shards(False), *self.all_leak_reports(False)],
            "labels": lambda: [*self.all_label_shards(), *self.all_image_shards(True), *self.all_leak_reports(True)],
            "copycats": lambda: [block for arm in self.arms for block in self.blocks(arm)],
            "scores": lambda: [*self.all_scores("copycats"), *self.all_scores("victims")],
            "tables": lambda: [*self.outputs(), f"{RESULTS}/costs/{self.name}.csv"],
        }
        return rooms[room]()

    def all_scores(self, kind: str) -> list[str]:
        """The scores of every arm (``copycats``) or victim (``victims``)."""
        return _arm_scores(self.arms) if kind == "copycats" else _victim_scores(self.victims())

    def outputs(self) -> list[str]:
        """Everything that a scale shows."""
        tables = f"{RESULTS}/tables/{self.name}"
        files = [file for name in self.tables for file in self.table_files(name)]
        files += [f"{tables}/guards.{kind}" for kind in ("csv", "md", "html")]
        files += [f"{tables}/arms.csv", f"{tables}/metrics.json"]
        if self.scale["claims"]:
            files += [f"{tables}/claims.{kind}" for kind in ("csv", "md", "html")]
        return files

    # --- what a rule must depend on so that an edit reruns what it reaches ------------------------------------

    def code(self, script: str, *plugins: tuple[str, str]) -> str:
        """A digest of a stage script, the plug-ins it uses, and every file of ours that these import.

        A rule has it among its parameters, so that an edit reruns exactly what it reaches, and neither a touched
        file nor a changed comment reruns anything.

        Args:
            plugins: pairs of kind and plug-in name.
        """
        return digest(*closure(script, *(plugin_file(kind, name) for kind, name in plugins)))

    def dataset_files(self, dataset: str, folder: str, kind: str) -> list[str]:
        """The committed file that goes with a data set (split, checksums), where there is one.

        It is named like the plug-in, or by a parameter ``split_file``.
        """
        entry = self.ingredients["datasets"][dataset]
        name = entry["parameters"].get("split_file") if folder == "splits" else None
        file = f"mimeo/datasets/{folder}/{name or entry['plugin']}.{kind}"
        return [f"workflow/scripts/{file}"] if (SCRIPTS / file).is_file() else []

    def architecture_plugin(self, architecture: str) -> tuple[str, str]:
        """Kind and plug-in name of an architecture."""
        return "architectures", self.ingredients["architectures"][architecture]["plugin"]


def _arm_scores(arms: Iterable[str]) -> list[str]:
    return [f"{RESULTS}/scores/copycats/{arm}/scores.json" for arm in arms]


def _victim_scores(victims: Iterable[str]) -> list[str]:
    return [f"{RESULTS}/scores/victims/{victim}.json" for victim in victims]


def refer(kind: str, name: str, ingredients: dict[str, dict], where: str) -> dict:
    """The entry of that name.

    Raises:
        ConfigError: there is none; a near name is suggested.
    """
    if name not in ingredients[kind]:
        hint = did_you_mean(name, ingredients[kind])
        raise ConfigError(f"{where}: {name!r} has no entry in config/ingredients/{kind}.yaml{hint}")
    return ingredients[kind][name]


def class_count(dataset: dict) -> int:
    """How many classes a data set's entry declares, by number or by name."""
    classes = dataset["classes"]
    return classes if isinstance(classes, int) else len(classes)


def _same_classes(one: str, its_classes: list | int, other: str, others_classes: list | int) -> bool:
    """Whether labels of one data set are those of another: equal names, which a mere number does not tell."""
    return one == other or (isinstance(its_classes, list) and its_classes == others_classes)


def _fill(template: str, titles: dict[str, Any], where: str) -> str:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"{where}: {template!r}: {error}") from None
    for _, field, form, conversion in parts:
        if field is not None and (field not in titles or form or conversion):
            known = ", ".join(f"{{{key}}}" for key in titles)
            raise ConfigError(f"{where}: {template!r}: {field!r} is not known, or not plain (known: {known})")
    return template.format(**titles)
