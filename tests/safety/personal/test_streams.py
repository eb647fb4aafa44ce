"""Streams with personal data restored: cut anywhere, they say the same."""

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.safety.personal.replies import restore_reply
from tollhouse.safety.personal.streams import Restorer
from tollhouse.safety.personal.vault import Vault

EVA, PASSWORD = "eva@example.com", 'a"b\\c1\nd'
TEXT = "Dear [EMAIL_1], [x] [email_1](mailto:[EMAIL\\_1]) [EMAIL_9] [[SECRET_1]] [EMAIL_"
SAID = (
    TEXT.replace("[EMAIL_1]", EVA).replace("[email_1]", EVA).replace("[EMAIL\\_1]", EVA).replace("[SECRET_1]", PASSWORD)
)


def vault() -> Vault:
    """One that knows an address and a password."""
    made = Vault()
    made.mask(EVA)
    made.hide(PASSWORD, "secret")
    return made


def chunk(delta: dict[str, Any], index: int = 0, reason: str | None = None, **others: Any) -> dict[str, Any]:
    """A chunk about one choice."""
    return {"id": "x", "choices": [{"index": index, "delta": delta, "finish_reason": reason, **others}]}


def call(text: str, at: int = 0, **others: Any) -> dict[str, Any]:
    """A delta with a piece of a call's arguments."""
    return {"tool_calls": [{"index": at, "function": {"arguments": text}, **others}]}


def told(chunks: list[dict[str, Any]]) -> dict[tuple[Any, ...], str]:
    """All that the chunks say, by channel."""
    said: dict[tuple[Any, ...], str] = defaultdict(str)
    for choice in [choice for piece in chunks for choice in piece["choices"]]:
        index, delta = choice["index"], choice["delta"]
        for name in [name for name, value in delta.items() if isinstance(value, str)]:
            said[index, name] += delta[name]
        for entry in delta.get("tool_calls", ()):
            said[index, "call", entry["index"]] += entry["function"].get("arguments", "")
        for entry in delta.get("reasoning_details", ()):
            said[index, "detail", entry["index"]] += entry["text"]
    return said


def streamed(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chunks, each fed by itself, and the end."""
    restorer = Restorer(vault())
    return [made for one in chunks for made in restorer.feed([one])] + restorer.finish()


@pytest.mark.parametrize("at", range(len(TEXT) + 1))
@pytest.mark.parametrize("name", ["content", "reasoning_content", "refusal"])
def test_a_text_cut_in_two_says_the_same(name: str, at: int) -> None:
    """Wherever a text is cut, also inside a placeholder, it comes out whole."""
    assert told(streamed([chunk({name: TEXT[:at]}), chunk({name: TEXT[at:]})]))[0, name] == SAID


def test_a_text_in_single_characters_says_the_same() -> None:
    """One character at a time, a finish reason at the end: everything is said before that."""
    made = streamed([*[chunk({"content": letter}) for letter in TEXT], chunk({}, reason="stop")])
    assert told(made)[0, "content"] == SAID
    assert made[-1]["choices"][0]["finish_reason"] == "stop"


def test_only_what_may_be_a_placeholder_waits() -> None:
    """Ordinary text is passed on at once, and a chunk whose text waits is not sent empty."""
    restorer = Restorer(vault())
    assert told(restorer.feed([chunk({"content": "Dear ["})])) == {(0, "content"): "Dear "}
    assert restorer.feed([chunk({"content": "EMAIL"})]) == []
    assert told(restorer.feed([chunk({"content": "S] "})])) == {(0, "content"): "[EMAILS] "}


def test_a_role_and_extras_do_not_wait() -> None:
    """A chunk that says more than held text is sent."""
    restorer = Restorer(vault())
    assert (
        restorer.feed([chunk({"role": "assistant", "content": "["})])[0]["choices"][0]["delta"]["role"] == "assistant"
    )
    assert len(restorer.feed([chunk({"content": "E"}, content_filter_results={})])) == 1
    assert len(restorer.feed([{**chunk({"content": "M"}), "usage": {}}])) == 1
    assert len(restorer.feed([chunk({"content": "A"}, logprobs={"content": []})])) == 1


@given(st.data())
def test_choices_and_calls_may_alternate(data: st.DataObject) -> None:
    """Two choices with two calls each, in pieces that alternate at random: every call parses and says its own."""
    arguments = json.dumps({"to": "[EMAIL_1]", "key": "<[SECRET_1]>"})
    queues = {(choice, at): arguments for choice in (0, 1) for at in (0, 1)}
    chunks = []
    while queues:
        choice, at = data.draw(st.sampled_from(sorted(queues)))
        size = data.draw(st.integers(1, 12))
        text = queues.pop((choice, at))
        chunks.append(chunk(call(text[:size], at), choice))
        if text[size:]:
            queues[choice, at] = text[size:]
    said = told(streamed(chunks))
    for choice in (0, 1):
        for at in (0, 1):
            assert json.loads(said[choice, "call", at]) == {"to": EVA, "key": f"<{PASSWORD}>"}


def test_what_is_held_goes_before_the_next_channel() -> None:
    """A model that goes on with a call, or with its answer after its thoughts, keeps the order of what it said."""
    made = streamed([chunk({"reasoning_content": "hm [E"}), chunk({"content": "so [EM"}), chunk(call("{}", id="c"))])
    deltas = [piece["choices"][0]["delta"] for piece in made]
    assert deltas == [
        {"reasoning_content": "hm "},
        {"reasoning_content": "[E"},
        {"content": "so "},
        {"content": "[EM"},
        call("{}", id="c"),
    ]


def test_a_finish_reason_lets_everything_go() -> None:
    """What is held is said before or with the finish reason, never after."""
    made = streamed([chunk({"content": "a [EMAIL"}), chunk(call("[E", 0)), chunk({"content": "b ["}, reason="length")])
    assert made[-1]["choices"][0]["delta"] == {"content": "b ["}
    assert made[-1]["choices"][0]["finish_reason"] == "length"
    assert told(made) == {(0, "content"): "a [EMAILb [", (0, "call", 0): "[E"}


def test_another_call_at_the_same_index_does_not_take_what_is_held() -> None:
    """Hosts that number every call 0 begin the next one with its name: the last one's end stays its own."""
    first = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '"[EM'}}]}
    second = {"tool_calls": [{"index": 0, "id": "b", "function": {"name": "f", "arguments": "AIL_1]"}}]}
    entries = [piece["choices"][0]["delta"]["tool_calls"][0] for piece in streamed([chunk(first), chunk(second)])]
    assert [(entry.get("id"), entry["function"]["arguments"]) for entry in entries] == [
        *(("a", '"'), (None, "[EM"), ("b", "AIL_1]")),
    ]


def test_a_name_alone_holds_nothing_up() -> None:
    """The first fragment of a call, with its name and no arguments, goes through as it is."""
    head = {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}
    assert streamed([chunk(head)])[0]["choices"][0]["delta"] == head


def test_arguments_given_as_an_object_are_restored() -> None:
    """Some hosts send them unwritten and whole."""
    made = streamed(
        [chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": {"to": "[EMAIL_1]"}}}]})]
    )
    assert json.loads(told(made)[0, "call", 0]) == {"to": EVA}


def test_thoughts_in_pieces_are_restored() -> None:
    """Entries of ``reasoning_details`` with one index are pieces of one text."""
    entries = [
        {"type": "reasoning.text", "text": text, "index": 0, "format": "unknown"} for text in ("a [EMA", "IL_1]")
    ]
    made = streamed([chunk({"reasoning_details": [entry]}) for entry in entries])
    assert told(made)[0, "detail", 0] == f"a {EVA}"


def test_held_thoughts_are_let_go_as_thoughts() -> None:
    """What of a thought was held keeps its entry's type, format and index."""
    entry = {"type": "reasoning.text", "text": "a [EMA", "index": 0, "format": "unknown"}
    made = streamed([chunk({"reasoning_details": [entry]})])
    assert made[-1]["choices"][0]["delta"] == {"reasoning_details": [{**entry, "text": "[EMA"}]}


def test_held_sound_and_legacy_calls_are_let_go() -> None:
    """A transcript and the arguments of the older kind of call are channels too."""
    sound, older = {"audio": {"transcript": "a [EM"}}, {"function_call": {"arguments": "b [EM"}}
    deltas = [piece["choices"][0]["delta"] for piece in streamed([chunk(sound), chunk(older)])]
    assert deltas == [
        {"audio": {"transcript": "a "}},
        {"audio": {"transcript": "[EM"}},
        {"function_call": {"arguments": "b "}},
        {"function_call": {"arguments": "[EM"}},
    ]


def test_json_content_is_escaped_where_it_was_asked_for() -> None:
    """Content that has to be JSON stays so; other content shows the value as it is."""
    plain, coded = Restorer(vault()), Restorer(vault(), json_content=True)
    text = '{"key": "[SECRET_1]"}'
    assert json.loads(told(coded.feed([chunk({"content": text})]))[0, "content"]) == {"key": PASSWORD}
    assert told(plain.feed([chunk({"content": text})]))[0, "content"] == f'{{"key": "{PASSWORD}"}}'


def test_an_empty_vault_costs_nothing() -> None:
    """The chunks are the same objects."""
    chunks = [chunk({"content": "[EMAIL_1"})]
    assert Restorer(Vault()).feed(chunks) is chunks


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": []},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": {"content": ["x"], "tool_calls": "x", "audio": 1}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [1, {"function": None}, {"function": {"name": "f"}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": [], "function": {"name": "f"}}]}}]},
    ],
)
def test_odd_chunks_pass(odd: dict[str, Any]) -> None:
    """What hosts send beside text is passed on as it is."""
    assert Restorer(vault()).feed([odd]) == [odd]


def test_a_whole_answer_is_restored_everywhere() -> None:
    """Content, refusal, thoughts and the arguments of tools; the given answer stays as it was."""
    function = {"name": "f", "arguments": '{"key": "[SECRET_1]"}'}
    message: dict[str, Any] = {
        "role": "assistant",
        "content": TEXT,
        "refusal": "[EMAIL_1]",
        "reasoning_content": "[email_1]",
    }
    message["reasoning_details"] = [{"type": "reasoning.text", "text": "[EMAIL_1]", "signature": "s"}]
    message["tool_calls"] = [{"id": "c", "type": "function", "function": function}]
    reply = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]}
    made = restore_reply(reply, vault())["choices"][0]["message"]
    assert made["content"] == SAID
    assert (made["refusal"], made["reasoning_content"]) == (EVA, EVA)
    assert made["reasoning_details"] == [{"type": "reasoning.text", "text": EVA, "signature": "s"}]
    assert json.loads(made["tool_calls"][0]["function"]["arguments"]) == {"key": PASSWORD}
    assert message["content"] == TEXT


def test_a_whole_answer_in_json_stays_json() -> None:
    """Where the client asked for JSON, values are escaped in the content."""
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": '{"key": "[SECRET_1]"}'}}, "odd"]}
    made = restore_reply(reply, vault(), json_content=True)["choices"][0]["message"]["content"]
    assert json.loads(made) == {"key": PASSWORD}


def test_a_whole_answer_of_an_empty_vault_is_the_same_object() -> None:
    """Nothing is copied where nothing was masked."""
    reply: dict[str, Any] = {"choices": []}
    assert restore_reply(reply, Vault()) is reply
