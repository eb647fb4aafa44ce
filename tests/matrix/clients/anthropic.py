"""A client of Anthropic's Messages API, which brings back an answer's content as it was."""

from typing import Any

from tests.dialects.anthropic.assembly import assembled
from tests.fakes.door import Answer
from tests.matrix.words import PDF, PNG, TOOLS, Asked, Call, Counts, Heard, Result, Turn

PATH = "/v1/messages"
MARKER = {"type": "ephemeral"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
DOCUMENT = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
SAME = ("max_tokens", "temperature", "top_p", "top_k")
FINISH = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}
FINISH |= {"stop_sequence": "stop"}


def write(asked: Asked, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Where a request goes, and its body."""
    wishes = asked.wishes
    body: dict[str, Any] = {"model": model, "max_tokens": 4000, "messages": []}
    body |= {name: wishes[name] for name in SAME if name in wishes}
    if asked.system:
        body["system"] = _marked(asked.system) if asked.cached else asked.system
    body["messages"] = [_message(turn) for turn in asked.turns]
    if asked.cached:
        body["messages"][0]["content"] = _marked(body["messages"][0]["content"])
    if asked.tools:
        body["tools"] = [{"name": name, "input_schema": TOOLS[name]} for name in asked.tools]
    choice: dict[str, Any] = {}
    if asked.choice:
        words = {"required": {"type": "any"}, "none": {"type": "none"}}
        choice = words.get(asked.choice) or {"type": "tool", "name": asked.choice}
    if "parallel_tool_calls" in wishes:
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": not wishes["parallel_tool_calls"]}
    if choice:
        body["tool_choice"] = choice
    if asked.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": asked.schema}}
    if asked.thinks:
        body["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    if "stop" in wishes:
        body["stop_sequences"] = wishes["stop"]
    if stream:
        body["stream"] = True
    return PATH, body


def _marked(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "cache_control": MARKER}]


def _message(turn: Turn) -> dict[str, Any]:
    if turn.raw is not None:
        return {"role": "assistant", "content": turn.raw}
    if turn.role == "assistant":
        said: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
        calls = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in turn.calls]
        return {"role": "assistant", "content": said + calls}
    if turn.results:
        return {"role": "user", "content": [_result(result) for result in turn.results]}
    if not turn.pictures and not turn.documents:
        return {"role": "user", "content": turn.text}
    media = [*[IMAGE] * turn.pictures, *[DOCUMENT] * turn.documents]
    return {"role": "user", "content": [{"type": "text", "text": turn.text}, *media]}


def _result(result: Result) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": result.id, "content": result.text}
    if result.picture:
        block["content"] = [{"type": "text", "text": result.text}, IMAGE]
    if result.failed:
        block["is_error"] = True
    return block


def read_whole(answer: Answer) -> Heard:
    """A whole answer."""
    return _read(answer.json)


def read_stream(answer: Answer) -> Heard:
    """A streamed answer."""
    assert answer.ended
    return _read(assembled(answer.body))


def _read(message: dict[str, Any]) -> Heard:
    assert (message["type"], message["role"]) == ("message", "assistant")
    content, usage = message["content"], message["usage"]
    heard = Heard(finish=FINISH[message["stop_reason"]], stop=message["stop_sequence"] or "", raw=content)
    for block in content:
        if block["type"] == "text":
            heard.text += block["text"]
        elif block["type"] == "thinking":
            heard.thought += block["thinking"]
        elif block["type"] == "tool_use":
            heard.calls.append(Call(block["name"], block["input"], block["id"]))
        else:
            assert block["type"] == "redacted_thinking"
    if message["stop_reason"] == "refusal":
        heard.refusal = heard.text
    heard.texts = [heard.text]
    cached, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    heard.counts = Counts(usage["input_tokens"] + cached + written, usage["output_tokens"], cached, written)
    return heard


def shown(counts: Counts) -> Counts:
    """What of the counts this dialect can say."""
    return Counts(counts.prompt, counts.output, counts.cached, counts.written)


def read_error(answer: Answer) -> tuple[str, str]:
    """The word for a failure, and its text."""
    assert answer.json["type"] == "error"
    return answer.error["type"], answer.error["message"]
