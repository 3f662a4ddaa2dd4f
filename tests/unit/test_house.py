"""Checks of the rules of the house: who may import whom, where paths and settings may stand, what may be loaded."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from plan.sources import ENTRY, closure

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / "workflow"
SCRIPTS = WORKFLOW / "scripts"
PACKAGE = SCRIPTS / "mimeo"
PLAN = WORKFLOW / "plan"
STAGES = sorted(SCRIPTS.glob("*.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))
PLUGINS = [file for kind in ENTRY for file in sorted((PACKAGE / kind).rglob("*.py")) if file.name != "__init__.py"]
SOURCES = sorted({*STAGES, *MODULES, *PLAN.rglob("*.py")})
STANDARD = set(sys.stdlib_module_names)


def short(file: Path) -> str:
    """A file's path as messages and test names show it."""
    return str(file.relative_to(ROOT))


def tree(file: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(file.read_text(), short(file))


def imports(file: Path) -> set[str]:
    """Everything that a file imports, at any depth of it, with full names: modules, and names from modules."""
    found = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{short(file)}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def top(names: set[str]) -> set[str]:
    """The packages that names belong to."""
    return {name.split(".")[0] for name in names}


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Every text in a file's code, with its line; docstrings left out."""
    whole = tree(file)
    documents = set()
    for node in ast.walk(whole):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            assert isinstance(node.body[0], ast.Expr)
            documents.add(node.body[0].value)
    for node in ast.walk(whole):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documents:
            yield node.lineno, node.value


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the name called as it is written."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def every(files: list[Path]) -> pytest.MarkDecorator:
    """One test a file."""
    assert files
    return pytest.mark.parametrize("file", files, ids=short)


# --- the Snakefile and the plan -------------------------------------------------------------------------------


@every([ROOT / "Snakefile", *sorted((WORKFLOW / "rules").glob("*.smk"))])
def test_workflow_files_import_little(file: Path) -> None:
    """The Snakefile and its rules import the standard library, snakemake and the plan."""
    lines = re.findall(r"^\s*(?:from|import)\s+([\w.]+)", file.read_text(), re.MULTILINE)
    assert top(set(lines)) <= STANDARD | {"snakemake", "plan"}


@every(sorted(PLAN.rglob("*.py")))
def test_the_plan_imports_little(file: Path) -> None:
    """The plan imports the standard library, YAML, JSON schema and itself: a dry run loads no numerical library."""
    assert top(imports(file)) <= STANDARD | {"yaml", "jsonschema", "plan"}


def test_rules_name_every_stage() -> None:
    """Every stage script is the script of a rule, and every rule's script is there."""
    named = set(re.findall(r'"(workflow/scripts/\w+\.py)"', (ROOT / "Snakefile").read_text()))
    assert named == {short(file) for file in STAGES}


def test_every_rule_says_what_it_does() -> None:
    """Every rule that runs a script has a docstring, a message and a log."""
    text = (ROOT / "Snakefile").read_text()
    rules = re.split(r"^rule (?=\w+:)", text, flags=re.MULTILINE)[1:]
    working = [rule for rule in rules if re.search(r"^    script:", rule, re.MULTILINE)]
    assert len(working) == len(STAGES)
    for rule in working:
        assert re.match(r'\w+:\n    """', rule), rule.splitlines()[0]
        for part in ("output", "log", "message"):
            assert re.search(rf"^    {part}:", rule, re.MULTILINE), f"{rule.splitlines()[0]} has no {part}"


def test_the_default_profile_is_found() -> None:
    """Snakemake reads a workflow's default profile from profiles/default beside its Snakefile, and nowhere else."""
    profile = ROOT / "profiles" / "default" / "config.yaml"
    assert profile.is_file()
    assert "code" not in yaml.safe_load(profile.read_text())["rerun-triggers"]


# --- stages ---------------------------------------------------------------------------------------------------


@every(STAGES)
def test_stages_import_the_package_alone(file: Path) -> None:
    """A stage imports the package, the standard library, numpy and torch, and no other stage."""
    assert top(imports(file)) <= STANDARD | {"mimeo", "numpy", "torch"}
    assert not top(imports(file)) & {stage.stem for stage in STAGES}


@every(STAGES)
def test_stages_end_in_a_bridge(file: Path) -> None:
    """A stage touches ``snakemake`` in its last lines alone, and runs there under the console's guard."""
    *body, bridge = tree(file).body
    assert isinstance(bridge, ast.If)
    assert ast.unparse(bridge.test) == "__name__ == '__main__'"
    assert isinstance(bridge.body[0], ast.With)
    assert ast.unparse(bridge.body[0].items[0].context_expr) == "job(snakemake.log[0])"
    assert not [
        node for part in body for node in ast.walk(part) if isinstance(node, ast.Name) and node.id == "snakemake"
    ]


PLACES = re.compile(r"(^|[\s'\"/])(results|config|workflow|logs)/")


@every([*STAGES, *MODULES])
def test_no_path_of_the_pipeline(file: Path) -> None:
    """Stages and package are told their paths: none holds one of results, logs or configuration."""
    assert not [f"line {line}: {text!r}" for line, text in texts(file) if PLACES.search(text)]
    assert not [text for _, text in texts(file) if text.endswith(("demo.yaml", "schema.yaml", "published.csv"))]


@every([*STAGES, *MODULES])
def test_no_configuration_is_read(file: Path) -> None:
    """Stages and package know neither YAML nor Snakemake nor the plan."""
    assert not top(imports(file)) & {"snakemake", "yaml", "plan", "argparse", "configparser", "tomllib"}


# --- the package ----------------------------------------------------------------------------------------------

SURROUNDINGS = {"time", "datetime", "platform", "subprocess", "resource", "socket", "getpass", "locale"}


@every([file for file in MODULES if file not in (PACKAGE / "records.py", PACKAGE / "outside.py")])
def test_records_alone_looks_around(file: Path) -> None:
    """Clock, machine, git and environment are looked at in one module; where data lie, in another."""
    assert not top(imports(file)) & SURROUNDINGS
    assert not re.search(r"\bos\.(environ|getenv|uname|getlogin|cpu_count)\b", ast.unparse(tree(file)))
    if "os" in top(imports(file)):
        assert file.name == "store.py"


@every(STAGES)
def test_stages_do_not_look_around(file: Path) -> None:
    """Stages take cost and environment from the records' module."""
    assert not top(imports(file)) & (SURROUNDINGS | {"os"})


def test_outside_says_where_data_lie() -> None:
    """That module looks at one variable, and only the stages that list or decode images import it."""
    code = ast.unparse(tree(PACKAGE / "outside.py"))
    assert re.findall(r"os\.\w+", code) == ["os.environ"]
    assert re.findall(r"MIMEO_\w+", code.rsplit("def ", 1)[1].partition('"""')[2].partition('"""')[2]) == ["MIMEO_DATA"]
    users = {file.stem for file in STAGES if "mimeo/outside.py" in closure(file.name)}
    assert users == {"list_images", "decode_split", "decode_queries", "group_pool", "choose_queries"}


def test_records_looks_around() -> None:
    """The rule has a subject: the records' module does what no other does."""
    assert {"time", "platform", "subprocess", "resource"} <= top(imports(PACKAGE / "records.py"))


INTERFACES = {
    "datasets": {"mimeo.pictures", "mimeo.archives", "mimeo.collecting", "mimeo.downloads"},
    "victims": {"mimeo.models", "mimeo.startup"},
    "tables": {"mimeo.layout", "mimeo.cells", "mimeo.evidence", "mimeo.evaluation", "mimeo.overlap"},
}


@every(PLUGINS)
def test_plugins_know_their_interface_alone(file: Path) -> None:
    """A plug-in imports nothing of ours but its interface and the errors, and the helpers of its kind."""
    kind = file.relative_to(PACKAGE).parts[0]
    known = {f"mimeo.{kind}", "mimeo.errors"} | INTERFACES.get(kind, set())
    ours = {name for name in imports(file) if name.split(".")[0] == "mimeo"}
    assert {name.rsplit(".", 1)[0] for name in ours} <= known
    assert not {name for name in ours if name.rsplit(".", 1)[0] == f"mimeo.{kind}"} & {
        f"mimeo.{kind}.{other.stem}" for other in PLUGINS
    }


@every([*STAGES, *(file for file in MODULES if file not in PLUGINS)])
def test_nothing_imports_a_plugin(file: Path) -> None:
    """Plug-ins are found by name: no module imports one."""
    names = {".".join(plugin.relative_to(SCRIPTS).with_suffix("").parts) for plugin in PLUGINS}
    found = imports(file) | {name.rsplit(".", 1)[0] for name in imports(file)}
    assert not found & names


@every([file for file in SOURCES if file != PACKAGE / "plugins.py"])
def test_one_dynamic_import(file: Path) -> None:
    """``load`` is the only dynamic import."""
    assert not {name for name in imports(file) if re.match(r"importlib($|\.import_module|\.util|\.machinery)", name)}
    assert not [name for name, _ in calls(file) if name in ("__import__", "globals") or "import_module" in name]


def test_load_is_dynamic() -> None:
    """The rule has a subject."""
    assert [name for name, _ in calls(PACKAGE / "plugins.py") if name == "importlib.import_module"]


@every([*SOURCES, ROOT / "workflow" / "rules" / "common.smk"])
def test_nothing_asks_for_a_plugin_by_name(file: Path) -> None:
    """No comparison with a plug-in's name, and no table of them: what a plug-in is, its file says."""
    names = {plugin.stem for plugin in PLUGINS if plugin.relative_to(PACKAGE).parts[0] != "tables"}
    names |= {name.replace("_", "-") for name in names}
    found = []
    for node in ast.walk(tree(file)):
        compared: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            compared = [node.value]
        elif isinstance(node, ast.Dict):
            compared = list(node.keys)
        for side in compared:
            inside = ast.walk(side) if side else ()
            found += [c.value for c in inside if isinstance(c, ast.Constant) and c.value in names]
    assert not found


# --- tables need no torch, training sees no test ----------------------------------------------------------------

LIGHT = ("make_table.py", "draw_figure.py", "weigh_claims.py", "collect_costs.py", "list_images.py", "order_pool.py")
TABLES = [file for file in PLUGINS if file.relative_to(PACKAGE).parts[0] == "tables"]


@pytest.mark.parametrize("stage", LIGHT)
def test_light_stages_reach_no_torch(stage: str) -> None:
    """Lists, orders, tables, figures, claims and costs import no torch, nor does anything that they import."""
    reached = closure(stage, *(str(file.relative_to(SCRIPTS)) for file in TABLES))
    assert {"mimeo/store.py", "mimeo/layout.py"} <= set(reached)
    assert not {"mimeo/startup.py", "mimeo/models.py", "mimeo/training.py"} & set(reached)
    for file in reached:
        assert not top(imports(SCRIPTS / file)) & {"torch", "torchvision"}, file


def test_light_stages_load_no_torch() -> None:
    """The same, by Python's own account."""
    stages = [stage.removesuffix(".py") for stage in LIGHT]
    tables = [".".join(file.relative_to(SCRIPTS).with_suffix("").parts) for file in TABLES]
    program = f"import sys, {', '.join([*stages, *tables])}; print(*({{'torch', 'torchvision'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=SCRIPTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_training_knows_no_test_split() -> None:
    """Neither an argument nor a name of the modules that train and judge speaks of tests or validation, and they score
    nothing: what an epoch is judged by, its caller knows."""
    for module in ("training.py", "judging.py"):
        whole = tree(PACKAGE / module)
        names = {node.arg for node in ast.walk(whole) if isinstance(node, ast.arg)}
        names |= {node.id for node in ast.walk(whole) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(whole) if isinstance(node, ast.Attribute)}
        assert {"network", "judge"} & names
        assert not {name for name in names if re.search(r"test|valid|held|best|accuracy", name)}
    assert "mimeo/evaluation.py" not in closure("mimeo/training.py", "mimeo/judging.py")


def test_victims_have_no_judge() -> None:
    """Of the stages, the one that trains copies alone hands a judge over."""
    users = {file.stem for file in STAGES if "mimeo.judging.Judge" in imports(file)}
    assert users == {"train_copycat"}
    [call] = [call for name, call in calls(SCRIPTS / "train_victim.py") if name == "train"]
    assert len(call.args) == 8 and not call.keywords  # all but the last parameter, which is the judge


@pytest.mark.parametrize("rule", ["train_victim", "train_copycat"])
def test_training_rules_read_no_test_split(rule: str) -> None:
    """The rules that train name no test split among their inputs."""
    text = (ROOT / "Snakefile").read_text()
    [body] = re.findall(rf"^rule {rule}:\n(.*?)^    script:", text, re.MULTILINE | re.DOTALL)
    assert "input:" in body
    assert not re.search(r"\btest\b", body)


def test_the_plan_says_what_copies_are_trained_on() -> None:
    """The inputs of a copy's training are the plan's, of which test_protocol.py shows which have a test split."""
    whole = tree(WORKFLOW / "rules" / "common.smk")
    [function] = [n for n in whole.body if isinstance(n, ast.FunctionDef) and n.name == "training_inputs"]
    *_, answer = function.body
    assert len(function.body) == 2
    assert isinstance(answer, ast.Return)
    assert ast.unparse(answer).startswith("return plan.training_inputs(wildcards.arm,")
    text = (ROOT / "Snakefile").read_text()
    assert re.search(
        r"^rule train_copycat:\n[^\n]*\n    input:\n        unpack\(training_inputs\),\n    output:", text, re.M
    )


def test_the_plan_knows_what_stages_do() -> None:
    """The plan imports no stage, so that a number both must know stands twice, and is the same."""
    for name, files in {
        "TENTH": (PLAN / "arms.py", SCRIPTS / "train_copycat.py"),
        "WHOLE": (PLAN / "resources.py", PACKAGE / "pool.py"),
    }.items():
        found = {re.search(rf"^{name} = (.+?)(?:  #.*)?$", file.read_text(), re.MULTILINE)[1] for file in files}  # type: ignore[index]
        assert len(found) == 1, name


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their bare names: the second of a name stops a run of all tests."""
    names = [file.name for file in (ROOT / "tests").rglob("test_*.py")]
    assert len(set(names)) == len(names)


# --- what is loaded is data -----------------------------------------------------------------------------------

CODE_FROM_DATA = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "runpy", "code"}


@every(SOURCES)
def test_nothing_loads_code(file: Path) -> None:
    """No pickle in any form, nothing evaluated, and YAML by its safe loader alone."""
    assert not top(imports(file)) & CODE_FROM_DATA
    for name, call in calls(file):
        assert name not in ("eval", "exec", "compile", "torch.load", "torch.save", "np.fromfile"), name
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given.get("allow_pickle", "False") == "False"
        assert given.get("weights_only", "True") == "True"
        assert given.get("shell", "False") == "False"
        if name.startswith("yaml."):
            loader = [ast.unparse(part) for part in call.args[1:]] + [given.get("Loader", "")]
            assert name.startswith("yaml.safe_") or "yaml.SafeLoader" in loader or name == "yaml.MarkedYAMLError"
        if name in ("np.load", "np.savez", "np.savez_compressed"):
            assert given.get("allow_pickle") == "False"
        if name in ("np.save", "numpy.load", "numpy.save"):
            raise AssertionError(f"{name}: by mimeo.store alone, without pickle")


# --- what is in git -------------------------------------------------------------------------------------------


def tracked() -> list[Path]:
    """The files that git knows and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


MACHINE = re.compile(rb"(?<![\w.:/*-])(/work/|/root/|/home/\w|/Users/\w|/mnt/\w|[A-Z]:\\\\?Users)")


def test_no_path_of_a_machine() -> None:
    """No tracked file holds an absolute path of somebody's machine."""
    files = [file for file in tracked() if file != Path(__file__) and file.suffix not in (".png", ".gz")]
    assert len(files) > 50
    found = [
        f"{short(file)}: {MACHINE.search(file.read_bytes())}" for file in files if MACHINE.search(file.read_bytes())
    ]
    assert not found


def test_the_machine_pattern_finds() -> None:
    """The pattern finds what it is made for, and leaves web addresses and our own folders alone."""
    for text in (b"open('%sx')", b"cd %smain", b"path: %sada/x"):
        for folder in (b"root", b"work", b"home"):
            assert MACHINE.search(text % (b"/" + folder + b"/")), text
    for text in (b"https://example.org/work/x", b"workflow/work/x", b"results/home/x", b"~/home"):
        assert not MACHINE.search(text), text


def locked() -> dict[str, list[str]]:
    """The lock's packages, each with its lines."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            name = re.split(r"[=<>!~\[ ;@]", line)[0]
            found.setdefault(name, [])
        if name:
            found[name].append(line)
    return found


def test_the_lock_names_no_place() -> None:
    """The lock has versions and hashes, no address, no index and no file."""
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|-e|--(extra-)?index-url|--find-links|--trusted-host)\b", text, re.MULTILINE)
    assert not re.search(r"\s@\s", text)


def test_the_lock_is_whole() -> None:
    """Every package of the lock is pinned to one version with a hash, and every dependency is among them."""
    packages = locked()
    assert len(packages) > 50
    for name, lines in packages.items():
        pins = [line for line in lines if not line[0].isspace()]
        assert all(re.match(rf"{re.escape(name)}==\S+", line) for line in pins), name
        assert any("--hash=sha256:" in line for line in lines), name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[=<>!~\[ ;]", line)[0].lower().replace("_", "-") for line in wanted}
    assert len(names) > 10
    assert names <= set(packages)


def test_the_lock_satisfies_the_project() -> None:
    """The locked versions are at least those that the project asks for."""

    def numbers(version: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", version.split("+")[0])]

    packages = locked()
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        name, least = re.sub(r"\[.*\]", "", line).split(">=")
        version = packages[name][0].split("==")[1].split()[0]
        assert numbers(version) >= numbers(least), line


# --- one file and one entry -----------------------------------------------------------------------------------


@every([PACKAGE / kind / "__init__.py" for kind in ENTRY])
def test_interfaces_are_described(file: Path) -> None:
    """Each kind's package says what a plug-in of it holds, by the name of its function."""
    document = ast.get_docstring(tree(file)) or ""
    assert all(f"``{entry}(" in document for entry in ENTRY[file.parent.name])
