"""One request as each client dialect sends it, and what it is told of safety: for tests of all of them."""

from dataclasses import dataclass
from typing import Any

from tests.dialects.anthropic.assembly import assembled, events_of
from tests.fakes.door import Answer, Door
from tests.gateway.safety_kit import HELLO, Results, told

CLIENTS = ("openai", "anthropic", "gemini")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client reads in an answer."""

    prompt: Results
    completion: dict[int, Results]
    text: str
    reason: str


async def ask_as(door: Door, client: str, model: str, *, stream: bool, prompt: str = "") -> Answer:
    """A request of one message."""
    said = prompt or HELLO[0]["content"]
    if client == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": said}]}]}
        return await door.post(body, f"/v1beta/models/{model}:{method}")
    asked = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": said}], "stream": stream}
    return await door.post(asked, "/v1/messages" if client == "anthropic" else "/v1/chat/completions")


def heard(answer: Answer, client: str, *, stream: bool) -> Heard:
    """Reads an answer as its client does; of a stream, asserts that its results stand once, in its last event."""
    assert answer.status == 200, answer.body
    return _READERS[client](answer, stream=stream)


def _by_openai(answer: Answer, *, stream: bool) -> Heard:
    del stream
    found = told(answer)
    return Heard(found.prompt, found.completion, found.texts[0], found.reasons[0])


def _by_anthropic(answer: Answer, *, stream: bool) -> Heard:
    message = assembled(answer.body) if stream else answer.json
    last = message
    if stream:
        events = events_of(answer.body)
        (last,) = [event for event in events if "prompt_filter_results" in event]
        assert last["type"] == "message_delta"
    text = "".join(block.get("text", "") for block in message["content"])
    return Heard(_prompt(last), _completion(last), text, message["stop_reason"])


def _by_gemini(answer: Answer, *, stream: bool) -> Heard:
    objects = answer.events if stream else [answer.json]
    assert [place for place, one in enumerate(objects) if "prompt_filter_results" in one] == [len(objects) - 1]
    candidates = [one["candidates"][0] for one in objects if one.get("candidates")]
    parts = [part for one in candidates for part in one.get("content", {}).get("parts", ())]
    reasons = [one["finishReason"] for one in candidates if one.get("finishReason")]
    last = objects[-1]
    return Heard(
        _prompt(last), _completion(last), "".join(part.get("text", "") for part in parts), *reasons[-1:] or [""]
    )


def _prompt(holder: Any) -> Results:
    ((place, results),) = [one.values() for one in holder["prompt_filter_results"]]
    assert place == 0
    found: Results = results
    return found


def _completion(holder: Any) -> dict[int, Results]:
    return {one["index"]: one["content_filter_results"] for one in holder["completion_filter_results"]}


_READERS = {"openai": _by_openai, "anthropic": _by_anthropic, "gemini": _by_gemini}
