"""Every parameter of a chat request: what passes, what is refused, and with which path and code."""

from typing import Any

import msgspec
import pytest

from tests.validate.samples import MAXIMAL, SMALLEST, with_fields
from tollhouse.errors import InvalidRequest
from tollhouse.validate.chat import FIELDS, check_chat, read_chat
from tollhouse.validate.hosts import HOST_FIELDS, refuse_hosts


def refuse(body: Any) -> InvalidRequest:
    """The error that this request meets."""
    with pytest.raises(InvalidRequest) as caught:
        check_chat(body)
    return caught.value


def test_a_request_with_every_parameter_is_read() -> None:
    """The call keeps the body as it came, and knows the model and the way of answering."""
    call = read_chat(msgspec.json.encode(MAXIMAL))
    assert (call.model, call.stream, call.include_usage) == ("gpt-5.6-sol", True, True)
    assert call.body == MAXIMAL
    assert set(MAXIMAL) == set(FIELDS)


def test_the_smallest_request_is_read() -> None:
    """A model and a message are enough; an answer is not streamed, and usage chunks are not sent, unless asked for."""
    call = check_chat(SMALLEST)
    assert call.body is SMALLEST
    assert (call.model, call.stream, call.include_usage) == ("m", False, False)
    assert check_chat(with_fields(stream=None, stream_options=None)).stream is False
    assert check_chat(with_fields(stream=True, stream_options={})).include_usage is False
    assert check_chat(with_fields(stream=False, stream_options={"include_usage": True})).include_usage is True


def test_unknown_fields_ride_along() -> None:
    """A field that OpenAI does not have reaches the host as it was sent, at any level."""
    message = {"role": "user", "content": "hi", "cache_control": {"type": "ephemeral"}}
    body = {"model": "m", "messages": [message], "top_k": -1, "provider": {"order": ["x"]}, "think": None}
    assert check_chat(body).body == body


BIG = 2**31 - 1
ACCEPTED: dict[str, list[Any]] = {
    "audio": [None, {"voice": "x", "format": "pcm16"}, {"voice": {"id": "v"}, "format": "wav"}],
    "frequency_penalty": [None, -2, 2, 0.5],
    "function_call": ["none", "auto"],
    "functions": [[{"name": "a"}], [{"name": "a-_Z9"}] * 128],
    "logit_bias": [None, {}, {"0": -100, "50256": 100}],
    "logprobs": [None, True, False],
    "max_completion_tokens": [None, 1, BIG],
    "max_tokens": [None, 1, BIG],
    "metadata": [None, {}, {"": ""}, {"k" * 64: "v" * 512}, {str(key): "" for key in range(16)}],
    "modalities": [None, ["text"], ["image", "text"]],
    "model": ["a", "m" * 256, "vendor/modèle:free@1 #x"],
    "moderation": [None, {"model": "m"}, {"model": "m", "policy": None}, {"model": "m", "policy": {"input": None}}],
    "n": [None, 1, 128],
    "parallel_tool_calls": [True, False],
    "prediction": [None, {"type": "content", "content": ""}],
    "presence_penalty": [None, -2.0, 2.0],
    "prompt_cache_key": [None, "", "k" * 500],
    "prompt_cache_options": [{}, {"ttl": "30m"}, {"mode": "implicit"}],
    "prompt_cache_retention": [None, "in_memory", "in-memory", "24h"],
    "reasoning_effort": [None, "none", "minimal", "low", "medium", "high", "xhigh", "max", "default"],
    "response_format": [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "a"}},
    ],
    "safety_identifier": [None, "", "s" * 64],
    "seed": [None, -(2**63), 2**63 - 1],
    "service_tier": [None, "auto", "default", "flex", "scale", "priority", "fast", "on_demand", "performance"],
    "stop": [None, "", "x", ["x"], ["a", "b", "c", "d"]],
    "store": [None, True, False],
    "stream": [None, True, False],
    "stream_options": [None, {}, {"include_usage": True}, {"include_obfuscation": False}, {"other": 1}],
    "temperature": [None, 0, 2, 1.999],
    "tool_choice": ["none", "auto"],
    "tools": [[], [{"type": "function", "function": {"name": "a" * 64}}] * 200, [{"type": "web_search"}]],
    "top_logprobs": [None, 0],
    "top_p": [None, 0, 1, 0.5],
    "user": ["", "u" * 1000],
    "verbosity": [None, "low", "medium", "high"],
    "web_search_options": [{}, {"user_location": None}, {"search_context_size": "high"}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ACCEPTED.items() for value in values])
def test_every_good_edge_of_every_parameter_passes(name: str, value: Any) -> None:
    """The smallest, the largest and the null value that OpenAI documents for a parameter are taken."""
    assert check_chat(with_fields(**{name: value})).body[name] == value


TYPE, VALUE, MISSING = "invalid_type", "invalid_value", "missing_required_parameter"
LOW, HIGH = "integer_below_min_value", "integer_above_max_value"
UNDER, OVER = "decimal_below_min_value", "decimal_above_max_value"
LONG, EMPTY, LONG_ARRAY, EMPTY_ARRAY = (
    "string_above_max_length",
    "empty_string",
    "array_above_max_length",
    "empty_array",
)
NAMELESS = {"type": "json_schema", "json_schema": {}}
REFUSED: list[tuple[str, Any, str, str]] = [  # the parameter, its value, the path below it, the code
    ("audio", {"format": "wav"}, ".voice", MISSING),
    ("audio", {"voice": 1, "format": "wav"}, ".voice", TYPE),
    ("audio", {"voice": {}, "format": "wav"}, ".voice.id", MISSING),
    ("audio", {"voice": "x", "format": "ogg"}, ".format", VALUE),
    ("frequency_penalty", -2.1, "", UNDER),
    ("frequency_penalty", 3, "", OVER),
    ("frequency_penalty", "1", "", TYPE),
    ("function_call", "required", "", VALUE),
    ("function_call", {}, ".name", MISSING),
    ("function_call", {"name": "x"}, "", VALUE),
    ("functions", [], "", EMPTY_ARRAY),
    ("functions", [{"name": "a"}] * 129, "", LONG_ARRAY),
    ("functions", [{"name": "a"}, {}], "[1].name", MISSING),
    ("logit_bias", {"5": 101}, ".5", HIGH),
    ("logit_bias", {"5": -101}, ".5", LOW),
    ("logit_bias", {"5": 0.5}, ".5", TYPE),
    ("logit_bias", {"5": True}, ".5", TYPE),
    ("logit_bias", {"hello": 1}, ".hello", VALUE),
    ("logit_bias", {"": 1}, ".", EMPTY),
    ("logit_bias", [], "", TYPE),
    ("logprobs", 1, "", TYPE),
    ("max_completion_tokens", 0, "", LOW),
    ("max_completion_tokens", BIG + 1, "", HIGH),
    ("max_tokens", -1, "", LOW),
    ("max_tokens", 2**63, "", HIGH),
    ("max_tokens", 1.0, "", TYPE),
    ("max_tokens", True, "", TYPE),
    ("metadata", {str(key): "" for key in range(17)}, "", "object_above_max_properties"),
    ("metadata", {"k" * 65: ""}, "." + "k" * 61 + "...", LONG),
    ("metadata", {"k": "v" * 513}, ".k", LONG),
    ("metadata", {"k": 1}, ".k", TYPE),
    ("modalities", ["video"], "[0]", VALUE),
    ("modalities", "text", "", TYPE),
    ("model", "m" * 257, "", LONG),
    ("model", "a\nb", "", VALUE),
    ("model", "a\x7f", "", VALUE),
    ("model", 5, "", TYPE),
    ("model", False, "", TYPE),
    ("model", ["m"], "", TYPE),
    ("messages", None, "", TYPE),
    ("messages", {}, "", TYPE),
    ("messages", [], "", EMPTY_ARRAY),
    ("moderation", {}, ".model", MISSING),
    ("moderation", {"model": "m", "policy": {"input": {}}}, ".policy.input.mode", MISSING),
    ("moderation", {"model": "m", "policy": {"output": {"mode": "x"}}}, ".policy.output.mode", VALUE),
    ("n", 0, "", LOW),
    ("n", 129, "", HIGH),
    ("n", "2", "", TYPE),
    ("parallel_tool_calls", None, "", TYPE),
    ("prediction", {"content": "x"}, ".type", MISSING),
    ("prediction", {"type": "content", "content": []}, ".content", EMPTY_ARRAY),
    ("prediction", {"type": "content", "content": [{"type": "image_url"}]}, ".content[0].type", VALUE),
    ("presence_penalty", 2.0001, "", OVER),
    ("presence_penalty", -9, "", UNDER),
    ("prompt_cache_key", 1, "", TYPE),
    ("prompt_cache_options", {"ttl": "1h"}, ".ttl", VALUE),
    ("prompt_cache_options", {"mode": "x"}, ".mode", VALUE),
    ("prompt_cache_options", None, "", TYPE),
    ("prompt_cache_retention", "48h", "", VALUE),
    ("reasoning_effort", "extreme", "", VALUE),
    ("response_format", None, "", TYPE),
    ("response_format", {}, ".type", MISSING),
    ("response_format", {"type": "xml"}, ".type", VALUE),
    ("response_format", {"type": None}, ".type", TYPE),
    ("response_format", {"type": ["text"]}, ".type", TYPE),
    ("response_format", {"type": "json_schema"}, ".json_schema", MISSING),
    ("response_format", NAMELESS, ".json_schema.name", MISSING),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "a b"}}, ".json_schema.name", VALUE),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "a\n"}}, ".json_schema.name", VALUE),
    ("response_format", {"type": "json_schema", "json_schema": {"name": ""}}, ".json_schema.name", EMPTY),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "a" * 65}}, ".json_schema.name", LONG),
    ("safety_identifier", "s" * 65, "", LONG),
    ("seed", 2**63, "", HIGH),
    ("seed", -(2**63) - 1, "", LOW),
    ("seed", 1.5, "", TYPE),
    ("service_tier", "gold", "", VALUE),
    ("stop", [], "", EMPTY_ARRAY),
    ("stop", ["x"] * 5, "", LONG_ARRAY),
    ("stop", ["x", 1], "[1]", TYPE),
    ("stop", 1, "", TYPE),
    ("store", "true", "", TYPE),
    ("stream", 1, "", TYPE),
    ("stream_options", {"include_usage": 1}, ".include_usage", TYPE),
    ("stream_options", [], "", TYPE),
    ("temperature", 99.0, "", OVER),
    ("temperature", -0.1, "", UNDER),
    ("temperature", True, "", TYPE),
    ("top_logprobs", 21, "", HIGH),
    ("top_logprobs", -1, "", LOW),
    ("top_p", 1.1, "", OVER),
    ("top_p", -1, "", UNDER),
    ("user", None, "", TYPE),
    ("verbosity", "loud", "", VALUE),
    ("web_search_options", {"search_context_size": "x"}, ".search_context_size", VALUE),
    ("web_search_options", {"user_location": {"type": "approximate"}}, ".user_location.approximate", MISSING),
    ("web_search_options", {"user_location": {"type": "exact", "approximate": {}}}, ".user_location.type", VALUE),
]


@pytest.mark.parametrize(("name", "value", "below", "code"), REFUSED)
def test_every_bad_edge_of_every_parameter_is_refused(name: str, value: Any, below: str, code: str) -> None:
    """One step past a limit, and each wrong type, is a 400 whose param is the path and whose code says which limit."""
    error = refuse(with_fields(**{name: value}))
    assert (error.param, error.code) == (name + below, code)
    assert (error.status, error.type) == (400, "invalid_request_error")


WORDINGS = [
    (
        with_fields(temperature=99.0),
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead.",
    ),
    (
        with_fields(max_tokens=-15335),
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got -15335 instead.",
    ),
    (
        with_fields(messages=[]),
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    (
        with_fields(functions=[{"name": "a"}] * 150),
        (
            "Invalid 'functions': array too long. Expected an array with maximum length 128, "
            "but got an array with length 150 instead."
        ),
    ),
    (
        with_fields(safety_identifier="x" * 67),
        (
            "Invalid 'safety_identifier': string too long. Expected a string with maximum length 64, "
            "but got a string with length 67 instead."
        ),
    ),
    (
        with_fields(parallel_tool_calls=None),
        "Invalid type for 'parallel_tool_calls': expected a boolean, but got null instead.",
    ),
    (
        with_fields(verbosity="loud"),
        "Invalid value: 'loud'. Supported values are: 'low', 'medium', and 'high'.",
    ),
    (
        with_fields(messages=[{"role": "user", "content": "x"}] * 2 + [{"role": "user", "content": {}}]),
        (
            "Invalid type for 'messages[2].content': expected one of a string or array of objects, "
            "but got an object instead."
        ),
    ),
    ({"model": "m"}, "Missing required parameter: 'messages'."),
    ({"messages": []}, "you must provide a model parameter"),
    ({"model": "", "messages": []}, "you must provide a model parameter"),
]


@pytest.mark.parametrize(("body", "message"), WORDINGS, ids=[row[1][:30] for row in WORDINGS])
def test_errors_are_worded_as_openai_words_them(body: dict[str, Any], message: str) -> None:
    """Clients that match OpenAI's messages find the same words here."""
    assert refuse(body).message == message


def test_top_logprobs_need_logprobs() -> None:
    """Alternatives to tokens are only given when the probabilities of tokens are asked for."""
    assert check_chat(with_fields(logprobs=True, top_logprobs=20))
    for fields in ({"top_logprobs": 1}, {"top_logprobs": 20, "logprobs": False}, {"top_logprobs": 2, "logprobs": None}):
        error = refuse(with_fields(**fields))
        assert error.message == "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        assert (error.param, error.code) == ("top_logprobs", None)


def test_audio_output_needs_a_voice() -> None:
    """A request for audio says in which voice and format."""
    assert check_chat(with_fields(modalities=["audio"], audio={"voice": "alloy", "format": "mp3"}))
    for audio in ({}, {"audio": None}):
        assert refuse(with_fields(modalities=["text", "audio"], **audio)).param == "audio"


def test_hostile_words_are_cut_in_errors() -> None:
    """An error never repeats more than 64 characters of a client's own words."""
    assert refuse(with_fields(verbosity="v" * 10_000)).message.startswith(f"Invalid value: '{'v' * 61}...'. ")
    assert refuse(with_fields(metadata={"k" * 10_000: ""})).param == "metadata." + "k" * 61 + "..."


@pytest.mark.parametrize("name", ["api_base", "base_url", "custom_host", "azure_endpoint", *HOST_FIELDS])
def test_clients_cannot_choose_the_host(name: str) -> None:
    """A field by which other gateways let a client choose host or credential is a 400 that names it, even when null."""
    for value in ("https://attacker.example", None):
        error = refuse(with_fields(**{name: value}))
        assert (error.param, error.code) == (name, "unsupported_parameter")
        assert "the operator of this gateway configures hosts" in error.message


def test_clients_cannot_choose_the_host_outside_the_body() -> None:
    """The same names are refused as query parameters and as headers, whatever their spelling."""
    refuse_hosts(["authorization", "x-api-key", "api-key", "api-version", "openai-organization", "host"])
    refuse_hosts({b"host": b"x", b"x-api-key": b"y"})
    refuse_hosts({})
    for name in ("api_base", "api-base", "x-custom-host", "x-portkey-custom-host", "azure_endpoint", "base-url"):
        for names in (["stream", name], {b"stream": b"", name.encode(): b"x"}):
            with pytest.raises(InvalidRequest) as caught:
                refuse_hosts(names)
            assert caught.value.param == name
