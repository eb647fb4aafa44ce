"""The words of answers, wherever a dialect puts them."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.spoken_answers import (
    AGAIN,
    TEXT,
    Said,
    only_text,
    said_beside,
    said_by_anthropic,
    said_by_gemini,
    said_in_chunk,
    said_in_reply,
    text_alone,
)

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"q":"bread"}'}}


def spoken(message: dict[str, Any], **beside: Any) -> list[tuple[str, str]]:
    """The channels and texts of a whole answer."""
    return [(one.channel, one.text) for one in said_in_reply({"choices": [{"index": 0, "message": message, **beside}]})]


def test_the_channels_of_an_answer_are_told_apart() -> None:
    """Text, thought and each call's name and arguments are read side by side; a refusal too, for a model writes it."""
    message = {"role": "assistant", "content": "hi", "refusal": "no", "reasoning_content": "hm", "tool_calls": [CALL]}
    assert list(said_in_reply({"choices": [{"index": 1, "message": message}]})) == [
        Said(1, "text", "hi"),
        Said(1, "refusal", "no"),
        Said(1, "thought", "hm"),
        Said(1, "name0", "\nf"),
        Said(1, "call0", '{"q":"bread"}'),
    ]


def test_chunks_say_the_same_in_pieces() -> None:
    """The pieces of a call belong to its index, whatever else is in the chunk."""
    delta = {"tool_calls": [{"index": 3, "function": {"arguments": '{"q"'}}, {"index": 4, "custom": {"input": "x"}}]}
    chunk = {"choices": [{"index": 0, "delta": {**delta, "function_call": {"name": "g", "arguments": "{"}}}]}
    assert list(said_in_chunk(chunk)) == [
        Said(0, "call3", '{"q"'),
        Said(0, "beside4.input", "x"),
        Said(0, "namefunction_call", "g"),
        Said(0, "callfunction_call", "{"),
    ]


def test_arguments_that_a_host_gives_unwritten_are_written() -> None:
    """An object in place of JSON says the same."""
    call = {"function": {"arguments": {"q": "a\nb"}}}
    assert spoken({"tool_calls": [call]}) == [("call0", '{"q":"a\\nb"}')]


def test_members_that_only_a_host_knows_are_read() -> None:
    """Each by its path; ids, types, addresses, signatures and sound are no words."""
    message = {
        "content": "ok",
        "audio": {"id": "a", "data": "AAAA", "transcript": "spoken", "expires_at": 1},
        "reasoning_details": [{"type": "reasoning.text", "text": "deep", "signature": "s", "index": 2}],
        "annotations": [{"type": "url_citation", "url_citation": {"title": "bread", "url": "http://x", "start": 1}}],
        "images": [{"image_url": {"url": "data:text/plain,drawn"}}, {"image_url": {"url": "data:image/png;base64,A"}}],
    }
    assert spoken(message, text="again", stop_reason="x", logprobs=None) == [
        ("text", "ok"),
        ("beside.audio.transcript", "spoken"),
        ("beside.reasoning_details.2.text", "deep"),
        ("beside.annotations.url_citation.title", "bread"),
        ("again beside.annotations.url_citation.title", "bread\n"),
        ("beside.images.image_url.url", "drawn"),
        ("again beside.images.image_url.url", "drawn\n"),
        ("choice.text", "again"),
    ]


@pytest.mark.parametrize(
    "again",
    [
        {"reasoning": "deep"},
        {"reasoning_details": [{"text": "deep"}]},
        {"reasoning_details": [{"text": "de", "index": 0}, {"text": "ep", "index": 1}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "deep", "signature": "s"}]},
    ],
    ids=str,
)
def test_thoughts_that_are_told_again_word_for_word_are_read_once(again: dict[str, Any]) -> None:
    """What differs by a word is read."""
    assert spoken({"reasoning_content": "deep", **again}) == [("thought", "deep")]
    assert len(spoken({"reasoning_content": "deeper", **again})) > 1


def test_entries_without_an_index_are_read_together_and_apart() -> None:
    """Nobody knows whether one goes on where the last one ended."""
    assert spoken({"content": [{"type": "text", "text": "zeb"}, {"type": "text", "text": "ra"}]}) == [
        ("beside.content.text", "zeb"),
        ("again beside.content.text", "zeb\n"),
        ("beside.content.text", "ra"),
        ("again beside.content.text", "ra\n"),
    ]
    assert spoken({"new": ["zeb"]}) == [("beside.new", "zeb"), ("again beside.new", "zeb\n")]


@pytest.mark.parametrize("path", [["a"], ["audio", "transcript"], ["new", "inside", "deep"]], ids=str)
def test_pieces_of_any_member_belong_together(path: list[str]) -> None:
    """A word that comes in pieces is a word."""
    heard: dict[str, str] = {}
    for piece in ("a ze", "bra", "fi", "sh"):
        value: Any = piece
        for name in reversed(path):
            value = {name: value}
        for one in said_in_chunk({"choices": [{"index": 0, "delta": value}]}):
            heard[one.channel] = heard.get(one.channel, "") + one.text
    assert list(heard.values()) == ["a zebrafish"]


def test_nothing_beside_a_delta_costs_nothing() -> None:
    """Nearly every choice is its delta and no more."""
    assert said_beside({"index": 0, "delta": {}, "finish_reason": None, "logprobs": None}) == ()


def test_anthropic_says_it_in_blocks() -> None:
    """Events and whole messages give the same words."""
    found = {"type": "web_search_tool_result", "content": [{"title": "bread", "url": "u", "encrypted_content": "x"}]}
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "hi", "citations": [{"type": "char_location", "cited_text": "there"}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"q": 1}},
        found,
    ]
    whole = list(said_by_anthropic({"type": "message", "content": content}))
    assert whole == [
        Said(0, "thought", "hm"),
        Said(0, "text", "hi"),
        Said(0, "beside1.citations.cited_text", "there"),
        Said(0, "again beside1.citations.cited_text", "there\n"),
        Said(0, "name2", "f"),
        Said(0, "call2", '{"q":1}'),
        Said(0, "beside3.content.title", "bread"),
        Said(0, "again beside3.content.title", "bread\n"),
    ]
    started, delta = "content_block_start", "content_block_delta"
    cited = {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "there"}}
    events = [
        {"type": started, "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": delta, "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": delta, "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": delta, "index": 1, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": delta, "index": 1, "delta": cited},
        {"type": started, "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
        {"type": delta, "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"q":1}'}},
        {"type": started, "index": 3, "content_block": found},
    ]
    assert [said for event in events for said in said_by_anthropic(event)] == whole


def test_gemini_says_it_in_parts() -> None:
    """Texts, thoughts, calls and what only it knows, of every candidate."""
    parts = [
        {"text": "hm", "thought": True, "thoughtSignature": "s"},
        {"text": "hi"},
        {"functionCall": {"id": "x", "name": "f", "args": {"q": 1}}},
        {"executableCode": {"language": "PYTHON", "code": "print()"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]
    answer = {"candidates": [{"content": {"parts": parts}}, {"index": 5, "content": {"parts": [{"text": "yo"}]}}]}
    assert list(said_by_gemini(answer)) == [
        Said(0, "thought", "hm"),
        Said(0, "text", "hi"),
        Said(0, "names", "\nf"),
        Said(0, "callf", '{"q":1}'),
        Said(0, "beside.executableCode.code", "print()"),
        Said(5, "text", "yo"),
    ]


@pytest.mark.parametrize("wild", [None, 1, [], {}, [None], [{}], [{"content": 3}], {"parts": {}}])
def test_wild_shapes_say_nothing(wild: object) -> None:
    """What another machine sent may have any shape."""
    assert list(said_by_gemini({"candidates": wild})) == []
    assert list(said_by_anthropic({"type": wild, "content": wild, "delta": wild})) == []
    assert list(said_by_anthropic({"type": "content_block_delta", "delta": wild})) == []
    assert spoken({"content": wild, "tool_calls": wild, "function_call": wild}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [
        *("content", "refusal", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function_call"),
        *("index", "function", "custom", "arguments", "name", "text", "input", "type", "delta", "content_block"),
        *("candidates", "parts", "functionCall", "args", "citation", "audio", "data"),
    ]
)
OBJECTS = st.recursive(JSON, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=20)


@given(st.dictionaries(NAMES, OBJECTS, max_size=5))
def test_nothing_that_a_host_says_raises(wild: dict[str, Any]) -> None:
    """Messages, deltas and events of any shape are read as far as they make sense."""
    said = [
        *said_in_reply({"choices": [{**wild, "index": 0, "message": wild}]}),
        *said_by_gemini(wild),
        *said_by_anthropic(wild),
        *said_by_anthropic({**wild, "type": "content_block_delta"}),
        *said_by_anthropic({**wild, "type": "content_block_start"}),
    ]
    assert all(one.text for one in said)


BESIDE = {
    "nothing": {},
    "a refusal": {"refusal": "no"},
    "a call": {"tool_calls": [CALL]},
    "a thought": {"reasoning_content": "hm"},
    "what nobody knows": {"x_new": "told"},
    "what is silent": {"id": "m1", "status": "completed", "audio": None, "refusal": None, "tool_calls": []},
}


@pytest.mark.parametrize("message", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize(
    "choice", [{}, {"logprobs": None}, {"x_new": "beside"}, {"content_filter_results": {}}], ids=str
)
@pytest.mark.parametrize("index", [0, 1])
def test_an_answer_that_is_one_text_says_nothing_else(
    message: dict[str, Any], choice: dict[str, Any], index: int
) -> None:
    """Where the short way finds a text, the long way finds the same, and no other; results are left to the long way."""
    whole = {"index": index, "message": {"role": "assistant", "content": "bread", **message}, **choice}
    reply = {"choices": [whole]}
    said = list(said_in_reply(reply))
    plain = said == [Said(0, TEXT, "bread")] and "content_filter_results" not in choice
    assert only_text(reply) == ("bread" if plain else None)
    assert only_text({"choices": [whole, whole]}) is None


@pytest.mark.parametrize("content", ["", None, ["bread"], 3])
def test_what_is_no_text_is_not_an_answers_only_one(content: object) -> None:
    """An answer without words is left to who reads every member."""
    message = {"role": "assistant", "content": content}
    assert only_text({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}) is None


@pytest.mark.parametrize("delta", [{}, {"role": "assistant"}, *BESIDE.values()], ids=str)
@pytest.mark.parametrize("beside", [{}, {"logprobs": None}, {"x_new": "told"}, {"content_filter_results": {}}], ids=str)
def test_a_chunk_that_is_one_text_says_nothing_else(delta: dict[str, Any], beside: dict[str, Any]) -> None:
    """The same of a piece of a stream."""
    choice = {"index": 2, "delta": {"content": "bread", **delta}, "finish_reason": None, **beside}
    alone = not delta and not beside.keys() - {"logprobs"}
    assert text_alone(choice) == ("bread" if alone else None)
    assert not alone or list(said_in_chunk({"choices": [choice]})) == [Said(2, TEXT, "bread")]
    assert text_alone({"index": 0, "delta": {"content": "bread"}, "x_new": "told"}) is None
    assert text_alone({"index": 0, "delta": {"content": None}, "finish_reason": None}) is None


def test_deep_and_wide_answers_are_read_in_linear_time() -> None:
    """However deep, and however long its names are, no path is long."""
    deep: Any = ["x"] * 50_000
    for _ in range(50_000):
        deep = {"n" * 50: deep}
    began = time.perf_counter()
    found = spoken({"n" * 1_000_000: deep})
    assert time.perf_counter() - began < 3
    assert len(found) == 100_000
    assert max(len(channel) for channel, _ in found) < 400
    assert {channel.startswith(AGAIN) for channel, _ in found} == {True, False}
