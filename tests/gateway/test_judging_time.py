"""`gateway.judging`: deadlines, clients that leave, and judges that are not well."""

import asyncio
import time

import pytest

from tests.fakes.chaos import ChaosUpstream, Hang, Pause, Step, closed_port
from tests.gateway.judges_kit import answered, benched, host, said

GUARD = '[safety.judges.guard]\nkind = "llama_guard"\nmodel = "up/guard"\n'


def webhook(upstream: ChaosUpstream, more: str = "", name: str = "own") -> str:
    """Settings of a webhook."""
    return f'[safety.judges.{name}]\nkind = "webhook"\nurl = "{upstream.url}/judge"\n{more}\n'


async def test_every_judge_has_its_own_deadline_and_all_are_asked_at_once() -> None:
    """A judge that hangs is hung up on at its deadline; the other's word stands, and nobody waits for both in turn."""
    quick = answered({"findings": [{"category": "hate", "severity": "high"}]})
    async with ChaosUpstream([Hang()]) as slow, ChaosUpstream([Pause(0.1), *quick]) as up:
        text = webhook(slow, "deadline_ms = 200\ncost_usd = 0.1", "slow") + webhook(up)
        async with benched(text) as bench:
            began = time.monotonic()
            judged, records = await bench.judge()
            took_s = time.monotonic() - began
            await slow.gone()
    assert 0.19 < took_s < 1.0
    assert judged.verdict.failed == ("slow",)
    assert judged.verdict.judged_by == ("own",)
    assert [one.category for one in judged.verdict.findings] == ["hate"]
    assert {(one.target, one.outcome, one.cost_nusd) for one in records} == {
        ("judge:slow", "judge_cancelled", 100_000_000),
        ("judge:own", "judge", 0),
    }


async def test_a_late_guard_model_is_hung_up_on_and_recorded() -> None:
    """The deadline holds for a model too, whatever its host's own timeouts are."""
    async with ChaosUpstream([Hang()]) as up, benched(host(up) + GUARD + "deadline_ms = 150\n") as bench:
        judged, records = await bench.judge()
        await up.gone()
    assert judged.verdict.failed == ("guard",)
    assert [(one.target, one.outcome, one.cost_nusd) for one in records] == [("up/guard", "judge_cancelled", 0)]


async def test_an_inquiry_that_is_ended_early_hangs_up_and_leaves_its_records_without_waiting() -> None:
    """A client that leaves takes nobody's time: what was asked is on record at once, as cancelled."""
    async with ChaosUpstream([Hang()]) as up, ChaosUpstream([Hang()]) as model:
        text = webhook(up, "cost_usd = 0.25") + host(model) + GUARD
        async with benched(text) as bench:
            inquiry = bench.begin()
            await up.arrived()
            await model.arrived()
            assert not inquiry.done
            assert inquiry.so_far().verdict.failed == ("own", "guard")
            records = inquiry.end()
            await up.gone()
            await model.gone()
    assert [(one.target, one.outcome, one.cost_nusd) for one in records] == [
        ("judge:own", "judge_cancelled", 250_000_000),
        ("up/guard", "judge_cancelled", 0),
    ]


async def test_a_dead_judge_is_skipped_after_three_failures_and_tried_again_later() -> None:
    """From the fourth text on nobody waits for it; it has failed all the same, and the operator is told once."""
    text = f'[safety.judges.own]\nkind = "webhook"\nurl = "http://127.0.0.1:{closed_port()}/"\n'
    async with benched(text + 'when = "gate"\non_failure = "closed"\n') as bench:
        for _ in range(5):
            judged, records = await bench.judge()
            assert judged.closed
            assert judged.verdict.failed == ("own",)
    assert records == ()
    assert (bench.count("own", "failed"), bench.count("own", "skipped")) == (3, 2)
    assert bench.alerts == [("own", "upstream_unreachable")]


async def test_who_needs_a_judge_that_is_not_asked_is_told_how_long() -> None:
    """A second where it would be asked at once, else as long as it is left alone, and a minute at most."""
    text = f'[safety.judges.own]\nkind = "webhook"\nurl = "http://127.0.0.1:{closed_port()}/"\n'
    async with benched(text) as bench:
        assert bench.judges.retry_after_s(["own", "other"]) == 1
        for _ in range(3):
            await bench.judge()
        assert 7 <= bench.judges.retry_after_s(["other", "own"]) <= 12
        bench.clock.ahead_s = 12.1
        assert bench.judges.retry_after_s(["own"]) == 1
        for _ in range(4):
            await bench.judge()
            bench.clock.ahead_s += 150
        assert bench.judges.retry_after_s(["own"]) == 1
        await bench.judge()
        assert bench.judges.retry_after_s(["own"]) == 60


async def test_a_judge_that_is_back_is_found_by_a_single_request() -> None:
    """After a while one text is shown to it again; if that is judged, so are all."""
    good = answered({"findings": []})
    async with ChaosUpstream(*[answered({}, 503)] * 4, good) as up, benched(webhook(up)) as bench:
        for _ in range(4):
            await bench.judge()
        assert len(up.requests) == 3
        bench.clock.ahead_s = 12.1  # open for 10 s, a fifth more at most
        await asyncio.gather(bench.judge(), bench.judge())
        assert len(up.requests) == 4
        bench.clock.ahead_s = 60
        for _ in range(3):
            judged, _ = await bench.judge()
            assert judged.verdict.failed == ()
        assert len(up.requests) == 7
    assert [name for name, _ in bench.alerts] == ["own", "own"]


async def test_a_probe_whose_client_leaves_frees_its_place() -> None:
    """What was asked and not waited for says nothing of the judge: the next request finds out."""
    bad = answered({}, 503)
    async with ChaosUpstream(bad, bad, bad, [Hang()], answered({"findings": []})) as up:
        async with benched(webhook(up)) as bench:
            for _ in range(3):
                await bench.judge()
            bench.clock.ahead_s = 12.1
            inquiry = bench.begin()
            await up.arrived(4)
            inquiry.end()
            await up.gone()
            judged, _ = await bench.judge()
    assert judged.verdict.failed == ()


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(said("I cannot help with that."), id="babble"),
        pytest.param(answered({}, 400), id="refused"),
    ],
)
async def test_texts_that_make_a_judge_babble_do_not_turn_it_off(play: list[Step]) -> None:
    """What the text itself causes is a failure of this one verdict alone: else three hostile prompts would open the
    gate for everybody.
    """
    async with ChaosUpstream(play) as up, benched(host(up) + GUARD) as bench:
        for _ in range(6):
            judged, _ = await bench.judge()
            assert judged.verdict.failed == ("guard",)
        assert len(up.requests) == 6
    assert bench.count("guard", "skipped") == 0
    assert bench.alerts == []


@pytest.mark.parametrize("play", [pytest.param(answered({}, 500), id="crashed"), pytest.param(answered([]), id="odd")])
async def test_texts_that_crash_a_webhook_do_not_turn_it_off(play: list[Step]) -> None:
    """It answers at once, so asking it costs nobody time."""
    async with ChaosUpstream(play) as up, benched(webhook(up)) as bench:
        for _ in range(6):
            await bench.judge()
        assert len(up.requests) == 6
    assert bench.count("own", "failed") == 6


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_a_judge_that_wants_no_more_requests_is_left_alone(status: int) -> None:
    """A bad key, a limit, an overload: to go on asking makes it worse."""
    async with ChaosUpstream(answered({}, status)) as up, benched(webhook(up)) as bench:
        for _ in range(6):
            await bench.judge()
        assert len(up.requests) == 3
    assert bench.count("own", "skipped") == 3


async def test_one_answer_in_time_keeps_a_judge_in_use() -> None:
    """Only failures in a row count."""
    bad, good = answered({}, 503), answered({"findings": []})
    async with ChaosUpstream(bad, bad, good, bad, bad, good) as up, benched(webhook(up)) as bench:
        for _ in range(6):
            await bench.judge()
    assert bench.count("own", "skipped") == 0
    assert (bench.count("own", "failed"), bench.count("own", "answered")) == (4, 2)


async def test_an_inquiry_whose_asker_is_cancelled_can_still_be_ended() -> None:
    """A request that is cancelled while it waits for its gate ends the inquiry in its own exit."""
    async with ChaosUpstream([Hang()]) as up, benched(webhook(up)) as bench:
        inquiry = bench.begin()
        waiter = asyncio.create_task(inquiry.judged())
        await up.arrived()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert [one.outcome for one in inquiry.end()] == ["judge_cancelled"]
        await up.gone()
