"""Artifacts: atomic writes, exact roundtrips, and damaged files refused in one line."""

import functools
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mimeo.errors import MimeoError
from mimeo.store import (
    atomic,
    load_array,
    load_arrays,
    load_json,
    load_sealed,
    load_shards,
    load_tensors,
    save_array,
    save_arrays,
    save_json,
    save_sealed,
    save_tensors,
    save_text,
    sha256_of,
)

Complaint = Callable[[Callable[[], object]], str]
LAWS = settings(deadline=None, max_examples=40, derandomize=True, database=None)
KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "npy": (lambda path: save_array(path, np.arange(24).reshape(4, 6)), load_array),
    "npz": (lambda path: save_arrays(path, {"x": np.arange(9)}), lambda path: load_arrays(path, "x")),
    "json": (lambda path: save_json(path, {"a": [1, 2, {"b": None}]}), load_json),
    "safetensors": (lambda path: save_tensors(path, {"0/w": torch.arange(5.0)}), load_tensors),
}


def names(folder: Path) -> list[str]:
    """Every file of a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


# --- atomic writes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_failed_write_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    """Neither the target nor a temporary file is left, whatever ended the writing."""
    with pytest.raises(failure), atomic(tmp_path / "a.bin") as file:
        file.write(b"half of it")
        raise failure
    assert names(tmp_path) == []


def test_failed_write_keeps_what_was_there(tmp_path: Path) -> None:
    save_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), atomic(tmp_path / "a.txt") as file:
        file.write(b"new")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_target_changes_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_target_that_is_a_folder_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError):
        save_text(tmp_path / "there", "text")
    assert names(tmp_path) == ["there"]
    assert (tmp_path / "there").is_dir()


def test_refused_values_leave_nothing(tmp_path: Path) -> None:
    """Values that a format can't hold are refused before a file appears."""
    things = np.array([{}, None], dtype=object)
    with pytest.raises(ValueError):
        save_array(tmp_path / "a.npy", things)
    with pytest.raises(ValueError):
        save_arrays(tmp_path / "a.npz", {"fine": np.arange(3), "x": things})
    for value in (float("nan"), float("inf"), {"deep": [1.0, {"x": -float("inf")}]}):
        with pytest.raises(ValueError):
            save_json(tmp_path / "a.json", value)
    assert names(tmp_path) == []


def test_folders_are_made(tmp_path: Path) -> None:
    save_json(tmp_path / "one" / "two" / "a.json", 1)
    assert names(tmp_path / "one" / "two") == ["a.json"]


def test_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    """A results file may be a link into a cache, whose content belongs to others."""
    (tmp_path / "cache").write_text("old")
    (tmp_path / "a.txt").symlink_to(tmp_path / "cache")
    save_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "cache").read_text() == "old"
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_permissions_follow_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_text(tmp_path / "a.txt", "text")
        assert os.umask(mask) == mask  # reading it must not have changed it
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~mask


# --- roundtrips ---------------------------------------------------------------------------------------------


@LAWS
@given(
    array=hnp.arrays(
        st.sampled_from([np.uint8, np.int64, np.float16, np.float32, np.bool_]),
        hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
    )
)
def test_array_roundtrip(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("array") / "a.npy"
    save_array(path, array)
    back = load_array(path, dtype=array.dtype.type, shape=array.shape)
    assert back.tobytes() == array.tobytes()
    assert (back.dtype, back.shape) == (array.dtype, array.shape)


def test_array_keeps_its_values_whatever_its_strides(tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    for number, view in enumerate((array.T, array[:, ::-1], np.asfortranarray(array))):
        save_array(tmp_path / f"{number}.npy", view)
        assert np.array_equal(load_array(tmp_path / f"{number}.npy"), view)


def test_loaded_array_is_mapped_and_read_only(tmp_path: Path) -> None:
    save_array(tmp_path / "a.npy", np.arange(4))
    array = load_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError):
        array[0] = 1


def test_arrays_roundtrip(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "x": np.arange(3, dtype=np.int16),
        "y": np.eye(2, dtype=np.float32),
        "name": np.array(["a", "bc"]),
    }
    save_arrays(tmp_path / "a.npz", arrays)
    back = load_arrays(tmp_path / "a.npz", "y", "name")
    assert list(back) == ["y", "name"]
    for name, array in back.items():
        assert np.array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype


def test_archive_bytes_depend_on_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the time nor the file's name enters."""
    arrays = {"x": np.arange(30), "y": np.eye(3)}
    digests = set()
    for number, moment in enumerate((4e8, 1e9, 1.7e9)):
        frozen = time.gmtime(moment)
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        monkeypatch.setattr(time, "localtime", lambda *_, frozen=frozen: frozen)
        save_arrays(tmp_path / f"{number}.npz", arrays)
        digests.add(sha256_of(tmp_path / f"{number}.npz"))
    assert len(digests) == 1
    save_arrays(tmp_path / "other.npz", {**arrays, "x": np.arange(30) + 1})
    assert sha256_of(tmp_path / "other.npz") not in digests


def test_json_roundtrip_and_equal_bytes_for_equal_values(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None, True], "a": {"deep": "Größe × 2"}}
    save_json(tmp_path / "a.json", value)
    save_json(tmp_path / "b.json", dict(reversed(value.items())))
    assert load_json(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == value


def test_text_is_utf_8(tmp_path: Path) -> None:
    save_text(tmp_path / "a.md", "0.98× †\n")
    assert (tmp_path / "a.md").read_bytes() == "0.98× †\n".encode()


def test_tensors_roundtrip(tmp_path: Path) -> None:
    """Values, shapes and types return, also of parameters and of tensors in another memory order."""
    tensors = {
        "weight": torch.nn.Parameter(torch.randn(2, 3, generator=torch.Generator().manual_seed(0))),
        "last": torch.arange(48.0).reshape(1, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "turned": torch.arange(6).reshape(2, 3).T,
        "half": torch.ones(2, dtype=torch.bfloat16),
        "count": torch.tensor(7),
    }
    save_tensors(tmp_path / "a.safetensors", tensors)
    back = load_tensors(tmp_path / "a.safetensors")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(back[name], tensor)
        assert back[name].dtype == tensor.dtype


def test_sha256_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# --- damaged and foreign files ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_missing_file_is_one_line(tmp_path: Path, kind: str, complaint: Complaint) -> None:
    path = tmp_path / f"absent.{kind}"
    assert str(path) in complaint(lambda: KINDS[kind][1](path))


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file_is_one_line(tmp_path: Path, kind: str, complaint: Complaint) -> None:
    """Cut anywhere, the file is refused and named."""
    write, read = KINDS[kind]
    write(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    path = tmp_path / f"cut.{kind}"
    for length in range(0, len(content) - 1):
        path.write_bytes(content[:length])
        assert str(path) in complaint(lambda: read(path))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"\x00" * 64, b"\xff\xfe rubbish \x93\n" * 9, b"not, a, format\n" * 9])
def test_foreign_content_is_one_line(tmp_path: Path, kind: str, content: bytes, complaint: Complaint) -> None:
    path = tmp_path / f"foreign.{kind}"
    path.write_bytes(content)
    assert str(path) in complaint(lambda: KINDS[kind][1](path))


def test_damaged_archive_content_is_one_line(tmp_path: Path, complaint: Complaint) -> None:
    """A flipped bit in an array's data fails the archive's checksum."""
    path = tmp_path / "a.npz"
    save_arrays(path, {"x": np.zeros(1000)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert str(path) in complaint(lambda: load_arrays(path, "x"))


def test_damaged_array_header_is_one_line(tmp_path: Path, complaint: Complaint) -> None:
    path = tmp_path / "a.npy"
    save_array(path, np.arange(100))
    content = path.read_bytes()
    path.write_bytes(content[:116] + b"[" + content[117:])
    assert str(path) in complaint(lambda: load_array(path))


def test_pickles_are_refused(tmp_path: Path, complaint: Complaint) -> None:
    """Nothing that could run code is read, in whichever file it hides."""
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (ran,)

    things = np.array([Trap()], dtype=object)
    np.save(tmp_path / "a.npy", things, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=things)
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "plain.safetensors").write_bytes(pickle.dumps(Trap()))
    assert "a.npy" in complaint(lambda: load_array(tmp_path / "a.npy"))
    assert "a.npz" in complaint(lambda: load_arrays(tmp_path / "a.npz", "x"))
    assert "plain.npy" in complaint(lambda: load_array(tmp_path / "plain.npy"))
    assert "plain.npy" in complaint(lambda: load_arrays(tmp_path / "plain.npy", "x"))
    assert "plain.safetensors" in complaint(lambda: load_tensors(tmp_path / "plain.safetensors"))
    assert not ran.exists()


def test_archive_is_no_array_and_lacking_arrays_are_named(tmp_path: Path, complaint: Complaint) -> None:
    save_arrays(tmp_path / "a.npz", {"x": np.arange(3)})
    assert "archive" in complaint(lambda: load_array(tmp_path / "a.npz"))
    text = complaint(lambda: load_arrays(tmp_path / "a.npz", "x", "labels"))
    assert str(tmp_path / "a.npz") in text
    assert "labels" in text


def test_dtype_and_shape_are_checked(tmp_path: Path, complaint: Complaint) -> None:
    path = tmp_path / "a.npy"
    save_array(path, np.zeros((5, 8, 8, 1), np.uint8))
    assert load_array(path, dtype=np.uint8, shape=(None, 8, 8, 1)).shape == (5, 8, 8, 1)
    assert load_array(path, shape=(None, None, None, None)).shape == (5, 8, 8, 1)
    text = complaint(lambda: load_array(path, dtype=np.float32))
    assert str(path) in text and "uint8" in text and "float32" in text
    shapes: list[tuple[int | None, ...]] = [(None, 8, 8, 3), (4, 8, 8, 1), (None, 8, 8), (None, 8, 8, 1, None), ()]
    for shape in shapes:
        assert f"{path}: shape 5 x 8 x 8 x 1" in complaint(functools.partial(load_array, path, shape=shape))
    assert "expected any x 8 x 8 x 3" in complaint(lambda: load_array(path, shape=(None, 8, 8, 3)))


# --- shards -------------------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    """Rows 0 to 10 of three columns in shards of 4, 4 and 3."""
    rows = np.arange(33, dtype=np.int64).reshape(11, 3)
    paths = [str(tmp_path / f"{start}.npy") for start in (0, 4, 8)]
    for path, start in zip(paths, (0, 4, 8), strict=True):
        save_array(path, rows[start : start + 4])
    return paths


@pytest.mark.parametrize("count", range(12))
def test_shards_give_the_first_rows(shards: list[str], count: int) -> None:
    rows = load_shards(shards, count, np.int64, (3,))
    assert rows.shape == (count, 3)
    assert rows.ravel().tolist() == list(range(3 * count))


def test_shards_are_copied(shards: list[str]) -> None:
    """What is returned may be written to, and the files stay as they are."""
    for paths in (shards, shards[:1]):
        rows = load_shards(paths, 3, np.int64, (3,))
        rows[:] = -1
    assert load_array(shards[0])[0].tolist() == [0, 1, 2]


def test_too_few_rows_are_refused(shards: list[str], complaint: Complaint) -> None:
    text = complaint(lambda: load_shards(shards, 12, np.int64, (3,)))
    assert "12" in text and "11" in text


def test_shard_of_another_kind_is_refused(shards: list[str], complaint: Complaint) -> None:
    assert shards[0] in complaint(lambda: load_shards(shards, 5, np.uint8, (3,)))
    assert shards[0] in complaint(lambda: load_shards(shards, 5, np.int64, (4,)))
    save_array(shards[1], np.zeros((4, 2), np.int64))
    assert shards[1] in complaint(lambda: load_shards(shards, 5, np.int64, (3,)))


# --- sealed tensors -------------------------------------------------------------------------------------------


def test_equal_tensors_are_sealed_in_equal_bytes(tmp_path: Path) -> None:
    """However often, and whatever is said about them: a state is a result, and repeats."""
    tensors = {name: torch.arange(size) for size, name in enumerate("edcba")}
    found = set()
    for _ in range(30):
        save_sealed(tmp_path / "a", {"z": 1, "a": ["é", None, 0.1]}, dict(reversed(tensors.items())))
        found.add((tmp_path / "a").read_bytes())
    assert len(found) == 1
    about, there = load_sealed(tmp_path / "a")
    assert about == {"z": 1, "a": ["é", None, 0.1]}
    assert all(torch.equal(there[name], tensor) for name, tensor in tensors.items())


def test_any_change_breaks_the_seal(tmp_path: Path) -> None:
    """In what is said as well as in the tensors; a file without a seal has none."""
    save_sealed(tmp_path / "a", {"step": 3}, {"w": torch.zeros(4)})
    content = (tmp_path / "a").read_bytes()
    at = content.index(b"step")
    for place in (at, at + 9, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / "b").write_bytes(changed)
        with pytest.raises(MimeoError, match="damaged"):
            load_sealed(tmp_path / "b")
    save_tensors(tmp_path / "c", {"w": torch.zeros(4)})
    with pytest.raises(MimeoError, match="damaged"):
        load_sealed(tmp_path / "c")
