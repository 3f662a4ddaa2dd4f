"""The one exception of the plan, and the suggestion that goes with an unknown name."""

import difflib
from collections.abc import Iterable


class ConfigError(Exception):
    """A bad configuration: one line that names the file, the key and what is wrong."""


def did_you_mean(name: str, known: Iterable[str], what: str = "") -> str:
    """A hint at the nearest known name, to end a message with; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {what}{near[0]!r}?)" if near else ""
