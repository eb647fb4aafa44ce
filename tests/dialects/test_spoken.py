"""The words of prompts, wherever a client puts them."""

import time
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.spoken import Asked, asked, asked_beside
from tollhouse.types.calls import ChatCall

WORD = "zebrafish"
HELLO = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"q":"bread"}'}}
ESCAPED = '{"q":"hello\\nzebr\\u0061fish"}'


def texts(*messages: dict[str, Any], **more: Any) -> list[str]:
    """What is read of a request."""
    return [one.text for one in asked({"model": "m", "messages": list(messages), **more})]


def test_every_text_of_a_prompt_is_read() -> None:
    """Plain content, the text parts of a list, and what calls hand over; images and empty texts are none."""
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [*parts, {"type": "text", "text": " here"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": ""},
    ]
    told = [Asked("system", "be kind"), Asked("user", "look\n here"), Asked("assistant", 'f\n{"q":"bread"}')]
    assert list(asked({"messages": messages})) == told


@pytest.mark.parametrize(
    "beside",
    [
        {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ESCAPED}}]},
        {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": f"a {WORD}"}}]},
        {"tool_calls": [{"id": "c", "type": "function", "function": {"name": WORD, "arguments": "{}"}}]},
        {"function_call": {"name": "f", "arguments": f'{{"{WORD}": 1}}'}},
        {"refusal": WORD},
        {"reasoning": WORD},
        {"reasoning_content": WORD},
        {"reasoning_details": [{"type": "reasoning.text", "text": WORD, "signature": "x"}]},
        {"reasoning_details": [{"text": "zebra"}, {"text": "fish"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": WORD}]},
        {"name": WORD},
        {"audio": {"id": f"a {WORD}"}},
        {"data": f"a {WORD}"},
        {"brand_new": {"deep": [[{"down": WORD}]]}},
        {"content": [{"type": "brand_new", "inside": {"id": "x", "words": WORD}}]},
        {"content": [{"type": "refusal", "refusal": WORD}]},
        {"content": [{"type": "text", "text": "hi", "title": WORD}]},
        {"content": [{"type": "file", "file": {"filename": f"{WORD} 1.pdf", "file_data": "data:application/pdf,x"}}]},
    ],
    ids=str,
)
@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": "x"}])
def test_a_message_says_more_than_its_content(beside: dict[str, Any], content: dict[str, Any]) -> None:
    """Every member is read, whether or not there is content; escapes inside arguments stand for their letters."""
    found = texts({"role": "assistant", **content, **beside})
    assert any(WORD in text.replace("\n", " ").replace('"', " ").split() or f"\n{WORD}" in text for text in found)


@pytest.mark.parametrize(
    ("member", "role"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f", "description": f'a\n"{WORD}"'}}]}, "tools"),
        ({"tools": [{"function": {"parameters": {"properties": {WORD: {"type": "string"}}}}}]}, "tools"),
        ({"tools": [{"function": {"parameters": {"properties": {"url": {"description": WORD}}}}}]}, "tools"),
        ({"tools": [{"function": {"parameters": {"properties": {"id": {"enum": [WORD]}}}}}]}, "tools"),
        ({"functions": [{"name": WORD}]}, "functions"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"title": WORD}}}}, "response_format"),
        ({"prediction": {"type": "content", "content": WORD}}, "prediction"),
        ({"system": WORD}, "system"),
        ({"documents": [{"id": "1", "data": {"snippet": WORD}}]}, "user"),
        ({"documents": [WORD]}, "user"),
        ({"chat_template": WORD}, "user"),
        ({"chat_template_kwargs": {"url": WORD}}, "user"),
        ({"chat_template_kwargs": {WORD: True}}, "user"),
        ({"extra_body": {"type": WORD}}, "user"),
        ({"guided_choice": [WORD, "other"]}, "user"),
        ({"web_search_options": {"user_location": {"approximate": {"city": WORD}}}}, "user"),
        ({"brand_new": f"data: {WORD}"}, "user"),
    ],
    ids=str,
)
def test_members_of_a_request_are_read(member: dict[str, Any], role: str) -> None:
    """Under any name but those that only say how to answer; names that a client has chosen are words too."""
    found = [one for one in asked({"messages": [HELLO], **member}) if WORD in one.text]
    assert found
    assert {one.role for one in found} == {role}
    assert any(WORD in text.replace('"', " ").split() for text in [one.text for one in found])


def test_what_only_says_how_to_answer_is_not_read() -> None:
    """Sampling parameters, names, words to stop at."""
    how = {"temperature": 1, "stop": ["stop here"], "user": "me", "metadata": {"a": "b"}, "stream": True, "n": 2}
    more = {"reasoning_effort": "high", "service_tier": "flex", "tool_choice": "auto", "modalities": ["text"]}
    assert texts(HELLO, **how, **more) == ["hi"]


@pytest.mark.parametrize(
    "between", [[], [""], ["\u200b"], ["", ""], ["\u0301"]], ids=["nothing", "empty", "invisible", "two", "accent"]
)
def test_a_word_that_goes_on_in_the_next_part_is_read_whole(between: list[str]) -> None:
    """Where no blank stands at a border, parts are read with and without something between them."""
    parts = [{"type": "text", "text": text} for text in ("a zeb", *between, "rafish", " runs")]
    with_gap, without = texts({"role": "user", "content": parts})
    assert with_gap == "\n".join([text for text in ("a zeb", *between, "rafish", " runs") if text])
    assert without == "".join(("a zeb", *between, "rafish runs"))


def test_parts_with_blanks_between_them_are_read_once() -> None:
    """No word goes on over a blank."""
    parts = [{"type": "text", "text": text} for text in ("one ", "two", "\nthree")]
    assert texts({"role": "user", "content": parts}) == ["one \ntwo\n\nthree"]


def test_files_of_text_are_read_wherever_they_stand() -> None:
    """As a file, as an image, in a member that nobody knows."""
    url = "data:text/plain;base64," + b64encode(WORD.encode()).decode()
    file = {"type": "file", "file": {"file_data": url}}
    image = {"type": "image_url", "image_url": {"url": url}}
    assert texts({"role": "user", "content": [file]}) == [WORD]
    assert texts({"role": "user", "content": [image]}) == [WORD]
    assert texts(HELLO, brand_new={"some": url}) == ["hi", f"some\n{WORD}", f"some{WORD}"]


def native(**body: Any) -> ChatCall:
    """A call whose own dialect says more than the inner form."""
    return ChatCall("m", {"model": "m", "messages": [HELLO]}, stream=False, include_usage=False, native=body)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "mcp_tool_result", "content": [{"type": "text", "text": WORD}]},
        {"type": "server_tool_use", "id": "x", "input": {"id": WORD}},
        {"type": "server_tool_use", "id": "x", "input": {WORD: 1}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": WORD}},
        {"inlineData": {"mimeType": "text/csv", "data": b64encode(WORD.encode()).decode()}},
        {"functionResponse": {"name": "f", "response": {"url": WORD}}},
        {"brand_new": [WORD]},
    ],
    ids=str,
)
def test_what_the_inner_form_does_not_hold_is_read_too(block: dict[str, Any]) -> None:
    """Blocks of a client's own dialect, of whatever type; what was read before is not read again."""
    call = native(messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}, block]}], model="x")
    found = list(asked_beside(call))
    assert found
    assert all(one.role == "user" and WORD in one.text and "hi" not in one.text.split() for one in found)


def test_words_cut_over_blocks_are_read_whole() -> None:
    """As in parts of the inner form."""
    content = [{"type": "new", "text": "a zeb"}, {"type": "new", "text": "rafish"}]
    assert Asked("user", "a zebrafish") in asked_beside(native(messages=[{"role": "user", "content": content}]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_nothing_that_a_client_says_raises(wild: dict[str, Any]) -> None:
    """Members of any shape are read as far as they make sense."""
    messages = [{**wild, "role": "user", "content": [{**wild, "type": "new"}]}]
    body = {**wild, "messages": messages, "tools": wild}
    call = ChatCall("m", body, stream=False, include_usage=False, native=wild)
    assert all(one.text for one in (*asked(body), *asked_beside(call)))


def test_deep_and_wide_requests_are_read_in_linear_time() -> None:
    """A value nested 100,000 deep is read like a flat one."""
    deep: Any = WORD
    for _ in range(100_000):
        deep = {"a": deep}
    began = time.perf_counter()
    assert any(WORD in text for text in texts(HELLO, brand_new=deep, other=["x"] * 100_000))
    assert time.perf_counter() - began < 2
