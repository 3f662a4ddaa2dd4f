"""Bad input ends in one line that names it, and leaves no file behind: through Snakemake, and stage by stage.

The stages are called as the pipeline calls them, on the files of a finished run, one of which is broken first.
"""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from mimeo.console import Console
from mimeo.errors import MimeoError
from mimeo.store import load_array, load_arrays, load_json, save_array, save_arrays, save_json
from plan import Plan, load_plan

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

VICTIM, QUERY, SPAN, FIRST = "digits-tiny", "photographs-random", "0000000-0000200", "000-001"
ARM = f"{VICTIM}/{QUERY}/top-1-b200/plain-tiny-copycat"
OTHER = f"{VICTIM}/{QUERY}/top-1-b100/plain-tiny-copycat"
ENGINE = {"device": "cpu", "threads": 1}
TAKEN = pytest.fail.Exception  # what pytest.raises raises where nothing was refused
Arguments = dict[str, Any]


# --- the configuration, through Snakemake -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (
            "config/tiny.yaml",
            "queries: [digits-own]",
            "queries: [digits-owm]",
            ["config/tiny.yaml", "tables.knockoff/accuracy.cells[0].queries", "'digits-owm'", "'digits-own'?"],
        ),
        ("config/tiny.yaml", "shard: 200", "shards: 200", ["config/tiny.yaml", "'shards'", "'shard'?"]),
        (
            "config/ingredients/victims.yaml",
            "digits-tiny: {title: Digits,",
            "digits-tiny: {title: Digits, title: Digits,",
            ["config/ingredients/victims.yaml", "'title' is given twice"],
        ),
    ],
    ids=["name without an entry", "typo in a key", "key twice"],
)
def test_wrong_configuration(project: Project, file: str, old: str, new: str, says: list[str]) -> None:
    """A wrong configuration stops a dry run with one line, and nothing is made."""
    project.edit(file, old, new)
    run = project.run("-n")
    assert run.code == 1
    [line] = run.errors
    for expected in says:
        assert expected in line
    assert "Traceback" not in run.output
    assert not run.planned
    assert not (project.root / "results").exists()


def test_scale_without_a_name(project: Project) -> None:
    """A scale that lacks its name is refused; no other scale fills the gap."""
    project.edit("config/tiny.yaml", "scale: tiny\n", "")
    run = project.run("-n")
    assert run.code == 1
    [line] = run.errors
    assert "config/tiny.yaml" in line
    assert "'scale'" in line


def test_right_configuration(finished: Project) -> None:
    """Unbroken, a finished run has nothing to do, and touching every file of the project changes nothing in that."""
    for part in ("Snakefile", "config", "workflow"):
        for path in [finished.root / part, *(finished.root / part).rglob("*")]:
            path.touch()
    run = finished.run("-n")
    assert run.code == 0
    assert "Nothing to be done" in run.output
    assert not run.errors
    assert not run.planned


# --- data, through Snakemake ------------------------------------------------------------------------------------


def stopped(project: Project, rule: str, *targets: str) -> str:
    """Runs targets of which a job of the rule must fail, in one line that is returned, without output."""
    run = project.run(*targets)
    assert run.code != 0
    assert not run.jobs[rule], run.output
    [line] = set(run.errors)  # Snakemake shows the failed job's log, which holds the line once more
    assert "Traceback" not in run.output
    for target in targets:
        assert not (project.root / target).exists()
    return line


def test_split_of_another_size(project: Project) -> None:
    """A data set whose split is not of the declared size is not listed."""
    project.edit("config/ingredients/datasets.yaml", "test: 719", "test: 720")
    line = stopped(project, "list_images", "results/data/digits/items.csv")
    assert line == "error: digits: split 'test' has 719 images, the configuration says 720"
    assert not (project.root / "results/data/digits/manifest.json").exists()


def test_queries_from_the_test_set(finished: Project) -> None:
    """Query images that the victim is tested on stop the run before the victim is asked."""
    finished.append(
        "config/ingredients/queries.yaml",
        "\nstolen-test: {title: The test set, images: [digits/test], strategy: random}\n",
    )
    finished.edit("config/tiny.yaml", "queries: [digits-own]", "queries: [stolen-test]")
    labels = finished.root / "results/labels" / VICTIM / "stolen-test"
    line = stopped(finished, "ask_victim", "results/queries/stolen-test/0000000-0000200.leaks-digits.json")
    with open(finished.root / "results/data/digits/items.csv") as file:
        held = {row.split(",")[0] for row in file if row.split(",")[1] == "test"}
    assert line.startswith("error: query set stolen-test: 200 images are (nearly) test images of digits, the first ")
    assert line.split("'")[1] in held
    assert not labels.exists()


# --- stages -----------------------------------------------------------------------------------------------------


class Stage:
    """A stage of the tiny scale: its arguments on the files of a finished run, and how it is called."""

    def __init__(self, name: str, root: Path, own: Path) -> None:
        self.name, self.root, self.results = name, root, root / "results"
        self.out, self.copies, self.say = own / "out", own / "copies", Console(own / "log.txt")
        scale = root / "config" / "tiny.yaml"
        self.plan: Plan = load_plan(root, yaml.safe_load(scale.read_text()), [str(scale)])
        self.arguments: Arguments = getattr(self, f"_{name}")()

    def run(self) -> None:
        """Calls the stage."""
        importlib.import_module(self.name).main(**self.arguments)

    def file(self, argument: str) -> Path:
        """A file among the arguments, in a copy that may be broken; of a list, or of a mapping's values, the first."""
        holder: Any = self.arguments
        key: Any = argument
        while not isinstance(holder[key], str):
            holder = holder[key]
            key = next(iter(holder)) if isinstance(holder, dict) else 0
        own = self.copies / Path(holder[key]).name
        if holder[key] != str(own):
            self.copies.mkdir(exist_ok=True)
            holder[key] = shutil.copy2(holder[key], str(own))
        return own

    def _in(self, *parts: str) -> str:
        return str(self.results.joinpath(*parts))

    def _out(self, *names: str) -> Arguments:
        return {name.split(".")[0]: str(self.out / name) for name in names}

    def _list_images(self) -> Arguments:
        entry = self.plan.ingredients["datasets"]["digits"]
        spec = {key: entry[key] for key in ("plugin", "parameters", "splits", "classes")}
        checksums = [str(self.root / file) for file in self.plan.dataset_files("digits", "checksums", "sha256")]
        return {"dataset": "digits", "spec": spec, "checksums": checksums} | self._out("items.csv", "manifest.json")

    def _decode_split(self) -> Arguments:
        return {
            "dataset": "digits",
            "split": "test",
            "spec": self.plan.decoding("digits"),
            "items": self._in("data", "digits", "items.csv"),
            "manifest": self._in("data", "digits", "manifest.json"),
        } | self._out("images.npy", "labels.npy")

    def _order_pool(self) -> Arguments:
        return {
            "query": QUERY,
            "spec": self.plan.ingredients["queries"][QUERY],
            "items": [self._in("data", "photographs", "items.csv")],
        } | self._out("order.npz")

    def _decode_queries(self) -> Arguments:
        return {
            "parts": [self.plan.decoding("photographs")],
            "start": 0,
            "stop": 200,
            "order": self._in("queries", QUERY, "order.npz"),
            "items": [self._in("data", "photographs", "items.csv")],
        } | self._out("shard.npy")

    def _check_leaks(self) -> Arguments:
        return {
            "query": QUERY,
            "dataset": "digits",
            "leaks": "stop",
            "start": 0,
            "shard": self._in("queries", QUERY, f"{SPAN}.npy"),
            "order": self._in("queries", QUERY, "order.npz"),
            "items": [self._in("data", "photographs", "items.csv")],
            "train": self._in("data", "digits", "train.npy"),
            "test": self._in("data", "digits", "test.npy"),
            "say": self.say,
        } | self._out("report.json")

    def _train_victim(self) -> Arguments:
        return {
            "victim": VICTIM,
            "role": "model",
            "code": "0",
            "spec": self.plan.victim(VICTIM),
            "engine": ENGINE,
            "images": self._in("data", "digits", "train.npy"),
            "labels": self._in("data", "digits", "train-labels.npy"),
            "checkpoints": self._in("checkpoints"),
            "say": self.say,
        } | self._out("weights.safetensors", "log.json", "record.json")

    def _score_victim(self) -> Arguments:
        roles = self.plan.roles()
        return {
            "victim": VICTIM,
            "spec": self.plan.victim(VICTIM),
            "engine": ENGINE | {"resamples": 100},
            "images": self._in("data", "digits", "test.npy"),
            "labels": self._in("data", "digits", "test-labels.npy"),
            "train_labels": self._in("data", "digits", "train-labels.npy"),
            "weights": [self._in("victims", VICTIM, f"{role}.safetensors") for role in roles],
            "logs": [self._in("victims", VICTIM, f"{role}.json") for role in roles],
        } | self._out("scores.json", "answers.npz")

    def _ask_victim(self) -> Arguments:
        return {
            "victim": VICTIM,
            "spec": self.plan.victim(VICTIM),
            "engine": ENGINE,
            "weights": self._in("victims", VICTIM, "model.safetensors"),
            "shard": self._in("queries", QUERY, f"{SPAN}.npy"),
        } | self._out("answers.npy")

    def _train_copycat(self) -> Arguments:
        return {
            "spec": self.plan.training(ARM),
            "engine": ENGINE,
            "first": 0,
            "stop": 1,
            "order": [],
            "shards": [self._in("queries", QUERY, f"{SPAN}.npy")],
            "guards": [self._in("queries", QUERY, f"{SPAN}.leaks-digits.json")],
            "answers": [self._in("labels", VICTIM, QUERY, f"{SPAN}.npy")],
            "parent": [],
            "judged": [],
            "checkpoints": self._in("checkpoints"),
            "say": self.say,
        } | self._out("weights.safetensors", "log.json", "record.json")

    def _score_copycat(self) -> Arguments:
        return {
            "names": self.plan.names(ARM),
            "spec": self.plan.training(ARM),
            "engine": ENGINE | {"resamples": 100},
            "dataset": "digits",
            "images": self._in("data", "digits", "test.npy"),
            "victim": self._in("scores", "victims", f"{VICTIM}.json"),
            "answers": self._in("scores", "victims", f"{VICTIM}.npz"),
            "weights": [self._in("copycats", ARM, f"{FIRST}.safetensors")],
            "logs": [self._in("copycats", ARM, f"{FIRST}.json")],
        } | self._out("scores.json", "predictions.npz")

    def _make_table(self) -> Arguments:
        inputs = self.plan.table_inputs("knockoff/budgets")
        return {
            "spec": self.plan.table("knockoff/budgets"),
            "published": str(self.root / "config" / "published.csv"),
            "arms": [str(self.root / path) for path in inputs["arms"]],
            "victims": [str(self.root / path) for path in inputs["victims"]],
        } | self._out("table.csv", "text.md", "web.html")

    def _draw_figure(self) -> Arguments:
        return {
            "spec": self.plan.table("knockoff/budgets"),
            "table": self._in("tables", "tiny", "knockoff", "budgets.csv"),
        } | self._out("png.png", "svg.svg")

    def _weigh_claims(self) -> Arguments:
        claim = {"paper": "knockoff", "text": "More queries help", "metric": "accuracy", "of": [ARM], "than": [OTHER]}
        arms = {
            arm: {
                "predictions": self._in("scores", "copycats", arm, "predictions.npz"),
                "answers": self._in("scores", "victims", f"{VICTIM}.npz"),
                "dataset": "digits",
            }
            for arm in (ARM, OTHER)
        }
        return {
            "scale": "tiny",
            "claims": {"more-queries": claim},
            "arms": arms,
            "resamples": 100,
            "published": str(self.root / "config" / "published.csv"),
        } | self._out("table.csv", "text.md", "web.html")

    def _collect_costs(self) -> Arguments:
        return {"records": {"a": self._in("victims", VICTIM, "model.record.json")}} | self._out("table.csv")


MADE = {  # output of a stage -> the same file of the pipeline
    "list_images": {"items": "data/digits/items.csv", "manifest": "data/digits/manifest.json"},
    "decode_split": {"images": "data/digits/test.npy", "labels": "data/digits/test-labels.npy"},
    "order_pool": {"order": f"queries/{QUERY}/order.npz"},
    "decode_queries": {"shard": f"queries/{QUERY}/{SPAN}.npy"},
    "check_leaks": {"report": f"queries/{QUERY}/{SPAN}.leaks-digits.json"},
    "train_victim": {"weights": f"victims/{VICTIM}/model.safetensors", "log": f"victims/{VICTIM}/model.json"},
    "score_victim": {"scores": f"scores/victims/{VICTIM}.json", "answers": f"scores/victims/{VICTIM}.npz"},
    "ask_victim": {"answers": f"labels/{VICTIM}/{QUERY}/{SPAN}.npy"},
    "train_copycat": {"weights": f"copycats/{ARM}/{FIRST}.safetensors", "log": f"copycats/{ARM}/{FIRST}.json"},
    "score_copycat": {
        "scores": f"scores/copycats/{ARM}/scores.json",
        "predictions": f"scores/copycats/{ARM}/predictions.npz",
    },
    "make_table": {
        "table": "tables/tiny/knockoff/budgets.csv",
        "text": "tables/tiny/knockoff/budgets.md",
        "web": "tables/tiny/knockoff/budgets.html",
    },
    "draw_figure": {"png": "figures/tiny/knockoff/budgets.png", "svg": "figures/tiny/knockoff/budgets.svg"},
    "weigh_claims": {},
    "collect_costs": {},
}


@pytest.fixture
def stage(request: pytest.FixtureRequest, finished_once: Project, tmp_path: Path) -> Iterator[Stage]:
    """The stage that a test is parametrised with."""
    stage = Stage(request.param, finished_once.root, tmp_path)
    yield stage
    stage.say.file.close()


def of(name: str) -> pytest.MarkDecorator:
    """A test on one stage."""
    return pytest.mark.parametrize("stage", [name], indirect=True, ids=[name])


def refused(stage: Stage, *says: str) -> str:
    """The stage must end with one line that says all of this, and leave nothing, not even a temporary file."""
    with pytest.raises(MimeoError) as caught:
        stage.run()
    text = str(caught.value)
    assert len(text.splitlines()) == 1, text
    for expected in says:
        assert expected in text
    assert not stage.out.exists() or not list(stage.out.iterdir())
    return text


@pytest.mark.parametrize("stage", MADE, indirect=True)
def test_unbroken_files(stage: Stage) -> None:
    """Unbroken, each stage makes the bytes that the pipeline has made: what follows is refused for its break alone."""
    stage.run()
    assert list(stage.out.iterdir())
    for output, made in MADE[stage.name].items():
        assert Path(stage.arguments[output]).read_bytes() == (stage.results / made).read_bytes(), output


def missing(file: Path) -> None:
    """Takes the file away."""
    file.unlink()


def empty(file: Path) -> None:
    """Leaves nothing in the file."""
    file.write_bytes(b"")


def halved(file: Path) -> None:
    """Cuts the file in half."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def scrambled(file: Path) -> None:
    """Puts something else in the file."""
    file.write_bytes(b"\xff\xfe nothing of use \x00\x01\n" * 20)


READ = {
    "decode_split": ["items", "manifest"],
    "order_pool": ["items"],
    "decode_queries": ["order", "items"],
    "check_leaks": ["shard", "train", "test"],
    "train_victim": ["images", "labels"],
    "score_victim": ["images", "labels", "train_labels", "weights", "logs"],
    "ask_victim": ["weights", "shard"],
    "train_copycat": ["shards", "guards", "answers"],
    "score_copycat": ["images", "victim", "answers", "weights", "logs"],
    "make_table": ["published", "arms", "victims"],
    "draw_figure": ["table"],
    "weigh_claims": ["published", "arms"],
    "collect_costs": ["records"],
}


HARMS: tuple[Callable[[Path], None], ...] = (missing, empty, halved, scrambled)
UNSEEN = {("published", "halved"), ("table", "halved")}  # half of a CSV is a CSV; short rows are tested below


@pytest.mark.parametrize(
    ("stage", "argument", "harm"),
    [
        pytest.param(stage, argument, harm, id=f"{stage}-{argument}-{harm.__name__}")
        for stage, arguments in READ.items()
        for argument in arguments
        for harm in HARMS
        if (argument, harm.__name__) not in UNSEEN
    ],
    indirect=["stage"],
)
def test_broken_file(stage: Stage, argument: str, harm: Callable[[Path], None]) -> None:
    """A file that is missing, empty, cut or something else stops each stage that reads it, by its name."""
    file = stage.file(argument)
    harm(file)
    refused(stage, str(file))


def lines(file: Path, count: int) -> None:
    """Keeps the first lines of a file, whole ones."""
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:count]))


# --- data sets --------------------------------------------------------------------------------------------------


@of("list_images")
@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("splits", {"train": 1078, "test": 720}, ["'test'", "719", "720"]),
        ("splits", {"train": 1078, "test": 719, "validation": 5}, ["'validation'", "0 images", "5"]),
        ("classes", list("0123456798"), ["classes", "'8', '9'", "'9', '8'"]),
        ("classes", list("012345678"), ["classes"]),
    ],
)
def test_data_other_than_declared(stage: Stage, key: str, value: Any, says: list[str]) -> None:
    """Images and classes must be those that the configuration declares."""
    stage.arguments["spec"][key] = value
    refused(stage, "digits", *says)


@of("list_images")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("0007,", "9007,", ["0007"]),
        ("0007,train\n", "", ["0007"]),
        ("0007,train\n", "0007,train\n9999,train\n", ["1798", "1797"]),
        ("0007,train\n", "0007,train\n0007,test\n", ["twice"]),
        ("name,split", "image,split", ["columns name, split"]),
    ],
    ids=["another name", "missing name", "surplus name", "name twice", "another column"],
)
def test_split_file_other_than_the_data(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str, says: list[str]
) -> None:
    """A split file that does not name exactly the images there is refused by its name."""
    plugin = importlib.import_module("mimeo.datasets.digits")
    text = plugin.SPLIT.read_text().replace("\r\n", "\n")
    assert text.count(old) == 1
    file = tmp_path / "digits.csv"
    file.write_text(text.replace(old, new))
    monkeypatch.setattr(plugin, "SPLIT", file)
    refused(stage, str(file), *says)


@of("list_images")
@pytest.mark.parametrize("row", [b"0007\n", b"0007,\xff\n"], ids=["short row", "no text"])
def test_split_file_with_a_broken_row(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, row: bytes
) -> None:
    """A row without a split, or in bytes that are no text, is refused by the file's name."""
    plugin = importlib.import_module("mimeo.datasets.digits")
    file = tmp_path / "digits.csv"
    file.write_bytes(plugin.SPLIT.read_bytes().replace(b"0007,train\n", row))
    monkeypatch.setattr(plugin, "SPLIT", file)
    refused(stage, str(file))


@of("list_images")
@pytest.mark.parametrize(
    "text",
    ["0" * 64 + "  digits.csv.gz\n", "0" * 64 + "  other.csv.gz\n", ""],
    ids=["another digest", "another file", "no file"],
)
def test_source_other_than_its_checksum(stage: Stage, text: str) -> None:
    """A source that is not the file whose checksum is kept is refused, with the list that says so."""
    stage.file("checksums").write_text(text)
    refused(stage, "digits", "digits.csv.gz", stage.file("checksums").name)


@of("list_images")
@pytest.mark.parametrize("text", [b"digits.csv.gz\n", b"\xff\xfe  digits.csv.gz\n"], ids=["short row", "no text"])
def test_checksums_that_are_none(stage: Stage, text: bytes) -> None:
    """A list of checksums that is none is refused by its name."""
    stage.file("checksums").write_bytes(text)
    refused(stage, stage.file("checksums").name)


@of("decode_split")
def test_split_without_images(stage: Stage) -> None:
    """A split that no image is in is named, with those that are there."""
    stage.arguments["split"] = "validation"
    refused(stage, "digits", "'validation'", "test, train")


@of("decode_split")
def test_class_without_images(stage: Stage) -> None:
    """A class of which the split has no image is named."""
    file = stage.file("items")
    file.write_text(file.read_text().replace("test,7\n", "test,8\n"))
    refused(stage, "digits", "class '7'", "'test'")


@of("decode_split")
def test_images_without_a_label(stage: Stage) -> None:
    """Unlabelled images in a split to be learnt are counted."""
    file = stage.file("items")
    file.write_text(file.read_text().replace("test,7\n", "test,-1\n"))
    refused(stage, "digits", "no label", "'test'")


@of("decode_split")
def test_list_cut_between_images_of_a_split(stage: Stage) -> None:
    """A list that has lost images since it was made is refused: the manifest says how many there were."""
    lines(stage.file("items"), 1500)
    refused(stage, str(stage.file("items")))


# --- query sets -------------------------------------------------------------------------------------------------


@of("decode_queries")
def test_list_cut_between_images_of_a_pool(stage: Stage) -> None:
    """A list that has lost images which the order names is refused by its name."""
    lines(stage.file("items"), 100)
    refused(stage, str(stage.file("items")))


@of("decode_queries")
def test_order_shorter_than_the_shard(stage: Stage) -> None:
    """An order that ends before the shard does is refused by its name."""
    order = load_arrays(str(stage.file("order")), "part", "row", "label")
    save_arrays(stage.file("order"), {name: values[:150] for name, values in order.items()})
    refused(stage, str(stage.file("order")))


@of("decode_queries")
def test_order_without_rows(stage: Stage) -> None:
    """An order that lacks one of its arrays is refused, naming it."""
    order = load_arrays(str(stage.file("order")), "part", "label")
    save_arrays(stage.file("order"), order)
    refused(stage, str(stage.file("order")), "row")


@of("check_leaks")
def test_leak(stage: Stage) -> None:
    """One test image among the queries is named, with its place."""
    images = np.array(load_array(stage.file("shard")))
    images[137] = load_array(stage.file("test"))[42]
    save_array(stage.file("shard"), images)
    order = load_arrays(str(stage.file("order")), "row")
    with open(stage.file("items")) as file:
        name = file.read().splitlines()[1 + int(order["row"][137])].split(",")[0]
    refused(stage, f"query set {QUERY}", "1 images", repr(name), "position 137", "test image 42")


@of("check_leaks")
def test_leak_is_named_plainly(stage: Stage) -> None:
    """The image's name stands in the message as it stands in the list."""
    images = np.array(load_array(stage.file("shard")))
    images[0] = load_array(stage.file("test"))[42]
    save_array(stage.file("shard"), images)
    assert "np." not in refused(stage, "position 0")


@of("check_leaks")
def test_leak_in_a_later_shard(stage: Stage) -> None:
    """The place named is the one in the whole order, not in the shard."""
    stage.arguments["start"] = 400
    images = np.array(load_array(stage.file("shard")))
    images[3] = load_array(stage.file("test"))[42]
    save_array(stage.file("shard"), images)
    refused(stage, "position 403", "test image 42")


@of("check_leaks")
def test_leaks_left_out(stage: Stage) -> None:
    """A query set whose test images are left out goes on, and names their places in the shard."""
    stage.arguments |= {"leaks": "leave_out", "start": 400}
    images = np.array(load_array(stage.file("shard")))
    images[[137, 3]] = load_array(stage.file("test"))[[42, 17]]
    save_array(stage.file("shard"), images)
    stage.run()
    assert load_json(stage.arguments["report"])["left_out"] == [3, 137]


# --- answers and trainings --------------------------------------------------------------------------------------


@of("ask_victim")
def test_shard_of_other_images(stage: Stage) -> None:
    """A shard of images of another size than the victim takes is refused by its name."""
    save_array(stage.file("shard"), np.zeros((200, 16, 16, 1), np.uint8))
    refused(stage, str(stage.file("shard")), "16 x 16")


@of("ask_victim")
def test_weights_of_another_network(stage: Stage) -> None:
    """Weights of another architecture are refused by their file's name."""
    stage.arguments["spec"]["architecture"] = {"plugin": "vgg_small", "parameters": {}}
    refused(stage, str(stage.file("weights")), "another architecture")


@of("ask_victim")
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda count: np.full((count, 9), 1 / 9, np.float32), "shape"),
        (lambda count: np.full((count, 10), np.nan, np.float32), "answer 0 is no posterior"),
        (lambda count: np.full((count, 10), 0.2, np.float32), "answer 0 is no posterior"),
        (lambda count: np.repeat([[1.5, -0.5] + [0.0] * 8], count, 0), "answer 0 is no posterior"),
    ],
    ids=["fewer classes", "not a number", "sum of two", "negative"],
)
def test_answers_that_are_no_posterior(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], np.ndarray], says: str
) -> None:
    """What a victim answers is checked before it is kept."""
    plugin = importlib.import_module("mimeo.victims.trained")
    monkeypatch.setattr(plugin, "answerer", lambda *_, **__: lambda images: answer(len(images)))
    refused(stage, f"victim {VICTIM}", says)


def with_a_hole(file: Path, row: int = 5) -> None:
    """Puts a value that is no number among the answers."""
    answers = np.array(load_array(file))
    answers[row, 3] = np.nan
    save_array(file, answers)


@of("train_copycat")
def test_answers_with_a_hole(stage: Stage) -> None:
    """A stored answer that is no number is refused by its file's name."""
    with_a_hole(stage.file("answers"))
    refused(stage, str(stage.file("answers")), "not finite")


@of("train_copycat")
def test_answers_with_a_hole_in_a_later_shard(stage: Stage) -> None:
    """Of several shards the one with the hole is named."""
    whole = np.array(load_array(stage.file("answers")))
    first, second = stage.out.parent / "first.npy", stage.out.parent / "second.npy"
    save_array(first, whole[:100])
    save_array(second, whole[100:])
    with_a_hole(second)
    stage.arguments["answers"] = [str(first), str(second)]
    refused(stage, str(second))


@of("train_copycat")
@pytest.mark.parametrize(
    ("argument", "array", "says"),
    [
        ("answers", np.full((150, 10), 0.1, np.float16), "200 rows wanted, 150 there"),
        ("answers", np.full((200, 9), 0.1, np.float16), "200 x 9"),
        ("answers", np.full((200, 10), 0.1, np.float32), "float32"),
        ("shards", np.zeros((150, 8, 8, 1), np.uint8), "200 rows wanted, 150 there"),
        ("shards", np.zeros((200, 8, 8, 3), np.uint8), "200 x 8 x 8 x 3"),
        ("shards", np.zeros((200, 8, 8, 1), np.int64), "int64"),
    ],
)
def test_arrays_of_another_shape(stage: Stage, argument: str, array: np.ndarray, says: str) -> None:
    """Images and answers of another number, shape or type are refused by their file's name."""
    save_array(stage.file(argument), array)
    refused(stage, str(stage.file(argument)), says)


@of("train_copycat")
def test_original_labels_that_are_unknown(stage: Stage) -> None:
    """Where a copycat learns original labels, an image without one is refused."""
    order = stage.results / "queries" / QUERY / "order.npz"
    assert (load_arrays(order, "label")["label"] == -1).all()
    stage.arguments |= {"spec": stage.arguments["spec"] | {"labels": "pool"}, "order": [str(order)], "answers": []}
    refused(stage, str(order))


@of("train_copycat")
def test_parent_with_other_replicates(stage: Stage) -> None:
    """Weights to fine-tune must be those of the same replicates."""
    parent = stage.results / "copycats" / OTHER / f"{FIRST}.safetensors"
    stage.arguments |= {"parent": [str(parent)], "stop": 2}
    refused(stage, str(parent), "holds 1 replicates, expected 2")


@of("train_victim")
def test_labels_of_other_images(stage: Stage) -> None:
    """As many labels as images are wanted."""
    save_array(stage.file("labels"), np.zeros(7, np.int64))
    refused(stage, str(stage.file("labels")), "expected 1078")


@of("train_victim")
@pytest.mark.parametrize("label", [-1, 10])
def test_labels_of_no_class(stage: Stage, label: int) -> None:
    """A label that is no class is refused by its file's name."""
    labels = np.array(load_array(stage.file("labels")))
    labels[11] = label
    save_array(stage.file("labels"), labels)
    refused(stage, str(stage.file("labels")))


# --- scores and tables ------------------------------------------------------------------------------------------


@of("score_copycat")
def test_weights_and_log_of_different_blocks(stage: Stage) -> None:
    """Weights must hold the replicates that their log speaks of."""
    log = json.loads(stage.file("logs").read_text())
    save_json(stage.file("logs"), log | {"replicates": log["replicates"] * 2})
    refused(stage, str(stage.file("weights")), "holds 1 replicates, expected 2")


@of("score_copycat")
def test_weights_from_elsewhere(stage: Stage) -> None:
    """Tensors that are whole but not named as replicates are refused by their file's name."""
    import torch
    from safetensors.torch import save_file

    save_file({"layer.weight": torch.zeros(3)}, stage.file("weights"))
    refused(stage, str(stage.file("weights")))


@of("make_table")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("knockoff,accuracy,a,b,accuracy,many,seen,x\n", "many"),
        ("copycat,api,NPDD-SL 100000,FER7,dollars,100,seen,x\n", "given twice"),
        ("knockoff,budgets,a,b,accuracy,0.5\n", ""),
    ],
)
def test_published_numbers(stage: Stage, line: str, says: str) -> None:
    """A published number that is none, or stands twice, is refused by file and line."""
    file = stage.file("published")
    count = len(file.read_text().splitlines())
    with open(file, "a") as open_file:
        open_file.write(line)
    refused(stage, str(file), f"line {count + 1}", says)


@of("make_table")
def test_scores_of_another_kind(stage: Stage) -> None:
    """A JSON file that holds no scores is refused by its name."""
    save_json(stage.file("arms"), {"nothing": "here"})
    refused(stage, str(stage.file("arms")))


@of("draw_figure")
def test_table_of_another_shape(stage: Stage) -> None:
    """A CSV with other columns than a table's is refused by its name."""
    stage.file("table").write_text("a,b\n1,2\n")
    refused(stage, str(stage.file("table")))


@of("draw_figure")
def test_table_with_a_short_row(stage: Stage) -> None:
    """A row that ends early is refused by its file's name."""
    with open(stage.file("table"), "a") as file:
        file.write("knockoff,budgets,Photographs\n")
    refused(stage, str(stage.file("table")))
