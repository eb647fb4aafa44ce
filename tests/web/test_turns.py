"""One task serves what a connection brings: in order, one at a time, and nothing is kept between two requests."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from tests.web.test_server import LIMITS, Line
from tollhouse.web.connection import Connection
from tollhouse.web.exchange import Exchange
from tollhouse.web.server import Server

ASK = b"POST /v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nab"
ASK_MORE = b"POST /v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nabcd"


def connected(run: Callable[[Exchange], Awaitable[None]]) -> Connection:
    """A connection to a client that is not there, whose requests ``run`` serves."""

    async def serve(exchange: Exchange) -> None:
        await run(exchange)

    connection = Connection(Server(serve, LIMITS), serve, asyncio.get_running_loop())
    connection.connection_made(Line())
    return connection


async def turns(count: int = 3) -> None:
    """Lets the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_connection_has_one_task_however_much_it_is_asked() -> None:
    """It begins with the first request, serves them all, and ends with the connection."""
    before = asyncio.all_tasks()
    tasks: list[object] = []

    async def answer(exchange: Exchange) -> None:
        tasks.append(asyncio.current_task())
        exchange.reply(200, await exchange.body())

    connection = connected(answer)
    assert asyncio.all_tasks() == before, "a task of a connection that has asked nothing"
    for data in (ASK, ASK * 2, ASK_MORE, ASK_MORE, ASK_MORE):
        connection.data_received(data)
        await turns()
    assert len(tasks) == 6
    assert len(set(tasks)) == 1
    connection.connection_lost(None)
    await turns()
    assert asyncio.all_tasks() == before


async def test_requests_sent_at_once_let_others_in_between() -> None:
    """Handlers that never wait do not keep the loop to themselves."""
    seen: list[str] = []

    async def answer(exchange: Exchange) -> None:
        seen.append("asked")
        asyncio.get_running_loop().call_soon(seen.append, "other")
        exchange.reply(200, b"")

    connection = connected(answer)
    connection.data_received(ASK * 3)
    await turns(8)
    assert seen == ["asked", "other"] * 3
    connection.connection_lost(None)
    await turns()


async def test_nothing_of_a_request_is_held_while_the_next_is_waited_for() -> None:
    """Its body may be megabytes, and a connection may be idle for a minute."""

    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, b"")

    gc.collect()
    before = sum(isinstance(found, Exchange) for found in gc.get_objects())
    connection = connected(answer)
    connection.data_received(ASK)
    await turns()
    assert sum(isinstance(found, Exchange) for found in gc.get_objects()) == before
    connection.connection_lost(None)
    await turns()


@pytest.mark.parametrize("seen", [0, 1])
async def test_what_has_not_begun_when_the_client_leaves_never_begins(seen: int) -> None:
    """Be it the first request or a later one: no handler runs, and its bytes are given back."""
    begun = 0

    async def answer(exchange: Exchange) -> None:
        nonlocal begun
        begun += 1
        exchange.reply(200, b"")

    connection = connected(answer)
    server = connection._host
    for _ in range(seen):
        connection.data_received(ASK)
        await turns()
    connection.data_received(ASK * 3)
    assert server.bodies_bytes == 6
    connection.connection_lost(None)
    await turns()
    assert (begun, server.bodies_bytes) == (seen, 0)


async def test_a_client_that_leaves_between_two_requests_of_its_own() -> None:
    """The second has its place and has not begun: it is dropped as if it had waited."""
    begun = 0

    async def answer(exchange: Exchange) -> None:
        nonlocal begun
        begun += 1
        asyncio.get_running_loop().call_soon(connection.connection_lost, None)
        exchange.reply(200, b"")

    connection = connected(answer)
    server = connection._host
    connection.data_received(ASK * 2)
    await turns(6)
    assert (begun, server.bodies_bytes, asyncio.all_tasks()) == (1, 0, {asyncio.current_task()})
