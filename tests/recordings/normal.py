"""Both sides of a comparison, brought into one form: the stated list of what may differ, and nothing else.

`RULES` is the list, for people; each entry is done by the code beside it.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

RULES = {
    "any": (
        "a member that says nothing (null, empty text, list or object) is as good as none",
        "id, object, created, model, responseId, modelVersion, createTime are ours",
        "our cost, and notes about credits, are added",
        "usage is compared by its classes; what the total has in excess is part of the answer, and was thought",
        "a stream that ends with an error is a fault, and a model's name that is refused says that it is missing",
    ),
    "openai": (
        "content that is a list of parts is text and thoughts",
        "whatever the host calls it, thinking may stand in reasoning, reasoning_content or reasoning_details",
        "the index of a tool call in a whole answer is left out, arguments are compared as JSON",
        "an unknown finish reason, or stop after tool calls, is OpenAI's own",
        "logprobs that tell of no token are none; audio that only holds zeros is none; obfuscation is padding",
        "a call without an id has one of ours",
        "beside OpenAI's moderation stand its results as everybody has them",
        "of requests: Mistral's tools have no type, and its any is required; OpenRouter's models are not taken",
    ),
    "anthropic": (
        "blocks stand in the order: thinking, text, tool use; texts are joined",
        "what Anthropic's own tools did, and citations of their results, go to Anthropic's clients untouched only",
        "container, context_management, stop_details, diagnostics likewise",
    ),
    "gemini": (
        "parts stand in the order: thoughts, what Google's tools did, text, media, calls; texts of one kind are joined",
        "a signature may stand on another part of the same answer",
        "ids of calls are ours where the host has none",
        "how tokens are split by modality; the prompt of a tool is part of the prompt",
        "numbers of tokens, and avgLogprobs, go to Google's clients untouched only",
    ),
}

_OURS = frozenset(
    {"id", "object", "created", "model", "responseId", "modelVersion", "createTime", "_remaining_credits"}
)
_ADDED = frozenset({"cost", "_balance_warning", "usage", "usageMetadata", "sdkHttpResponse"})
_MINTED = re.compile(r"tool_calls\[\d+\]\.id: null -> \"call_")
_NOTHING: tuple[Any, ...] = (None, "", [], {})

Tree = dict[str, Any]


def differences(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """Each place where two trees differ: its path, what was recorded, and what we say."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        names = sorted(recorded.keys() | ours.keys())
        pairs: Iterable[tuple[str, Any, Any]] = [(f".{name}", recorded.get(name), ours.get(name)) for name in names]
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        pairs = [(f"[{place}]", *both) for place, both in enumerate(zip(recorded, ours, strict=True))]
    else:
        return [] if recorded == ours else [f"{path or '.'}: {_short(recorded)} -> {_short(ours)}"]
    lines = [line for name, left, right in pairs for line in differences(left, right, path + name)]
    return [line for line in lines if not _MINTED.search(line)]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."


def plain(value: Any) -> Any:
    """A tree without what says nothing."""
    if isinstance(value, dict):
        members = {name: plain(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if member not in _NOTHING}
    return [plain(member) for member in value] if isinstance(value, list) else value


def normal(dialect: str, answer: Tree) -> Tree:
    """A whole answer in its normal form."""
    return plain(_FORMS[dialect]({name: value for name, value in answer.items() if name not in _OURS | _ADDED}))  # type: ignore[no-any-return]


# --- OpenAI -------------------------------------------------------------------------------------------------------

_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
_THOUGHTS = frozenset({"reasoning", "reasoning_content", "reasoning_details"})


def _openai(answer: Tree) -> Tree:
    made = {"prompt_filter_results", "content_filter_results"} if answer.get("moderation") else set()
    rest = {name: value for name, value in answer.items() if name not in {"obfuscation", *made}}
    choices = [_choice(choice) for choice in answer.get("choices") or ()]
    return {**rest, "choices": [{name: choice[name] for name in choice.keys() - made} for choice in choices]}


def _choice(choice: Tree) -> Tree:
    message = dict(choice.get("message") or {})
    thoughts = _thoughts(message)
    for name in _THOUGHTS:
        message.pop(name, None)
    if isinstance(message.get("content"), list):
        message["content"] = "".join(part.get("text") or "" for part in message["content"])
    message["tool_calls"] = [_call(call) for call in message.get("tool_calls") or ()]
    if not any((message.get("audio") or {}).values()):
        message.pop("audio", None)
    reason = choice.get("finish_reason")
    reason = reason if reason in _REASONS else "stop"
    if message["tool_calls"] and reason == "stop":
        reason = "tool_calls"
    logprobs = choice.get("logprobs")
    told = isinstance(logprobs, dict) and any(logprobs.values())
    return {
        **choice,
        "message": {**message, "thoughts": thoughts},
        "finish_reason": reason,
        "logprobs": logprobs if told else None,
    }


def _thoughts(message: Tree) -> str:
    """The text of what was thought, wherever it stands."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(text := message.get(name), str) and text:
            return text
    details = message.get("reasoning_details") or ()
    if texts := "".join(one.get("text") or one.get("summary") or "" for one in details):
        return texts
    parts = message.get("content")
    thinking = [part["thinking"] for part in parts if "thinking" in part] if isinstance(parts, list) else []
    return "".join(text["text"] for held in thinking for text in held)


def _call(call: Tree) -> Tree:
    function = dict(call.get("function") or {})
    function["arguments"] = _json(function.get("arguments"))
    rest = {name: value for name, value in call.items() if name != "index"}
    return {**rest, "function": function, "type": "function"}


def _json(text: Any) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, TypeError):
        return text


# --- Anthropic ----------------------------------------------------------------------------------------------------

_BLOCKS = ("thinking", "redacted_thinking", "text", "tool_use")
_THEIRS = frozenset({"container", "context_management", "stop_details", "diagnostics"})


def _anthropic(answer: Tree) -> Tree:
    blocks = [block for block in answer.get("content") or () if block.get("type") in _BLOCKS]
    thoughts = [block for block in blocks if "thinking" in block["type"]]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [_tool_use(block) for block in blocks if block["type"] == "tool_use"]
    rest = {name: value for name, value in answer.items() if name not in _THEIRS}
    return {**rest, "content": {"thoughts": thoughts, "text": text, "calls": calls}}


def _tool_use(block: Tree) -> Tree:
    return {name: value for name, value in block.items() if name in ("id", "name", "input")}


# --- Gemini -------------------------------------------------------------------------------------------------------

_MEDIA = ("inlineData", "fileData")


def _gemini(answer: Tree) -> Tree:
    return {**answer, "candidates": [_candidate(one) for one in answer.get("candidates") or ()]}


def _candidate(candidate: Tree) -> Tree:
    parts = (candidate.get("content") or {}).get("parts") or []
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    thoughts = [part for part in parts if part.get("thought")]
    said = [part for part in parts if not part.get("thought")]
    rest = {name: value for name, value in candidate.items() if name not in ("content", "index", "avgLogprobs")}
    if "logprobsResult" in rest:
        rest["logprobsResult"] = _without(rest["logprobsResult"], "tokenId")
    own = [{name: value for name, value in part.items() if name != "thoughtSignature"} for part in said]
    return {
        **rest,
        "text": "".join(part.get("text") or "" for part in said),
        "thoughts": "".join(part.get("text") or "" for part in thoughts),
        "calls": [{"name": call.get("name"), "args": call.get("args") or None} for call in calls],
        "media": [part for part in own if part.keys() & set(_MEDIA)],
        "tools": [part for part in own if not part.keys() & {"text", "functionCall", *_MEDIA}],
        "signatures": sorted(part["thoughtSignature"] for part in parts if part.get("thoughtSignature")),
    }


def _without(value: Any, left_out: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(member, left_out) for name, member in value.items() if name != left_out}
    return [_without(member, left_out) for member in value] if isinstance(value, list) else value


_FORMS = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}
