"""A host that speaks Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages)."""

import json
from typing import Any, ClassVar

from tests.matrix.shapes import Kinds, check, demand
from tests.matrix.upstreams.server import CREDENTIAL, Host, Request, event
from tests.matrix.words import Call, Counts, Got, Result, Said, Turn, cut

MARKER = {"type!": {"ephemeral"}, "ttl": {"5m", "1h"}}
TEXT = {"text!": str, "cache_control": MARKER}
SOURCE = Kinds(
    "type",
    {"base64": {"media_type!": str, "data!": str}, "url": {"url!": str}, "text": {"media_type!": str, "data!": str}},
)
IMAGE = {"source!": SOURCE, "cache_control": MARKER}
DOCUMENT = {"source!": SOURCE, "title": str, "context": str, "cache_control": MARKER}
RESULT = {
    "tool_use_id!": str,
    "content": (str, [Kinds("type", {"text": TEXT, "image": IMAGE, "document": DOCUMENT})]),
    "is_error": bool,
    "cache_control": MARKER,
}
USER = Kinds("type", {"text": TEXT, "image": IMAGE, "document": DOCUMENT, "tool_result": RESULT})
SAID = Kinds(
    "type",
    {
        "text": {**TEXT, "citations": (list, type(None))},
        "thinking": {"thinking!": str, "signature!": str},
        "redacted_thinking": {"data!": str},
        "tool_use": {"id!": str, "name!": str, "input!": dict, "cache_control": MARKER},
    },
)
MESSAGE = Kinds("role", {"user": {"content!": (str, [USER])}, "assistant": {"content!": (str, [SAID])}})
TOOL = {
    "name!": str,
    "description": str,
    "input_schema!": dict,
    "strict": bool,
    "cache_control": MARKER,
    "type": {"custom"},
}
CHOICE = {"disable_parallel_tool_use": bool}
BODY = {
    "model!": str,
    "max_tokens!": int,
    "messages!": [MESSAGE],
    "system": (str, [Kinds("type", {"text": TEXT})]),
    "stream": bool,
    "tools": [TOOL],
    "tool_choice": Kinds("type", {"auto": CHOICE, "any": CHOICE, "none": {}, "tool": {"name!": str, **CHOICE}}),
    "thinking": Kinds(
        "type",
        {
            "enabled": {"budget_tokens!": int, "display": str},
            "disabled": {},
            "adaptive": {"display": str},
        },
    ),
    "output_config": {"effort": str, "format": {"type!": {"json_schema"}, "schema!": dict}},
    "stop_sequences": [str],
    "metadata": {"user_id": str},
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "service_tier": str,
}
STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "refusal": "refusal"}
FAULTS = {
    "rate_limit": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "missing": (404, "not_found_error", "model: m"),
    "crash": (500, "api_error", "Internal server error"),
    "too_long": (400, "invalid_request_error", "prompt is too long: 209005 tokens > 200000 maximum"),
}


class AnthropicHost(Host):
    """Anthropic."""

    name: ClassVar[str] = "anthropic"
    model: ClassVar[str] = "claude-sonnet-4-5"
    counts: ClassVar[Counts] = Counts(prompt=142, output=12, cached=100, written=30)

    @property
    def settings(self) -> str:
        """Its key has a header of its own."""
        return super().settings + 'auth = "x-api-key"\n'

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        demand(request.path == "/v1/messages", "path", f"there is nothing at {request.path}")
        demand(request.headers.get("x-api-key") == CREDENTIAL, "x-api-key", "invalid x-api-key")
        demand(request.headers.get("anthropic-version"), "anthropic-version", "header is required")
        check(body, BODY)
        got = Got(stream=body.get("stream") is True)
        for part in _blocks(body.get("system") or []):
            self._text(part, got, "system")
            got.system += part["text"]
        self._read_turns(body["messages"], got)
        self._read_wishes(body, got)
        self._judge_thinking(body, got)
        return got

    def _judge_thinking(self, body: dict[str, Any], got: Got) -> None:
        """What goes with thinking, and what does not."""
        if (body.get("thinking") or {}).get("type") not in ("enabled", "adaptive"):
            return
        got.thinks = got.shows = True
        budget = body["thinking"].get("budget_tokens", 1024)
        demand(1024 <= budget < body["max_tokens"], "thinking", "max_tokens must be greater than budget_tokens >= 1024")
        demand(body.get("temperature", 1) == 1, "temperature", "may only be set to 1 when thinking is enabled")
        demand("top_k" not in body, "top_k", "must be unset when thinking is enabled")
        choice = (body.get("tool_choice") or {}).get("type", "auto")
        demand(choice in ("auto", "none"), "tool_choice", "Thinking may not be enabled when it forces tool use")
        said = [turn["content"] for turn in body["messages"] if turn["role"] == "assistant"]
        blocks = _blocks(said[-1]) if said else []
        if any(block["type"] == "tool_use" for block in blocks) and got.turns[-1].results:
            first = blocks[0]["type"]
            demand(first in ("thinking", "redacted_thinking"), "messages", f"Expected `thinking`, but found `{first}`")

    def _read_turns(self, messages: list[dict[str, Any]], got: Got) -> None:
        """The turns: the user begins, results follow their calls at once and stand first."""
        demand(messages and messages[0]["role"] == "user", "messages", "first message must use the user role")
        waiting: dict[str, str] = {}
        for place, message in enumerate(messages):
            blocks = _blocks(message["content"])
            path = f"messages[{place}].content"
            demand(blocks, path, "all messages must have non-empty content")
            results = [block for block in blocks if block["type"] == "tool_result"]
            answered = {block["tool_use_id"] for block in results}
            demand(answered == set(waiting), path, "`tool_use` ids and `tool_result` blocks do not match")
            demand(blocks[: len(results)] == results, path, "tool_result blocks must come first")
            got.turns += [Turn("tool", results=(_result(block, waiting),)) for block in results]
            waiting = {block["id"]: block["name"] for block in blocks if block["type"] == "tool_use"}
            demand(not waiting or message["role"] == "assistant", path, "tool_use is the assistant's")
            self._read_blocks(message["role"], blocks[len(results) :], got, path)
        demand(not waiting, "messages", "`tool_use` ids were found without `tool_result` blocks")

    def _read_blocks(self, role: str, blocks: list[dict[str, Any]], got: Got, path: str) -> None:
        text, calls = "", []
        for index, block in enumerate(blocks):
            where = f"{path}[{index}]"
            got.markers += block.get("cache_control") is not None
            if block["type"] == "text":
                self._text(block, got, where, counted=True)
                text += block["text"]
            elif block["type"] == "thinking":
                self.prove(block["signature"], f"{where}.signature", got, block["thinking"])
            elif block["type"] == "tool_use":
                calls.append(Call(block["name"], block["input"], block["id"]))
            elif block["type"] in ("image", "document"):
                _judge_source(block, where)
        pictures = sum([block["type"] == "image" for block in blocks])
        documents = sum([block["type"] == "document" for block in blocks])
        if blocks:
            got.turns.append(Turn(role, text, tuple(calls), pictures=pictures, documents=documents))

    def _text(self, block: dict[str, Any], got: Got, path: str, *, counted: bool = False) -> None:
        demand(block["text"].strip(), path, "text content blocks must be non-empty")
        if not counted:
            got.markers += block.get("cache_control") is not None

    def _read_wishes(self, body: dict[str, Any], got: Got) -> None:
        for name in ("temperature", "top_p", "top_k", "max_tokens"):
            if name in body:
                got.wishes[name] = body[name]
        demand(0 <= body.get("temperature", 1) <= 1, "temperature", "range: 0..1")
        if stops := body.get("stop_sequences"):
            demand(all(stop.strip() for stop in stops), "stop_sequences", "each must contain non-whitespace")
            got.wishes["stop"] = stops
        got.tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools") or ()}
        got.markers += sum(["cache_control" in tool for tool in body.get("tools") or ()])
        choice = body.get("tool_choice") or {}
        words = {"any": "required", "none": "none", "tool": choice.get("name")}
        if word := words.get(choice.get("type", "auto")):
            demand(got.tools, "tool_choice", "may only be specified while providing tools")
            got.wishes["tool_choice"] = word
        if choice.get("disable_parallel_tool_use"):
            got.wishes["parallel_tool_calls"] = False
        if form := (body.get("output_config") or {}).get("format"):
            got.wishes["response_format"] = form["schema"]

    # --- what it says ---

    def usage(self) -> dict[str, Any]:
        """What it counts."""
        counts = self.counts
        return {
            "input_tokens": counts.prompt - counts.cached - counts.written,
            "cache_creation_input_tokens": counts.written,
            "cache_read_input_tokens": counts.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": counts.written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": counts.output,
            "service_tier": "standard",
        }

    def message(self, content: list[Any], said: Said | None) -> dict[str, Any]:
        """A message; of None nobody knows yet how it ends."""
        reason = None if said is None else STOPS.get(said.finish, said.finish)
        return {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": f"{self.model}-20250929",
            "content": content,
            "stop_reason": reason,
            "stop_sequence": (said.stop or None) if said else None,
            "usage": self.usage(),
        }

    def blocks(self, said: Said, got: Got) -> list[dict[str, Any]]:
        """The content."""
        blocks: list[dict[str, Any]] = []
        if said.thought and got.thinks:
            blocks.append({"type": "thinking", "thinking": said.thought, "signature": self.sign(said.thought)})
        if said.text:
            blocks.append({"type": "text", "text": said.text, "citations": None})
        calls = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in said.calls]
        return [*blocks, *calls]

    def whole(self, said: Said, got: Got) -> Any:
        """See `Host.whole`."""
        return self.message(self.blocks(said, got), said)

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """See `Host.stream`."""
        started = self.message([], None)
        started["usage"]["output_tokens"] = 1
        events: list[dict[str, Any]] = [{"type": "message_start", "message": started}, {"type": "ping"}]
        for index, block in enumerate(self.blocks(said, got)):
            empty, deltas = _pieces(block)
            events.append({"type": "content_block_start", "index": index, "content_block": empty})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        ended = self.message([], said)
        delta = {"stop_reason": ended["stop_reason"], "stop_sequence": ended["stop_sequence"]}
        events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": self.counts.output}})
        return [event(one, one["type"]) for one in [*events, {"type": "message_stop"}]]

    def fault(self, kind: str) -> tuple[int, Any]:
        """See `Host.fault`."""
        status, word, message = FAULTS.get(kind, (400, "invalid_request_error", kind))
        return status, {"type": "error", "error": {"type": word, "message": message}, "request_id": "req_1"}


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if type(content) is str else content


def _result(block: dict[str, Any], names: dict[str, str]) -> Result:
    parts = _blocks(block.get("content") or [])
    text = "".join([part["text"] for part in parts if part["type"] == "text"])
    picture = any(part["type"] == "image" for part in parts)
    call_id = block["tool_use_id"]
    return Result(call_id, names[call_id], text, block.get("is_error") is True, picture)


def _judge_source(block: dict[str, Any], path: str) -> None:
    kind = "image/png" if block["type"] == "image" else "application/pdf"
    demand(block["source"].get("media_type") == kind, path, f"is not {kind}")


def _pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and what is added to it."""
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in cut(block["text"])]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in cut(block["thinking"])]
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed]
    pieces = ["", *cut(json.dumps(block["input"]), 5)]
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
