"""An answer in the inner form as Anthropic's ``message``: its blocks, why it stopped, what it took. Pure.

`client` calls `message`; `writer`, which says the same in events, shares the rest.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.seals import PLAIN, client_id, seal
from tollhouse.dialects.anthropic.words import FINISH_OF_STOP, REASONING_FORMAT, STOP_OF_FINISH
from tollhouse.dialects.client import Account, Identity
from tollhouse.dialects.finish import finish_reason
from tollhouse.dialects.usage import usd_json
from tollhouse.types.calls import ChatCall, Usage

Block = dict[str, Any]
_decode = msgspec.json.Decoder().decode
_TIERS = ("standard", "priority", "batch")  # a tuple: what a host says may be unhashable


def message_id(identity: Identity) -> str:
    """``msg_`` and what follows OpenAI's prefix in the answer's id."""
    return "msg_" + identity.id.removeprefix("chatcmpl-")


def message(answer: dict[str, Any], call: ChatCall, identity: Identity, account: Account) -> dict[str, Any]:
    """A whole answer. Of several choices the first: this dialect has no more."""
    choice = answer["choices"][0]
    said = choice["message"]
    calls = said.get("tool_calls") or []
    refused = bool(said.get("refusal"))
    stop, sequence = stop_reason(choice, choice.get("finish_reason"), called=bool(calls), refused=refused)
    return {
        "id": message_id(identity),
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [*_thinking(said), *_text(said), *(block for made in calls for block in _call_blocks(made))],
        "stop_reason": stop,
        "stop_sequence": sequence,
        "usage": usage_object(account),
        **account.notes,
    }


def stop_reason(choice: Mapping[str, Any], word: object, *, called: bool, refused: bool) -> tuple[str, str | None]:
    """Why an answer stopped, and which of the client's own sequences stopped it.

    The host's own word counts where it is one of Anthropic's and says the same as ``finish_reason``.
    """
    sequence, native = choice.get("stop_sequence"), choice.get("native_finish_reason")
    reason = finish_reason(word, called=called)
    if refused:
        return "refusal", None
    if reason == "stop" and type(sequence) is str:
        return "stop_sequence", sequence
    if type(native) is str and FINISH_OF_STOP.get(native) == reason and native != "stop_sequence":
        return native, None
    return STOP_OF_FINISH.get(reason, "end_turn"), None


def usage_object(account: Account) -> dict[str, Any]:
    """What the answer took and cost, in Anthropic's classes: ``input_tokens`` are those outside of every cache."""
    usage, raw = account.usage, account.raw or {}
    counted = usage_counts(usage)
    counted["cost"] = usd_json(account.cost_nusd)
    if raw.get("service_tier") in _TIERS:
        counted["service_tier"] = raw["service_tier"]
    if isinstance(tools := raw.get("server_tool_use"), dict):
        counted["server_tool_use"] = tools
    return counted


def usage_counts(usage: Usage) -> dict[str, Any]:
    """The tokens alone."""
    counts: dict[str, Any] = {
        "input_tokens": usage.input + usage.input_audio,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.completion,
    }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counts


# --- blocks ------------------------------------------------------------------------------------------------------


def sealed_entry(entry: Mapping[str, Any]) -> str:
    """The signature of a thought that Claude did not think: its entry under seal, but for the text told beside it."""
    kept = {name: value for name, value in entry.items() if name not in ("text", "summary", "index") and value}
    kept.setdefault("type", "reasoning.text")
    return PLAIN if kept == {"type": "reasoning.text"} else seal(kept)


def entry_text(entry: Mapping[str, Any]) -> str:
    """What an entry of ``reasoning_details`` says for people."""
    text = entry.get("text") or entry.get("summary")
    return text if type(text) is str else ""


def signature_of(entry: Mapping[str, Any]) -> str:
    """What proves a thought: Claude's own signature, or our seal."""
    if entry.get("format") != REASONING_FORMAT:
        return sealed_entry(entry)
    signature = entry.get("signature")
    return signature if type(signature) is str else PLAIN


def redacted_block(entry: Mapping[str, Any]) -> Block:
    """A thought that nobody is to read."""
    data = entry.get("data")
    own = entry.get("format") == REASONING_FORMAT and type(data) is str
    return {"type": "redacted_thinking", "data": data if own else sealed_entry(entry)}


def proof_block(call_id: str, extra: Mapping[str, Any]) -> Block:
    """What has to come back with a tool call, as a block that stands before it."""
    return {"type": "redacted_thinking", "data": seal({"call": call_id, "extra_content": extra})}


def thought_of(said: Mapping[str, Any]) -> str:
    """The thinking of a message or delta as text, by either of its names."""
    text = said.get("reasoning_content") or said.get("reasoning")
    return text if type(text) is str else ""


def entries_of(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ``reasoning_details`` of a message or delta."""
    details = said.get("reasoning_details")
    return [entry for entry in details if type(entry) is dict] if type(details) is list else []


def citation(annotation: object) -> dict[str, Any] | None:
    """A citation in OpenAI's form as Anthropic's; None where it is none of a page."""
    cited = annotation.get("url_citation") if type(annotation) is dict else None
    if type(cited) is not dict or type(cited.get("url")) is not str:
        return None
    return {
        "type": "web_search_result_location",
        "url": cited["url"],
        "title": cited.get("title") if type(cited.get("title")) is str else None,
        "cited_text": cited["content"] if type(cited.get("content")) is str else "",
        "encrypted_index": PLAIN,
    }


def citations_of(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The citations of a message or delta."""
    given = said.get("annotations")
    found = [citation(one) for one in given] if type(given) is list else []
    return [one for one in found if one is not None]


def _thinking(said: Mapping[str, Any]) -> Iterator[Block]:
    entries, thought = entries_of(said), thought_of(said)
    if thought and not any(map(entry_text, entries)):
        yield {"type": "thinking", "thinking": thought, "signature": PLAIN}
    for entry in entries:
        if entry.get("type") == "reasoning.encrypted":
            yield redacted_block(entry)
        elif entry_text(entry) or entry.get("signature"):
            yield {"type": "thinking", "thinking": entry_text(entry), "signature": signature_of(entry)}


def _text(said: Mapping[str, Any]) -> Iterator[Block]:
    texts = [text for text in (said.get("content"), said.get("refusal")) if type(text) is str]
    cited = citations_of(said)
    if text := "".join(texts):
        yield {"type": "text", "text": text, "citations": cited} if cited else {"type": "text", "text": text}


def _call_blocks(made: Mapping[str, Any]) -> Iterator[Block]:
    extra = made.get("extra_content")
    if type(extra) is dict and extra:
        yield proof_block(made["id"], extra)
    function = made.get("function")
    if type(function) is dict:
        given = _object(function["arguments"])
        name = function["name"]
    else:
        custom = made.get("custom") or {}
        name, given = str(custom.get("name") or ""), {"input": custom.get("input")}
    yield {"type": "tool_use", "id": client_id(made["id"]), "name": name, "input": given}


def _object(arguments: str) -> dict[str, Any]:
    """A call's arguments. What is not an object is put into one under the name that Anthropic's own documentation of
    fine-grained tool streaming gives it, for ``input`` has to be one.
    """
    if not arguments.strip():
        return {}
    try:
        value = _decode(arguments)
    except (ValueError, RecursionError):
        return {"INVALID_JSON": arguments}
    return value if type(value) is dict else {"INVALID_JSON": arguments}
