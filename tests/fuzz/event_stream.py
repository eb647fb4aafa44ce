"""Fuzzes `dialects.sse` against the algorithm of the WHATWG, written down again slowly.

What must hold: the same events however the stream is cut; no event over the cap; no refusal of one well under it.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from tests.fuzz.engine import Case
from tests.fuzz.mutate import cut, damage
from tollhouse.dialects.sse import Event, EventParser
from tollhouse.errors import UpstreamTooLarge

WORDS = (
    *(b"data: ", b"data:", b"data", b"data : x", b"datax: y", b"event: e\n", b"event:", b"event\n", b"id: 1\n"),
    *(b"retry: 5\n", b": a comment\n", b":\n", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\r", b"\xef\xbb\xbf", b"\xef\xbb"),
    *(b'data: {"a":1}\n\n', b"data: [DONE]\n\n", b"data: \xe2\x82\xac\r\n\r\n", b"\x00", b"\xff", b" ", b"x"),
)
_CAP_BYTES = 64


def reference(stream: bytes) -> list[Event]:
    """The events of a whole stream.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, on bytes. One thing is
    ours: an event that no blank line ended is given out at the end, where the specification discards it.
    """
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))
    events: list[Event] = []
    data, name = b"", b""
    for line in [*lines, b""]:
        if line == b"":
            if data:
                events.append((data[:-1], name))
            data, name = b"", b""
            continue
        if line.startswith(b":"):
            continue
        field, value = line, b""
        if b":" in line:
            field, value = line[: line.index(b":")], line[line.index(b":") + 1 :]
            if value.startswith(b" "):
                value = value[1:]
        if field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value
    return events


def read(pieces: tuple[bytes, ...], cap: int) -> list[Event] | None:
    """The events of the stream in pieces; None where it is refused."""
    parser = EventParser(cap)
    events: list[Event] = []
    try:
        for piece in pieces:
            events += parser.feed(piece)
        return events + parser.finish()
    except UpstreamTooLarge:
        assert all(len(data) <= cap for data, _ in events)
        return None


class EventStream:
    """The target."""

    fixed = 0

    def make(self, random: Random) -> Case:
        """A stream of words, perhaps damaged."""
        words = random.choices(WORDS, k=random.randint(1, 14))
        stream = b"".join(word + b"\n" * random.randrange(3) for word in words)
        return cut(random, damage(random, stream, WORDS) if random.random() < 0.5 else stream, 12)

    async def check(self, case: Case) -> None:
        """As cut, and where short, at every place."""
        stream = b"".join(case)
        wanted = reference(stream)
        cuts = [case, (stream,), tuple(stream[at : at + 1] for at in range(len(stream)))]
        if len(stream) <= 200:
            cuts += [(stream[:at], stream[at:]) for at in range(1, len(stream))]
        longest = max(map(len, re.split(rb"\r\n|\n|\r", stream)), default=0)
        largest = max((len(data) for data, _ in wanted), default=0)
        for pieces in cuts:
            assert read(pieces, 1 << 20) == wanted, ("other events", pieces)
            small = read(pieces, _CAP_BYTES)
            assert small is None or small == wanted, ("other events under a cap", pieces)
            assert small is None or largest <= _CAP_BYTES, ("an event over the cap", pieces)
            assert small is not None or longest + largest > _CAP_BYTES // 2, ("refused well under the cap", pieces)


@asynccontextmanager
async def opened() -> AsyncIterator[EventStream]:
    """The target."""
    yield EventStream()
