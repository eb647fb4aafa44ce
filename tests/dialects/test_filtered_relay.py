"""Relayed requests and answers with some of their words changed."""

import json
from typing import Any

import pytest

from tollhouse.dialects.filtered_relay import (
    Rewriter,
    annotate_choices,
    asks_for_json,
    restored,
    reworded,
    withheld,
)
from tollhouse.types.calls import RelayCall
from tollhouse.validate.multipart import FormCall, split

SHOUT = Rewriter(str.upper, lambda text: text.replace("q", "Q"))
TYPE = "multipart/form-data; boundary=x"


def test_a_request_is_reworded_where_its_words_are() -> None:
    """Ids, names and urls stay, JSON is rewritten as JSON, and the given body is left as it was."""
    items = [
        {"id": "msg_a", "role": "user", "content": "hi"},
        {"type": "function_call", "name": "f", "arguments": '{"q":1}'},
    ]
    body = {"model": "m", "input": items, "instructions": "be kind", "user": "ada", "metadata": {"a": "b"}}
    before = json.dumps(body)
    changed = reworded(RelayCall("responses", "m", body, stream=False), SHOUT)
    assert isinstance(changed, RelayCall)
    assert changed.body == {
        **body,
        "instructions": "BE KIND",
        "input": [{**items[0], "content": "HI"}, {**items[1], "arguments": '{"Q":1}'}],
    }
    assert json.dumps(body) == before


@pytest.mark.parametrize("longer", ["", "xyz" * 50])
def test_a_form_is_reworded_and_can_still_be_read(longer: str) -> None:
    """The parts stand where the form says they do, and the model can be put in after that."""
    fields = {"model": "m", "prompt": "hi", "image": "\x89", "extra": "yo"}
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    form = split(TYPE, parts.encode() + b"--x--\r\n")
    changed = reworded(FormCall("images/edits", "m", form, stream=False), Rewriter(lambda _: longer, str))
    assert isinstance(changed, FormCall)
    again = split(TYPE, changed.form.body)
    assert again == changed.form
    found = {part.name: again.body[part.start : part.end].decode() for part in again.parts}
    assert found == {**fields, "prompt": longer, "extra": longer}
    assert split(TYPE, changed.form.with_model("other")).text("model") == "other"


@pytest.mark.parametrize(
    ("body", "is_json"),
    [
        ({"text": {"format": {"type": "json_schema"}}}, True),
        ({"text": {"format": {"type": "text"}}}, False),
        ({"text": {}}, False),
        ({"response_format": {"type": "json_object"}}, True),
        ({}, False),
    ],
)
def test_json_answers_are_known_by_what_was_asked(body: dict[str, Any], *, is_json: bool) -> None:
    """The Responses API and hosts' own completions ask for it in different fields."""
    assert asks_for_json(RelayCall("responses", "m", body, stream=False)) is is_json


def test_only_words_of_an_answer_are_restored() -> None:
    """And what the client itself said, where a response repeats it."""
    answer = {
        "id": "a",
        "instructions": "b",
        "metadata": {"a": "c"},
        "output": [{"id": "d", "content": [{"text": "e"}]}],
    }
    told = restored("responses", answer, SHOUT)
    assert told == {**answer, "instructions": "B", "output": [{"id": "d", "content": [{"text": "E"}]}]}
    choices = [{"text": "a", "finish_reason": "stop"}]
    assert restored("completions", {"choices": choices, "id": "x"}, SHOUT)["choices"][0]["text"] == "A"
    assert restored("audio/transcriptions", {"text": "a"}, SHOUT) == {"text": "A"}
    assert restored("embeddings", {"data": ["a"]}, SHOUT) == {"data": ["a"]}


def test_an_answer_as_deep_as_a_host_likes_is_restored_as_far_as_it_makes_sense() -> None:
    """Below 64 levels nothing is looked at."""
    deep: Any = "a"
    for _ in range(5000):
        deep = [deep]
    assert restored("responses", {"output": ["b", deep]}, SHOUT)["output"][0] == "B"


def test_what_is_withheld_is_withheld_whole() -> None:
    """Of a choice nothing is left but its index; others stand. Answers that are no words are never withheld."""
    choices = [{"index": 0, "text": "a", "more": "a"}, {"index": 1, "text": "b"}, "odd"]
    told = withheld("completions", {"choices": choices}, lambda choice: choice == 0)["choices"]
    assert told == [{"index": 0, "text": "", "logprobs": None, "finish_reason": "content_filter"}, *choices[1:]]
    answer = {"id": "cmpl", "choices": choices, "usage": {}, "verbose": "a"}
    assert withheld("completions", answer, lambda choice: choice == 0).keys() == {"id", "choices", "usage"}
    assert withheld("completions", answer, lambda _: False) is answer
    assert withheld("responses", {"output": [1]}, lambda _: False) == {"output": [1]}
    gone = withheld("responses", {"id": "r", "output": [1], "output_text": "a", "usage": {}}, lambda _: True)
    ended = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}
    assert gone == {"id": "r", "usage": {}, **ended}
    assert withheld("audio/translations", {"text": "a", "words": ["a"], "task": "t"}, lambda _: True) == {
        "text": "",
        "task": "t",
    }
    assert withheld("embeddings", {"data": [1]}, lambda _: True) == {"data": [1]}


@pytest.mark.parametrize("choices", [None, 7, {"a": 1}, [None, 3]])
def test_odd_choices_are_left_alone(choices: object) -> None:
    """What is not a list of objects is neither annotated nor withheld."""
    answer = {"choices": choices}
    annotate_choices([answer], lambda _: {})
    assert withheld("completions", answer, lambda _: True) == {"choices": choices}
