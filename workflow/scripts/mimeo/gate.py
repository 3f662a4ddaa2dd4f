"""Says whether a training failed. A failed one is shown as such and enters no mean.

The gate looks at test predictions only to flag, never to choose: nothing is retrained, dropped or picked by it
in silence.
"""

import math

import numpy as np

DEAD_SHARE = 0.5


def failures(losses: list[float], predictions: np.ndarray, labels: np.ndarray, taught: np.ndarray) -> list[str]:
    """Reasons to call a training failed; none for a sound one.

    * diverged: the loss is not finite, or ended above where it began;
    * chance: accuracy is not above the largest class's share (one-sided, 95%);
    * dead class: a class that had at least half its fair share of the training labels, and has test images, is
      never predicted. A class that the training labels hardly held is the attack's poverty, not the training's
      failure, and does not count.

    Args:
        losses: mean loss of each epoch; empty for an untrained network, which is never called failed.
        predictions, labels: int, N predicted and true classes of the test images.
        taught: float, classes: how many training images of each class (by their label's largest entry).
    """
    if not losses:
        return []
    found = []
    if not math.isfinite(losses[-1]) or losses[-1] > losses[0] * 1.05 + 1e-3:
        found.append("diverged")
    classes = len(taught)
    share = np.bincount(labels, minlength=classes).max() / len(labels)
    threshold = share + 1.645 * math.sqrt(share * (1 - share) / len(labels))
    if (predictions == labels).mean() <= threshold:
        found.append("chance level")
    fair = taught >= DEAD_SHARE * taught.sum() / classes
    present = np.bincount(labels, minlength=classes) > 0
    predicted = np.bincount(predictions, minlength=classes) > 0
    dead = np.flatnonzero(fair & present & ~predicted)
    if len(dead):
        found.append(f"dead classes: {', '.join(map(str, dead))}")
    return found
