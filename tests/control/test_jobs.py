"""Jobs beside the requests: what fails once is tried again."""

import asyncio
import json
from io import BytesIO

from tests.fakes.door import eventually
from tollhouse.control.jobs import repeat
from tollhouse.telemetry.log import Log


async def test_a_job_that_fails_is_logged_without_its_text_and_goes_on() -> None:
    """No failure ends a job: the next turn comes, and the log says where it failed but not what the exception said."""
    sink = BytesIO()
    turns: list[int] = []
    log = Log(sink=sink)

    async def work() -> None:
        turns.append(1)
        raise TypeError("sk-secret-0123456789 in the text")

    task = asyncio.create_task(repeat("keys", work, 0.01, log))
    await eventually(lambda: len(turns) >= 3)
    task.cancel()
    log.flush()
    first = json.loads(sink.getvalue().splitlines()[0])
    assert (first["event"], first["job"]) == ("job_failed", "keys")
    assert first["where"].startswith("TypeError at test_jobs.py:")
    assert b"secret" not in sink.getvalue()
