"""Who made a number, on what, and at what cost. The only module that looks at clock, environment or git."""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mimeo.errors import MimeoError

PACKAGES = ("torch", "torchvision", "numpy", "snakemake", "scikit-learn", "scikit-image", "matplotlib")


def clock() -> float:
    """Seconds on a clock that only moves forward."""
    return time.perf_counter()


def checkpoint_seconds() -> float:
    """Seconds between two checkpoints of a training: the variable MIMEO_CHECKPOINT_SECONDS, else 60.

    It decides nothing of the result, so it is no part of the configuration.

    Raises:
        MimeoError: the variable is no number from 0 on.
    """
    given = os.environ.get("MIMEO_CHECKPOINT_SECONDS", "60")
    try:
        if (seconds := float(given)) >= 0:
            return seconds
    except ValueError:
        pass
    raise MimeoError(f"MIMEO_CHECKPOINT_SECONDS: {given!r} is no number of seconds")


class Cost:
    """Seconds and peak memory of a block of work, from construction to ``taken``, with earlier parts of it."""

    def __init__(self) -> None:
        self.start = clock()
        self.earlier = {"seconds": 0.0, "memory": 0, "device_memory": 0}

    def add(self, earlier: Mapping[str, float]) -> None:
        """Takes in what the work had cost when it was stopped: ``taken`` of then. The largest of several counts."""
        self.earlier = {name: max(value, earlier[name]) for name, value in self.earlier.items()}

    def taken(self) -> dict[str, float]:
        """``seconds``; ``memory`` (bytes, the process's peak); ``device_memory`` (bytes, 0 without a GPU).

        Earlier parts add their seconds; of peaks, the largest stands.
        """
        unit = 1 if sys.platform == "darwin" else 1024
        torch = sys.modules.get("torch")
        on_gpu = torch is not None and torch.cuda.is_initialized()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        device_memory = int(torch.cuda.max_memory_allocated()) if torch is not None and on_gpu else 0
        return {
            "seconds": round(self.earlier["seconds"] + clock() - self.start, 3),
            "memory": max(self.earlier["memory"], memory),
            "device_memory": max(self.earlier["device_memory"], device_memory),
        }


def environment(device: str) -> dict[str, Any]:
    """Versions, hardware and commit beside which a number stands.

    Args:
        device: what the work ran on, as torch names it (``cpu``, ``cuda``).
    """
    torch = sys.modules.get("torch")
    name = _processor()
    if torch is not None and device.startswith("cuda"):
        name = torch.cuda.get_device_name()
    return {
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": name,
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith("model name")]
        return lines[0].split(":", 1)[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with ``+`` where files differ from it; None outside a checkout."""
    try:
        ask = [
            "git",
            "-C",
            str(Path(__file__).parent),
            "describe",
            "--always",
            "--abbrev=12",
            "--dirty=+",
            "--exclude=*",
        ]
        return subprocess.run(ask, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
