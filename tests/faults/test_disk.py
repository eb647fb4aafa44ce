"""The ledger's disk fails in every way it has (F87, F89-F91): nothing is promised that is not kept, and what was
decided lands once, without a restart, when the disk works again.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest

from tests.fakes.chaos import Await, Send, Step, chunk
from tests.fakes.door import Answer, Door, eventually
from tests.fakes.openai_wire import DONE, LAST_USAGE, STOP, completion, delta
from tests.faults.disk import FaultyDisk
from tests.faults.kit import ASK, BILLED_NUSD, STREAM, judged, till
from tests.gateway.test_upstream_faults import SSE
from tollhouse.ledger.journal import MAX_GROUPS
from tollhouse.stores.protocol import Call

BEGUN = Send(SSE + chunk(delta({"content": "be"})))
ENDED = Send(chunk(delta({"content": "gun"}) + STOP + LAST_USAGE + DONE) + b"0\r\n\r\n")


def slow_stream(go: asyncio.Event) -> list[Step]:
    """A stream that says its first word at once, and the rest when it may."""
    return [BEGUN, Await(go), ENDED]


def refused(answer: Answer) -> bool:
    """Whether it is the one answer that money paths give meanwhile."""
    return (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "storage_unavailable", "1")


async def ready(door: Door) -> tuple[int, list[str]]:
    """The status of /readyz and its problems."""
    answer = await door.get("/readyz")
    return answer.status, answer.json["problems"]


async def failing(door: Door) -> None:
    """Returns when the ledger has noticed: a stream's end, an answer or a write has not been taken."""
    await eventually(lambda: door.app.ledger.journal.failing is not None)


async def lives_through(disk: FaultyDisk, fault: str) -> None:
    """A stream is under way when the fault begins: it is settled, kept in memory, and lands when the fault is over."""
    go = asyncio.Event()
    async with till(slow_stream(go), [Send(completion())]) as (door, up):
        running = asyncio.create_task(door.post(STREAM))
        await eventually(lambda: door.app.ledger.open_holds == 1 and len(up.requests) == 1)
        await eventually(lambda: door.app.ledger.journal.landed == door.app.ledger.journal.appended)
        setattr(disk, fault, True)
        go.set()
        await failing(door)
        await eventually(lambda: door.app.ledger.open_holds == 0)
        assert not running.done(), "the stream must not end before its charge is durable"
        assert refused(await door.post(ASK))
        assert refused(await door.post(STREAM))
        assert len(up.requests) == 1
        assert (await door.get("/healthz")).status == 200
        assert await ready(door) == (503, ["storage_unavailable"])
        page = (await door.get("/v1/credits")).json
        assert page["balance_usd"] == "19.999934", "what was decided is what is shown"
        disk.heal()
        answer = await running
        assert (answer.text, answer.lines[-1]) == ("begun", b"[DONE]")
        await eventually(lambda: door.app.parts.books.problem() is None)
        assert (await ready(door))[0] == 200
        assert (await door.post(ASK)).status == 200
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD] * 2


async def test_f87_a_full_disk_refuses_new_work_and_keeps_what_was_decided() -> None:
    """Reserving is 503 with nothing sent; the stream in flight is charged from memory, its last byte waits for the
    disk, and with space it lands without a restart; the file is sound.
    """
    with FaultyDisk() as disk:
        await lives_through(disk, "full")


async def test_f89_on_a_read_only_disk_reading_goes_on_and_money_waits() -> None:
    """Health is 200, readiness and money paths are 503, reads work; remounted for writing, all that waited lands."""
    with FaultyDisk() as disk:
        await lives_through(disk, "read_only")


async def test_f89_reports_are_read_from_a_read_only_disk() -> None:
    """Usage, receipts and credit are answered from the file while not one byte of it can be written."""
    with FaultyDisk() as disk:
        async with till([Send(completion())]) as (door, _):
            done = await door.post(ASK)
            await judged(door)
            disk.read_only = True
            waiting = asyncio.create_task(door.post(ASK, idempotency_key="x"))
            await failing(door)
            assert refused(await door.post(ASK, idempotency_key="y"))
            receipt = await door.get(f"/v1/usage/{done.headers['x-request-id']}")
            assert (receipt.status, receipt.json["cost_usd"]) == (200, "0.000066")
            usage = (await door.get("/v1/usage")).json["totals"]
            assert (usage["requests"], usage["cost_usd"]) == (1, "0.000066")
            assert (await door.get("/v1/credits")).status == 200
            assert (await door.get("/v1/models")).status == 200
            disk.heal()
            assert (await waiting).status == 200
            assert len(await judged(door)) == 2


@contextmanager
def small_volume(folder: Path) -> Iterator[Path]:
    """A file system of 4 MiB, where this process may mount one; the folder itself elsewhere."""
    made = subprocess.run(  # noqa: S603 - our own command
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tollhouse", str(folder)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    try:
        yield folder
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607


@contextmanager
def filled(volume: Path, disk: FaultyDisk) -> Iterator[None]:
    """Not a byte is free on the volume: taken by a file on a small one, else said so by the shim."""
    if not volume.is_mount():
        disk.full = True
        yield
        disk.heal()
        return
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while os.statvfs(volume).f_bavail:
            file.write(b"x" * 4096)
    yield
    ballast.unlink()


async def test_f87_a_volume_fills_under_load_and_is_emptied(tmp_path: Path) -> None:
    """Of what clients ask of a full volume each gets its answer or 503; each answer that was given is charged once."""
    with FaultyDisk() as disk, small_volume(tmp_path) as volume:
        async with till([Send(completion())], volume=volume) as (door, up):
            before = [await door.post(ASK) for _ in range(3)]
            with filled(volume, disk):
                during = [asyncio.create_task(door.post(ASK)) for _ in range(400)]
                await failing(door)
                late = await asyncio.gather(*[door.post(ASK) for _ in range(20)])
                assert all(map(refused, late))
            answers = [*before, *await asyncio.gather(*during), await door.post(ASK)]
            assert answers[-1].status == 200
            served = [answer for answer in answers if answer.status == 200]
            assert all(refused(answer) for answer in answers if answer not in served)
            charged = [hold.charge for hold in await judged(door) if hold.state == "settled"]
            assert charged == [BILLED_NUSD] * len(served)
            assert len(up.requests) == len(charged)


@pytest.mark.parametrize("seed", range(3))
async def test_f90_after_a_failed_fsync_the_batch_is_redone_on_a_fresh_connection(seed: int) -> None:
    """A third of the fsyncs, or of the writes, fail with EIO: no client notices, every answer is charged once, and the
    database was opened anew after each failure.
    """
    with FaultyDisk(seed) as disk:
        async with till([Send(completion())]) as (door, _):
            opened_before = disk.opened
            disk.failing_syncs, disk.failing_writes = (0.3, 0.0) if seed else (0.0, 0.04)
            for _ in takewhile(lambda turn: turn < 5 or not disk.failed, range(50)):
                answers = await asyncio.gather(*[door.post(ASK) for _ in range(8)])
                assert {answer.status for answer in answers} <= {200, 503}
                assert all(refused(answer) for answer in answers if answer.status == 503)
                served = sum(answer.status == 200 for answer in answers)
                assert disk.failed or served == 8
            disk.heal()
            await eventually(lambda: door.app.parts.books.problem() is None)
            holds = await judged(door)
            assert disk.failed > 0
            assert disk.opened > opened_before
            assert {hold.charge for hold in holds if hold.state == "settled"} == {BILLED_NUSD}
            known = {hold.state for hold in holds}
            assert known <= {"settled", "released"}


async def test_f90_what_was_acknowledged_under_eio_is_there_after_a_crash(tmp_path: Path) -> None:
    """The file, copied as it is on disk at the moment of an answer, holds that answer's charge: nothing of it was in
    the page cache of a connection alone.
    """
    with FaultyDisk(7) as disk:
        async with till([Send(completion())], volume=tmp_path) as (door, _):
            disk.failing_syncs = 0.4
            served = 0
            for number in range(12):
                answer = await door.post(ASK)
                served += answer.status == 200
                assert on_disk(tmp_path, f"crash-{number}") >= served
            assert disk.failed > 0
            assert served > 3
            disk.heal()
            await judged(door)


def on_disk(volume: Path, name: str) -> int:
    """How many charges another process finds in a copy of the database's files."""
    copy = volume / name
    copy.mkdir()
    for file in ("tollhouse.db", "tollhouse.db-wal"):  # the third is rebuilt from the log, as after a crash
        (copy / file).write_bytes((volume / file).read_bytes())
    query = "import apsw,sys; print(apsw.Connection(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])"
    sql = f"SELECT count(*) FROM hold WHERE charge = {BILLED_NUSD}"  # noqa: S608 - a number of ours
    command = [sys.executable, "-c", query, str(copy / "tollhouse.db"), sql]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)  # noqa: S603


async def test_f91_a_slow_fsync_holds_back_answers_and_nothing_else() -> None:
    """While one fsync hangs, twenty more requests are admitted, held and sent upstream; not one byte of an answer goes
    out; when it returns they share its successors: a few commits, not one each.
    """
    with FaultyDisk() as disk:
        async with till([Send(completion())]) as (door, up):
            await judged(door)
            journal = door.app.ledger.journal
            commits = journal.commits
            disk.syncs_go.clear()
            asked = [asyncio.create_task(door.post(ASK)) for _ in range(20)]
            await up.arrived(20)
            await eventually(lambda: door.app.ledger.open_holds == 0)
            assert (await door.get("/healthz")).status == 200
            assert journal.commits == commits
            assert not any(task.done() for task in asked)
            disk.syncs_go.set()
            assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
            assert journal.commits - commits <= 5
            assert len(await judged(door)) == 20


async def test_f91_a_ledger_that_fell_behind_admits_nothing() -> None:
    """While an fsync hangs and as many groups wait as may, a request is 503 before anything is held or sent."""
    with FaultyDisk() as disk:
        async with till([Send(completion())]) as (door, up):
            await judged(door)
            journal = door.app.ledger.journal
            disk.syncs_go.clear()
            while journal.appended - journal.landed <= MAX_GROUPS:
                journal.append((Call(lambda db: db.execute("SELECT 1").fetchall()),))
            answer = await door.post(ASK)
            assert refused(answer)
            assert (up.requests, door.app.ledger.open_holds) == ([], 0)
            disk.syncs_go.set()
            await eventually(lambda: journal.landed == journal.appended)
            assert (await door.post(ASK)).status == 200
            await judged(door)
