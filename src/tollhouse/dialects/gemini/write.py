"""An answer in the inner form as Gemini's ``GenerateContentResponse``. Used by `client` for whole answers, by `writer`
for streams.

What Gemini keeps apart is kept apart: what was thought is no part of ``candidatesTokenCount``, thoughts are shown only
where ``includeThoughts`` asks for them, and arguments are an object. What has no place in the dialect is under seal
(`seals`). https://ai.google.dev/api/generate-content#generatecontentresponse
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tollhouse.dialects.client import Account
from tollhouse.dialects.gemini.seals import seal
from tollhouse.dialects.gemini.sources import grounding_of
from tollhouse.dialects.gemini.words import AUDIO_TYPES, FINISH_OF_REASON, REASON_OF_FINISH, REASONING_FORMAT
from tollhouse.dialects.usage import usd_json
from tollhouse.types.calls import ChatCall, Usage

Part = dict[str, Any]

_decode = msgspec.json.Decoder().decode

MALFORMED = "MALFORMED_FUNCTION_CALL"
_WORDS = FINISH_OF_REASON.keys() - {"FINISH_REASON_UNSPECIFIED"}
_KEPT = (
    ("safety_ratings", "safetyRatings"),
    ("grounding_metadata", "groundingMetadata"),
    ("url_context_metadata", "urlContextMetadata"),
    ("citation_metadata", "citationMetadata"),
    ("finish_message", "finishMessage"),
)
"""Members of a choice that came from a Gemini host, and what they are called in this dialect."""
_SAID = ("content", "refusal")
_MODALITIES = (("audio_tokens", "AUDIO"), ("image_tokens", "IMAGE"), ("video_tokens", "VIDEO"))


def shows_thoughts(call: ChatCall) -> bool:
    """Whether the client asked to see what the model thinks."""
    config = (call.native or {}).get("generationConfig") or {}
    return bool((config.get("thinkingConfig") or {}).get("includeThoughts"))


# --- parts ----------------------------------------------------------------------------------------------------------


def message_parts(message: Mapping[str, Any], call: ChatCall) -> tuple[list[Part], str | None]:
    """The parts of a whole message; and what the model called with arguments that are no JSON object."""
    entries, signature = split_details(message.get("reasoning_details"), message.get("tool_calls"))
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    if not entries and type(thoughts) is str and thoughts:
        entries = [{"type": "reasoning.text", "text": thoughts}]
    parts: list[Part] = []
    shown = shows_thoughts(call)
    if shown:
        parts += [part for entry in entries for part in thought_parts(entry)]
    parts += said_parts(message)
    calls, broken = call_parts(message.get("tool_calls"))
    if calls and not shown and entries:
        calls[0].setdefault("thoughtSignature", seal(entries))
    elif not shown and (signed := [entry for entry in entries if entry.get("format")]):
        sign(parts, seal(signed))
    if signature is not None:
        sign(parts, signature)
    return parts + calls, broken


def split_details(details: object, calls: object) -> tuple[list[dict[str, Any]], str | None]:
    """The entries of ``reasoning_details``, and Gemini's own signature of the text. That of a call stands with the
    call (``extra_content``).
    """
    entries: list[dict[str, Any]] = []
    signature = None
    for entry in _objects(details):
        if entry.get("format") == REASONING_FORMAT and entry.get("type") == "reasoning.encrypted":
            if not (entry.get("id") and calls):
                signature = entry.get("data")
        else:
            entries.append({name: value for name, value in entry.items() if name != "index"})
    return entries, signature if type(signature) is str else None


def sign(parts: list[Part], signature: str) -> None:
    """Puts a signature on the last text of some parts, or on an empty one, as Gemini does."""
    if parts and "text" in parts[-1] and not parts[-1].get("thought") and "thoughtSignature" not in parts[-1]:
        parts[-1]["thoughtSignature"] = signature
    else:
        parts.append({"text": "", "thoughtSignature": signature})


def thought_parts(entry: Mapping[str, Any]) -> list[Part]:
    """One entry as thoughts: its text, and what proves it."""
    told = entry.get("text") or entry.get("summary")
    text = told if type(told) is str else ""
    signature = thought_signature(entry)
    if signature is not None:
        return [{"text": text, "thought": True, "thoughtSignature": signature}]
    return [{"text": text, "thought": True}] if text else []


def thought_signature(entry: Mapping[str, Any]) -> str | None:
    """What is to come back with a thought: Gemini's own signature, or the rest of the entry under seal."""
    if entry.get("format") == REASONING_FORMAT:
        signature = entry.get("signature")
        return signature if type(signature) is str and signature else None
    if not entry.get("format"):
        return None
    return seal([{name: value for name, value in entry.items() if name not in ("text", "summary", "index")}])


def said_parts(message: Mapping[str, Any]) -> list[Part]:
    """Text, media, and what Google's own tools did."""
    parts: list[Part] = []
    if own := message.get("content_parts"):
        parts += [one["google_part"] for one in _objects(own) if type(one.get("google_part")) is dict]
    parts += [{"text": text} for name in _SAID if type(text := message.get(name)) is str and text]
    for image in _objects(message.get("images")):
        parts += image_parts(image)
    audio = message.get("audio")
    if isinstance(audio, dict) and type(audio.get("data")) is str and audio["data"]:
        if type(told := audio.get("transcript")) is str and told and not parts:
            parts.append({"text": told})
        mime = AUDIO_TYPES.get(str(audio.get("format")), "audio/L16;codec=pcm;rate=24000")
        parts.append({"inlineData": {"mimeType": mime, "data": audio["data"]}})
    return parts


def image_parts(image: Mapping[str, Any]) -> list[Part]:
    """An image that the model made, from its data URL; one at an address is a file."""
    holder = image.get("image_url")
    url = holder.get("url") if isinstance(holder, dict) else holder
    if type(url) is not str:
        return []
    head, comma, data = url.partition(";base64,")
    if comma and head.startswith("data:"):
        part: Part = {"inlineData": {"mimeType": head.removeprefix("data:"), "data": data}}
    else:
        part = {"fileData": {"mimeType": "image/png", "fileUri": url}}
    if signature := google_signature(image):
        part["thoughtSignature"] = signature
    return [part]


def call_parts(calls: Any) -> tuple[list[Part], str | None]:
    """Calls as parts; and the first whose arguments are no JSON object."""
    parts: list[Part] = []
    broken = None
    for call in _objects(calls):
        held = call.get("function") or call.get("custom")
        if not isinstance(held, dict):
            continue
        name, text = str(held.get("name") or ""), held.get("arguments", held.get("input"))
        args = read_arguments(text)
        if args is None:
            broken = broken or f"{name}({str(text)[:256]})"
            continue
        part: Part = {"functionCall": {"id": call.get("id"), "name": name, "args": args}}
        if signature := google_signature(call):
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts, broken


def read_arguments(text: object) -> dict[str, Any] | None:
    """The arguments of a call; None for what is no JSON object."""
    if type(text) is not str:
        return text if isinstance(text, dict) else None
    if not text.strip():
        return {}
    try:
        args = _decode(text)
    except (ValueError, RecursionError):
        return None
    return args if type(args) is dict else None


def _objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; of anything else none: what hosts add to an answer is of any shape."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def google_signature(holder: Mapping[str, Any]) -> str | None:
    """``extra_content.google.thought_signature``."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if type(signature) is str and signature else None


# --- candidates -----------------------------------------------------------------------------------------------------


def reply_of(answer: Mapping[str, Any], call: ChatCall, answer_id: str, account: Account) -> dict[str, Any]:
    """A whole answer."""
    choices = _objects(answer.get("choices"))
    candidates = [_candidate(choice, call) for choice in choices]
    feedback = next((choice["prompt_feedback"] for choice in choices if "prompt_feedback" in choice), None)
    reply: dict[str, Any] = {"candidates": candidates}
    if feedback is not None:
        reply = {"promptFeedback": feedback}
    return {
        **reply,
        "usageMetadata": usage_metadata(account),
        "modelVersion": call.model,
        "responseId": answer_id,
        **account.notes,
    }


def _candidate(choice: Mapping[str, Any], call: ChatCall) -> dict[str, Any]:
    message = choice.get("message") or {}
    parts, broken = message_parts(message, call)
    made: dict[str, Any] = {"content": {"parts": parts or [{"text": ""}], "role": "model"}}
    made |= ending(choice, broken)
    made["index"] = choice.get("index", 0)
    text = message.get("content")
    made |= candidate_extras(choice, message.get("annotations"), text if type(text) is str else "")
    return made


def ending(choice: Mapping[str, Any], broken: str | None = None) -> dict[str, Any]:
    """``finishReason``, and what explains it. ``broken`` is a call that could not be read."""
    own, reason = choice.get("native_finish_reason"), choice.get("finish_reason")
    word = own if type(own) is str and own in _WORDS else REASON_OF_FINISH.get(str(reason), "STOP")
    if broken is not None and word == "STOP":
        return {"finishReason": MALFORMED, "finishMessage": f"Malformed function call: {broken}"}
    return {"finishReason": word}


def candidate_extras(choice: Mapping[str, Any], annotations: object, text: str) -> dict[str, Any]:
    """What a candidate holds beside what was said."""
    extras = {ours: choice[name] for name, ours in _KEPT if choice.get(name)}
    if "groundingMetadata" not in extras and "citationMetadata" not in extras and annotations:
        extras |= grounding_of(annotations, text)
    if (logprobs := choice.get("logprobs")) and (result := logprobs_result(logprobs)):
        chosen = [one["logProbability"] for one in result["chosenCandidates"]]
        extras |= {"avgLogprobs": sum(chosen) / len(chosen), "logprobsResult": result}
    return extras


def logprobs_result(logprobs: object) -> dict[str, Any] | None:
    """OpenAI's ``logprobs`` as ``logprobsResult``; None where they tell of no token."""
    told = logprobs.get("content") if isinstance(logprobs, dict) else None
    entries = [one for one in told if _is_token(one)] if isinstance(told, list) else []
    if not entries:
        return None
    result: dict[str, Any] = {"chosenCandidates": [_token(one) for one in entries]}
    if any(one.get("top_logprobs") for one in entries):
        tops = [[_token(top) for top in one.get("top_logprobs") or () if _is_token(top)] for one in entries]
        result["topCandidates"] = [{"candidates": top} for top in tops]
    return result


def _is_token(one: object) -> bool:
    return (
        isinstance(one, dict) and type(one.get("token")) is str and type(one.get("logprob")) in (int, float)  # no bool
    )


def _token(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": one["token"], "logProbability": one["logprob"]}


# --- usage ----------------------------------------------------------------------------------------------------------


def usage_metadata(account: Account) -> dict[str, Any]:
    """What was used, in Gemini's classes, and our ``cost``."""
    return {**counts(account.usage, account.raw), "cost": usd_json(account.cost_nusd)}


def counts(usage: Usage, raw: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The token counts: the prompt with what was cached of it, the answer without what was thought."""
    thought = usage.reasoning
    made = {"promptTokenCount": usage.prompt, "candidatesTokenCount": usage.completion - thought}
    if usage.cache_read:
        made["cachedContentTokenCount"] = usage.cache_read
    if thought:
        made["thoughtsTokenCount"] = thought
    made["totalTokenCount"] = usage.prompt + usage.completion
    details = {"promptTokensDetails": _modalities(usage.prompt, raw, "prompt_tokens_details")}
    if usage.completion > thought:
        details["candidatesTokensDetails"] = _modalities(usage.completion - thought, raw, "completion_tokens_details")
    return {**made, **details}


def _modalities(total: int, raw: Mapping[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """A count by modality: what is told of sound and pictures, the rest is text."""
    told = (raw or {}).get(name)
    split: list[dict[str, Any]] = []
    for member, modality in _MODALITIES:
        count = told.get(member) if isinstance(told, dict) else None
        if type(count) is int and 0 < count <= total:
            split.append({"modality": modality, "tokenCount": count})
            total -= count
    return [{"modality": "TEXT", "tokenCount": total}, *split] if total or not split else split
