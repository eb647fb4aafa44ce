"""Several choices of a target that gives one at a time: asked that many times at once, put together as one answer.

`gateway.asking` uses it where a call has ``n`` over 1 and its target's host does not take that. Each request is paid
for, the prompt too: the hold is made for that (`gateway.bids`). If one fails, the others are hung up on, and the whole
trial has failed.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from tollhouse.errors import UpstreamFault, UpstreamUnfit
from tollhouse.gateway.trial import OpenStream, Said, Trial, WholeReply
from tollhouse.types.calls import ChatCall, Loss

T = TypeVar("T")
MOST_CHOICES = 16
"""Each is a connection to its host, and a stream begins when all of them have answered: a few requests with OpenAI's
128 would take all that a pool has, and wait for each other.
"""
_LOSS = Loss("n", "emulated", "the target was asked several times")


async def complete_several(trial: Trial, call: ChatCall) -> WholeReply:
    """All choices in one whole answer."""
    one, siblings = _each(trial, call)
    answers = await _all(trial, [sibling.complete(one) for sibling in siblings])
    _note(trial, siblings)
    usage = add_usage([answer.decoder.usage for answer in answers])
    whole = answers[0].reply
    whole["choices"] = [
        {**choice, "index": index}
        for index, choice in enumerate([choice for answer in answers for choice in answer.reply["choices"]])
    ]
    trial.decoder = Said(usage)
    whole.pop("usage", None)  # of the first alone
    if usage is not None:
        whole["usage"] = usage
    return WholeReply(trial, whole, Said(usage), native=False)


async def open_several(trial: Trial, call: ChatCall) -> OpenStream:
    """All choices in one stream, as each of them comes."""
    one, siblings = _each(trial, call)
    streams = await _all(trial, [sibling.open(one) for sibling in siblings])
    _note(trial, siblings)
    merged = Merged(streams)
    stream = OpenStream(trial, merged, merged, native=False)
    stream.chunks = [chunk for index, begun in enumerate(streams) for chunk in placed(begun.chunks, index)]
    return stream


def add_usage(parts: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The sum of usage objects, member by member; None where one is missing, for then the sum is not known."""
    total: dict[str, Any] = {}
    for part in parts:
        if part is None:
            return None
        for name, value in part.items():
            known = total.get(name)
            if isinstance(value, dict):
                total[name] = add_usage([known if isinstance(known, dict) else {}, value])
            elif type(value) is int and (known is None or type(known) is int):
                total[name] = (known or 0) + value
            else:
                total[name] = value
    return total


def placed(chunks: list[dict[str, Any]], index: int) -> list[dict[str, Any]]:
    """The chunks of one choice, as those of the choice with this index; in place."""
    for chunk in chunks:
        for choice in chunk["choices"]:
            choice["index"] = index
    return chunks


class Merged:
    """See `Incoming` and `ChatDecoder`: several streams read as one. What `next` waits for, `feed` reads."""

    __slots__ = ("_ready", "_streams", "_waiting", "done", "usage")

    status = 200
    headers: ClassVar[dict[str, str]] = {}
    request_id = None

    def __init__(self, streams: list[OpenStream]) -> None:
        self._streams = streams
        self._waiting: dict[asyncio.Task[bytes], int] = {}
        self._ready: list[tuple[int, bytes]] = []
        self.usage: dict[str, Any] | None = None
        self.done = False
        for index, stream in enumerate(streams):
            if not stream.decoder.done:
                self._ask(index)
        self._count()

    def _ask(self, index: int) -> None:
        self._waiting[asyncio.ensure_future(self._streams[index].incoming.next())] = index

    def _count(self) -> None:
        self.done = not self._waiting and not self._ready
        if self.done:
            self.usage = add_usage([stream.decoder.usage for stream in self._streams])

    async def read(self, limit: int) -> bytes:
        """Never called: a stream is read piece by piece."""
        raise NotImplementedError

    async def next(self) -> bytes:
        """Waits until one of the streams has said more. What it gives stands for that; `feed` knows the rest."""
        done, _ = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            self._ready.append((self._waiting[task], task.result()))
            del self._waiting[task]
        return b"."

    def commits(self, chunk: dict[str, Any]) -> bool:
        """Each of the streams has said something."""
        del chunk
        return True

    def reply(self, body: bytes) -> dict[str, Any]:
        """Never called: a stream is read piece by piece."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks of what `next` has seen."""
        del data
        chunks: list[dict[str, Any]] = []
        while self._ready:
            index, part = self._ready.pop()
            decoder = self._streams[index].decoder
            chunks += placed(decoder.feed(part) if part else decoder.finish(), index)
            if decoder.done and part:
                chunks += placed(decoder.finish(), index)
            elif part:
                self._ask(index)
        self._count()
        return chunks

    def finish(self) -> list[dict[str, Any]]:
        """Nothing more, but the fault that a stream told in the same breath as its first words."""
        for stream in self._streams:
            stream.decoder.finish()
        return []

    def close(self) -> None:
        """Gives every connection back, or closes it."""
        for task in self._waiting:
            task.cancel()
            task.add_done_callback(_look_at)
        self._waiting.clear()
        for stream in self._streams:
            stream.incoming.close()


def _look_at(task: asyncio.Task[bytes]) -> None:
    """A read that failed as the others did is no news."""
    if not task.cancelled():
        task.exception()


def _each(trial: Trial, call: ChatCall) -> tuple[ChatCall, list[Trial]]:
    """The call for one choice, and a trial for each. Raises `UpstreamUnfit` for more than `MOST_CHOICES`."""
    if call.body["n"] > MOST_CHOICES:
        message = f"The host gives one answer to a request, and is asked for {MOST_CHOICES} at most."
        raise UpstreamUnfit(message, param="n")
    body = {name: value for name, value in call.body.items() if name != "n"}
    return call.but(body=body, native=None), [trial.sibling() for _ in range(call.body["n"])]


async def _all(trial: Trial, asked: list[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives. If one fails, the others are cancelled, and its fault is raised: what they cost all the same is
    what the trial has wasted.
    """
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return list(await asyncio.gather(*tasks))
    except (UpstreamFault, asyncio.CancelledError):
        for task in tasks:
            task.cancel()
        spent: list[dict[str, Any] | None] = []
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, WholeReply | OpenStream):
                result.discard()
                spent.append(result.decoder.usage or {})
        trial.decoder = Said(add_usage(spent)) if spent else None
        raise


def _note(trial: Trial, siblings: list[Trial]) -> None:
    first = siblings[0]
    trial.losses = (*first.losses, _LOSS)
    trial.answered_at, trial.upstream_id, trial.decoder = first.answered_at, first.upstream_id, first.decoder
