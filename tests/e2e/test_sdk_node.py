"""OpenAI's Node SDK against a running gateway: one run of tests/node/openai.mjs, judged here."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.e2e.asking import ADVICE, ADVICE_SCHEMA, CLOCK, HELLO, PICTURE, SOUND, TOOLS
from tests.e2e.backstage import Backstage
from tests.e2e.node import SCRIPTS, run_node
from tests.e2e.process import ENVIRON, Gateway, until
from tests.fakes.chaos import Reset, Send, chunk, head
from tests.fakes.openai_wire import completion, failure, words

ASKING = {
    "HELLO": HELLO,
    "TOOLS": TOOLS,
    "ADVICE": ADVICE,
    "PARTS": [{"type": "text", "text": "What is this?"}, PICTURE, SOUND],
    "BOTH": [{"role": "user", "content": "Call get_weather and get_time, please."}],
}
LIMITED = failure(429, "slow down", "rate_limit_exceeded").replace(b"\r\n\r\n", b"\r\nretry-after: 1\r\n\r\n", 1)
BEGUN = head(200, "content-type: text/event-stream", "transfer-encoding: chunked") + b"".join(map(chunk, words("one ")))
each_model = pytest.mark.parametrize("model", ["tollhouse/sim", "tollhouse/tiny"])
Results = dict[str, Any]


@pytest.fixture(scope="module")
def results(gateway: Gateway, stage: Backstage, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the script printed."""
    broken = [Send(failure(500))]
    stage.play([Send(LIMITED)], [Send(completion("at last"))], broken, broken, [Send(BEGUN), Reset()])
    environ = {**ENVIRON, "OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": gateway.key, "ASKING": json.dumps(ASKING)}
    folder: Path = tmp_path_factory.mktemp("node")
    found = json.loads(run_node(folder, (SCRIPTS / "openai.mjs").read_text(), environ))
    assert isinstance(found, dict)
    assert len(stage.requests) == 5
    return found


def check_stream(chunks: list[dict[str, Any]], model: str) -> str:
    """Asserts the shape of a stream of one choice, and gives its text."""
    assert {(one["id"], one["created"], one["model"]) for one in chunks} == {
        (chunks[0]["id"], chunks[0]["created"], model)
    }
    choices = [one["choices"][0] for one in chunks if one["choices"]]
    assert [choice["delta"].get("role") for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
    assert [choice["finish_reason"] is None for choice in choices] == [True] * (len(choices) - 1) + [False]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@each_model
def test_create(results: Results, model: str) -> None:
    """A whole answer, with the model's name as it was asked for."""
    answer = results[f"create {model}"]
    assert (answer["object"], answer["model"]) == ("chat.completion", model)
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] <= 12


@each_model
def test_stream(results: Results, model: str) -> None:
    """A stream in OpenAI's shape; usage in a last chunk if it was asked for, else nowhere."""
    assert check_stream(results[f"stream {model}"], model)
    assert not any("usage" in one for one in results[f"stream {model}"])
    counted = results[f"usage {model}"]
    assert check_stream(counted, model)
    assert [bool(one["usage"]) for one in counted] == [False] * (len(counted) - 1) + [True]


@each_model
def test_structured_output(results: Results, model: str) -> None:
    """The answer is valid against the schema; the SDK's own parsing takes it."""
    jsonschema.validate(results[f"schema {model}"], ADVICE_SCHEMA)
    jsonschema.validate(results[f"parse {model}"]["parsed"], ADVICE_SCHEMA)


@each_model
def test_a_forced_tool(results: Results, model: str) -> None:
    """The named tool is called with valid arguments."""
    choice = results[f"forced {model}"]["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], call["function"]["name"]) == ("tool_calls", "get_time")
    jsonschema.validate(json.loads(call["function"]["arguments"]), CLOCK["function"]["parameters"])


@each_model
def test_logprobs_choices_and_stop(results: Results, model: str) -> None:
    """Alternatives as many as asked for, choices with their index, an end before the stop string."""
    (choice,) = results[f"logprobs {model}"]["choices"]
    assert [len(token["top_logprobs"]) for token in choice["logprobs"]["content"]] == [2, 2, 2]
    assert [choice["index"] for choice in results[f"choices {model}"]["choices"]] == [0, 1, 2]
    stopped = results[f"stop {model}"]["choices"][0]
    assert (stopped["finish_reason"], " " in stopped["message"]["content"]) == ("stop", False)


@pytest.mark.parametrize("how", ["parallel", "parallel streamed"])
def test_parallel_tools(results: Results, how: str) -> None:
    """Both calls, whole: also when the SDK has put them together from a stream."""
    choice = results[how]["choices"][0] if how == "parallel" else results[how]
    calls = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]
    assert all(json.loads(call["function"]["arguments"]) for call in calls)


def test_run_tools_goes_round_the_loop(results: Results) -> None:
    """The SDK calls the tools, sends their answers, and gets a text."""
    assert results["runTools"]["text"]
    assert len(results["runTools"]["heard"]) >= 1


def test_json_parts_seed_and_helper(results: Results) -> None:
    """A JSON object; an image and a sound received; equal seeds, equal answers; the helper's text is the deltas'."""
    assert isinstance(results["json_object"], dict)
    text = results["parts"]["choices"][0]["message"]["content"]
    assert "image/png" in text
    assert "Audio: wav" in text
    assert results["seed"][0] == results["seed"][1]
    assert results["stream helper"]["final"] == results["stream helper"]["heard"]


def test_leaving_early(results: Results, gateway: Gateway) -> None:
    """Breaking out of a stream, aborting and timing out are noticed by the gateway and named by the SDK."""
    assert results["break"] == "chat.completion.chunk"
    until(lambda: any(line["request_id"] == "node-left" for line in gateway.records("request")))
    (line,) = [line for line in gateway.records("request") if line["request_id"] == "node-left"]
    assert line["error"] == "client_disconnected"
    assert results["abort"]["thrown"] == "APIUserAbortError"
    assert results["timeout"]["thrown"] == "APIConnectionTimeoutError"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wrong key", {"thrown": "AuthenticationError", "status": 401, "code": "invalid_api_key"}),
        ("no model", {"thrown": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"}),
        ("bad param", {"thrown": "BadRequestError", "status": 400, "param": "temperature"}),
        ("429", {"thrown": "RateLimitError", "status": 429, "code": "rate_limit_exceeded", "retryAfter": "7"}),
        ("500", {"thrown": "InternalServerError", "status": 502, "code": "upstream_bad_response"}),
        ("cut", {"thrown": "APIError", "code": "upstream_interrupted"}),
        ("not retried", {"thrown": "InternalServerError", "status": 503, "code": "upstream_unavailable"}),
        ("reset", {"thrown": "APIError", "code": "upstream_interrupted"}),
    ],
)
def test_failures(results: Results, name: str, expected: dict[str, Any]) -> None:
    """Each is the SDK's own class, with status, code and param."""
    found = results[name]
    assert {key: found.get(key) for key in expected} == expected
    assert "CANARY" not in found["message"]
    assert expected.get("status") is None or found["requestID"].startswith("req_")


def test_retries(results: Results) -> None:
    """A 429 with Retry-After is tried again; after two failed targets nothing is: five requests in all."""
    assert results["retried"] == "at last"


def test_keys_models_and_headers(results: Results) -> None:
    """``x-api-key`` alone is enough; models are listed and retrieved; the target and request id are in the headers."""
    assert results["x-api-key"] == "chat.completion"
    assert {"tollhouse/sim", "tollhouse/tiny", "fast-chat"} <= set(results["models"]["ids"])
    assert results["models"]["one"]["id"] == "tollhouse/sim"
    raw = results["raw"]
    assert (raw["model"], raw["target"]) == ("tollhouse/sim", "tollhouse/sim")
    assert raw["request_id"].startswith("req_")
