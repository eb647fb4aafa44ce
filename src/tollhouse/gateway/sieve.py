"""A streamed answer that may be cut: what a client is given of it only once it was judged.

`gateway.watch` passes the chunks of an answer through a `Sieve` where its policy blocks. Theory of operation: chunks
wait in a queue. When `hold_chars` characters have come since the last look, or all choices have ended, what was heard
is judged as if the answer ended there; where nothing is filtered, what was judged at the look before goes on, in its
order. So what a client reads was judged with at least `hold_chars` characters after it, or with all that there are.
With ``hold_chars`` 0 nothing waits (``async``): each piece is given as it comes, and the answer is cut when what was
said is found out.

A choice that is filtered ends with ``finish_reason: "content_filter"``; of what waits nothing is given. Others go on.
"""

import sys
from collections.abc import Callable
from typing import Any

from tollhouse.gateway.ear import Chunk, Ear
from tollhouse.types.safety import Verdict

EVERYTHING = sys.maxsize
"""For ``hold_chars``: nothing is given before all was said, and judged by others too."""
LOOK_CHARS = 256
"""How often one looks, and for ``hold_chars`` of what is held."""
Judged = Callable[[int, Verdict], bool]
"""Whether a choice may be said, by what was found in it."""


class Sieve:
    """One answer."""

    __slots__ = ("_allows", "_choices", "_cut", "_ear", "_ended", "_hold_chars", "_judged", "_over", "_queue")

    def __init__(self, ear: Ear, allows: Judged, hold_chars: int, choices: int = 1) -> None:
        """``ear`` must not judge by itself. ``choices`` is how many were asked for."""
        self._ear = ear
        self._allows = allows
        self._hold_chars = hold_chars
        self._choices = choices
        self._judged: list[Chunk] = []
        """What was judged, but not with enough after it."""
        self._queue: list[Chunk] = []
        """What was not judged yet."""
        self._over: set[int] = set()
        """The choices that have ended; hosts may go on after that."""
        self._ended = False
        """Whether all of them have just ended."""
        self._cut: set[int] = set()

    @property
    def cut(self) -> bool:
        """Whether nothing more is to be said: every choice is filtered."""
        return len(self._cut) >= self._choices

    @property
    def filtered(self) -> frozenset[int]:
        """The choices that were cut."""
        return frozenset(self._cut)

    def take(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks that may be given now."""
        for chunk in chunks:
            self._ear.hear_chunk(chunk)
            for choice in chunk["choices"]:
                if choice.get("finish_reason") is not None and choice["index"] not in self._over:
                    self._over.add(choice["index"])
                    self._ended = len(self._over) >= self._choices
        if not self._hold_chars:
            ends = self._look() if self._ear.waiting_chars >= LOOK_CHARS or self._ended else []
            return self._without_cut(chunks) + ends
        self._queue += self._without_cut(chunks)
        if self._hold_chars == EVERYTHING:
            return []
        if self._ended or not (self._judged or self._ear.waiting_chars):
            return self.finish()
        return self._move_on() if self._ear.waiting_chars >= self._hold_chars else []

    def _move_on(self) -> list[Chunk]:
        """Judges what waits. What was judged before has enough after it now."""
        ends = self._look()
        given = self._without_cut(self._judged)
        self._judged, self._queue = self._without_cut(self._queue), []
        return given + ends

    def finish(self) -> list[Chunk]:
        """What may be given of all that waits, now that everything was heard."""
        ends = self._look()
        given = self._without_cut(self._judged + self._queue)
        self._judged, self._queue = [], []
        return given + ends

    def _look(self) -> list[Chunk]:
        """Judges what was heard. The ends of the choices that are cut by it."""
        self._ended = False
        ends = []
        for choice, verdict in self._ear.so_far().items():
            if choice not in self._cut and not self._allows(choice, verdict):
                self._cut.add(choice)
                ends.append(_end_of(choice))
        return ends

    def _without_cut(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks without the choices that were cut."""
        if not self._cut:
            return list(chunks)
        left = []
        for chunk in chunks:
            choices = [choice for choice in chunk["choices"] if choice["index"] not in self._cut]
            if choices or not chunk["choices"]:
                left.append({**chunk, "choices": choices})
        return left


def _end_of(choice: int) -> dict[str, Any]:
    return {"choices": [{"index": choice, "delta": {}, "finish_reason": "content_filter"}]}
