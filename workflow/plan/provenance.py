"""What every artifact was made from, kept beside the results, so that what is still good is known wherever they go.

Snakemake decides by its own records (``.snakemake/metadata``) and by times of modification. Neither travels: a clone,
a checkout or a pull brings files with new times and no records, and a damaged file keeps its record. So one file a
room, ``results/provenance/{room}.json``, which DVC versions with the room, holds what each job was given and what it
wrote, by sha256. Before Snakemake builds its graph, ``reconcile`` makes times and records agree with content:

* an artifact that is what was written, from inputs that are what they were, counts as fresh: its record is put back
  and its time set after its inputs';
* one whose inputs have changed is set before them in time, so that Snakemake makes it again;
* one that is damaged, has lost a file of the same job, or is of unknown origin is marked as incomplete, which
  Snakemake never uses. Whether parameters and code are still the same, Snakemake finds from the record.

Content is hashed once and again only where size, times or inode have changed.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS, PROVENANCE = "results", "results/provenance"
METADATA, INCOMPLETE = ".snakemake/metadata", ".snakemake/incomplete"
LOCKS, STATE = ".snakemake/locks", ".snakemake/provenance.json"
APART = ("provenance", "checkpoints")  # folders of results/ that hold no artifacts
FORMAT = 1
HOUR = 3600
SECOND = 10**9  # in nanoseconds

Inputs = tuple[tuple[str, str], ...]  # pairs of path and sha256, "" where it is not known


@dataclass(frozen=True)
class Job:
    """What a job was given and what it wrote.

    Attributes:
        rule, params: as Snakemake records them.
        inputs: in Snakemake's order.
        outputs: sha256 by path.
        version, software: of Snakemake's record, and its hash of a conda environment.
    """

    rule: str
    params: tuple[str, ...]
    inputs: Inputs
    outputs: tuple[tuple[str, str], ...]
    version: int
    software: str | None

    @property
    def room(self) -> str:
        """The folder of results/ that it writes to."""
        return self.outputs[0][0].split("/")[1]


class Files:
    """Files below a folder, each looked at and hashed once."""

    def __init__(self, root: Path, known: dict[str, list]) -> None:
        self.root, self.known = root, known
        self.stats: dict[str, os.stat_result | None] = {}

    def stat(self, path: str) -> os.stat_result | None:
        """Of the file, or of what a link points to; None where there is none."""
        if path not in self.stats:
            try:
                self.stats[path] = (self.root / path).stat()
            except OSError:
                self.stats[path] = None
        return self.stats[path]

    def time(self, path: str) -> int:
        """When it was last modified, in nanoseconds: as Snakemake sees it, the later of a link and its target."""
        found = self.stat(path)
        assert found is not None
        linked = (self.root / path).lstat().st_mtime_ns if (self.root / path).is_symlink() else 0
        return max(found.st_mtime_ns, linked)

    def sha256(self, path: str) -> str | None:
        """Of the content; None where there is no file."""
        found = self.stat(path)
        if found is None:
            return None
        signature = _signature(found)
        if self.known.get(path, [])[:-1] != signature:
            with open(self.root / path, "rb") as file:
                self.known[path] = [*signature, hashlib.file_digest(file, "sha256").hexdigest()]
        return self.known[path][-1]

    def hash_all(self, paths: Iterable[str]) -> None:
        """Hashes those of several files that have changed, all cores at once."""
        changed = [path for path in paths if self.known.get(path, [])[:-1] != _signature(self.stat(path))]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.sha256, changed))

    def set_time(self, path: str, moment: int) -> None:
        """Sets the time of modification, in nanoseconds, of the file or of the link, whose target is DVC's."""
        digest = self.sha256(path)
        os.utime(self.root / path, ns=(moment, moment), follow_symlinks=False)
        del self.stats[path]
        self.known[path] = [*_signature(self.stat(path)), digest]


def _signature(found: os.stat_result | None) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino] if found else []


@dataclass
class Provenance:
    """The provenance of the results in a folder.

    Attributes:
        jobs: by the path of their log, which names a job.
        notes: what a person should know, a line each.
    """

    root: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            self.state = json.loads((self.root / STATE).read_text())
        except (OSError, ValueError):
            self.state = {}
        self.files = Files(self.root, self.state.get("files", {}))
        self.texts: dict[str, str] = {}
        for path in sorted((self.root / PROVENANCE).glob("*.json")):
            self.texts[path.stem] = path.read_text(errors="replace")
            try:
                self.jobs |= _jobs_of(self.texts[path.stem])
            except (ValueError, KeyError, TypeError, AttributeError):
                self.notes.append(f"{PROVENANCE}/{path.name}: not readable: what it stands for is made again")
        digests = {room: hashlib.sha256(text.encode()).hexdigest() for room, text in self.texts.items()}
        self.foreign = {room for room, digest in digests.items() if self.state.get("rooms", {}).get(room) != digest}

    def reconcile(self) -> list[str]:
        """Makes Snakemake's times and records agree with the content of the results.

        Returns:
            what a person should know, a line each.
        """
        there = list(self.artifacts())
        self._take_up(there)
        good = self._good(there)
        self._restore_records(good)
        self._order_times(good)
        self._save()
        return self.notes

    # --- the jobs that have run since -----------------------------------------------------------------------

    def _take_up(self, there: list[str]) -> None:
        """Takes up what Snakemake has recorded since the last time, where the files are as it left them."""
        seen = self.state.get("records", {})
        self.records = {key: _signature(path.stat()) for key, path in _keys(self.root / METADATA)}
        new: dict[str, dict[str, dict]] = {}
        for key, signature in self.records.items():
            if seen.get(key) != signature:
                record = _load(self.root / _record_path(METADATA, key))
                found = self.files.stat(key)
                if record.get("log") and found and abs(found.st_mtime - (record.get("endtime") or 0)) < 1e-5:
                    new.setdefault(record["log"][0], {})[key] = record
        known = set(self.outputs())
        self.files.hash_all({*there} & {*known, *(key for records in new.values() for key in records)})
        for log, records in new.items():
            last = max(records.values(), key=lambda record: record["endtime"])
            outputs = [key for key in sorted(records) if records[key]["params"] == last["params"]]
            self.jobs[log] = Job(
                last["rule"],
                tuple(last["params"]),
                tuple((path, self._was(path, last)) for path in last["input"]),
                tuple((path, self.files.sha256(path) or "") for path in outputs),
                last["record_format_version"],
                last.get("software_stack_hash"),
            )

    def _was(self, path: str, record: dict) -> str:
        """The sha256 that an input had when a job read it; "" where that cannot be known any more."""
        noted = (record.get("input_checksums") or {}).get(path)
        if noted:
            return noted.removeprefix("sha256:")
        found = self.files.stat(path)
        if found is None or found.st_mtime > record["endtime"]:
            return ""
        return self.files.sha256(path) or ""

    def outputs(self) -> dict[str, str]:
        """Every artifact with a job that made it: path to the job's log."""
        return {path: log for log, job in self.jobs.items() for path, _ in job.outputs}

    def upstream(self, targets: Iterable[str]) -> set[str]:
        """The logs of the jobs that made the targets, and what these were made from."""
        makers, found, todo = self.outputs(), set[str](), list(targets)
        while todo:
            log = makers.get(todo.pop())
            if log and log not in found:
                found.add(log)
                todo += [path for path, _ in self.jobs[log].inputs]
        return found

    def forget(self, paths: Iterable[str]) -> None:
        """Forgets the jobs of files that were removed."""
        makers = self.outputs()
        for log in {makers[path] for path in paths if path in makers}:
            del self.jobs[log]
        self._save()

    def artifacts(self) -> Iterator[str]:
        """Every file in the rooms; parts of files that were never finished are cleared away after an hour."""
        rooms = [path for path in sorted((self.root / RESULTS).glob("*")) if path.is_dir() and path.name not in APART]
        for room in rooms:
            for folder, _, names in os.walk(room):
                for name in names:
                    path = Path(folder, name)
                    if not name.startswith("."):
                        yield str(path.relative_to(self.root))
                    elif path.lstat().st_mtime < time.time() - HOUR:
                        path.unlink()

    # --- what is what was written ----------------------------------------------------------------------------

    def _good(self, there: list[str]) -> dict[str, Job]:
        """The jobs whose outputs are all as they were written; everything else that lies there is marked."""
        good, wrong, damaged = {}, [], []
        for log, job in self.jobs.items():
            found = {path: self.files.sha256(path) for path, _ in job.outputs}
            if all(found[path] == digest for path, digest in job.outputs):
                good[log] = job
            else:
                wrong += [path for path, digest in found.items() if digest]
                damaged += [path for path, digest in job.outputs if found[path] not in (None, digest)]
        known = self.outputs()
        unknown = [path for path in there if path not in known]
        self._mark([*wrong, *unknown], [path for job in good.values() for path, _ in job.outputs], damaged)
        lost = [path for path in unknown if path.split("/")[1] in self.texts]
        self._note("no record of how it was made", [path for path in lost if path not in self.interrupted])
        return good

    def _mark(self, bad: list[str], good: list[str], damaged: list[str]) -> None:
        """Marks files as incomplete for Snakemake, and takes the mark from those that are not."""
        marks = {key for key, _ in _keys(self.root / INCOMPLETE)}
        self.interrupted = marks - set(self.state.get("marked", []))  # by Snakemake: a job that was killed
        self._note("not what was written", [path for path in damaged if path not in self.interrupted])
        for path in marks.intersection(good):
            (self.root / _record_path(INCOMPLETE, path)).unlink()
        for path in set(bad) - marks:
            _save(self.root / _record_path(INCOMPLETE, path), '{"external_jobid": null}')
        self.marked = sorted(set(bad) - self.interrupted)

    def _note(self, what: str, paths: list[str]) -> None:
        for path in paths[:3]:
            self.notes.append(f"{path}: {what}: made again where it is needed")
        if len(paths) > 3:
            self.notes.append(f"... and {len(paths) - 3} more files: {what}")

    # --- Snakemake's view of it -----------------------------------------------------------------------------

    def _restore_records(self, good: dict[str, Job]) -> None:
        seen = self.state.get("records", {})
        for log, job in good.items():
            for path, _ in job.outputs:
                if job.room in self.foreign or path not in self.records or seen.get(path) != self.records[path]:
                    self._restore_record(path, log, job)

    def _restore_record(self, path: str, log: str, job: Job) -> None:
        place = self.root / _record_path(METADATA, path)
        wanted = {
            "rule": job.rule,
            "input": [file for file, _ in job.inputs],
            "params": list(job.params),
            "log": [log],
            "record_format_version": job.version,
            "software_stack_hash": job.software,
        }
        there = _load(place)
        if {key: there.get(key) for key in wanted} != wanted:
            moment = self.files.time(path) / SECOND
            checksums = {file: f"sha256:{digest}" for file, digest in job.inputs if digest}
            record = {"starttime": moment, "endtime": moment, "incomplete": False, "input_checksums": checksums}
            _save(place, json.dumps(wanted | record))
        self.records[path] = _signature(place.stat())

    def _order_times(self, good: dict[str, Job]) -> None:
        """Puts what is fresh after its inputs in time, and what is stale before them.

        Snakemake looks at the content of an input only where it is newer than the output and not large.
        """
        now = time.time_ns()
        newest: dict[Inputs, int | None] = {}
        for job in _in_order(good):
            outputs = [path for path, _ in job.outputs]
            if job.inputs not in newest:
                newest[job.inputs] = self._newest(job.inputs)
            latest, oldest = newest[job.inputs], min(map(self.files.time, outputs))
            if latest is None:
                changed = [path for path, digest in job.inputs if self.files.sha256(path) not in (None, digest)]
                first = min((self.files.time(path) for path in changed), default=0)
                if changed and oldest >= first:
                    self.files.set_time(outputs[0], first - SECOND)
            elif latest > oldest:
                for path in outputs:
                    self.files.set_time(path, max(now, latest))

    def _newest(self, inputs: Inputs) -> int | None:
        """The latest time of inputs that are all what they were; None where one is not."""
        if any(self.files.sha256(path) != digest for path, digest in inputs):
            return None
        return max((self.files.time(path) for path, _ in inputs), default=0)

    # --- on disk ---------------------------------------------------------------------------------------------

    def _save(self) -> None:
        rooms: dict[str, dict[str, Job]] = {}
        for log, job in sorted(self.jobs.items()):
            rooms.setdefault(job.room, {})[log] = job
        for room, jobs in rooms.items():
            text = _text_of(jobs)
            if text != self.texts.get(room):
                _save(self.root / PROVENANCE / f"{room}.json", text)
                self.texts[room] = text
        state = {
            "files": {path: self.files.known[path] for path in self.files.stats if path in self.files.known},
            "records": self.records,
            "rooms": {room: hashlib.sha256(text.encode()).hexdigest() for room, text in self.texts.items()},
            "marked": self.marked,
        }
        text = json.dumps(state)
        if state != self.state:
            _save(self.root / STATE, text)


def reconcile(root: Path) -> list[str]:
    """Makes Snakemake's times and records agree with the content of the results in a folder.

    Returns:
        what a person should know, a line each.
    """
    return Provenance(root).reconcile()


def locked(root: Path) -> bool:
    """Whether another run works in the folder, or was killed there."""
    return any((root / LOCKS).glob("*"))


def unlink_from_cache(root: Path) -> None:
    """Gives every result that is a read-only hard link into DVC's cache a content of its own.

    Snakemake stops at results that it must not replace.
    """
    for folder, _, names in os.walk(root / RESULTS):
        for name in names:
            path = Path(folder, name)
            found = path.lstat()
            if found.st_nlink > 1 and not found.st_mode & 0o222 and not path.is_symlink():
                copy = path.with_name(f".{name}.copy")
                shutil.copyfile(path, copy)
                os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
                copy.replace(path)


def _in_order(jobs: dict[str, Job]) -> Iterator[Job]:
    """Each job after those whose outputs it reads."""
    makers = {path: log for log, job in jobs.items() for path, _ in job.outputs}
    sources: dict[Inputs, list[str]] = {}
    done: set[str] = set()
    for first in jobs:
        todo = [first]
        while todo:
            log = todo[-1]
            inputs = jobs[log].inputs
            if inputs not in sources:
                sources[inputs] = sorted({makers[path] for path, _ in inputs if path in makers})
            before = [source for source in sources[inputs] if source not in done]
            if log in done or not before:
                todo.pop()
                if log not in done:
                    done.add(log)
                    yield jobs[log]
            else:
                todo += before


def _text_of(jobs: dict[str, Job]) -> str:
    """A room's provenance as JSON, a job a line; inputs that several jobs share stand there once."""
    named: dict[Inputs, str] = {}
    for job in jobs.values():
        if job.inputs not in named:
            named[job.inputs] = hashlib.sha256(json.dumps(job.inputs).encode()).hexdigest()[:16]
    inputs = {name: pairs for pairs, name in named.items()}
    entries = {
        log: {
            "rule": job.rule,
            "params": job.params,
            "inputs": named[job.inputs],
            "outputs": dict(job.outputs),
            "version": job.version,
            "software": job.software,
        }
        for log, job in jobs.items()
    }
    return f'{{"format": {FORMAT},\n"inputs": {_lines(inputs)},\n"jobs": {_lines(entries)}}}\n'


def _lines(entries: dict[str, Any]) -> str:
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(entries.items()))
    return "{\n" + ",\n".join(lines) + "\n}"


def _jobs_of(text: str) -> dict[str, Job]:
    """The jobs of a room, as ``_text_of`` wrote them."""
    content = json.loads(text)
    if content["format"] != FORMAT:
        raise ValueError
    inputs = {name: tuple((path, digest) for path, digest in pairs) for name, pairs in content["inputs"].items()}
    return {
        log: Job(
            entry["rule"],
            tuple(entry["params"]),
            inputs[entry["inputs"]],
            tuple(entry["outputs"].items()),
            entry["version"],
            entry["software"],
        )
        for log, entry in content["jobs"].items()
    }


def _record_path(folder: str, key: str) -> Path:
    """Where Snakemake keeps a file's record: the name is the path in base64, in pieces where it is long."""
    name = urlsafe_b64encode(key.encode()).decode()
    pieces = [name[start : start + 254] for start in range(0, len(name), 254)]
    return Path(folder, *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def _keys(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files with a record in a folder of Snakemake's, each with the record's path."""
    for place, _, names in os.walk(folder):
        start = "".join(part.removeprefix("@") for part in Path(place).relative_to(folder).parts)
        for name in names:
            with contextlib.suppress(ValueError):  # what is not a record of Snakemake's
                yield urlsafe_b64decode(start + name).decode(), Path(place, name)


def _load(path: Path) -> dict:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _save(path: Path, text: str) -> None:
    """Writes a file under its name only when it is whole, and never through a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
