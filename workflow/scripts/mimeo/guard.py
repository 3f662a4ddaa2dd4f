"""Finds query images that are (nearly) images of the victim's data.

Two images are near duplicates where their perceptual hashes differ in at most NEAR_BITS of 64 bits and their means over
an 8 x 8 grid hardly differ either. The hash alone would call two plain handwritten zeros the same; finer grids
would miss copies that were resized or compressed.
"""

import numpy as np
from scipy.fft import dctn

THUMB, HASH = 32, 8
NEAR_BITS = 6
PART = 2048  # images whose pixels are floating-point numbers at once
NEAR_MEANS = 4 / 255  # mean absolute difference of the means over an 8 x 8 grid


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Grey THUMB x THUMB thumbnails in [0, 1] by nearest neighbour or area mean: float32, N x THUMB x THUMB.

    Args:
        images: uint8, N x size x size x channels.
    """
    parts = [_thumbnails(images[start : start + PART]) for start in range(0, len(images), PART)]
    return np.concatenate(parts) if parts else np.empty((0, THUMB, THUMB), np.float32)


def _thumbnails(images: np.ndarray) -> np.ndarray:
    grey = images.astype(np.float32).mean(3) / 255
    size = grey.shape[1]
    if size >= THUMB:
        edges = np.arange(THUMB) * size // THUMB
        counts = np.diff(np.append(edges, size))
        grey = np.add.reduceat(np.add.reduceat(grey, edges, 1), edges, 2)
        return grey / (counts[:, None] * counts[None, :])
    place = np.arange(THUMB) * size // THUMB
    return grey[:, place[:, None], place[None, :]]


def hashes(thumbs: np.ndarray) -> np.ndarray:
    """Perceptual hashes (DCT, the 8 x 8 lowest frequencies against their median): uint64, N."""
    low = dctn(thumbs, axes=(1, 2), workers=1)[:, :HASH, :HASH].reshape(len(thumbs), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def near_duplicates(queries: np.ndarray, known: np.ndarray, pairs: int = 2**22) -> np.ndarray:
    """For every query image the row of a near duplicate among the known images, or -1.

    Args:
        queries, known: uint8, N x size x size x channels; the sizes may differ.
        pairs: how many are compared at once, which bounds the memory.
    """
    match = np.full(len(queries), -1, np.int64)
    if not len(known):
        return match
    there = thumbnails(known)
    there_hashes, there_means = hashes(there), _means(there)
    chunk = max(1, pairs // len(known))
    for start in range(0, len(queries), chunk):
        here = thumbnails(queries[start : start + chunk])
        here_means = _means(here)
        rows, columns = np.nonzero(np.bitwise_count(hashes(here)[:, None] ^ there_hashes[None, :]) <= NEAR_BITS)
        for first in range(0, len(rows), 2**18):  # look-alikes can be many
            row, column = rows[first : first + 2**18], columns[first : first + 2**18]
            close = np.abs(here_means[row] - there_means[column]).mean((1, 2)) <= NEAR_MEANS
            match[start + row[close]] = column[close]
    return match


def _means(thumbs: np.ndarray) -> np.ndarray:
    """Means over an 8 x 8 grid: float32, N x 8 x 8."""
    return thumbs.reshape(-1, HASH, THUMB // HASH, HASH, THUMB // HASH).mean((2, 4))
