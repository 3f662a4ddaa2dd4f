"""What a strategy is. A plug-in ``strategies/{name}.py`` holds one of two functions:

``order(count, draw, *, ...) -> array``
    the order in which the images of a pool are asked: int64 indices into the pool, each at most once. A budget
    is a prefix of it, so larger budgets contain smaller ones. Keyword-only arguments are its own parameters.
``policy(leaves, groups, classes, draw, *, ...) -> Policy``
    one that chooses as it asks: by the labels of the pool's images, and by what the victim answered so far.
"""

from typing import Protocol

import numpy as np


class Policy(Protocol):
    """Chooses images of a pool by what the victim answered to those before. Everything it does is decided by what it
    was made from and by what it has learnt."""

    def choose(self, count: int) -> np.ndarray:
        """The next images: int64, ``count`` indices into the pool, none of which it has chosen before.

        Raises:
            MimeoError: the pool has fewer images left.
        """

    def learn(self, answers: np.ndarray, predictions: np.ndarray) -> None:
        """Takes in what came of the images chosen last.

        Args:
            answers: float32, images x classes, the victim's posteriors.
            predictions: float32, images x classes, those of the copycat before it has seen the answers.
        """

    def probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        """With what probability each group, and each leaf, is drawn next: float64; each sums to one."""

    def rewards(self) -> np.ndarray:
        """What the images chosen last were worth: float32, images x kinds of reward, before any rescaling."""

    def state(self) -> dict[str, np.ndarray]:
        """All that changes as it chooses and learns, as arrays of numbers."""

    def put_back(self, state: dict[str, np.ndarray]) -> None:
        """Goes on from the state of another policy that was made from the same."""
