"""Whatever a client sends, the reader answers with a call or with an `InvalidRequest`: never with another exception."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validate.samples import MAXIMAL, with_fields, with_message
from tests.validate.test_chat import ACCEPTED
from tollhouse.errors import InvalidRequest
from tollhouse.types.calls import ChatCall
from tollhouse.validate.chat import FIELDS, check_chat, read_chat

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["user", "assistant", "function", "text", "auto", "required", "allowed_tools", "json_schema"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "name", "function", "tools", "text", "mode", "id", "image_url"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
ANYTHING_GOES = settings(deadline=None, database=None, max_examples=200)


def survive(body: Any) -> None:
    """Reads ``body``; an error, if any, can be shown to the client."""
    try:
        call = check_chat(body)
    except InvalidRequest as error:
        msgspec.json.encode(error.body("req_1"))
    else:
        assert isinstance(call, ChatCall)


@ANYTHING_GOES
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON, max_size=6))
def test_any_value_of_any_field_is_read_or_refused(fields: dict[str, Any]) -> None:
    """No JSON value in any field, alone or together with others, makes the reader fail."""
    survive(fields)
    survive(with_fields(**fields))


@ANYTHING_GOES
@given(JSON)
def test_any_message_is_read_or_refused(message: Any) -> None:
    """No JSON value in place of a message, its content, a part or a tool makes the reader fail."""
    survive(with_message(message))
    survive(with_message({"role": "user", "content": message}))
    survive(with_message({"role": "assistant", "content": [message], "tool_calls": [message]}))
    survive(with_fields(tools=[message], tool_choice=message))


@ANYTHING_GOES
@given(st.binary(max_size=20), st.integers(0, 2000), st.integers(0, 30))
def test_any_damage_to_a_body_is_read_or_refused(noise: bytes, start: int, length: int) -> None:
    """Bytes cut out of a good body and replaced by any others give a call or an error."""
    body = msgspec.json.encode(MAXIMAL)
    try:
        assert isinstance(read_chat(body[:start] + noise + body[start + length :]), ChatCall)
    except InvalidRequest as error:
        msgspec.json.encode(error.body("req_1"))


# --- every leaf of a full request, each turned into every other type ---------------------------------------------

Path = tuple[str | int, ...]
WRONG: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "decimal": 7.5,
    "string": "x",
    "array": [1],
    "object": {},
}
# Inside these everything is the client's own: a JSON Schema, or the tools that a choice lists.
FREE = {
    ("tools", 0, "function", "parameters"),
    ("functions", 0, "parameters"),
    ("tool_choice", "allowed_tools", "tools"),
}
FREE |= {("response_format", "json_schema", "schema")}


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value in the request, containers too."""
    if path:
        yield path
    if path in FREE:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))


def replace(path: Path, value: Any) -> tuple[Any, dict[str, Any]]:
    """The full request with one value replaced, and the value that was there."""
    body = msgspec.json.decode(msgspec.json.encode(MAXIMAL))
    inner: Any = body
    for step in path[:-1]:
        inner = inner[step]
    before, inner[path[-1]] = inner[path[-1]], value
    return before, body


def spell(path: Path) -> str:
    """The path as errors show it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


# Where another type is good too: null, a string or a list, a whole number for a decimal, an object told by its word.
ALSO_GOOD: dict[str, set[str]] = {
    "model": {"null"},  # tested by itself: OpenAI words it in its own way
    "audio.voice": {"object"},
    "messages[3].refusal": {"string"},
    "moderation.policy.output": {"object"},
    "frequency_penalty": {"integer", "decimal"},
    "presence_penalty": {"integer", "decimal"},
    "max_tokens": {"integer"},
    "max_completion_tokens": {"integer"},
    "logit_bias.50256": {"integer"},
    "logit_bias.1": {"integer"},
    "temperature": {"integer", "decimal"},
    "top_p": {"integer", "decimal"},
    "stop": {"string"},
    "prediction.content": {"string"},
    "tool_choice": {"string"},
    "function_call": {"string"},
}
NULLABLE = {
    *(name for name, values in ACCEPTED.items() if None in values),
    *("moderation.policy", "moderation.policy.input", "moderation.policy.output", "web_search_options.user_location"),
    *("response_format.json_schema.strict", "tools[0].function.strict", "messages[6].content"),
    *(f"messages[{index}].name" for index in range(4)),
    *(f"messages[3].{name}" for name in ("content", "refusal", "audio", "function_call", "tool_calls")),
}
SAME = {
    bool: "boolean",
    int: "integer",
    float: "decimal",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def expect_type_error(path: Path, kind: str, before: Any) -> bool:
    """Whether a value of this type, in this place, is a wrong type."""
    place = spell(path)
    if kind == SAME[type(before)] or kind in ALSO_GOOD.get(place, set()):
        return False
    if kind == "null":
        return place not in NULLABLE
    return not (path[0] == "messages" and path[-1] == "content" and kind in ("string", "array"))


@pytest.mark.parametrize("path", list(leaves(MAXIMAL)), ids=spell)
def test_every_value_of_a_full_request_has_its_type_checked(path: Path) -> None:
    """A value of the wrong JSON type, anywhere in a full request, is a 400 that names exactly that place."""
    for kind, value in WRONG.items():
        before, body = replace(path, value)
        survive(body)
        if expect_type_error(path, kind, before):
            with pytest.raises(InvalidRequest) as caught:
                check_chat(body)
            assert (kind, caught.value.code, caught.value.param) == (kind, "invalid_type", spell(path))
