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

Content is hashed once and again only where size, times or inode have changed. Provenance may come from elsewhere: what
it names outside the folder makes it unreadable, and nothing is ever written through a link.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
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
TICK = SECOND // 50  # no file system's clock for changes is coarser on a local disk
PART = re.compile(r"\..+\.\w{8}")  # what tempfile calls a part of a file
NEEDED = ("rule", "input", "log", "params", "starttime", "endtime", "record_format_version", "job_hash")

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
        self.links: dict[str, int] = {}  # the times of those that are links

    def stat(self, path: str) -> os.stat_result | None:
        """Of the file, or of what a link points to; None where there is none."""
        if path not in self.stats:
            place = f"{self.root}/{path}"
            try:
                found = os.lstat(place)
                if stat.S_ISLNK(found.st_mode):
                    self.links[path] = found.st_mtime_ns
                    found = Path(place).stat()
                self.stats[path] = found
            except OSError:
                self.stats[path] = None
        return self.stats[path]

    def made(self, path: str) -> int:
        """When an output was last modified, in nanoseconds, as Snakemake sees it: a link, not its target."""
        found = self.stat(path)
        assert found is not None
        return self.links.get(path, found.st_mtime_ns)

    def time(self, path: str) -> int:
        """When an input was last modified, as Snakemake sees it: the later of a link and its target."""
        found = self.stat(path)
        assert found is not None
        return max(found.st_mtime_ns, self.links.get(path, 0))

    def sha256(self, path: str) -> str | None:
        """Of the content; None where there is no file, but a folder or a pipe perhaps."""
        found = self.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
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
        version: of the records that Snakemake writes now.
        jobs: by the path of their log, which names a job.
        unreadable: the files that hold no provenance.
        notes: what a person should know, a line each.
    """

    root: Path
    version: int
    jobs: dict[str, Job] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = _load(self.root / STATE)
        self.files = Files(self.root, dict(self.state.get("files", {})))
        self.records: dict[str, list[int]] = {}
        self.marked: list[str] = self.state.get("marked", [])
        self.texts: dict[str, str] = {}
        self.unreadable: list[str] = []
        self.changed: set[str] = set()  # rooms
        for path in sorted((self.root / PROVENANCE).glob("[!.]*.json")):
            self.texts[path.stem] = path.read_text(errors="replace") if path.is_file() else ""
            try:
                jobs = _jobs_of(self.texts[path.stem])
                if any(job.room != path.stem for job in jobs.values()):
                    raise ValueError
                self.jobs |= jobs
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                self.unreadable.append(f"{PROVENANCE}/{path.name}")
                self.notes.append(f"{self.unreadable[-1]}: not readable: what it stands for is made again")
        before = self.state.get("rooms", {})
        self.foreign = {room for room, digest in self._digests().items() if before.get(room) != digest}

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
        self._save_state()
        return self.notes

    # --- the jobs that have run since -----------------------------------------------------------------------

    def _take_up(self, there: list[str]) -> None:
        """Takes up what Snakemake has recorded since the last time, where the files are as it left them."""
        seen = self.state.get("records", {})
        self.records = {key: _edition(path) for key, path in _keys(self.root / METADATA)}
        new: dict[tuple[str, str], dict[str, dict]] = {}
        for key, edition in self.records.items():
            if seen.get(key) != edition:
                record = _load(self.root / _record_path(METADATA, key))
                if all(record.get(name) is not None for name in NEEDED) and record["log"]:  # by Snakemake, not restored
                    new.setdefault((record["log"][0], record["rule"]), {})[key] = record
        makers = self.outputs()
        self.files.hash_all({*there} & {*makers, *(key for records in new.values() for key in records)})
        for (log, _), records in new.items():
            if not self.state and log in self.jobs:
                continue  # it may have been taken up before: what is there must be what was written then
            last = max(records.values(), key=lambda record: record["endtime"])
            outputs = [key for key in sorted(records) if records[key]["params"] == last["params"]]
            if not all(self._is_as_left(key, records[key]) for key in outputs):
                continue
            recorded = max(self.records[key][0] for key in outputs)
            job = Job(
                last["rule"],
                tuple(last["params"]),
                tuple((path, self._was(path, last, recorded)) for path in last["input"]),
                tuple((path, self.files.sha256(path) or "") for path in outputs),
                last["record_format_version"],
                last.get("software_stack_hash"),
            )
            if _is_sound(job) and _are_plain(job.inputs):
                self._forget({log, *(makers[path] for path in outputs if path in makers)})
                self.jobs[log] = job
                self.changed.add(job.room)
        self._save_rooms()  # before any time is set, by which a record is known to be of what is there

    def _is_as_left(self, path: str, record: dict) -> bool:
        """Whether a file's time is that at which Snakemake saw it finished."""
        found = self.files.stat(path)
        return found is not None and abs(found.st_mtime - record["endtime"]) < 1e-5

    def _was(self, path: str, record: dict, recorded: int) -> str:
        """The sha256 that an input had when a job read it; "" where that cannot be known any more.

        Snakemake notes what it was when the job had ended: a source edited meanwhile is not what was read.
        """
        found = self.files.stat(path)
        source = not path.startswith(f"{RESULTS}/")
        if found and source and record["starttime"] < found.st_ctime and found.st_ctime_ns <= recorded:
            return ""
        noted = (record.get("input_checksums") or {}).get(path)
        if noted:
            return noted.removeprefix("sha256:")
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
        self._forget({makers[path] for path in paths if path in makers})
        self._save_rooms()
        self._save_state()

    def _forget(self, logs: set[str]) -> None:
        for log in logs & self.jobs.keys():
            self.changed.add(self.jobs.pop(log).room)

    def artifacts(self) -> Iterator[str]:
        """Every file in the rooms; parts of files that were never finished are cleared away after an hour.

        A read-only hard link into DVC's cache gets a content of its own: Snakemake would not replace it. In folders
        that are links only looks are taken: what they hold may be somebody's.
        """
        rooms = [path for path in sorted((self.root / RESULTS).glob("*")) if path.is_dir() and path.name not in APART]
        for room in rooms:
            for entry, ours in _files(room):
                if not entry.name.startswith("."):
                    if ours:
                        _detach(entry)
                    yield RESULTS + entry.path.removeprefix(str(self.root / RESULTS))
                elif ours and PART.fullmatch(entry.name) and os.lstat(entry).st_mtime < time.time() - HOUR:
                    Path(entry).unlink()

    # --- what is what was written ----------------------------------------------------------------------------

    def _good(self, there: list[str]) -> dict[str, Job]:
        """The jobs whose outputs are all as they were written; everything else that lies there is marked."""
        good, wrong, damaged = {}, [], []
        for log, job in self.jobs.items():
            found = {path: self.files.sha256(path) for path, _ in job.outputs}
            if all(found[path] == digest for path, digest in job.outputs):
                good[log] = job
            else:
                wrong += [path for path in found if self.files.stat(path)]
                damaged += [path for path, digest in job.outputs if self.files.stat(path) and found[path] != digest]
        known = self.outputs()
        unknown = [path for path in there if path not in known]
        self._mark([*wrong, *unknown], [path for job in good.values() for path, _ in job.outputs], damaged)
        lost = [path for path in unknown if path.split("/")[1] in self.texts]
        self._note("no record of how it was made", [path for path in lost if path not in self.interrupted])
        return good

    def _mark(self, bad: list[str], good: list[str], damaged: list[str]) -> None:
        """Marks files as incomplete for Snakemake, and takes the mark from those that are not."""
        (self.root / INCOMPLETE).mkdir(parents=True, exist_ok=True)  # Snakemake takes records without it for old ones
        marks = {key for key, _ in _keys(self.root / INCOMPLETE)}
        self.interrupted = marks - set(self.marked)  # by Snakemake: a job that was killed
        self._note("not what was written", [path for path in damaged if path not in self.interrupted])
        for path in marks.intersection(good):
            (self.root / _record_path(INCOMPLETE, path)).unlink(missing_ok=True)
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
        everywhere = self.state.get("version") != self.version
        for log, job in good.items():
            for path, _ in job.outputs:
                if everywhere or job.room in self.foreign or seen.get(path, 0) != self.records.get(path):
                    self._restore_record(path, log, job)

    def _restore_record(self, path: str, log: str, job: Job) -> None:
        place = self.root / _record_path(METADATA, path)
        wanted: dict[str, Any] = {
            "rule": job.rule,
            "input": [file for file, _ in job.inputs],
            "params": list(job.params),
            "log": [log],
            "software_stack_hash": job.software,
        }
        checksums = {file: f"sha256:{digest}" for file, digest in job.inputs if digest}
        there = _load(place)
        noted, version = there.get("input_checksums") or {}, there.get("record_format_version") or 0
        if (
            {key: there.get(key) for key in wanted} != wanted
            or not noted.items() <= checksums.items()
            or version < self.version  # Snakemake would not look at its parameters
        ):
            moment = self.files.made(path) / SECOND
            wanted |= {"record_format_version": max(job.version, self.version), "input_checksums": checksums}
            _save(place, json.dumps(wanted | {"starttime": moment, "endtime": moment, "incomplete": False}))
        self.records[path] = _edition(place)

    def _order_times(self, good: dict[str, Job]) -> None:
        """Puts what is fresh after its inputs in time, but not in the future, and what is stale before them.

        Snakemake looks at the content of an input only where it is newer than the output and not large.
        """
        now = time.time_ns()
        newest: dict[Inputs, int | None] = {}
        for job in _in_order(good):
            outputs = [path for path, _ in job.outputs]
            if job.inputs not in newest:
                newest[job.inputs] = self._newest(job.inputs)
            latest, times = newest[job.inputs], [self.files.made(path) for path in outputs]
            if latest is None:
                changed = [path for path, digest in job.inputs if self.files.sha256(path) not in (None, digest)]
                first = min((self.files.time(path) for path in changed), default=0)
                if changed and min(times) > first - SECOND:
                    self.files.set_time(outputs[0], first - SECOND)
            elif latest > min(times) or max(times) > max(now, latest):
                for path in outputs:
                    self.files.set_time(path, max(now, latest))

    def _newest(self, inputs: Inputs) -> int | None:
        """The latest time of inputs that are all what they were; None where one is not."""
        if any(self.files.sha256(path) != digest for path, digest in inputs):
            return None
        return max((self.files.time(path) for path, _ in inputs), default=0)

    # --- on disk ---------------------------------------------------------------------------------------------

    def _save_rooms(self) -> None:
        for room in sorted(self.changed):
            self.texts[room] = _text_of({log: job for log, job in sorted(self.jobs.items()) if job.room == room})
            _save(self.root / PROVENANCE / f"{room}.json", self.texts[room])
        self.changed.clear()

    def _digests(self) -> dict[str, str]:
        """What tells whether a room's provenance was brought by somebody else."""
        return {room: hashlib.sha256(text.encode()).hexdigest() for room, text in self.texts.items()}

    def _save_state(self) -> None:
        state = {
            "files": {path: self.files.known[path] for path in self.files.stats if path in self.files.known},
            "records": self.records,
            "rooms": self._digests(),
            "marked": self.marked,
            "version": self.version,
        }
        if state != self.state:
            time.sleep(TICK / SECOND)  # so that whatever is changed from now on has a later time
            _save(self.root / STATE, json.dumps(state))
            self.state = state


def reconcile(root: Path, version: int) -> list[str]:
    """Makes Snakemake's times and records agree with the content of the results in a folder.

    Args:
        root: the folder.
        version: of the records that Snakemake writes now.

    Returns:
        what a person should know, a line each.
    """
    return Provenance(root, version).reconcile()


def locked(root: Path) -> bool:
    """Whether another run works in the folder, or was killed there."""
    return any((root / LOCKS).glob("*"))


def _files(room: Path) -> Iterator[tuple[os.DirEntry, bool]]:
    """The files below a folder, each once, and whether no link leads to them from there."""
    todo, seen = [(room, True)], set()
    while todo:
        folder, ours = todo.pop()
        found = folder.stat()
        if (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and Path(entry).is_dir()):
                    todo.append((folder / entry.name, ours and not entry.is_symlink()))
                else:
                    yield entry, ours


def _detach(entry: os.DirEntry) -> None:
    """Replaces a read-only hard link by a copy that may be written, of the same time."""
    found = entry.stat(follow_symlinks=False)
    if found.st_nlink > 1 and stat.S_ISREG(found.st_mode) and not found.st_mode & stat.S_IWUSR:
        with _whole(Path(entry.path)) as copy:
            shutil.copyfile(entry.path, copy)
            os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def _in_order(jobs: dict[str, Job]) -> Iterator[Job]:
    """Each job after those whose outputs it reads."""
    makers = {path: log for log, job in jobs.items() for path, _ in job.outputs}
    sources: dict[Inputs, set[str]] = {}
    seen: set[str] = set()
    todo = [(log, False) for log in jobs]
    while todo:
        log, ready = todo.pop()
        if ready:
            yield jobs[log]
        elif log not in seen:
            seen.add(log)
            inputs = jobs[log].inputs
            if inputs not in sources:
                sources[inputs] = {makers[path] for path, _ in inputs if path in makers}
            todo.append((log, True))
            todo += [(source, False) for source in sources[inputs] - seen]


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
    jobs = {
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
    outputs = [path for job in jobs.values() for path, _ in job.outputs]
    if len(outputs) > len(set(outputs)) or not all(map(_is_sound, jobs.values())):
        raise ValueError
    if not _are_plain({pair for pairs in inputs.values() for pair in pairs}):
        raise ValueError
    return jobs


def _are_plain(files: Iterable[tuple[str, str]]) -> bool:
    """Whether they are pairs of a path below the folder, without detours, and a sha256."""
    return all(
        isinstance(path, str)
        and isinstance(digest, str)
        and path.isprintable()
        and not {"", ".", ".."}.intersection(path.split("/"))
        for path, digest in files
    )


def _is_sound(job: Job) -> bool:
    """Whether it is a job as Snakemake knows them, and all that it writes lies in one room."""
    texts = (job.rule, job.software or "", *job.params)
    if not _are_plain(job.outputs) or not all(isinstance(text, str) for text in texts):
        return False
    rooms = {tuple(path.split("/", 2)[:-1]) for path, _ in job.outputs}
    known = all(len(room) == 2 and room[0] == RESULTS and room[1] not in APART for room in rooms)
    return len(rooms) == 1 and known and isinstance(job.version, int)


def _record_path(folder: str, key: str) -> Path:
    """Where Snakemake keeps a file's record: the name is the path in base64, in pieces where it is long."""
    name = urlsafe_b64encode(key.encode(errors="surrogateescape")).decode()
    pieces = [name[start : start + 254] for start in range(0, len(name), 254)]
    return Path(folder, *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def _keys(folder: Path) -> Iterator[tuple[str, str]]:
    """The files with a record in a folder of Snakemake's, each with the record's path."""
    for place, _, names in os.walk(folder):
        start = "".join(part.removeprefix("@") for part in Path(place).relative_to(folder).parts)
        for name in names:
            if not name.startswith("."):
                with contextlib.suppress(ValueError):  # what is not a record of Snakemake's
                    key = urlsafe_b64decode(start + name).decode(errors="surrogateescape")
                    yield key, f"{place}/{name}"


def _edition(record: str | Path) -> list[int]:
    """What changes when Snakemake writes a record anew, and stays when a folder is copied."""
    found = os.lstat(record)
    return [found.st_mtime_ns, found.st_size]


def _load(path: Path) -> dict:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _whole(path) as part:
        part.write_text(text)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file that gets its name only when it is whole; a link of that name is replaced, never written through."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part.")
    os.close(handle)
    try:
        yield Path(name)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, name):
            error.filename = str(path)  # a write that fails does not say to what
        raise
