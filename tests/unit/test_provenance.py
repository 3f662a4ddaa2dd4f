"""Times and records are made to agree with content: whatever happens to files, what Snakemake would run is the truth.

``Folder`` is a project of a few jobs, run without Snakemake: it leaves the records, marks and times that Snakemake
leaves, and ``planned`` decides by them as Snakemake does. ``wrong`` decides by content alone.
"""

import hashlib
import json
import os
import random
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from plan import provenance
from plan.provenance import Job, Provenance, locked

LONG = "results/scores/" + "a-very-long-name/" * 20 + "scores.json"
SOURCES = ("config/published.csv", "workflow/splits.csv")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def place(kind: str, path: str) -> Path:
    """Where Snakemake keeps a record (``metadata``) or a mark (``incomplete``)."""
    base = f".snakemake/{kind}"
    spare = FilePersistence.__new__(FilePersistence)
    spare._max_len = 254 + 1
    return Path(spare._record_path(base, path))


def is_large(file: str) -> bool:
    """Whether Snakemake takes no checksum of a file."""
    return file.endswith("/0")


@dataclass(frozen=True)
class Step:
    """A job: what it reads and writes; the last file of several is never twice the same."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def rule(self) -> str:
        return "make_" + self.outputs[0].split("/")[1]

    @property
    def log(self) -> str:
        return f"logs/{self.outputs[0]}.log"


PIPELINE = (
    Step((SOURCES[1],), ("results/data/items.csv", "results/data/manifest.json")),
    Step(("results/data/items.csv",), ("results/victims/model.bin", "results/victims/model.json")),
    Step(("results/victims/model.bin", "results/data/manifest.json"), (LONG,)),
    Step((LONG, SOURCES[0]), ("results/tables/table.csv",)),
)


@dataclass
class Made:
    """What a job was given and what it wrote, by the test's own account."""

    params: str
    inputs: dict[str, str]
    outputs: dict[str, bytes]


@dataclass
class Folder:
    """A project."""

    root: Path
    steps: tuple[Step, ...] = PIPELINE
    params: str = "'first'"
    made: dict[Step, Made] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        for source in SOURCES:
            self.write(source, b"one")

    def path(self, file: str) -> Path:
        return self.root / file

    def write(self, file: str, content: bytes, moment: float | None = None) -> None:
        """Writes a file under its name when it is whole, as every job does."""
        self.path(file).parent.mkdir(parents=True, exist_ok=True)
        part = self.path(file).with_name("part")
        part.write_bytes(content)
        part.replace(self.path(file))
        if moment is not None:
            os.utime(self.path(file), (moment, moment))

    def read(self, file: str) -> bytes | None:
        return self.path(file).read_bytes() if self.path(file).is_file() else None

    def load(self, kind: str, file: str) -> dict[str, Any]:
        where = self.path(str(place(kind, file)))
        return json.loads(where.read_text()) if where.is_file() else {}

    def save(self, kind: str, file: str, content: object) -> None:
        where = self.path(str(place(kind, file)))
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(json.dumps(content))

    def start(self, step: Step) -> float:
        """Marks a job's files and removes what is there of them."""
        for file in step.outputs:
            self.save("incomplete", file, {"external_jobid": None})
            self.path(file).unlink(missing_ok=True)
        return self.path(str(place("incomplete", step.outputs[0]))).stat().st_mtime

    def contents(self, step: Step) -> dict[str, bytes]:
        self.runs += 1
        read = self.params.encode() + b"".join(self.read(file) or b"" for file in step.inputs)
        made = {file: sha256(file.encode() + read).encode() for file in step.outputs}
        if len(made) > 1:
            made[step.outputs[-1]] = b"%064d" % self.runs
        return made

    def finish(self, step: Step, started: float, only: int | None = None, **changes: Any) -> None:
        """Records a job as Snakemake does when it has ended."""
        for file in step.outputs[:only]:
            record = MetadataRecord(
                rule=step.rule,
                input=sorted(step.inputs),
                log=[step.log],
                params=[self.params],
                record_format_version=RECORD_FORMAT_VERSION,
                software_stack_hash="d41d8cd98f00b204e9800998ecf8427e",
                job_hash=1,
                starttime=started,
                endtime=self.path(file).stat().st_mtime,
                incomplete=False,
                input_checksums={
                    file: f"sha256:{sha256(self.read(file) or b'')}" for file in step.inputs if not is_large(file)
                },
            )
            self.save("metadata", file, dict(record.items()) | changes)
        if only is None:
            for file in step.outputs:
                self.path(str(place("incomplete", file))).unlink()

    def run(self, steps: tuple[Step, ...] | None = None, **changes: Any) -> None:
        """Runs jobs, in order."""
        for step in self.steps if steps is None else steps:
            started = self.start(step)
            content = self.contents(step)
            for file, text in content.items():
                self.write(file, text)
            self.finish(step, started, **changes)
            inputs = {file: sha256(self.read(file) or b"") for file in step.inputs}
            self.made[step] = Made(self.params, inputs, content)

    def reconcile(self) -> list[str]:
        return provenance.reconcile(self.root, RECORD_FORMAT_VERSION)

    def copy(self, to: Path, moments: Callable[[], float] = lambda: 10**9) -> "Folder":
        """A fresh clone: other times, and nothing of Snakemake's."""
        shutil.copytree(self.root, to, ignore=shutil.ignore_patterns(".snakemake"))
        for path in sorted(to.rglob("*")):
            moment = moments()
            os.utime(path, (moment, moment))
        return Folder.__new__(Folder)._as(self, to)

    def _as(self, other: "Folder", root: Path) -> "Folder":
        self.root, self.steps, self.params = root, other.steps, other.params
        self.made, self.runs = dict(other.made), other.runs
        return self

    def marked(self) -> set[str]:
        files = (file for step in self.steps for file in step.outputs)
        return {file for file in files if self.load("incomplete", file)}

    # --- what is to be run ----------------------------------------------------------------------------------

    def following(self, reason: Callable[[Step], object]) -> set[Step]:
        """The jobs with a reason of their own, and those that read what these make."""
        found: set[Step] = set()
        for step in self.steps:
            read = {file for other in found for file in other.outputs}
            if reason(step) or read.intersection(step.inputs):
                found.add(step)
        return found

    def planned(self) -> set[Step]:
        """What Snakemake would run, by times, records and marks; a missing record is none of its reasons."""
        asked = {file for step in self.steps for file in (step.outputs[0], *step.inputs)}

        def reason(step: Step) -> bool:
            there = [file for file in step.outputs if self.path(file).exists()]
            if asked.intersection(step.outputs) - set(there) or self.marked().intersection(there):
                return True
            records = [self.load("metadata", file) for file in step.outputs]
            oldest = min(self.path(file).lstat().st_mtime for file in there)
            for file in step.inputs:
                noted = {record.get("input_checksums", {}).get(file) for record in records}
                newer = self.path(file).exists() and self.path(file).stat().st_mtime > oldest
                if newer and (is_large(file) or noted != {f"sha256:{sha256(self.read(file) or b'')}"}):
                    return True
            if not all(records) or any(r["record_format_version"] < RECORD_FORMAT_VERSION for r in records):
                return False
            return any(r["params"] != [self.params] or r["input"] != sorted(step.inputs) for r in records)

        return self.following(reason)

    def wrong(self) -> set[Step]:
        """What must run: what is not as its job wrote it, or was made from something else."""

        def reason(step: Step) -> bool:
            made = self.made.get(step)
            if made is None or made.params != self.params:
                return True
            if any(self.read(file) != content for file, content in made.outputs.items()):
                return True
            contents = ((self.read(file), digest) for file, digest in made.inputs.items())
            return any(content is not None and sha256(content) != digest for content, digest in contents)

        return self.following(reason)

    def check(self) -> list[str]:
        """Reconciles: Snakemake would then run what must run, also if it were killed and reconciled again."""
        notes = self.reconcile()
        assert self.planned() == self.wrong()
        return notes


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """All jobs run and taken up."""
    made = Folder(tmp_path / "project")
    made.run()
    assert made.check() == []
    assert not made.planned()
    return made


def flip(folder: Folder, file: str) -> None:
    """Changes a byte in place; size and time stay."""
    before = folder.path(file).stat()
    content = bytearray(folder.path(file).read_bytes())
    content[0] ^= 1
    folder.path(file).write_bytes(content)
    os.utime(folder.path(file), ns=(before.st_atime_ns, before.st_mtime_ns))


def json_of(folder: Folder, room: str) -> Any:
    return json.loads(folder.path(f"results/provenance/{room}.json").read_text())


def everything(folder: Folder) -> dict[str, tuple[int, bytes]]:
    """Every file of the project with its time and content."""
    files = (path for path in sorted(folder.root.rglob("*")) if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


# --- whatever happens -----------------------------------------------------------------------------------------


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Step, ...]:
    """A few jobs, each after those that it reads."""
    steps: list[Step] = []
    files = list(SOURCES)
    for number in range(draw(st.integers(2, 4))):
        room = draw(st.sampled_from(["data", "victims"]))
        outputs = tuple(f"results/{room}/{number}/{part}" for part in range(draw(st.integers(1, 3))))
        inputs = draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True))
        steps.append(Step(tuple(sorted(inputs)), outputs))
        files += outputs
    return tuple(steps)


EVENTS = ("touch", "clone", "copy", "flip", "delete", "restore", "edit", "revert", "params", "run", "kill", "checkout")


@given(pipelines(), st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 99)), max_size=6), st.randoms())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_what_runs_is_the_truth(
    tmp_path_factory: pytest.TempPathFactory,
    steps: tuple[Step, ...],
    events: list[tuple[str, int]],
    draw: random.Random,
) -> None:
    base = tmp_path_factory.mktemp("truth")
    folder = Folder(base / "0", steps)
    now = time.time()

    def moment() -> float:
        return draw.choice([now - 10**7, now - 1000.5, time.time(), now + 10**5])

    outputs = [file for step in steps for file in step.outputs]
    versions: list[tuple[dict[str, bytes], dict[Step, Made]]] = []
    folder.run()
    folder.check()
    for number, (event, which) in enumerate([*events, ("run", 0)], 1):
        output, source = outputs[which % len(outputs)], SOURCES[which % 2]
        there = folder.path(output).exists()
        if event == "touch" and there:
            os.utime(folder.path(draw.choice([output, source])), (moment(),) * 2)
        elif event == "clone":
            folder = folder.copy(base / str(number), moment)
        elif event == "copy":
            shutil.copytree(folder.root, base / str(number))
            folder.root = base / str(number)
        elif event == "flip" and there:
            flip(folder, output)
        elif event == "delete":
            folder.path(output).unlink(missing_ok=True)
        elif event == "restore":
            [text] = [made.outputs[output] for made in folder.made.values() if output in made.outputs]
            folder.write(output, text, moment())
        elif event in ("edit", "revert"):
            folder.write(source, b"one" if event == "revert" else b"two", moment())
        elif event == "params":
            folder.params = "'second'" if folder.params == "'first'" else "'first'"
        elif event == "run":
            todo = folder.planned()
            folder.run(tuple(step for step in steps if step in todo))
            assert not folder.wrong()
            folder.check()
            files = [path for path in folder.path("results").rglob("*") if path.is_file()]
            results = {str(path.relative_to(folder.root)): path.read_bytes() for path in files}
            versions.append((results, dict(folder.made)))
        elif event == "kill":
            step = steps[which % len(steps)]
            if all(folder.path(file).exists() for file in step.inputs):
                folder.start(step)
                folder.write(step.outputs[0], folder.contents(step)[step.outputs[0]])
        elif event == "checkout" and versions:
            shutil.rmtree(folder.path("results"))
            results, folder.made = versions[which % len(versions)][0], dict(versions[which % len(versions)][1])
            for file, content in results.items():
                folder.write(file, content, moment())
        folder.check()
        state = everything(folder)
        folder.check()
        assert everything(folder) == state
    shutil.rmtree(base)


# --- one thing at a time --------------------------------------------------------------------------------------


def test_nothing_is_written_where_nothing_has_changed(folder: Folder) -> None:
    before = everything(folder)
    assert folder.reconcile() == []
    assert everything(folder) == before


def test_no_results_no_folder(tmp_path: Path) -> None:
    assert provenance.reconcile(tmp_path, RECORD_FORMAT_VERSION) == []
    (tmp_path / "results/data").mkdir(parents=True)
    assert provenance.reconcile(tmp_path, RECORD_FORMAT_VERSION) == []
    assert not locked(tmp_path)


def test_a_clone_gets_records_and_order(folder: Folder, tmp_path: Path) -> None:
    moments = iter(range(10**9, 0, -1000))
    clone = folder.copy(tmp_path / "clone", lambda: next(moments))
    assert clone.check() == []
    assert not clone.planned()
    for step in PIPELINE:
        for file in step.outputs:
            record = clone.load("metadata", file)
            assert (record["rule"], record["params"], record["log"]) == (step.rule, [clone.params], [step.log])
            assert all(clone.path(read).stat().st_mtime <= clone.path(file).stat().st_mtime for read in step.inputs)
            MetadataRecord.model_validate(record)
    clone.params = "'second'"
    assert clone.planned() == set(PIPELINE)


def test_modified_since_it_was_recorded_is_not_taken_up(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.run()
    made.write(LONG, b"else", 10**9)
    made.reconcile()
    assert made.marked() == {LONG}
    assert made.planned() == set(PIPELINE[2:])


def test_a_changed_input_is_newer_than_the_output(folder: Folder) -> None:
    folder.write(SOURCES[0], b"two", 10**9)
    folder.check()
    assert folder.planned() == {PIPELINE[3]}
    assert folder.path("results/tables/table.csv").stat().st_mtime == 10**9 - 1
    assert not folder.marked()
    folder.write(SOURCES[0], b"one")
    folder.check()
    assert not folder.planned()


def test_damage_is_named_and_marked_until_it_is_mended(folder: Folder) -> None:
    before = folder.path(LONG).read_bytes()
    flip(folder, LONG)
    [note] = folder.check()
    assert note.startswith(f"{LONG}: not what was written")
    assert folder.marked() == {LONG}
    folder.write(LONG, before)
    assert folder.check() == []
    assert not folder.marked()


def test_a_lost_file_marks_the_others_of_its_job(folder: Folder) -> None:
    folder.path("results/victims/model.json").unlink()
    folder.check()
    assert folder.marked() == {"results/victims/model.bin"}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_damaged(folder: Folder, make: Callable[[Path], None]) -> None:
    folder.path(LONG).unlink()
    make(folder.path(LONG))
    [note] = folder.reconcile()
    assert "not what was written" in note
    assert folder.marked() == {LONG}


def test_of_unknown_origin_is_marked_also_behind_a_link(folder: Folder, tmp_path: Path) -> None:
    """Odd names, links that lead nowhere or in circles, and a folder elsewhere, in which nothing is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("photo.jpg", ".part.abcd1234"):
        (outside / name).write_text("mine")
        os.utime(outside / name, (10**9, 10**9))
    os.link(outside / "photo.jpg", tmp_path / "second")
    (outside / "photo.jpg").chmod(0o444)
    data = folder.path("results/data")
    (data / "linked").symlink_to(outside)
    (outside / "back").symlink_to(data)
    (data / "loop").symlink_to("loop")
    (data / os.fsdecode(b"\xff\n")).write_text("x")
    folder.reconcile()
    for file in ("linked/photo.jpg", "loop"):
        assert folder.load("incomplete", f"results/data/{file}")
    before = everything(folder)
    folder.reconcile()
    assert everything(folder) == before
    assert sorted(path.name for path in outside.iterdir()) == [".part.abcd1234", "back", "photo.jpg"]
    assert (outside / "photo.jpg").stat().st_nlink == 2


def test_a_killed_job_stays_marked(folder: Folder) -> None:
    folder.start(PIPELINE[1])
    folder.write("results/victims/model.bin", b"half")
    assert folder.check() == []  # Snakemake says so itself
    assert folder.marked() >= {"results/victims/model.bin"}
    folder.run(PIPELINE[1:])
    assert folder.check() == []
    assert not folder.marked()


def test_killed_between_two_records(folder: Folder) -> None:
    """The file that has no new record is not believed, whatever became of the other."""
    folder.params = "'second'"
    step = PIPELINE[1]
    started = folder.start(step)
    for file, content in folder.contents(step).items():
        folder.write(file, content)
    folder.finish(step, started, only=1)
    folder.reconcile()
    assert "results/victims/model.json" in folder.marked()
    assert step in folder.planned()
    folder.run()
    folder.check()
    assert not folder.planned()


def test_what_a_pull_brings_wins_over_local_records(folder: Folder, tmp_path: Path) -> None:
    """Made here from one, there from two: with two again as here, what was pulled is stale."""
    there = folder.copy(tmp_path / "there")
    there.check()
    there.write(SOURCES[0], b"two")
    there.run(PIPELINE[3:])
    there.check()
    shutil.rmtree(folder.path("results"))
    shutil.copytree(there.path("results"), folder.path("results"))
    folder.made = there.made
    folder.write(SOURCES[0], b"two")
    folder.check()
    assert not folder.planned()
    folder.write(SOURCES[0], b"one")
    folder.check()
    assert folder.planned() == {PIPELINE[3]}


def test_killed_while_records_are_restored(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any write: what was restored is not taken for Snakemake's own, and nothing is run for it."""
    for count in range(12):
        clone = folder.copy(tmp_path / str(count))
        left, save = iter(range(count)), provenance._save

        def write(path: Path, text: str, left: Iterator[int] = left, save: Callable = save) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            save(path, text)

        with monkeypatch.context() as patch:
            patch.setattr(provenance, "_save", write)
            with pytest.raises(KeyboardInterrupt) if count < 7 else monkeypatch.context():
                clone.reconcile()
        clone.check()
        assert not clone.planned()


def test_killed_while_times_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New records are kept before times change, by which they would no longer be known."""
    made = Folder(tmp_path)
    made.run()
    os.utime(made.path("results/data/items.csv"), (10**9, 10**9))
    made.save("metadata", "results/data/items.csv", made.load("metadata", "results/data/items.csv") | {"endtime": 1e9})
    with monkeypatch.context() as patch:
        patch.setattr(Provenance, "_save_state", lambda self: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            made.reconcile()
    made.check()
    assert not made.planned()


def test_without_state_damage_is_still_damage(folder: Folder) -> None:
    """The record alone would say that the file is as it was left."""
    flip(folder, LONG)
    folder.path(".snakemake/provenance.json").write_text("[1")
    folder.check()
    assert folder.marked() == {LONG}


def test_a_source_edited_while_a_job_ran_is_not_what_it_read(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.run(PIPELINE[:3])
    started = made.start(PIPELINE[3])
    content = made.contents(PIPELINE[3])
    time.sleep(0.02)
    made.write(SOURCES[0], b"two")
    time.sleep(0.02)
    for file, text in content.items():
        made.write(file, text)
    made.finish(PIPELINE[3], started)
    made.reconcile()
    assert made.planned() == {PIPELINE[3]}
    made.run(PIPELINE[3:])
    made.check()
    assert not made.planned()


def test_a_job_under_a_new_name_of_its_log(folder: Folder) -> None:
    """What an older name stood for is forgotten: otherwise its files would stay marked."""
    folder.run(PIPELINE[1:2], log=["logs/new.log"])
    folder.run(PIPELINE[2:])
    folder.check()
    assert not folder.planned()
    assert list(json_of(folder, "victims")["jobs"]) == ["logs/new.log"]


def test_two_rules_with_one_log_are_two_jobs(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.run(log=["logs/same.log"])
    made.reconcile()
    assert all(
        len({path.split("/")[1] for path, _ in job.outputs}) == 1 for job in Provenance(tmp_path, 6).jobs.values()
    )


@pytest.mark.parametrize("missing", ["log", "endtime", "params", "job_hash"])
def test_an_incomplete_record_is_none(tmp_path: Path, missing: str) -> None:
    made = Folder(tmp_path)
    made.run(**{missing: None})
    made.reconcile()
    assert made.planned() == set(PIPELINE)


def test_records_of_an_older_snakemake_are_still_compared(folder: Folder) -> None:
    """Of a record of an older format Snakemake would compare no parameters."""
    for step in PIPELINE:
        for file in step.outputs:
            record = folder.load("metadata", file)
            assert record["record_format_version"] == RECORD_FORMAT_VERSION
    provenance.reconcile(folder.root, RECORD_FORMAT_VERSION + 1)
    for step in PIPELINE:
        for file in step.outputs:
            assert folder.load("metadata", file)["record_format_version"] == RECORD_FORMAT_VERSION + 1
    assert folder.check() == []


def test_times_in_the_future_come_back(folder: Folder) -> None:
    later = time.time() + 10**6
    for step in PIPELINE:
        for file in step.outputs:
            os.utime(folder.path(file), (later, later))
    folder.check()
    assert all(folder.path(file).stat().st_mtime <= time.time() for step in PIPELINE for file in step.outputs)


# --- what others bring ----------------------------------------------------------------------------------------


def hostile(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    digest = "0" * 64
    for path in ("/etc/passwd", "../x", "results/data/../../x", "results/x", "x", "", "results/data/\0", "\ud800"):
        yield job | {"outputs": {path: digest}}
    yield job | {"outputs": {}}
    yield job | {"outputs": {"results/data/a": 1}}
    yield job | {"outputs": {"results/data/a": digest, "results/victims/b": digest}}
    yield job | {"outputs": {"results/checkpoints/a": digest}}
    yield job | {"version": "six"}
    yield job | {"params": [1]}
    yield job | {"rule": None}
    yield job | {"inputs": "none"}
    yield {}


def test_hostile_provenance_is_unreadable(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "x"
    outside.write_text("")
    os.utime(outside, (10**9, 10**9))
    before = json_of(folder, "data")
    [(log, job)] = before["jobs"].items()
    texts = [json.dumps(before | {"jobs": {log: bad}}) for bad in hostile(job)]
    texts += [json.dumps(before | {"jobs": {log: job, "other": job}}), "", "[]", "null", "[" * 10**5, "<<<<"]
    texts += [json.dumps(before | {"inputs": {job["inputs"]: [["/proc/kmsg", ""]]}})]
    for text in texts:
        folder.path("results/provenance/data.json").write_text(text)
        notes = folder.reconcile()
        assert notes[0] == "results/provenance/data.json: not readable: what it stands for is made again", text
        assert folder.marked() == set(PIPELINE[0].outputs)
        assert folder.path("results/provenance/data.json").read_text() == text
    assert outside.stat().st_mtime == 10**9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "x"]


def test_a_circle_ends(folder: Folder) -> None:
    text = folder.path("results/provenance/data.json").read_text()
    digest = sha256(folder.read(LONG) or b"")
    circle = json.loads(text)
    [name] = circle["inputs"]
    circle["inputs"][name] = [[LONG, digest]]
    folder.path("results/provenance/data.json").write_text(json.dumps(circle))
    assert folder.reconcile() == []


def test_links_are_never_written_through(folder: Folder, tmp_path: Path) -> None:
    """DVC's cache as symbolic or as read-only hard links, also of the provenance itself."""
    cache = tmp_path / "cache"
    cache.mkdir()
    linked = {}
    for number, file in enumerate(("results/provenance/tables.json", LONG, "results/tables/table.csv")):
        content = (folder.read(file) or b"") + (b" " if file.endswith(".json") and "provenance" in file else b"")
        linked[cache / str(number)] = content
        (cache / str(number)).write_bytes(content)
        (cache / str(number)).chmod(0o444)
        os.utime(cache / str(number), (10**9, 10**9))
        folder.path(file).unlink()
        if file == LONG:
            folder.path(file).hardlink_to(cache / str(number))
        else:
            folder.path(file).symlink_to(cache / str(number))
    folder.check()
    assert not folder.planned()
    assert folder.path(LONG).stat().st_mode & stat.S_IWUSR
    folder.params = "'second'"
    folder.run()
    folder.check()
    assert not folder.planned()
    for original, content in linked.items():
        assert original.read_bytes() == content
        assert original.stat().st_mtime == 10**9
    assert not folder.path("results/provenance/tables.json").is_symlink()


def test_provenance_that_is_a_link_to_nothing_is_unreadable(folder: Folder) -> None:
    file = folder.path("results/provenance/data.json")
    file.unlink()
    file.symlink_to("nowhere")
    assert "not readable" in folder.reconcile()[0]


def test_parts_are_cleared_away_after_an_hour_and_nothing_else(folder: Folder) -> None:
    names = (".model.bin.abcd1234", ".gitkeep", ".new.bin.abcd1234")
    for name in names:
        folder.path(f"results/victims/{name}").write_text("")
        if name != names[2]:
            os.utime(folder.path(f"results/victims/{name}"), (10**9, 10**9))
    folder.reconcile()
    left = {path.name for path in folder.path("results/victims").iterdir() if path.name.startswith(".")}
    assert left == set(names[1:])


def test_parts_in_snakemakes_folders_are_no_records(folder: Folder) -> None:
    """A write of a record that was killed leaves a part: it must not spoil what is recorded beside it."""
    folder.run()
    for kind in ("metadata", "incomplete"):
        name = place(kind, "results/data/items.csv")
        copied = folder.path(str(place("metadata", "results/data/items.csv"))).read_text()
        folder.path(f".snakemake/{kind}/.{name.name}").write_text(copied)
    assert folder.check() == []
    assert not folder.planned()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NAMES = st.text("abz09-._é ", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
FILES = st.tuples(NAMES.map("results/data/{}".format), TEXTS)
JOBS = st.builds(
    Job,
    rule=TEXTS,
    params=st.lists(TEXTS, max_size=3).map(tuple),
    inputs=st.lists(FILES, max_size=3).map(tuple),
    outputs=st.lists(FILES, min_size=1, max_size=3, unique_by=lambda pair: pair[0]).map(tuple),
    version=st.integers(0, 9),
    software=st.none() | TEXTS,
)


@given(st.dictionaries(TEXTS, JOBS, max_size=3))
def test_provenance_survives_being_written(jobs: dict[str, Job]) -> None:
    outputs = [path for job in jobs.values() for path, _ in job.outputs]
    text = provenance._text_of(jobs)
    if len(outputs) == len(set(outputs)):
        assert provenance._jobs_of(text) == jobs
        assert provenance._text_of(provenance._jobs_of(text)) == text
    else:
        with pytest.raises(ValueError):
            provenance._jobs_of(text)


def test_records_lie_where_snakemake_looks() -> None:
    for path in ("results/a", LONG, "é"):
        assert provenance._record_path(".snakemake/metadata", path) == place("metadata", path)
