"""Fuzzes the whole gateway: damaged chat requests to `tollhouse/sim`, to a host that answers well, and to one that does
not.

What must hold: an answer of OpenAI's shape, an error of OpenAI's shape, or a stream that ends with ``[DONE]`` or an
error event. No status 500. Other 5xx come only from hosts, and with the codes that the documentation lists. Afterwards
nothing is in flight, nothing is held, no task runs on, and no bug is in the log.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from tests.fakes.chaos import ChaosUpstream, Close, Hang, Pause, Reset, Send, Step, chunked, whole
from tests.fakes.door import Answer, Door, eventually
from tests.fakes.door import opened as opened_door
from tests.fakes.openai_wire import DONE, LAST_USAGE, STOP, completion, delta, event, failure, stream, words
from tests.fuzz.chat_types import WRONG
from tests.fuzz.engine import Case, wind_down
from tests.fuzz.mutate import BYTES, cut, damage, spoil, to_json
from tests.validate.samples import MAXIMAL
from tollhouse import errors
from tollhouse.errors import Fault, UpstreamFault
from tollhouse.validate.chat import FIELDS
from tollhouse.validate.hosts import HOST_FIELDS

SMALL = {"model": "tollhouse/sim", "messages": [{"role": "user", "content": "Say something about Paris."}]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
SEEDS: tuple[dict[str, Any], ...] = (
    SMALL,
    {**SMALL, "stream": True, "stream_options": {"include_usage": True}, "n": 2, "logprobs": True, "top_logprobs": 2},
    {**SMALL, "tools": [TOOL], "tool_choice": "required", "stream": True},
    {**SMALL, "response_format": {"type": "json_object"}, "max_tokens": 20, "seed": 1},
    {key: value for key, value in MAXIMAL.items() if key not in {"functions", "function_call"}}
    | {"model": SMALL["model"]},
)
REPLIES = (
    *(completion(), stream("Hel", "lo"), failure(500), failure(429), failure(401), failure(404), failure(400)),
    *(whole(b"<html>", 502, "text/html"), whole(b"[]"), whole(b"{}"), chunked(*words("cut off"))),
    chunked(*words("a"), event({"error": {"message": "m", "code": 500}}), DONE),
    chunked(delta({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}), STOP, DONE),
    chunked(event(None), event([]), event({"choices": None}), *words("b"), LAST_USAGE, STOP, DONE),
)
WORDS = (
    *BYTES,
    *(b"data: ", b"data: [DONE]\n\n", b"\n\n", b'"choices":[]', b'"choices":null', b'"delta":null', b'"index":7'),
    *(b'"content":', b"null", b"{}", b"[]", b'"', b"{", b"}", b"-1", b"1e400", b"NaN", b'"usage":{"prompt_tokens":-5}'),
    *(b'"finish_reason":"length"', b'"error":{"message":1}', b"\xff\xfe", b"HTTP/1.1 200 OK\r\n", b"event: error\n"),
)
ENDS: dict[bytes, tuple[Step, ...]] = {b"stay": (), b"close": (Close(),), b"reset": (Reset(),), b"hang": (Hang(),)}
CONFIG = """
[timeouts]
connect_s = 0.5
first_byte_s = 0.06
idle_s = 0.06
total_s = 2.0
[upstream]
max_response_bytes = 65536
max_event_bytes = 4096
[providers.up]
base_url = "{url}/v1"
api_key = "sk-CANARY-0123456789abcdef"
models = ["m"]
[models.chaos]
targets = ["up/m", "up/m"]
[models.then-sim]
targets = ["up/m", "tollhouse/sim"]
"""
MODELS = (b"tollhouse/sim", b"tollhouse/sim", b"up/m", b"up/m", b"chaos", b"then-sim")


def ids(kind: type[Fault]) -> set[str]:
    """The documented ``error_id`` of a class of faults and of those below it."""
    return {kind.error_id}.union(*(ids(child) for child in kind.__subclasses__()))


CLIENTS, UPSTREAMS = ids(errors.ClientFault), ids(UpstreamFault)


class Gateway:
    """The target. A case is a model, how the host's connection ends, the request's body, and the pieces of a reply."""

    fixed = 2

    def __init__(self, door: Door, upstream: ChaosUpstream) -> None:
        self._door = door
        self._upstream = upstream

    def make(self, random: Random) -> Case:
        """A request damaged as a value or as bytes, or not at all; a reply likewise."""
        model = random.choice(MODELS)
        value = {**random.choice(SEEDS), "model": model.decode()}
        if random.random() < (0.5 if model == b"tollhouse/sim" else 0.2):
            value = spoil(random, value)
        body = to_json(random, value)
        if random.random() < 0.1:
            body = damage(random, body, WORDS)
        reply = random.choice(REPLIES)
        if random.random() < 0.7:
            reply = damage(random, reply, WORDS)
        return (
            model,
            random.choice((b"stay", b"stay", b"close", b"close", b"reset", b"hang")),
            body,
            *cut(random, reply),
        )

    async def check(self, case: Case) -> None:
        """Asks, and judges the answer."""
        model, end, body, *pieces = (*case, b"")[: max(3, len(case))]
        steps = [step for piece in pieces if piece for step in (Send(piece), Pause(0))]
        self._upstream.plays = [[*steps, *ENDS[end]]]
        self._door.log.seek(0)
        self._door.log.truncate()
        judge(await self._door.post(body), local=model == b"tollhouse/sim")
        await eventually(lambda: self._door.idle)
        self._door.app.parts.log.flush()
        assert b'"event":"bug"' not in self._door.log.getvalue(), self._door.log.getvalue()
        assert b"CANARY" not in self._door.log.getvalue(), "a credential in the log"
        del self._upstream.visits[:-8], self._upstream.requests[:]
        self._upstream.tasks = [task for task in self._upstream.tasks if not task.done()]
        self._door.writers.clear()


def judge(answer: Answer, *, local: bool) -> None:
    """The oracle for one answer."""
    assert b"CANARY" not in answer.body, "a credential in the answer"
    assert answer.ended, ("cut off", answer)
    if answer.status != 200:
        judge_error(answer.json, answer.status, local=local)
        assert answer.headers["content-type"] == "application/json"
    elif answer.headers["content-type"].startswith("text/event-stream"):
        *events, last = answer.lines
        if last == b"[DONE]":
            assert all("error" not in json.loads(one) for one in events), answer.body
        else:
            judge_error(json.loads(last), None, local=local)
    else:
        assert answer.json["object"] == "chat.completion", answer.json
        assert isinstance(answer.json["choices"], list), answer.json


def judge_error(body: Any, status: int | None, *, local: bool) -> None:
    """The shape of an error, and whether it may come from here."""
    error = body["error"]
    assert list(body) == ["error"], body
    assert list(error) == ["message", "type", "param", "code", "error_id", "request_id"], error
    assert isinstance(error["message"], str), error
    assert error["message"], error
    assert error["param"] is None or isinstance(error["param"], str), error
    assert error["error_id"] in CLIENTS | UPSTREAMS, error
    if status is not None and (local or error["error_id"] in CLIENTS):
        assert 400 <= status < 500, (status, error)


class ChatTypes:
    """Requests with a few wrong values anywhere, by our own table of rules: always a 4xx, and no host is asked."""

    fixed = 0

    def __init__(self, door: Door) -> None:
        self._door = door

    def make(self, random: Random) -> Case:
        """Each member is a field's name and its value."""
        good = random.sample(sorted(set(MAXIMAL) - {"model"}), random.randrange(6))
        fields = {name: MAXIMAL[name] for name in good} | {"messages": MAXIMAL["messages"]}
        for wrong in random.choices(WRONG, k=random.randint(1, 3)):
            fields[wrong.field] = wrong.value
        return tuple(json.dumps([name, value]).encode() for name, value in fields.items())

    async def check(self, case: Case) -> None:
        """Asks, and wants a 4xx."""
        fields = dict(json.loads(member) for member in case)
        before = self._door.count("tollhouse_attempts", "tollhouse", "ok")
        answer = await self._door.post({"model": "tollhouse/sim", **fields})
        judge(answer, local=True)
        assert answer.status == 400, answer
        if answer.error["code"] == "invalid_json":  # an integer of more than 64 bits has no place yet
            return
        assert answer.error["param"].split(".")[0].split("[")[0] in FIELDS | HOST_FIELDS, answer.error
        assert self._door.count("tollhouse_attempts", "tollhouse", "ok") == before, "a host was asked"
        self._door.writers.clear()


@asynccontextmanager
async def opened() -> AsyncIterator[Gateway]:
    """The target, whole: afterwards no task is left."""
    before = asyncio.all_tasks()
    async with ChaosUpstream([]) as upstream:
        async with opened_door(CONFIG.format(url=upstream.url)) as door:
            yield Gateway(door, upstream)
    await wind_down(before)


@asynccontextmanager
async def opened_for_types() -> AsyncIterator[ChatTypes]:
    """The target of wrong types."""
    async with opened_door() as door:
        yield ChatTypes(door)
