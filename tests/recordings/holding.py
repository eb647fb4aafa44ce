"""Holds one recorded exchange against the codecs, and says what became of it.

Where a client's dialect is the host's own, the answer goes the whole way round: decoded, written again by the client's
dialect, compared with the recording up to the rules of `normal`; and passed through, which has to change nothing.
Elsewhere what it says is compared (`gist`).
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.recordings import gist, normal
from tests.recordings.decoding import (
    CLIENTS,
    Broken,
    call_of,
    decoder_of,
    fault_of,
    feed,
    hold_stream,
    hold_whole,
    is_passed,
    translated,
)
from tests.recordings.exchange import Exchange
from tollhouse.dialects.anthropic.join import join_message
from tollhouse.dialects.assemble import assemble
from tollhouse.dialects.client import Account, Identity
from tollhouse.dialects.gemini.join import join_objects
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamModelMissing, UpstreamRejected
from tollhouse.gateway.meter import meter_reply
from tollhouse.types.calls import ChatCall, Usage

_IDENTITY = Identity("chatcmpl-recorded", 1)
_JOINS = {"anthropic": join_message, "gemini": join_objects}
_ANSWERS = ("choices", "content", "candidates", "output", "message", "promptFeedback")
"""Members of which any whole answer has one."""

_ERROR_EVENT = re.compile(rb"""^data:.*"error": ?\{""", re.MULTILINE)
_REFUSALS = (400, 404, 409, 413, 422, 451)

Tree = dict[str, Any]


@dataclass
class Outcome:
    """One exchange, held."""

    exchange: Exchange
    decoded: bool = False
    differences: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Decoded, and the same."""
        return self.decoded and not self.differences


def hold(exchange: Exchange) -> Outcome:
    """What became of an exchange that is of some `Kind`."""
    outcome = Outcome(exchange)
    try:
        if exchange.status != 200:
            outcome.differences = _hold_fault(exchange)
        elif _is_answer(exchange):
            outcome.differences = _hold_answer(exchange)
        else:
            _hold_nonsense(exchange)
        outcome.decoded = True
    except (Broken, UpstreamFault) as broken:
        outcome.differences = [f"{type(broken).__name__}: {broken}"]
    return outcome


def _is_answer(exchange: Exchange) -> bool:
    if exchange.streamed:
        return not _ERROR_EVENT.search(exchange.body)
    try:
        answer = json.loads(exchange.body)
    except ValueError:
        return False
    return isinstance(answer, dict) and any(name in answer for name in _ANSWERS) and answer.get("status") != "queued"


def _hold_nonsense(exchange: Exchange) -> None:
    """What is no model's answer is a fault, and so is a stream that ends with an error."""
    call = translated(call_of(exchange))
    try:
        if exchange.streamed:
            feed(decoder_of(exchange, call), [exchange.body])
        else:
            hold_whole(exchange, call)
    except UpstreamBadResponse:
        return
    except UpstreamFault as fault:
        if exchange.streamed and fault.message[:40].encode() in exchange.body:
            return
        raise
    raise Broken("what is no answer passes for one")


def _hold_fault(exchange: Exchange) -> list[str]:
    """A refusal keeps its status and words."""
    fault = fault_of(exchange)
    if isinstance(fault, UpstreamModelMissing):
        return [] if b"model" in exchange.body else [repr(fault)]
    if not isinstance(fault, UpstreamRejected):
        return [repr(fault)] if exchange.status in _REFUSALS else []
    told = json.loads(exchange.body)
    words = (told.get("error") or told).get("message", "")
    same = [] if fault.status == exchange.status else [f"status: {exchange.status} -> {fault.status}"]
    return same + ([] if words[:60] in fault.message else [f"message: {words[:100]} -> {fault.message[:100]}"])


def _hold_answer(exchange: Exchange) -> list[str]:
    call = call_of(exchange)
    lines = _hold_passed(exchange, call) if is_passed(exchange, call) else []
    assert exchange.kind is not None
    if exchange.kind.dialect:
        return lines + _hold_round(exchange, call)
    answer, usage = _whole(exchange, call)
    return lines + normal.differences(gist.of_recorded(exchange).tree(), gist.of_answer(answer, usage).tree())


def _whole(exchange: Exchange, call: ChatCall) -> tuple[Tree, Tree | None]:
    """The answer in the inner form, put together if it was a stream; and its usage."""
    if not exchange.streamed:
        answer, decoder = hold_whole(exchange, translated(call))
        return answer, decoder.usage
    answer_of_stream = assemble(hold_stream(exchange, translated(call)), _IDENTITY)
    if answer_of_stream is None:
        raise Broken("the stream makes no answer")
    decoder = decoder_of(exchange, translated(call))
    feed(decoder, [exchange.body])
    return answer_of_stream, decoder.usage


def _recorded(exchange: Exchange) -> Tree:
    """The recorded answer, put together if it was a stream."""
    assert exchange.kind is not None
    if not exchange.streamed:
        answer: Tree = json.loads(exchange.body)
        return answer
    events = [json.loads(data) for data in _data_of(exchange.body) if data != "[DONE]"]
    join = _JOINS.get(exchange.kind.dialect)
    joined = join(events) if join else _join_chunks(events)
    if joined is None:
        raise Broken("the recorded events make no answer")
    return joined


def _data_of(body: bytes) -> list[str]:
    lines = body.decode().replace("\r\n", "\n").split("\n")
    return [line[5:].strip() for line in lines if line.startswith("data:")]


def _join_chunks(chunks: list[Tree]) -> Tree:
    """OpenAI's chunks, joined as a simple client does it."""
    choices: dict[int, Tree] = {}
    rest: Tree = {}
    for chunk in chunks:
        rest |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for part in chunk.get("choices") or ():
            choice = choices.setdefault(part.get("index", 0), {"message": {}, "index": part.get("index", 0)})
            own = {name: value for name, value in part.items() if name not in ("delta", "index")}
            choice |= {name: value for name, value in own.items() if value is not None}
            for name, value in (part.get("delta") or {}).items():
                _join_member(choice["message"], name, value)
    return {**rest, "choices": [choices[index] for index in sorted(choices)]}


def _join_member(message: Tree, name: str, value: Any) -> None:
    known: Any = message.get(name)
    if name == "tool_calls":
        calls = message.setdefault(name, [])
        for piece in value or ():
            _join_call(calls, piece)
    elif name == "role" or value is None:
        message[name] = value or known
    else:
        message[name] = known + value if type(known) is type(value) else value


def _join_call(calls: list[Tree], piece: Tree) -> None:
    while len(calls) <= piece["index"]:
        calls.append({"function": {"name": "", "arguments": ""}})
    call, said = calls[piece["index"]], piece.get("function") or {}
    call |= {key: part for key, part in piece.items() if part and key != "function"}
    for key in ("name", "arguments"):
        call["function"][key] += said.get(key) or ""


def _hold_round(exchange: Exchange, call: ChatCall) -> list[str]:
    """The answer, written again in the dialect it came in."""
    assert exchange.kind is not None
    answer, raw = _whole(exchange, call)
    usage = meter_reply(raw, call, answer)
    account = Account(usage, raw, 0, {})
    ours = CLIENTS[exchange.kind.dialect].reply(answer, call, _IDENTITY, account)
    recorded = _recorded(exchange)
    dialect = exchange.kind.dialect
    lines = normal.differences(normal.normal(dialect, recorded), normal.normal(dialect, ours))
    return lines + normal.differences(_counts(dialect, recorded), _counts_of(usage), "usage")


def _counts(dialect: str, answer: Tree) -> Tree:
    """The classes of tokens as they were recorded."""
    usage = answer.get("usageMetadata" if dialect == "gemini" else "usage") or {}
    counts = {name: _count(usage, *path) for name, path in _COUNTS[dialect].items()}
    counts["prompt"] += _count(usage, "toolUsePromptTokenCount")
    total = counts.pop("total", None)
    if total is None:  # Anthropic's prompt is what was not cached
        counts["prompt"] += counts["cache_read"] + counts["cache_write"]
    else:
        counts["completion"] = total - counts["prompt"]
    if dialect == "openai":  # Mistral's name for it; and thoughts that only the total tells of
        counts["cache_read"] = counts["cache_read"] or _count(usage, "num_cached_tokens")
        counts["reasoning"] = max(counts["reasoning"], counts["completion"] - _count(usage, "completion_tokens"))
    return counts


_COUNTS: dict[str, dict[str, tuple[str, ...]]] = {
    "anthropic": {
        "prompt": ("input_tokens",),
        "cache_read": ("cache_read_input_tokens",),
        "cache_write": ("cache_creation_input_tokens",),
        "reasoning": ("output_tokens_details", "thinking_tokens"),
        "completion": ("output_tokens",),
    },
    "openai": {
        "prompt": ("prompt_tokens",),
        "cache_read": ("prompt_tokens_details", "cached_tokens"),
        "cache_write": ("prompt_tokens_details", "cache_write_tokens"),
        "reasoning": ("completion_tokens_details", "reasoning_tokens"),
        "total": ("total_tokens",),
    },
    "gemini": {
        "prompt": ("promptTokenCount",),
        "cache_read": ("cachedContentTokenCount",),
        "cache_write": ("none",),
        "reasoning": ("thoughtsTokenCount",),
        "total": ("totalTokenCount",),
    },
}
"""Where each class stands."""


def _count(usage: Tree, *path: str) -> int:
    value: Any = usage
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, int) else 0


def _counts_of(usage: Usage) -> Tree:
    return {
        "prompt": usage.prompt,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write + usage.cache_write_1h,
        "reasoning": usage.reasoning,
        "completion": usage.completion,
    }


def _hold_passed(exchange: Exchange, call: ChatCall) -> list[str]:
    """Passed through, an answer is what it was."""
    if not exchange.streamed:
        return normal.differences(json.loads(exchange.body), hold_whole(exchange, call)[0], "passed")
    chunks = hold_stream(exchange, call)
    return normal.differences([json.loads(data) for data in _data_of(exchange.body)], chunks, "passed")
