"""Requests of Gemini's generateContent, read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.gemini.read import read_call, split_path
from tollhouse.dialects.gemini.seals import seal
from tollhouse.errors import Fault, InvalidRequest, RouteNotFound
from tollhouse.types.calls import ChatCall

HI = [{"role": "user", "parts": [{"text": "hi"}]}]
PATH = "openai/gpt-4o:generateContent"
CALL = {"functionCall": {"name": "look", "args": {"city": "Rome"}}}
RESULT = {"functionResponse": {"name": "look", "response": {"result": "sun"}}}


def read(asked: dict[str, Any], path: str = PATH) -> ChatCall:
    """A request with these members, in the contents ``HI`` unless it has its own."""
    return read_call(json.dumps({"contents": HI, **asked}).encode(), path)


def lost(call: ChatCall) -> dict[str, str]:
    """What is lost, and how."""
    return {loss.param: loss.how for loss in call.losses}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gpt-4o:generateContent", ("gpt-4o", "generateContent")),
        ("openai%2Fgpt-4o%3AgenerateContent", ("openai/gpt-4o", "generateContent")),
        ("models/openai/gpt-4o:countTokens", ("openai/gpt-4o", "countTokens")),
        ("publishers/google/models/gemini-3:x", ("gemini-3", "x")),
        ("publishers/openai/models/gpt-4o:x", ("openai/gpt-4o", "x")),
        ("projects/p/locations/l/publishers/google/models/m:x", ("m", "x")),
        ("p/locations/l/publishers/google/models/m:x", ("m", "x")),
        ("fireworks/accounts/fireworks/models/llama:x", ("fireworks/accounts/fireworks/models/llama", "x")),
        ("ollama/llama3:8b:x", ("ollama/llama3:8b", "x")),
        ("ollama/llama3", ("ollama/llama3", "")),
        ("a:b/c", ("a:b/c", "")),
    ],
)
def test_a_path_names_model_and_method(path: str, expected: tuple[str, str]) -> None:
    """Google's prefixes are no part of a name, other slashes and colons are."""
    assert split_path(path) == expected


@pytest.mark.parametrize("path", ["m", "m:embedContent", "m:predict", ":generateContentX"])
def test_a_method_that_is_not_served_is_no_url(path: str) -> None:
    """The message names those that are."""
    with pytest.raises(RouteNotFound, match=r"streamGenerateContent"):
        read({}, path)


def test_a_name_that_no_model_has_is_refused() -> None:
    """Control characters do not get into logs and headers."""
    with pytest.raises(InvalidRequest) as caught:
        read({}, "a%0Ab:generateContent")
    assert caught.value.param == "model"


def test_the_method_says_whether_it_streams() -> None:
    """A stream tells its usage, for Gemini's always does."""
    whole, stream = read({}), read({}, "m:streamGenerateContent")
    assert (whole.stream, whole.include_usage, whole.model) == (False, False, "openai/gpt-4o")
    assert (stream.stream, stream.include_usage, stream.body["stream"]) == (True, True, True)
    assert whole.native != stream.native, "an Idempotency-Key tells them apart by it"


def test_both_spellings_and_lists_of_one_are_the_same() -> None:
    """Google takes snake_case and leaves out brackets, and so do its examples."""
    camel = {
        "contents": [{"parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"my_key": 1}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 5, "thinkingConfig": {"includeThoughts": True}},
    }
    snake = {
        "contents": {"parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": "QQ=="}}]},
        "system_instruction": {"parts": {"text": "Be brief."}},
        "tools": {"function_declarations": {"name": "f", "parameters_json_schema": {"my_key": 1}}},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"include_thoughts": True}},
    }
    one, other = read(camel), read(snake)
    assert one.body == other.body
    assert one.native is not None
    assert other.native is not None
    other.native["toolConfig"]["functionCallingConfig"]["mode"] = "ANY"
    assert one.native == other.native


def test_a_field_in_both_spellings_is_refused() -> None:
    """Which of them counts is anybody's guess."""
    with pytest.raises(InvalidRequest) as caught:
        read({"generationConfig": {"topP": 1, "top_p": 0.5}})
    assert caught.value.param == "generationConfig.top_p"


def test_every_member_of_the_configuration() -> None:
    """What other hosts know too is told in their words."""
    config = {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40.0,
        "candidateCount": 2,
        "maxOutputTokens": 9,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 1,
        "frequencyPenalty": -1,
        "responseLogprobs": True,
        "logprobs": 3,
        "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True, "thinkingLevel": "low"},
        "responseModalities": ["Text", "AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    call = read({"generationConfig": config})
    assert call.body == {
        "model": "openai/gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "n": 2,
        "max_tokens": 9,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "logprobs": True,
        "top_logprobs": 3,
        "reasoning": {"enabled": True, "max_tokens": 2048, "summary": "auto"},
        "reasoning_effort": "low",
        "modalities": ["text", "audio"],
        "audio": {"voice": "Kore", "format": "pcm16"},
    }
    assert call.losses == ()


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"thinkingBudget": 0}, {"enabled": False}),
        ({"thinkingBudget": -1}, {"enabled": True}),
        ({"includeThoughts": True}, {"summary": "auto"}),
        ({"includeThoughts": False}, None),
    ],
)
def test_thinking_budgets(thinking: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """0 is none at all, and -1 as much as the model likes."""
    assert read({"generationConfig": {"thinkingConfig": thinking}}).body.get("reasoning") == expected


def test_the_form_of_the_answer() -> None:
    """A schema in Google's dialect becomes JSON Schema; JSON without one is any object."""
    schema = {"type": "OBJECT", "title": "My city!", "properties": {"a": {"type": "STRING", "nullable": True}}}
    asked = {"generationConfig": {"responseMimeType": "application/json", "responseSchema": schema}}
    plain = {"type": "object", "title": "My city!", "properties": {"a": {"type": ["string", "null"]}}}
    form = {"type": "json_schema", "json_schema": {"name": "My_city_", "schema": plain}}
    assert read(asked).body["response_format"] == form
    without = {"generationConfig": {"responseMimeType": "application/json"}}
    assert read(without).body["response_format"] == {"type": "json_object"}
    json_schema = {"generationConfig": {"responseJsonSchema": {"$ref": "#/$defs/A"}}}
    assert read(json_schema).body["response_format"]["json_schema"]["schema"] == {"$ref": "#/$defs/A"}
    enum = read({"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a"]}}})
    assert lost(enum) == {"generationConfig.responseMimeType": "dropped"}


def test_what_is_geminis_alone_is_lost_elsewhere() -> None:
    """And stays in the request for hosts that speak the dialect."""
    asked = {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "labels": {"team": "a"},
        "cachedContent": "cachedContents/1",
        "generationConfig": {"imageConfig": {"aspectRatio": "1:1"}},
        "toolConfig": {"retrievalConfig": {"languageCode": "en"}},
        "newField": 1,
    }
    call = read(asked)
    assert set(lost(call)) == {
        *("safetySettings", "labels", "cachedContent", "newField"),
        *("generationConfig.imageConfig", "toolConfig.retrievalConfig"),
    }
    assert set(lost(call).values()) == {"dropped"}
    assert call.native is not None
    assert call.native["newField"] == 1
    assert call.hosted == "cachedContent"


def test_a_tool_that_google_runs_is_named_as_hosted() -> None:
    """It costs more than tokens."""
    call = read({"tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}]})
    assert call.hosted == "googleSearch"
    assert lost(call) == {"tools[0].googleSearch": "dropped"}
    assert call.body["tools"] == [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"contents": []}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": [{"parts": []}]}, "contents"),
        ({"contents": [{"role": "robot", "parts": [{"text": "x"}]}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inlineData": {"data": "x"}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"generationConfig": {"temperature": 3}}, "generationConfig.temperature"),
        ({"generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"responseModalities": ["SMELL"]}}, "generationConfig.responseModalities[0]"),
        ({"tools": [{"functionDeclarations": [{"name": "a b"}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "toolConfig.functionCallingConfig.mode"),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
            "toolConfig.functionCallingConfig.allowedFunctionNames[0]",
        ),
        ({"api_base": "http://x"}, "api_base"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(asked: dict[str, Any], param: str) -> None:
    """In the client's own words for it."""
    with pytest.raises(InvalidRequest) as caught:
        read(asked)
    assert caught.value.param == param


def test_contents_are_needed() -> None:
    """A body without any is no request."""
    with pytest.raises(InvalidRequest) as caught:
        read_call(b"{}", PATH)
    assert caught.value.param == "contents"


def test_tokens_are_counted_of_a_request_or_of_one_inside() -> None:
    """Both forms of CountTokensRequest are read, and not both at once."""
    path = "m:countTokens"
    inside = {"generate_content_request": {"model": "models/m", "contents": HI}}
    assert read_call(json.dumps(inside).encode(), path).body == read({}, path).body
    with pytest.raises(InvalidRequest):
        read(inside, path)
    with pytest.raises(InvalidRequest):
        read_call(b'{"generateContentRequest": 1}', path)


@pytest.mark.parametrize(
    ("calling", "choice", "names"),
    [
        ({"mode": "AUTO"}, None, ["f", "g"]),
        ({"mode": "NONE"}, "none", ["f", "g"]),
        ({"mode": "ANY"}, "required", ["f", "g"]),
        (
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
            {"type": "function", "function": {"name": "g"}},
            ["f", "g"],
        ),
        ({"mode": "ANY", "allowedFunctionNames": ["g", "f"]}, "required", ["f", "g"]),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["g"]}, None, ["g"]),
    ],
)
def test_which_function_may_be_called(calling: dict[str, Any], choice: object, names: list[str]) -> None:
    """One that is allowed is named, several are all that is offered."""
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    body = read({"tools": tools, "toolConfig": {"functionCallingConfig": calling}}).body
    assert body.get("tool_choice") == choice
    assert [tool["function"]["name"] for tool in body["tools"]] == names


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    [
        *(
            "contents",
            "systemInstruction",
            "tools",
            "toolConfig",
            "generationConfig",
            "safetySettings",
            "parts",
            "role",
        ),
        *("text", "thought", "thoughtSignature", "functionCall", "functionResponse", "inlineData", "fileData", "name"),
        *("args", "response", "mimeType", "data", "fileUri", "functionDeclarations", "parameters", "type", "enum"),
        *("thinkingConfig", "responseSchema", "speechConfig", "executableCode", "properties", "mediaResolution"),
    ]
)
HOSTILE = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4), max_leaves=20
)


@given(asked=st.dictionaries(MEMBERS, HOSTILE, max_size=4), part=HOSTILE)
def test_whatever_is_sent_is_read_or_refused(asked: dict[str, Any], part: object) -> None:
    """No body makes anything else than a call or a fault, in any place."""
    signed = {"text": "x", "thought": True, "thoughtSignature": seal([{"type": "reasoning.text"}])}
    contents = {"contents": [{"role": "model", "parts": [part, signed]}, *HI, {"parts": part}]}
    for body in ({**asked, **contents}, {"contents": HI, **asked}):
        try:
            call = read(body)
        except Fault:
            continue
        assert call.body["messages"]
