"""Answers of a host that speaks Gemini's dialect, for a client that speaks it too: passed on as they are, with their
cost. Made by `client`.

The last object of a stream tells the cost, so it has to wait for the end: from the first ``finishReason`` on, each
object is held until the next one comes.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.dialects.client import Account
from tollhouse.dialects.gemini.framing import Framing, in_json
from tollhouse.dialects.gemini.write import counts
from tollhouse.dialects.tokens import TOKENS_PER_CALL, Tally
from tollhouse.dialects.usage import usd_json

_encode = msgspec.json.Encoder().encode

_CHARS_PER_SOUND_TOKEN = 3200
_TOKENS_PER_IMAGE = 1290
_NOTHING = b'{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"index":0}]}'


def annotate(answer: dict[str, Any], account: Account) -> dict[str, Any]:
    """An answer with its cost and our notes, in place. One without usage is given ours."""
    meta = answer.get("usageMetadata")
    if type(meta) is not dict or not meta:
        meta = counts(account.usage, account.raw)
    answer["usageMetadata"] = {**meta, "cost": usd_json(account.cost_nusd)}
    answer.update(account.notes)
    return answer


class PassedStream:
    """See `Writer`."""

    __slots__ = ("_called", "_ending", "_frame", "_held", "_images", "_sound_chars", "_tally")

    def __init__(self, frame: Framing) -> None:
        self._frame = frame
        self._tally = Tally()
        self._held: dict[str, Any] | None = None
        self._ending = False
        self._called = self._images = self._sound_chars = 0

    def encode(self, chunks: Iterable[dict[str, Any]]) -> bytes:
        """See `Writer`."""
        objects: list[bytes] = []
        for chunk in chunks:
            self._look(chunk)
            if self._held is not None:
                objects.append(in_json(self._held))
            if self._ending:
                self._held = chunk
            else:
                objects.append(in_json(chunk))
        return self._frame.wrap(objects)

    def _look(self, chunk: dict[str, Any]) -> None:
        """Counts what an object gives the client, and sees the end."""
        candidates = chunk.get("candidates")
        for candidate in candidates if type(candidates) is list else ():
            if type(candidate) is not dict:
                continue
            if candidate.get("finishReason"):
                self._ending = True
            content = candidate.get("content")
            parts = content.get("parts") if type(content) is dict else None
            for part in parts if type(parts) is list else ():
                if type(part) is dict:
                    self._count(part)
        if chunk.get("promptFeedback"):
            self._ending = True

    def _count(self, part: dict[str, Any]) -> None:
        text = part.get("text")
        if type(text) is str:
            self._tally.add(text)
            return
        blob = part.get("inlineData")
        if type(blob) is dict:
            if str(blob.get("mimeType")).startswith("audio/"):
                self._sound_chars += len(str(blob.get("data")))
            else:
                self._images += 1
            return
        if "functionCall" in part:
            self._called += 1
        told = [value for name, value in part.items() if name not in ("thoughtSignature", "thought")]
        self._tally.add(in_json({"part": told}).decode())

    def finish(self, account: Account) -> bytes:
        """See `Writer`."""
        last = self._held if self._held is not None else msgspec.json.decode(_NOTHING)
        return self._frame.wrap([in_json(annotate(last, account))]) + self._frame.end()

    def heartbeat(self) -> bytes:
        """See `Writer`."""
        return self._frame.beat(_NOTHING)

    def tokens(self) -> int:
        """See `Writer`."""
        beside = TOKENS_PER_CALL * self._called + _TOKENS_PER_IMAGE * self._images
        return self._tally.tokens() + beside + self.sound_tokens()

    def sound_tokens(self) -> int:
        """See `Writer`."""
        return -(-self._sound_chars // _CHARS_PER_SOUND_TOKEN)
