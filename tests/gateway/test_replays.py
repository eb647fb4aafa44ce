"""Answers that are given again, at the door: the same ones, to the same tenant, for as long as they are kept."""

import asyncio
from typing import Any

import apsw
import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Pause, Send, Step, chunked
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, completion, delta, failure, stream
from tests.gateway.kit import ASK, hosts
from tests.gateway.replay_kit import BOTH, SEED, kept, replay_of, rows, said
from tests.gateway.test_reload import reload

STREAM: dict[str, Any] = {**SEED, "stream": True, "stream_options": {"include_usage": True}}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALLED = chunked(
    ROLE,
    delta({"tool_calls": [{"index": 0, **CALL, "function": {"name": "f", "arguments": ""}}]}),
    delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
    delta({"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}),
    delta({}, "tool_calls"),
    LAST_USAGE,
    DONE,
)


def different(*texts: str) -> list[list[Step]]:
    """An upstream that never says the same twice."""
    return [[Send(completion(text))] for text in texts]


async def test_the_same_seed_gets_the_same_answer() -> None:
    """A request with a seed is answered once; the same again gets the same bytes, and says whose they are."""
    async with ChaosUpstream(*different("one", "two")) as up, opened(kept(up)) as door:
        first = await door.post(SEED)
        again = await door.post(dict(reversed(SEED.items())))
        assert said(first) == said(again)
        assert replay_of(first) == (None, None)
        assert replay_of(again) == ("seed", first.headers["x-request-id"])
        assert again.headers["x-tollhouse-target"] == "up0/m"
        assert "x-tollhouse-attempts" not in again.headers
        assert int(again.headers["age"]) < 60
        assert len(up.requests) == 1
        assert door.count("tollhouse_replays", "seed") == 1
        assert door.idle


@pytest.mark.parametrize("first", [False, True])
async def test_whole_and_streamed_answers_are_one(first: bool) -> None:
    """Whichever was asked for first, both are given again from it, and each is the same every time."""
    plays = [[Send(stream("Hel", "lo"))]] if first else different("Hello")
    async with ChaosUpstream(*plays, [Send(completion("other"))]) as up, opened(kept(up)) as door:
        await door.post(STREAM if first else SEED)
        whole = [await door.post(SEED) for _ in range(2)]
        streams = [await door.post(STREAM) for _ in range(2)]
        assert said(whole[0]) == said(whole[1])
        assert said(streams[0]) == said(streams[1])
        assert whole[0].json["choices"][0]["message"]["content"] == streams[0].text == "Hello"
        assert streams[0].ended
        assert streams[0].lines[-1] == b"[DONE]"
        usage = {name: count for name, count in streams[0].events[-1]["usage"].items() if "details" not in name}
        assert usage == {name: count for name, count in whole[0].json["usage"].items() if "details" not in name}
        assert {event["id"] for event in streams[0].events} == {whole[0].json["id"]} == {"chatcmpl-up"}
        assert len(up.requests) == 1


async def test_an_id_of_ours_is_the_same_again() -> None:
    """Where the host's id is not shown, the one that was minted for the first answer is kept with it."""
    async with ChaosUpstream([Send(completion(id="odd", created=0))]) as up, opened(kept(up)) as door:
        first, again = (await door.post(SEED)).json, (await door.post(SEED)).json
        assert first["id"].startswith("chatcmpl-")
        assert (first["id"], first["created"]) == (again["id"], again["created"])


async def test_tool_calls_are_the_same_again() -> None:
    """A call that was streamed in pieces is given again whole, or as a stream, under its id."""
    async with ChaosUpstream([Send(CALLED)]) as up, opened(kept(up)) as door:
        await door.post(STREAM)
        choice = (await door.post(SEED)).json["choices"][0]
        assert choice["message"]["tool_calls"] == [CALL]
        assert choice["message"]["content"] is None
        assert choice["finish_reason"] == "tool_calls"
        deltas = [one["choices"][0]["delta"] for one in (await door.post(STREAM)).events if one["choices"]]
        calls = [call for one in deltas for call in one.get("tool_calls", ())]
        assert "".join([call["function"]["arguments"] for call in calls]) == CALL["function"]["arguments"]
        assert calls[0]["id"] == "call_1"
        assert len(up.requests) == 1


@pytest.mark.parametrize(
    "other",
    [{"seed": 8}, {"seed": None}, {"temperature": 0.5}, {"messages": [{"role": "user", "content": "bye"}]}, {"n": 2}],
)
async def test_another_request_gets_its_own_answer(other: dict[str, Any]) -> None:
    """Another seed, none, or any other difference that counts is another request."""
    async with ChaosUpstream(*different("one", "two")) as up, opened(kept(up)) as door:
        await door.post(SEED)
        answer = await door.post({**SEED, **other})
        assert replay_of(answer) == (None, None)
        assert len(up.requests) == 2


@pytest.mark.parametrize("same", [{"user": "u"}, {"metadata": {"a": "b"}}, {"stream_options": None}, {"store": False}])
async def test_what_changes_nothing_does_not_count(same: dict[str, Any]) -> None:
    """Who it is for, and how it is sent, makes no other request."""
    async with ChaosUpstream(*different("one", "two")) as up, opened(kept(up)) as door:
        first = await door.post(SEED)
        assert said(await door.post({**SEED, **same})) == said(first)


@pytest.mark.parametrize(("scope", "asked"), [("key", 2), ("org", 1)])
async def test_answers_belong_to_their_tenant(scope: str, asked: int) -> None:
    """I27: another key of the organisation gets them where they are the organisation's; no other organisation ever."""
    replay = f'{BOTH}scope = "{scope}"\n'
    async with ChaosUpstream(*different("one", "two", "three")) as up, opened(kept(up, replay=replay)) as door:
        office = door.app.parts.books.office
        await door.post(SEED)
        other = await door.app.parts.books.mint("other")
        await door.post(SEED, authorization=f"Bearer {other}")
        assert len(up.requests) == asked
        org = await office.act("ada", lambda desk: desk.create_org({"name": "foreign", "billing": "postpaid"}))
        made = await office.act("ada", lambda desk: desk.create_key(org.node.id, {"name": "foreign"}))
        foreign = await door.post(SEED, authorization=f"Bearer {made.text.reveal()}")
        assert replay_of(foreign) == (None, None)
        assert len(up.requests) == asked + 1


async def test_a_key_gets_nothing_of_a_target_that_it_may_not_use() -> None:
    """In an organisation that shares its answers, a key with a list of models gets an answer of one of those."""
    async with ChaosUpstream(*different("one")) as up, ChaosUpstream(*different("two")) as mine:
        async with opened(kept(up, mine, replay=f'{BOTH}scope = "org"\n')) as door:
            office = door.app.parts.books.office
            assert (await door.post(SEED)).headers["x-tollhouse-target"] == "up0/m"
            org = office.directory.children(None)[0].id
            made = await office.act("ada", lambda desk: desk.create_key(org, {"name": "k", "models": ["up1/*"]}))
            answer = await door.post(SEED, authorization=f"Bearer {made.text.reveal()}")
            assert (replay_of(answer), answer.headers["x-tollhouse-target"]) == ((None, None), "up1/m")


async def test_failures_are_not_kept() -> None:
    """An error, and a stream that breaks off, leave nothing behind: the next try is a new one."""
    broken: list[Step] = [Send(chunked(ROLE, delta({"content": "hal"}))[:-5]), Pause(0.01), Close()]
    plays: list[list[Step]] = [[Send(failure(400))], broken, [Send(stream("whole"))]]
    async with ChaosUpstream(*plays) as up, opened(kept(up)) as door:
        assert (await door.post(SEED)).status == 400
        assert "error" in (await door.post(STREAM)).events[-1]
        assert rows(door) == 0
        assert (await door.post(STREAM)).text == "whole"
        assert (await door.post(STREAM)).text == "whole"
        assert len(up.requests) == 3


async def test_a_client_that_leaves_has_nothing_kept() -> None:
    """A stream whose client is gone is not whole, and is not kept."""
    half: list[Step] = [Send(chunked(ROLE, delta({"content": "hal"}))[:-5]), Pause(30)]
    async with ChaosUpstream(half, [Send(stream("whole"))]) as up, opened(kept(up)) as door:
        reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
        await reader.readuntil(b"hal")
        writer.close()
        await up.gone()
        assert (await door.post(STREAM)).text == "whole"
        assert rows(door) == 1


@pytest.mark.parametrize("stream_first", [False, True])
async def test_an_answer_that_is_too_large_is_not_kept(stream_first: bool) -> None:
    """Beyond ``max_answer_bytes`` every request is a new one."""
    text = "x" * 2000
    play: list[Step] = [Send(stream(text) if stream_first else completion(text))]
    replay = f"{BOTH}max_answer_bytes = 1024\n"
    async with ChaosUpstream(play) as up, opened(kept(up, replay=replay)) as door:
        for _ in range(2):
            assert (await door.post(STREAM if stream_first else SEED)).status == 200
        assert rows(door) == 0
        assert len(up.requests) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"store": True},
        {"web_search_options": {}},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    ],
)
async def test_what_is_more_than_words_is_not_kept(more: dict[str, Any]) -> None:
    """A stored completion, a host's own search and sound are asked for anew each time."""
    async with ChaosUpstream(*different("one", "two")) as up, opened(kept(up)) as door:
        for _ in range(2):
            assert (await door.post({**SEED, **more})).status == 200
        assert len(up.requests) == 2


async def test_of_two_at_once_the_first_that_was_stored_stands() -> None:
    """Both run, and whoever asks later gets one and the same of their answers."""
    plays: list[list[Step]] = [[Pause(0.05), Send(completion("slow"))], [Send(completion("quick"))]]
    async with ChaosUpstream(*plays) as up, opened(kept(up)) as door:
        both = await asyncio.gather(door.post(SEED), door.post(SEED))
        assert {answer.status for answer in both} == {200}
        later = [await door.post(SEED) for _ in range(3)]
        assert {said(answer) for answer in later} == {said(later[0])} <= {said(answer) for answer in both}
        assert rows(door) == 1
        assert len(up.requests) == 2


async def test_what_a_client_has_seen_is_on_disk() -> None:
    """When the last byte of an answer is there, a look at the file from outside finds it kept: no crash can lose it."""
    async with ChaosUpstream(*different(*"abcdefgh")) as up, opened(kept(up)) as door:
        path = door.app.parts.books.store.path
        for number in range(8):
            await door.post({**SEED, "seed": number})
            with apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY) as outside:
                assert outside.execute("SELECT count(*) FROM replay").fetchone() == (number + 1,)


async def test_it_is_turned_off_and_on_by_a_reload() -> None:
    """Off, nothing is given again or kept; on again, what is kept is there as before."""
    async with ChaosUpstream(*different("one", "two", "three")) as up, opened(kept(up)) as door:
        first = await door.post(SEED)
        assert await reload(door, hosts(up)) == "ok"
        assert replay_of(await door.post(SEED)) == (None, None)
        assert await reload(door, kept(up)) == "ok"
        assert said(await door.post(SEED)) == said(first)
        assert len(up.requests) == 2


async def test_an_answer_outlives_its_target() -> None:
    """A name that is pointed elsewhere keeps what it has said under a seed."""
    async with ChaosUpstream(*different("one")) as up, opened(kept(up)) as door:
        first = await door.post(SEED)
        moved = kept(up).replace("up0", "new0")
        assert await reload(door, moved) == "ok"
        again = await door.post(SEED)
        assert said(again) == said(first)
        assert again.headers["x-tollhouse-target"] == "up0/m"


@pytest.mark.parametrize("replay", ["", "[replay]\ncache = true\n", "[replay]\nseed = true\n"])
async def test_each_is_off_unless_it_is_turned_on(replay: str) -> None:
    """Without ``seed`` a seed is the host's affair, without ``cache`` the header says nothing."""
    async with ChaosUpstream(*different("one", "two")) as up, opened(kept(up, replay=replay)) as door:
        asked, header = (ASK, {"x_tollhouse_cache": "on"}) if "cache" not in replay else (SEED, {})
        for _ in range(2):
            assert replay_of(await door.post(asked, **header)) == (None, None)
        assert len(up.requests) == 2


# --- the cache -----------------------------------------------------------------------------------------------------


async def ask(door: Door, how: str = "on", **more: str) -> tuple[str, str | None]:
    """A request that asks for the cache: what it is told, and what by."""
    answer = await door.post(ASK, x_tollhouse_cache=how, **more)
    return answer.json["choices"][0]["message"]["content"], replay_of(answer)[0]


async def test_the_cache_is_for_those_who_ask() -> None:
    """``on`` takes what is kept, ``refresh`` replaces it, ``off`` and no header leave it alone."""
    async with ChaosUpstream(*different("one", "two", "three", "four")) as up, opened(kept(up)) as door:
        assert await ask(door) == ("one", None)
        assert await ask(door) == ("one", "cache")
        assert await ask(door, "off") == ("two", None)
        assert (await door.post(ASK)).json["choices"][0]["message"]["content"] == "three"
        assert await ask(door, " ON ") == ("one", "cache")
        assert await ask(door, "refresh") == ("four", None)
        assert await ask(door) == ("four", "cache")
        assert rows(door) == 1
        assert door.count("tollhouse_replays", "cache") == 3


async def test_an_answer_that_is_too_old_is_replaced() -> None:
    """With a time to live an older answer will not do, and a new one is kept in its place."""
    async with ChaosUpstream(*different("one", "two")) as up, opened(kept(up)) as door:
        await ask(door)
        store = door.app.parts.books.store
        await door.app.ledger.write(lambda db: db.execute("UPDATE replay SET stored_at = stored_at - 100"))
        assert await ask(door, x_tollhouse_cache_ttl="1000") == ("one", "cache")
        assert await ask(door, x_tollhouse_cache_ttl="100") == ("two", None)
        (life,) = store.read_now(lambda db: db.execute("SELECT expires_at - stored_at FROM replay").fetchall())
        assert life == (100,)


@pytest.mark.parametrize("header", [{"x_tollhouse_cache": "yes"}, {"x_tollhouse_cache_ttl": "0"}])
@pytest.mark.parametrize("ttl", ["1.5", "-1", "", "9" * 20, "x"])
async def test_words_that_say_nothing_are_refused(header: dict[str, str], ttl: str) -> None:
    """A misspelt wish is a 400 that names its header, before anything is asked."""
    sent = {"x_tollhouse_cache": "on", "x_tollhouse_cache_ttl": ttl or "0", **header}
    async with ChaosUpstream(*different("one")) as up, opened(kept(up)) as door:
        answer = await door.post(ASK, **sent)
        assert answer.status == 400
        assert answer.error["param"] in {"x-tollhouse-cache", "x-tollhouse-cache-ttl"}
        assert up.requests == []
        assert door.idle


async def test_a_seed_is_not_refreshed() -> None:
    """What a seed has said stands, whatever is asked of the cache."""
    async with ChaosUpstream(*different("one", "two")) as up, opened(kept(up)) as door:
        first = await door.post(SEED)
        again = await door.post(SEED, x_tollhouse_cache="refresh")
        assert said(again) == said(first)
        assert replay_of(again)[0] == "seed"
