"""What a request of a relayed endpoint took: the host's word, else an estimate by what the endpoint does. Pure.

`gateway.relay` makes one `RelayMeter` for a request, shows it what comes back, and asks for the usage at the end. Where
a host says nothing of it: text is estimated, as in `gateway.meter`; images are counted; the text of speech is metered
by the character, as its makers price it, and what is spoken by `_SPEECH_MILLI_PER_CHAR`; a recording by the usual
length of its bytes. What is not the host's word is marked ``estimated``.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from tollhouse.dialects.tokens import Tally, estimate_tokens
from tollhouse.gateway.meter import read_usage
from tollhouse.gateway.needs import BYTES_PER_AUDIO_TOKEN, Needs
from tollhouse.types.calls import Usage

MAX_SECONDS = 2**31
_encode = msgspec.json.Encoder().encode
_SPEECH_MILLI_PER_CHAR = 1_333
"""Thousandths of a token: 20 tokens a second of speech, 15 characters a second."""
_RECORDED_BYTES_PER_TOKEN = 1_600
"""10 tokens a second of audio, at 128 kbit/s."""
_IMAGE_TOKENS = 4_160
"""A square image of gpt-image-1 in high quality."""
_IMAGE_ENDS = frozenset({"image_generation.completed", "image_edit.completed"})
_ITEM_DONE = "response.output_item.done"
_EARLY_TOKENS = 16
_SILENT = frozenset({"embeddings", "moderations"})
"""Endpoints whose answers have no tokens."""
_PROMPT_FIELDS = ("prompt", "input", "instructions", "tools", "text", "suffix")


class RelayMeter:
    """The meter of one request. ``body`` is its JSON; empty for a form."""

    __slots__ = ("_body", "_images", "_in_pieces", "_needs", "_raw", "_tally")

    def __init__(self, needs: Needs, body: Mapping[str, Any]) -> None:
        self._needs = needs
        self._body = body
        self._raw: Mapping[str, Any] = {}
        self._tally = Tally()
        self._images = 0
        self._in_pieces = False
        """Whether what is said comes in deltas, to be repeated whole."""

    @property
    def said(self) -> bool:
        """Whether anything has come that is paid for."""
        return bool(self._images or self._tally.tokens())

    def see(self, value: object) -> None:
        """Takes in one event, or a whole JSON answer."""
        if not isinstance(value, dict):
            return
        for holder in (value, value.get("response")):
            if isinstance(holder, dict) and isinstance(raw := holder.get("usage"), dict) and raw:
                self._raw = raw
        for text in _said(value):
            self._tally.add(text)
        self._in_pieces = self._in_pieces or "delta" in value
        if not self._in_pieces and isinstance(item := value.get("item"), dict) and value.get("type") == _ITEM_DONE:
            for text in _item_texts(item):
                self._tally.add(text)
        if self._needs.images_made:
            data = value.get("data")
            self._images += len(data) if isinstance(data, list) else value.get("type") in _IMAGE_ENDS

    def hear(self, data: bytes) -> None:
        """Takes in a piece of an answer that is neither JSON nor events: the text of a transcription, or sound."""
        if self._needs.kind != "audio/speech":
            self._tally.add(data.decode("utf-8", "replace"))

    def usage(self, *, whole: bool = True) -> Usage:
        """What was used so far. Of an answer that broke off, a host's figure that is far below what was said is one
        that it states before there is any (`gateway.meter.meter_stream`).
        """
        kind = self._needs.kind
        if kind == "audio/speech":
            return self._speech()
        if (seconds := _seconds(self._raw)) is not None:
            return Usage(input_audio=seconds)
        output = 0 if kind in _SILENT else self._tally.tokens()
        if self._needs.images_made:
            output = self._images * _IMAGE_TOKENS
        usage = read_usage(self._raw, self._prompt(), output)
        if not whole and output > 2 * usage.completion + _EARLY_TOKENS:
            usage = replace(usage, output=output, estimated=True)
        stated = "prompt_tokens" in self._raw or "input_tokens" in self._raw
        if usage.estimated and kind in _SILENT and stated:  # an embedding's usage names no completion, for it has none
            usage = replace(usage, estimated=False)
        if not self._raw and self._needs.audio:
            usage = replace(usage, input_audio=self._recorded())
        return replace(usage, images=self._images) if self._images else usage

    def _speech(self) -> Usage:
        """Text to sound: what the host says it wrote is all audio."""
        text = str(self._body.get("input") or "")
        spoken = math.ceil(len(text) * _SPEECH_MILLI_PER_CHAR / (1000 * float(self._body.get("speed") or 1)))
        usage = read_usage(self._raw, len(text), spoken)
        return replace(usage, output=0, reasoning=0, output_audio=usage.completion)

    def _recorded(self) -> int:
        return self._needs.audio * BYTES_PER_AUDIO_TOKEN // _RECORDED_BYTES_PER_TOKEN + 1

    def _prompt(self) -> int:
        """About how many tokens went in, but for sound and images."""
        return sum(_estimate(self._body.get(name)) for name in _PROMPT_FIELDS)


def _estimate(value: object) -> int:
    """The tokens of a text, of tokens, of a batch of either, or of JSON."""
    if value is None:
        return 0
    if isinstance(value, str):
        return estimate_tokens(value)
    if isinstance(value, list) and value:
        if isinstance(value[0], int):
            return len(value)
        if isinstance(value[0], str | list):
            return sum(map(_estimate, value))
    return estimate_tokens(_encode(value))


def _said(value: Mapping[str, Any]) -> Iterator[str]:
    """The texts that an event, or a whole answer, adds to what was said."""
    for name in ("delta", "text"):
        if isinstance(text := value.get(name), str) and (name == "delta" or "type" not in value):
            yield text
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and isinstance(text := choice.get("text"), str):
            yield text
    output = value.get("output")
    for item in output if isinstance(output, list) else ():
        if isinstance(item, dict):
            yield from _item_texts(item)


def _item_texts(item: Mapping[str, Any]) -> Iterator[str]:
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(text := part.get("text"), str):
            yield text
    if isinstance(arguments := item.get("arguments"), str):
        yield arguments


def _seconds(raw: Mapping[str, Any]) -> int | None:
    """The length of a recording, where a host counts seconds and not tokens; a second is one token of audio."""
    seconds = raw.get("seconds")
    if raw.get("type") != "duration" or type(seconds) not in (int, float) or not isinstance(seconds, int | float):
        return None
    return math.ceil(seconds) if 0 <= seconds <= MAX_SECONDS else None
