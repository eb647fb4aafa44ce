"""A client that leaves, at every stage (F50-F54, D1): the upstream is let go within a second and nothing stays held."""

import asyncio
import gc
import socket
import struct
from pathlib import Path

import pytest

from tests.fakes.chaos import ChaosUpstream, Deaf, Hang, Pause, Send, Step, chunk
from tests.fakes.door import Door, eventually, opened
from tests.fakes.openai_wire import ROLE, completion, delta, stream, words
from tests.gateway.kit import ASK, STREAM, hosts
from tests.gateway.test_upstream_faults import SSE

PATIENT = "[timeouts]\nfirst_byte_s = 20.0\nidle_s = 20.0\n"


def leave(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Closes the client's side, in order or with RST."""
    sock = writer.get_extra_info("socket")
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


async def at_rest(door: Door) -> None:
    """Waits until nothing is served, held or counted."""
    await eventually(lambda: door.idle and not door.app.server.connections, within_s=3.0)
    assert door.app.server.bodies_bytes == 0


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


PHASES: dict[str, list[Step]] = {
    "f53 before headers": [Hang()],
    "before the first token": [Send(SSE + chunk(ROLE)), Hang()],
    "f54 in mid-stream": [Send(SSE + b"".join(chunk(part) for part in words("a", "b"))), Hang()],
}


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("phase", PHASES)
async def test_the_upstream_sees_the_disconnect_within_a_second(phase: str, *, streamed: bool, reset: bool) -> None:
    """D1: in every phase, streamed or not, the upstream's connection is closed within a second of the client's."""
    async with ChaosUpstream(PHASES[phase]) as up, opened(hosts(up, more=PATIENT)) as door:
        _, writer = await door.send("POST", "/v1/chat/completions", STREAM if streamed else ASK)
        await up.arrived()
        await asyncio.sleep(0.05)
        leave(writer, reset=reset)
        await up.gone(within_s=1.3)
        await at_rest(door)
        assert door.count("tollhouse_client_disconnects", "/v1/chat/completions") == 1


async def test_a3_a_stream_that_the_client_left_is_metered_for_what_it_was_given() -> None:
    """The tokens delivered before a disconnect are counted, once, as an estimate."""
    async with ChaosUpstream(PHASES["f54 in mid-stream"]) as up, opened(hosts(up, more=PATIENT)) as door:
        reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
        await reader.readuntil(b'"b"')
        leave(writer, reset=True)
        await at_rest(door)
        assert door.count("tollhouse_tokens", "up0", "m", "output") > 0
        assert door.count("tollhouse_estimated_usage", "up0") == 1


async def test_f50_f51_nothing_reaches_the_upstream_for_a_body_that_never_came() -> None:
    """A client that leaves in the middle of its body causes no upstream request."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {door.key}\r\n"
        writer.write(f"{head}content-length: 100\r\n\r\n{{".encode())
        await asyncio.sleep(0.05)
        writer.close()
        await at_rest(door)
        assert not up.visits


async def test_f54_after_the_last_token_the_answer_counts_as_delivered() -> None:
    """A client that leaves between the last token and [DONE] is metered by the upstream's own usage."""
    async with ChaosUpstream([Send(stream("a", "b"))]) as up, opened(hosts(up)) as door:
        reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
        await reader.readuntil(b"[DONE]")
        leave(writer, reset=True)
        await at_rest(door)
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 3
        assert door.count("tollhouse_estimated_usage", "up0") == 0


async def test_f57_a_half_closed_client_gets_its_whole_stream() -> None:
    """A client that sent FIN and reads on is served to the end while bytes flow."""
    parts = b"".join(chunk(delta({"content": str(number)})) for number in range(3))
    end = Send(chunk(delta({}, "stop")) + b"0\r\n\r\n")
    play: list[Step] = [Send(SSE + chunk(ROLE)), Pause(0.3), Send(parts), Pause(0.5), end]
    async with ChaosUpstream(play) as up, opened(hosts(up, more=PATIENT)) as door:
        reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
        writer.write_eof()
        body = await asyncio.wait_for(reader.read(-1), 5)
        assert b"[DONE]" in body
        writer.close()


async def test_f40_f58_a_client_that_does_not_read_holds_the_upstream_back() -> None:
    """Between a fast upstream and a client that reads nothing, at most a few hundred KiB are in flight."""
    piece = chunk(delta({"content": "x" * 4000}))
    total = 4000
    async with ChaosUpstream([Send(SSE + piece * total), Hang()]) as up, opened(hosts(up, more=PATIENT)) as door:
        reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
        assert isinstance(reader, asyncio.StreamReader)
        await up.arrived()
        await asyncio.sleep(0.7)
        unsent = up.visits[0].transport.get_write_buffer_size()
        assert unsent > len(piece) * total // 4, "the gateway swallowed what its client did not read"
        leave(writer, reset=True)
        await up.gone()
        await at_rest(door)


async def test_c5_descriptors_stay_flat_over_many_disconnects() -> None:
    """Three hundred clients that leave in mid-stream leave no descriptor behind."""
    async with ChaosUpstream(PHASES["f54 in mid-stream"]) as up, opened(hosts(up, more=PATIENT)) as door:

        async def visit() -> None:
            reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
            await reader.readuntil(b'"a"')
            leave(writer, reset=True)

        for _ in range(5):
            await asyncio.gather(*[visit() for _ in range(10)])
        await at_rest(door)
        gc.collect()
        before = open_descriptors()
        for _ in range(25):
            await asyncio.gather(*[visit() for _ in range(10)])
        await at_rest(door)
        await eventually(lambda: open_descriptors() <= before + 5)


async def test_f52_a_client_that_leaves_while_the_upstream_is_being_dialled_costs_nothing() -> None:
    """Admitted, but not yet connected: the dial is given up and nothing is metered."""
    with Deaf(full=True) as deaf:
        more = "[timeouts]\nconnect_s = 20.0\n"
        async with opened(hosts(deaf.port, more=more)) as door:
            _, writer = await door.send("POST", "/v1/chat/completions", ASK)
            await eventually(lambda: door.app.ledger.open_holds == 1)
            leave(writer, reset=True)
            await at_rest(door)
            assert door.count("tollhouse_tokens", "up0", "m", "input") == 0


async def test_a_disconnect_behind_a_pipelined_request_is_noticed_too() -> None:
    """A client that has sent ahead more than is kept, and leaves, still frees its upstream within a second."""
    async with ChaosUpstream([Hang()]) as up, opened(hosts(up, more=PATIENT)) as door:
        _, writer = await door.send("POST", "/v1/chat/completions", ASK, connection="keep-alive")
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-length: 900000\r\n\r\n"
        await up.arrived()
        writer.write(head + b"x" * 800_000)
        await asyncio.sleep(0.1)
        leave(writer, reset=True)
        await up.gone(within_s=1.3)
        await at_rest(door)
