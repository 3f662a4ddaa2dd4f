"""The images of a pool that is not asked in a known order: decoded when they are wanted, or all at once if they fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mimeo.errors import MimeoError
from mimeo.items import load_items, take
from mimeo.plugins import load

WHOLE = 2**30  # bytes of pixels up to which a pool is decoded at once


class Pool:
    """Images by their place in the pool.

    Args:
        source: this machine's folder of data sets.
        parts: of every data set ``plugin``, ``size`` and ``channels``.
        listings: the data sets' items.csv, in the same order.
        part, row: int, images: which data set, and which of its items, each image is.

    Raises:
        MimeoError: a data set lists fewer images than are named.
    """

    def __init__(
        self,
        source: Path | None,
        parts: Sequence[dict[str, Any]],
        listings: Sequence[str],
        part: np.ndarray,
        row: np.ndarray,
    ) -> None:
        self.source, self.parts, self.part, self.row = source, parts, part, row
        self.columns = [load_items(path) for path in listings]
        for number, (path, columns) in enumerate(zip(listings, self.columns, strict=True)):
            if row[part == number].max(initial=-1) >= len(columns["name"]):
                raise MimeoError(f"{path}: lists {len(columns['name'])} images, the pool has more")
        self.width = (parts[0]["size"], parts[0]["size"], parts[0]["channels"])
        self.whole = self._decoded(np.arange(len(part))) if len(part) * np.prod(self.width) <= WHOLE else None

    def take(self, indices: np.ndarray) -> np.ndarray:
        """uint8, images x size x size x channels."""
        return self._decoded(indices) if self.whole is None else self.whole[indices]

    def _decoded(self, indices: np.ndarray) -> np.ndarray:
        images = np.empty((len(indices), *self.width), np.uint8)
        for number, (spec, columns) in enumerate(zip(self.parts, self.columns, strict=True)):
            mine = np.flatnonzero(self.part[indices] == number)
            if len(mine):
                chosen = take(columns, self.row[indices[mine]])
                read = load("datasets", spec["plugin"]).read
                images[mine] = read(self.source, chosen, spec["size"], spec["channels"])
        return images
