"""A judge of our own streams: reads them as the strictest clients do, and says what a client has in the end."""

import json
from dataclasses import dataclass, field
from typing import Any

from tollhouse.dialects.replies import normalise_reply, tidy_reply
from tollhouse.types.calls import Usage

REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
LINE_BYTES = 64 * 1024


@dataclass
class Said:
    """What one choice said: its texts joined, its calls, and why it ended."""

    texts: dict[str, str] = field(default_factory=dict)
    calls: list[dict[str, str]] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None

    @property
    def content(self) -> str:
        """The text of the answer."""
        return self.texts.get("content", "")


@dataclass
class Judged:
    """A whole stream."""

    choices: dict[int, Said] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    envelope: dict[str, Any] = field(default_factory=dict)
    """Members of chunks that are not OpenAI's own."""
    chunks: list[dict[str, Any]] = field(default_factory=list)


def events_of(raw: bytes) -> list[str]:
    """The data of each event, by the naive split that browser examples use; fails on anything but whole events."""
    text = raw.decode("utf-8")
    assert text == "" or text.endswith("\n\n")
    blocks = text.split("\n\n")[:-1]
    assert all(block.startswith("data: ") and "\n" not in block and "\r" not in block for block in blocks)
    return [block[6:] for block in blocks]


def judge(raw: bytes, *, include_usage: bool, ended: bool = True) -> Judged:
    """Reads a stream and asserts every rule of a canonical one. ``ended`` is false for a stream that failed."""
    events = events_of(raw)
    if ended:
        assert events.pop() == "[DONE]"
    judged = Judged()
    identities = set()
    for place, event in enumerate(events):
        chunk = json.loads(event)
        judged.chunks.append(chunk)
        assert chunk["object"] == "chat.completion.chunk"
        assert type(chunk["created"]) is int
        assert chunk["id"]
        identities.add((chunk["id"], chunk["created"], chunk["model"]))
        assert "error" not in chunk
        if chunk["choices"] == []:
            assert include_usage
            assert place == len(events) - 1
            judged.usage = chunk["usage"]
            continue
        assert chunk.get("usage", "absent") == (None if include_usage else "absent")
        own = {"id", "object", "created", "model", "choices", "usage"}
        judged.envelope |= {name: value for name, value in chunk.items() if name not in own}
        for choice in chunk["choices"]:
            _judge_choice(judged, choice)
    assert len(identities) == 1
    if ended:
        assert all(said.finish_reason for said in judged.choices.values())
        assert judged.choices
        _judge_usage(judged, include_usage)
    return judged


def _judge_usage(judged: Judged, include_usage: bool) -> None:
    if not include_usage:
        assert judged.usage is None
        return
    assert judged.usage is not None
    counts = [judged.usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    assert all(type(count) is int and count >= 0 for count in counts)


def _judge_choice(judged: Judged, choice: dict[str, Any]) -> None:
    index, delta = choice["index"], choice["delta"]
    assert type(index) is int
    assert "finish_reason" in choice
    if index not in judged.choices:
        assert delta["role"] == "assistant"
        assert delta["content"] == ""
        judged.choices[index] = Said()
    else:
        assert "role" not in delta
    said = judged.choices[index]
    assert said.finish_reason is None, "nothing follows the terminal chunk"
    assert delta.get("function_call", {}) is not None
    for name, value in delta.items():
        if isinstance(value, str) and name != "role":
            said.texts[name] = said.texts.get(name, "") + value
    for fragment in delta.get("tool_calls", ()):
        _judge_fragment(said, fragment)
    said.extras |= {name: value for name, value in choice.items() if name not in ("index", "delta", "finish_reason")}
    if choice["finish_reason"] is not None:
        assert choice["finish_reason"] in REASONS
        assert delta == {}
        said.finish_reason = choice["finish_reason"]
        assert not said.calls or said.finish_reason in ("tool_calls", "length", "content_filter")


def _judge_fragment(said: Said, fragment: dict[str, Any]) -> None:
    kind, text = ("custom", "input") if "custom" in fragment else ("function", "arguments")
    member = fragment[kind]
    assert type(member[text]) is str
    if fragment["index"] == len(said.calls):
        assert fragment["id"]
        assert fragment["id"] not in [call["id"] for call in said.calls]
        assert fragment["type"] == kind
        assert member[text] == ""
        said.calls.append({"id": fragment["id"], "name": member["name"], text: ""})
    else:
        assert fragment["index"] < len(said.calls), "indexes are contiguous"
        assert fragment.keys().isdisjoint({"id", "type"})
        assert "name" not in member
        said.calls[fragment["index"]][text] += member[text]


def normalised(raw: Any, reply_id: str, created: int, model: str, *, metered: Usage | None = None) -> dict[str, Any]:
    """A raw reply made tidy and given an identity, as a decoder and then the pipeline do."""
    tidy_reply(raw, reply_id)
    return normalise_reply(raw, reply_id, created, model, metered=metered)
