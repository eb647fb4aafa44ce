"""The models inside this process as hosts: what is offered, when it starts, and what a client of the gateway gets."""

import asyncio
import base64
import struct
from pathlib import Path

import pytest

from tests.fakes.chaos import ChaosUpstream, Send, closed_port, head
from tests.fakes.door import HELLO, Door, eventually, opened
from tollhouse.config import Settings
from tollhouse.engines.embedded import Engines, Once, OnDemand, Switch, model_of, start_engines
from tollhouse.engines.local import TINY_PATH, LocalEngine
from tollhouse.engines.local_loader import LocalEngineError
from tollhouse.engines.sim.completion import CONTEXT_TOKENS, TOTAL_MAX
from tollhouse.engines.sim.model import Sim
from tollhouse.errors import UpstreamBadResponse, UpstreamUnavailable, UpstreamUnreachable
from tollhouse.settings.keys import Embedded, Local
from tollhouse.types.calls import Host, ModelFacts
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Outgoing, Timeouts

WITH_TINY = "[discovery]\nenvironment = false\nloopback = false\n"
GET = Outgoing("GET", "/v1/x", (("accept", "*/*"), ("authorization", "Bearer client")), b"")
QUICK = Timeouts(connect_s=1.0, first_byte_s=2.0, idle_s=2.0, total_s=5.0)


async def engines_of(*gguf: str, sim: bool = False, guide: bool = False, tiny: bool = False) -> Engines:
    """The engines of these settings."""
    return await start_engines(Settings(embedded=Embedded(sim, guide, tiny), local=Local(gguf=gguf)))


# --- what there is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sim", "guide"), [(True, True), (True, False), (False, True), (False, False)])
async def test_each_own_model_can_be_turned_off(sim: bool, guide: bool) -> None:
    """What is off is not offered; with neither there is no host at all."""
    engines = await engines_of(sim=sim, guide=guide)
    offered = {model for host in engines.hosts for model in host.offer.models}
    assert offered == {name for name, on in (("sim", sim), ("guide", guide)) if on}
    assert {name for name, runs, _ in engines.lines if runs} == {f"tollhouse/{name}" for name in offered}


async def test_a_file_that_is_no_model_is_a_line_of_the_report(tmp_path: Path) -> None:
    """A damaged GGUF does not keep the gateway from starting: it is reported, and the other models are served."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    engines = await engines_of(str(broken), str(tmp_path / "gone.gguf"), sim=True)
    lines = {name: (runs, why) for name, runs, why in engines.lines}
    assert lines["tollhouse/sim"][0]
    for name in ("broken", "gone"):
        runs, why = lines[name]
        assert not runs
        assert name in why
    assert not engines.aliases
    engines.close()


async def test_tiny_is_offered_without_being_loaded() -> None:
    """Its facts come from the file; no engine runs until somebody asks."""
    engines = await engines_of(tiny=True)
    (host,) = engines.hosts
    assert host.offer.models["tollhouse/tiny"].context_tokens == 2048
    assert host.relays.keys() == {"embeddings"}
    assert engines._running == []
    engines.close()


async def test_a_request_goes_to_the_engine_of_its_model() -> None:
    """One host, several models; a name that is not there is a bad response, not a wrong engine's answer."""
    sim = Sim()
    switch = Switch({"sim": sim})
    body = b'{"model": "sim", "messages": [{"role": "user", "content": "x"}]}'
    reply = await switch.send(Outgoing("POST", "/v1/chat/completions", (), body), QUICK)
    assert reply.status == 200
    reply.close()
    with pytest.raises(UpstreamBadResponse, match="no embedded model 'other'"):
        await switch.send(Outgoing("POST", "/v1/chat/completions", (), b'{"model": "other"}'), QUICK)
    await switch.aclose()


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"sim","x":"%s"}',
        '{"x":"%s","model":"sim"}',
        '{"metadata":{"model":"guide"},"x":"%s","model":"sim","n":1}',
        '{"x":"%s,\\"model\\":\\"guide\\"","model": "sim" , "inner":{"y":1,"model":"guide"}}',
        '{"x":"%s","model":"sim","inner":[{"model":"guide"}]}',
    ],
)
@pytest.mark.parametrize("size", [10, 300_000])
async def test_the_model_is_the_outer_one(body: str, size: int) -> None:
    """However large the body, and wherever the name stands, no inner object and no text is taken for it."""
    assert await model_of((body % ("x" * size)).encode()) == "sim"


async def test_own_models_list_what_they_take() -> None:
    """The simulated model lists its media and abilities, the guide text alone; both list limits that they keep."""
    engines = await engines_of(sim=True, guide=True)
    (host,) = engines.hosts
    sim, guide = host.offer.models["sim"], host.offer.models["guide"]
    assert sim.input_kinds == ("text", "image", "audio", "pdf")
    assert sim.output_kinds == ("text", "audio")
    assert (guide.input_kinds, guide.output_kinds) == (("text",), ("text",))
    assert (sim.tools, guide.tools) == (True, False)
    assert sim.context_tokens == guide.context_tokens == CONTEXT_TOKENS
    assert sim.output_tokens == TOTAL_MAX
    engines.close()


# --- starting on demand --------------------------------------------------------------------------------------------


async def test_a_thing_is_made_once_for_all_who_want_it() -> None:
    """Ten at once wait for one making; who leaves does not stop it; later ones have it at once."""
    made: list[int] = []
    go = asyncio.Event()

    async def make() -> int:
        made.append(len(made))
        await go.wait()
        return made[-1]

    once = Once(make)
    waiting = [asyncio.create_task(once.get()) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    go.set()
    assert (await asyncio.gather(*waiting, return_exceptions=True))[1:] == [0] * 9
    assert await once.get() == 0
    assert made == [0]


async def test_a_failure_is_not_for_ever() -> None:
    """All who waited are told; the next who wants it tries again."""
    results = [OSError("no"), OSError("no")]

    async def make() -> str:
        await asyncio.sleep(0)
        if results:
            raise results.pop()
        return "made"

    once = Once(make)
    told = await asyncio.gather(once.get(), once.get(), return_exceptions=True)
    assert [type(one) for one in told] == [OSError, OSError]
    assert len(results) == 1
    with pytest.raises(OSError, match="no"):
        await once.get()
    assert await once.get() == "made"


async def test_the_engines_key_takes_the_place_of_any_other() -> None:
    """What starts on demand is asked with its own credential, through one pool."""
    answer = Send(head(200, "content-length: 2") + b"ok")
    async with ChaosUpstream([answer]) as up:
        starts: list[int] = []

        async def start() -> Host:
            starts.append(1)
            await asyncio.sleep(0.01)
            return Host("h", f"{up.url}/v1", Secret("engine-key"))

        demand = OnDemand(start)
        await demand.aclose()
        replies = await asyncio.gather(*[demand.send(GET, QUICK) for _ in range(3)])
        assert [await reply.read(10) for reply in replies] == [b"ok"] * 3
        assert len(starts) == 1
        assert {request.headers["authorization"] for request in up.requests} == {"Bearer engine-key"}
        await demand.aclose()


async def test_a_model_that_does_not_start_is_unavailable_and_tried_again() -> None:
    """The client is told why with a 503; the next request tries anew."""
    starts: list[int] = []

    async def start() -> Host:
        await asyncio.sleep(0)
        starts.append(1)
        raise LocalEngineError("not enough memory")

    demand = OnDemand(start)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable, match="not enough memory"):
            await demand.send(GET, QUICK)
    assert len(starts) == 2


async def test_a_local_model_is_loaded_once_by_chat_and_embeddings_together() -> None:
    """Two endpoints that first ask at the same moment share one engine, and close stops what runs."""
    engines = Engines()
    starts: list[int] = []

    async def start() -> LocalEngine:
        starts.append(1)
        await asyncio.sleep(0.01)
        raise LocalEngineError("stop here")

    engines.add_local("x", ModelFacts("x", "x"), start)
    (host,) = engines.hosts
    both = [host.connector.send(GET, QUICK), host.relays["embeddings"].send(GET, QUICK)]
    told = await asyncio.gather(*both, return_exceptions=True)
    assert [type(one) for one in told] == [UpstreamUnavailable, UpstreamUnavailable]
    assert len(starts) == 1
    engines.close()


# --- through the gateway -------------------------------------------------------------------------------------------


async def vector(door: Door, text: str, **more: object) -> list[float]:
    """One embedding."""
    answer = await door.post({"model": "tollhouse/tiny", "input": text, **more}, "/v1/embeddings")
    assert answer.status == 200, answer.body
    (item,) = answer.json["data"]
    found = item["embedding"]
    if isinstance(found, str):
        raw = base64.b64decode(found)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    assert isinstance(found, list)
    return found


async def test_a_real_model_chats_and_embeds_through_the_gateway() -> None:
    """``tollhouse/tiny`` answers, streams and makes vectors, under its own name, metered, with nothing left open."""
    async with opened("", quiet=WITH_TINY) as door:
        chat = {**HELLO, "model": "tollhouse/tiny", "max_tokens": 8}
        first, embedded = await asyncio.gather(door.post(chat), vector(door, "a door"))
        assert (first.status, first.json["model"]) == (200, "tollhouse/tiny")
        assert (await door.post({**chat, "stream": True})).lines[-1] == b"[DONE]"
        assert len(embedded) > 32
        assert sum(part * part for part in embedded) == pytest.approx(1.0, abs=1e-3)
        assert await vector(door, "a door") == pytest.approx(embedded, abs=1e-4)
        assert await vector(door, "a door", encoding_format="base64") == pytest.approx(embedded, abs=1e-4)
        assert await vector(door, "seven green bottles") != pytest.approx(embedded, abs=1e-2)
        many = await door.post({"model": "tollhouse/tiny", "input": ["a", "b", "c"]}, "/v1/embeddings")
        assert [item["index"] for item in many.json["data"]] == [0, 1, 2]
        assert many.json["model"] == "tollhouse/tiny"
        assert many.json["usage"]["prompt_tokens"] > 0
        assert door.count("tollhouse_tokens", "tollhouse/tiny", "tollhouse/tiny", "input") > 0
        other = await door.post({"model": "tollhouse/tiny", "input": "x"}, "/v1/moderations")
        assert (other.status, other.error["code"]) == (404, "model_not_found")
        await eventually(lambda: door.idle)


async def test_an_input_over_the_context_is_the_clients_fault() -> None:
    """A text too long for the model is a 400 that says so, and the next one works."""
    async with opened("", quiet=WITH_TINY) as door:
        long = await door.post({"model": "tollhouse/tiny", "input": "word " * 5000}, "/v1/embeddings")
        assert (long.status, long.error["code"]) == (400, "context_length_exceeded")
        assert await vector(door, "short")


async def test_a_file_is_served_under_its_own_name(tmp_path: Path) -> None:
    """[local] gguf serves any file, listed and called by its name, beside what else there is."""
    path = tmp_path / "my-model.gguf"
    path.symlink_to(TINY_PATH)
    async with opened(f'[local]\ngguf = ["{path}"]\ncontext_tokens = 256\n') as door:
        listed = [model["id"] for model in (await door.get("/v1/models")).json["data"]]
        assert listed[0] == "my-model"
        assert "my-model/my-model" not in listed
        answer = await door.post({**HELLO, "model": "my-model", "max_tokens": 4})
        assert (answer.status, answer.json["model"]) == (200, "my-model")
        assert (await door.get("/v1/models/my-model")).json["context_length"] == 256


async def test_a_dead_engine_is_no_dead_gateway() -> None:
    """When what started on demand has gone away, its requests fail as any upstream's do."""
    port = closed_port()

    async def start() -> Host:
        await asyncio.sleep(0)
        return Host("h", f"http://127.0.0.1:{port}/v1", auth="none")

    demand = OnDemand(start)
    for _ in range(2):
        with pytest.raises(UpstreamUnreachable):
            await demand.send(GET, QUICK)
    await demand.aclose()
