"""The machine runs out of something while paid requests run (F87, F88, F105, F106): real limits on a real process."""

import asyncio
import resource
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.upstream import MODEL, Job
from tests.crash.wire import Answer, Unanswered, post
from tests.faults.process import Shop, costs
from tests.faults.process import shop as opened_shop

MIB = 1 << 20


def allow(shop: Shop, what: int, amount: int | None) -> None:
    """Limits a resource of the running process, or (None) no longer."""
    pid = shop.server.process.pid
    _, most = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most if amount is None else amount, most))


async def outcome(asked: asyncio.Task[Answer]) -> int:
    """The status of an answer; 0 where there was none."""
    try:
        return (await asked).status
    except Unanswered:
        return 0


async def test_f87_files_that_may_not_grow_stop_new_work_and_lose_none(tmp_path: Path) -> None:
    """With the log of the database at its limit requests get 503 and readiness says why; when it may grow again every
    answer that was given is charged, once, in the same process.
    """
    async with opened_shop(tmp_path) as shop:
        served = [(await shop.run(number, stream=False)).status for number in range(3)]
        wal = shop.home.database.with_name("tollhouse.db-wal")
        allow(shop, resource.RLIMIT_FSIZE, wal.stat().st_size)
        waiting = asyncio.create_task(shop.run(3, stream=False))
        site = shop.server.url.removesuffix("/v1")

        async def problems() -> list[str]:
            found: list[str] = (await shop.get(f"{site}/readyz")).json.get("problems", [])
            return found

        async with asyncio.timeout(5):
            while not await problems():  # noqa: ASYNC110 - it is another process that changes
                await asyncio.sleep(0.02)
        assert await problems() == ["storage_unavailable"]
        refused = await shop.run(4, stream=False)
        assert (refused.status, refused.json["error"]["code"]) == (503, "storage_unavailable")
        assert (await shop.get(f"{site}/healthz")).status == 200
        allow(shop, resource.RLIMIT_FSIZE, None)
        served.append((await waiting).status)
        async with asyncio.timeout(5):
            while await problems():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        served.append((await shop.run(5, stream=False)).status)
        assert served == [200] * 5
        shop.signal(signal.SIGTERM)
        assert await shop.ends() == 0
        assert sorted(charge for _, charge, _ in shop.holds()) == costs([0, 1, 2, 3, 5])


async def test_f88_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """With its standard error on a full disk the gateway serves, charges, counts the lines it lost, and ends well."""
    (tmp_path / "log.txt").symlink_to("/dev/full")
    numbers = list(range(30))
    async with opened_shop(tmp_path) as shop:
        answers = await asyncio.gather(*[shop.run(number, stream=False) for number in numbers])
        assert {answer.status for answer in answers} == {200}
        key = {"authorization": f"Bearer {shop.home.admin_key}"}

        async def dropped() -> int:
            text = (await shop.get(f"{shop.server.admin_url}/metrics", **key)).body.decode()
            line = next(line for line in text.splitlines() if line.startswith("tollhouse_log_lines_dropped"))
            return int(float(line.split()[1]))

        async with asyncio.timeout(5):
            while await dropped() < len(numbers):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        shop.signal(signal.SIGTERM)
        assert await shop.ends() == 0
        assert sorted(charge for _, charge, _ in shop.holds()) == costs(numbers)


def address_space(shop: Shop) -> int:
    """Bytes of memory that the process has mapped."""
    pages = Path(f"/proc/{shop.server.process.pid}/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


@pytest.mark.parametrize("room", [48 * MIB, 0], ids=["f105 little memory", "f106 none at all"])
async def test_f105_f106_out_of_memory_it_refuses_or_dies_and_the_books_are_right(tmp_path: Path, room: int) -> None:
    """Forty bodies of 2 MiB at once in a process that may not grow: whatever each client got, and whether the process
    lives or is started again, what was answered is charged, nothing is open, and the next request is served.
    """
    async with opened_shop(tmp_path) as shop:
        streams = await shop.begin([5, 31, 70])
        allow(shop, resource.RLIMIT_AS, address_space(shop) + room)
        ballast = {"role": "system", "content": "x" * (2 * MIB)}
        body = {**Job(7).body(stream=False), "model": MODEL}
        body["messages"] = [ballast, *body["messages"]]
        headers = {"authorization": f"Bearer {shop.key}"}
        url = f"{shop.server.url}/chat/completions"
        big = [asyncio.create_task(post(url, body, headers)) for _ in range(40)]
        statuses = [await outcome(asked) for asked in [*big, *streams]]
        with suppress(ProcessLookupError):  # it may have died just now
            allow(shop, resource.RLIMIT_AS, None)
        if await shop.server.died(0.3):
            again = await shop.home.start()
            assert again is not None
            shop.server = again
        assert (await shop.run(1, stream=False)).status == 200
        shop.signal(signal.SIGTERM)
        assert await shop.ends() == 0
        holds = shop.holds()
        assert {state for state, _, _ in holds} <= {"settled", "released", "expired"}
        charged = [charge for _, charge, _ in holds if charge]
        assert len(charged) >= statuses.count(200) + 1
