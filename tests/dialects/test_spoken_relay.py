"""The words of relayed requests and answers, wherever an endpoint puts them."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.spoken import Asked, Said
from tollhouse.dialects.spoken_relay import (
    ANSWERS,
    FIELDS,
    Stream,
    asked,
    reported,
    role_of,
    said,
    stored,
    texts_in,
    unreadable,
)
from tollhouse.types.calls import RelayCall
from tollhouse.validate import multipart, relay
from tollhouse.validate.multipart import FormCall, split

FORM_TYPE = "multipart/form-data; boundary=x"
NAMES = st.sampled_from(
    [
        *("type", "delta", "output_index", "item", "response", "output", "text", "choices", "index", "content"),
        *("content_filters", "content_filter_results", "prompt_filter_results", "status", "incomplete_details"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | NAMES, inner, max_size=4),
    max_leaves=20,
)


def call(kind: str, **body: Any) -> RelayCall:
    """A JSON call."""
    return RelayCall(kind, "m", {"model": "m", **body}, stream=False)


def upload(*parts: tuple[str, bytes]) -> FormCall:
    """An upload of these fields, each with the rest of its headers."""
    body = b"".join(b"--x\r\nContent-Disposition: form-data; name=" + head.encode() + value for head, value in parts)
    return FormCall("images/edits", "m", split(FORM_TYPE, body + b"--x--"), stream=False)


def test_every_endpoint_is_judged_but_the_one_that_judges() -> None:
    """A new endpoint has to say where its words are."""
    assert FIELDS.keys() == (relay.ENDPOINTS.keys() | multipart.ENDPOINTS.keys()) - {"moderations"}
    assert ANSWERS.keys() <= FIELDS.keys()


TOOLS = [{"description": "find bread"}]
SCHEMA = {"type": "json_schema", "schema": {"properties": {"type": {"description": "a loaf"}}}}


def test_items_of_a_response_are_read_with_whose_they_are() -> None:
    """Parts of one item belong together; ids, names, urls and what is no text are not read."""
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "be kind"},
        {"type": "message", "role": "user", "id": "msg_1", "content": [
            {"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:x", "detail": "low"},
            {"type": "input_text", "text": "here"}]},
        {"type": "reasoning", "encrypted_content": "xx", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"q":1}'},
        {"type": "function_call_output", "role": "system", "output": [{"type": "input_text", "text": "no"}]},
        {"type": "image_generation_call", "result": "iVBORw0KGgo=", "revised_prompt": "a cat"},
        {"type": "a_new_kind", "inside": [{"deep": "words"}]},
    ]  # fmt: skip
    found = asked(call("responses", input=items, instructions="first", tools=TOOLS, text={"format": SCHEMA}))
    assert found == [
        Asked("system", "first"),
        Asked("developer", "be kind"),
        Asked("user", "look\nhere"),
        Asked("user", "lookhere"),
        Asked("assistant", "hm"),
        Asked("assistant", 'f\n{"q":1}'),
        Asked("tool", "no"),
        Asked("assistant", "a cat"),
        Asked("user", "words"),
        Asked("tools", "find bread"),
        Asked("text", "json_schema\na loaf"),
    ]


@pytest.mark.parametrize(
    ("item", "role"),
    [
        ("words", "user"),
        ({"role": "assistant"}, "assistant"),
        ({"role": 1}, "user"),
        ({"type": "mcp_call"}, "tool"),
        ({"type": "local_shell_call_output", "role": "system"}, "tool"),
        ({"type": "web_search_call"}, "assistant"),
        ({"type": 1}, "user"),
    ],
)
def test_roles_follow_from_types(item: object, role: str) -> None:
    """What a tool gave may attack, whatever role it claims."""
    assert role_of(item, "user") == role


def test_under_names_that_somebody_chose_everything_is_read() -> None:
    """Variables of a stored prompt, and arguments, have any names."""
    prompt = {"id": "pmpt_1", "version": "2", "variables": {"id": "a", "url": {"type": "input_text", "text": "b"}}}
    found = asked(call("responses", prompt=prompt, input=[{"type": "x_call", "arguments": {"name": "c"}}]))
    assert [one.text for one in found if one.role == "user"] == ["a\ninput_text\nb", "ainput_textb"]
    assert [one.text for one in found if one.role == "assistant"] == ["c"]


def test_what_is_escaped_or_in_a_text_file_is_read() -> None:
    """Escapes inside arguments stand for their letters, a data URL of text for its text."""
    file = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}
    items = [{"type": "function_call", "name": "f", "arguments": '"\\u0068i"'}, {"role": "user", "content": [file]}]
    assert [one.text for one in asked(call("responses", input=items))] == [
        *('f\n"hi"', "a.txt\nhello", "a.txthello"),
    ]


def test_fields_that_nobody_knows_are_read() -> None:
    """A host may take a prompt from them; fields that are known to say nothing are not read."""
    found = asked(call("completions", prompt=["a", "b"], messages=[{"role": "user", "content": "c"}], stop=["d"], n=2))
    assert sorted(one.text for one in found) == ["a", "b", "c"]


def test_the_prompt_of_a_form_is_read_whatever_it_calls_itself() -> None:
    """As a file, as an array, and twice; images are not read."""
    form = upload(
        ('"prompt"\r\n\r\n', b"one\r\n"),
        ('"prompt[]"; filename="a.txt"\r\n\r\n', b"two\r\n"),
        ('"image"; filename="a.png"\r\n\r\n', b"\x89\r\n"),
        ('"size"\r\n\r\n', b"1024x1024\r\n"),
        ('"extra"\r\n\r\n', "drei é\r\n".encode()),
    )
    assert [one.text for one in asked(form)] == ["one", "two", "drei é"]
    assert unreadable(form) == ""


@pytest.mark.parametrize(
    "part", [('"prompt"\r\n\r\n', b"\xff\r\n"), ('"prompt"\r\nContent-Type: text/html\r\n\r\n', b"a\r\n")]
)
def test_a_part_that_may_be_read_otherwise_is_not_readable(part: tuple[str, bytes]) -> None:
    """Bytes that are no UTF-8, or of a type of their own."""
    assert unreadable(upload(part)) == "prompt"


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("completions", {"prompt": "a"}, ""),
        ("completions", {"prompt": ["a"]}, ""),
        ("completions", {"prompt": [1]}, "prompt"),
        ("completions", {"prompt": [[1]]}, "prompt"),
        ("completions", {"prompt": "a", "prompt_token_ids": [1]}, "prompt_token_ids"),
        ("embeddings", {"input": [[1], [2]]}, "input"),
        ("responses", {"input": [{"role": "user", "content": "a"}]}, ""),
    ],
)
def test_tokens_cannot_be_read(kind: str, body: dict[str, Any], field: str) -> None:
    """The field that holds them is named."""
    assert unreadable(call(kind, **body)) == field


def test_a_stored_conversation_is_known() -> None:
    """By either of its names, where it has a value."""
    assert stored(call("responses", previous_response_id="resp_1")) == "previous_response_id"
    assert stored(call("responses", conversation={"id": "c"})) == "conversation"
    assert stored(call("responses", previous_response_id=None)) == ""


def test_the_choices_of_a_completion_are_told_apart() -> None:
    """Whatever else a host puts into a choice is read too, but for tokens and what is no words."""
    choices = [
        {"index": 1, "text": "a", "finish_reason": "stop", "logprobs": {"tokens": ["a"]}, "thoughts": ["hm"]},
        {"text": "b"},
        None,
    ]
    assert list(said("completions", {"choices": choices})) == [
        Said(1, "text", "a"),
        Said(1, "choice.thoughts", "hm"),
        Said(1, "again choice.thoughts", "hm\n"),
        Said(1, "text", "b"),
    ]


def test_all_words_of_a_message_are_read() -> None:
    """A refusal too, which may repeat what it refuses, and what its citations are called."""
    parts = [
        {"type": "refusal", "refusal": "no"},
        {"type": "output_text", "text": "yes", "annotations": [{"title": "t"}]},
    ]
    assert list(said("responses", {"output": [{"type": "message", "content": parts}]})) == [
        Said(0, "0", "no"),
        Said(0, "0", "yes"),
        Said(0, "again 0", "no\nyes"),
        Said(0, "cited0", "t\n"),
    ]


ITEMS = [
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "message", "content": [{"type": "output_text", "text": "hello"}, {"type": "refusal", "refusal": " you"}]},
    {"type": "mcp_call", "name": "f", "arguments": '"\\u0068i"', "output": "found"},
]
WHOLE = {"type": "response.completed", "response": {"object": "response", "output": ITEMS}}
PIECES = [
    {"type": "response.output_text.delta", "output_index": 1, "delta": "hel"},
    {"type": "response.audio.delta", "output_index": 1, "delta": "AAAA"},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "lo"},
    {"type": "response.output_text.done", "output_index": 1, "text": "hello"},
    {"type": "response.refusal.delta", "output_index": 1, "delta": " you"},
]


@pytest.mark.parametrize(
    "events",
    [
        [WHOLE],
        [*PIECES, WHOLE],
        [*PIECES, {"type": "response.output_item.done", "output_index": 1, "item": ITEMS[1]}, WHOLE],
        [
            {"type": "response.mcp_call_arguments.delta", "output_index": 2, "delta": '"\\u00'},
            {"type": "response.mcp_call_arguments.delta", "output_index": 2, "delta": '68i"'},
            WHOLE,
        ],
    ],
)
def test_a_streamed_response_says_what_the_whole_one_says(events: list[dict[str, Any]]) -> None:
    """However it is told, each item's words are heard once."""
    heard: dict[str, str] = {}
    stream = Stream("responses")
    for event in events:
        for piece in stream.said(event):
            heard[piece.channel] = heard.get(piece.channel, "") + piece.text
    assert heard == {"0": "hm", "1": "hello you", "2": '"hi"found', "again 2": '"hi"\nfound', "name2": "f"}


def test_words_cut_over_parts_are_read_whole() -> None:
    """Parts of a prompt's item are joined with and without something between them; images may be files of text."""
    parts = [{"type": "input_text", "text": text} for text in ("a zeb", "", "rafish")]
    image = {"type": "input_image", "image_url": "data:text/plain,%20drawn"}
    found = asked(call("responses", input=[{"role": "user", "content": [*parts, image]}]))
    assert [one.text for one in found] == ["a zeb\nrafish\n drawn", "a zebrafish drawn"]


def test_a_streamed_transcript_is_heard() -> None:
    """In pieces, or in the end."""
    stream = Stream("audio/transcriptions")
    events = [{"type": "transcript.text.delta", "delta": "hel"}, {"type": "transcript.text.done", "text": "hello"}]
    assert [piece.text for event in events for piece in stream.said(event)] == ["hel", "lo"]


def test_results_of_a_host_are_read_where_they_stand() -> None:
    """Azure's at the root and on a choice; of a response, in its list of filters."""
    results = {"hate": {"filtered": False, "severity": "low"}}
    answer = {
        "prompt_filter_results": [{"content_filter_results": results}],
        "choices": [{"content_filter_results": results}],
    }
    assert [(one.choice, one.results) for one in reported("completions", answer)] == [(-1, results), (0, results)]
    filters = [{"source_type": "completion", "content_filter_results": results}]
    response = {"object": "response", "status": "completed", "content_filters": filters}
    event = {"type": "response.completed", "response": response}
    for piece in (response, event):
        assert [(one.choice, one.results) for one in reported("responses", piece)] == [(0, results)]


@given(st.sampled_from(sorted(FIELDS)), st.dictionaries(NAMES, JSON, max_size=5))
def test_nothing_that_a_host_says_raises(kind: str, answer: dict[str, Any]) -> None:
    """Answers and events of any shape are read as far as they make sense."""
    for piece in (*said(kind, answer), *Stream(kind).said(answer)):
        assert piece.text
    assert all(one.choice >= -1 or type(one.choice) is int for one in reported(kind, answer))


@given(st.sampled_from(sorted(relay.ENDPOINTS.keys() - {"moderations"})), st.dictionaries(NAMES, JSON, max_size=5))
def test_nothing_that_a_client_says_raises(kind: str, body: dict[str, Any]) -> None:
    """A request's own fields of any shape are read too."""
    given_call = RelayCall(kind, "m", {**body, **dict.fromkeys(FIELDS[kind], body)}, stream=False)
    assert all(one.text for one in asked(given_call))
    assert isinstance(unreadable(given_call), str)


def test_deep_and_wide_answers_are_read_in_linear_time() -> None:
    """A value nested 100,000 deep is read like a flat one."""
    deep: Any = "end"
    for _ in range(100_000):
        deep = [deep]
    began = time.perf_counter()
    assert list(texts_in({"a": deep, "b": ["x"] * 100_000}))[:2] == ["end", "x"]
    assert time.perf_counter() - began < 2
