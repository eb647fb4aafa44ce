"""The end of a race of two requests, whoever wins it. Called by `gateway.attempts`.

It stands by itself because it waits while an error may be on its way, which a compiled coroutine must not: mypyc leaves
that error in the thread for as long as it waits, and every other task would seem to be handling it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(race: Awaitable[T], running: set[asyncio.Task[Any]], let_go: Callable[[], None]) -> T:
    """What a race gives. What runs when it ends is cancelled, and has stopped before this returns."""
    try:
        return await race
    finally:
        try:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        finally:
            let_go()
