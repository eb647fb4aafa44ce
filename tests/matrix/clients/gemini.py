"""A client of Gemini's generateContent, which brings back an answer's parts as they were."""

from typing import Any
from urllib.parse import quote

from tests.fakes.door import Answer
from tests.matrix.words import PDF, PNG, TOOLS, Asked, Call, Counts, Heard, Result, Turn

SKIP = "skip_thought_signature_validator"
"""What Google has clients write for a call that no model of its own has made (docs/thought-signatures, FAQs)."""
NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "max_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "stop": "stopSequences",
    "logprobs": "responseLogprobs",
}
FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


def write(asked: Asked, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Where a request goes, and its body."""
    contents: list[dict[str, Any]] = []
    for turn in asked.turns:
        contents += _contents(turn)
    body: dict[str, Any] = {"contents": contents}
    if asked.system:
        body["systemInstruction"] = {"parts": [{"text": asked.system}]}
    config: dict[str, Any] = {NAMES[name]: value for name, value in asked.wishes.items() if name in NAMES}
    if asked.tools:
        declared = [{"name": name, "parametersJsonSchema": TOOLS[name]} for name in asked.tools]
        body["tools"] = [{"functionDeclarations": declared}]
    if asked.choice:
        words: dict[str, dict[str, Any]] = {"required": {"mode": "ANY"}, "none": {"mode": "NONE"}}
        calling = words.get(asked.choice) or {"mode": "ANY", "allowedFunctionNames": [asked.choice]}
        body["toolConfig"] = {"functionCallingConfig": calling}
    if asked.schema is not None:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": asked.schema}
    if asked.thinks:
        config["thinkingConfig"] = {"includeThoughts": True, "thinkingLevel": "medium"}
    if config:
        body["generationConfig"] = config
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{quote(model, safe='/')}:{method}", body


def _contents(turn: Turn) -> list[dict[str, Any]]:
    if turn.raw is not None:
        return [{"role": "model", "parts": turn.raw}]
    parts: list[dict[str, Any]] = [{"text": turn.text}] if turn.text else []
    if turn.role == "assistant":
        calls: list[dict[str, Any]] = [
            {"functionCall": {"name": one.name, "args": one.arguments}} for one in turn.calls
        ]
        if calls:
            calls[0]["thoughtSignature"] = SKIP
        parts += calls
        return [{"role": "model", "parts": parts}]
    parts += [{"inlineData": {"mimeType": "image/png", "data": PNG}}] * turn.pictures
    parts += [{"inlineData": {"mimeType": "application/pdf", "data": PDF}}] * turn.documents
    parts += [{"functionResponse": _result(result)} for result in turn.results]
    return [{"role": "user", "parts": parts}]


def _result(result: Result) -> dict[str, Any]:
    response = {"error" if result.failed else "output": result.text}
    made: dict[str, Any] = {"name": result.name, "response": response}
    if result.picture:
        made["parts"] = [{"inlineData": {"mimeType": "image/png", "data": PNG}}]
    return made


def read_whole(answer: Answer) -> Heard:
    """A whole answer."""
    return _read([answer.json])


def read_stream(answer: Answer) -> Heard:
    """A streamed answer."""
    assert answer.ended
    return _read(answer.events)


def _read(objects: list[dict[str, Any]]) -> Heard:
    heard = Heard(raw=[])
    texts: dict[int, str] = {}
    reason = ""
    for one in objects:
        for candidate in one.get("candidates") or ():
            index = candidate.get("index", 0)
            parts = (candidate.get("content") or {}).get("parts") or []
            texts[index] = texts.get(index, "") + "".join(
                [part.get("text", "") for part in parts if not part.get("thought")]
            )
            if index == 0:
                reason = candidate.get("finishReason") or reason
                heard.logprobs = heard.logprobs or bool(candidate.get("logprobsResult"))
                _take(parts, heard)
    heard.finish = "tool_calls" if heard.calls and reason == "STOP" else FINISH[reason]
    heard.texts = [texts[index] for index in sorted(texts)]
    heard.text = heard.texts[0]
    if heard.finish == "content_filter":
        heard.refusal = heard.text
    usage = objects[-1]["usageMetadata"]
    thought = usage.get("thoughtsTokenCount") or 0
    output = (usage.get("candidatesTokenCount") or 0) + thought
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + output
    heard.counts = Counts(usage["promptTokenCount"], output, usage.get("cachedContentTokenCount") or 0, 0, thought)
    return heard


def _take(parts: list[dict[str, Any]], heard: Heard) -> None:
    for part in parts:
        if part.get("thought"):
            heard.thought += part.get("text", "")
        if call := part.get("functionCall"):
            heard.calls.append(Call(call["name"], call.get("args") or {}, call.get("id") or ""))
        if part != {"text": ""}:  # a part that says nothing is what SDKs leave out of a history
            heard.raw.append(part)


def shown(counts: Counts) -> Counts:
    """What of the counts this dialect can say."""
    return Counts(counts.prompt, counts.output, counts.cached, 0, counts.reasoning)


def read_error(answer: Answer) -> tuple[str, str]:
    """The word for a failure, and its text."""
    error = answer.error
    return error["status"], error["message"]
