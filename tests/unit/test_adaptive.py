"""The adaptive strategy's laws: probabilities, prefixes, exhaustion, resuming, and that it finds what pays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimeo.errors import MimeoError
from mimeo.plugins import load
from mimeo.strategies import Policy

LAWS = settings(deadline=None, max_examples=60, derandomize=True, database=None)
ALL = ["certainty", "diversity", "loss"]
SUBSETS = [[kind for bit, kind in enumerate(ALL) if number >> bit & 1] for number in range(8)]
CLASSES = 4


def made(
    leaves: list[int] | np.ndarray,
    groups: list[int] | np.ndarray,
    seed: int = 0,
    rewards: list[str] = ALL,
    window: int = 25,
    classes: int = CLASSES,
) -> Any:
    """A policy that has learnt nothing."""
    draw = np.random.default_rng(seed)
    build = load("strategies", "adaptive").policy
    return build(np.array(leaves), np.array(groups), classes, draw, rewards=rewards, window=window)


def answered(indices: np.ndarray, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Answers and predictions that are functions of the image alone."""
    values = np.array([np.random.default_rng(int(index)).dirichlet(np.full(classes, 0.5), 2) for index in indices])
    return values[:, 0].astype(np.float32), values[:, 1].astype(np.float32)


def asked(policy: Policy, count: int, batch: int) -> list[int]:
    """The first ``count`` images, with everything learnt on the way."""
    found: list[int] = []
    while len(found) < count:
        indices = policy.choose(min(batch, count - len(found)))
        policy.learn(*answered(indices))
        found += indices.tolist()
    return found


pools = st.integers(1, 9).flatmap(
    lambda leaves: st.tuples(
        st.lists(st.integers(0, leaves - 1), min_size=1, max_size=80),
        st.lists(st.integers(0, 3), min_size=leaves, max_size=leaves),
    )
)


@LAWS
@given(
    pool=pools, seed=st.integers(0, 2**32), batch=st.integers(1, 20),
    rewards=st.sampled_from(SUBSETS), window=st.integers(1, 30),
)  # fmt: skip
def test_every_image_is_asked_once_and_every_policy_sums_to_one(
    pool: tuple[list[int], list[int]], seed: int, batch: int, rewards: list[str], window: int
) -> None:
    """To the last image of the pool, whatever its tree: empty leaves, empty groups, leaves that run out."""
    leaves, groups = pool
    policy = made(leaves, groups, seed, rewards, window)
    found: list[int] = []
    while len(found) < len(leaves):
        for part in policy.probabilities():
            assert np.isfinite(part).all()
            assert (part >= 0).all()
            assert part.sum() == pytest.approx(1)
        empty = np.bincount([leaves[i] for i in range(len(leaves)) if i not in found], minlength=len(groups)) == 0
        assert (policy.probabilities()[1][empty] == 0).all()
        indices = policy.choose(min(batch, len(leaves) - len(found)))
        policy.learn(*answered(indices))
        found += indices.tolist()
    assert sorted(found) == list(range(len(leaves)))
    with pytest.raises(MimeoError, match="than the pool has left"):
        policy.choose(1)


@LAWS
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 7), cut=st.integers(1, 8))
def test_budgets_are_prefixes_and_a_state_goes_on(seed: int, batch: int, cut: int) -> None:
    """A longer run begins like a shorter one, and so does one that is stopped and put back in the middle."""
    leaves, groups = np.arange(120) % 10, np.arange(10) // 3
    whole = asked(made(leaves, groups, seed), 10 * batch, batch)
    first = made(leaves, groups, seed)
    begun = asked(first, cut * batch, batch)
    assert begun == whole[: cut * batch]
    second = made(leaves, groups, seed)
    second.put_back({name: np.array(array.tolist(), array.dtype) for name, array in first.state().items()})
    assert begun + asked(second, (10 - cut) * batch, batch) == whole


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("classes", [1, 2, CLASSES])
@pytest.mark.parametrize("bad", [False, True])
def test_constant_rewards_move_nothing(batch: int, classes: int, bad: bool) -> None:
    """No variance, one class, a copycat that has diverged: every preference stays, and nothing is NaN."""
    policy = made(np.arange(400) % 5, [0, 0, 1, 1, 1], classes=classes)
    answer = np.full((batch, classes), 1 / classes, np.float32)
    said = np.full((batch, classes), np.nan if bad else 1 / classes, np.float32)
    for _ in range(30):  # until the first answer of all, which was new, has left the window
        policy.choose(batch)
        policy.learn(answer, said)
    before = policy.group_preferences.copy(), policy.leaf_preferences.copy()
    for _ in range(4):
        policy.choose(batch)
        policy.learn(answer, said)
    assert np.isfinite(policy.rewards()).all()
    assert all(np.isfinite(part).all() for part in policy.probabilities())
    assert np.array_equal(policy.group_preferences, before[0])
    assert np.array_equal(policy.leaf_preferences, before[1])


def test_one_step_is_the_papers() -> None:
    """By hand: a flat tree of three labels, certainty alone, one image a step."""
    policy = made([0, 1, 2] * 50, [0, 0, 0], rewards=["certainty"], window=3)
    preferences, draws = np.zeros(3), np.zeros(3)
    past: list[float] = []
    for step in range(40):
        [index] = policy.choose(1)
        leaf = index % 3
        answer, said = answered(np.array([index]))
        policy.learn(answer, said)
        top = np.sort(answer[0].astype(float))[::-1]
        worth, pi = top[0] - top[1], np.exp(preferences) / np.exp(preferences).sum()
        draws[leaf] += 1
        window = past[-3:]
        if window:
            low, high = min([*window, worth]), max([*window, worth])
            gain = (worth - np.mean(window)) / (high - low)
            preferences += gain / draws[leaf] * ((np.arange(3) == leaf) - pi)
        past.append(worth)
        assert np.allclose(policy.leaf_preferences, preferences, atol=1e-6), step


def test_diversity_is_held_against_the_window_before() -> None:
    policy = made([0] * 20, [0], rewards=["diversity"], window=2)
    answers = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 9).astype(np.float32)
    found = []
    for rows in (slice(0, 1), slice(1, 4), slice(4, 9)):
        policy.choose(len(answers[rows]))
        policy.learn(answers[rows], answers[rows])
        found += policy.rewards()[:, 1].tolist()
    for row, value in enumerate(found):
        before = answers[max(0, row - 2) : row]
        mean = before.mean(0) if row else np.zeros(CLASSES)
        assert value == pytest.approx(np.maximum(answers[row] - mean, 0).sum(), abs=1e-5)


def test_no_reward_is_uniform() -> None:
    """Without rewards every group stays as likely as any other: draws differ by chance alone."""
    policy = made(np.arange(4000) % 8, np.arange(8) // 2, rewards=[])
    asked(policy, 1000, 50)
    group, leaf = policy.probabilities()
    assert np.allclose(group, 1 / 4)
    assert np.allclose(leaf, 1 / 8)


@pytest.mark.parametrize(("hierarchy", "batch"), [(True, 1), (True, 16), (False, 1), (False, 16)])
def test_what_pays_is_found_faster_than_at_random(hierarchy: bool, batch: int) -> None:
    """One label of 12 gets confident answers: over seeds, more of the first 600 images are its than at random."""
    leaves = np.arange(12 * 400) % 12
    groups = np.arange(12) // 4 if hierarchy else np.zeros(12, int)
    shares = []
    for seed in range(12):
        policy, draw = made(leaves, groups, seed, ["certainty"]), np.random.default_rng(1000 + seed)
        drawn: list[int] = []
        while len(drawn) < 600:
            indices = policy.choose(batch)
            sharp = np.where(leaves[indices] == 5, 20.0, 0.5)
            answers = np.array([draw.dirichlet(np.r_[s, np.full(CLASSES - 1, 0.5)]) for s in sharp])
            policy.learn(answers, answers)
            drawn += leaves[indices].tolist()
        shares.append(np.mean(np.array(drawn) == 5))
    resampled = np.random.default_rng(0).choice(shares, (2000, len(shares))).mean(1)
    assert np.quantile(resampled, 0.025) > 1.5 / 12


def test_a_bad_parameter_is_named() -> None:
    with pytest.raises(MimeoError, match="'boldness' is none of certainty, diversity, loss"):
        made([0], [0], rewards=["boldness"])
    with pytest.raises(MimeoError, match="loss, loss: one is given twice"):
        made([0], [0], rewards=["loss", "loss"])
    with pytest.raises(MimeoError, match="window: 0"):
        made([0], [0], window=0)
