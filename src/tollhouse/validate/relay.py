"""Reads the JSON bodies of the endpoints that are relayed in OpenAI's own dialect. Called by the gateway.

Required fields, types and limits of the well-known fields; all else rides along, as in `chat`. Null is taken for
any optional field: it means the field is absent, and hosts that mind say so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tollhouse.types.calls import RelayCall
from tollhouse.validate.chat import FIELDS, VOICE
from tollhouse.validate.guard import parse
from tollhouse.validate.hosts import HOST_FIELDS
from tollhouse.validate.model import MODEL, require_model
from tollhouse.validate.problems import Problem, refuse_length, refuse_type
from tollhouse.validate.rules import BOOLEAN, TEXT, Integer, Nullable, Number, Rule, Text, Word
from tollhouse.validate.shapes import OBJECT, Array, OneOf, Record, Variant

TOKEN_ID = Integer(0, 2**31 - 1)
LINE = Text(2**31, low=1)


class Inputs:
    """A text, a list of texts, a list of token ids, or a list of such lists: one prompt, or a batch of up to ``high``.

    ``objects`` are parts that some endpoints and hosts take in a batch beside text. ``tokens``: whether ids are taken.
    """

    kind = "a string"

    def __init__(self, high: int, *, text: Rule, objects: Rule = OBJECT, tokens: bool = True) -> None:
        self.high = high
        self.text = text
        self.rules: dict[type, Rule] = {str: text, dict: objects}
        if tokens:
            self.rules |= {int: TOKEN_ID, list: Array(TOKEN_ID, 1)}
        others = "strings, token ids, or arrays of token ids" if tokens else "strings, or of parts"
        self.says = f"string, or array of 1 to {high} of {others}"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is str:
            self.text.check(value)
            return
        if type(value) is not list:
            refuse_type("one of a string or array of strings", value)
        if not 0 < len(value) <= self.high:
            refuse_length(1, self.high, len(value))
        kind = type(value[0])
        rule = self.rules.get(kind)
        for index, item in enumerate(value):
            try:
                if rule is None or type(item) is not kind:
                    refuse_type("a string" if rule is None else rule.kind, item)
                rule.check(item)
            except Problem as problem:
                raise problem.at(index) from None


class Endpoint:
    """One relayed endpoint: a table, and the field that asks for a stream."""

    def __init__(self, fields: Mapping[str, Rule], *, required: Sequence[str]) -> None:
        optional = {name: rule if name in required else Nullable(rule) for name, rule in fields.items()}
        common: dict[str, Rule] = {**HOST_FIELDS, "model": Nullable(MODEL), "stream": Nullable(BOOLEAN)}
        self.record = Record(common | optional, required=required)
        self.required = self.record.required

    def check(self, body: dict[str, Any]) -> None:
        """Raises `InvalidRequest`."""
        if "model" in self.required:
            require_model(body)
        try:
            self.record.check(body)
        except Problem as problem:
            raise problem.as_error() from None


SAMPLING = {
    name: FIELDS[name]
    for name in (
        *("frequency_penalty", "logit_bias", "n", "presence_penalty", "seed", "stop", "stream_options"),
        *("temperature", "top_p", "user"),
    )
}
COMPLETIONS = Endpoint(
    {
        **SAMPLING,
        "model": MODEL,
        "prompt": Inputs(2048, text=TEXT),
        "best_of": Integer(0, 20),
        "echo": BOOLEAN,
        "logprobs": Integer(0, 5),
        "max_tokens": Integer(0, 2**31 - 1),  # 0 with echo scores a prompt without writing a word
        "suffix": TEXT,
    },
    required=["model", "prompt"],
)
EMBEDDINGS = Endpoint(
    {
        "model": MODEL,
        "input": Inputs(2048, text=LINE),
        "dimensions": Integer(1, 2**31 - 1),
        "encoding_format": Word("float", "base64"),
        "user": TEXT,
    },
    required=["model", "input"],
)
MODERATION_PART = Variant(
    {
        "text": Record({"text": TEXT}, required=["text"]),
        "image_url": Record({"image_url": Record({"url": TEXT}, required=["url"])}, required=["image_url"]),
    }
)
MODERATIONS = Endpoint({"input": Inputs(2048, text=TEXT, objects=MODERATION_PART, tokens=False)}, required=["input"])
IMAGES = Endpoint(
    {
        "prompt": Text(32_000, low=1),
        "background": Word("transparent", "opaque", "auto"),
        "moderation": Word("low", "auto"),
        "n": Integer(1, 10),
        "output_compression": Integer(0, 100),
        "partial_images": Integer(0, 3),
        "response_format": Word("url", "b64_json"),
        "output_format": TEXT,
        "quality": TEXT,
        "size": TEXT,
        "style": TEXT,
        "user": TEXT,
    },
    required=["prompt"],
)
SPEECH = Endpoint(
    {
        "model": MODEL,
        "input": Text(4096, low=1),
        "voice": VOICE,
        "instructions": Text(4096),
        "response_format": Word("mp3", "opus", "aac", "flac", "wav", "pcm"),
        "speed": Number(0.25, 4),
        "stream_format": Word("sse", "audio"),
    },
    required=["model", "input", "voice"],
)
RESPONSES = Endpoint(
    {
        **{name: FIELDS[name] for name in ("metadata", "safety_identifier", "temperature", "top_logprobs", "top_p")},
        "input": OneOf({str: TEXT, list: Array(OBJECT)}),
        "instructions": OneOf({str: TEXT, list: Array(OBJECT)}),
        "background": BOOLEAN,
        "include": Array(TEXT),
        "max_output_tokens": Integer(16, 2**31 - 1),
        "max_tool_calls": Integer(0, 2**31 - 1),
        "parallel_tool_calls": BOOLEAN,
        "previous_response_id": TEXT,
        "prompt": OBJECT,
        "reasoning": OBJECT,
        "store": BOOLEAN,
        "stream_options": OBJECT,
        "text": OBJECT,
        "tool_choice": OneOf({str: TEXT, dict: OBJECT}),
        "tools": Array(OBJECT),
        "truncation": Word("auto", "disabled"),
        "user": TEXT,
    },
    required=[],
)

ENDPOINTS: dict[str, Endpoint] = {
    "audio/speech": SPEECH,
    "completions": COMPLETIONS,
    "embeddings": EMBEDDINGS,
    "images/generations": IMAGES,
    "moderations": MODERATIONS,
    "responses": RESPONSES,
}


def read_relay(kind: str, body: bytes) -> RelayCall:
    """The call that a body asks of the endpoint ``kind``, a key of `ENDPOINTS`. Raises `InvalidRequest`."""
    return check_relay(kind, parse(body))


def check_relay(kind: str, body: dict[str, Any]) -> RelayCall:
    """The call that a parsed body asks for; ``body`` is kept, not copied. Raises `InvalidRequest`."""
    ENDPOINTS[kind].check(body)
    stream = body.get("stream") is True or body.get("stream_format") == "sse"
    return RelayCall(kind, body.get("model"), body, stream)
