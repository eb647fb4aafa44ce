"""Cohere's v2 chat API, which refuses members that it does not know (https://docs.cohere.com/reference/chat)."""

import json
from typing import Any, ClassVar

from tests.matrix.shapes import Kinds, check, demand
from tests.matrix.upstreams.openai import text_of
from tests.matrix.upstreams.server import CREDENTIAL, Host, Request, event
from tests.matrix.words import Call, Counts, Got, Result, Said, Turn, cut

PART = Kinds(
    "type",
    {"text": {"text!": str}, "image_url": {"image_url!": {"url!": str, "detail": {"auto", "low", "high"}}}},
)
THOUGHT = Kinds("type", {"text": {"text!": str}, "thinking": {"thinking!": str}})
GIVEN = Kinds("type", {"text": {"text!": str}, "document": {"document!": {"data!": dict, "id": str}}})
CALL = {"id!": str, "type!": {"function"}, "function!": {"name!": str, "arguments!": str}}
MESSAGE = Kinds(
    "role",
    {
        "system": {"content!": str},
        "user": {"content!": (str, [PART])},
        "assistant": {"content": (str, [THOUGHT]), "tool_calls": [CALL], "tool_plan": str},
        "tool": {"content!": (str, [GIVEN]), "tool_call_id!": str},
    },
)
TOOL = {"type!": {"function"}, "function!": {"name!": str, "description": str, "parameters!": dict}}
BODY = {
    "model!": str,
    "messages!": [MESSAGE],
    "stream!": bool,
    "tools": [TOOL],
    "tool_choice": {"REQUIRED", "NONE"},
    "strict_tools": bool,
    "response_format": {"type!": {"json_object"}, "json_schema": dict},
    "thinking": {"type!": {"enabled", "disabled"}, "token_budget": int},
    "stop_sequences": [str],
    "logprobs": bool,
    **dict.fromkeys(("temperature", "p", "frequency_penalty", "presence_penalty"), float),
    **dict.fromkeys(("k", "max_tokens", "seed"), int),
}
NAMES = {"temperature": "temperature", "p": "top_p", "k": "top_k", "seed": "seed", "max_tokens": "max_tokens"}
NAMES |= {"stop_sequences": "stop", "logprobs": "logprobs", "frequency_penalty": "frequency_penalty"}
REASONS = {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS", "stop_sequence": "STOP_SEQUENCE"}
REASONS |= {"refusal": "COMPLETE"}
FAULTS = {
    "rate_limit": (429, "You are using a Trial key, which is limited to 20 API calls / minute."),
    "auth": (401, "invalid api token"),
    "missing": (
        404,
        "model 'm' not found, make sure the correct model ID was used and that you have access to the model.",
    ),
    "crash": (500, "internal server error"),
    "too_long": (
        400,
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4588.",
    ),
}


class CohereHost(Host):
    """Cohere, and a model that reasons."""

    name: ClassVar[str] = "cohere"
    model: ClassVar[str] = "command-a-reasoning-08-2025"
    counts: ClassVar[Counts] = Counts(prompt=40, output=12)

    @property
    def base_url(self) -> str:
        """With its version."""
        return f"{self.root}/v2"

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        demand(request.path == "/v2/chat", "path", f"there is nothing at {request.path}")
        demand(request.headers.get("authorization") == f"Bearer {CREDENTIAL}", "authorization", "invalid api token")
        check(body, BODY)
        got = Got(stream=body["stream"])
        self._read_messages(body["messages"], got)
        got.wishes |= {NAMES[name]: value for name, value in body.items() if name in NAMES}
        got.tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools") or ()}
        if choice := body.get("tool_choice"):
            demand(got.tools, "tool_choice", "there are no tools")
            got.wishes["tool_choice"] = choice.lower()
        if form := body.get("response_format"):
            demand(not got.tools, "response_format", "is not supported in combination with tools")
            got.wishes["response_format"] = form.get("json_schema")
        got.thinks = got.shows = (body.get("thinking") or {}).get("type") == "enabled"
        demand(0 <= body.get("temperature", 0) <= 1, "temperature", "must be between 0 and 1")
        return got

    def _read_messages(self, messages: list[dict[str, Any]], got: Got) -> None:
        waiting: dict[str, str] = {}
        for place, message in enumerate(messages):
            path, role = f"messages[{place}]", message["role"]
            if role == "tool":
                call_id = message["tool_call_id"]
                demand(call_id in waiting, path, "the tool_call_id is unknown")
                got.turns.append(Turn("tool", results=(_result(message, waiting.pop(call_id)),)))
                continue
            demand(not waiting, path, "tool results are missing")
            if role == "system":
                got.system += message["content"]
            elif role == "user":
                parts = message["content"] if type(message["content"]) is list else []
                pictures = sum([part["type"] == "image_url" for part in parts])
                got.turns.append(Turn("user", text_of(message["content"]), pictures=pictures))
            else:
                given = message.get("tool_calls") or ()
                said = text_of(message.get("content") or "")
                demand(said or given, path, "an assistant message has content or tool_calls")
                calls = [
                    Call(one["function"]["name"], json.loads(one["function"]["arguments"]), one["id"]) for one in given
                ]
                waiting = {call.id: call.name for call in calls}
                got.turns.append(Turn("assistant", said, tuple(calls)))

    # --- what it says ---

    def usage(self) -> dict[str, Any]:
        """What is billed, and what was counted."""
        counts = self.counts
        billed = {"input_tokens": counts.prompt, "output_tokens": counts.output}
        return {
            "billed_units": billed,
            "tokens": {"input_tokens": counts.prompt + 500, "output_tokens": counts.output + 3},
        }

    def content(self, said: Said, got: Got) -> list[dict[str, Any]]:
        """What is said, without calls."""
        content: list[dict[str, Any]] = []
        if said.thought and got.thinks and not said.calls:
            content.append({"type": "thinking", "thinking": said.thought})
        if said.text:
            content.append({"type": "text", "text": said.text})
        return content

    def whole(self, said: Said, got: Got) -> Any:
        """See `Host.whole`."""
        message: dict[str, Any] = {"role": "assistant"}
        if content := self.content(said, got):
            message["content"] = content
        if said.calls:
            message["tool_calls"] = [_called(call) for call in said.calls]
            if said.thought and got.thinks:
                message["tool_plan"] = said.thought
        answer: dict[str, Any] = {"id": "c-1", "finish_reason": REASONS[said.finish], "message": message}
        answer["usage"] = self.usage()
        if got.wishes.get("logprobs"):
            answer["logprobs"] = [_probable(piece) for piece in said.pieces]
        return answer

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """See `Host.stream`."""
        opened = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        events: list[dict[str, Any]] = [{"id": "c-1", "type": "message-start", "delta": {"message": opened}}]
        if said.calls and said.thought and got.thinks:
            events += [_delta("tool-plan-delta", {"tool_plan": piece}) for piece in cut(said.thought)]
        for index, part in enumerate(self.content(said, got)):
            kind = part["type"]
            events.append({**_delta("content-start", {"content": {"type": kind, kind: ""}}), "index": index})
            for piece in cut(part[kind]):
                one = {**_delta("content-delta", {"content": {kind: piece}}), "index": index}
                if got.wishes.get("logprobs") and kind == "text":
                    one["logprobs"] = _probable(piece)
                events.append(one)
            events.append({"type": "content-end", "index": index})
        for index, call in enumerate(said.calls):
            head = {**_called(call), "function": {"name": call.name, "arguments": ""}}
            events.append({**_delta("tool-call-start", {"tool_calls": head}), "index": index})
            for piece in cut(json.dumps(call.arguments), 5):
                given = {"tool_calls": {"function": {"arguments": piece}}}
                events.append({**_delta("tool-call-delta", given), "index": index})
            events.append({"type": "tool-call-end", "index": index})
        ending = {"finish_reason": REASONS[said.finish], "usage": self.usage()}
        return [event(one, one["type"]) for one in [*events, {"type": "message-end", "delta": ending}]]

    def fault(self, kind: str) -> tuple[int, Any]:
        """See `Host.fault`."""
        status, message = FAULTS.get(kind, (422, f"invalid request: {kind}"))
        return status, {"id": "e1", "message": message}


def _result(message: dict[str, Any], name: str) -> Result:
    content = message["content"]
    if type(content) is str:
        return Result(message["tool_call_id"], name, content)
    documents = [part["document"]["data"] for part in content if part["type"] == "document"]
    failed = [data["error"] for data in documents if "error" in data]
    text = text_of(content) + "".join(failed)
    return Result(message["tool_call_id"], name, text, bool(failed))


def _called(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _probable(piece: str) -> dict[str, Any]:
    return {"text": piece, "token_ids": [1], "logprobs": [-0.25]}


def _delta(kind: str, message: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "delta": {"message": message}}
