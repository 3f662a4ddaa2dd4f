"""Groups of labels whose images look alike: the coarse level of a pool that has none of its own (Knockoff Nets)."""

import numpy as np

GRID = 8  # pixels a side to which images are averaged


def clusters(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Groups rows of features by k-means: int, at most ``count`` groups, numbered from 0 on, each of them in use."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    scaled = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    with threadpool_limits(1):  # threads would add up in the order in which they happen to end
        found = KMeans(count, n_init=10, random_state=seed % 2**32).fit_predict(scaled)
    return np.unique(found, return_inverse=True)[1]


def pixel_features(images: np.ndarray) -> np.ndarray:
    """Means over a grid of every image: float32, images x features."""
    count, size = images.shape[:2]
    edges = np.arange(GRID) * size // GRID if size >= GRID else np.arange(size)
    sums = np.add.reduceat(np.add.reduceat(images.astype(np.float32), edges, 1), edges, 2)
    extent = np.diff(np.append(edges, size)).astype(np.float32)
    return (sums / (extent[:, None, None] * extent[None, :, None])).reshape(count, -1)
