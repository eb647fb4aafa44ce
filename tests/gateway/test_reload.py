"""Reload under way: the next request sees the new configuration, a running one keeps its own, and nothing fails."""

import asyncio
import gc
from pathlib import Path

from tests.fakes.chaos import Await, ChaosUpstream, Pause, Send, Step, chunk
from tests.fakes.door import QUIET, Door, eventually, opened
from tests.fakes.openai_wire import DONE, STOP, completion, delta, stream
from tests.gateway.kit import ASK, STREAM, hosts
from tests.gateway.test_upstream_faults import SSE

CALM = "[timeouts]\nfirst_byte_s = 20.0\nidle_s = 20.0\n"


def rewrite(door: Door, text: str) -> None:
    """Puts other settings into the file that the gateway follows."""
    door.config_file.write_text(f"{text}\n{QUIET}")


async def reload(door: Door, text: str) -> str:
    """Other settings, read now; how that ended."""
    rewrite(door, text)
    await door.app.parts.reloader.reload()
    return str(door.app.parts.reloader.report()["last_reload"]["result"])


def word(answer: object) -> str:
    """What a whole answer says."""
    assert isinstance(answer, dict)
    return str(answer["choices"][0]["message"]["content"])


async def test_the_next_request_sees_the_new_file_within_seconds() -> None:
    """A file that is written is followed without a signal: another host answers under the same name."""
    async with ChaosUpstream([Send(completion("old"))]) as old, ChaosUpstream([Send(completion("new"))]) as new:
        async with opened(hosts(old)) as door:
            assert word((await door.post(ASK)).json) == "old"
            rewrite(door, hosts(new))
            await eventually(lambda: door.count("tollhouse_config_reloads", "ok") == 1)
            assert word((await door.post(ASK)).json) == "new"


async def test_a_live_stream_keeps_its_host_to_the_end() -> None:
    """A reload that takes a stream's host away leaves that stream alone; its connection closes when it has ended."""
    go = asyncio.Event()
    begun, ended = SSE + chunk(delta({"content": "be"})), chunk(delta({"content": "gun"}) + STOP + DONE) + b"0\r\n\r\n"
    async with ChaosUpstream([Send(begun), Await(go), Send(ended)]) as old, ChaosUpstream([Send(stream("new"))]) as new:
        async with opened(hosts(old, more=CALM)) as door:
            running = asyncio.create_task(door.post(STREAM))
            await old.arrived()
            assert await reload(door, hosts(new, more=CALM)) == "ok"
            assert (await door.post(STREAM)).text == "new"
            assert not old.visits[0].gone
            go.set()
            answer = await running
            assert (answer.text, answer.lines[-1]) == ("begun", b"[DONE]")
            await old.gone()


async def test_a_request_whose_body_was_still_coming_is_served() -> None:
    """A reload between a request's head and its body fails nothing, though the host of that moment is gone."""
    async with ChaosUpstream([Send(completion("old"))]) as old, ChaosUpstream([Send(completion("new"))]) as new:
        async with opened(hosts(old)) as door:
            body = b'{"model": "both", "messages": [{"role": "user", "content": "hello"}]}'
            reader, writer = await door.send("POST", "/v1/chat/completions", body[:10], content_length=str(len(body)))
            await eventually(lambda: door.app.server.busy == 1)
            assert await reload(door, hosts(new)) == "ok"
            writer.write(body[10:])
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.read()
            assert len(old.requests) + len(new.requests) == 1


async def test_a_request_falls_back_to_a_target_that_was_reloaded_away() -> None:
    """The targets a request began with are all tried, also those that the settings no longer have."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go), Send(b"junk\r\n\r\n")]) as first:
        async with ChaosUpstream([Send(completion("second"))]) as second, ChaosUpstream([Send(completion())]) as new:
            async with opened(hosts(first, second, more=CALM)) as door:
                running = asyncio.create_task(door.post(ASK))
                await first.arrived()
                assert await reload(door, hosts(new)) == "ok"
                go.set()
                assert word((await running).json) == "second"


async def test_an_unchanged_host_keeps_its_connections() -> None:
    """A reload that changes an alias and a timeout opens no connection anew; one that changes the host does."""
    async with ChaosUpstream([Send(completion())]) as up, ChaosUpstream([Send(completion())]) as other:
        async with opened(hosts(up)) as door:
            await door.post(ASK)
            pools = door.app.parts.live.snapshot.pools
            more = hosts(up, more="[timeouts]\nconnect_s = 2.0\n") + '[models.too]\ntargets = ["up0/m"]\n'
            assert await reload(door, more) == "ok"
            assert (await door.post({**ASK, "model": "too"})).status == 200
            assert list(door.app.parts.live.snapshot.pools.values()) == list(pools.values())
            assert len(up.visits) == 1
            assert await reload(door, hosts(other)) == "ok"
            await up.gone()


async def test_aliases_follow_the_file_and_the_model_list_too() -> None:
    """A new alias can be called and is listed, a removed one is 404, and a broken one says what is wrong with it."""
    async with opened('[models]\nfirst = "tollhouse/sim"\n') as door:
        assert await reload(door, '[models]\nsecond = "tollhouse/sim"\nlost = "openai/gpt-4o"\n') == "ok"
        assert (await door.post({**ASK, "model": "second"})).status == 200
        assert (await door.post({**ASK, "model": "first"})).status == 404
        listed = {model["id"] for model in (await door.get("/v1/models")).json["data"]}
        assert "second" in listed
        assert not {"first", "lost"} & listed
        assert door.app.parts.reloader.report()["unresolved"] == [["lost", "openai/gpt-4o"]]


async def test_embedded_models_survive_a_reload() -> None:
    """The engines of this process are the same ones after a reload, with what they have loaded."""
    async with opened() as door:
        before = door.app.parts.live.snapshot.connectors["tollhouse"]
        assert await reload(door, '[models]\nx = "tollhouse/sim"\n') == "ok"
        assert door.app.parts.live.snapshot.connectors["tollhouse"] is before


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


async def test_f111_two_hundred_reloads_under_load_fail_no_request_and_leak_nothing() -> None:
    """While hosts come, go and break in the file, answers are whole; descriptors and tasks end as they began."""
    play: list[Step] = [Pause(0.002), Send(stream("a", "b", "c"), size=60)]
    async with ChaosUpstream(play) as one, ChaosUpstream(play) as two:
        texts = [hosts(one), hosts(two, one), "[server]\nnonsense = 1\n", hosts(two), hosts(one, two)]
        async with opened(hosts(one)) as door:
            stop = asyncio.Event()
            answers: list[str] = []

            async def client() -> None:
                while not stop.is_set():
                    answer = await door.post(STREAM)
                    answers.append(answer.text if answer.status == 200 and answer.ended else answer.body.decode())

            await door.post(STREAM)
            gc.collect()
            before = open_descriptors(), len(asyncio.all_tasks())
            clients = [asyncio.create_task(client()) for _ in range(4)]
            results = [await reload(door, texts[number % len(texts)]) for number in range(200)]
            stop.set()
            await asyncio.gather(*clients)
            assert results.count("invalid") == 40
            assert len(answers) > 50
            assert set(answers) == {"abc"}
            assert await reload(door, hosts(one)) == "ok"
            for writer in door.writers:
                writer.close()
            await eventually(lambda: door.idle and not door.app.server.connections)
            gc.collect()
            await eventually(
                lambda: open_descriptors() <= before[0] + 2 * len(clients)
            )  # both ends of idle connections
            one.tasks[:], two.tasks[:] = ([task for task in up.tasks if not task.done()] for up in (one, two))
            await eventually(lambda: len(asyncio.all_tasks()) <= before[1] + len(one.tasks) + len(two.tasks))
