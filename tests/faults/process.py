"""A shop: ``tollhouse up`` in a process of its own, a paid host for it, and a client with $20, for tests of what the
system does to a process. `Shop.holds` reads the database as it was left and checks every invariant.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.crash.server import Home, Server
from tests.crash.upstream import Job, PaidHost
from tests.crash.wire import Answer, ask, post
from tests.fakes.door import eventually
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader

SLOW = range(5, 13 * 60, 13)
"""Jobs whose streams take between a half and three seconds."""


class Shop:
    """A gateway in a process of its own, a paid host for it, and the key of a client that pays."""

    def __init__(self, home: Home, host: PaidHost, server: Server) -> None:
        self.home = home
        self.host = host
        self.server = server
        self.key = ""

    async def admin(self, path: str, **body: object) -> dict[str, Any]:
        """POST to the admin API."""
        key = {"authorization": f"Bearer {self.home.admin_key}"}
        answer = await post(f"{self.server.admin_url}/admin/{path}", body, key)
        assert answer.status == 201, answer.body
        return answer.json

    async def open_account(self) -> None:
        """An organisation that has paid, and its key."""
        org = (await self.admin("organizations", name="o", billing="prepaid"))["id"]
        await self.admin(f"organizations/{org}/grants", amount_usd="20", reason="welcome")
        self.key = (await self.admin("keys", parent_id=org))["key"]

    async def run(self, number: int, *, stream: bool = True) -> Answer:
        """One job, to its end. Raises `Unanswered`."""
        headers = {"authorization": f"Bearer {self.key}"}
        return await post(f"{self.server.url}/chat/completions", Job(number).body(stream=stream), headers)

    async def get(self, url: str, **headers: str) -> Answer:
        """A GET."""
        return await ask("GET", url, b"", headers)

    async def begin(self, numbers: list[int]) -> list[asyncio.Task[Answer]]:
        """Streams that run: the host has been asked for each."""
        tasks = [asyncio.create_task(self.run(number)) for number in numbers]
        asked = len(self.host.asked) + len(numbers)
        await eventually(lambda: len(self.host.asked) >= asked, within_s=20)
        await asyncio.sleep(0.15)  # each has had a word by then
        return tasks

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.server.process.send_signal(number)

    async def ends(self, within_s: float = 10.0) -> int | None:
        """Waits for the process's end; its exit code, or None when it still runs."""
        return self.server.process.returncode if await self.server.died(within_s) else None

    def holds(self) -> list[tuple[str, int, bool]]:
        """State, charge and whether it was estimated of each hold on disk; every invariant holds."""
        with open_reader(self.home.database) as reader:
            assert verify(reader, now_s=time.time(), max_age_s=3600.0).findings == []
            return [(str(a), int(b), bool(c)) for a, b, c in reader.rows("SELECT state, charge, estimated FROM hold")]


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[Shop]:
    """All of it, killed at the end if it still runs."""
    async with PaidHost() as host:
        home = Home(folder, host.port)
        server = await home.start()
        assert server is not None, home.last_words()
        found = Shop(home, host, server)
        try:
            await found.open_account()
            yield found
        finally:
            if found.server.process.returncode is None:
                await found.server.kill()


def costs(numbers: list[int]) -> list[int]:
    """What these jobs cost, in order of size."""
    return sorted(Job(number).cost_nusd for number in numbers)
