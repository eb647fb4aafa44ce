"""Ollama's own chat API, which passes over what it does not know (https://docs.ollama.com/api/chat)."""

import json
from typing import Any, ClassVar

from tests.matrix.shapes import Kinds, check, demand
from tests.matrix.upstreams.openai import logprobs
from tests.matrix.upstreams.server import Host, Request
from tests.matrix.words import Call, Counts, Got, Result, Said, Turn, cut

CALL = {"id": str, "function!": {"name!": str, "arguments!": dict, "index": int}}
MESSAGE = Kinds(
    "role",
    {
        "system": {"content!": str},
        "user": {"content!": str, "images": [str]},
        "assistant": {"content": str, "thinking": str, "tool_calls": [CALL]},
        "tool": {"content!": str, "tool_name": str, "tool_call_id": str, "images": [str]},
    },
)
TOOL = {"type!": {"function"}, "function!": {"name!": str, "description": str, "parameters!": dict}}
OPTIONS = {
    **dict.fromkeys(("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"), float),
    **dict.fromkeys(("top_k", "seed", "num_predict", "num_ctx"), int),
    "stop": [str],
}
BODY = {
    "model!": str,
    "messages!": [MESSAGE],
    "stream!": bool,
    "tools": [TOOL],
    "format": (dict, {"json"}),
    "options": OPTIONS,
    "think": (bool, {"low", "medium", "high"}),
    "keep_alive": str,
    "truncate": bool,
    "shift": bool,
    "logprobs": bool,
    "top_logprobs": int,
}
FAULTS = {
    "rate_limit": (429, "you have reached your hourly usage limit"),
    "auth": (401, "unauthorized"),
    "missing": (404, 'model "m" not found, try pulling it first'),
    "crash": (500, "llama runner process has terminated: exit status 2"),
    "too_long": (400, "request (8889 tokens) exceeds the available context size (4096 tokens), try increasing it"),
}


class OllamaHost(Host):
    """Ollama, and a model that thinks."""

    name: ClassVar[str] = "ollama"
    model: ClassVar[str] = "qwen3"
    counts: ClassVar[Counts] = Counts(prompt=40, output=12, cached=8)
    stream_type: ClassVar[str] = "application/x-ndjson"

    @property
    def base_url(self) -> str:
        """No path."""
        return self.root

    @property
    def settings(self) -> str:
        """It knows of no key."""
        return 'provider = "ollama"\nauth = "none"\n'

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        demand(request.path == "/api/chat", "path", f"there is nothing at {request.path}")
        check(body, BODY)
        got = Got(stream=body["stream"])
        names: list[str] = []
        for message in body["messages"]:
            self._read_message(message, got, names)
        options = dict(body.get("options") or {})
        if "num_predict" in options:
            got.wishes["max_tokens"] = options.pop("num_predict")
        got.wishes |= options
        got.wishes |= {name: body[name] for name in ("logprobs", "top_logprobs") if name in body}
        if "format" in body:
            got.wishes["response_format"] = body["format"]
        got.tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools") or ()}
        got.thinks = got.shows = bool(body.get("think"))
        return got

    def _read_message(self, message: dict[str, Any], got: Got, names: list[str]) -> None:
        role, text = message["role"], message.get("content", "")
        if role == "system":
            got.system += text
        elif role == "user":
            got.turns.append(Turn("user", text, pictures=len(message.get("images") or ())))
        elif role == "tool":
            demand(names, "messages", "a tool's result follows a call")
            name = names.pop(0)
            demand(message.get("tool_name", name) == name, "tool_name", "is another tool's")
            call_id = message.get("tool_call_id", "")
            picture = bool(message.get("images"))
            got.turns.append(Turn("tool", results=(Result(call_id, name, text, picture=picture),)))
        else:
            given = [(one.get("id", ""), one["function"]) for one in message.get("tool_calls") or ()]
            names += [function["name"] for _, function in given]
            calls = [Call(function["name"], function["arguments"], call_id) for call_id, function in given]
            got.turns.append(Turn("assistant", text, tuple(calls)))

    # --- what it says ---

    def line(self, message: dict[str, Any], **more: Any) -> dict[str, Any]:
        """One object."""
        said = {"role": "assistant", "content": "", **message}
        return {"model": self.model, "created_at": "2026-09-15T00:00:00.1Z", "message": said, "done": False, **more}

    def ending(self, said: Said) -> dict[str, Any]:
        """The members of the last object."""
        reason = "length" if said.finish == "length" else "stop"
        counts = self.counts
        counted = {"prompt_eval_count": counts.prompt, "prompt_eval_cached_count": counts.cached}
        return {"done": True, "done_reason": reason, "total_duration": 5, **counted, "eval_count": counts.output}

    def whole(self, said: Said, got: Got) -> Any:
        """See `Host.whole`."""
        message: dict[str, Any] = {"content": said.text}
        if said.thought and got.thinks:
            message["thinking"] = said.thought
        if said.calls:
            message["tool_calls"] = [_called(call) for call in said.calls]
        probable = {"logprobs": logprobs(said.pieces)["content"]} if got.wishes.get("logprobs") else {}
        return self.line(message, **self.ending(said), **probable)

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """See `Host.stream`."""
        lines = [self.line({"thinking": piece}) for piece in cut(said.thought)] if got.thinks else []
        for piece in said.pieces:
            probable = {"logprobs": logprobs([piece])["content"]} if got.wishes.get("logprobs") else {}
            lines.append(self.line({"content": piece}, **probable))
        lines += [self.line({"tool_calls": [_called(call)]}) for call in said.calls]
        lines.append(self.line({}, **self.ending(said)))
        return [json.dumps(one).encode() + b"\n" for one in lines]

    def fault(self, kind: str) -> tuple[int, Any]:
        """See `Host.fault`."""
        status, message = FAULTS.get(kind, (400, kind))
        return status, {"error": message}


def _called(call: Call) -> dict[str, Any]:
    return {"function": {"name": call.name, "arguments": call.arguments}}
