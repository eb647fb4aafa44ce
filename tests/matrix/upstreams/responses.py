"""A host that speaks OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses/create)."""

import json
from typing import Any, ClassVar

from tests.matrix.shapes import Kinds, check, demand
from tests.matrix.upstreams.openai import FAULTS, logprobs
from tests.matrix.upstreams.server import CREDENTIAL, Host, Request, event
from tests.matrix.words import Call, Counts, Got, Result, Said, Turn, cut

LOGPROBS, ENCRYPTED = "message.output_text.logprobs", "reasoning.encrypted_content"
INPUT = Kinds(
    "type",
    {
        "input_text": {"text!": str},
        "input_image": {"image_url!": str, "detail": {"auto", "low", "high"}},
        "input_file": {"file_data": str, "filename": str, "file_url": str},
    },
)
OUTPUT = Kinds("type", {"output_text": {"text!": str, "annotations": list}, "refusal": {"refusal!": str}})
SAID = {"type": {"message"}, "content!": (str, [INPUT])}
MESSAGE = Kinds(
    "role",
    {
        "user": SAID,
        "system": SAID,
        "developer": SAID,
        "assistant": {"type": {"message"}, "content!": (str, [OUTPUT])},
    },
)
ITEM = Kinds(
    "type",
    {
        "function_call": {"call_id!": str, "name!": str, "arguments!": str},
        "function_call_output": {"call_id!": str, "output!": (str, [INPUT])},
        "reasoning": {
            "id!": str,
            "summary!": [Kinds("type", {"summary_text": {"text!": str}})],
            "encrypted_content": str,
        },
    },
)
TOOL = {"type!": {"function"}, "name!": str, "description": str, "parameters!": dict, "strict!": bool}
FORM = Kinds("type", {"text": {}, "json_object": {}, "json_schema": {"name!": str, "schema!": dict, "strict": bool}})
BODY = {
    "model!": str,
    "input!": [(MESSAGE, ITEM)],
    "stream!": bool,
    "store!": bool,
    "include": [{ENCRYPTED, LOGPROBS}],
    "reasoning": {"effort": {"none", "minimal", "low", "medium", "high", "xhigh"}, "summary": {"auto", "detailed"}},
    "text": {"format": FORM, "verbosity": str},
    "tools": [TOOL],
    "tool_choice": ({"none", "auto", "required"}, {"type!": {"function"}, "name!": str}),
    "max_output_tokens": int,
    "parallel_tool_calls": bool,
    "temperature": float,
    "top_p": float,
    "top_logprobs": int,
    "user": str,
    "stream_options": {"include_obfuscation": bool},
}


class ResponsesHost(Host):
    """OpenAI."""

    name: ClassVar[str] = "responses"
    model: ClassVar[str] = "gpt-5.2"
    counts: ClassVar[Counts] = Counts(prompt=40, output=12, cached=8, reasoning=5)

    def read(self, request: Request) -> Got:
        """See `Host.read`."""
        body = request.body
        demand(request.path == "/v1/responses", "path", f"there is nothing at {request.path}")
        demand(request.headers.get("authorization") == f"Bearer {CREDENTIAL}", "authorization", "wrong key")
        check(body, BODY)
        demand(body["store"] is False, "store", "nobody asked for that")
        got = Got(stream=body["stream"])
        self._read_items(body["input"], got)
        self._read_wishes(body, got)
        return got

    def _read_items(self, items: list[dict[str, Any]], got: Got) -> None:
        waiting: dict[str, str] = {}
        answered: set[str] = set()
        text, calls = "", list[Call]()
        for place, item in enumerate([*items, {"role": "end", "content": ""}]):
            kind, path = item.get("type", "message"), f"input[{place}]"
            if kind == "reasoning":
                self.prove(item.get("encrypted_content"), f"{path}.encrypted_content", got)
                follows = place + 1 < len(items) and items[place + 1].get("type", "message") != "function_call_output"
                demand(follows, path, "Item 'reasoning' was provided without its required following item")
            elif kind == "function_call":
                calls.append(Call(item["name"], json.loads(item["arguments"]), item["call_id"]))
                waiting[item["call_id"]] = item["name"]
            elif item.get("role") == "assistant":
                text += _text(item["content"])
            else:
                if text or calls:
                    got.turns.append(Turn("assistant", text, tuple(calls)))
                    text, calls = "", []
                if kind == "function_call_output":
                    call_id = item["call_id"]
                    demand(
                        call_id in waiting, path, f"No tool call found for function call output with call_id {call_id}"
                    )
                    parts = item["output"] if type(item["output"]) is list else []
                    picture = any(part["type"] == "input_image" for part in parts)
                    result = Result(call_id, waiting[call_id], _text(item["output"]), picture=picture)
                    got.turns.append(Turn("tool", results=(result,)))
                    answered.add(call_id)
                else:
                    demand(answered == set(waiting), path, "No tool output found for function call")
                    self._say(item, got)

    def _say(self, item: dict[str, Any], got: Got) -> None:
        content, role = item["content"], item["role"]
        if role == "system":
            got.system += _text(content)
        elif role == "user":
            parts = content if type(content) is list else []
            files = [part for part in parts if part["type"] == "input_file"]
            for file in files:
                demand(file.get("filename"), "filename", "is missing")
                demand(file.get("file_data", "").startswith("data:application/pdf;base64,"), "file_data", "no data")
            pictures = sum([part["type"] == "input_image" for part in parts])
            got.turns.append(Turn("user", _text(content), pictures=pictures, documents=len(files)))

    def _read_wishes(self, body: dict[str, Any], got: Got) -> None:
        for name in ("temperature", "top_p", "top_logprobs", "parallel_tool_calls"):
            if name in body:
                got.wishes[name] = body[name]
        if "max_output_tokens" in body:
            got.wishes["max_tokens"] = body["max_output_tokens"]
        include = body.get("include") or ()
        if LOGPROBS in include:
            got.wishes["logprobs"] = True
        got.thinks = "reasoning" in body
        got.shows = "summary" in body.get("reasoning", {})
        demand(not got.thinks or ENCRYPTED in include, "include", "what was thought would be lost")
        got.tools = {tool["name"]: tool["parameters"] for tool in body.get("tools") or ()}
        choice = body.get("tool_choice")
        if choice not in (None, "auto"):
            got.wishes["tool_choice"] = choice if type(choice) is str else choice["name"]
        form = (body.get("text") or {}).get("format") or {}
        if form.get("type") == "json_schema":
            got.wishes["response_format"] = form["schema"]

    # --- what it says ---

    def response(self, said: Said | None, output: list[Any]) -> dict[str, Any]:
        """A response; of None nobody knows yet how it ends."""
        cut_short = said is not None and said.finish == "length"
        counts = self.counts
        usage = {
            "input_tokens": counts.prompt,
            "input_tokens_details": {"cached_tokens": counts.cached},
            "output_tokens": counts.output,
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            "total_tokens": counts.prompt + counts.output,
        }
        return {
            "id": "resp_68c97b94a480",
            "object": "response",
            "created_at": 1760000000,
            "status": "in_progress" if said is None else "incomplete" if cut_short else "completed",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut_short else None,
            "model": f"{self.model}-2025-12-11",
            "output": output,
            "parallel_tool_calls": True,
            "service_tier": "default",
            "store": False,
            "usage": None if said is None else usage,
        }

    def items(self, said: Said, got: Got) -> list[dict[str, Any]]:
        """The output."""
        items: list[dict[str, Any]] = []
        if said.thought and got.thinks:
            summary = [{"type": "summary_text", "text": said.thought}] if got.shows else []
            proof = self.sign(said.thought)
            items.append(
                {"id": f"rs_{len(self.issued)}", "type": "reasoning", "summary": summary, "encrypted_content": proof}
            )
        if said.text:
            part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": said.text}
            if got.wishes.get("logprobs"):
                part["logprobs"] = logprobs(said.pieces)["content"]
            if said.finish == "refusal":
                part = {"type": "refusal", "refusal": said.text}
            items.append(
                {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
            )
        for number, call in enumerate(said.calls):
            made = {"call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)}
            items.append({"id": f"fc_{number}", "type": "function_call", "status": "completed", **made})
        return items

    def whole(self, said: Said, got: Got) -> Any:
        """See `Host.whole`."""
        return self.response(said, self.items(said, got))

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """See `Host.stream`."""
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": self.response(None, [])},
            {"type": "response.in_progress", "response": self.response(None, [])},
        ]
        for index, item in enumerate(self.items(said, got)):
            place = {"output_index": index}
            events.append({"type": "response.output_item.added", **place, "item": _begun(item)})
            events += [{**one, **place, "item_id": item["id"]} for one in _PIECES[item["type"]](item)]
            events.append({"type": "response.output_item.done", **place, "item": item})
        name = "incomplete" if said.finish == "length" else "completed"
        events.append({"type": f"response.{name}", "response": self.whole(said, Got(wishes=got.wishes))})
        return [event({**one, "sequence_number": place}, one["type"]) for place, one in enumerate(events)]

    def fault(self, kind: str) -> tuple[int, Any]:
        """See `Host.fault`."""
        status, word, code, message = FAULTS.get(kind, (400, "invalid_request_error", "unknown_parameter", kind))
        return status, {"error": {"message": message, "type": word, "param": None, "code": code}}


def _text(content: Any) -> str:
    if type(content) is str:
        return content
    return "".join([part.get("text", "") for part in content])


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is when it begins."""
    empty = {"content": [], "summary": [], "arguments": ""}
    return {**item, **{name: value for name, value in empty.items() if name in item}, "status": "in_progress"}


def _message(item: dict[str, Any]) -> list[dict[str, Any]]:
    part = item["content"][0]
    name = "refusal" if part["type"] == "refusal" else "output_text"
    key = "refusal" if name == "refusal" else "text"
    place = {"content_index": 0}
    empty = {**part, key: ""} | ({"logprobs": []} if name == "output_text" else {})
    events: list[dict[str, Any]] = [{"type": "response.content_part.added", **place, "part": empty}]
    told = part.get("logprobs") or []
    for number, piece in enumerate(cut(part[key])):
        given = {"logprobs": told[number : number + 1]} if name == "output_text" else {}
        events.append({"type": f"response.{name}.delta", **place, "delta": piece, **given})
    events.append({"type": f"response.{name}.done", **place, key: part[key]})
    return [*events, {"type": "response.content_part.done", **place, "part": part}]


def _reasoning(item: dict[str, Any]) -> list[dict[str, Any]]:
    if not item["summary"]:
        return []
    part, place = item["summary"][0], {"summary_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
    ]
    name = "response.reasoning_summary_text.delta"
    events += [{"type": name, **place, "delta": piece} for piece in cut(part["text"])]
    events.append({"type": "response.reasoning_summary_text.done", **place, "text": part["text"]})
    return [*events, {"type": "response.reasoning_summary_part.done", **place, "part": part}]


def _call(item: dict[str, Any]) -> list[dict[str, Any]]:
    name = "response.function_call_arguments"
    deltas: list[dict[str, Any]] = [{"type": f"{name}.delta", "delta": piece} for piece in cut(item["arguments"], 5)]
    return [*deltas, {"type": f"{name}.done", "arguments": item["arguments"], "name": item["name"]}]


_PIECES = {"message": _message, "reasoning": _reasoning, "function_call": _call}
