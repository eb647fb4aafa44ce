"""Answers that are read to their end although the client has left.

Some hosts bill the whole answer whether anybody listens or not. For a host whose ``on_disconnect`` is ``drain`` the
request runs in a task of its own: when the client leaves, the task goes on, writing to nobody, until the host's usage
is known and settled. Bounded in number and time ([billing] max_drains, drain_s): past either, the answer is hung up on
and charged by what was delivered, as for any other host.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tollhouse.errors import Fault
from tollhouse.settings.keys import Billing
from tollhouse.types.calls import Plan
from tollhouse.web.exchange import Exchange


def drained(plan: Plan) -> bool:
    """Whether a host of the plan bills an answer to its end."""
    return any(target.host.on_disconnect == "drain" for target in plan.targets)


class Drains:
    """The answers that are being drained."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def run(self, exchange: Exchange, work: Coroutine[Any, Any, None], billing: Billing) -> None:
        """Runs the work for as long as the client stays, and on if it leaves. Raises what the work does."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                raise
            if exchange.interruption is not None or len(self._tasks) >= billing.max_drains:
                task.cancel()
            else:
                loop.call_later(billing.drain_s, task.cancel)
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What went wrong while nobody listened was recorded with the attempts, and concerns nobody else."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Fault):
            raise error  # a program error: the loop's handler reports it

    async def stop(self) -> None:
        """Ends them all; each is settled by what was delivered."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
