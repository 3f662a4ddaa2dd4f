"""Fixtures of the unit tests."""

from collections.abc import Callable

import pytest

from mimeo.errors import MimeoError

Complaint = Callable[[Callable[[], object]], str]


@pytest.fixture(scope="session")
def complaint() -> Complaint:
    """A function that makes a call, expects a MimeoError of a single line, and returns that line."""

    def text_of(call: Callable[[], object]) -> str:
        with pytest.raises(MimeoError) as caught:
            call()
        text = str(caught.value)
        assert text.strip()
        assert len(text.splitlines()) == 1, text
        return text

    return text_of
