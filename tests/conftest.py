"""What holds after every test, and before the first."""

import gc
import sys
from collections.abc import Iterator

import pytest


def pytest_collection() -> None:
    """While 20,000 tests are found, next to nothing becomes garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """The tests themselves stay for good."""
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def what_stays_is_not_looked_through() -> None:
    """Tests that count what is left behind collect garbage often: in what is there since they began, not in the tests
    and their reports.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_is_left_in_hand() -> Iterator[None]:
    """No error is left behind as one that is being handled: the next one would carry it along (docs/adr/0009)."""
    yield
    assert sys.exc_info()[1] is None
