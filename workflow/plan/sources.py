"""Reads Python files without running them: what a script imports, what a plug-in's parameters are."""

import ast
import functools
import hashlib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plan.errors import ConfigError

SCRIPTS = Path(__file__).parent.parent / "scripts"
ENTRY = {  # the function a plug-in of each kind must have (one of them); its keyword-only arguments are its parameters
    "datasets": ("index",),
    "architectures": ("build",),
    "strategies": ("order", "policy"),
    "responses": ("respond",),
    "victims": ("answerer",),
    "tables": ("markdown",),
}
TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
    "list": (list,),
    "dict": (dict,),
}


@functools.cache
def closure(*files: str) -> tuple[str, ...]:
    """The files and everything of ours that they import, at any depth, as paths relative to the scripts' folder.

    Found by reading, transitively, whatever the form of the import.
    """
    found: dict[str, None] = {}
    todo = list(files)
    while todo:
        file = todo.pop(0)
        if file not in found:
            found[file] = None
            todo += [*_packages(file), *_imports(file)]
    return tuple(sorted(found))


def _packages(file: str) -> list[str]:
    """The packages around a file, which are imported with it."""
    inits = (str(folder / "__init__.py") for folder in Path(file).parents)
    return [init for init in inits if (SCRIPTS / init).is_file()]


@functools.cache
def digest(*files: str) -> str:
    """A digest of what files do: of their text without comments, blank lines and docstrings. It does not depend on
    the version of Python that reads them."""
    return hashlib.sha256("\n".join(f"{file} {_meaning(file)}" for file in files).encode()).hexdigest()[:16]


@functools.cache
def _meaning(file: str) -> str:
    source = _source(file)
    lines, between = source.splitlines(), set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column].rstrip()
        if token.type in (tokenize.COMMENT, tokenize.NL):
            between.add(row)
    said = {row for text in _docstrings(_tree(file)) for row in range(text.lineno, (text.end_lineno or 0) + 1)}
    kept = (line for row, line in enumerate(lines, 1) if row not in said and (line or row not in between))
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _docstrings(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            yield node.body[0]


@functools.cache
def _imports(file: str) -> tuple[str, ...]:
    """Files of ours that one file imports, wherever in it the import stands and whatever its form."""
    package = Path(file).parent.parts
    wanted: list[tuple[str, ...]] = []
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            wanted += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            stem = (*base, *(node.module.split(".") if node.module else ()))
            wanted.append(stem)
            wanted += [(*stem, alias.name) for alias in node.names]
    files: dict[str, None] = {}
    for parts in wanted:
        for depth in range(1, len(parts) + 1):
            for candidate in (Path(*parts[:depth]).with_suffix(".py"), Path(*parts[:depth]) / "__init__.py"):
                if (SCRIPTS / candidate).is_file():
                    files[str(candidate)] = None
    return tuple(files)


@functools.cache
def _tree(file: str) -> ast.Module:
    try:
        return ast.parse(_source(file), file)
    except SyntaxError as error:
        raise ConfigError(f"workflow/scripts/{file}: line {error.lineno}: {error.msg}") from None


@functools.cache
def _source(file: str) -> str:
    try:
        return (SCRIPTS / file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"workflow/scripts/{file}: not readable: {error}") from None


@dataclass(frozen=True)
class Parameter:
    """A keyword-only argument of a plug-in: its annotation as written, and whether it may be left out."""

    annotation: str
    optional: bool


def plugin_file(kind: str, name: str) -> str:
    """Where a plug-in lies, relative to the scripts' folder."""
    return f"mimeo/{kind}/{name}.py"


def has_plugin(kind: str, name: str) -> bool:
    """Whether the file is there."""
    return (SCRIPTS / plugin_file(kind, name)).is_file()


def functions(kind: str, name: str) -> dict[str, dict[str, Parameter]]:
    """A plug-in's functions, each with its keyword-only arguments."""
    found = {}
    for node in _tree(plugin_file(kind, name)).body:
        if isinstance(node, ast.FunctionDef):
            defaults = node.args.kw_defaults
            found[node.name] = {
                argument.arg: Parameter(
                    ast.unparse(argument.annotation) if argument.annotation else "", default is not None
                )
                for argument, default in zip(node.args.kwonlyargs, defaults, strict=True)
            }
    return found


def needs(table: str) -> tuple[str, ...]:
    """The kinds of files that a table's plug-in names in ``NEEDS``, beside which it has a function ``measure``; none
    where its numbers are the scores of arms.

    Args:
        table: ``paper/table``.

    Raises:
        ConfigError: ``NEEDS`` is no tuple of texts, or one of the two lacks.
    """
    paper, short = table.split("/")
    file = plugin_file(f"tables/{paper}", short)
    found = None
    for node in _tree(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NEEDS":
            found = _texts(node.value, f"workflow/scripts/{file}: NEEDS")
    if (found is not None) != ("measure" in functions(f"tables/{paper}", short)):
        there, lacking = ("NEEDS", "measure()") if found is not None else ("measure()", "NEEDS")
        raise ConfigError(f"workflow/scripts/{file}: has {there}, but no {lacking}")
    return found or ()


def _texts(node: ast.expr, where: str) -> tuple[str, ...]:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        value = None
    if not isinstance(value, tuple) or not value or not all(isinstance(text, str) for text in value):
        raise ConfigError(f"{where}: is no tuple of texts, written out")
    return value


def check_parameters(kind: str, name: str, given: dict[str, Any], where: str) -> None:
    """Checks a configuration entry's parameters against its plug-in's signature.

    Args:
        where: file and key, for the message.

    Raises:
        ConfigError: no such file or function, an unknown or missing parameter, or one of the wrong type.
    """
    if not has_plugin(kind, name):
        raise ConfigError(f"{where}: no file workflow/scripts/{plugin_file(kind, name)}")
    entries, there = ENTRY[kind.split("/")[0]], functions(kind, name)
    known = next((there[entry] for entry in entries if entry in there), None)
    if known is None:
        wanted = " or ".join(f"{entry}()" for entry in entries)
        raise ConfigError(f"workflow/scripts/{plugin_file(kind, name)}: has no function {wanted}")
    for key, value in given.items():
        if key not in known:
            options = ", ".join(known) or "none"
            raise ConfigError(f"{where}.parameters: unknown parameter {key!r} (known: {options})")
        if not _fits(value, known[key].annotation):
            raise ConfigError(f"{where}.parameters.{key}: {value!r} is not of type {known[key].annotation}")
    missing = [key for key, parameter in known.items() if not parameter.optional and key not in given]
    if missing:
        raise ConfigError(f"{where}.parameters: {missing[0]!r} is required")


def _fits(value: Any, annotation: str) -> bool:
    """Whether a value is of an annotated type: a union of plain types, or a list of some of the texts named, each once.

    Other annotations accept all.
    """
    if annotation.startswith("list[Literal["):
        options = ast.literal_eval(annotation.removeprefix("list[Literal").removesuffix("]"))
        known = isinstance(value, list) and all(isinstance(item, str) and item in options for item in value)
        return known and len(set(value)) == len(value)
    names = [part.strip().split("[")[0] for part in annotation.split("|")]
    if any(name not in TYPES for name in names):
        return True
    if isinstance(value, bool):
        return "bool" in names
    return any(isinstance(value, TYPES[name]) for name in names)
