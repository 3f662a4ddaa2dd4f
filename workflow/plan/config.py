"""Loads a scale and the ingredients it draws on, and refuses anything that is not exactly right.

Three layers, each with messages of one line: the YAML itself (no key twice), the schema (every key described,
unknown ones refused), and what no schema can say (names that must exist, budgets that must fit).
"""

import copy
import csv
import functools
import math
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from plan.arms import Plan, class_count, refer
from plan.errors import ConfigError, did_you_mean
from plan.evidence import check_needs
from plan.sources import check_parameters, functions, has_plugin

KINDS = ("datasets", "responses", "architectures", "recipes", "queries", "victims")
PLUGGED = ("datasets", "responses", "architectures")
DEFAULTS: dict[str, dict[str, Any]] = {
    "datasets": {"classes": []},
    "responses": {"labels": "victim"},
    "queries": {"seed": 0, "leaks": "stop"},
}


def _refuse_doubles(node: Any, above: tuple[int, ...] = ()) -> None:
    """Refuses a key given twice, of which YAML would silently take the last, and what is no tree of plain keys."""
    if id(node) in above:
        raise yaml.MarkedYAMLError(problem="an anchor that holds itself", problem_mark=node.start_mark)
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key that is no plain text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
            _refuse_doubles(value, above)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(item, above)


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return _is_whole(_, value) or (isinstance(value, float) and math.isfinite(value))


STRICT = jsonschema.validators.extend(  # JSON's own idea of numbers takes 3.0 for whole and NaN for a number
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_whole, "number": _is_number}
    ),
)


def read_yaml(path: Path) -> dict:
    """A YAML file that holds a mapping.

    Raises:
        ConfigError: missing, not YAML, a key twice, or not a mapping.
    """
    try:
        text = path.read_text()
        _refuse_doubles(yaml.compose(text, yaml.SafeLoader))
        content = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{path}: {place}{error.problem}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no mapping of keys to values")
    return content


def load_plan(root: Path, config: dict, files: list[str]) -> Plan:
    """The plan of a scale.

    Args:
        root: the project's folder.
        config: the scale, as Snakemake merged it from its files and the command line.
        files: the scale's files, read again for keys given twice.

    Raises:
        ConfigError: with one line.
    """
    for file in files:
        read_yaml(Path(file))
    scale_file = files[-1] if files else "configuration"
    schema = read_yaml(root / "config" / "schema.yaml")
    validate(config, schema, "scale", scale_file)
    budgets = read_yaml(root / "config" / "ingredients" / "budgets.yaml")
    validate(budgets, schema, "named_budgets", "config/ingredients/budgets.yaml")
    config = {**config, "budgets": budgets.get(config["scale"], {})}
    ingredients = {}
    for kind in KINDS:
        path = root / "config" / "ingredients" / f"{kind}.yaml"
        ingredients[kind] = read_yaml(path)
        validate(ingredients[kind], schema, kind, _short(path, root))
        # Entries that share an anchor share an object: each gets its own before defaults are filled in.
        ingredients[kind] = {name: copy.deepcopy(entry) for name, entry in ingredients[kind].items()}
        for name, entry in ingredients[kind].items():
            _check_ingredient(kind, name, entry, ingredients, f"{_short(path, root)}: {name}")
    for name, table in config["tables"].items():
        _check_table(name, table, f"{scale_file}: tables.{name}")
    if config["replicates"] % config["block"]:
        raise ConfigError(
            f"{scale_file}: replicates: {config['replicates']} is no multiple of block ({config['block']})"
        )
    plan = Plan(config, ingredients, scale_file)
    for name in plan.tables:
        plan.table(name)  # what a table is told must be there before anything runs
    plan.table_targets()
    plan.headline()
    _check_published(config["tables"], scale_file, root)
    _check_claims(plan, root)
    return plan


def _short(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def validate(content: dict, schema: dict, part: str, file: str) -> None:
    """Checks content against a part of the schema; the message names the deepest key."""
    validator = STRICT({"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]})
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is None:
        return
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    message = error.message
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        message = f"unknown key {unknown!r}{did_you_mean(str(unknown), known)}"
    elif "propertyNames" in error.absolute_schema_path:
        message = f"{error.instance!r} is no name (lower-case letters, digits, - and _ between them)"
    raise ConfigError(f"{file}: {place.lstrip('.') or 'top level'}: {' '.join(message.split())}")


def _check_ingredient(kind: str, name: str, entry: dict, ingredients: dict, where: str) -> None:
    for key, value in DEFAULTS.get(kind, {}).items():
        entry.setdefault(key, value)
    if kind in PLUGGED:
        entry.setdefault("plugin", name.replace("-", "_"))
        entry.setdefault("parameters", {})
        check_parameters(kind, entry["plugin"], entry["parameters"], where)
    elif kind == "queries":
        entry.setdefault("parameters", {})
        check_parameters("strategies", entry["strategy"], entry["parameters"], where)
        shapes = set()
        for part in entry["images"]:
            dataset, split = part.split("/")
            source = refer("datasets", dataset, ingredients, f"{where}.images")
            if split not in source["splits"]:
                known = ", ".join(source["splits"])
                raise ConfigError(f"{where}.images: {dataset} has no split {split!r} (splits: {known})")
            shapes.add((source["size"], source["channels"]))
        for part in entry.get("shares", {}):
            if part not in entry["images"]:
                raise ConfigError(f"{where}.shares: {part} is not among images{did_you_mean(part, entry['images'])}")
        if len(shapes) > 1:
            raise ConfigError(f"{where}.images: the parts differ in size or channels")
        _check_choosing(entry, ingredients, where)
    elif kind == "victims":
        entry.setdefault("parameters", {})
        check_parameters("victims", entry["kind"], entry["parameters"], where)
        dataset = refer("datasets", entry["dataset"], ingredients, f"{where}.dataset")
        refer("architectures", entry["architecture"], ingredients, f"{where}.architecture")
        recipe = refer("recipes", entry["recipe"], ingredients, f"{where}.recipe")
        if recipe.get("select", "last") != "last":
            select = f"{entry['recipe']} has `select: {recipe['select']}`"
            raise ConfigError(f"{where}.recipe: {select}, but a victim's last epoch is kept")
        for split in ("train", "test"):
            if split not in dataset["splits"]:
                raise ConfigError(f"{where}.dataset: {entry['dataset']} has no split {split!r}")
        if class_count(dataset) < 2:
            raise ConfigError(f"{where}.dataset: {entry['dataset']} has no classes to learn")


def _check_choosing(entry: dict, ingredients: dict, where: str) -> None:
    """Refuses a strategy that chooses as it asks without what that takes, and any other with it."""
    chooses = "policy" in functions("strategies", entry["strategy"])
    for key in ("tree", "copycat"):
        if chooses != (key in entry):
            state = "is required by" if chooses else "is not for"
            raise ConfigError(f"{where}.{key}: {state} the strategy {entry['strategy']!r}")
    if chooses:
        for kind, key in (("architectures", "architecture"), ("recipes", "recipe")):
            refer(kind, entry["copycat"][key], ingredients, f"{where}.copycat.{key}")
        if "flat" in entry["tree"] and "clusters" in entry["tree"]:
            raise ConfigError(f"{where}.tree.clusters: a flat tree has none")
        if "features" in entry["tree"]:
            if "clusters" not in entry["tree"]:
                raise ConfigError(f"{where}.tree.features: are those of clusters, which are not given")
            refer("architectures", entry["tree"]["features"], ingredients, f"{where}.tree.features")


def _check_table(name: str, table: dict, where: str) -> None:
    paper, short = name.split("/")
    if not has_plugin(f"tables/{paper}", short):
        raise ConfigError(f"{where}: no file workflow/scripts/mimeo/tables/{paper}/{short}.py")
    if "markdown" not in functions(f"tables/{paper}", short):
        raise ConfigError(f"workflow/scripts/mimeo/tables/{paper}/{short}.py: has no function markdown()")
    check_needs(name, table, where)


def _check_claims(plan: Plan, root: Path) -> None:
    """Refuses a claim about a cell or a published number that is not there."""
    for name, claim in plan.claims().items():
        if "published" in claim and tuple(claim["published"]) not in read_published(root / "config" / "published.csv"):
            wanted = " / ".join(claim["published"])
            raise ConfigError(f"{plan.file}: claims.{name}.published: no such number in config/published.csv: {wanted}")


def _check_published(tables: dict, file: str, root: Path) -> None:
    """Refuses a table that stands beside published numbers which are not there."""
    for name, table in tables.items():
        entry = table.get("published", {})
        if not entry:
            continue
        where = f"{file}: tables.{name}.published"
        source = entry.get("table", name)
        known = [key for key in read_published(root / "config" / "published.csv") if "/".join(key[:2]) == source]
        if not known:
            raise ConfigError(f"{where}.table: no numbers of {source!r} in config/published.csv")
        for part, place in (("rows", 2), ("columns", 3)):
            for theirs in entry.get(part, {}).values():
                if theirs not in {key[place] for key in known}:
                    raise ConfigError(f"{where}.{part}: {source} in config/published.csv has none called {theirs!r}")


@functools.cache
def read_published(path: Path) -> set[tuple[str, ...]]:
    """Keys of the published numbers: paper, table, row, column, metric.

    Raises:
        ConfigError: missing or without these columns.
    """
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        return {tuple(row[key] for key in ("paper", "table", "row", "column", "metric")) for row in rows}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as published numbers: {error}") from None
