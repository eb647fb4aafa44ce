"""The rules of Gemini's requests, and their one spelling."""

import json
from typing import Any

import pytest

from tollhouse.errors import InvalidRequest
from tollhouse.validate.gemini_api import read_count, read_generate
from tollhouse.validate.gemini_api_names import GENERATE
from tollhouse.validate.problems import Problem

HI = {"contents": [{"parts": [{"text": "hi"}]}]}


def test_the_clients_own_words_are_not_spelled_anew() -> None:
    """Arguments, results, schemas and labels may have underscores, and unknown fields stay as they are."""
    own = {"my_key": {"mime_type": 1}}
    asked: dict[str, Any] = {
        "contents": [
            {"parts": [{"function_call": {"name": "f", "args": own}}, {"toolCall": {"tool_type": "T", "args": own}}]},
            {"parts": {"function_response": {"name": "f", "response": own, "will_continue": False}}},
        ],
        "tools": [{"function_declarations": [{"name": "f", "parameters": own, "response_json_schema": own}]}],
        "generation_config": {"response_schema": own, "new_field": own},
        "labels": own,
        "new_field": own,
    }
    GENERATE.canonical(asked)
    assert asked == {
        "contents": [
            {"parts": [{"functionCall": {"name": "f", "args": own}}, {"toolCall": {"toolType": "T", "args": own}}]},
            {"parts": [{"functionResponse": {"name": "f", "response": own, "willContinue": False}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": own, "responseJsonSchema": own}]}],
        "generationConfig": {"responseSchema": own, "new_field": own},
        "labels": own,
        "new_field": own,
    }


def test_where_a_field_has_two_spellings() -> None:
    """The path leads to it, through lists and objects."""
    both = {"mime_type": "a", "mimeType": "b"}
    with pytest.raises(Problem) as caught:
        GENERATE.canonical({"contents": [{}, {"parts": [{"text": "x"}, {"inline_data": both}]}]})
    assert caught.value.as_error().param == "contents[1].parts[1].inlineData.mime_type"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"contents": [], "contents": []}', b'{"contents": NaN}'])
def test_json_is_strict(body: bytes) -> None:
    """As everywhere."""
    with pytest.raises(InvalidRequest):
        read_generate(body)


@pytest.mark.parametrize(
    "config",
    [
        {"topK": 40.0, "temperature": 0, "responseModalities": ["Text", "image"]},
        {"thinkingConfig": {"thinkingLevel": "minimal", "thinkingBudget": -1}},
        dict.fromkeys(("topK", "seed", "stopSequences", "thinkingConfig", "speechConfig"), None),
    ],
)
def test_what_google_takes_is_taken(config: dict[str, Any]) -> None:
    """Floats for whole numbers, words in any case, null for what is absent."""
    assert read_generate(json.dumps({**HI, "generationConfig": config}).encode())["generationConfig"] == config


def test_a_counted_request_may_stand_inside() -> None:
    """And is checked there."""
    assert read_count(json.dumps({"generate_content_request": {**HI, "system_instruction": {}}}).encode()) == {
        **HI,
        "systemInstruction": {},
    }
    with pytest.raises(InvalidRequest):
        read_count(b'{"generateContentRequest": {"contents": []}}')
