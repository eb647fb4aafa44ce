"""What bounds the work of the embedded models: the steps of a schema, a client that leaves, the length of a prompt."""

import asyncio
import threading
from typing import Any

import pytest

from tests.engines.sim_asking import TIMEOUTS, ask, outgoing, request
from tollhouse.engines.sim import check
from tollhouse.engines.sim.completion import CONTEXT_TOKENS, Said
from tollhouse.engines.sim.document import Abandoned, Document, SchemaProblem
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.engine import Engine, Nature
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.request import Request
from tollhouse.engines.sim.schema import instance
from tollhouse.errors import UpstreamInterrupted


def made(schema: Any, text: str = "") -> Any:
    """An instance."""
    return instance(schema, Hints(text), Draws("1"))


class Busy:
    """A speaker that works until the client has left."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()

    def __call__(self, request: Request, _index: int, _draws: Draws) -> Said:
        """Says nothing; see `Speaker`."""
        self.began.set()
        while not request.gone():
            self.ended.wait(0.002)
        self.ended.set()
        return Said([])


async def begun(busy: Busy) -> None:
    """Waits until the work has begun."""
    assert await asyncio.to_thread(busy.began.wait, 5)


async def test_a_large_enum_costs_little() -> None:
    """Thirty thousand listed values are answered with one of them, in a fraction of the steps that squares would be."""
    schema = {"enum": [str(number) for number in range(30_000)]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    async with asyncio.timeout(10):
        answer = await ask(request(response_format=form))
    assert answer.status == 200
    assert answer.text.strip('"') in schema["enum"]


def test_more_values_than_steps_are_refused() -> None:
    """An enum that is larger than the work allowed is refused with the reason, not worked on for ever."""
    with pytest.raises(SchemaProblem, match="reasonable number of steps"):
        made({"enum": list(range(200_000))})


@pytest.mark.parametrize(
    ("value", "listed", "expected"),
    [
        (1, [1.0], True),
        (1.5, [1.5], True),
        (True, [1], False),
        (0, [False], False),
        (None, ["None"], False),
        ("0x1", [1], False),
        ([1, {"a": 2.0}], [[1.0, {"a": 2}]], True),
        ([1, 2], [[2, 1]], False),
        ({"a": 1, "b": 2}, [{"b": 2, "a": 1}], True),
        ([], [{}], False),
        (10**400, [10**400], True),
    ],
)
def test_listed_values_are_compared_as_json(value: Any, listed: list[Any], expected: bool) -> None:
    """1 and 1.0 are one value, true and 1 are two, and the order of an object's names is nothing."""
    schema = {"enum": listed}
    assert check.fits(value, schema, Document(schema)) is expected
    same = {"const": listed[0]}
    assert check.fits(value, same, Document(same)) is expected


def test_unique_items_are_compared_as_json() -> None:
    """An array of 1 and 1.0 has one item twice; one of 1 and true has not."""
    schema = {"uniqueItems": True}
    doc = Document(schema)
    assert not check.fits([1, 1.0], schema, doc)
    assert check.fits([1, True, "1", None, [1], {"1": 1}], schema, doc)


def test_values_nested_without_end_are_refused() -> None:
    """A listed value that is nested a thousand deep is a problem of the schema, not of the stack."""
    value: list[Any] = []
    for _ in range(900):
        value = [value]
    with pytest.raises(SchemaProblem):
        made({"enum": [value]})


def test_work_ends_when_nobody_waits() -> None:
    """A schema is given up at the first step after the client has left."""
    with pytest.raises(Abandoned):
        instance({"type": "string"}, Hints(""), Draws("1"), gone=lambda: True)


async def test_a_client_that_leaves_frees_the_thread() -> None:
    """The work on an answer ends soon after its client has gone, and the engine answers others."""
    busy = Busy()
    engine = Engine(busy, Nature("fp", threaded=True))
    asking = asyncio.create_task(engine.send(outgoing(request()), TIMEOUTS))
    await begun(busy)
    asking.cancel()
    assert await asyncio.to_thread(busy.ended.wait, 5)
    await engine.aclose()


async def test_stopping_gives_up_all_work() -> None:
    """After `stop` no thread is at work that the process would wait for, and who still waits is told."""
    busy = Busy()
    engine = Engine(busy, Nature("fp", threaded=True))
    asking = asyncio.create_task(engine.send(outgoing(request(n=2)), TIMEOUTS))
    await begun(busy)
    engine.stop()
    assert await asyncio.to_thread(busy.ended.wait, 5)
    with pytest.raises(UpstreamInterrupted):
        await asking


async def test_a_prompt_over_the_context_is_refused() -> None:
    """The context that is listed is kept: one token more is the 400 that OpenAI's clients know."""
    answer = await ask(request(messages=[{"role": "user", "content": "!" * CONTEXT_TOKENS}]))
    assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")
    assert answer.error["param"] == "messages"
