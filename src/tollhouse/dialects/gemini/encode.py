"""A request in the inner form as Gemini's generateContent. `providers.gemini` and `providers.vertex` call `encode`.

Each member of the inner form has its place in a table, or a function beside it; what has neither is told as lost.
Google's own members pass through where clients of Google's compatible surface put them, in ``google`` or
``extra_body.google``, and in ``safety_settings``.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tollhouse.dialects.gemini.contents import Contents
from tollhouse.dialects.gemini.functions import calling_config, offered
from tollhouse.dialects.gemini.models import Model, model_of
from tollhouse.dialects.gemini.schema import clean_schema
from tollhouse.dialects.gemini.thinking import thinking_of
from tollhouse.dialects.gemini.words import MODALITY_OF_KIND
from tollhouse.dialects.wishes import READ, Losses, lose, lose_unread, most_tokens, stops_of
from tollhouse.types.calls import Loss

_NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "temperature": "temperature",
        "top_p": "topP",
        "top_k": "topK",
        "presence_penalty": "presencePenalty",
        "frequency_penalty": "frequencyPenalty",
        "n": "candidateCount",
    }
)
"""Members of the body and of ``generationConfig`` that hold the same number."""
_DEFAULTS: Mapping[str, float] = MappingProxyType({"presence_penalty": 0, "frequency_penalty": 0, "n": 1})
"""Values that change nothing, and that models refuse all the same ("Penalty is not enabled for this model")."""
_KNOWN = READ | frozenset(
    {
        *("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "n", "seed", "stop", "logprobs"),
        *("top_logprobs", "response_format", "modalities", "audio", "reasoning", "reasoning_effort", "tools"),
        *("tool_choice", "functions", "function_call", "parallel_tool_calls", "safety_settings", "google"),
        *("extra_body", "metadata", "service_tier", "cache_control"),
    }
)
_GOOGLE: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "thinking_config": ("thinkingConfig", True),
        "image_config": ("imageConfig", True),
        "speech_config": ("speechConfig", True),
        "media_resolution": ("mediaResolution", True),
        "response_modalities": ("responseModalities", True),
        "audio_timestamp": ("audioTimestamp", True),
        "enable_enhanced_civic_answers": ("enableEnhancedCivicAnswers", True),
        "cached_content": ("cachedContent", False),
        "safety_settings": ("safetySettings", False),
    }
)
"""Members of ``google``: their names in a request, and whether they stand in ``generationConfig``
(https://ai.google.dev/gemini-api/docs/openai#extra-body).
"""
_TIERS: Mapping[str, str] = MappingProxyType({"flex": "flex", "priority": "priority"})
"""``service_tier`` to ``serviceTier`` (https://ai.google.dev/gemini-api/docs/flex-inference)."""
_OPENAI_VOICES = frozenset(
    {"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar", "fable", "onyx", "nova"}
)
_SOUND_FORMATS = frozenset({"pcm16", "wav"})
_MOST_STOPS = 5
_SEEDS = 2**31
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_SNAKE = re.compile(r"_([a-z0-9])")


class Surface(Struct, frozen=True):
    """Which of Google's two hosts a request is for."""

    vertex: bool = False


def encode(
    body: Mapping[str, Any], name: str, cap: int | None, surface: Surface
) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    """The request for the model of this name, and what of ``body`` it does not say. ``cap`` is the longest answer.

    Raises `UpstreamUnfit` for content that cannot be sent.
    """
    losses: Losses = {}
    model = model_of(name)
    contents = Contents(model, losses, urls=surface.vertex or model.fetches)
    contents.read(body["messages"])
    made: dict[str, Any] = {"contents": contents.turns}
    if contents.system:
        made["systemInstruction"] = {"parts": contents.system}
    config = _config(body, model, most_tokens(body, cap), losses)
    _see(contents.details, config, losses)
    if "tools" in body or "functions" in body:
        _offer(body, made, model, losses)
    if config:
        made["generationConfig"] = config
    if not body.keys() <= _PLAIN:
        _take_extras(body, made, surface, losses)
        lose_unread(body, _KNOWN, losses)
    return made, tuple(losses.values()) if losses else ()


_PLAIN = READ | frozenset(_NUMBERS) | {"stop", "seed", "tools", "tool_choice"}


def _config(body: Mapping[str, Any], model: Model, most: int | None, losses: Losses) -> dict[str, Any]:
    """The ``generationConfig``."""
    config: dict[str, Any] = {}
    for name, ours in _NUMBERS.items():
        value = body.get(name)
        if value is not None and value != _DEFAULTS.get(name):
            config[ours] = value
    if most is not None:
        config["maxOutputTokens"] = most
    if stops := stops_of(body):
        if len(stops) > _MOST_STOPS:
            lose(losses, "stop", f"the host takes {_MOST_STOPS}", "changed")
        config["stopSequences"] = stops[:_MOST_STOPS]
    if (seed := body.get("seed")) is not None:
        config["seed"] = _seed(seed, losses)
    if body.get("logprobs") is True:
        config |= {"responseLogprobs": True, "logprobs": body.get("top_logprobs") or 0}
    if (shape := body.get("response_format")) is not None:
        _shape(shape, config, losses)
    if "modalities" in body or "audio" in body:
        _sound(body, config, losses)
    if ("reasoning" in body or "reasoning_effort" in body) and (thinking := thinking_of(body, model, losses)):
        config["thinkingConfig"] = thinking
    return config


def _seed(seed: int, losses: Losses) -> int:
    """A seed as the host's 32 bits hold it."""
    if not -_SEEDS <= seed < _SEEDS:
        lose(losses, "seed", "the host takes 32 bits", "changed")
    return (seed + _SEEDS) % (2 * _SEEDS) - _SEEDS


def _shape(shape: dict[str, Any], config: dict[str, Any], losses: Losses) -> None:
    """``response_format`` (https://ai.google.dev/gemini-api/docs/structured-output)."""
    if shape.get("type") not in ("json_object", "json_schema"):
        return
    config["responseMimeType"] = "application/json"
    schema = (shape.get("json_schema") or {}).get("schema")
    if isinstance(schema, dict):
        config["responseJsonSchema"] = clean_schema(schema, "response_format.json_schema.schema", losses)


def _sound(body: Mapping[str, Any], config: dict[str, Any], losses: Losses) -> None:
    """``modalities`` and ``audio``."""
    kinds = [str(kind) for kind in body.get("modalities") or ()]
    if "audio" in kinds:
        kinds = ["audio"]  # the models that speak write no text (docs/speech-generation)
    if kinds not in ([], ["text"]):
        config["responseModalities"] = [MODALITY_OF_KIND.get(kind, kind.upper()) for kind in kinds]
    audio = body.get("audio")
    if not isinstance(audio, dict):
        return
    voice = audio.get("voice")
    if isinstance(voice, str) and voice not in _OPENAI_VOICES:
        config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    else:
        lose(losses, "audio.voice", "the host has other voices", "changed")
    if audio.get("format") not in _SOUND_FORMATS:
        lose(losses, "audio.format", "the host makes pcm16", "changed")


def _see(details: set[str], config: dict[str, Any], losses: Losses) -> None:
    """``detail`` of images, which the host takes once for the whole request."""
    if details == {"low"}:
        config["mediaResolution"] = "MEDIA_RESOLUTION_LOW"
    elif details == {"high"}:
        config["mediaResolution"] = "MEDIA_RESOLUTION_HIGH"
    elif details - {"auto"}:
        lose(losses, "messages.image_url.detail", "the images differ in it")


def _offer(body: Mapping[str, Any], made: dict[str, Any], model: Model, losses: Losses) -> None:
    tools = offered(body)
    for loss in tools.losses:
        losses.setdefault(loss.param, loss)
    if tools.tools:
        made["tools"] = tools.tools
        calling = calling_config(body, model, losses, strict=tools.strict)
        if calling is not None:
            made["toolConfig"] = {"functionCallingConfig": calling}
    if body.get("parallel_tool_calls") is False:
        lose(losses, "parallel_tool_calls", "the host calls as it likes")


def _take_extras(body: Mapping[str, Any], made: dict[str, Any], surface: Surface, losses: Losses) -> None:
    """Members that few requests have."""
    if "cache_control" in body:
        lose(losses, "cache_control", "the host caches by itself", "emulated")
    if (settings := body.get("safety_settings")) is not None:
        made["safetySettings"] = _camel(settings)
    extra = body.get("extra_body")
    held = (body.get("google"), extra.get("google") if isinstance(extra, dict) else None)
    for google in held:
        if isinstance(google, dict):
            _take_google(google, made, losses)
    if isinstance(extra, dict) and extra.keys() - {"google"}:
        lose(losses, "extra_body", "the host knows google alone")
    if isinstance(metadata := body.get("metadata"), dict) and metadata:
        _label(metadata, made, surface, losses)
    tier = body.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS and not surface.vertex:
        made["serviceTier"] = _TIERS[tier]
    elif tier not in (None, "auto", "default"):
        lose(losses, "service_tier", "the host has no such tier")


def _take_google(google: dict[str, Any], made: dict[str, Any], losses: Losses) -> None:
    for name, value in google.items():
        place = _GOOGLE.get(name)
        if place is None:
            lose(losses, f"google.{name}"[:128], "this version passes no such member on")
        elif place[1]:
            made.setdefault("generationConfig", {})[place[0]] = _camel(value)
        else:
            made[place[0]] = _camel(value)


def _label(metadata: dict[str, Any], made: dict[str, Any], surface: Surface, losses: Losses) -> None:
    """``metadata`` as Vertex' ``labels``, which are for its bills; the other host has none."""
    if not surface.vertex:
        lose(losses, "metadata", "the host keeps none")
        return
    labels = {
        name: value
        for name, value in metadata.items()
        if _LABEL.fullmatch(name) and isinstance(value, str) and _LABEL_VALUE.fullmatch(value)
    }
    if labels:
        made["labels"] = labels
    if len(labels) < len(metadata):
        lose(losses, "metadata", "labels are lower-case letters, digits, _ and -", "changed")


def _camel(value: Any) -> Any:
    """A value with its members' names as Google's JSON has them: both spellings are taken from clients."""
    if isinstance(value, dict):
        return {_SNAKE.sub(lambda found: found[1].upper(), name): _camel(item) for name, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value
