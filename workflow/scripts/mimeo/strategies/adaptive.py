"""Adaptive (Knockoff Nets, section 4.1.2): a gradient bandit over the labels of the pool's images.

A label is a leaf of a tree of two levels: a group is drawn first, then a leaf of it. Each node has a preference, and
the softmax over the preferences of a node's siblings is the policy; after a reward r of a node z, with N(z) draws,

    H(z) += (r - baseline) (1 - pi(z)) / N(z),    H(other) -= (r - baseline) pi(other) / N(z).

Rewards: certainty, the margin of the answer's two largest entries; diversity, the sum over classes of what the answer
exceeds the mean answer of the window by; loss, the copycat's cross entropy with the answer. Each is rescaled to [0, 1]
over the window of past steps, less its mean there, and all are summed (the formulas are recalled, not verified).

Several images can be chosen at once, for victims that answer in batches: the policy then stands still within a batch.
A batch of one is the paper's.
"""

import json
from typing import Literal

import numpy as np

from mimeo.errors import MimeoError

KINDS = ("certainty", "diversity", "loss")
LEAST = 1e-7  # of a probability, so that no loss is infinite


def policy(
    leaves: np.ndarray,
    groups: np.ndarray,
    classes: int,
    draw: np.random.Generator,
    *,
    rewards: list[Literal["certainty", "diversity", "loss"]],
    window: int = 25,
) -> "Bandit":
    """A bandit that has learnt nothing: every group is as likely as any other, and so is every leaf of a group.

    Args:
        leaves: int, images of the pool: the leaf of each.
        groups: int, leaves: the group of each, from 0 on.
        classes: of the victim.
        rewards: any of ``certainty``, ``diversity``, ``loss``; none at all leaves the policy as it is.
        window: past steps over which rewards are rescaled and averaged.
    """
    unknown = [kind for kind in rewards if kind not in KINDS]
    if unknown:
        raise MimeoError(f"strategy adaptive: rewards: {unknown[0]!r} is none of {', '.join(KINDS)}")
    if len(set(rewards)) < len(rewards):
        raise MimeoError(f"strategy adaptive: rewards: {', '.join(rewards)}: one is given twice")
    if window < 1:
        raise MimeoError(f"strategy adaptive: window: {window} steps are none")
    return Bandit(leaves, groups, classes, draw, [KINDS.index(kind) for kind in rewards], window)


class Bandit:
    """The policy, see ``mimeo.strategies.Policy``.

    Attributes:
        group_preferences, leaf_preferences: H, float64.
        group_draws, leaf_draws: N, int64.
    """

    def __init__(
        self,
        leaves: np.ndarray,
        groups: np.ndarray,
        classes: int,
        draw: np.random.Generator,
        counted: list[int],
        window: int,
    ) -> None:
        self.leaves, self.groups = np.asarray(leaves, np.int64), np.asarray(groups, np.int64)
        self.counted, self.window, self.draw = counted, window, draw
        shuffled = draw.permutation(len(self.leaves))
        # Every leaf's images in a random order, one leaf after another; of each the first are taken.
        self.queue = shuffled[np.argsort(self.leaves[shuffled], kind="stable")]
        self.sizes = np.bincount(self.leaves, minlength=len(self.groups))
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.leaf_preferences = np.zeros(len(self.groups))
        self.group_preferences = np.zeros(int(self.groups.max()) + 1)
        self.leaf_draws = np.zeros(len(self.groups), np.int64)
        self.group_draws = np.zeros(len(self.group_preferences), np.int64)
        self.past_answers = np.empty((0, classes))
        self.past_rewards = np.empty((0, len(KINDS)))
        self.chosen = np.empty(0, np.int64)
        self.worth = np.empty((0, len(KINDS)))

    # --- choosing -------------------------------------------------------------------------------------------

    def probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        """Of groups and of leaves; those without an image left have none."""
        group, leaf = self._softmaxes()
        return group, group[self.groups] * leaf

    def choose(self, count: int) -> np.ndarray:
        """Draws groups, leaves of them, and the next image of each leaf; a leaf that runs out is drawn no more."""
        if count > len(self.leaves) - self.leaf_draws.sum():
            raise MimeoError(f"strategy adaptive: {count} images more were wanted than the pool has left")
        group, self.leaf_policy = self._softmaxes()
        self.group_policy = group
        drawn: list[np.ndarray] = []
        indices: list[np.ndarray] = []
        taken = self.leaf_draws.copy()
        while count:
            left = self.sizes - taken
            if drawn:  # some leaf or group may have run out within the batch
                group, leaf = self._softmaxes(left > 0)
            else:
                leaf = self.leaf_policy
            found = self.draw.choice(len(self.groups), count, p=_normalised(group[self.groups] * leaf))
            place = _occurrence(found)
            kept = place < left[found]  # the first draws of a leaf get its last images, the others are drawn again
            found, place = found[kept], place[kept]
            drawn.append(found)
            indices.append(self.queue[self.starts[found] + taken[found] + place])
            taken += np.bincount(found, minlength=len(taken))
            count -= len(found)
        self.chosen = np.concatenate(drawn)
        return np.concatenate(indices)

    def _softmaxes(self, there: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Of every group; of every leaf within its group. What has no image left has probability 0."""
        there = self.sizes > self.leaf_draws if there is None else there
        count = len(self.group_preferences)
        alive = np.bincount(self.groups[there], minlength=count) > 0
        highest = np.full(count, -np.inf)
        np.maximum.at(highest, self.groups[there], self.leaf_preferences[there])
        leaf = np.zeros(len(self.groups))
        leaf[there] = np.exp(self.leaf_preferences[there] - highest[self.groups[there]])
        sums = np.bincount(self.groups, leaf, count)
        leaf[there] /= sums[self.groups[there]]
        group = np.zeros(count)
        if alive.any():
            group[alive] = np.exp(self.group_preferences[alive] - self.group_preferences[alive].max())
            group /= group.sum()
        return group, leaf

    # --- learning -------------------------------------------------------------------------------------------

    def learn(self, answers: np.ndarray, predictions: np.ndarray) -> None:
        """Rewards what was chosen last, and moves the preferences."""
        answers = np.asarray(answers, np.float64)
        self.worth = np.stack(
            [_certainty(answers), self._diversity(answers), _loss(answers, np.asarray(predictions, np.float64))], 1
        )
        gains = self._gains()
        leaf, group = self.chosen, self.groups[self.chosen]
        self._move(self.group_preferences, self.group_policy, gains, group, self.group_draws)
        steps = gains / (self.leaf_draws[leaf] + _occurrence(leaf) + 1)
        self.leaf_preferences += np.bincount(leaf, steps, len(self.groups))
        sums = np.bincount(group, steps, len(self.group_preferences))
        self.leaf_preferences -= self.leaf_policy * sums[self.groups]
        self.leaf_draws += np.bincount(leaf, minlength=len(self.groups))
        self.group_draws += np.bincount(group, minlength=len(self.group_draws))
        self.past_answers = np.concatenate([self.past_answers, answers])[-self.window :]
        self.past_rewards = np.concatenate([self.past_rewards, self.worth])[-self.window :]

    def rewards(self) -> np.ndarray:
        """Certainty, diversity and loss, whether they count or not."""
        return self.worth.astype(np.float32)

    def _move(
        self, preferences: np.ndarray, policy: np.ndarray, gains: np.ndarray, nodes: np.ndarray, draws: np.ndarray
    ) -> None:
        steps = gains / (draws[nodes] + _occurrence(nodes) + 1)
        preferences += np.bincount(nodes, steps, len(preferences)) - policy * steps.sum()

    def _diversity(self, answers: np.ndarray) -> np.ndarray:
        """Against the mean answer of the window before each step; the first answer of all is new altogether."""
        before = len(self.past_answers)
        sums = np.cumsum(np.concatenate([np.zeros((1, answers.shape[1])), self.past_answers, answers]), 0)
        step = np.arange(before, before + len(answers))
        first = np.maximum(step - self.window, 0)
        mean = (sums[step] - sums[first]) / np.maximum(step - first, 1)[:, None]
        return np.maximum(answers - mean, 0).sum(1)

    def _gains(self) -> np.ndarray:
        """By how much each step's reward lies above the window's mean, in units of the window's range; summed over
        the kinds that count. 0 where the window is constant or empty."""
        before = len(self.past_rewards)
        every = np.concatenate([np.full((self.window - before, len(KINDS)), np.nan), self.past_rewards, self.worth])
        spans = np.lib.stride_tricks.sliding_window_view(every, self.window + 1, axis=0)[..., self.counted, :]
        past, known = spans[..., :-1], ~np.isnan(spans[..., :-1])
        count = known.sum(-1)
        mean = np.where(known, past, 0).sum(-1) / np.maximum(count, 1)
        lowest, highest = np.fmin.reduce(spans, -1), np.fmax.reduce(spans, -1)
        spread = highest - lowest
        there = (count > 0) & (spread > 1e-12)
        gain = np.divide(spans[..., -1] - mean, spread, out=np.zeros_like(spread), where=there)
        return gain.sum(1)

    # --- state ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        """Preferences, draws, the window, and the random generator's state as JSON in bytes."""
        random = json.dumps(self.draw.bit_generator.state, sort_keys=True).encode()
        return {
            "leaf_preferences": self.leaf_preferences.copy(),
            "group_preferences": self.group_preferences.copy(),
            "leaf_draws": self.leaf_draws.copy(),
            "group_draws": self.group_draws.copy(),
            "past_answers": self.past_answers.copy(),
            "past_rewards": self.past_rewards.copy(),
            "generator": np.frombuffer(random, np.uint8).copy(),
        }

    def put_back(self, state: dict[str, np.ndarray]) -> None:
        """See ``state``; which images are left follows from the draws."""
        for name in ("leaf_preferences", "group_preferences", "leaf_draws", "group_draws"):
            setattr(self, name, np.array(state[name]))
        self.past_answers, self.past_rewards = np.array(state["past_answers"]), np.array(state["past_rewards"])
        self.draw.bit_generator.state = json.loads(bytes(state["generator"]))


def _certainty(answers: np.ndarray) -> np.ndarray:
    if answers.shape[1] < 2:
        return answers[:, 0].copy()
    top = np.partition(answers, -2, axis=1)
    return top[:, -1] - top[:, -2]


def _loss(answers: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Cross entropy, in nats; a prediction that is not finite says nothing of any class."""
    sound = np.where(np.isfinite(predictions), predictions, 1 / predictions.shape[1])
    return -(answers * np.log(np.clip(sound, LEAST, 1))).sum(1)


def _occurrence(values: np.ndarray) -> np.ndarray:
    """How often each value stood before, in its own sequence: 0, 1, ..."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    first = np.searchsorted(ranked, ranked)
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - first
    return found


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()
