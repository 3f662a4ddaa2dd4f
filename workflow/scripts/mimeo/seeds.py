"""Seeds from names: the same arm gets the same seed on every machine, in any order of execution."""

import hashlib


def seed_of(*names: object) -> int:
    """A seed in [0, 2**63) from the names of a thing, e.g. ``seed_of("copycat", arm, replicate)``."""
    digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
