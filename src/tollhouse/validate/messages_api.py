"""The rules of Anthropic's ``POST /v1/messages`` and ``/v1/messages/count_tokens``. Read by `dialects.anthropic.read`.

The tables hold what is read here or has a limit; fields, blocks and tools that no table names ride along to a host that
speaks the dialect. Where Anthropic allows null for a few optional fields, it is taken for all. Whether a tool result
follows its call, and whether roles alternate, is left to the host.

https://platform.claude.com/docs/en/api/messages
"""

from typing import Any

from tollhouse.errors import InvalidRequest
from tollhouse.validate.chat import TOKENS
from tollhouse.validate.guard import parse
from tollhouse.validate.model import MODEL, require_model
from tollhouse.validate.problems import Problem, refuse_type
from tollhouse.validate.rules import BOOLEAN, TEXT, Integer, Nullable, Number, Rule, Text, Word
from tollhouse.validate.shapes import OBJECT, Array, OneOf, Record, Variant

_LARGEST = 2**31 - 1

TEXT_BLOCK = Record({"text": TEXT}, required=["text"])
BASE64 = Record({"media_type": TEXT, "data": TEXT}, required=["media_type", "data"])
URL = Record({"url": TEXT}, required=["url"])
STORED = Record({"file_id": TEXT}, required=["file_id"])
IMAGE = Record(
    {"source": Variant({"base64": BASE64, "url": URL, "file": STORED}, extensible=True)}, required=["source"]
)
EXCERPT = OneOf({str: TEXT, list: Array(Variant({"text": TEXT_BLOCK, "image": IMAGE}, extensible=True))})
DOCUMENT = Record(
    {
        "source": Variant(
            {
                "base64": BASE64,
                "url": URL,
                "file": STORED,
                "text": Record({"data": TEXT}, required=["data"]),
                "content": Record({"content": EXCERPT}, required=["content"]),
            },
            extensible=True,
        ),
        "title": Nullable(TEXT),
        "context": Nullable(TEXT),
        "citations": Nullable(OBJECT),
    },
    required=["source"],
)
SEARCH_RESULT = Record(
    {"source": TEXT, "title": TEXT, "content": Array(Variant({"text": TEXT_BLOCK}))},
    required=["source", "title", "content"],
)
_SHOWN: dict[str, Rule] = {
    "text": TEXT_BLOCK,
    "image": IMAGE,
    "document": DOCUMENT,
    "search_result": SEARCH_RESULT,
}
RESULT = Record(
    {
        "tool_use_id": TEXT,
        "content": Nullable(OneOf({str: TEXT, list: Array(Variant(_SHOWN, extensible=True))})),
        "is_error": Nullable(BOOLEAN),
    },
    required=["tool_use_id"],
)
BLOCK = Variant(
    {
        **_SHOWN,
        "tool_use": Record({"id": TEXT, "name": TEXT, "input": OBJECT}, required=["id", "name", "input"]),
        "tool_result": RESULT,
        "thinking": Record({"thinking": TEXT, "signature": Nullable(TEXT)}, required=["thinking"]),
        "redacted_thinking": Record({"data": TEXT}, required=["data"]),
    },
    extensible=True,
)
TURN = Record({"content": OneOf({str: TEXT, list: Array(BLOCK)})}, required=["content"])
MESSAGE = Variant({"user": TURN, "assistant": TURN, "system": TURN}, tag="role")

TOOL_NAME = Text(128, low=1, pattern="^[a-zA-Z0-9_-]+$")
OWN_TOOL = Record(
    {"name": TOOL_NAME, "description": Nullable(TEXT), "input_schema": OBJECT, "strict": Nullable(BOOLEAN)},
    required=["name", "input_schema"],
)
NAMED_TOOL = Record({"name": TOOL_NAME})


class Tool:
    """One tool: the client's own, which may say ``custom`` or nothing, or one that Anthropic has a type for."""

    kind = "an object"
    says = f"{OWN_TOOL.says} or one of Anthropic's own, told by `type`"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not dict:
            refuse_type(self.kind, value)
        word = value.get("type")
        if word is not None and type(word) is not str:
            try:
                refuse_type("a string", word)
            except Problem as problem:
                raise problem.at("type") from None
        (OWN_TOOL if word in (None, "custom") else NAMED_TOOL).check(value)


CHOICE = Variant({"auto": OBJECT, "any": OBJECT, "none": OBJECT, "tool": Record({"name": TEXT}, required=["name"])})
THINKING = Variant(
    {
        "enabled": Record({"budget_tokens": Integer(1024, _LARGEST)}, required=["budget_tokens"]),
        "adaptive": OBJECT,
        "disabled": OBJECT,
    },
    extensible=True,
)
FORMAT = Variant({"json_schema": Record({"schema": OBJECT}, required=["schema"])}, extensible=True)
EFFORT = Word("low", "medium", "high", "xhigh", "max")

FIELDS: dict[str, Rule] = {
    "model": MODEL,
    "messages": Array(MESSAGE, 1),
    "max_tokens": Integer(1, _LARGEST),
    "metadata": Nullable(Record({"user_id": Nullable(TEXT)})),
    "output_config": Nullable(Record({"effort": Nullable(EFFORT), "format": Nullable(FORMAT)})),
    "output_format": Nullable(FORMAT),
    "service_tier": Nullable(TEXT),
    "stop_sequences": Nullable(Array(TEXT)),
    "stream": Nullable(BOOLEAN),
    "system": Nullable(OneOf({str: TEXT, list: Array(Variant({"text": TEXT_BLOCK}))})),
    "temperature": Nullable(Number(0, 1)),
    "thinking": Nullable(THINKING),
    "tool_choice": Nullable(CHOICE),
    "tools": Nullable(Array(Tool())),
    "top_k": Nullable(Integer(0, _LARGEST)),
    "top_p": Nullable(Number(0, 1)),
}
MESSAGES = Record(FIELDS, required=["messages", "max_tokens"])
COUNTED = Record(FIELDS | {"max_tokens": TOKENS}, required=["messages"])


def read_messages(body: bytes, *, counted: bool = False) -> dict[str, Any]:
    """The parsed and checked body of a request; ``counted`` for one that only wants its tokens counted.

    Raises `InvalidRequest`.
    """
    asked = parse(body)
    require_model(asked)
    try:
        (COUNTED if counted else MESSAGES).check(asked)
    except Problem as problem:
        raise problem.as_error() from None
    if asked.get("tool_choice"):
        _check_choice(asked)
    return asked


def _check_choice(asked: dict[str, Any]) -> None:
    """A tool that must be called is among those that are offered."""
    choice = asked["tool_choice"]
    tools = asked.get("tools") or []
    if choice["type"] == "any" and not tools:
        raise InvalidRequest("tool_choice 'any' needs 'tools' to choose from.", param="tool_choice")
    if choice["type"] == "tool" and not any(tool.get("name") == choice["name"] for tool in tools):
        raise missing_tool(choice["name"])


def missing_tool(name: str) -> InvalidRequest:
    """``tool_choice`` names a tool that ``tools`` does not hold."""
    return InvalidRequest(f"Tool '{name[:64]}' is not among 'tools'.", param="tool_choice.name")
