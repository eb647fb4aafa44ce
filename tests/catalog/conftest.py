"""The shipped catalogue, read once for all tests of it."""

import pytest

from tollhouse.catalog import store
from tollhouse.catalog.store import Catalogue


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The catalogue that ships."""
    return store.load()
