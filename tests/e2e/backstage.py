"""What is behind the gateway of the SDK tests: an upstream that plays what a test says and records what it was sent.

It runs on an event loop of its own, in a thread, so that blocking SDKs can be tested against it.
"""

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any, Self

from tests.fakes.chaos import ChaosUpstream, Received, Step

SECRET = "sk-backstage-CANARY-0123456789"
"""The gateway's own key for this upstream."""
CONFIG = """
[models]
fast-chat = "stage/m-2024-01-01"

[models.pair]
targets = ["stage/m-2024-01-01", "second/m"]

[models.spare]
targets = ["nowhere/m", "stage/m-2024-01-01"]

[providers.stage]
base_url = "http://127.0.0.1:{port}/v1"
api_key = "env:STAGE_KEY"
models = ["m-2024-01-01"]
timeouts = {{ first_byte_s = 2.0, idle_s = 1.0 }}

[providers.second]
base_url = "http://127.0.0.1:{port}/second/v1"
models = ["m"]

[providers.nowhere]
base_url = "http://127.0.0.1:9/v1"
models = ["m"]
"""


class Backstage:
    """A `ChaosUpstream` in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.up = ChaosUpstream([])

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.up.__aenter__(), self._loop).result(10)
        return self

    def __exit__(self, *failure: object) -> None:
        asyncio.run_coroutine_threadsafe(self.up.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def play(self, *plays: Sequence[Step]) -> None:
        """What to do for the next requests; the last play is repeated. Forgets the requests so far."""
        self.up.plays, self.up.played = list(plays), 0
        self.up.requests.clear()

    @property
    def requests(self) -> list[Received]:
        """The requests since `play`."""
        return self.up.requests

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Their JSON."""
        return [json.loads(request.body) for request in self.requests]
