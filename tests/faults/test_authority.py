"""Who may do what, by nothing but a key (S05, S46): not by the name of a host, and never by a client."""

import asyncio
import json

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Answer, Door, opened, read_answer
from tests.fakes.openai_wire import completion
from tests.faults.kit import ASK, PAID_NUSD, judged, pays, priced

HOSTS = ["a/b", "a?b", "a#b", "a b", "user@a", "a\\b", "a,b", "/admin/config", "a\tb", "[::1", "a:b:c", "a:99999x"]


async def raw(door: Door, port: int, head: str, body: bytes = b"") -> Answer:
    """A request whose head is sent as it stands."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    try:
        return await asyncio.wait_for(read_answer(reader), 5)
    finally:
        writer.close()
        assert door.app.server


@pytest.mark.parametrize("host", HOSTS)
async def test_s05_a_malformed_host_is_400_on_both_listeners(host: str) -> None:
    """With the best of keys: a name that is none is refused before anything is looked at, and nothing is spent."""
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up)) as door:
        await pays(door)
        body = json.dumps(ASK).encode()
        top = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {door.key}\r\n"
        assert (await raw(door, door.port, top, body)).status == 400
        top = f"GET /admin/config HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer admin-secret\r\n"
        assert (await raw(door, door.admin_port, top)).status == 400
        assert up.requests == []
        assert await judged(door) == []


async def test_s46_no_clients_key_creates_credit_on_either_listener() -> None:
    """Every route that writes is tried with a client's key, on both listeners: not one nano-dollar is created."""
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up)) as door:
        await pays(door)
        org = (await door.get("/v1/credits")).json["organisation"]
        body = json.dumps({"amount_usd": "100", "reason": "please", "billing": "postpaid", "name": "x"}).encode()
        writes = [route for route in door.app.admin_routes if route.method != "GET"]
        assert len(writes) > 15
        for route in writes:
            path = route.path.replace("{org_id}", org).replace("{organization_id}", org).replace("{id}", org)
            top = f"{route.method} {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {door.key}\r\n"
            top += "content-type: application/json\r\n"
            assert (await raw(door, door.admin_port, top, body)).status in {401, 403}, path
            assert (await raw(door, door.port, top, body)).status in {404, 405}, path
        ledger = door.app.ledger
        await ledger.journal.durable(ledger.journal.appended)
        found = door.app.parts.books.store.read_now(
            lambda db: list(db.execute("SELECT sum(amount) FROM entry WHERE amount > 0"))
        )
        assert found == [(PAID_NUSD,)]
        assert (await door.get("/v1/credits")).json["balance_usd"] == "20.00"
