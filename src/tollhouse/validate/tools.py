"""The rules of ``tools`` and ``tool_choice``, and of the older ``functions`` and ``function_call``. Read by `chat`.

A tool's JSON Schema and a grammar are the client's own and are never compiled or evaluated here. Tools of a type that
OpenAI does not have pass, as long as they are objects with a ``type``: hosts run such tools themselves. Two tools of
one name pass too; OpenAI takes them, and the hosts that do not say so.
"""

from typing import Any

from tollhouse.errors import InvalidRequest
from tollhouse.validate.rules import BOOLEAN, TEXT, Nullable, Text, Word
from tollhouse.validate.shapes import OBJECT, Array, OneOf, Record, Variant
from tollhouse.validate.spelling import shorten

NAME = Text(64, low=1, pattern="^[a-zA-Z0-9_-]+$")
FUNCTION = Record(
    {"name": NAME, "description": TEXT, "parameters": OBJECT, "strict": Nullable(BOOLEAN)},
    required=["name"],
)
GRAMMAR = Record({"definition": TEXT, "syntax": Word("lark", "regex")}, required=["definition", "syntax"])
FORMAT = Variant({"text": OBJECT, "grammar": Record({"grammar": GRAMMAR}, required=["grammar"])})
CUSTOM = Record({"name": NAME, "description": TEXT, "format": FORMAT}, required=["name"])
TOOL = Variant(
    {
        "function": Record({"function": FUNCTION}, required=["function"]),
        "custom": Record({"custom": CUSTOM}, required=["custom"]),
    },
    extensible=True,
)

NAMED = Record({"name": TEXT}, required=["name"])
ALLOWED = Record({"mode": Word("auto", "required"), "tools": Array(OBJECT)}, required=["mode", "tools"])
CHOICE = OneOf(
    {
        str: Word("none", "auto", "required"),
        dict: Variant(
            {
                "function": Record({"function": NAMED}, required=["function"]),
                "custom": Record({"custom": NAMED}, required=["custom"]),
                "allowed_tools": Record({"allowed_tools": ALLOWED}, required=["allowed_tools"]),
            },
            extensible=True,
        ),
    }
)
FUNCTION_CHOICE = OneOf({str: Word("none", "auto"), dict: NAMED})


def check_choice(body: dict[str, Any]) -> None:
    """What ``tool_choice`` asks for is among ``tools``. Both have passed their rules.

    OpenAI refuses any choice without tools. ``none`` and ``auto`` pass here: they ask for nothing that is not there.
    """
    choice = body["tool_choice"]
    if choice in ("none", "auto"):
        return
    if not body.get("tools"):
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise InvalidRequest(message, param="tool_choice")
    if choice == "required":
        return
    offered = {identify(tool) for tool in body["tools"]}
    if choice["type"] != "allowed_tools":
        require_tool(identify(choice), offered, "tool_choice")
        return
    for index, tool in enumerate(choice["allowed_tools"]["tools"]):
        require_tool(identify(tool), offered, f"tool_choice.allowed_tools.tools[{index}]")


def check_function_choice(body: dict[str, Any]) -> None:
    """The function that ``function_call`` names is among ``functions``. Both have passed their rules."""
    choice = body["function_call"]
    if isinstance(choice, dict):
        offered = {("function", function["name"]) for function in body.get("functions", ())}
        require_tool(("function", choice["name"]), offered, "function_call")


def identify(tool: dict[str, Any]) -> tuple[str, str]:
    """A tool's type and name; no name where a host's own type has none."""
    kind = tool.get("type")
    if not isinstance(kind, str):
        return "", ""
    named = tool.get(kind)
    name = named.get("name") if isinstance(named, dict) else tool.get("name")
    return kind, name if isinstance(name, str) else ""


def require_tool(wanted: tuple[str, str], offered: set[tuple[str, str]], param: str) -> None:
    """Raises `InvalidRequest` when the tool that is asked for was not offered."""
    if wanted not in offered:
        shown = shorten(wanted[1] or wanted[0])
        where = "functions" if param == "function_call" else "tools"
        message = f"Invalid value for '{param}': '{shown}' was not found in '{where}'."
        raise InvalidRequest(message, param=param, code="invalid_value")
