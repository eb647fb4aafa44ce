"""A chat request as the embedded models read it. Pure; nothing of a wrong type gets past here.

`tollhouse.validate` has seen the request before it comes here, but a connector stands on its own: whatever does not
fit is a `Refusal` that names the field.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from tollhouse.engines.sim import prompt, script
from tollhouse.engines.sim.document import awaited
from tollhouse.engines.sim.prompt import Prompt
from tollhouse.engines.sim.refusal import Refusal, wrong_type, wrong_value
from tollhouse.engines.sim.script import Script

CHOICES_MAX = 128
TOP_MAX = 20
STOPS_MAX = 16
VOICE_FORMATS = ("wav", "pcm16")
# What changes nothing in what is said; two requests that differ only here get the same answer for the same seed.
UNHEARD = (
    "stream", "stream_options", "user", "metadata", "store", "seed", "model", "safety_identifier", "service_tier",
    "prompt_cache_key", "prompt_cache_retention", script.FIELD,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Voice:
    """Asked-for audio output."""

    name: str
    form: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its fields in their own types. ``limit`` is in tokens; ``top`` is None without logprobs."""

    body: dict[str, Any]
    model: str
    prompt: Prompt
    heard: str
    """The last user's text, without a directive."""
    script: Script
    stream: bool
    include_usage: bool
    n: int
    stop: tuple[str, ...]
    limit: int | None
    seed: int | None
    greedy: bool
    top: int | None
    effort: str | None
    verbosity: str
    json_form: str
    """``text``, ``json_object`` or ``json_schema``."""
    json_schema: Any
    voice: Voice | None
    predicted: str | None
    gone: Callable[[], bool]
    """Whether the client has left; asked from the thread that works on the answer."""

    def digest_text(self) -> str:
        """The text that a seeded answer depends on besides the seed: all of the request that is heard."""
        heard = {name: value for name, value in self.body.items() if name not in UNHEARD}
        return msgspec.json.encode(heard, order="sorted").decode()


def read(raw: bytes, *, scripted: bool, gone: Callable[[], bool] = awaited) -> Request:
    """Reads a body; with ``scripted``, its script too. Raises `Refusal`."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refusal("The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Refusal("The request body is not a JSON object.")
    model = field(body, "model", str, "a string")
    if not model:
        raise Refusal("You must provide a 'model'.", param="model", code="missing_required_parameter")
    heard = prompt.read(body)
    knobs, said = script.read(body, heard.user.text) if scripted else (Script(), heard.user.text)
    stream = bool(field(body, "stream", bool, "a boolean"))
    form, schema = response_form(body)
    return Request(
        body=body,
        model=model,
        prompt=heard,
        heard=said,
        script=knobs,
        stream=stream,
        include_usage=stream and include_usage(body),
        n=whole(body, "n", 1, CHOICES_MAX) or 1,
        stop=stops(body),
        limit=limit(body),
        seed=whole(body, "seed", -(1 << 63), (1 << 64) - 1),
        greedy=0 in (number(body, "temperature"), number(body, "top_p")),
        top=top(body),
        effort=field(body, "reasoning_effort", str, "a string"),
        verbosity=field(body, "verbosity", str, "a string") or "medium",
        json_form=form,
        json_schema=schema,
        voice=voice(body, stream=stream),
        predicted=predicted(body),
        gone=gone,
    )


def field(body: dict[str, Any], name: str, kind: type, expected: str) -> Any:
    """A field of one type, or None where it is missing or null. Raises `Refusal`."""
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise wrong_type(name, expected)
    return value


def whole(body: dict[str, Any], name: str, low: int, high: int) -> int | None:
    """An integer within limits, or None. Raises `Refusal`."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer")
    if not low <= value <= high:
        raise wrong_value(name, f"expected an integer from {low} to {high}.")
    return value


def number(body: dict[str, Any], name: str) -> float | None:
    """A number, or None. Raises `Refusal`."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise wrong_type(name, "a number")
    return value


def include_usage(body: dict[str, Any]) -> bool:
    """Whether the stream ends with usage."""
    options = field(body, "stream_options", dict, "an object")
    return bool(options and options.get("include_usage"))


def limit(body: dict[str, Any]) -> int | None:
    """The most tokens of one choice; of the two spellings the newer wins."""
    newer = whole(body, "max_completion_tokens", 1, 1 << 53)
    return newer if newer is not None else whole(body, "max_tokens", 1, 1 << 53)


def stops(body: dict[str, Any]) -> tuple[str, ...]:
    """The stop texts. An empty one stops nothing."""
    value = body.get("stop")
    found = [value] if isinstance(value, str) else value or []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise wrong_type("stop", "a string or a list of strings")
    if len(found) > STOPS_MAX:
        raise wrong_value("stop", f"expected at most {STOPS_MAX} texts.")
    return tuple(text for text in found if text)


def top(body: dict[str, Any]) -> int | None:
    """How many candidates to list for each token; None when no logprobs are asked for."""
    asked = field(body, "logprobs", bool, "a boolean")
    count = whole(body, "top_logprobs", 0, TOP_MAX)
    if count and not asked:
        raise wrong_value("top_logprobs", "it needs logprobs to be true.")
    return (count or 0) if asked else None


def response_form(body: dict[str, Any]) -> tuple[str, Any]:
    """The kind of ``response_format`` and its schema."""
    form = field(body, "response_format", dict, "an object")
    kind = form.get("type") if form else "text"
    if kind in ("text", "json_object"):
        return str(kind), True
    if kind != "json_schema":
        raise wrong_value("response_format.type", "expected text, json_object or json_schema.")
    spec = form.get("json_schema") if form else None
    if not isinstance(spec, dict):
        raise wrong_type("response_format.json_schema", "an object")
    return "json_schema", spec.get("schema", True)


def voice(body: dict[str, Any], *, stream: bool) -> Voice | None:
    """The asked-for voice; None when the answer is text. OpenAI streams pcm16 only, and so is it here."""
    modalities = field(body, "modalities", list, "a list")
    if "audio" not in (modalities or ()):
        return None
    audio = field(body, "audio", dict, "an object")
    if audio is None:
        raise Refusal(
            "'audio' is required when modalities has audio.", param="audio", code="missing_required_parameter"
        )
    allowed = VOICE_FORMATS[1:] if stream else VOICE_FORMATS
    if audio.get("format") not in allowed:
        when = " when stream is true" if stream else ""
        raise Refusal(f"Unsupported value: 'audio.format'. The simulated model has {' and '.join(allowed)}{when}.",
                      param="audio.format", code="unsupported_value")  # fmt: skip
    name = audio.get("voice")
    if isinstance(name, dict):
        name = name.get("id")
    if not isinstance(name, str):
        raise wrong_type("audio.voice", "a string")
    return Voice(name, audio["format"])


def predicted(body: dict[str, Any]) -> str | None:
    """The text of ``prediction``."""
    spec = field(body, "prediction", dict, "an object")
    if spec is None:
        return None
    texts, _ = prompt.read_content(spec.get("content"), "prediction.content")
    return "".join(texts)
