"""Room in the gateway: a slot for each request, given back however it ends."""

import asyncio

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Hang, Send
from tests.fakes.door import eventually, opened
from tests.fakes.openai_wire import completion, failure
from tests.gateway.kit import ASK, hosts
from tests.gateway.test_disconnects import leave
from tollhouse.errors import Overloaded
from tollhouse.gateway.admission import Admission
from tollhouse.types.calls import Principal

WHO = Principal("key_1", "laptop")


def test_a_full_gateway_refuses_and_takes_nothing() -> None:
    """Over the limit the caller is told when to come back, and the count stays what it was."""
    admission = Admission(2)
    admission.admit(WHO)
    admission.admit(WHO)
    for _ in range(3):
        with pytest.raises(Overloaded) as refused:
            admission.admit(WHO)
        assert refused.value.headers == {"retry-after": "1"}
    assert admission.in_flight == 2
    admission.leave()
    admission.admit(WHO)
    assert admission.in_flight == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", b"{"),
        ("/v1/chat/completions", {**ASK, "model": "nope"}),
        ("/v1/chat/completions", ASK),
        ("/v1/embeddings", {"model": "both"}),
        ("/v1/embeddings", {"model": "both", "input": "x"}),
        ("/v1/audio/transcriptions", b"no form"),
    ],
)
async def test_a_request_that_fails_gives_its_slot_back(path: str, body: object) -> None:
    """However a request is refused, the next one has room, in a gateway with room for one."""
    async with ChaosUpstream([Send(failure(500))]) as up:
        async with opened(hosts(up, more="[server]\nmax_in_flight = 1")) as door:
            statuses = {(await door.post(body, path)).status for _ in range(3)}
            assert len(statuses) == 1
            assert 503 not in statuses
            assert door.app.admission.in_flight == 0


async def test_a_wrong_key_takes_no_room() -> None:
    """Who has no key is refused before there is a question of room."""
    async with opened("[server]\nmax_in_flight = 1\n") as door:
        door.app.admission.in_flight = 1
        assert (await door.post(ASK, authorization="Bearer wrong")).status == 401
        assert (await door.post({"input": "x"}, "/v1/embeddings", authorization="")).status == 401
        door.app.admission.in_flight = 0


async def test_live_requests_fill_the_gateway_and_their_end_empties_it() -> None:
    """While two requests run the third is refused without an upstream call; when they end it is served."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go), Send(completion())]) as up:
        more = "[server]\nmax_in_flight = 2\n[timeouts]\nfirst_byte_s = 20.0\n"
        async with opened(hosts(up, more=more)) as door:
            running = [asyncio.create_task(door.post(ASK)) for _ in range(2)]
            await up.arrived(2)
            refused = await door.post(ASK)
            assert (refused.status, refused.error["code"]) == (503, "overloaded")
            assert refused.headers["retry-after"] == "1"
            assert len(up.requests) == 2
            assert (await door.get("/healthz")).status == 200
            go.set()
            assert [answer.status for answer in await asyncio.gather(*running)] == [200, 200]
            assert (await door.post(ASK)).status == 200


async def test_a_client_that_leaves_gives_its_slot_back() -> None:
    """A disconnect frees the slot, so that the next client is served."""
    more = "[server]\nmax_in_flight = 1\n[timeouts]\nfirst_byte_s = 20.0\n"
    async with ChaosUpstream([Hang()], [Send(completion())]) as up:
        async with opened(hosts(up, more=more)) as door:
            _, writer = await door.send("POST", "/v1/chat/completions", ASK)
            await up.arrived()
            leave(writer, reset=True)
            await eventually(lambda: door.app.admission.in_flight == 0)
            assert (await door.post(ASK)).status == 200
