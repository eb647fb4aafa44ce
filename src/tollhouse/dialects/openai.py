"""OpenAI's chat surface as clients see it: our side of a stream, and the identity of answers.

`gateway.pipeline` makes one `ChatStream` for each streamed call and writes what it gives, whole events at a time.

Theory of operation
-------------------
Clients read streams with parsers that were only ever tried on OpenAI's own. What they have in common is kept here,
whatever the upstream sent: one id, created and model; ``role`` with empty content in the first delta of a choice and
never again; every choice with ``index`` and ``delta``; tool calls as `tools` has it; one terminal finish reason for
each choice, in an empty delta, as the last thing said of it; no ``error``, and no ``usage`` that was not asked for; one
``data`` line for each event, of at most 64 KiB where it is text that makes it long.

Nearly every chunk is text for a choice that is open already: such a chunk is given our identity and encoded, nothing
more. The finish reason is held back until the stream ends, because hosts go on after it: with a second one, with
annotations, with a tool call that changes what the right reason is.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from tollhouse.dialects.client import Account
from tollhouse.dialects.finish import WITHHELD, finish_reason
from tollhouse.dialects.replies import normalise_reply, split_reply
from tollhouse.dialects.tokens import TOKENS_PER_CALL, Tally
from tollhouse.dialects.tools import ToolCalls
from tollhouse.dialects.usage import priced, tidy_usage, usage_object
from tollhouse.errors import UpstreamBadResponse

__all__ = ["ChatStream", "normalise_reply", "split_reply"]

MAX_LINE_BYTES: Final = 64 * 1024
_SLICE_CHARS: Final = 8 * 1024
"""JSON takes at most six bytes for a character, so a slice and its envelope stay under the line limit."""

_encode: Final = msgspec.json.Encoder().encode

_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal")
"""The members of a delta that are text for people, which may be cut anywhere."""
_NOT_SAID: Final = frozenset({"role", "tool_calls", "function_call"})
_UNCOUNTED: Final = _NOT_SAID | frozenset(_TEXTS)
_TOLD: Final = frozenset({"text", "summary", "thinking", "transcript"})
"""The members in which hosts put text beside the usual ones (``reasoning_details``, ``thinking_blocks``, ``audio``)."""
_CHARS_PER_SOUND_TOKEN: Final = 3200
"""20 tokens for a second of sound: streams carry 24,000 samples of 16 bits, in base64."""
_TOKENS_PER_IMAGE: Final = 1290
"""What the usual makers of images in chat write for one."""
_OWN: Final = frozenset({"index", "delta", "finish_reason"})
_ENVELOPE: Final = frozenset({"id", "object", "created", "model", "choices", "usage", "error"})


class _Choice:
    """What the client has been told of one choice."""

    __slots__ = ("calls", "extras", "legacy_call", "reason")

    def __init__(self) -> None:
        self.calls: ToolCalls | None = None
        self.legacy_call = False
        self.reason: object = None
        self.extras: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        """Members of the chunk and of the choice that came with the finish reason alone."""


class ChatStream:
    """One streamed answer, as bytes. It takes the chunks over: the dicts given to `encode` are changed."""

    __slots__ = (
        *("_choices", "_identity", "_images", "_ordinary", "_sound_chars"),
        *("_usage_asked", "stream_id", "tally"),
    )

    def __init__(self, stream_id: str, created: int, model: str, include_usage: bool) -> None:
        self.stream_id = stream_id
        self._identity = {"id": stream_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._ordinary: dict[str, Any] = {**self._identity, "usage": None} if include_usage else self._identity
        """What every ordinary chunk carries; OpenAI sends ``usage: null`` where usage will come."""
        self._usage_asked = include_usage
        self._choices: dict[int, _Choice] = {}
        self.tally = Tally()
        """The text given to the client so far, for the estimate where the host reports no usage."""
        self._sound_chars = self._images = 0
        """What it was given beside text."""

    def encode(self, chunks: Iterable[dict[str, Any]]) -> bytes:
        """The events of these chunks, ready for one write; empty when they tell the client nothing yet.

        Raises `UpstreamBadResponse` for what JSON cannot carry.
        """
        lines: list[bytes] = []
        for chunk in chunks:
            line = self._encode_plain(chunk)
            if line is None:
                lines += map(_event, self._canonical(chunk))
            else:
                lines.append(line)
        return lines[0] if len(lines) == 1 else b"".join(lines)

    def finish(self, account: Account) -> bytes:
        """The end, with the usage as it was metered and what it cost."""
        for index, results in account.results.items():
            if (state := self._choices.get(index)) is not None:
                state.extras[1]["content_filter_results"] = results
        return self.end(priced(usage_object(account.usage, account.raw), account.cost_nusd), account.notes)

    def end(self, usage: dict[str, Any] | None, notes: Mapping[str, Any] | None = None) -> bytes:
        """The end: what each choice still owes, the usage if it was asked for, and ``[DONE]``. ``notes`` are members
        for the last chunk that has a choice: parsers that read ``choices[0]`` of whatever comes survive them there.
        """
        lines = [] if self._choices else [self.heartbeat()]
        ends = [chunk for index in sorted(self._choices) for chunk in self._ending(index, self._choices[index])]
        ends[-1].update(notes or {})
        lines += map(_event, ends)
        if self._usage_asked:
            counted = tidy_usage(usage if usage is not None else {"completion_tokens": self.tokens()})
            lines.append(_event({**self._identity, "choices": [], "usage": counted}))
        lines.append(b"data: [DONE]\n\n")
        return b"".join(lines)

    def tokens(self) -> int:
        """About how many tokens the client has been given, sound and images too; 0 before the first."""
        calls = sum([choice.calls.announced for choice in self._choices.values() if choice.calls is not None])
        return self.tally.tokens() + TOKENS_PER_CALL * calls + _TOKENS_PER_IMAGE * self._images + self.sound_tokens()

    def sound_tokens(self) -> int:
        """How many of them are sound."""
        return -(-self._sound_chars // _CHARS_PER_SOUND_TOKEN)

    def heartbeat(self) -> bytes:
        """An event that says nothing, in the one form that no client stumbles over: an empty delta of this stream.

        Before any content it is the first delta of choice 0, which is the same whatever host answers in the end.
        """
        delta = {} if 0 in self._choices else self._open(0)
        return _event(self._chunk({}, {"index": 0, "delta": delta, "finish_reason": None}))

    @staticmethod
    def error_event(fault_body: dict[str, Any]) -> bytes:
        """The last event of a stream that failed, from `Fault.body`. No ``[DONE]`` follows it.

        ``error`` is the first key and the JSON compact: go-openai looks for exactly ``data: {"error":``.
        """
        return _event(fault_body)

    def _encode_plain(self, chunk: dict[str, Any]) -> bytes | None:
        """The event of a chunk that is more text for one open choice, as nearly all are; None for any other."""
        held = chunk["choices"]
        if len(held) != 1:
            return None
        choice = held[0]
        state = self._choices.get(choice["index"])
        if state is None or choice.get("finish_reason") is not None:
            return None
        delta: dict[str, Any] = choice["delta"]
        if "role" in delta:
            del delta["role"]  # noqa: RUF051  (nearly always absent)
        says_content_alone = len(delta) == 1 and "content" in delta
        if not says_content_alone and not self._is_plain(delta, state):
            return None
        chunk.update(self._ordinary)
        line = _event(chunk)
        if len(line) > MAX_LINE_BYTES:
            return None
        if not says_content_alone:
            self._count_beside(delta)
        for name in _TEXTS:
            if isinstance(text := delta.get(name), str):
                self.tally.add(text)
                if says_content_alone:
                    break
        return line

    def _count_beside(self, delta: dict[str, Any]) -> None:
        """Counts what a delta gives the client beside text of its own, lest that be had for nothing by leaving early.
        Of text that is told twice, once in the usual place, the second is not counted.
        """
        if delta.keys() <= _UNCOUNTED:
            return
        if isinstance(audio := delta.get("audio"), dict) and isinstance(data := audio.get("data"), str):
            self._sound_chars += len(data)
        if isinstance(images := delta.get("images"), list):
            self._images += len(images)
        if not any(delta.get(name) for name in _TEXTS):
            for text in _told([value for name, value in delta.items() if name not in _UNCOUNTED]):
                self.tally.add(text)

    def _is_plain(self, delta: dict[str, Any], state: _Choice) -> bool:
        """Whether a delta is texts and extras alone, or one more piece of an announced tool call's arguments."""
        if "tool_calls" not in delta:
            return "function_call" not in delta
        text = state.calls.pass_on(delta["tool_calls"]) if len(delta) == 1 and state.calls is not None else None
        if text is None or len(text) > _SLICE_CHARS:
            return False
        self.tally.add(text)
        return True

    def _chunk(self, envelope: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any]:
        return {**envelope, **self._ordinary, "choices": [choice]}

    def _open(self, index: int) -> dict[str, Any]:
        """The first delta of a choice."""
        self._choices[index] = _Choice()
        return {"role": "assistant", "content": ""}

    def _canonical(self, chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A chunk of any shape as canonical ones, each about one choice."""
        envelope = {name: value for name, value in chunk.items() if name not in _ENVELOPE}
        held = chunk["choices"] or [{"index": 0, "delta": {}, "finish_reason": None}]
        for choice in held:
            for part in self._parts(choice, envelope):
                yield self._chunk(envelope, part)
                envelope = {}

    def _parts(self, choice: dict[str, Any], envelope: dict[str, Any]) -> list[dict[str, Any]]:
        """One choice of a chunk as choices of one delta each. What else it holds rides on the first with text.

        With a finish reason and nothing said beside it, it rides on the terminal, and so does the envelope.
        """
        index, reason = choice["index"], choice.get("finish_reason")
        extras = {name: value for name, value in choice.items() if name not in _OWN}
        opener = None if index in self._choices else self._open(index)
        state = self._choices[index]
        deltas = self._deltas(state, index, choice["delta"])
        ended = reason is not None and (state.reason is None or reason == WITHHELD)
        if ended:
            state.reason = reason
        if not deltas and ended:
            state.extras = (dict(envelope), extras)
            envelope.clear()
        elif not deltas and opener is None and (extras or envelope):
            deltas = [{}]
        elif not deltas and opener is not None:
            deltas, opener = [opener], None
        parts = [{"index": index, "delta": delta, "finish_reason": None} for delta in deltas]
        if parts:
            parts[0] = {"index": index, "delta": deltas[0], **extras, "finish_reason": None}
        if opener is not None:
            parts.insert(0, {"index": index, "delta": opener, "finish_reason": None})
        return parts

    def _deltas(self, state: _Choice, index: int, delta: dict[str, Any]) -> list[dict[str, Any]]:
        """What a delta says, in pieces that clients can take: text first, then each tool call fragment by itself."""
        said = {name: value for name, value in delta.items() if name not in _NOT_SAID and value not in (None, "")}
        legacy = delta.get("function_call")
        if isinstance(legacy, dict) and any(legacy.values()):
            state.legacy_call = True
            said["function_call"] = legacy
            self.tally.add(str(legacy.get("arguments") or ""))
        self._count_beside(said)
        for name in _TEXTS:
            if isinstance(text := said.get(name), str):
                self.tally.add(text)
        deltas = _sliced(said)
        entries = delta.get("tool_calls")
        if isinstance(entries, list) and entries:
            if state.calls is None:
                state.calls = ToolCalls(self.stream_id, index)
            deltas += self._call_deltas(state.calls.take(entries))
        return deltas

    def _call_deltas(self, fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
        deltas = []
        for fragment in fragments:
            function = fragment.get("function") or fragment["custom"]
            self.tally.add("".join(function.values()))
            deltas += [{"tool_calls": [piece]} for piece in _sliced_call(fragment)]
        return deltas

    def _ending(self, index: int, state: _Choice) -> Iterator[dict[str, Any]]:
        """The terminal chunk of a choice, and before it what its tool calls still owe."""
        reason = finish_reason(state.reason, called=bool(state.calls), legacy_call=state.legacy_call)
        envelope, extras = state.extras
        if state.calls is not None:
            for delta in self._call_deltas(state.calls.finish(whole=reason == "tool_calls")):
                yield self._chunk({}, {"index": index, "delta": delta, "finish_reason": None})
        yield self._chunk(envelope, {"index": index, "delta": {}, **extras, "finish_reason": reason})


def _event(value: dict[str, Any]) -> bytes:
    try:
        return b"data: " + _encode(value) + b"\n\n"
    except (ValueError, RecursionError) as problem:
        raise UpstreamBadResponse("The upstream's answer cannot be written as JSON.") from problem


def _told(values: list[Any]) -> Iterator[str]:
    """The texts in members that no rule is known for, two levels deep."""
    for value in values:
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict):
                yield from [text for name, text in item.items() if name in _TOLD and isinstance(text, str)]


def _sliced(delta: dict[str, Any]) -> list[dict[str, Any]]:
    """A delta in pieces whose texts are short enough for one line each."""
    long = [name for name in _TEXTS if isinstance(text := delta.get(name), str) and len(text) > _SLICE_CHARS]
    short = {name: value for name, value in delta.items() if name not in long}
    pieces = [short] if short else []
    for name in long:
        text = delta[name]
        pieces += [{name: text[at : at + _SLICE_CHARS]} for at in range(0, len(text), _SLICE_CHARS)]
    return pieces


def _sliced_call(fragment: dict[str, Any]) -> list[dict[str, Any]]:
    """A fragment of a function's arguments in pieces, likewise."""
    text = fragment.get("function", {}).get("arguments", "")
    if len(text) <= _SLICE_CHARS:
        return [fragment]
    starts = range(_SLICE_CHARS, len(text), _SLICE_CHARS)
    rest = [{"arguments": text[at : at + _SLICE_CHARS]} for at in starts]
    first = {**fragment, "function": {**fragment["function"], "arguments": text[:_SLICE_CHARS]}}
    return [first, *[{"index": fragment["index"], "function": function} for function in rest]]
