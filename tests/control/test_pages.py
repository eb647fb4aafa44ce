"""The operator's pages: what they say, and to whom."""

import re

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Answer, Door, opened
from tests.fakes.openai_wire import completion
from tests.gateway.kit import ASK, SECRET, hosts
from tollhouse.control.pages import Pages, _is_loopback
from tollhouse.errors import Fault, Forbidden, Unauthorized
from tollhouse.telemetry.metrics import COUNTERS, GAUGES, HISTOGRAMS
from tollhouse.types.secret import Secret
from tollhouse.web.exchange import Exchange

ADMIN = "Bearer admin-secret"
REFUSALS = {"key": 401, "admin": 401, "public": 200, "signature": 404}
"""What a caller with nothing to show gets. Webhooks are off until their secret is set."""


def filled(template: str) -> str:
    """A path for a template."""
    return re.sub(r"\{\w+\}", "m", template)


async def admin(door: Door, method: str, path: str, **headers: str) -> Answer:
    """A request to the operator's listener."""
    door.port, port = door.admin_port, door.port
    try:
        return await door.request(method, path, **headers)
    finally:
        door.port = port


class Wire:
    """A channel that keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def send(self, data: bytes) -> None:
        """See `Channel`."""
        self.sent += data

    async def writable(self) -> None:
        """See `Channel`."""

    def abort(self) -> None:
        """See `Channel`."""


async def test_every_route_of_both_listeners_declares_who_may_call_it() -> None:
    """S04: no route is without an access rule, and what is not public refuses a caller without the right key."""
    async with opened() as door:
        calls = [(route, door.port) for route in door.app.routes]
        calls += [(route, door.admin_port) for route in door.app.admin_routes]
        for route, door.port in calls:
            assert route.access in REFUSALS
            named = "{model}" in route.path and route.method == "POST"  # Gemini's: the method is part of the name
            path = filled(route.path) + (":generateContent" if named else "")
            public = route.access == "public" or path == "/metrics"  # this caller is on loopback
            for method in {route.method, "HEAD" if route.method == "GET" else route.method}:
                answer = await door.request(method, path, authorization="")
                assert answer.status == (200 if public else REFUSALS[route.access]), f"{method} {path}"


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic admin-secret", "admin-secret"])
async def test_admin_routes_refuse_all_but_the_admin_key(given: str) -> None:
    """No key is 401 and says where it is; any other is 403; a client's own key opens nothing here."""
    async with opened() as door:
        for route in door.app.admin_routes:
            if not route.path.startswith("/admin"):
                continue
            path = filled(route.path)
            answer = await admin(door, route.method, path, authorization=given)
            assert answer.status in {401, 403}
            assert "admin-secret" not in answer.body.decode()
            answer = await admin(door, route.method, path, authorization=f"Bearer {door.key}")
            assert (answer.status, answer.error["error_id"]) == (403, "FORBIDDEN")
            answer = await admin(door, route.method, path, x_api_key="admin-secret", authorization="")
            assert answer.status == 401
            for good in (ADMIN, ADMIN.lower()):
                assert (await admin(door, route.method, path, authorization=good)).status in {200, 201, 400, 404}


async def test_the_apis_port_has_no_admin_pages_and_the_other_has_no_api() -> None:
    """S11: each listener serves its own routes alone, whatever key is shown."""
    async with opened() as door:
        shared = {"/", "/healthz", "/readyz", "/metrics"}
        operators = [route for route in door.app.admin_routes if route.path not in shared]
        clients = [route for route in door.app.routes if route.path not in shared]
        assert len(operators) > 30
        assert all(route.path.startswith("/admin/") for route in operators)
        for route in operators:
            assert (await door.request(route.method, filled(route.path), authorization=ADMIN)).status == 404
        for route in clients:
            assert (await admin(door, route.method, filled(route.path), authorization=ADMIN)).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_head_has_the_head_of_get(method: str) -> None:
    """HEAD answers every page with its length and no body, and with the same refusals."""
    async with opened() as door:
        for path, status in {"/": 200, "/healthz": 200, "/readyz": 200, "/v1/models": 200, "/v1/models/x": 404}.items():
            reader, _ = await door.send(method, path)
            raw = await reader.read()
            head, _, body = raw.partition(b"\r\n\r\n")
            assert int(head.split()[1]) == status
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            assert int(length[1]) > 0
            assert len(body) == (int(length[1]) if method == "GET" else 0)


async def test_options_is_a_preflight_or_nothing() -> None:
    """With an origin a known path answers 204 without a key; without one it is 405, and an unknown path 404."""
    async with opened() as door:
        for route in door.app.routes:
            path = filled(route.path)
            ask = await door.request("OPTIONS", path, origin="http://localhost:1", authorization="")
            assert (ask.status, ask.body) == (204, b"")
            plain = await door.request("OPTIONS", path)
            assert (plain.status, route.method in plain.headers["allow"]) == (405, True)
        assert (await door.request("OPTIONS", "/nope", origin="http://localhost:1")).status == 404


async def test_a_wrong_method_says_which_is_right() -> None:
    """Every route refuses a method it does not have with 405 and an Allow header."""
    async with opened() as door:
        for route in door.app.routes:
            answer = await door.request("PATCH", filled(route.path))
            assert answer.status == 405
            assert route.method in answer.headers["allow"]


async def test_metrics_count_what_happened_and_hold_no_secret() -> None:
    """The text names every metric that is documented, each series once, with the requests, tokens and attempts made."""
    async with ChaosUpstream([Send(completion())]) as up:
        async with opened(hosts(up, up)) as door:
            await door.post(ASK)
            await door.get("/v1/nope")
            shown = (await door.get("/metrics")).body.decode()
            for name in (*COUNTERS, *GAUGES, *HISTOGRAMS):
                assert f"# TYPE {name}" in shown
            assert 'tollhouse_requests_total{route="/v1/chat/completions",status="200"} 1.0' in shown
            assert 'tollhouse_requests_total{route="none",status="404"} 1.0' in shown
            assert 'tollhouse_attempts_total{host="up0",outcome="ok"} 1.0' in shown
            assert 'tollhouse_tokens_total{class="output",host="up0",model="m"} 3.0' in shown
            assert f'tollhouse_upstream_connects_total{{host="{up.authority}"}} 1.0' in shown
            series = [line.rsplit(" ", 1)[0] for line in shown.splitlines() if not line.startswith("#")]
            assert len(series) == len(set(series))
            assert SECRET not in shown
            assert door.key not in shown


async def test_an_origin_behind_two_proxies_is_one_series() -> None:
    """Two pools to one origin are added up, for a series that comes twice spoils the whole scrape."""
    hosts_of_one = "".join(
        f'[providers.p{number}]\nbase_url = "https://127.0.0.1:9/v1"\nproxy = "http://127.0.0.1:{number + 1}"\n'
        for number in range(2)
    )
    async with opened(hosts_of_one) as door:
        assert len(door.app.parts.live.snapshot.pools) == 2
        shown = (await door.get("/metrics")).body.decode()
        assert shown.count('tollhouse_upstream_connects_total{host="127.0.0.1:9"}') == 1


@pytest.mark.parametrize(
    ("client", "known"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::1:2", False),
        ("::127.0.0.1", False),
        ("1127.0.0.1", False),
        ("local", False),
        ("", False),
    ],
)
async def test_only_this_machine_reads_metrics_without_the_key(client: str, known: bool) -> None:
    """S64: any other address must show the admin key; an address that only begins like loopback is another one."""
    assert _is_loopback(client) is known
    async with opened() as door:
        pages = Pages(problems=list, metrics=door.app.parts.metrics, admin_key=Secret("admin-secret"))
        seen: dict[bytes, type[Fault] | int] = {}
        for given in (b"", b"Bearer wrong", b"Bearer admin-secret"):
            wire = Wire()
            exchange = Exchange(wire, client, 0.0)
            exchange.method = "GET"
            exchange.headers = {b"authorization": given} if given else {}
            try:
                await pages.metrics(exchange)
                seen[given] = exchange.status
            except Fault as fault:
                seen[given] = type(fault)
        expected = [200, 200, 200] if known else [Unauthorized, Forbidden, 200]
        assert list(seen.values()) == expected


async def test_ready_tells_what_is_wrong_and_health_does_not_mind() -> None:
    """``/readyz`` is 503 with the reasons while any stands; ``/healthz`` stays 200."""
    problems: list[str] = []
    async with opened() as door:
        pages = Pages(problems=lambda: problems, metrics=door.app.parts.metrics, admin_key=Secret("x"))
        for stands, status in (([], 200), (["draining"], 503), (["draining", "storage_unavailable"], 503)):
            problems[:] = stands
            wire = Wire()
            await pages.ready(exchange := Exchange(wire, "10.0.0.1", 0.0))
            assert exchange.status == status
            assert all(problem in wire.sent.decode() for problem in stands)
            await pages.health(exchange := Exchange(wire, "10.0.0.1", 0.0))
            assert exchange.status == 200


async def test_a_stranger_learns_no_more_than_that_it_lives() -> None:
    """The public pages name no host, model, version or path."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        for path in ("/", "/healthz", "/readyz"):
            answer = await door.get(path, authorization="")
            assert answer.status == 200
            assert not any(word in answer.body for word in (b"up0", b"127.0.0.1", b"sim", b"0.1"))
            assert "server" not in answer.headers
