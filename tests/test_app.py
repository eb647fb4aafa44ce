"""The composition: what starts, what is reachable, what stops."""

import asyncio
import json
import socket
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Send, chunk
from tests.fakes.door import CATALOGUE, eventually, opened, read_answer
from tests.fakes.openai_wire import DONE, STOP, delta
from tests.gateway.kit import STREAM, hosts
from tests.gateway.test_upstream_faults import SSE
from tollhouse.app import App, Parts, TokenMeter, server_limits
from tollhouse.books import open_books
from tollhouse.catalog.names import Offer
from tollhouse.config import Settings
from tollhouse.control.reload import Reloader
from tollhouse.errors import StorageUnavailable
from tollhouse.gateway.relay import KINDS
from tollhouse.settings.judges import JudgeSettings
from tollhouse.settings.keys import Server
from tollhouse.settings.safety import PolicySettings, Safety
from tollhouse.snapshot import Live, Snapshot, build
from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Host, ModelFacts, Target, Usage
from tollhouse.types.secret import Secret

SERVER = Server(port=0, admin_port=0, drain_s=5.0)


class MoodyStore(SqliteStore):
    """A store that can be taken down."""

    down = False

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        if self.down:
            raise StorageUnavailable("The database does not answer.")
        return super().apply(batch)


async def rebuilt(settings: Settings, previous: Snapshot) -> Snapshot:
    """A snapshot without hosts."""
    return build(settings, CATALOGUE, (), previous=previous)


def app_of(folder: Path, server: Server = SERVER, store: SqliteStore | None = None) -> tuple[App, BytesIO]:
    """A gateway without hosts, and its log."""
    settings = Settings(server=server)
    live, metrics, sink = Live(build(settings, CATALOGUE, ())), Metrics(), BytesIO()
    log = Log(sink=sink)
    books = open_books(store or SqliteStore(folder / "t.db"), b"pepper", live, TokenMeter(metrics))
    reloader = Reloader(live, lambda: settings, rebuilt, log, metrics)
    return App(Parts(live, books, reloader, Secret("admin"), log, metrics)), sink


async def get(port: int, path: str, key: str = "") -> int:
    """The status of a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n".encode())
    answer = await read_answer(reader)
    writer.close()
    return answer.status


def listens(port: int) -> bool:
    """Whether a port of loopback takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_the_api_has_exactly_the_documented_routes(tmp_path: Path) -> None:
    """Every endpoint of the product is one route, and each is there once."""
    app, _ = app_of(tmp_path)
    routes = [f"{route.method} {route.path}" for route in app.routes]
    assert len(routes) == len(set(routes))
    assert set(routes) == {
        "GET /",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "DELETE /v1/models/{model}",
        "GET /v1/credits",
        "GET /v1/usage",
        "GET /v1/usage/{request_id}",
        "GET /v1/safety",
        "POST /v1/quote",
        "POST /webhooks/stripe",
        "POST /v1/chat/completions",
        "POST /v1/messages",
        "POST /v1/messages/count_tokens",
        "POST /v1/route/explain",
        *(f"POST /v1/{kind.path}" for kind in KINDS),
        "GET /v1beta/models",
        "GET /v1beta/models/{model}",
        "POST /v1beta/models/{model}",
        "POST /v1beta1/{model}",
        "POST /v1/models/{model}",
        "POST /v1/projects/{model}",
    }
    api = [route for route in app.routes if route.path.startswith("/v1")]
    assert {route.access for route in api} == {"key"}
    assert {route.access for route in app.admin_routes if route.path.startswith("/admin")} == {"admin"}


async def test_the_admin_listener_can_be_off_and_is_bound_to_loopback(tmp_path: Path) -> None:
    """``admin_port = 0`` beside a fixed port leaves it closed; open, it is on 127.0.0.1 whatever the API listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    app, _ = app_of(tmp_path, replace(SERVER, port=free))
    assert await app.start() == (free, None)
    await app.stop()
    app, _ = app_of(tmp_path, replace(SERVER, host="0.0.0.0"))  # noqa: S104 - the other listener must not follow it
    _, admin_port = await app.start()
    assert admin_port is not None
    listener = app.admin_server._listener
    assert listener is not None
    assert listener.sockets[0].getsockname()[0] == "127.0.0.1"
    await app.stop()


async def test_a_taken_admin_port_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    """Another admin port is found and logged; a taken API port is an OSError."""
    with socket.socket() as taken, socket.socket() as probe:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        probe.bind(("127.0.0.1", 0))
        wanted, free = taken.getsockname()[1], probe.getsockname()[1]
        probe.close()
        app, sink = app_of(tmp_path, replace(SERVER, port=free, admin_port=wanted))
        _, admin_port = await app.start()
        assert admin_port is not None
        assert admin_port != wanted
        assert await get(admin_port, "/healthz") == 200
        await app.stop()
        assert b'"admin_port_taken"' in sink.getvalue()
        other, _ = app_of(tmp_path, replace(SERVER, port=wanted))
        with pytest.raises(OSError, match="in use"):
            await other.start()
        await other.stop()


async def test_a_key_works_from_the_moment_it_is_made_until_it_is_revoked(tmp_path: Path) -> None:
    """No cache stands between the office and the next request."""
    app, _ = app_of(tmp_path)
    port, _ = await app.start()
    office = app.parts.books.office
    made = await office.act("me", lambda desk: desk.create_key("org_default", {"name": "laptop"}))
    assert await get(port, "/v1/models", made.text.reveal()) == 200
    await office.act("me", lambda desk: desk.revoke(made.view.node.id))
    assert await get(port, "/v1/models", made.text.reveal()) == 401
    await app.stop()


async def test_a_store_that_is_down_stops_what_costs_money_and_nothing_else(tmp_path: Path) -> None:
    """``/readyz`` says so, keys go on working, nothing new is promised, one line is logged, and it heals by itself."""
    store = MoodyStore(tmp_path / "t.db")
    app, sink = app_of(tmp_path, store=store)
    port, _ = await app.start()
    key = await app.parts.books.mint("test")
    store.down = True
    app.ledger.append_call(lambda _: None)
    await eventually(lambda: app._problems() == ["storage_unavailable"], within_s=2.5)
    assert await get(port, "/readyz") == 503
    assert await get(port, "/healthz") == 200
    assert await get(port, "/v1/models", key) == 200
    with pytest.raises(StorageUnavailable):
        await app.parts.books.mint("another")
    await asyncio.sleep(1.1)
    store.down = False
    await eventually(lambda: app._problems() == [], within_s=2.5)
    assert await get(port, "/readyz") == 200
    assert len(await app.parts.books.mint("another")) > 20
    await app.stop()
    assert sink.getvalue().count(b'"storage_unavailable"') == 1


async def test_a_drain_lets_a_live_stream_end_and_takes_nothing_new() -> None:
    """While a stream runs the gateway is not ready and not connectable; the stream ends whole; then all is closed."""
    go = asyncio.Event()
    begun, ended = SSE + chunk(delta({"content": "a"})), chunk(delta({"content": "b"}) + STOP + DONE) + b"0\r\n\r\n"
    async with ChaosUpstream([Send(begun), Await(go), Send(ended)]) as up:
        async with opened(hosts(up, more="[timeouts]\nidle_s = 20.0\n")) as door:
            running = asyncio.create_task(door.post(STREAM))
            await up.arrived()
            drain = asyncio.create_task(door.app.drain())
            await asyncio.sleep(0.05)
            assert await get(door.admin_port, "/readyz") == 503
            assert await get(door.admin_port, "/healthz") == 200
            await eventually(lambda: not listens(door.port))
            assert not drain.done()
            go.set()
            answer = await running
            assert (answer.text, answer.lines[-1]) == ("ab", b"[DONE]")
            await drain
            await up.gone()
            assert not listens(door.admin_port)


async def test_stopping_leaves_no_task_behind(tmp_path: Path) -> None:
    """After a stop the loop runs nothing of the gateway's, and a second stop does no harm."""
    before = asyncio.all_tasks()
    app, _ = app_of(tmp_path)
    port, _ = await app.start()
    assert await get(port, "/healthz") == 200
    await app.stop()
    await app.stop()
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_a_policy_that_nobody_declared_is_told_once(tmp_path: Path) -> None:
    """A name that a key has and the configuration has not is one line of the log, and again after it was there."""
    app, sink = app_of(tmp_path)
    live = app.parts.live

    async def sweep(*policies: str) -> list[str]:
        live.snapshot.policies.resolve(policies)
        await app._sweep()
        app.parts.log.flush()
        lines = [json.loads(line) for line in sink.getvalue().splitlines()]
        return [line["policy"] for line in lines if (line["event"], line["level"]) == ("policy_unknown", "warning")]

    assert await sweep("strict") == []
    assert await sweep("gone", "away") == ["away", "gone"]
    live.swap(await rebuilt(Settings(server=SERVER), live.snapshot))
    assert await sweep("gone", "strict") == ["away", "gone"]
    gone = Safety(policies={"gone": PolicySettings("gone")})
    live.swap(await rebuilt(Settings(server=SERVER, safety=gone), live.snapshot))
    assert await sweep("gone", "away") == ["away", "gone"]
    live.swap(await rebuilt(Settings(server=SERVER), live.snapshot))
    assert await sweep("gone", "away") == ["away", "gone", "gone"]
    app.parts.books.store.close()


async def test_a_judge_that_fails_is_told(tmp_path: Path) -> None:
    """When a judge is given up for a while the log says which, and how it failed."""
    app, sink = app_of(tmp_path)
    app.gate.safety.judges.alert("guard", "upstream_timeout")
    app.parts.log.flush()
    (line,) = sink.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["event"]) == ("warning", "judge_failing")
    assert (told["judge"], told["why"]) == ("guard", "upstream_timeout")
    app.parts.books.store.close()


async def test_a_judge_whose_model_nobody_serves_is_told_once(tmp_path: Path) -> None:
    """At start and after a reload, again when it was there in between; one with an address of its own has no model."""
    app, sink = app_of(tmp_path)
    live = app.parts.live

    async def sweep(**models: str) -> list[tuple[str, str]]:
        judges = {name: JudgeSettings(name, "llama_guard", model) for name, model in models.items()}
        settings = Settings(server=SERVER, safety=Safety(judges=judges))
        live.swap(
            build(
                settings,
                CATALOGUE,
                (Offer(Host("up", "http://127.0.0.1:9/v1"), {"guard": ModelFacts("guard", "guard")}, closed=True),),
            )
        )
        await app._sweep()
        app.parts.log.flush()
        lines = [json.loads(line) for line in sink.getvalue().splitlines()]
        assert {line["level"] for line in lines} <= {"warning"}
        return [(line["judge"], line["model"]) for line in lines if line["event"] == "judge_unroutable"]

    assert await sweep(hook="", other="up/guard") == []
    assert await sweep(guard="nope/none", other="up/guard") == [("guard", "nope/none")]
    assert await sweep(guard="nope/none") == [("guard", "nope/none")]
    assert await sweep(guard="up/guard") == [("guard", "nope/none")]
    assert await sweep(guard="nope/none") == [("guard", "nope/none")] * 2
    app.parts.books.store.close()


def test_a_model_that_no_catalogue_knows_has_no_series_of_its_own() -> None:
    """Tokens of unknown names, which clients invent, are counted under their host as ``other``."""
    metrics = Metrics()
    meter = TokenMeter(metrics)
    host = Host("h", "http://h/v1")
    meter.record(Target(host, "known", ModelFacts("known", "known")), Usage(1, 2, 0, 3))
    for number in range(5):
        meter.record(Target(host, f"invented-{number}"), Usage(10, output=1, estimated=True))
    counted = {series: count for series, count in metrics.counts.items() if count}
    for source in metrics.sources:
        counted |= {(name, *labels): int(count) for name, labels, count in source()}
    assert counted == {
        ("tollhouse_tokens", "h", "known", "input"): 1,
        ("tollhouse_tokens", "h", "known", "cache_read"): 2,
        ("tollhouse_tokens", "h", "known", "output"): 3,
        ("tollhouse_tokens", "h", "other", "input"): 50,
        ("tollhouse_tokens", "h", "other", "output"): 5,
        ("tollhouse_estimated_usage", "h"): 5,
    }


def test_the_operators_limits_are_the_servers() -> None:
    """Each limit of [server] reaches the listener under its own name."""
    values = {
        "max_body_bytes": 1025,
        "max_header_bytes": 1026,
        "max_headers": 9,
        "header_timeout_s": 1.5,
        "body_timeout_s": 2.5,
        "body_min_bytes_per_s": 7,
        "keep_alive_s": 3.5,
        "write_timeout_s": 4.5,
        "max_connections": 11,
        "heartbeat_s": 5.5,
    }
    limits = server_limits(Server(**values))  # type: ignore[arg-type]
    assert {name: getattr(limits, name) for name in values} == values
