"""Requests with a name, for tests of ``Idempotency-Key``: begun, served, replayed and refused as the pipeline does."""

import pytest

from tests.gateway.counting_house import USD, House
from tollhouse.errors import IdempotencyConflict
from tollhouse.gateway.idempotency import Idempotency, Replay, Running, fingerprint
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Principal

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
PRINT = fingerprint("chat/completions", BODY)
OTHER = fingerprint("chat/completions", {**BODY, "n": 2})
JSON = "application/json"
USAGE = Usage(input=1000, output=100)


async def caller(house: House) -> Principal:
    """A key of an organisation that has $10."""
    org = await house.node("org")
    await house.grant(org, 10 * USD)
    return await house.key(org)


def serve(house: House, who: Principal, running: Running, answer: bytes = b"{}") -> None:
    """Serves a request as the pipeline does: held, settled, its answer kept, its name left."""
    house.spend(who, running.claim.request_id, USAGE)
    running.record(answer)
    running.finish(200, JSON)
    running.close(charged=True)


async def start(once: Idempotency, who: Principal, request_id: str, name: str = "k") -> Running:
    """A request that gets its name."""
    found = await once.begin(who, name, PRINT, request_id)
    assert isinstance(found, Running)
    return found


async def replay(once: Idempotency, who: Principal, request_id: str, name: str = "k") -> Replay:
    """A request that gets an answer of before."""
    found = await once.begin(who, name, PRINT, request_id)
    assert isinstance(found, Replay)
    return found


async def conflict(once: Idempotency, who: Principal, request_id: str) -> IdempotencyConflict:
    """A request that is refused."""
    with pytest.raises(IdempotencyConflict) as caught:
        await once.begin(who, "k", PRINT, request_id)
    return caught.value


def charges(house: House) -> int:
    """How many charges the ledger has."""
    return house.count("SELECT count(*) FROM tx WHERE kind = 'charge'")


def rows(house: House) -> int:
    """How many names are stored."""
    return house.count("SELECT count(*) FROM idempotency")
