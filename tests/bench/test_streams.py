"""The stream client and the paced upstream of the speed harness, against each other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.load_stream import Totals, Window, encode_request, report, run

from bench import paced_upstream, payloads

TOKENS = 12


@asynccontextmanager
async def upstream(content: Sequence[bytes] = paced_upstream.CONTENT) -> AsyncIterator[int]:
    """A paced upstream in this process; yields its port."""
    server = await paced_upstream.serve(0, 0.004, content)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def measure(port: int, streams: int) -> Totals:
    """Some streams of a few tokens, to their ends."""
    body = payloads.request(payloads.MODEL, stream=True, max_tokens=TOKENS)
    request = encode_request("/v1/chat/completions", {"Content-Type": "application/json"}, body)
    totals = Totals(streams, TOKENS)
    await run(port, request, totals, [], 0.01)
    return totals


async def test_every_token_is_counted() -> None:
    """Streams that arrive whole are counted whole, token by token."""
    async with upstream() as port:
        totals = await measure(port, 3)
    assert (totals.whole, totals.received, dict(totals.faults)) == (3, 3 * TOKENS, {})
    assert report(totals, Window(1.0, 36, 0.0, 0.0))["lost"] == 0


async def test_a_lost_token_is_noticed() -> None:
    """A stream from which one event is missing is not whole."""
    async with upstream(paced_upstream.CONTENT[:5] + paced_upstream.CONTENT[6:]) as port:
        totals = await measure(port, 1)
    assert totals.whole == 0
    assert sum(totals.faults.values()) == 1


async def test_a_refused_stream_is_a_fault() -> None:
    """A gateway that answers a stream with an error status loses every token of it."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        totals = await measure(int(server.sockets[0].getsockname()[1]), 2)
    assert dict(totals.faults) == {"status 500": 2}
