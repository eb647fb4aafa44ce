"""Tool calls of streams: every way hosts get them wrong gives the client whole, separate calls."""

import json
from typing import Any

import pytest

from tests.dialects.canon import judge
from tollhouse.dialects.openai import ChatStream
from tollhouse.dialects.tools import mint_call_id

F, G = {"name": "f", "arguments": '{"a":1}'}, {"name": "g", "arguments": '{"b":2}'}


def entry(name: str | None = None, arguments: object = None, **rest: Any) -> dict[str, Any]:
    """One fragment of a call, with only those members that a host sent."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**rest, "function": function}


CALLS: dict[str, list[list[Any]]] = {
    "openai": [
        [entry("f", "", index=0, id="A", type="function")],
        [entry(None, '{"a"', index=0)],
        [entry(None, ":1}", index=0)],
        [entry("g", "", index=1, id="B", type="function")],
        [entry(None, '{"b":2}', index=1)],
    ],
    "interleaved": [
        [entry("f", "", index=0, id="A"), entry("g", "", index=1, id="B")],
        [entry(None, '{"b":', index=1), entry(None, '{"a":', index=0)],
        [entry(None, "1}", index=0), entry(None, "2}", index=1)],
    ],
    "whole calls in one delta": [[entry(**F, id="A", index=0), entry(**G, id="B", index=1)]],
    "whole calls, no index": [[entry(**F, id="A"), entry(**G, id="B")]],
    "whole calls, null index": [[entry(**F, id="A", index=None)], [entry(**G, id="B", index=None)]],
    "always index 0, own ids": [[entry(**F, id="A", index=0)], [entry(**G, id="B", index=0)]],
    "always index 0, fragments by id": [
        [entry("f", "", index=0, id="A")],
        [entry("g", "", index=0, id="B")],
        [entry(None, '{"a":1}', index=0, id="A")],
        [entry(None, '{"b":2}', index=0, id="B")],
    ],
    "content block indexes": [[entry(**F, index=1, id="A")], [entry(**G, index=3, id="B")]],
    "id and name repeated": [
        [entry("f", '{"a"', index=0, id="A", type="function")],
        [entry("f", ":1}", index=0, id="A", type="function")],
        [entry("g", '{"b"', index=1, id="B", type="function")],
        [entry("g", ":2}", index=1, id="B", type="function")],
    ],
    "a new id for every fragment": [
        [entry("f", "", index=0, id="A")],
        [entry(None, '{"a":1}', index=0, id="x1")],
        [entry("g", "", index=1, id="B")],
        [entry(None, '{"b":2}', index=1, id="x2")],
    ],
    "no index, fragments follow": [
        [entry("f", "", id="A")],
        [entry(None, '{"a":1}')],
        [entry("g", "", id="B")],
        [entry(None, '{"b":2}')],
    ],
    "arguments as objects": [[entry("f", {"a": 1}, id="A", index=0), entry("g", {"b": 2}, id="B", index=1)]],
    "name after id": [
        [{"index": 0, "id": "A", "type": "function"}],
        [entry("f", None, index=0)],
        [entry(None, '{"a":1}', index=0)],
        [entry(**G, index=1, id="B")],
    ],
    "arguments before the name": [
        [entry(None, '{"a"', index=0, id="A")],
        [entry("f", ":1}", index=0)],
        [entry(**G, index=1, id="B")],
    ],
    "empty ids on later fragments": [
        [entry("f", "", index=0, id="A")],
        [entry("", '{"a":1}', index=0, id="")],
        [entry("g", "", index=1, id="B")],
        [entry("", '{"b":2}', index=1, id="")],
    ],
    "both kinds, one empty": [
        [entry(**F, index=0, id="A", type="function", custom={"name": "", "input": ""})],
        [entry(**G, index=1, id="B", type="function", custom={"name": "", "input": ""})],
    ],
    "junk between": [[None, 7, entry(**F, index=0, id="A")], [entry(**G, index=1, id="B"), "x"]],
}


def calls_of(deltas: list[list[Any]], reason: str = "stop") -> list[dict[str, str]]:
    """The calls a client has after a stream of these ``tool_calls`` members."""
    writer = ChatStream("s", 1, "m", include_usage=False)
    raw = b"".join(
        [
            writer.encode([{"choices": [{"index": 0, "delta": {"tool_calls": entries}, "finish_reason": None}]}])
            for entries in deltas
        ]
    )
    raw += writer.encode([{"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}])
    said = judge(raw + writer.end(None), include_usage=False).choices[0]
    assert said.finish_reason == ("length" if reason == "length" else "tool_calls")
    return said.calls


@pytest.mark.parametrize("name", CALLS)
def test_two_calls_arrive_whole(name: str) -> None:
    """However a host numbers and cuts two parallel calls, the client has both, each with its id and arguments."""
    calls = calls_of(CALLS[name])
    assert [(call["id"], call["name"]) for call in calls] == [("A", "f"), ("B", "g")]
    assert [json.loads(call["arguments"]) for call in calls] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("index", [None, 0])
def test_calls_of_one_function_without_ids(index: int | None) -> None:
    """Two calls of the same function, with no id and no index of their own, stay two calls with minted ids."""
    rest: dict[str, Any] = {} if index is None else {"index": index}
    calls = calls_of([[entry(**F, **rest)], [entry("f", {"a": 2}, **rest)]])
    assert [json.loads(call["arguments"]) for call in calls] == [{"a": 1}, {"a": 2}]
    assert [call["id"] for call in calls] == [mint_call_id("s", 0, 0), mint_call_id("s", 0, 1)]


def test_one_id_for_two_calls_is_told_apart() -> None:
    """A host that uses the function's name as the id gives two calls of it one id; the client gets two."""
    calls = calls_of(
        [
            [entry("f", "", index=0, id="f")],
            [entry("f", "", index=1, id="f")],
            [entry(None, '{"a":1}', index=0, id="f")],
            [entry(None, '{"a":2}', index=1, id="f")],
        ]
    )
    assert [call["arguments"] for call in calls] == ['{"a":1}', '{"a":2}']
    assert calls[0]["id"] == "f"
    assert calls[1]["id"].startswith("call_")


@pytest.mark.parametrize("arguments", [None, "", " "])
def test_no_arguments_are_an_empty_object(arguments: str | None) -> None:
    """A call without arguments is parsed by clients as JSON all the same, so it has an empty object."""
    (call,) = calls_of([[entry("now", arguments, index=0, id="A")]])
    assert json.loads(call["arguments"]) == {}


def test_a_cut_call_stays_cut() -> None:
    """Arguments that the length limit cut off are not mended into something that looks whole."""
    assert calls_of([[entry("f", "", index=0, id="A")]], "length")[0]["arguments"] == ""


def test_a_call_without_a_name_is_not_lost() -> None:
    """Arguments for a call whose name never came reach the client in the end, under an empty name."""
    assert calls_of([[entry(None, "{}", index=0, id="A")]]) == [{"id": "A", "name": "", "arguments": "{}"}]


def test_custom_tools_pass() -> None:
    """A custom tool's call has input in place of arguments, and nothing is added to it."""
    calls = calls_of(
        [
            [{"index": 0, "id": "A", "type": "custom", "custom": {"name": "c", "input": ""}}],
            [{"index": 0, "custom": {"input": "free text"}}],
            [{"index": 1, "id": "B", "type": "custom", "custom": {"name": "d", "input": ""}}],
        ]
    )
    assert calls == [{"id": "A", "name": "c", "input": "free text"}, {"id": "B", "name": "d", "input": ""}]


def test_what_hosts_attach_to_a_call_rides_along() -> None:
    """Gemini's thought signature, which the next turn needs, stays on the call it came with."""
    signature = {"google": {"thought_signature": "abc"}}
    writer = ChatStream("s", 1, "m", include_usage=False)
    delta = {"tool_calls": [entry(**F, index=0, id="A", extra_content=signature)]}
    late = {"tool_calls": [{"index": 0, "extra_content": {"google": {"x": 1}}}]}
    raw = writer.encode([{"choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in (delta, late)])
    chunks = judge(raw + writer.end(None), include_usage=False).chunks
    fragments = [one["choices"][0]["delta"]["tool_calls"][0] for one in chunks[1:-1]]
    assert [fragment.get("extra_content") for fragment in fragments] == [signature, None, {"google": {"x": 1}}]
    assert all(type(fragment["function"]["arguments"]) is str for fragment in fragments)


def test_text_beside_calls_keeps_its_order() -> None:
    """Text, a call and a finish reason in one delta become text, the call's fragments and the terminal."""
    writer = ChatStream("s", 1, "m", include_usage=False)
    delta = {"role": "assistant", "content": "Looking.", "tool_calls": [entry(**F, id="A", index=0)]}
    raw = writer.encode([{"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}]) + writer.end(None)
    keys = [sorted(one["choices"][0]["delta"]) for one in judge(raw, include_usage=False).chunks]
    assert keys == [["content", "role"], ["content"], ["tool_calls"], ["tool_calls"], []]


@pytest.mark.parametrize("index", [[], {}, "0", 1.5, True, -1])
def test_an_index_of_the_wrong_type_is_no_index(index: object) -> None:
    """An index that is no number is treated as missing, on the first fragment and on later ones."""
    calls = calls_of([[entry("f", "", index=index, id="A")], [entry(None, '{"a":1}', index=index)]])
    assert [call["arguments"] for call in calls] == ['{"a":1}']
