"""Forced calls: the request that asks for one as JSON, and the text that comes back, cut anywhere."""

import json
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.forced import FORCED_RULE, CallText, forced_tools, joined_calls, with_schema

QUERY = {"type": "object", "properties": {"q": {"type": "string"}}}
FIND = {"type": "function", "function": {"name": "find", "parameters": QUERY}}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "additionalProperties": False}
ROOTED = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/node"}, "note": {"type": "string"}},
    "required": ["root"],
    "additionalProperties": False,
    "$defs": {"node": NODE},
}
TREE = {"type": "function", "function": {"name": "tree", "parameters": ROOTED}}
NOW = {"type": "function", "function": {"name": "now"}}
SHOUT = {"type": "custom", "custom": {"name": "shout"}}
TOOLS: list[dict[str, Any]] = [FIND, TREE, NOW, SHOUT]


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """The tool choice that allows these functions."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (None, []),
        ("auto", []),
        ("none", []),
        ("required", ["find", "tree", "now", "shout"]),
        ({"type": "function", "function": {"name": "now"}}, ["now"]),
        ({"type": "custom", "custom": {"name": "shout"}}, ["shout"]),
        (allowed("required", "find", "now"), ["find", "now"]),
        (allowed("auto", "find", "now"), []),
    ],
)
def test_which_tools_are_demanded(choice: object, names: list[str]) -> None:
    """Every form of ``tool_choice`` says whether a call is demanded, and of which tools."""
    demanded = forced_tools({"tools": TOOLS, "tool_choice": choice})
    assert [tool[tool["type"]]["name"] for tool in demanded] == names
    assert forced_tools({"tool_choice": choice}) == []


def schema_of(tools: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema that a request with these tools carries."""
    body = with_schema({"messages": [], "tools": tools, "tool_choice": "required"}, tools)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()
    found: dict[str, Any] = body["response_format"]["json_schema"]["schema"]
    return found


@pytest.mark.parametrize("tools", [[TREE], TOOLS, [NOW, TREE]])
def test_the_schema_takes_a_good_call_and_no_other(tools: list[dict[str, Any]]) -> None:
    """The schema admits exactly the calls of the demanded tools, references in their parameters included."""
    check = jsonschema.Draft202012Validator(schema_of(tools)).is_valid
    assert check({"name": "tree", "arguments": {"root": {"next": {"next": {}}}}})
    assert not check({"name": "tree", "arguments": {"root": {"next": {"other": 1}}}})
    assert not check({"name": "tree", "arguments": {}})
    assert not check({"name": "felled", "arguments": {"root": {}}})
    assert check({"name": "now", "arguments": {}}) == (NOW in tools)
    assert check({"name": "shout", "input": "HEY"}) == (SHOUT in tools)


def test_the_functions_are_told_once_in_one_system_message() -> None:
    """The tools are told at the end of the client's own system message, or in one of ours when there is none."""
    user = {"role": "user", "content": "Hi"}
    told = f"{FORCED_RULE}\n" + json.dumps([NOW["function"]])

    def messages(*given_messages: dict[str, Any]) -> Any:
        return with_schema({"messages": list(given_messages)}, [NOW])["messages"]

    assert messages(user) == [{"role": "system", "content": told}, user]
    assert messages({"role": "developer", "content": "Be brief."}, user) == [
        {"role": "developer", "content": f"Be brief.\n\n{told}"},
        user,
    ]
    part = {"type": "text", "text": "Be brief."}
    assert messages({"role": "system", "content": [part]}, user)[0]["content"] == [part, {"type": "text", "text": told}]


def read(pieces: list[str]) -> list[dict[str, Any]]:
    """The calls that these pieces of text make."""
    text = CallText(frozenset({"shout"}))
    fragments = [fragment for piece in pieces for fragment in text.feed(piece)]
    return joined_calls([*fragments, *text.close()])


ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\{}[]:,\n\u00e9'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a"}\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    arguments=st.dictionaries(st.text(max_size=3), ARGUMENTS, max_size=3),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    indent=st.sampled_from([None, 1]),
)
def test_arguments_are_read_however_they_are_cut(
    arguments: dict[str, Any], cuts: list[int], indent: int | None
) -> None:
    """Braces and quotes inside strings, white space, and the places where the text is cut do not change the call."""
    text = json.dumps({"name": "find", "arguments": arguments}, indent=indent) + "\n "
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    calls = read([text[start:end] for start, end in pairwise(places)])
    assert [(call["type"], call["function"]["name"]) for call in calls] == [("function", "find")]
    written = calls[0]["function"]["arguments"]
    assert json.loads(written) == arguments
    assert written.startswith("{")
    assert written.endswith("}")


@given(spoken=st.text(max_size=30), step=st.integers(1, 9))
def test_a_custom_tools_input_is_unescaped(spoken: str, step: int) -> None:
    """A custom tool gets the text itself, not its JSON form."""
    text = json.dumps({"name": "shout", "input": spoken})
    [call] = read([text[at : at + step] for at in range(0, len(text), step)])
    assert call == {"type": "custom", "custom": {"name": "shout", "input": spoken}}


def test_a_call_that_is_cut_gives_what_there_is() -> None:
    """Wherever the text ends, what came of the name and the arguments is kept, and nothing is invented."""
    whole = json.dumps({"name": "shout", "input": 'say "\u00e9\U0001f600"'})
    for size in range(len(whole)):
        calls = read([whole[:size]])
        assert len(calls) == (size >= len('{"name": "shout", "input":'))
        if calls:
            assert 'say "\u00e9\U0001f600"'.startswith(calls[0]["custom"]["input"])
    assert read(['{"name": "find", "arguments": {"q": "a']) == [
        {"type": "function", "function": {"name": "find", "arguments": '{"q": "a'}}
    ]
