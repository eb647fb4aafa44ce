"""One scripted upstream for all commands."""

from collections.abc import Iterator

import pytest

from tests.e2e.backstage import Backstage


@pytest.fixture(scope="module")
def stage() -> Iterator[Backstage]:
    """The upstream, on a loop of its own, for commands run one themselves."""
    with Backstage() as upstream:
        yield upstream
