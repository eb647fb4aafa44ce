"""Closing a local model whose engine is too busy even to say that it is busy."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.engines.local_kit import serving
from tollhouse.engines.local import LocalEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """The shipped model."""
    with serving() as served:
        yield served


class Stuck:
    """A server that answers nothing before it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def handle_metrics(self) -> str:
        """The figures of a server at rest, late."""
        self.go.wait(60)
        return ""


def test_closing_does_not_wait_for_a_stuck_engine(engine: LocalEngine) -> None:
    """A server that does not answer in time is left alone, in a thread that no process waits for."""
    server = Stuck()
    closing = threading.Thread(target=replace(engine, _servers=[server]).close, kwargs={"patience_s": 0.1}, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    left = [thread for thread in threading.enumerate() if thread.name == "tollhouse-local-close"]
    assert left
    assert all(thread.daemon for thread in left)
    server.go.set()
