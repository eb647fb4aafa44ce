"""One name, one execution, one charge (I11)."""

import asyncio
from pathlib import Path

import pytest

from tests.gateway.counting_house import asking, opened_house
from tests.gateway.idempotency_kit import (
    BODY,
    JSON,
    OTHER,
    PRINT,
    USAGE,
    caller,
    charges,
    conflict,
    replay,
    rows,
    serve,
    start,
)
from tollhouse.errors import IdempotencyConflict, IdempotencyMismatch, InvalidRequest, StorageUnavailable
from tollhouse.gateway import idempotency
from tollhouse.gateway.idempotency import (
    LIFETIME_S,
    MAX_KEPT_BYTES,
    MAX_KEPT_BYTES_A_DAY,
    SWEEP_S,
    Idempotency,
    Running,
    fingerprint,
    fingerprint_form,
    read_name,
)


class Clock:
    """The Unix time as a test sets it."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


# --- the name ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"a", b"6f1c9a2e-1", b"x" * 255, b"!~"])
def test_a_name_is_any_visible_text(name: bytes) -> None:
    """A client's own visible text of up to 255 characters names its request."""
    assert read_name({b"idempotency-key": b" " + name + b" "}) == name.decode()
    assert read_name({}) is None


@pytest.mark.parametrize("name", [b"", b" ", b"x" * 256, b"a b", b"\xc3\xa9", b"a\x00", b"a\tb"])
def test_any_other_name_is_refused(name: bytes) -> None:
    """An empty name, a longer one, and one that holds anything but visible ASCII are a 400."""
    with pytest.raises(InvalidRequest) as caught:
        read_name({b"idempotency-key": name})
    assert (caught.value.status, caught.value.code) == (400, "invalid_idempotency_key")


def test_a_fingerprint_is_of_what_was_said() -> None:
    """The order of members is no difference; the endpoint, a value or a member is."""
    assert fingerprint("chat/completions", dict(reversed(BODY.items()))) == PRINT
    assert len({PRINT, OTHER, fingerprint("completions", BODY)}) == 3


def test_a_form_is_the_same_under_another_boundary() -> None:
    """A client draws a new boundary for every try; the fingerprint does not see it, but every other byte."""

    def form(boundary: bytes, value: bytes = b"m") -> bytes:
        body = b"--%b\r\nContent-Disposition: form-data; name=model\r\n\r\n%b\r\n--%b--\r\n" % (
            boundary,
            value,
            boundary,
        )
        return fingerprint_form("audio/transcriptions", boundary, body)

    assert form(b"one") == form(b"two")
    assert form(b"one") != form(b"one", b"n")
    assert fingerprint_form("a", b"x", b"ab--xc") != fingerprint_form("a", b"x", b"a--xbc")


# --- what the same request gets ------------------------------------------------------------------------------------


async def test_an_answer_is_given_again(tmp_path: Path) -> None:
    """The same request gets the same status, type and bytes, is told so, and nothing is charged."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        running = await start(once, who, "req_1")
        house.spend(who, "req_1", USAGE)
        running.record(b'{"a":')
        running.record(b"1}")
        running.finish(200, JSON)
        running.close(charged=True)
        again = asking("POST")
        (await replay(once, who, "req_2")).send(again.exchange)
        assert again.head.startswith("HTTP/1.1 200 OK\r\n")
        assert "content-type: application/json\r\n" in again.head
        assert "idempotent-replayed: true" in again.head
        assert "x-tollhouse-original-request-id: req_1" in again.head
        assert again.body == b'{"a":1}'
        assert again.exchange.notes["replayed"] == "req_1"
        await house.landed()
        assert charges(house) == 1
        assert len(once) == 0


async def test_a_stream_is_given_again_as_a_stream(tmp_path: Path) -> None:
    """A stream's bytes come again, in one piece and with a stream's own headers."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        running = await start(once, who, "req_1")
        house.spend(who, "req_1", USAGE)
        for event in (b"data: 1\n\n", b"data: [DONE]\n\n"):
            running.record(event)
        running.finish(200, "text/event-stream")
        running.close(charged=True)
        again = asking("POST")
        (await replay(once, who, "req_2")).send(again.exchange)
        assert "content-type: text/event-stream; charset=utf-8\r\n" in again.head
        assert "cache-control: no-cache\r\n" in again.head
        assert again.body == b"17\r\ndata: 1\n\ndata: [DONE]\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("served", [False, True])
async def test_another_request_under_the_name_is_refused(tmp_path: Path, *, served: bool) -> None:
    """A name that stands for one request is a 422 for any other, while the first runs and after."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        running = await start(once, who, "req_1")
        if served:
            serve(house, who, running)
        with pytest.raises(IdempotencyMismatch) as caught:
            await once.begin(who, "k", OTHER, "req_2")
        assert (caught.value.status, caught.value.code) == (422, "idempotency_key_reused")
        assert caught.value.headers["x-should-retry"] == "false"
        if served:
            assert (await replay(once, who, "req_3")).request_id == "req_1"


async def test_of_many_at_once_one_runs(tmp_path: Path) -> None:
    """Of fifty duplicates sent at once one runs and is charged; the others are told to come back, and then get its
    answer.
    """
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        tries = [once.begin(who, "k", PRINT, f"req_{number}") for number in range(50)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        (running,) = [one for one in results if isinstance(one, Running)]
        refused = [one for one in results if isinstance(one, IdempotencyConflict)]
        assert len(refused) == 49
        assert {fault.code for fault in refused} == {"idempotency_in_progress"}
        assert {fault.headers["retry-after"] for fault in refused} == {"1"}
        serve(house, who, running, b'{"one":true}')
        again = await asyncio.gather(*[replay(once, who, f"req_{number}") for number in range(50, 100)])
        assert {one.body for one in again} == {b'{"one":true}'}
        await house.landed()
        assert charges(house) == 1


async def test_what_cost_nothing_may_run_again(tmp_path: Path) -> None:
    """A request that was refused, or failed without a charge, leaves nothing behind: the retry runs at once."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        refused = await start(once, who, "req_1")
        refused.close(charged=False)
        failed = await start(once, who, "req_2")
        house.hold(who, "req_2").release()
        failed.close(charged=False)
        served = await start(once, who, "req_3")
        serve(house, who, served)
        assert (await replay(once, who, "req_4")).request_id == "req_3"


async def test_an_answer_that_was_taken_back_is_gone(tmp_path: Path) -> None:
    """An answer whose charge was undone because it could not be delivered is not given to a retry for nothing."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        running = await start(once, who, "req_1")
        running.record(b"{}")
        running.finish(200, JSON)
        running.close(charged=False)
        assert (await start(once, who, "req_2")).claim.request_id == "req_2"


async def test_what_was_charged_and_broke_off_never_runs_again(tmp_path: Path) -> None:
    """A request that was charged and has no whole answer is a 409 that names it and asks for no retry."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        running = await start(once, who, "req_1")
        running.record(b"data: 1\n\n")
        house.spend(who, "req_1", USAGE)
        running.close(charged=True)
        fault = await conflict(once, who, "req_2")
        assert (fault.status, fault.code) == (409, "idempotency_interrupted")
        assert "req_1" in fault.message
        assert fault.headers == {"x-should-retry": "false", "x-tollhouse-original-request-id": "req_1"}
        assert len(once) == 0


async def test_an_answer_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    """An answer of 8 MiB is given again; of one byte more only the fact is kept, and it never runs twice."""
    assert MAX_KEPT_BYTES == 8 * 1024 * 1024
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        for name, size in (("k", MAX_KEPT_BYTES + 1), ("fits", MAX_KEPT_BYTES)):
            running = await start(once, who, f"req_{name}", name)
            house.spend(who, f"req_{name}", USAGE)
            running.record(b"x" * (size - 1))
            running.record(b"y")
            running.finish(200, JSON)
            running.close(charged=True)
        fault = await conflict(once, who, "req_2")
        assert (fault.status, fault.code) == (409, "idempotency_too_large")
        assert len((await replay(once, who, "req_3", "fits")).body) == MAX_KEPT_BYTES


async def test_a_name_belongs_to_a_key(tmp_path: Path) -> None:
    """Another key's request of the same name and body runs, and gets nothing of the first one's answer (S51)."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        other = await house.key(house.office.directory.nodes[who.chain.payer].id)
        serve(house, who, await start(once, who, "req_1"), b"secret")
        serve(house, other, await start(once, other, "req_2"), b"own")
        assert (await replay(once, other, "req_3")).body == b"own"


async def test_a_name_is_free_after_a_day(tmp_path: Path) -> None:
    """For 24 hours a name stands for its request; then it may stand for another, swept or not."""
    clock = Clock()
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger, clock)
        serve(house, who, await start(once, who, "req_1"))
        clock.now_s += 24 * 3600 - 1
        assert (await replay(once, who, "req_2")).request_id == "req_1"
        assert await once.sweep() == 0
        clock.now_s += 1
        assert isinstance(await once.begin(who, "k", OTHER, "req_3"), Running)


async def test_what_has_expired_is_deleted(tmp_path: Path) -> None:
    """The sweep deletes every name older than a day, however many, and no other."""
    clock = Clock()
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger, clock)
        many = idempotency._SWEEP_ROWS * 2 + 1
        for number in range(many):
            serve(house, who, await start(once, who, f"req_{number}", str(number)))
        clock.now_s += LIFETIME_S
        young = await start(once, who, "req_young", "young")
        assert await once.sweep() == many
        assert rows(house) == 1
        young.close(charged=True)
        clock.now_s += LIFETIME_S - 1
        assert await once.sweep() == 0
        clock.now_s += SWEEP_S - 1
        assert await once.sweep() == 0
        clock.now_s += 1
        assert await once.sweep() == 1


@pytest.mark.parametrize("request_id", ["req_1", "req_2"])
async def test_a_client_that_leaves_while_it_waits_takes_no_name(tmp_path: Path, request_id: str) -> None:
    """A request that is cancelled before it has its name does not keep it from the next, and one that finds an answer
    does not lose it: also where the client gives all its requests one id.
    """
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        for outcome in ("taken", "found"):
            waiting = asyncio.ensure_future(once.begin(who, "k", PRINT, request_id))
            await asyncio.sleep(0)
            joined = asyncio.ensure_future(once.begin(who, "k", PRINT, request_id))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(IdempotencyConflict):
                await joined
            if outcome == "taken":
                serve(house, who, await start(once, who, "req_1"))
        assert (await replay(once, who, "req_3")).request_id == "req_1"
        await house.landed()
        assert charges(house) == 1


async def test_without_a_store_nothing_runs(tmp_path: Path) -> None:
    """While the store does not answer, a request with a name is refused, for it could run twice; without harm to the
    name.
    """
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        serve(house, who, await start(once, who, "req_0", "kept"))
        for name in ("k", "kept"):
            house.ledger.journal.failing = StorageUnavailable("The disk is full.")
            with pytest.raises(StorageUnavailable):
                await once.begin(who, name, PRINT, "req_1")
            house.ledger.journal.failing = None
        assert isinstance(await once.begin(who, "k", PRINT, "req_2"), Running)
        assert (await replay(once, who, "req_3", "kept")).request_id == "req_0"


async def test_a_name_that_was_given_back_is_not_its_requests(tmp_path: Path) -> None:
    """A client that leaves before its request has the name is not held to it by what another request of its id cost."""
    async with opened_house(tmp_path) as house:
        who, once = await caller(house), Idempotency(house.ledger)
        house.spend(who, "req_same", USAGE)
        waiting = asyncio.ensure_future(once.begin(who, "k", PRINT, "req_same"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert isinstance(await once.begin(who, "k", PRINT, "req_same"), Running)


async def test_what_is_kept_of_a_key_in_a_day_is_bounded(tmp_path: Path) -> None:
    """Past the bound answers are not kept for that key until the next day; other keys are not concerned."""
    clock = Clock()
    async with opened_house(tmp_path) as house:
        once = Idempotency(house.ledger, clock)
        assert once.may_keep(1, MAX_KEPT_BYTES_A_DAY)
        assert not once.may_keep(1, 1)
        assert once.may_keep(2, 1)
        clock.now_s += LIFETIME_S
        assert once.may_keep(1, 1)
