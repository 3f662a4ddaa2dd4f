"""Seeds from names: fixed for good, and apart from one another."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mimeo.seeds import seed_of

LAWS = settings(deadline=None, max_examples=100, derandomize=True, database=None)
NAMES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), max_size=4)


def test_seeds_never_change() -> None:
    """Another value would change every number of every table."""
    assert seed_of("copycat", "digits-plain/photographs-random/posterior-b4000/plain", 0) == 2256317384326316475
    assert seed_of() == 8203414616412130826


@LAWS
@given(names=NAMES)
def test_seed_is_in_range_and_repeats(names: list[str]) -> None:
    seed = seed_of(*names)
    assert 0 <= seed < 2**63
    assert seed == seed_of(*names)
    torch.Generator().manual_seed(seed)


@LAWS
@given(one=NAMES, other=NAMES)
def test_other_names_give_other_seeds(one: list[str], other: list[str]) -> None:
    """How names are cut matters as well: ("ab", "c") is not ("a", "bc")."""
    same = "\0".join(one) == "\0".join(other)
    assert (seed_of(*one) == seed_of(*other)) == same


def test_replicates_of_arms_have_seeds_of_their_own() -> None:
    seeds = {seed_of("copycat", f"arm-{arm}", replicate) for arm in range(100) for replicate in range(20)}
    assert len(seeds) == 2000
