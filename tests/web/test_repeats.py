"""Heads that repeat: taken without the parser, and never for anything but what the parser would have made of it."""

import asyncio
import random

import httptools
import pytest

from tests.web.conftest import serving
from tollhouse.web.connection import Connection
from tollhouse.web.exchange import Exchange
from tollhouse.web.host import Host
from tollhouse.web.limits import ServerLimits
from tollhouse.web.repeats import Repeats

HEAD = b"POST /v1/echo?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nAuthorization: Bearer k\r\n\r\n"


class NoChannel:
    """A connection that nothing is sent to."""

    def send(self, data: bytes) -> None:
        """Nothing."""

    async def writable(self) -> None:
        """At once."""

    def abort(self) -> None:
        """Nothing."""


class Parsed:
    """What the parser makes of bytes."""

    def __init__(self, data: bytes) -> None:
        self.exchange = Exchange(NoChannel(), "c", 0.0)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """The target."""
        self.exchange.path, _, self.exchange.query = url.partition(b"?")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self.exchange.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self.exchange.method = self.parser.get_method().decode()
        self.exchange.http_1_0 = self.parser.get_http_version() == "1.0"
        self.exchange.keep_alive = self.parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.exchange.add_body(data)

    def on_message_complete(self) -> None:
        """The end."""
        self.exchange.close_body()


def taught(data: bytes, *, times: int = 2) -> Repeats:
    """One that has seen a request so many times."""
    repeats = Repeats()
    for _ in range(times):
        repeats.learn(Parsed(data).exchange, data)
    return repeats


def read(repeats: Repeats, data: bytes, host: Host[Connection] | None = None) -> Exchange | None:
    """What is known of these bytes."""
    return repeats.read(data, host or Host[Connection](ServerLimits()), NoChannel(), "c", 5.0)


async def body_of(exchange: Exchange) -> bytes:
    """The body, which has arrived."""
    return await asyncio.wait_for(exchange.body(), 1)


def request(body: bytes) -> bytes:
    """The usual request."""
    return HEAD % len(body) + body


async def test_a_head_that_repeats_means_the_same_with_another_length() -> None:
    """Method, path, query and headers are the parser's; length and body are the request's own."""
    repeats = taught(request(b"abc"))
    host = Host[Connection](ServerLimits())
    for body in (b"abc", b"", b"x" * 12345):
        data = request(body)
        exchange, parsed = read(repeats, data, host), Parsed(data).exchange
        assert exchange is not None
        for name in ("method", "path", "query", "headers", "keep_alive", "http_1_0", "complete", "body_bytes", "fault"):
            assert getattr(exchange, name) == getattr(parsed, name), name
        assert (await body_of(exchange), exchange.started_at, exchange.client) == (body, 5.0, "c")
    assert host.bodies_bytes == 3 + 12345


@pytest.mark.parametrize("size", [*range(13), *range(95, 105), *range(996, 1004), 99_999, 100_000])
async def test_a_length_may_have_any_number_of_digits(size: int) -> None:
    """It follows from the bytes that are there, wherever it grows by a digit."""
    exchange = read(taught(request(b"abc")), request(b"x" * size))
    assert exchange is not None
    assert (len(await exchange.body()), exchange.headers[b"content-length"]) == (size, b"%d" % size)


async def test_what_is_read_twice_is_two_requests() -> None:
    """A handler that changes the headers it was given changes nobody else's."""
    repeats = taught(request(b"abc"))
    first = read(repeats, request(b"a"))
    assert first is not None
    first.headers[b"host"] = b"evil"
    second = read(repeats, request(b"b"))
    assert second is not None
    assert second.headers[b"host"] == b"x"


@pytest.mark.parametrize(
    "data",
    [
        request(b"abc") + b"P",
        request(b"abc")[:-1],
        request(b"abc").replace(b"Bearer k", b"Bearer l"),
        request(b"abc").replace(b"Host", b"host"),
        request(b"abc").replace(b": 3", b": +3"),
        request(b"abc").replace(b": 3", b": 3 "),
        request(b"abc").replace(b": 3", b": "),
        request(b"abc").replace(b": 3", b": 0x3"),
        request(b"abc").replace(b": 3", b": 3, 3"),
        request(b"abc").replace(b": 3", b": 3\r\nContent-Length: 3"),
        request(b"abc").replace(b": 3", b": 000000000003"),
        request(b"abc").replace(b": 3", b": 3\r"),
        b"\r\n" + request(b"abc"),
        b"",
    ],
)
def test_anything_else_is_left_to_the_parser(data: bytes) -> None:
    """Bytes that are not exactly one request with the known head are not read here."""
    assert read(taught(request(b"abc")), data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 2048 + b"\r\nContent-Length: 1\r\n\r\na",
    ],
)
def test_what_is_not_usual_is_not_learnt(data: bytes) -> None:
    """Only heads of requests after which the parser stands between two requests, and small ones."""
    assert read(taught(data), data) is None


def test_a_refused_head_is_not_learnt() -> None:
    """What `judge` found wrong is looked at again."""
    data, repeats = request(b"a"), Repeats()
    for _ in range(3):
        exchange = Parsed(data).exchange
        exchange.close_body(ValueError())  # type: ignore[arg-type]
        repeats.learn(exchange, data)
    assert read(repeats, data) is None


def test_nothing_is_kept_of_a_single_request_nor_of_a_client_that_never_repeats_itself() -> None:
    """The first head is not learnt; after a few others nothing is."""
    data = request(b"a")
    assert read(taught(data, times=1), data) is None
    repeats = Repeats()
    for number in range(9):
        told = data.replace(b"Bearer k", b"Bearer %d" % number)
        assert read(repeats, told) is None
        repeats.learn(Parsed(told).exchange, told)
        known = read(repeats, told) is not None
        assert known == (1 <= number <= 4)


def test_a_head_is_forgotten_when_the_parser_goes_no_further() -> None:
    """After ``Connection: close`` whatever comes is the parser's to refuse."""
    repeats = taught(request(b"a"))
    repeats.forget()
    assert read(repeats, request(b"a")) is None


@pytest.mark.parametrize("limits", [ServerLimits(max_body_bytes=4), ServerLimits(max_bodies_bytes=4)])
def test_a_body_without_room_is_left_to_the_parser(limits: ServerLimits) -> None:
    """Which refuses it by its head."""
    host = Host[Connection](limits)
    assert read(taught(request(b"a")), request(b"abcde"), host) is None
    assert host.bodies_bytes == 0
    assert read(taught(request(b"a")), request(b"abcd"), host) is not None


def test_whatever_is_read_here_the_parser_reads_the_same() -> None:
    """Random damage to a request: what is taken at all is what the parser makes of it."""
    chance = random.Random(7)  # noqa: S311
    repeats, taken = taught(request(b"abc")), 0
    alphabet = b"0123456789\r\n: abcXP+-"
    for _ in range(20_000):
        data = bytearray(request(b"x" * chance.randrange(12)))
        for _ in range(chance.randrange(3)):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(2)] = bytes(chance.choices(alphabet, k=chance.randrange(3)))
        exchange = read(repeats, bytes(data))
        if exchange is not None:
            taken += 1
            parsed = Parsed(bytes(data)).exchange
            assert parsed.complete
            assert (exchange.headers, exchange.body_bytes) == (parsed.headers, parsed.body_bytes)
            assert (exchange.path, exchange.query, exchange.method) == (parsed.path, parsed.query, parsed.method)
    assert taken > 1000


async def test_a_connection_answers_repeats_and_others_in_turn() -> None:
    """Known heads, unknown ones, torn ones and pipelined ones, and at last one that closes."""
    async with serving(ServerLimits()) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        plain = [request(b"one"), request(b"number two"), request(b"3"), request(b"44")]
        torn = request(b"torn")
        pieces = [*plain, torn[:50], torn[50:], request(b"5"), request(b"six") + request(b"seven"), request(b"8")]
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        writer.write(request(b"last").replace(b"Host", b"Connection: close\r\nHost") + request(b"never"))
        received = await asyncio.wait_for(reader.read(-1), 5)
        writer.close()
        bodies = [answer.partition(b"\r\n\r\n")[2] for answer in received.split(b"HTTP/1.1 200 OK")[1:]]
        said = (b"one", b"number two", b"3", b"44", b"torn", b"5", b"six", b"seven", b"8", b"last")
        for body, expected in zip(bodies, said, strict=True):
            assert body == expected.upper()
        assert running.server.bodies_bytes == 0
