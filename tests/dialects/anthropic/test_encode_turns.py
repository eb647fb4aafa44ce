"""A client's conversation as Anthropic's turns: alternating, calls with their results, nothing blank."""

import json
import random
from typing import Any

import pytest

from tollhouse.dialects.anthropic.encode import Request, encode
from tollhouse.errors import UpstreamUnfit

USER: dict[str, Any] = {"role": "user", "content": "Hi"}


def made(messages: list[dict[str, Any]], model: str = "claude-sonnet-4-5", **body: Any) -> Request:
    """The request for these messages."""
    return encode({"model": "alias", "messages": messages, **body}, model)


def turns(messages: list[dict[str, Any]], model: str = "claude-sonnet-4-5") -> list[tuple[str, list[Any]]]:
    """The turns, each as its role and its blocks; text blocks as their text."""
    sent = made(messages, model).body["messages"]
    return [(t["role"], [b["text"] if b.keys() == {"type", "text"} else b for b in t["content"]]) for t in sent]


def lost(request: Request) -> dict[str, str]:
    """What is lost, and how."""
    return {loss.param: loss.how for loss in request.losses}


def call(call_id: str, arguments: str = "{}") -> dict[str, Any]:
    """A call of ``f``."""
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def calling(*ids: str) -> dict[str, Any]:
    """An assistant message of these calls."""
    return {"role": "assistant", "content": "", "tool_calls": [call(one) for one in ids]}


def result(call_id: str, content: Any = "r") -> dict[str, Any]:
    """A tool message."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def use(call_id: str, **given: Any) -> dict[str, Any]:
    """The block of a call of ``f``."""
    return {"type": "tool_use", "id": call_id, "name": "f", "input": given}


def told(call_id: str, content: Any = "r", **more: Any) -> dict[str, Any]:
    """The block of a result."""
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def test_messages_of_one_role_are_one_turn() -> None:
    """Consecutive messages of a role are merged, and blank texts are left out."""
    messages = [
        USER,
        {"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "you"}]},
        {"role": "assistant", "content": "A"},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "user", "content": ""},
        {"role": "user", "content": "?"},
    ]
    assert turns(messages) == [("user", ["Hi", "you"]), ("assistant", ["A", "no"]), ("user", ["?"])]


def test_system_messages_go_to_the_front() -> None:
    """One is a text, several are blocks; a later one is reported, and a part that is not text as well."""
    assert made([{"role": "developer", "content": "S"}, USER]).body["system"] == "S"
    picture = {"type": "image_url", "image_url": {"url": "https://x"}}
    both = made(
        [
            {"role": "system", "content": "A"},
            USER,
            {"role": "system", "content": [{"type": "text", "text": "B"}, picture]},
        ]
    )
    assert both.body["system"] == [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert lost(both) == {"messages[2].content": "dropped", "messages[2]": "changed"}


def test_later_instructions_stay_where_the_model_takes_them() -> None:
    """They are a turn of their own behind the user's, wherever in it they stood."""
    later = {"role": "system", "content": "S"}
    model = "claude-opus-4-8"
    answer = {"role": "assistant", "content": "A"}
    assert turns([USER, later, USER, answer, USER], model) == [
        ("user", ["Hi", "Hi"]),
        ("system", ["S"]),
        ("assistant", ["A"]),
        ("user", ["Hi"]),
    ]
    assert turns([USER, answer, later, USER], model)[2:] == [("user", ["Hi"]), ("system", ["S"])]
    assert turns([USER, answer, later], model)[2:] == [("user", ["Continue."]), ("system", ["S"])]
    assert made([USER, later], model).losses == ()


def test_results_stand_first_in_the_next_turn() -> None:
    """Parallel results are one turn, before the text that came between them."""
    messages = [USER, calling("a", "b"), result("b"), USER, result("a", [{"type": "text", "text": "x"}])]
    assert turns(messages)[1:] == [
        ("assistant", [use("a"), use("b")]),
        ("user", [told("b"), told("a", [{"type": "text", "text": "x"}]), "Hi"]),
    ]
    assert made(messages).losses == ()


def test_a_call_that_nobody_answered_gets_a_result() -> None:
    """In the middle and at the end; it is reported."""
    nothing = told("a", "There is no result of this call.", is_error=True)
    assert turns([USER, calling("a"), USER])[2] == ("user", [nothing, "Hi"])
    assert turns([USER, calling("a")])[2] == ("user", [nothing])
    middle = [USER, calling("a"), USER, {"role": "assistant", "content": "A"}, USER]
    assert turns(middle)[2] == ("user", [nothing, "Hi"])
    assert lost(made([USER, calling("a"), USER])) == {"messages[2]": "changed"}


def test_a_result_without_its_call_is_told_as_text() -> None:
    """Nothing of it is left out; it is reported. A second result of one call is such a one too."""
    assert turns([USER, result("z", "r")]) == [("user", ["Hi", "The result of the tool call z:", "r"])]
    assert lost(made([USER, result("z")])) == {"messages[1]": "changed"}
    twice = turns([USER, calling("a"), result("a"), result("a", "s")])
    assert twice[2] == ("user", [told("a"), "The result of the tool call a:", "s"])


def test_ids_are_made_to_fit_and_never_used_twice() -> None:
    """An id with foreign characters is changed, and one that comes again gets a number."""
    messages = [USER, calling("a.1"), result("a.1"), calling("a.1", ""), result("a.1"), result("")]
    sent = turns(messages)
    assert sent[1][1] == [use("a_1")]
    assert sent[3][1] == [use("a_1_2"), use("call")]
    assert sent[4][1] == [told("a_1_2"), told("call")]


@pytest.mark.parametrize(
    ("arguments", "sent"), [("", {}), ('{"a": 1}', {"a": 1}), ("[1]", {"arguments": [1]}), ("{", {"arguments": "{"})]
)
def test_arguments_are_an_object(arguments: str, sent: dict[str, Any]) -> None:
    """No arguments are none; what is no object is told as it stands, and reported."""
    message = {"role": "assistant", "content": None, "tool_calls": [call("a", arguments)]}
    request = made([USER, message, result("a")])
    assert request.body["messages"][1]["content"] == [use("a", **sent)]
    assert bool(request.losses) == ("arguments" in sent)


def test_a_result_has_parts_an_error_and_a_marker() -> None:
    """An image is a block of it, blank content is none, and a marker moves to the result itself."""
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    picture = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    messages = [USER, calling("a", "b"), {**result("a", [marked, picture]), "is_error": True}, result("b", " ")]
    assert turns(messages)[2][1] == [
        told(
            "a",
            [{"type": "text", "text": "x"}, {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}],
            is_error=True,
            cache_control={"type": "ephemeral", "ttl": "1h"},
        ),
        {"type": "tool_result", "tool_use_id": "b"},
    ]


def test_legacy_calls_are_calls_too() -> None:
    """A ``function_call`` and the message of role ``function`` belong together."""
    old = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert turns([USER, old, {"role": "function", "name": "f", "content": "r"}])[1:] == [
        ("assistant", [use("function_call")]),
        ("user", [told("function_call")]),
    ]


def test_custom_calls_are_functions_of_one_string() -> None:
    """Their input is the string."""
    custom = {"id": "a", "type": "custom", "custom": {"name": "f", "input": "ls"}}
    messages = [USER, {"role": "assistant", "content": None, "tool_calls": [custom]}, result("a")]
    assert turns(messages)[1][1] == [use("a", input="ls")]


def test_an_answer_to_be_continued() -> None:
    """It loses its trailing blanks; a model that does not continue answers is asked to, which is reported."""
    messages = [USER, {"role": "assistant", "content": "It is \n"}]
    assert turns(messages)[-1] == ("assistant", ["It is"])
    assert turns(messages, "claude-opus-4-6")[-1] == ("user", ["Continue."])
    assert lost(made(messages, "claude-opus-4-6")) == {"messages": "changed"}
    assert made(messages, reasoning_effort="low").body["messages"][-1]["role"] == "user"


def test_a_conversation_begins_with_the_user() -> None:
    """Where it does not, one is put there; a system prompt alone is sent as the user's."""
    assert turns([{"role": "assistant", "content": "A"}, USER])[0] == ("user", ["Continue."])
    alone = made([{"role": "system", "content": "Write."}])
    assert alone.body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Write."}]}]
    assert "system" not in alone.body
    assert turns([{"role": "user", "content": ""}]) == [("user", ["Continue."])]


def test_thoughts_are_sent_only_with_their_signature() -> None:
    """Claude's own, whole or in pieces, in the order in which they were thought; others' never."""
    mine = "anthropic-claude-v1"
    details = [
        {"type": "reasoning.text", "text": "A", "format": mine, "index": 0},
        {"type": "reasoning.text", "text": "B", "format": mine, "index": 0},
        {"type": "reasoning.text", "signature": "s", "format": mine, "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "format": mine, "index": 1},
        {"type": "reasoning.text", "text": "unsigned", "format": mine, "index": 2},
        {"type": "reasoning.text", "text": "x", "signature": "y", "format": "google-gemini-v1", "index": 3},
        "junk",
    ]
    blocks = [
        {"type": "thinking", "thinking": "AB", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    said = {"role": "assistant", "content": "C", "reasoning_content": "AB"}
    for member in ({"reasoning_details": details}, {"thinking_blocks": blocks}):
        messages = [USER, {**said, **member}, USER]
        assert turns(messages, "claude-opus-5")[1] == ("assistant", [*blocks, "C"])
        assert turns(messages)[1] == ("assistant", ["C"]), "the model does not think in this request"
    parts = [USER, {"role": "assistant", "content": [*blocks, {"type": "text", "text": "C"}]}, USER]
    assert turns(parts, "claude-opus-5")[1] == ("assistant", [*blocks, "C"])


PDF = "data:application/pdf;base64,JVBERi0="


def document(**source: str) -> dict[str, Any]:
    """A document block."""
    return {"type": "document", "source": source}


def image(**source: str) -> dict[str, Any]:
    """An image block."""
    return {"type": "image", "source": source}


def file(**member: str) -> dict[str, Any]:
    """A file part."""
    return {"type": "file", "file": member}


MARKED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
CITED = {**document(type="url", url="u"), "citations": {"enabled": True}}


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,/9j/"}},
            image(type="base64", media_type="image/jpeg", data="/9j/"),
        ),
        (
            file(file_data=PDF, filename="a.pdf"),
            {**document(type="base64", media_type="application/pdf", data="JVBERi0="), "title": "a.pdf"},
        ),
        (file(file_data="https://x/a.pdf"), document(type="url", url="https://x/a.pdf")),
        (
            file(file_data="data:text/plain;base64,w6k="),
            document(type="text", media_type="text/plain", data="é"),
        ),
        (file(file_data="data:text/csv,a%2Cb"), document(type="text", media_type="text/plain", data="a,b")),
        (file(file_id="file_01"), document(type="file", file_id="file_01")),
        (file(file_data="data:image/png;base64,iV"), image(type="base64", media_type="image/png", data="iV")),
        (CITED, CITED),
        ({"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}, MARKED),
        (MARKED, MARKED),
    ],
)
def test_parts(part: dict[str, Any], block: dict[str, Any]) -> None:
    """Each kind of content has its block."""
    request = made([{"role": "user", "content": [part]}])
    assert request.body["messages"][0]["content"] == [block]
    assert request.losses == ()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://x"}},
        {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,x"}},
        {"type": "file", "file": {"file_id": "file-openai"}},
        {"type": "file", "file": {"file_data": "data:application/zip;base64,UEs="}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}},
        {"type": "file", "file": 3},
        {"type": "image_url", "image_url": {"url": 3}},
    ],
)
def test_media_that_cannot_be_sent_are_refused(part: dict[str, Any]) -> None:
    """Without them it would be another question, and another target may take them."""
    with pytest.raises(UpstreamUnfit) as caught:
        made([{"role": "user", "content": [{"type": "text", "text": "x"}, part]}])
    assert caught.value.param == "messages[0].content[1]"


def test_names_are_reported() -> None:
    """Anthropic knows no names of those who speak; that of a function is told by its call."""
    request = made([{**USER, "name": "Ann"}, {"role": "function", "name": "f", "content": "r"}])
    assert lost(request) == {"messages[0].name": "dropped", "messages[1]": "changed"}


def test_unknown_parts_and_details_are_reported() -> None:
    """A part of another maker's is left out; Anthropic knows no detail of images."""
    picture = {"type": "image_url", "image_url": {"url": "https://x", "detail": "high"}}
    request = made([{"role": "user", "content": [picture, {"type": "hologram"}, {"type": 7}]}])
    assert lost(request) == {
        "messages[0].content[0].image_url.detail": "dropped",
        "messages[0].content[1]": "dropped",
        "messages[0].content[2]": "dropped",
    }


def check(body: dict[str, Any]) -> None:
    """Asserts the rules that Anthropic has for a conversation."""
    sent = body["messages"]
    assert sent
    assert sent[0]["role"] == "user"
    ids: set[str] = set()
    for place, turn in enumerate(sent):
        assert turn["content"]
        assert place == 0 or sent[place - 1]["role"] != turn["role"]
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")
        used = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        assert not ids & set(used)
        ids |= set(used)
        after = sent[place + 1]["content"] if used else []
        assert {block["tool_use_id"] for block in after[: len(used)] if block["type"] == "tool_result"} == set(used)
        if turn["role"] == "user":
            kinds = [block["type"] == "tool_result" for block in turn["content"]]
            assert kinds == sorted(kinds, reverse=True)
            assert place > 0 or not any(kinds)
    assert not ids or body["tools"]
    assert sent[-1]["role"] == "user" or sent[-1]["content"][-1]["text"] == sent[-1]["content"][-1]["text"].rstrip()


@pytest.mark.parametrize("seed", range(300))
def test_any_history_makes_a_valid_conversation(seed: int) -> None:
    """Whatever clients send, Anthropic's rules hold, and the client's own body is not touched."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable test
    texts = ["", " ", "x ", None, [], [{"type": "text", "text": ""}], [{"type": "text", "text": "y"}]]
    messages: list[dict[str, Any]] = []
    for _ in range(chance.randrange(1, 9)):
        role = chance.choice(["system", "user", "assistant", "tool", "tool", "assistant"])
        message: dict[str, Any] = {"role": role, "content": chance.choice(texts)}
        if role == "tool":
            message["tool_call_id"] = chance.choice("abc")
        if role == "assistant" and chance.random() < 0.7:
            message["tool_calls"] = [call(chance.choice("abc")) for _ in range(chance.randrange(3))]
        messages.append(message)
    before = json.dumps(messages)
    check(made(messages).body)
    assert json.dumps(messages) == before


def test_calls_without_tools_have_their_tools_defined() -> None:
    """A conversation that holds calls names their functions, and the model may not use them."""
    body = made([USER, calling("a"), result("a")]).body
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


JUNK: tuple[Any, ...] = (None, True, -1, 0.5, "x", [], [1], {}, {"type": 3}, [[]], [{"type": "thinking"}])


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-5-5"])
def test_junk_in_extensions_is_passed_over(model: str) -> None:
    """What no validation checks may be of any type: a request is made of the rest."""
    top = ("reasoning", "thinking", "top_k", "cache_control", "reasoning_effort")
    own = ("reasoning_details", "thinking_blocks", "cache_control", "is_error", "reasoning_content")
    nested = [{name: junk} for name in ("effort", "max_tokens", "enabled", "ttl", "type", "format") for junk in JUNK]
    values = [*JUNK, *nested, *[[one] for one in nested]]
    for value in values:
        made([USER], model, **dict.fromkeys(top, value))
        members = dict.fromkeys(own, value)
        history = [
            {**USER, **members},
            {**calling("a"), **members},
            {**result("a", [{"type": "text", "text": "x", **members}]), **members},
        ]
        assert made(history, model, tools=[{"type": "function", "function": {"name": "f"}, **members}]).body["messages"]
