"""Work that is done again and again beside the requests. Each job has a loop of its own, which nothing ends."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable

from tollhouse.telemetry.log import Log


async def repeat(name: str, work: Callable[[], Awaitable[None]], interval_s: float, log: Log) -> None:
    """Does the work every ``interval_s``, for ever. A failure is logged, without its text, and is no reason to stop:
    a reload that cannot succeed must not keep keys from being revoked.
    """
    while True:
        await asyncio.sleep(interval_s)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the job loop
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{type(error).__name__} at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}"
            log.event("error", "job_failed", job=name, where=where)
