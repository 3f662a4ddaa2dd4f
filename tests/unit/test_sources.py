"""Checks of what the plan reads from Python files without running them: imports, functions, parameters."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plan import ConfigError, sources
from plan.evidence import check_needs
from plan.sources import Parameter, check_parameters, closure, digest, functions, has_plugin, needs

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
FILES = {
    "stage.py": "from mimeo.store import save\nimport numpy\n",
    "other.py": "import stage\n",
    "mimeo/__init__.py": "",
    "mimeo/errors.py": "class MimeoError(Exception): ...\n",
    "mimeo/store.py": "from mimeo.errors import MimeoError\n\ndef save() -> None: ...\n",
    "mimeo/models.py": "from . import store\n",
    "mimeo/kinds/__init__.py": "from mimeo.models import a\n",
    "mimeo/kinds/one.py": "",
    "mimeo/kinds/deep/__init__.py": "",
    "mimeo/kinds/deep/two.py": "",
}


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A scripts' folder of a few files, in place of the real one."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sources, "SCRIPTS", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """Empties what was remembered of files."""
    for thing in vars(sources).values():
        if hasattr(thing, "cache_clear"):
            thing.cache_clear()


def write(scripts: Path, name: str, text: str) -> None:
    """Writes a file and forgets what was read before."""
    (scripts / name).parent.mkdir(parents=True, exist_ok=True)
    (scripts / name).write_text(text)
    forget()


# --- imports --------------------------------------------------------------------------------------------------

INIT = "mimeo/__init__.py"
STORE = {INIT, "mimeo/store.py", "mimeo/errors.py"}
MODELS = STORE | {"mimeo/models.py"}
KINDS = MODELS | {"mimeo/kinds/__init__.py"}
ONE = KINDS | {"mimeo/kinds/one.py"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import numpy, os.path\n", set()),
        ("import mimeo\n", {INIT}),
        ("import mimeo.store\n", STORE),
        ("import mimeo.store as kept\n", STORE),
        ("import os, mimeo.errors, mimeo.store\n", STORE),
        ("from mimeo import store\n", STORE),
        ("from mimeo import errors, store as kept\n", STORE),
        ("from mimeo.store import save\n", STORE),
        ("from mimeo.store import *\n", STORE),
        ("from mimeo.kinds import one\n", ONE),
        ("import mimeo.kinds.one\n", ONE),
        ("from mimeo.kinds.one import thing\n", ONE),
        ("from mimeo.kinds import deep\n", KINDS | {"mimeo/kinds/deep/__init__.py"}),
        (
            "import mimeo.kinds.deep.two\n",
            KINDS | {"mimeo/kinds/deep/__init__.py", "mimeo/kinds/deep/two.py"},
        ),
        ("def late():\n    from mimeo.store import save\n    return save\n", STORE),
        ("class Late:\n    def late(self):\n        import mimeo.store\n", STORE),
        ("try:\n    import mimeo.store\nexcept ImportError:\n    import mimeo.errors\n", STORE),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mimeo.store import save\n", STORE),
        ("import other\n", STORE | {"other.py", "stage.py"}),
        ("text = 'import mimeo.store'\n# import mimeo.store\n", set()),
        ("from mimeo.nothing import there\n", {INIT}),
    ],
)
def test_every_form_of_import(scripts: Path, text: str, found: set[str]) -> None:
    """A script's imports of ours are found, whatever their form and place, with what these import."""
    write(scripts, "new.py", text)
    assert list(closure("new.py")) == sorted({"new.py"} | found)


@pytest.mark.parametrize(
    ("text", "found", "absent"),
    [
        ("from . import one\n", KINDS | {"mimeo/kinds/one.py"}, {"stage.py"}),
        ("from .one import thing\n", KINDS | {"mimeo/kinds/one.py"}, {"stage.py"}),
        ("from .deep import two\n", {"mimeo/kinds/deep/__init__.py", "mimeo/kinds/deep/two.py"}, {"stage.py"}),
        ("from .. import store\n", STORE, {"mimeo/kinds/one.py"}),
        ("from ..store import save\n", STORE, {"mimeo/kinds/one.py"}),
        ("from ..kinds.one import thing\n", KINDS | {"mimeo/kinds/one.py"}, {"mimeo/kinds/deep/two.py"}),
    ],
)
def test_relative_imports(scripts: Path, text: str, found: set[str], absent: set[str]) -> None:
    """Relative imports are found at every level, from the folder of the file that has them."""
    write(scripts, "mimeo/kinds/new.py", text)
    listed = set(closure("mimeo/kinds/new.py"))
    assert found <= listed
    assert not absent & listed


def test_cycles_end(scripts: Path) -> None:
    """Files that import each other are listed once each."""
    write(scripts, "mimeo/a.py", "from mimeo import b\n")
    write(scripts, "mimeo/b.py", "from mimeo import c\n")
    write(scripts, "mimeo/c.py", "import mimeo.a\n")
    assert list(closure("mimeo/b.py")) == [INIT, "mimeo/a.py", "mimeo/b.py", "mimeo/c.py"]


def test_several_files_at_once(scripts: Path) -> None:
    """The closure of several files is sorted and lists none twice."""
    both = closure("other.py", "mimeo/models.py", "stage.py")
    assert list(both) == sorted(set(closure("other.py")) | set(closure("mimeo/models.py")))


def test_packages_of_a_plugin(scripts: Path) -> None:
    """A plug-in is imported with the packages around it, so these are listed although it names none."""
    write(scripts, "mimeo/kinds/one.py", "import numpy\n")
    assert set(closure("mimeo/kinds/one.py")) == ONE


LOAD = """
import importlib, json, sys
from pathlib import Path
folder = Path.cwd()
found = {}
for stage in sorted(file.stem for file in folder.glob("*.py")):
    before = {name for name in sys.modules if name.split(".")[0] == "mimeo"}
    for name in before:
        del sys.modules[name]
    module = importlib.import_module(stage)
    files = [Path(m.__file__) for n, m in list(sys.modules.items()) if n.split(".")[0] in ("mimeo", stage)]
    found[stage] = sorted(str(file.relative_to(folder)) for file in files)
print(json.dumps(found))
"""


def test_closures_hold_what_python_loads() -> None:
    """Everything of ours that Python loads when it imports a stage is in the stage's closure."""
    command = [sys.executable, "-c", LOAD]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert set(loaded) == {file.stem for file in SCRIPTS.glob("*.py")}
    forget()
    for stage, files in loaded.items():
        assert f"{stage}.py" in files
        assert set(files) <= set(closure(f"{stage}.py")), stage


# --- digests --------------------------------------------------------------------------------------------------


CODE = '''"""A module."""

LIMIT = 3  # why


def act(count: int) -> int:
    """Acts."""
    return count + LIMIT
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("  # why", "", True),
        ("  # why", "  # since 3 is enough", True),
        ("A module.", "Another text.", True),
        ("Acts.", "Acts at once.", True),
        ("\n\n\ndef", "\n\ndef", True),
        ("(count: int)", "( count: int )", False),
        ("LIMIT = 3", "LIMIT = 4", False),
        ("count + LIMIT", "count - LIMIT", False),
        ("(count: int)", "(count: int = 1)", False),
    ],
)
def test_digests(scripts: Path, old: str, new: str, same: bool) -> None:
    """A digest follows what a file does, and neither its comments nor its docstrings nor its blank lines."""
    assert CODE.count(old) == 1
    write(scripts, "mimeo/errors.py", CODE)
    before = digest("mimeo/errors.py")
    write(scripts, "mimeo/errors.py", CODE.replace(old, new))
    assert (digest("mimeo/errors.py") == before) == same


def test_a_digest_reaches_what_is_imported(scripts: Path) -> None:
    """An edit of an imported file changes the digest of the stages that import it, and of no other."""
    write(scripts, "alone.py", "import numpy\n")
    before = [digest(*closure(stage)) for stage in ("stage.py", "other.py", "alone.py")]
    write(scripts, "mimeo/errors.py", "class MimeoError(ValueError): ...\n")
    after = [digest(*closure(stage)) for stage in ("stage.py", "other.py", "alone.py")]
    assert [new == old for new, old in zip(after, before, strict=True)] == [False, False, True]


# --- files that are no Python ---------------------------------------------------------------------------------


def refused(*files: str) -> str:
    """The one line with which the closure of files is refused."""
    with pytest.raises(ConfigError) as caught:
        closure(*files)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("text", "line"),
    [("x = (\n", 1), ("import os\ndef f(:\n    pass\n", 2), ("a = 1\n  b = 2\n", 2), ("print 'x'\n", 1)],
)
def test_syntax_errors(scripts: Path, text: str, line: int) -> None:
    """A file that is no Python is refused in one line, with file and line, also where another imports it."""
    write(scripts, "mimeo/errors.py", text)
    assert refused("mimeo/errors.py").startswith(f"workflow/scripts/mimeo/errors.py: line {line}: ")
    assert refused("stage.py").startswith(f"workflow/scripts/mimeo/errors.py: line {line}: ")


def test_file_that_is_no_text(scripts: Path) -> None:
    """Bytes that are no UTF-8 are refused in one line."""
    (scripts / "mimeo/errors.py").write_bytes(b"name = '\xff'\n")
    assert "workflow/scripts/mimeo/errors.py" in refused("stage.py")


def test_file_that_is_not_there(scripts: Path) -> None:
    """A missing script is refused in one line."""
    assert "workflow/scripts/none.py" in refused("none.py")


# --- signatures -----------------------------------------------------------------------------------------------

PLUGIN = '''
"""A plug-in."""

from pathlib import Path

def helper(a, *, hidden=1): ...

def order(count: int, draw, *, heat: float, rounds: int = 3, label: str | None = None,
          parts: list[str] = [], table: dict = {}, quick: bool = False, path: Path = None, free=1) -> list: ...

class Thing:
    def order(self, *, other: int): ...
'''


@pytest.fixture
def plugin(scripts: Path) -> Path:
    """A strategy with a parameter of every type."""
    write(scripts, "mimeo/strategies/new.py", PLUGIN)
    return scripts


def test_functions(plugin: Path) -> None:
    """A plug-in's functions are its own, with the keyword-only arguments alone."""
    found = functions("strategies", "new")
    assert set(found) == {"helper", "order"}
    assert found["helper"] == {"hidden": Parameter("", True)}
    assert found["order"]["heat"] == Parameter("float", False)
    assert found["order"]["rounds"] == Parameter("int", True)
    assert found["order"]["label"] == Parameter("str | None", True)
    assert list(found["order"]) == ["heat", "rounds", "label", "parts", "table", "quick", "path", "free"]


def test_has_plugin(plugin: Path) -> None:
    """A plug-in is there where its file is."""
    assert has_plugin("strategies", "new")
    assert not has_plugin("strategies", "old")
    assert not has_plugin("strategies", "__init__.py")


@pytest.mark.parametrize(
    "given",
    [
        {"heat": 1.5},
        {"heat": 2},
        {"heat": 1, "rounds": 7},
        {"heat": 1, "label": "a"},
        {"heat": 1, "label": None},
        {"heat": 1, "parts": ["a"], "table": {"a": 1}},
        {"heat": 1, "quick": True},
        {"heat": 1, "path": "anything", "free": [1]},
    ],
)
def test_parameters_that_fit(plugin: Path, given: dict[str, Any]) -> None:
    """Values of the annotated types are taken; annotations that are no plain types take all."""
    check_parameters("strategies", "new", given, "file: entry")


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"heat": "hot"}, "heat"),
        ({"heat": None}, "heat"),
        ({"heat": True}, "heat"),
        ({"heat": 1, "rounds": 1.0}, "rounds"),
        ({"heat": 1, "rounds": True}, "rounds"),
        ({"heat": 1, "rounds": None}, "rounds"),
        ({"heat": 1, "label": 3}, "label"),
        ({"heat": 1, "parts": "a"}, "parts"),
        ({"heat": 1, "table": ["a"]}, "table"),
        ({"heat": 1, "quick": 1}, "quick"),
        ({"heat": 1, "quick": "yes"}, "quick"),
    ],
)
def test_parameters_of_another_type(plugin: Path, given: dict[str, Any], key: str) -> None:
    """A value of another type is refused with its key and the type wanted."""
    with pytest.raises(ConfigError) as caught:
        check_parameters("strategies", "new", given, "file: entry")
    text = str(caught.value)
    assert text.startswith(f"file: entry.parameters.{key}: {given[key]!r} is not of type ")
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("new", {"heat": 1, "cold": 2}, "file: entry.parameters: unknown parameter 'cold' (known: heat, rounds, "),
        ("new", {"heat": 1, "hidden": 2}, "file: entry.parameters: unknown parameter 'hidden'"),
        ("new", {"heat": 1, "count": 2}, "file: entry.parameters: unknown parameter 'count'"),
        ("new", {"rounds": 2}, "file: entry.parameters: 'heat' is required"),
        ("old", {}, "file: entry: no file workflow/scripts/mimeo/strategies/old.py"),
        ("empty", {}, "workflow/scripts/mimeo/strategies/empty.py: has no function order()"),
        ("bare", {"a": 1}, "file: entry.parameters: unknown parameter 'a' (known: none)"),
        ("broken", {}, "workflow/scripts/mimeo/strategies/broken.py: line 1: "),
    ],
)
def test_parameters_that_do_not_fit(plugin: Path, name: str, given: dict[str, Any], says: str) -> None:
    """Unknown and missing parameters, missing files and functions are refused in one line."""
    write(plugin, "mimeo/strategies/empty.py", "def sort(): ...\n")
    write(plugin, "mimeo/strategies/bare.py", "def order(count, draw): ...\n")
    write(plugin, "mimeo/strategies/broken.py", "def order(\n")
    with pytest.raises(ConfigError) as caught:
        check_parameters("strategies", name, given, "file: entry")
    assert str(caught.value).startswith(says)
    assert len(str(caught.value).splitlines()) == 1


def test_every_plugin_of_the_house_has_its_function() -> None:
    """Every plug-in file holds the function of its kind."""
    forget()
    checked = 0
    for kind, entries in sources.ENTRY.items():
        for file in sorted((SCRIPTS / "mimeo" / kind).rglob("*.py")):
            if file.name != "__init__.py":
                folder = file.parent.relative_to(SCRIPTS / "mimeo")
                assert len(set(entries) & set(functions(str(folder), file.stem))) == 1, file
                checked += 1
    assert checked >= 15


# --- what tables need -----------------------------------------------------------------------------------------

MEASURE = "def measure(evidence): ...\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("NEEDED = ('manifests',)\n", ()),
        (f"NEEDS = ('manifests',)\n{MEASURE}", ("manifests",)),
        (f"NEEDS = ('classes', 'synonyms')  # both\n{MEASURE}", ("classes", "synonyms")),
    ],
)
def test_needs(scripts: Path, text: str, found: tuple[str, ...]) -> None:
    """What a table's plug-in says that it needs is read, not run."""
    write(scripts, "mimeo/tables/paper/one.py", f"raise SystemExit\n{text}def markdown(table): ...\n")
    assert needs("paper/one") == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NEEDS = ('manifests',)\n", "has NEEDS, but no measure()"),
        (MEASURE, "has measure(), but no NEEDS"),
        (f"NEEDS = ()\n{MEASURE}", "NEEDS: is no tuple of texts"),
        (f"NEEDS = ('manifests')\n{MEASURE}", "NEEDS: is no tuple of texts"),
        (f"NEEDS = (1,)\n{MEASURE}", "NEEDS: is no tuple of texts"),
        (f"NEEDS = KINDS\n{MEASURE}", "NEEDS: is no tuple of texts"),
    ],
)
def test_needs_that_are_not_said(scripts: Path, text: str, says: str) -> None:
    """What cannot be read that way is refused in one line that names the file."""
    write(scripts, "mimeo/tables/paper/one.py", text)
    with pytest.raises(ConfigError) as caught:
        needs("paper/one")
    assert str(caught.value).startswith("workflow/scripts/mimeo/tables/paper/one.py: ")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_needs_of_no_kind(scripts: Path) -> None:
    """An unknown kind is refused; a near one is suggested."""
    write(scripts, "mimeo/tables/paper/one.py", f"NEEDS = ('manifest',)\n{MEASURE}")
    with pytest.raises(ConfigError) as caught:
        check_needs("paper/one", {}, "x.yaml: tables.paper/one")
    assert "'manifest' is no kind (known: manifests, " in str(caught.value)
    assert str(caught.value).endswith("(did you mean 'manifests'?)")
