"""The other JSON endpoints: required fields, limits, and what rides along."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.errors import InvalidRequest
from tollhouse.types.calls import RelayCall
from tollhouse.validate.relay import ENDPOINTS, check_relay, read_relay

SMALLEST: dict[str, dict[str, Any]] = {
    "audio/speech": {"model": "m", "input": "hi", "voice": "alloy"},
    "completions": {"model": "m", "prompt": "hi"},
    "embeddings": {"model": "m", "input": "hi"},
    "images/generations": {"prompt": "a cat"},
    "moderations": {"input": "hi"},
    "responses": {},
}
FULL: dict[str, dict[str, Any]] = {
    "audio/speech": {
        "model": "m",
        "input": "i" * 4096,
        "voice": {"id": "v"},
        "instructions": "",
        "response_format": "pcm",
        "speed": 0.25,
        "stream_format": "sse",
    },
    "completions": {
        "model": "m",
        "prompt": [[1, 2], [3]],
        "best_of": 20,
        "echo": True,
        "frequency_penalty": -2,
        "n": 128,
        "logit_bias": {"5": 1},
        "logprobs": 5,
        "max_tokens": 0,
        "presence_penalty": 2,
        "seed": 1,
        "stop": ["a"],
        "stream": False,
        "stream_options": None,
        "suffix": "s",
        "temperature": 2,
        "top_p": 1,
        "user": "u",
    },
    "embeddings": {"model": "m", "input": ["a"] * 2048, "dimensions": 1, "encoding_format": "base64", "user": "u"},
    "images/generations": {
        "prompt": "p" * 32_000,
        "model": "m",
        "background": "auto",
        "moderation": "low",
        "n": 10,
        "stream": True,
        "output_compression": 100,
        "partial_images": 3,
        "response_format": "b64_json",
        "output_format": "webp",
        "quality": "xhigh",
        "size": "1024x1024",
        "style": "vivid",
        "user": None,
    },
    "moderations": {
        "model": "m",
        "input": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "https://e/x"}}],
    },
    "responses": {
        "model": "m",
        "input": [{"role": "user", "content": "x"}],
        "instructions": "i",
        "background": False,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 16,
        "max_tool_calls": 1,
        "metadata": {},
        "parallel_tool_calls": None,
        "previous_response_id": "r",
        "reasoning": {"effort": "low"},
        "store": False,
        "stream": True,
        "temperature": 1,
        "text": {},
        "tool_choice": "auto",
        "tools": [{"type": "web_search"}],
        "top_logprobs": 20,
        "top_p": 0,
        "truncation": "auto",
        "user": "u",
        "safety_identifier": "s",
    },
}


def refuse(kind: str, body: dict[str, Any]) -> InvalidRequest:
    """The error that this request meets."""
    with pytest.raises(InvalidRequest) as caught:
        check_relay(kind, body)
    return caught.value


@pytest.mark.parametrize("kind", ENDPOINTS)
def test_the_smallest_and_the_fullest_request_of_each_endpoint(kind: str) -> None:
    """Required fields are enough; every documented field is taken at its limit; unknown ones ride along."""
    for body in (SMALLEST[kind], FULL[kind], SMALLEST[kind] | {"vendor": {"x": 1}, "stream": None}):
        call = read_relay(kind, msgspec.json.encode(body))
        assert (call.kind, call.model, call.body) == (kind, body.get("model"), body)


@pytest.mark.parametrize("kind", ENDPOINTS)
def test_each_required_field_is_required(kind: str) -> None:
    """A request without a field that no host can do without is a 400 that names it."""
    for name in SMALLEST[kind]:
        error = refuse(kind, {key: value for key, value in SMALLEST[kind].items() if key != name})
        if name == "model":
            assert error.message == "you must provide a model parameter"
        else:
            assert (error.param, error.code) == (name, "missing_required_parameter")


@pytest.mark.parametrize("kind", ENDPOINTS)
def test_each_endpoint_refuses_a_host_of_the_clients_choosing_and_a_bad_model(kind: str) -> None:
    """What holds for chat holds for every endpoint: the operator configures hosts, and a model has a plain name."""
    assert refuse(kind, SMALLEST[kind] | {"api_base": "https://attacker.example"}).param == "api_base"
    assert refuse(kind, SMALLEST[kind] | {"model": "a\nb"}).param == "model"
    assert refuse(kind, SMALLEST[kind] | {"model": 1}).code == "invalid_type"
    assert refuse(kind, SMALLEST[kind] | {"stream": "yes"}).param == "stream"


GOOD_INPUTS: list[Any] = ["hi", ["hi"], ["a"] * 2048, [1, 2, 3], [0] * 2048, [[1], [2, 3] * 5000], [{"image": "x"}]]


@pytest.mark.parametrize("value", GOOD_INPUTS, ids=lambda value: repr(value)[:20])
def test_inputs_of_embeddings_that_pass(value: Any) -> None:
    """Text, texts, tokens, batches of tokens, and the parts of hosts that embed images."""
    assert check_relay("embeddings", {"model": "m", "input": value})


TYPE, VALUE, EMPTY, LONG = "invalid_type", "invalid_value", "empty_array", "array_above_max_length"
REFUSED: list[tuple[str, str, Any, str, str]] = [  # the endpoint, the field, its value, the path below it, the code
    ("embeddings", "input", "", "", "empty_string"),
    ("embeddings", "input", [""], "[0]", "empty_string"),
    ("embeddings", "input", [], "", EMPTY),
    ("embeddings", "input", ["a"] * 2049, "", LONG),
    ("embeddings", "input", [1] * 2049, "", LONG),
    ("embeddings", "input", None, "", TYPE),
    ("embeddings", "input", {"a": 1}, "", TYPE),
    ("embeddings", "input", ["a", 1], "[1]", TYPE),
    ("embeddings", "input", [1, "a"], "[1]", TYPE),
    ("embeddings", "input", [1, True], "[1]", TYPE),
    ("embeddings", "input", [1, -1], "[1]", "integer_below_min_value"),
    ("embeddings", "input", [None], "[0]", TYPE),
    ("embeddings", "input", [[1], []], "[1]", EMPTY),
    ("embeddings", "input", [[1], ["a"]], "[1][0]", TYPE),
    ("embeddings", "encoding_format", "hex", "", VALUE),
    ("embeddings", "dimensions", 0, "", "integer_below_min_value"),
    ("completions", "prompt", 1, "", TYPE),
    ("completions", "logprobs", 6, "", "integer_above_max_value"),
    ("completions", "best_of", 21, "", "integer_above_max_value"),
    ("completions", "max_tokens", -1, "", "integer_below_min_value"),
    ("completions", "n", 0, "", "integer_below_min_value"),
    ("completions", "temperature", 2.1, "", "decimal_above_max_value"),
    ("completions", "echo", "yes", "", TYPE),
    ("moderations", "input", [{"type": "audio"}], "[0].type", VALUE),
    (
        "moderations",
        "input",
        [{"type": "image_url", "image_url": {}}],
        "[0].image_url.url",
        "missing_required_parameter",
    ),
    ("images/generations", "prompt", "", "", "empty_string"),
    ("images/generations", "prompt", "p" * 32_001, "", "string_above_max_length"),
    ("images/generations", "n", 11, "", "integer_above_max_value"),
    ("images/generations", "response_format", "file", "", VALUE),
    ("audio/speech", "input", "i" * 4097, "", "string_above_max_length"),
    ("audio/speech", "voice", 1, "", TYPE),
    ("audio/speech", "response_format", "ogg", "", VALUE),
    ("audio/speech", "speed", 4.1, "", "decimal_above_max_value"),
    ("audio/speech", "speed", 0.2, "", "decimal_below_min_value"),
    ("responses", "input", 1, "", TYPE),
    ("responses", "input", ["x"], "[0]", TYPE),
    ("responses", "max_output_tokens", 15, "", "integer_below_min_value"),
    ("responses", "metadata", {"k": "v" * 513}, ".k", "string_above_max_length"),
    ("responses", "truncation", "on", "", VALUE),
    ("responses", "tools", {}, "", TYPE),
]


@pytest.mark.parametrize(("kind", "name", "value", "below", "code"), REFUSED)
def test_values_that_are_refused(kind: str, name: str, value: Any, below: str, code: str) -> None:
    """One step past a limit, and each wrong type, is a 400 whose param is the path and whose code says which limit."""
    error = refuse(kind, SMALLEST[kind] | {name: value})
    assert (error.param, error.code) == (name + below, code)


def test_streams_are_known() -> None:
    """A relayed call knows whether its answer is a stream of events."""
    assert check_relay("completions", SMALLEST["completions"] | {"stream": True}).stream
    assert check_relay("audio/speech", SMALLEST["audio/speech"] | {"stream_format": "sse"}).stream
    assert not check_relay("audio/speech", SMALLEST["audio/speech"] | {"stream_format": "audio"}).stream
    assert not check_relay("completions", SMALLEST["completions"] | {"stream": False}).stream


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "id"]), inner),
    max_leaves=8,
)


@settings(deadline=None, database=None)
@given(st.sampled_from(sorted(ENDPOINTS)), st.data())
def test_any_value_of_any_field_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """No JSON value in any field makes a reader fail."""
    fields = data.draw(st.dictionaries(st.sampled_from(sorted(ENDPOINTS[kind].record.fields)), JSON, max_size=4))
    try:
        assert isinstance(check_relay(kind, SMALLEST[kind] | fields), RelayCall)
    except InvalidRequest as error:
        msgspec.json.encode(error.body("req_1"))
