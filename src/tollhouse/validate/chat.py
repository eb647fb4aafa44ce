"""Reads the body of ``POST /v1/chat/completions``. Called by `gateway.pipeline`, once for each request.

The tables hold every parameter that OpenAI documents, with its limits; `docs/chat-parameters.md` lists them and says
where this reader is more patient than OpenAI. Fields that no table names ride along and reach the host.
"""

from typing import Any, Final

from tollhouse.errors import InvalidRequest
from tollhouse.types.calls import ChatCall
from tollhouse.validate.guard import parse
from tollhouse.validate.hosts import HOST_FIELDS
from tollhouse.validate.messages import TEXT_CONTENT, Messages
from tollhouse.validate.model import MODEL, require_model
from tollhouse.validate.problems import Problem, missing
from tollhouse.validate.rules import BOOLEAN, TEXT, Integer, Nullable, Number, Rule, Text, Word
from tollhouse.validate.shapes import OBJECT, Array, OneOf, Pairs, Record, Variant
from tollhouse.validate.tools import (
    CHOICE,
    FUNCTION,
    FUNCTION_CHOICE,
    NAME,
    TOOL,
    check_choice,
    check_function_choice,
)

TOKENS: Final = Nullable(Integer(1, 2**31 - 1))  # no model has more; what is priced by it stays a small integer
PENALTY: Final = Nullable(Number(-2, 2))

VOICE: Final = OneOf({str: TEXT, dict: Record({"id": TEXT}, required=["id"])})
SPEECH: Final = Record(
    {"voice": VOICE, "format": Word("wav", "aac", "mp3", "flac", "opus", "pcm16")},
    required=["voice", "format"],
)
JSON_SCHEMA: Final = Record(
    {"name": NAME, "description": TEXT, "schema": OBJECT, "strict": Nullable(BOOLEAN)},
    required=["name"],
)
RESPONSE_FORMAT: Final = Variant(
    {
        "json_object": OBJECT,
        "json_schema": Record({"json_schema": JSON_SCHEMA}, required=["json_schema"]),
        "text": OBJECT,
    }
)
PLACE: Final = Record({"country": TEXT, "region": TEXT, "city": TEXT, "timezone": TEXT})
USER_LOCATION: Final = Record({"type": Word("approximate"), "approximate": PLACE}, required=["type", "approximate"])
WEB_SEARCH: Final = Record(
    {"user_location": Nullable(USER_LOCATION), "search_context_size": Word("low", "medium", "high")}
)
MODERATION_MODE: Final = Nullable(Record({"mode": Word("score", "block")}, required=["mode"]))
MODERATION: Final = Record(
    {"model": TEXT, "policy": Nullable(Record({"input": MODERATION_MODE, "output": MODERATION_MODE}))},
    required=["model"],
)

# https://console.groq.com/docs/api-reference adds `default` and two service tiers;
# https://openrouter.ai/docs/features/multimodal/image-generation adds the modality `image`.
EFFORT: Final = Word("none", "minimal", "low", "medium", "high", "xhigh", "max", more=("default",))
TIER: Final = Word("auto", "default", "flex", "scale", "priority", "fast", more=("on_demand", "performance"))
MODALITY: Final = Word("text", "audio", more=("image",))
RETENTION: Final = Word("in_memory", "24h", more=("in-memory",))  # the spelling of OpenAI's own earlier SDKs

FIELDS: Final[dict[str, Rule]] = {
    "messages": Messages(),
    "model": MODEL,
    "audio": Nullable(SPEECH),
    "frequency_penalty": PENALTY,
    "function_call": FUNCTION_CHOICE,
    "functions": Array(FUNCTION, 1, 128),
    "logit_bias": Nullable(Pairs(Text(20, low=1, pattern="^[0-9]+$"), Integer(-100, 100))),
    "logprobs": Nullable(BOOLEAN),
    "max_completion_tokens": TOKENS,
    "max_tokens": TOKENS,
    "metadata": Nullable(Pairs(Text(64), Text(512), 16)),
    "modalities": Nullable(Array(MODALITY)),
    "moderation": Nullable(MODERATION),
    "n": Nullable(Integer(1, 128)),
    "parallel_tool_calls": BOOLEAN,
    "prediction": Nullable(Variant({"content": Record({"content": TEXT_CONTENT}, required=["content"])})),
    "presence_penalty": PENALTY,
    "prompt_cache_key": Nullable(TEXT),
    "prompt_cache_options": Record({"ttl": Word("30m"), "mode": Word("implicit", "explicit")}),
    "prompt_cache_retention": Nullable(RETENTION),
    "reasoning_effort": Nullable(EFFORT),
    "response_format": RESPONSE_FORMAT,
    "safety_identifier": Nullable(Text(64)),
    "seed": Nullable(Integer(-(2**63), 2**63 - 1)),
    "service_tier": Nullable(TIER),
    "stop": Nullable(OneOf({str: TEXT, list: Array(TEXT, 1, 4)})),
    "store": Nullable(BOOLEAN),
    "stream": Nullable(BOOLEAN),
    "stream_options": Nullable(Record({"include_usage": BOOLEAN, "include_obfuscation": BOOLEAN})),
    "temperature": Nullable(Number(0, 2)),
    "tool_choice": CHOICE,
    "tools": Array(TOOL),
    "top_logprobs": Nullable(Integer(0, 20)),
    "top_p": Nullable(Number(0, 1)),
    "user": TEXT,
    "verbosity": Nullable(Word("low", "medium", "high")),
    "web_search_options": WEB_SEARCH,
}
CHAT: Final = Record(FIELDS | HOST_FIELDS)
PAIRED: Final = frozenset({"tool_choice", "function_call", "top_logprobs", "modalities"})


def read_chat(body: bytes) -> ChatCall:
    """The call that a request body asks for. Raises `InvalidRequest`."""
    return check_chat(parse(body))


def check_chat(body: dict[str, Any]) -> ChatCall:
    """The call that a parsed body asks for; ``body`` is kept, not copied. Raises `InvalidRequest`."""
    require_model(body)
    try:
        if "messages" not in body:
            raise missing("messages")
        CHAT.check(body)
    except Problem as problem:
        raise problem.as_error() from None
    if not PAIRED.isdisjoint(body):
        check_pairs(body)
    options = body.get("stream_options")
    include_usage = options is not None and options.get("include_usage") is True
    return ChatCall(body["model"], body, body.get("stream") is True, include_usage)


def check_pairs(body: dict[str, Any]) -> None:
    """Fields that ask for another one, or refer to it."""
    if "tool_choice" in body:
        check_choice(body)
    if "function_call" in body:
        check_function_choice(body)
    if body.get("top_logprobs") and body.get("logprobs") is not True:
        message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise InvalidRequest(message, param="top_logprobs")
    if "modalities" in body:
        check_modalities(body)


def check_modalities(body: dict[str, Any]) -> None:
    """Audio that is asked for has a voice and a format."""
    if "audio" in (body["modalities"] or ()) and body.get("audio") is None:
        raise missing("audio").as_error()
