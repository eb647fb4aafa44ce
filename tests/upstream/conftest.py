"""Every asynchronous test here runs twice: on asyncio's own loop and on uvloop, which differ in transports and TLS."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import trustme
import uvloop

from tests.upstream.kit import Client, Identity


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The two loops (a hook of pytest-asyncio)."""
    del config, item
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def identity() -> Identity:
    """A certificate authority of our own, and certificates good and bad."""
    return Identity(trustme.CA())


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Makes pools and closes them at the end."""
    maker = Client()
    yield maker
    await maker.aclose()
