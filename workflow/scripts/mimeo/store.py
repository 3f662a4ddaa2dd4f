"""Reads and writes artifacts: every write is atomic, everything read is data and never code.

Formats: ``.npy``/``.npz`` without pickle, ``.json``, ``.csv`` text, ``.safetensors``.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from mimeo.errors import MimeoError


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under ``path`` only when the block ends well; otherwise nothing is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a write that fails does not say to what
        raise


def _umask() -> int:
    """The process's umask (there is no way to read it without setting it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def save_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text."""
    with atomic(path) as file:
        file.write(text.encode())


def save_csv(path: str | Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Writes a header and rows as CSV, lines ended by a line feed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    save_text(path, text.getvalue())


def save_json(path: str | Path, value: Any) -> None:
    """Writes JSON with sorted keys, so that equal values are equal bytes; NaN is refused."""
    save_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def load_json(path: str | Path) -> Any:
    """Reads JSON.

    Raises:
        MimeoError: missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise MimeoError(f"{path}: not readable as JSON: {_line(error)}") from None


def save_array(path: str | Path, array: np.ndarray) -> None:
    """Writes one array as ``.npy``."""
    with atomic(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def load_array(
    path: str | Path, *, dtype: type | None = None, shape: tuple[int | None, ...] | None = None
) -> np.ndarray:
    """Memory-maps an ``.npy`` file, read-only.

    Args:
        dtype: what the array must hold.
        shape: what the shape must be; None stands for any extent.

    Raises:
        MimeoError: missing, truncated, not an array, or another dtype or shape.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header raises what the parser happens to raise
        raise MimeoError(f"{path}: not readable as an array: {_line(error)}") from None
    if not isinstance(array, np.ndarray):
        raise MimeoError(f"{path}: expected one array, found an archive")
    _check(path, array, dtype, shape)
    return array


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays as ``.npz`` (bytes depend on the content alone)."""
    with atomic(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(path: str | Path, *names: str) -> dict[str, np.ndarray]:
    """Reads the named arrays of an ``.npz`` file.

    Raises:
        MimeoError: missing, damaged, or an array is lacking.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except KeyError as error:
        raise MimeoError(f"{path}: {error.args[0]}") from None
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds for a damaged file
        raise MimeoError(f"{path}: not readable as arrays: {_line(error)}") from None


def load_shards(paths: list[str], count: int, dtype: type, width: tuple[int | None, ...]) -> np.ndarray:
    """The first ``count`` rows of consecutive shards, copied once into one array.

    Args:
        paths: shards in the order of their rows.
        count: rows wanted, in [0, rows there].
        dtype: of every shard.
        width: shape of a row; None stands for any extent.

    Raises:
        MimeoError: a shard is damaged or too few rows are there.
    """
    parts, missing = [], count
    for path in paths:
        shard = load_array(path, dtype=dtype, shape=(None, *width))[:missing]
        parts.append(shard)
        missing -= len(shard)
    if missing:
        raise MimeoError(f"{paths[-1]}: {count} rows wanted, {count - missing} there")
    return np.concatenate(parts) if len(parts) > 1 else np.array(parts[0])


def save_tensors(path: str | Path, tensors: Mapping[str, Any]) -> None:
    """Writes torch tensors as ``.safetensors``."""
    from safetensors.torch import save

    with atomic(path) as file:
        file.write(save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def load_tensors(path: str | Path) -> dict[str, Any]:
    """Reads a ``.safetensors`` file into torch tensors on the CPU.

    Raises:
        MimeoError: missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise MimeoError(f"{path}: not readable as safetensors: {_line(error)}") from None


def save_sealed(path: str | Path, about: Any, tensors: Mapping[str, Any]) -> None:
    """Writes torch tensors as ``.safetensors``; its header has something about them, as JSON, and a digest of all."""
    from safetensors.torch import save

    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(about)
    # One entry alone: safetensors writes several in an order that differs from run to run.
    sealed = {"sealed": json.dumps([text, _seal(text, kept)])}
    with atomic(path) as file:
        file.write(save(kept, sealed))


def load_sealed(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """Reads what ``save_sealed`` wrote: what it says about the tensors, and the tensors, on the CPU.

    Raises:
        MimeoError: missing, or damaged in any bit that counts.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            text, digest = json.loads(file.metadata()["sealed"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if digest != _seal(text, tensors):
            raise MimeoError("content differs from its digest")
        return json.loads(text), tensors
    except Exception as error:  # a damaged header raises what the parser happens to raise
        raise MimeoError(f"{path}: damaged: {_line(error)}") from None


def _seal(text: str, tensors: Mapping[str, Any]) -> str:
    """A digest of a text and of tensors: names, types, shapes and bytes."""
    from safetensors.torch import save

    digest = hashlib.sha256(f"{text}\0".encode())
    digest.update(save(dict(tensors)))
    return digest.hexdigest()


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: str | Path, array: np.ndarray, dtype: type | None, shape: tuple[int | None, ...] | None) -> None:
    if dtype is not None and array.dtype != np.dtype(dtype):
        raise MimeoError(f"{path}: holds {array.dtype}, expected {np.dtype(dtype)}")
    fits = shape is None or (
        len(shape) == array.ndim and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    if not fits:
        wanted = " x ".join("any" if extent is None else str(extent) for extent in shape or ())
        raise MimeoError(f"{path}: shape {' x '.join(map(str, array.shape))}, expected {wanted}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
