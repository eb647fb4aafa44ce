"""What holds after every test."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_is_left_in_hand() -> Iterator[None]:
    """No error is left behind as one that is being handled: the next one would carry it along (docs/adr/0009)."""
    yield
    assert sys.exc_info()[1] is None
