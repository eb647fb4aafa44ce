"""Snapshots: what is carried over from one to the next, and what is let go."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.fakes.chaos import ChaosUpstream, Send, head
from tests.fakes.door import CATALOGUE
from tollhouse.catalog.names import Offer
from tollhouse.config import Settings
from tollhouse.dialects.openai import ChatStream
from tollhouse.settings.keys import Server, Upstream
from tollhouse.snapshot import Embedded, Snapshot, build, retire
from tollhouse.types.calls import Host, ModelFacts, Target
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Outgoing, Timeouts
from tollhouse.upstream.pool import Pool

FACTS = {"m": ModelFacts("m", "m")}
BASE = "http://127.0.0.1:9/v1"


def offer(name: str, base_url: str = BASE, **more: Any) -> Offer:
    """A host with one model."""
    return Offer(Host(name, base_url, **more), FACTS)


def made(*offers: Offer, previous: Snapshot | None = None, **upstream: Any) -> Snapshot:
    """A snapshot of these hosts."""
    settings = Settings(upstream=Upstream(**upstream))
    return build(settings, CATALOGUE, offers, previous=previous)


def pool_of(snapshot: Snapshot, name: str) -> Pool:
    """The pool behind a host."""
    pool = snapshot.connectors[name]
    assert isinstance(pool, Pool)
    return pool


def test_hosts_of_one_origin_share_a_pool() -> None:
    """Two declared hosts at one address use the same connections; a proxy or another port makes it another pool."""
    snapshot = made(
        offer("a"),
        offer("b", BASE + "/deeper"),
        offer("c", "http://127.0.0.1:10/v1"),
        offer("d", proxy="http://127.0.0.1:1"),
    )
    assert pool_of(snapshot, "a") is pool_of(snapshot, "b")
    assert len({id(pool) for pool in snapshot.connectors.values()}) == 3
    assert len(snapshot.pools) == 3


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "nothing": ({}, {}, True),
    "a key": ({"credential": Secret("sk-other-0123456789")}, {}, True),
    "timeouts": ({"timeouts": Timeouts(connect_s=1.0)}, {}, True),
    "a path": ({"base_url": BASE + "/v2"}, {}, True),
    "attempts": ({}, {"max_attempts": 1}, True),
    "a port": ({"base_url": "http://127.0.0.1:10/v1"}, {}, False),
    "a proxy": ({"proxy": "http://127.0.0.1:1"}, {}, False),
    "the most connections": ({}, {"max_connections_per_host": 3}, False),
    "idle expiry": ({}, {"idle_expiry_s": 5.0}, False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_pool_is_kept_unless_its_connections_would_differ(name: str) -> None:
    """What a connection depends on makes a new pool; a key, a path or a timeout does not."""
    host, upstream, kept = CHANGES[name]
    old = made(offer("a"))
    new = made(offer("a", **{"base_url": BASE, **host}), previous=old, **upstream)
    assert (pool_of(new, "a") is pool_of(old, "a")) is kept


def test_renewed_authorities_are_trusted_by_new_connections_only(tmp_path: Path) -> None:
    """A ``ca_file`` with other content at the same path makes a new pool; the same content, wherever it is, none."""
    first, other = tmp_path / "a.pem", tmp_path / "b.pem"
    for path in (first, other):
        trustme.CA().cert_pem.write_to_path(path)
    old = made(offer("a", "https://127.0.0.1/v1"), ca_file=str(first))
    same = made(offer("a", "https://127.0.0.1/v1"), previous=old, ca_file=str(first))
    assert pool_of(same, "a") is pool_of(old, "a")
    first.write_bytes(other.read_bytes())
    new = made(offer("a", "https://127.0.0.1/v1"), previous=same, ca_file=str(first))
    assert pool_of(new, "a") is not pool_of(old, "a")
    moved = made(offer("a", "https://127.0.0.1/v1"), previous=new, ca_file=str(other))
    assert pool_of(moved, "a") is pool_of(new, "a")


async def test_only_what_fell_away_is_retired() -> None:
    """Retiring the old snapshot closes the idle connections of the hosts that are gone, and no other's."""
    answer = Send(head(200, "content-length: 2") + b"ok")
    async with ChaosUpstream([answer]) as stays, ChaosUpstream([answer]) as goes:
        old = made(offer("a", stays.url), offer("b", goes.url))
        for name in "ab":
            reply = await pool_of(old, name).send(Outgoing("GET", "/", (), b""), Timeouts())
            assert await reply.read(10) == b"ok"
        new = made(offer("a", stays.url), previous=old)
        retire(old, new)
        await goes.gone()
        assert pool_of(new, "a").idle == 1
        assert not stays.visits[0].gone
        await pool_of(new, "a").aclose()
        await pool_of(old, "b").aclose()


def test_a_host_of_this_process_answers_only_the_endpoints_it_has() -> None:
    """Where endpoints are known the others are None; a host over HTTP is asked and says for itself."""
    chat, vectors = Pool(next(iter(made(offer("x")).pools))[0]), Pool(next(iter(made(offer("x")).pools))[0])
    inside = Embedded(offer("in"), chat, {"embeddings": vectors})
    snapshot = build(Settings(), CATALOGUE, (offer("out"),), embedded=(inside,))
    assert snapshot.endpoint(Target(inside.offer.host, "m"), "embeddings") is vectors
    assert snapshot.endpoint(Target(inside.offer.host, "m"), "responses") is None
    assert snapshot.connectors["in"] is chat
    assert snapshot.endpoint(Target(offer("out").host, "m"), "responses") is snapshot.connectors["out"]
    assert snapshot.endpoint(Target(offer("gone").host, "m"), "responses") is None


@pytest.mark.parametrize(("kind", "start"), [("chunk", b"data: {"), ("comment", b": "), ("off", None)])
def test_the_heartbeat_is_the_operators_choice(kind: str, start: bytes | None) -> None:
    """An empty chunk, a comment that is not ``: ping``, or none."""
    snapshot = build(Settings(server=Server(heartbeat=kind)), CATALOGUE, ())
    beat = snapshot.heartbeat(ChatStream("chatcmpl-x", 1, "m", False))
    if start is None:
        assert beat is None
        return
    assert beat is not None
    said = beat()
    assert said.startswith(start)
    assert said.endswith(b"\n\n")
    assert b"ping" not in said


def test_an_authority_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A CA file that is missing or damaged fails the snapshot, not the first request."""
    with pytest.raises(FileNotFoundError):
        made(offer("a", "https://127.0.0.1/v1"), ca_file=str(tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nnope\n-----END CERTIFICATE-----\n")
    with pytest.raises(ssl.SSLError):
        made(offer("a", "https://127.0.0.1/v1"), ca_file=str(tmp_path / "bad.pem"))
