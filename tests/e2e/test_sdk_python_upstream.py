"""What reaches an upstream, and what comes back from it, when OpenAI's Python SDK is the client."""

import json
from typing import Any

import openai
import pytest

from tests.e2e.asking import ADVICE, HELLO, PICTURE, SOUND, TOOLS
from tests.e2e.backstage import SECRET, Backstage
from tests.e2e.process import Gateway
from tests.fakes.chaos import Send, chunked
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, stream

MODEL = "fast-chat"
EVERYTHING: dict[str, Any] = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "漢字 \U0001f680"}, PICTURE, SOUND]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "12:00"},
    ],
    "tools": TOOLS,
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": ADVICE,
    "temperature": 0.25,
    "top_p": 0.5,
    "n": 2,
    "stop": ["\n"],
    "seed": 2**53 + 1,
    "max_completion_tokens": 9,
    "logprobs": True,
    "top_logprobs": 5,
    "logit_bias": {"50256": -100},
    "frequency_penalty": -1.5,
    "presence_penalty": 2,
    "metadata": {"team": "blue"},
    "user": "u-1",
    "reasoning_effort": "low",
    "verbosity": "high",
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "store": False,
    "extra_body": {"top_k": 40, "nested": {"unknown": [1, None, {"a": "b"}]}},
}


def test_every_parameter_arrives_as_it_was_sent(client: openai.OpenAI, stage: Backstage) -> None:
    """All fields, unknown ones too, reach the host unchanged; only the model's name is the host's own."""
    stage.play([Send(completion('{"sky": "sun", "degrees": 21, "umbrella": false}'))])
    client.chat.completions.create(model=MODEL, **EVERYTHING)
    expected = {**EVERYTHING, **EVERYTHING["extra_body"], "model": "m-2024-01-01"}
    del expected["extra_body"]
    assert stage.bodies == [expected]


def test_the_host_gets_the_gateways_credential_and_no_other(gateway: Gateway, stage: Backstage) -> None:
    """The client's key, its telemetry and its own headers stop at the gateway."""
    stage.play([Send(completion())])
    with openai.OpenAI(
        base_url=gateway.url, api_key=gateway.key, organization="org-CANARY", default_headers={"x-mine": "CANARY"}
    ) as sdk:
        sdk.chat.completions.create(model=MODEL, messages=HELLO)
    (request,) = stage.requests
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert b"CANARY" not in request.head.replace(SECRET.encode(), b"")
    assert gateway.key.encode() not in request.head + request.body
    assert set(request.headers) == {
        "host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "authorization"
    }  # fmt: skip


@pytest.mark.parametrize("asked", [None, {"include_usage": True}, {"include_usage": False}], ids=str)
def test_usage_is_always_asked_of_the_host(client: openai.OpenAI, stage: Backstage, asked: Any) -> None:
    """A stream is metered whatever the client asked for; the client sees usage only if it asked."""
    stage.play([Send(stream("Hi"))])
    options: dict[str, Any] = {} if asked is None else {"stream_options": asked}
    chunks: Any = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, **options))
    assert stage.bodies[0]["stream_options"] == {"include_usage": True}
    wanted = bool(asked and asked["include_usage"])
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([10] if wanted else [])


def test_headers_say_what_served_the_request(client: openai.OpenAI, stage: Backstage) -> None:
    """The request id, the client's own if it sends one; the target; how many attempts; the model as asked for."""
    stage.play([Send(completion())])
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-tollhouse-target"] == "stage/m-2024-01-01"
    assert "x-tollhouse-attempts" not in raw.headers
    answer = raw.parse()
    assert answer.model == MODEL
    assert answer._request_id == raw.headers["x-request-id"]
    again = client.chat.completions.with_raw_response.create(
        model="spare", messages=HELLO, extra_headers={"x-request-id": "mine-1"}
    )
    assert again.headers["x-request-id"] == "mine-1"
    assert again.headers["x-tollhouse-attempts"] == "2"
    assert again.headers["x-tollhouse-target"] == "stage/m-2024-01-01"


def test_a_streamed_answer_has_the_same_headers(client: openai.OpenAI, stage: Backstage) -> None:
    """They are on the stream's response too, with those that keep proxies from holding it back."""
    stage.play([Send(stream("Hi"))])
    with client.chat.completions.with_streaming_response.create(model=MODEL, messages=HELLO, stream=True) as raw:
        assert raw.headers["x-tollhouse-target"] == "stage/m-2024-01-01"
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert (raw.headers["cache-control"], raw.headers["x-accel-buffering"]) == ("no-cache", "no")
        assert "content-encoding" not in raw.headers
        assert raw.read().endswith(b"data: [DONE]\n\n")


def test_a_hosts_poor_stream_reads_as_openais(client: openai.OpenAI, stage: Backstage) -> None:
    """Late role, tool calls without ids, arguments as an object, reason ``stop``: the SDK rebuilds two whole calls."""
    calls = [
        {"function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}},
        {"function": {"name": "get_time", "arguments": '{"zone": "UTC"}'}},
    ]
    poor = [delta({"content": None}), delta({"tool_calls": calls}), delta({"role": "assistant"}, "stop")]
    stage.play([Send(chunked(*poor, DONE))])
    with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=TOOLS) as helper:
        choice = helper.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    found = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
    assert found == [("get_weather", {"city": "Paris", "days": 2}), ("get_time", {"zone": "UTC"})]
    assert len({call.id for call in choice.message.tool_calls or []}) == 2


def test_text_cut_in_the_middle_of_a_character_arrives_whole(client: openai.OpenAI, stage: Backstage) -> None:
    """D2: the host's bytes come one by one, and no character is lost."""
    text = "漢字 \U0001f680 caf\u00e9"
    event = b'data: {"choices":[{"index":0,"delta":{"content":"' + text.encode() + b'"},"finish_reason":null}]}\n\n'
    stage.play([Send(chunked(ROLE, event, STOP, LAST_USAGE, DONE), size=1)])
    chunks = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text


def test_models(client: openai.OpenAI) -> None:
    """The list and each of its pages, aliases first, in OpenAI's shape with what is known beside it."""
    listed = list(client.models.list())
    names = [model.id for model in listed]
    assert {"fast-chat", "stage/m-2024-01-01", "tollhouse/sim", "tollhouse/tiny", "tollhouse/guide"} <= set(names)
    assert names.index("fast-chat") < names.index("tollhouse/sim")
    for model in listed:
        assert (model.object, type(model.created)) == ("model", int)
        assert client.models.retrieve(model.id) == model
    sim: Any = client.models.retrieve("tollhouse/sim")
    assert sim.owned_by == "tollhouse"
    assert sim.pricing["input"] == "0"
    assert sim.abilities["tools"] is True


def test_every_listed_name_answers(client: openai.OpenAI, stage: Backstage) -> None:
    """C6: what is listed can be called, and the answer has the name that was asked for."""
    stage.play([Send(completion())])
    names = [model.id for model in client.models.list() if not model.id.startswith("nowhere/")]
    for name in names:
        assert client.chat.completions.create(model=name, messages=HELLO, max_tokens=8).model == name
