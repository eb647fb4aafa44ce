"""What a request leaves behind: nothing that only the garbage collector could free.

A request's body may be megabytes, and the collector counts objects, not bytes. So a failure must not tie a knot of
exception, frames and request (see `tollhouse.errors.let_go`), nor a connection one of itself and its parser.
"""

import asyncio
import gc
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Hang, Reset, Send, Step, chunked, whole
from tests.fakes.door import HELLO, Door, eventually, opened
from tests.fakes.openai_wire import event, failure, words
from tests.gateway.kit import hosts
from tollhouse.errors import Draining
from tollhouse.types.calls import ChatCall
from tollhouse.web.exchange import Exchange

BROKEN = chunked(*words("a", "b"))[:-5]
PLAYS: dict[str, Sequence[Step]] = {
    "closes": [Close()],
    "resets": [Reset()],
    "hangs": [Hang()],
    "not http": [Send(b"zz\r\n\r\n")],
    "not json": [Send(whole(b"<html>"))],
    "says 400": [Send(failure(400))],
    "says 429": [Send(failure(429))],
    "says 500": [Send(failure(500))],
    "breaks off": [Send(BROKEN), Close()],
    "stalls": [Send(BROKEN)],
    "error event": [Send(chunked(*words("a"), event({"error": {"message": "m"}})))],
    "bad event": [Send(chunked(*words("a"), b"data: {zz\n\n"))],
}
PATHS: dict[str, dict[str, Any]] = {"chat/completions": HELLO, "completions": {"prompt": "x"}}
QUICK = "[timeouts]\nfirst_byte_s = 0.1\nidle_s = 0.1\n"
SLOW = "[timeouts]\nfirst_byte_s = 9\nidle_s = 9\n"
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {key}\r\n"
ODD = {
    "not http": "GET\r\n\r\n",
    "bad chunk": HEAD + "transfer-encoding: chunked\r\n\r\nzz\r\n",
    "cut body": HEAD + "content-length: 9\r\n\r\n{{",
    "cut head": HEAD,
    "two at once": "GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n" * 2,
    "upgrade": "GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    "tunnel": "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
}
BAD: dict[str, object] = {
    "not json": b"{",
    "too deep": b"[" * 9000,
    "wrong type": {"model": 1, **HELLO},
    "no such model": {"model": "nobody/knows", **HELLO},
    "scripted error": {"model": "tollhouse/sim", "messages": [{"role": "user", "content": "[sim status=500]"}]},
}


@pytest.fixture
async def quiet() -> AsyncIterator[None]:
    """The collector off, and blind to all that other tests have made, garbage or not."""
    gc.freeze()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()
    gc.unfreeze()


async def left_by(door: Door, act: Callable[[], Awaitable[object]]) -> list[str]:
    """What is ours among what only the collector finds after the second ``act``, and requests that somebody holds."""
    await act()
    await settled(door)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    await act()
    await settled(door)
    held = [describe(found) for found in gc.get_objects() if isinstance(found, (ChatCall, Exchange))]
    gc.collect()
    return held + [describe(found) for found in gc.garbage if is_ours(found)]


async def settled(door: Door) -> None:
    """Waits until the gateway is at rest and its sockets are closed."""
    await eventually(lambda: door.idle and not door.app.server.connections)
    await asyncio.sleep(0.02)


def is_ours(found: object) -> bool:
    """Whether an object is made by Tollhouse, or is a frame of its code."""
    code = getattr(found, "gi_code", None) or getattr(found, "cr_code", None) or getattr(found, "f_code", None)
    if isinstance(code, types.CodeType):
        return "/tollhouse/" in code.co_filename
    return type(found).__module__.partition(".")[0] in {"tollhouse", "httptools"}


def describe(found: object) -> str:
    """For the report of a failure."""
    return f"{type(found).__qualname__} {str(found)[:120]}"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("play", PLAYS)
async def test_a_failed_request_is_freed_without_the_garbage_collector(play: str, path: str, *, stream: bool) -> None:
    """However a host fails, nothing of the request stays in a cycle."""
    async with ChaosUpstream(PLAYS[play]) as upstream, opened(hosts(upstream, more=QUICK)) as door:
        body = {"model": "up0/m", **PATHS[path], "stream": stream}
        assert await left_by(door, lambda: door.post(body, f"/v1/{path}")) == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("second", ["ok", "fails"])
async def test_a_second_attempt_leaves_no_cycle_of_the_first(second: str) -> None:
    """The fault of a target that another made good, or that a common fault names, is let go."""
    play = [Send(chunked(*words("a", "b")))] if second == "ok" else [Send(failure(500))]
    async with (
        ChaosUpstream([Close()]) as first,
        ChaosUpstream(play) as other,
        opened(hosts(first, other)) as door,
    ):
        body = {"model": "both", **HELLO, "stream": True}
        assert await left_by(door, lambda: door.post(body)) == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("where", ["refused", "tls"])
async def test_a_host_that_cannot_be_reached_leaves_no_cycle(where: str) -> None:
    """Nor does a connection that was never made, or whose handshake failed."""
    async with ChaosUpstream([Send(b"zz")], answer_at="connect") as upstream:
        port = upstream.port
        base = f"https://127.0.0.1:{port}/v1" if where == "tls" else "http://127.0.0.1:1/v1"
        async with opened(hosts(base)) as door:
            assert await left_by(door, lambda: door.post({"model": "up0/m", **HELLO})) == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("case", BAD)
async def test_a_refused_request_leaves_no_cycle(case: str) -> None:
    """Neither does a body that is refused, nor an error of an embedded model."""
    async with opened() as door:
        assert await left_by(door, lambda: door.post(BAD[case])) == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("case", ODD)
async def test_a_closed_connection_leaves_no_cycle(case: str) -> None:
    """Neither does a client that breaks HTTP, or leaves in the middle of a request."""
    async with opened() as door:

        async def act() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(ODD[case].format(key=door.key).encode())
            await asyncio.sleep(0.02)
            writer.close()

        assert await left_by(door, act) == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("play", ["hangs", "stalls"])
@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_request_that_is_cut_short_leaves_no_cycle(who: str, play: str, *, stream: bool) -> None:
    """Neither does a client that leaves while a host is asked, nor a drain that ends what still runs."""
    async with ChaosUpstream(PLAYS[play]) as upstream, opened(hosts(upstream, more=SLOW)) as door:

        async def act() -> None:
            _, writer = await door.send("POST", "/v1/chat/completions", {"model": "up0/m", **HELLO, "stream": stream})
            await asyncio.sleep(0.05)
            for connection in tuple(door.app.server.connections) if who == "server" else ():
                connection.interrupt(Draining("The gateway is shutting down."))
            writer.transport.abort()

        assert await left_by(door, act) == []
