"""A client of OpenAI's chat completions, which brings back what an answer's message held, extensions too."""

import json
from typing import Any

from tests.fakes.door import Answer
from tests.matrix.words import PDF, PNG, TOOLS, Asked, Call, Counts, Heard, Result, Turn

PATH = "/v1/chat/completions"
MARKER = {"type": "ephemeral"}


def write(asked: Asked, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Where a request goes, and its body."""
    body: dict[str, Any] = {"model": model, "messages": [], **asked.wishes}
    if asked.system:
        body["messages"].append({"role": "system", "content": _marked(asked.system) if asked.cached else asked.system})
    for turn in asked.turns:
        body["messages"] += _messages(turn)
    if asked.cached:
        first = next(one for one in body["messages"] if one["role"] == "user")
        first["content"] = _marked(first["content"])
    if asked.tools:
        body["tools"] = [
            {"type": "function", "function": {"name": name, "parameters": TOOLS[name]}} for name in asked.tools
        ]
    if asked.choice:
        named = {"type": "function", "function": {"name": asked.choice}}
        body["tool_choice"] = asked.choice if asked.choice in ("required", "none") else named
    if asked.schema is not None:
        form = {"name": "advice", "schema": asked.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if asked.thinks:
        body["reasoning_effort"] = "medium"
    if "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return PATH, body


def _marked(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "cache_control": MARKER}]


def _messages(turn: Turn) -> list[dict[str, Any]]:
    if turn.raw is not None:
        return [turn.raw]
    if turn.results:
        return [_result(result) for result in turn.results]
    if turn.role == "assistant":
        calls = [_called(call) for call in turn.calls]
        return [{"role": "assistant", "content": turn.text or None, **({"tool_calls": calls} if calls else {})}]
    if not turn.pictures and not turn.documents:
        return [{"role": "user", "content": turn.text}]
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    data = {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "report.pdf"}
    parts = [
        {"type": "text", "text": turn.text},
        *[image] * turn.pictures,
        *[{"type": "file", "file": data}] * turn.documents,
    ]
    return [{"role": "user", "content": parts}]


def _result(result: Result) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "tool", "tool_call_id": result.id, "content": result.text}
    if result.picture:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        message["content"] = [{"type": "text", "text": result.text}, image]
    if result.failed:
        message["is_error"] = True
    return message


def _called(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def read_whole(answer: Answer) -> Heard:
    """A whole answer."""
    found = answer.json
    assert found["object"] == "chat.completion"
    heard = _read(found["choices"])
    heard.counts = _counts(found["usage"])
    return heard


def read_stream(answer: Answer) -> Heard:
    """A streamed answer: its deltas put together as the SDK does."""
    assert answer.ended
    assert answer.lines[-1] == b"[DONE]"
    *events, last = answer.events
    assert last["choices"] == []
    choices: dict[int, dict[str, Any]] = {}
    for one in events:
        assert one["object"] == "chat.completion.chunk"
        assert one["id"] == events[0]["id"]
        for part in one["choices"]:
            choice = choices.setdefault(part["index"], {"message": {}, "finish_reason": None, "logprobs": None})
            assert choice["finish_reason"] is None
            choice |= {name: part[name] for name in ("finish_reason", "stop_sequence") if part.get(name)}
            choice["logprobs"] = part.get("logprobs") or choice["logprobs"]
            _merge(choice["message"], part["delta"])
    heard = _read([choices[index] for index in sorted(choices)])
    heard.counts = _counts(last["usage"])
    return heard


def _merge(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Adds a delta: texts grow, lists grow by the ``index`` of their items."""
    for name, value in delta.items():
        if type(value) is list:
            _merge_items(message.setdefault(name, []), value)
        elif type(value) is dict:
            _merge(message.setdefault(name, {}), value)
        elif type(value) is str and name not in ("role", "type", "id", "format", "name", "index"):
            message[name] = (message.get(name) or "") + value
        elif value is not None or name not in message:
            message[name] = value


def _merge_items(held: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
    for item in items:
        same = next((one for one in held if "index" in item and one.get("index") == item["index"]), None)
        if same is None:
            held.append(item)
        else:
            _merge(same, item)


def _read(choices: list[dict[str, Any]]) -> Heard:
    message = choices[0]["message"]
    assert message["role"] == "assistant"
    calls = message.get("tool_calls") or []
    for call in calls:
        call.pop("index", None)
        assert call["type"] == "function"
    raw = {name: value for name, value in message.items() if value is not None and name != "annotations"}
    return Heard(
        text=message.get("content") or "",
        thought=message.get("reasoning_content") or "",
        calls=[Call(one["function"]["name"], json.loads(one["function"]["arguments"]), one["id"]) for one in calls],
        finish=choices[0]["finish_reason"],
        stop=choices[0].get("stop_sequence") or "",
        refusal=message.get("refusal") or "",
        logprobs=bool((choices[0].get("logprobs") or {}).get("content")),
        texts=[choice["message"].get("content") or "" for choice in choices],
        raw={"content": None, **raw},
    )


def _counts(usage: dict[str, Any]) -> Counts:
    prompt = usage.get("prompt_tokens_details") or {}
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    cached, written = prompt.get("cached_tokens") or 0, prompt.get("cache_creation_input_tokens") or 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return Counts(usage["prompt_tokens"], usage["completion_tokens"], cached, written, reasoning)


def shown(counts: Counts) -> Counts:
    """What of the counts this dialect can say."""
    return counts


def read_error(answer: Answer) -> tuple[str, str]:
    """The word for a failure, and its text."""
    return str(answer.error["code"] or answer.error["type"]), answer.error["message"]
