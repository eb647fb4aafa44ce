"""What the system does to the process while paid streams run (F83-F86): real processes, real files.

After each the database is read as it was left: every answer is charged once, at the host's own figures where the stream
ended, and nothing is open.
"""

import asyncio
import signal
from pathlib import Path

from tests.crash.upstream import Job
from tests.crash.wire import Answer
from tests.faults.process import SLOW, costs
from tests.faults.process import shop as opened_shop


async def test_f83_live_paid_streams_all_finish_and_are_all_charged(tmp_path: Path) -> None:
    """SIGTERM with thirty streams under way: each arrives whole, the exit code is 0, each is settled at the host's own
    figures, and no hold is open.
    """
    numbers = [number for number in SLOW if len(Job(number).words) < 16]
    async with opened_shop(tmp_path) as shop:
        streams = await shop.begin(numbers)
        shop.signal(signal.SIGTERM)
        answers = await asyncio.gather(*streams)
        assert all(answer.done for answer in answers)
        assert await shop.ends() == 0
        holds = shop.holds()
        assert {(state, estimated) for state, _, estimated in holds} == {("settled", False)}
        assert sorted(charge for _, charge, _ in holds) == costs(numbers)


async def test_f84_streams_past_the_drain_are_charged_for_what_they_said(tmp_path: Path) -> None:
    """At the limit each ends with an error event; each is settled by the estimate, less than the whole; exit code 0."""
    numbers = [number for number in SLOW if len(Job(number).words) > 20]
    async with opened_shop(tmp_path) as shop:
        shop.home.file.write_text(shop.home.file.read_text().replace("[server]\n", "[server]\ndrain_s = 0.3\n"))
        shop.signal(signal.SIGHUP)
        await asyncio.sleep(0.5)
        streams = await shop.begin(numbers)
        shop.signal(signal.SIGTERM)
        answers = await asyncio.gather(*streams)
        assert all(b"server_draining" in answer.body and b"[DONE]" not in answer.body for answer in answers)
        assert await shop.ends() == 0
        holds = shop.holds()
        assert {(state, estimated) for state, _, estimated in holds} == {("settled", True)}
        assert all(charge > 0 for _, charge, _ in holds)
        assert sum(charge for _, charge, _ in holds) < sum(costs(numbers))


async def test_f85_a_second_signal_cuts_streams_and_loses_no_charge(tmp_path: Path) -> None:
    """The process ends at once with code 1; what was said is charged and on disk before it does, and the next start
    finds nothing to recover.
    """
    numbers = [number for number in SLOW if len(Job(number).words) > 20]
    async with opened_shop(tmp_path) as shop:
        streams = await shop.begin(numbers)
        shop.signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        shop.signal(signal.SIGINT)
        ends = await asyncio.gather(*streams, return_exceptions=True)
        assert not any(isinstance(end, Answer) and end.done for end in ends)
        assert await shop.ends(4.0) == 1
        holds = shop.holds()
        assert len(holds) == len(numbers)
        assert {(state, estimated) for state, _, estimated in holds} == {("settled", True)}
        again = await shop.home.start()
        assert again is not None
        await again.kill()
        assert shop.holds() == holds


async def test_f86_a_process_that_stood_still_resolves_nothing_twice(tmp_path: Path) -> None:
    """Stopped in mid-stream for longer than its streams last, then let go on: every stream ends whole, each is
    charged once, and new requests are served.
    """
    numbers = [number for number in SLOW if len(Job(number).words) < 13]
    async with opened_shop(tmp_path) as shop:
        streams = await shop.begin(numbers)
        shop.signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)
        shop.signal(signal.SIGCONT)
        answers = await asyncio.gather(*streams)
        assert all(answer.done for answer in answers)
        assert (await shop.run(1)).done
        shop.signal(signal.SIGTERM)
        assert await shop.ends() == 0
        holds = shop.holds()
        assert {state for state, _, _ in holds} == {"settled"}
        assert sorted(charge for _, charge, _ in holds) == costs([*numbers, 1])
