"""The front: routes, request ids, CORS, and every outcome as one JSON body and one log line."""

import json
import time
from io import BytesIO

import pytest
import uvloop

from tests.web.conftest import CORS, Running, serving
from tollhouse.errors import MethodNotAllowed, RouteNotFound
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.web.cors import Cors
from tollhouse.web.exchange import Exchange
from tollhouse.web.front import Front
from tollhouse.web.heads import header_line
from tollhouse.web.limits import ServerLimits
from tollhouse.web.routes import Route, RouteTable

LIMITS = ServerLimits()
CLOSE = b"Host: t\r\nConnection: close\r\n"


async def get(
    running: Running, path: str, headers: bytes = b"", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own."""
    reply = await running.talk(f"{method} {path} HTTP/1.1\r\n".encode() + CLOSE + headers + b"\r\n")
    head, _, body = reply.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("path", ["/v1/echo", "/v1//echo", "/echo", "//v1/echo/", "/echo/", "/v1/echo?a=b"])
async def test_a_base_url_may_be_spelt_in_any_of_the_usual_ways(path: str) -> None:
    """With or without /v1, with doubled or trailing slashes, the same endpoint answers."""
    async with serving(LIMITS) as running:
        assert (await get(running, path))[0] == 200


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/", "/v1", "/v1/%65cho", "/v1/../v1/echo", "/v1/echo/x", "/v1/things/"]
)
async def test_an_unknown_url_is_a_json_404_that_says_where_the_api_is(path: str) -> None:
    """No unknown path is ever answered with 200, nor with anything but JSON."""
    async with serving(LIMITS) as running:
        status, headers, body = await get(running, path)
        assert status == 404
        assert headers["content-type"] == "application/json"
        error = json.loads(body)["error"]
        assert error["code"] == "unknown_url"
        assert "/v1/chat/completions" in error["message"]
        assert error["request_id"] == headers["x-request-id"]


async def test_the_wrong_method_is_a_405_that_lists_the_right_ones() -> None:
    """A known path with another method names those it takes."""
    async with serving(LIMITS) as running:
        status, headers, body = await get(running, "/v1/echo", method="DELETE")
        assert (status, headers["allow"]) == (405, "GET, POST")
        assert json.loads(body)["error"]["code"] == "method_not_supported"


async def test_braces_take_the_rest_of_a_path() -> None:
    """A model's id may hold slashes."""
    async with serving(LIMITS) as running:
        assert (await get(running, "/v1/things/a/b#c"))[2] == b"a/b#c"
        assert (await get(running, "/things/a"))[2] == b"a"


async def test_head_is_answered_like_get_without_a_body() -> None:
    """HEAD gets the head of GET."""
    async with serving(LIMITS) as running:
        status, headers, body = await get(running, "/v1/things/abc", method="HEAD")
        assert (status, headers["content-length"], body) == (200, "3", b"")


@pytest.mark.parametrize(
    ("given", "kept"), [(b"my-id.1:2_3", True), (b"a b", False), (b"\xff", False), (b"x" * 129, False)]
)
async def test_a_harmless_request_id_is_kept_and_any_other_replaced(given: bytes, kept: bool) -> None:
    """A client's request id comes back when it cannot do harm in a log or a header."""
    async with serving(LIMITS) as running:
        _, headers, _ = await get(running, "/v1/echo", b"x-request-id: " + given + b"\r\n")
        assert (headers["x-request-id"] == given.decode("latin-1")) == kept
        assert kept or headers["x-request-id"].startswith("req_")


async def test_a_bug_is_a_500_that_tells_nothing_and_a_log_line_without_its_text() -> None:
    """The client of a bug gets an id to quote; the log gets the place, not the exception's words."""
    async with serving(LIMITS) as running:
        status, headers, body = await get(running, "/v1/bug")
        assert status == 500
        assert json.loads(body)["error"]["code"] == "internal_error"
        assert b"ZeroDivision" not in body
        assert (await get(running, "/v1/echo"))[0] == 200
        await running.talk(b"")
    lines = running.log.getvalue()
    assert b"ZeroDivisionError at " in lines
    assert headers["x-request-id"].encode() in lines
    assert b"sk-live" not in lines


async def test_every_request_is_one_log_line() -> None:
    """The access log holds one JSON object for each request, with its status and id."""
    async with serving(LIMITS) as running:
        await get(running, "/v1/echo")
        await get(running, "/v1/nope")
    records = [json.loads(line) for line in running.log.getvalue().splitlines()]
    assert [(record["status"], record["route"]) for record in records] == [(200, "/v1/echo"), (404, "none")]


ORIGINS = {
    "http://localhost": True,
    "http://localhost:3000": True,
    "http://localhost:80": True,
    "https://app.example": True,
    "https://localhost:3000": False,
    "http://localhost:3000.evil.example": False,
    "http://localhost.evil.example": False,
    "http://evillocalhost:3000": False,
    "https://app.example.evil.example": False,
    "https://app.example:8443": False,
    "https://xapp.example": False,
    "null": False,
}


@pytest.mark.parametrize("origin", ORIGINS)
async def test_s14_only_listed_origins_may_read(origin: str) -> None:
    """An origin is compared whole; no suffix, prefix or ``null`` slips through, and credentials are never allowed."""
    async with serving(LIMITS) as running:
        _, headers, _ = await get(running, "/v1/echo", f"origin: {origin}\r\n".encode())
        assert headers.get("access-control-allow-origin") == (origin if ORIGINS[origin] else None)
        assert "access-control-allow-credentials" not in headers
        assert headers["vary"] == "origin"


async def test_g6_a_preflight_needs_no_key_and_errors_carry_cors_too() -> None:
    """A browser may ask before it has a key, and may read the error it then gets."""
    async with serving(LIMITS) as running:
        ask = b"origin: http://localhost:5173\r\naccess-control-request-method: POST\r\n"
        status, headers, body = await get(
            running, "/v1/echo", ask + b"access-control-request-headers: authorization,x-stainless-os\r\n", "OPTIONS"
        )
        assert (status, body) == (204, b"")
        assert headers["access-control-allow-headers"] == "authorization,x-stainless-os"
        assert "POST" in headers["access-control-allow-methods"]
        status, headers, _ = await get(running, "/v1/nope", b"origin: http://localhost:5173\r\n")
        assert (status, headers["access-control-allow-origin"]) == (404, "http://localhost:5173")


def test_a_star_admits_any_origin_as_a_star() -> None:
    """The wildcard is answered as a wildcard, never by reflecting the origin."""
    assert "access-control-allow-origin: *\r\n" in Cors(("*",)).headers("https://anything.example")
    assert "access-control-allow-headers: authorization, content-type" in CORS.preflight("x\r\nevil: 1")


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "a\nb", "nul\x00", "caf\u00e9", "\u202e"])
def test_s36_no_header_value_can_start_a_line(value: str) -> None:
    """Whatever a value holds, its line holds printable ASCII and one CRLF."""
    line = header_line("x-a", value)
    assert line.endswith("\r\n")
    assert all(" " <= character <= "~" for character in line[:-2])


def test_a_route_table_tells_what_is_missing() -> None:
    """`find` separates an unknown path from an unknown method."""

    async def nothing(exchange: Exchange) -> None:
        """Does nothing."""

    table = RouteTable((Route("POST", "/v1/a", nothing, "key"), Route("DELETE", "/v1/b/{id}", nothing, "key")))
    assert table.find("DELETE", b"/v1/b/c")[1] == b"c"
    with pytest.raises(RouteNotFound):
        table.find("POST", b"/v1/x")
    with pytest.raises(MethodNotAllowed):
        table.find("GET", b"/v1/a")


class Unheard:
    """A connection that nobody reads."""

    def send(self, data: bytes) -> None:
        """See `Channel`."""

    async def writable(self) -> None:
        """See `Channel`."""

    def abort(self) -> None:
        """See `Channel`."""


async def work(exchange: Exchange) -> None:
    """Takes a good third of a millisecond, and does not let the loop turn."""
    until = time.perf_counter() + 0.00035
    while time.perf_counter() < until:
        pass
    exchange.reply(200, b"")


async def logged_ms(waited_s: float) -> float:
    """What the log says of a request that was received so long ago and is then worked on."""
    sink = BytesIO()
    log = Log(sink=sink)
    exchange = Exchange(Unheard(), "c", time.monotonic() - waited_s)
    exchange.method, exchange.path = "GET", b"/v1/work"
    await Front(RouteTable((Route("GET", "/v1/work", work, "public"),)), lambda: CORS, log, Metrics())(exchange)
    log.flush()
    return float(json.loads(sink.getvalue())["ms"])


def test_the_log_measures_fractions_of_a_millisecond() -> None:
    """Work within one turn of the loop counts, though the loop's clock stands still, and so does the wait before it."""
    assert uvloop.run(logged_ms(0.0)) >= 0.35
    assert uvloop.run(logged_ms(2.0)) >= 2000.35
