"""The rules of Gemini's ``POST /v1beta/models/{model}:generateContent`` and its kin. Read by `dialects.gemini.read`.

The tables hold what is read here or has a limit; fields that no table names ride along to a host that speaks the
dialect. Words are taken in any case, as Google's own examples write them. Whether turns alternate, and whether each
result follows its call, is left to the host.

https://ai.google.dev/api/generate-content
"""

from typing import Any

from tollhouse.errors import InvalidRequest
from tollhouse.validate.gemini_api_names import COUNT, GENERATE, Message
from tollhouse.validate.guard import parse
from tollhouse.validate.hosts import HOST_FIELDS
from tollhouse.validate.problems import Problem, missing, refuse_type, refuse_word
from tollhouse.validate.rules import BOOLEAN, TEXT, Integer, Nullable, Number, Rule, Text
from tollhouse.validate.shapes import OBJECT, Array, Record

_LARGEST = 2**31 - 1


class AnyCase:
    """One of a few strings, written in any case."""

    kind = "a string"

    def __init__(self, *words: str) -> None:
        self.words = words
        self.says = "one of " + ", ".join([f"`{word}`" for word in words if word])
        self._known = frozenset(words)

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not str:
            refuse_type(self.kind, value)
        if value not in self._known and value.upper() not in self._known:
            refuse_word(value, self.words)


class Whole:
    """A whole number that JSON may write as a decimal: Google has ``topK`` as a float."""

    kind = "an integer"

    def __init__(self, low: int, high: int) -> None:
        self._bounds = Number(low, high)
        self.says = f"integer, {low} to {high}"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is float and not value.is_integer():
            refuse_type(self.kind, value)
        self._bounds.check(value)


BLOB = Record({"mimeType": TEXT, "data": TEXT, "displayName": Nullable(TEXT)}, required=["mimeType", "data"])
FILE = Record({"mimeType": Nullable(TEXT), "fileUri": TEXT, "displayName": Nullable(TEXT)}, required=["fileUri"])
SENT: dict[str, Rule] = {"inlineData": Nullable(BLOB), "fileData": Nullable(FILE)}
CALL = Record({"id": Nullable(TEXT), "name": Text(low=1, high=256), "args": Nullable(OBJECT)}, required=["name"])
RESULT = Record(
    {
        "id": Nullable(TEXT),
        "name": Text(low=1, high=256),
        "response": Nullable(OBJECT),
        "parts": Nullable(Array(Record(SENT))),
    },
    required=["name"],
)
PART = Record(
    {
        "text": Nullable(TEXT),
        "thought": Nullable(BOOLEAN),
        "thoughtSignature": Nullable(TEXT),
        **SENT,
        "functionCall": Nullable(CALL),
        "functionResponse": Nullable(RESULT),
        "executableCode": Nullable(Record({"code": Nullable(TEXT), "language": Nullable(TEXT)})),
        "codeExecutionResult": Nullable(Record({"outcome": Nullable(TEXT), "output": Nullable(TEXT)})),
        "toolCall": Nullable(OBJECT),
        "toolResponse": Nullable(OBJECT),
    }
)
ROLE = AnyCase("USER", "MODEL", "FUNCTION", "TOOL", "SYSTEM", "")
CONTENT = Record({"role": Nullable(ROLE), "parts": Nullable(Array(PART))})

DECLARATION = Record(
    {
        "name": Text(low=1, high=128, pattern=r"^[a-zA-Z0-9_.:-]+$"),
        "description": Nullable(TEXT),
        "parameters": Nullable(OBJECT),
        "parametersJsonSchema": Nullable(OBJECT),
        "response": Nullable(OBJECT),
        "responseJsonSchema": Nullable(OBJECT),
    },
    required=["name"],
)
TOOL = Record({"functionDeclarations": Nullable(Array(DECLARATION))})
MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
CALLING = Record({"mode": Nullable(AnyCase(*MODES)), "allowedFunctionNames": Nullable(Array(TEXT))})
TOOL_CONFIG = Record({"functionCallingConfig": Nullable(CALLING)})

LEVELS = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH")
THINKING = Record(
    {
        "includeThoughts": Nullable(BOOLEAN),
        "thinkingBudget": Nullable(Integer(-1, _LARGEST)),
        "thinkingLevel": Nullable(AnyCase(*LEVELS)),
    }
)
VOICE = Record({"prebuiltVoiceConfig": Nullable(Record({"voiceName": Nullable(TEXT)}))})
SPEECH = Record({"voiceConfig": Nullable(VOICE), "languageCode": Nullable(TEXT)})
MODALITY = AnyCase("TEXT", "IMAGE", "AUDIO", "VIDEO", "MODALITY_UNSPECIFIED")
PENALTY = Nullable(Number(-2, 2))
GENERATION_CONFIG = Record(
    {
        "temperature": Nullable(Number(0, 2)),
        "topP": Nullable(Number(0, 1)),
        "topK": Nullable(Whole(0, _LARGEST)),
        "candidateCount": Nullable(Integer(1, 128)),
        "maxOutputTokens": Nullable(Integer(1, _LARGEST)),
        "stopSequences": Nullable(Array(TEXT)),
        "responseMimeType": Nullable(TEXT),
        "responseSchema": Nullable(OBJECT),
        "responseJsonSchema": Nullable(OBJECT),
        "seed": Nullable(Integer(-(2**63), 2**63 - 1)),
        "presencePenalty": PENALTY,
        "frequencyPenalty": PENALTY,
        "responseLogprobs": Nullable(BOOLEAN),
        "logprobs": Nullable(Integer(0, 20)),
        "thinkingConfig": Nullable(THINKING),
        "responseModalities": Nullable(Array(MODALITY)),
        "speechConfig": Nullable(SPEECH),
        "mediaResolution": Nullable(TEXT),
    }
)
SAFETY = Record({"category": TEXT, "threshold": TEXT}, required=["category", "threshold"])

FIELDS: dict[str, Rule] = {
    "contents": Array(CONTENT, 1),
    "systemInstruction": Nullable(CONTENT),
    "tools": Nullable(Array(TOOL)),
    "toolConfig": Nullable(TOOL_CONFIG),
    "safetySettings": Nullable(Array(SAFETY)),
    "generationConfig": Nullable(GENERATION_CONFIG),
    "cachedContent": Nullable(TEXT),
    "labels": Nullable(OBJECT),
}
GENERATION = Record(FIELDS | HOST_FIELDS, required=["contents"])


def read_generate(body: bytes) -> dict[str, Any]:
    """The request in a body, checked, its fields in camelCase. Raises `InvalidRequest`."""
    asked = parse(body)
    _check(asked, GENERATE)
    return asked


def read_count(body: bytes) -> dict[str, Any]:
    """The request whose tokens are to be counted: it may stand in ``generateContentRequest``. Raises what
    `read_generate` does.
    """
    asked = parse(body)
    whole = asked.get("generateContentRequest", asked.get("generate_content_request"))
    if whole is None:
        _check(asked, GENERATE)
        return asked
    if type(whole) is not dict or "contents" in asked:
        raise InvalidRequest(
            "Send either 'contents' or 'generateContentRequest', which is an object.", param="generateContentRequest"
        )
    try:
        COUNT.canonical(asked)
    except Problem as problem:
        raise problem.as_error() from None
    _check(whole, GENERATE)
    return whole


def _check(asked: dict[str, Any], message: Message) -> None:
    try:
        message.canonical(asked)
        if "contents" not in asked:
            raise missing("contents")
        GENERATION.check(asked)
    except Problem as problem:
        raise problem.as_error() from None
    _check_allowed(asked)


def _check_allowed(asked: dict[str, Any]) -> None:
    """The functions that may be called are among those that are declared."""
    calling = (asked.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames")
    if not allowed:
        return
    declared = {one["name"] for tool in asked.get("tools") or () for one in tool.get("functionDeclarations") or ()}
    for place, name in enumerate(allowed):
        if name not in declared:
            param = f"toolConfig.functionCallingConfig.allowedFunctionNames[{place}]"
            message = f"Invalid value for '{param}': '{name[:64]}' is not declared in 'tools'."
            raise InvalidRequest(message, param=param, code="invalid_value")
