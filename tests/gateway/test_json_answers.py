"""JSON that stands somewhere in an answer is found, and looking for it has an end."""

import time

import pytest

from tollhouse.gateway.json_answers import JsonForm


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('Here:\n```json\n{"a": 1}\n```\nDone.', '{"a": 1}'),
        ('```JSON  \n{"a": 1}\n```', '{"a": 1}'),
        ('```\n\n\n{"a": 1}\n```', '{"a": 1}'),
        ('{no} but {"a": {"b": 1}} ok', '{"a": {"b": 1}}'),
        ("[1] {", None),
        ("", None),
    ],
)
def test_the_json_of_an_answer_is_found(text: str, found: str | None) -> None:
    """Alone, in a fence, or among words."""
    assert JsonForm(None).found(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "```" + "\n" * 50_000,
        "```a " * 20_000 + "\n",
        "{" * 2_000_000 + "}",
        ("{" * 64 + "[1," * 64 + "1," * 1_000_000 + "]}") * 2,
        ('{"a":' + "1" * 10 + "}") * 50_000,
    ],
)
def test_an_answer_without_json_is_given_up_soon(text: str) -> None:
    """A model can be made to say anything, and nobody else is served while it is read."""
    began = time.process_time()
    assert JsonForm(None).found(text) is None
    assert time.process_time() - began < 1.5
