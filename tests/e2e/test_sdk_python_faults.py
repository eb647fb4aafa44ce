"""What OpenAI's Python SDK makes of failures: its exception classes, its retries, its timeouts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from tests.e2e.asking import HELLO
from tests.e2e.backstage import SECRET, Backstage
from tests.e2e.process import Gateway
from tests.fakes.chaos import Close, Hang, Reset, Send, Step, chunk, head
from tests.fakes.openai_wire import completion, failure, words

ASK: dict[str, Any] = {"model": "fast-chat", "messages": HELLO}
SIM: dict[str, Any] = {"model": "tollhouse/sim", "messages": HELLO}
BEGUN = head(200, "content-type: text/event-stream", "transfer-encoding: chunked") + b"".join(
    [chunk(part) for part in words("one ", "two ")]
)


def simulated(**script: Any) -> dict[str, Any]:
    """A request that tells the simulated model to misbehave."""
    return {**SIM, "extra_body": {"tollhouse_sim": script}}


@contextmanager
def patient(gateway: Gateway, **options: Any) -> Iterator[openai.OpenAI]:
    """A client with its own options, such as retries."""
    with openai.OpenAI(base_url=gateway.url, api_key=gateway.key, **options) as sdk:
        yield sdk


def test_a_wrong_key_is_an_authentication_error(gateway: Gateway) -> None:
    """401 with OpenAI's code, at once: it is not retried, and the key is not repeated."""
    with openai.OpenAI(base_url=gateway.url, api_key="sk-wrong-CANARY", max_retries=2) as sdk:
        with pytest.raises(openai.AuthenticationError) as caught:
            sdk.chat.completions.create(**SIM)
        with pytest.raises(openai.AuthenticationError):
            sdk.models.list()
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    assert "CANARY" not in str(caught.value)
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")


def test_x_api_key_alone_is_enough(gateway: Gateway) -> None:
    """A client gets in with ``x-api-key``, with nothing beside it or with a bearer token that is somebody else's."""
    with openai.OpenAI(base_url=gateway.url, api_key="unused", default_headers={"x-api-key": gateway.key}) as sdk:
        assert sdk.chat.completions.create(**SIM, max_tokens=2).choices
        alone: Any = {"Authorization": openai.Omit()}
        assert sdk.chat.completions.create(**SIM, max_tokens=2, extra_headers=alone).choices


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    """404 with code and param, for a completion and for the model's own page."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-99", messages=HELLO)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-99")


@pytest.mark.parametrize(
    ("wrong", "param", "code"),
    [
        ({"temperature": 9}, "temperature", "decimal_above_max_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"stop": ["a"] * 5}, "stop", "array_above_max_length"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"top_logprobs": 3}, "top_logprobs", None),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_parameter_is_named(client: openai.OpenAI, wrong: dict[str, Any], param: str, code: str | None) -> None:
    """400, with the path of the field in ``param``."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{**SIM, **wrong})
    assert caught.value.param == param
    assert code is None or caught.value.code == code


def test_a_429_is_retried_after_the_time_it_names(gateway: Gateway, stage: Backstage) -> None:
    """The host's Retry-After reaches the SDK, which waits that long and then succeeds."""
    limited = failure(429, "slow down", "rate_limit_exceeded").replace(b"\r\n\r\n", b"\r\nretry-after: 1\r\n\r\n", 1)
    stage.play([Send(limited)], [Send(completion("at last"))])
    started_at = time.monotonic()
    with patient(gateway, max_retries=1) as sdk:
        answer = sdk.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "at last"
    assert time.monotonic() - started_at >= 1
    assert len(stage.requests) == 2


def test_a_rate_limit_that_stays_is_a_rate_limit_error(client: openai.OpenAI) -> None:
    """429 with OpenAI's type and code, and Retry-After in whole seconds."""
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**simulated(error=429, retry_after=7))
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert caught.value.response.headers["retry-after"] == "7"


def test_one_target_is_asked_once_for_each_try_of_the_sdk(gateway: Gateway, stage: Backstage) -> None:
    """A20: two retries of the SDK are three requests upstream, not nine."""
    stage.play([Send(failure(500, f"internal {SECRET}"))])
    with patient(gateway, max_retries=2) as sdk, pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(**ASK)
    assert caught.value.status_code == 502
    assert SECRET not in str(caught.value)
    assert len(stage.requests) == 3


def test_when_all_targets_failed_the_sdk_does_not_try_again(gateway: Gateway, stage: Backstage) -> None:
    """A20: after the gateway's own attempts ``x-should-retry: false`` stops the SDK: two targets, two requests."""
    stage.play([Send(failure(500))])
    with patient(gateway, max_retries=2) as sdk, pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(model="pair", messages=HELLO)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert [request.target for request in stage.requests] == ["/v1/chat/completions", "/second/v1/chat/completions"]


def test_a_refusal_of_the_host_keeps_its_status_and_words(client: openai.OpenAI, stage: Backstage) -> None:
    """What is wrong with the request is said as the host says it, and is not tried elsewhere."""
    stage.play([Send(failure(400, "This model's maximum context length is 10 tokens.", "context_length_exceeded"))])
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="pair", messages=HELLO)
    assert caught.value.code == "context_length_exceeded"
    assert "maximum context length" in caught.value.message
    assert len(stage.requests) == 1


CUTS: dict[str, list[Step]] = {"closed": [Close()], "reset": [Reset()], "stalled": [Hang()]}


@pytest.mark.parametrize("how", CUTS)
def test_a_stream_that_breaks_off_raises(client: openai.OpenAI, stage: Backstage, how: str) -> None:
    """C1: the text so far is delivered, then an APIError; never a silent end."""
    stage.play([Send(BEGUN), *CUTS[how]])
    said: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        said.extend(part.choices[0].delta.content or "" for part in client.chat.completions.create(**ASK, stream=True))
    assert "".join(said) == "one two "
    assert caught.value.code == ("upstream_stalled" if how == "stalled" else "upstream_interrupted")


@pytest.mark.parametrize("knob", ["cut_after", "error_after"])
def test_the_simulated_model_breaks_off_on_demand(client: openai.OpenAI, knob: str) -> None:
    """The same for applications that test themselves with ``tollhouse/sim``: whole deltas, then an APIError."""
    stream = client.chat.completions.create(**simulated(**{knob: 3}, tokens=50), stream=True)
    chunks: list[object] = []
    with pytest.raises(openai.APIError):
        chunks.extend(stream)
    assert len(chunks) == 3


def test_a_silent_host_is_a_gateway_timeout(client: openai.OpenAI, stage: Backstage) -> None:
    """504 once the first-byte timeout of the host has passed."""
    stage.play([Hang()])
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**ASK)
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_sdks_own_timeout(gateway: Gateway, *, streamed: bool) -> None:
    """A client that waits for less than the model takes gets its own timeout."""
    with patient(gateway, max_retries=0, timeout=0.3) as sdk, pytest.raises(openai.APITimeoutError):
        sdk.chat.completions.create(**simulated(ttft_ms=5000), stream=streamed)


def test_an_unknown_url_is_json(client: openai.OpenAI) -> None:
    """A surface that is not there is a NotFoundError with a message, never a 200 or an HTML page."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.post("/nothing/here", cast_to=object, body={})
    assert caught.value.code == "unknown_url"
    assert "/v1" in caught.value.message
