"""Anthropic's Python SDK against a running gateway: any model through it, none of it changed for that."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import jsonschema
import pytest

from tests.e2e.asking import ADVICE_SCHEMA, PIXEL, WEATHER
from tests.e2e.backstage import CONFIG, SECRET, Backstage
from tests.e2e.process import Gateway, running
from tests.fakes.chaos import Close, Send, chunked
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, failure, stream

SIM, TINY, STAGED = "tollhouse/sim", "tollhouse/tiny", "fast-chat"
HELLO: list[Any] = [{"role": "user", "content": "Hello! Who are you?"}]
FUNCTION = WEATHER["function"]
TOOL: Any = {"name": "get_weather", "description": "The weather", "input_schema": FUNCTION["parameters"]}
LONE = ("f400", "f401", "f413", "f429", "f503", "slow", "broken")
ASK: dict[str, Any] = {"model": STAGED, "max_tokens": 50, "messages": HELLO}


@contextmanager
def opened(gateway: Gateway, **options: Any) -> Iterator[anthropic.Anthropic]:
    """The SDK, pointed at the gateway."""
    url = gateway.url.removesuffix("/v1")
    with anthropic.Anthropic(**{"base_url": url, "api_key": gateway.key, "max_retries": 0, **options}) as sdk:
        yield sdk


def lone_host(name: str, port: int) -> str:
    """Settings of one more host at the same upstream: what a test does to it troubles no other test."""
    return f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}/v1"\nmodels = ["m"]\n'


@pytest.fixture(scope="module")
def gateway(stage: Backstage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a host for each test in which one fails, for hosts that fail are left alone for a while."""
    lone = "".join([lone_host(name, stage.up.port) for name in LONE])
    config = CONFIG.format(port=stage.up.port) + lone
    with running(tmp_path_factory.mktemp("gateway"), config, environ={"STAGE_KEY": SECRET}) as process:
        yield process


@pytest.fixture(scope="module")
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """The same, without retries."""
    with opened(gateway) as sdk:
        yield sdk


@pytest.mark.parametrize("model", [SIM, TINY])
def test_create_and_stream(claude: anthropic.Anthropic, model: str) -> None:
    """A whole message and the helper's final one have text, a stop reason and usage, and a name for the support."""
    whole = claude.messages.create(model=model, max_tokens=20, messages=HELLO, system="Be brief.")
    assert whole.content[0].type == "text"
    assert whole._request_id is not None
    with claude.messages.stream(model=model, max_tokens=20, messages=HELLO) as told:
        text = "".join(told.text_stream)
        message = told.get_final_message()
    assert message.content[0].type == "text"
    assert message.content[0].text == text
    for one in (whole, message):
        assert one.id.startswith("msg_")
        assert one.model == model
        assert one.stop_reason in ("end_turn", "max_tokens")
        assert min(one.usage.input_tokens, one.usage.output_tokens) > 0


@pytest.mark.parametrize("streamed", [True, False])
def test_a_loop_of_tools(claude: anthropic.Anthropic, streamed: bool) -> None:
    """A forced call has input that fits its schema; its result, with the turn as it came, leads to the next answer."""
    asked: dict[str, Any] = {"model": SIM, "max_tokens": 400, "tools": [TOOL], "messages": list(HELLO)}
    choice: Any = {"type": "tool", "name": "get_weather"}
    if streamed:
        with claude.messages.stream(**asked, tool_choice=choice) as told:
            turn = told.get_final_message()
    else:
        turn = claude.messages.create(**asked, tool_choice=choice)
    assert turn.stop_reason == "tool_use"
    (call,) = [block for block in turn.content if block.type == "tool_use"]
    jsonschema.validate(call.input, FUNCTION["parameters"])
    result: Any = {
        "type": "tool_result",
        "tool_use_id": call.id,
        "content": [
            {"type": "text", "text": "Sunny"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        ],
    }
    asked["messages"] += [{"role": "assistant", "content": turn.content}, {"role": "user", "content": [result]}]
    last = claude.messages.create(**asked)
    assert last.content


def test_an_answer_in_a_schema(claude: anthropic.Anthropic) -> None:
    """What ``output_config`` asks for is what the text holds."""
    form: Any = {"format": {"type": "json_schema", "schema": ADVICE_SCHEMA}}
    message = claude.messages.create(model=SIM, max_tokens=400, messages=HELLO, output_config=form)
    assert message.content[0].type == "text"
    jsonschema.validate(json.loads(message.content[0].text), ADVICE_SCHEMA)


def test_thinking_and_signatures_come_back_to_their_host(claude: anthropic.Anthropic, stage: Backstage) -> None:
    """The turn that the SDK returns as it was reaches the host with the ids and calls that it had said itself."""
    extra = {"google": {"thought_signature": "CpcH"}}
    call = {"index": 0, "id": "f:0", "type": "function", "function": {"name": "get_weather", "arguments": '{"x":1}'}}
    details = [{"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-responses-v1"}]
    said = [
        delta({"reasoning_content": "Hm. "}),
        delta({"reasoning_content": "So."}),
        delta({"reasoning_details": details}),
        delta({"tool_calls": [{**call, "extra_content": extra}]}),
        delta({}, "tool_calls"),
    ]
    stage.play([Send(chunked(ROLE, *said, LAST_USAGE, DONE))], [Send(completion())])
    with claude.messages.stream(**ASK, tools=[TOOL]) as told:
        turn = told.get_final_message()
    assert [block.type for block in turn.content] == ["thinking", "redacted_thinking", "redacted_thinking", "tool_use"]
    result: Any = {"type": "tool_result", "tool_use_id": turn.content[-1].id, "content": "ok"}  # type: ignore[union-attr]
    more: list[Any] = [{"role": "assistant", "content": turn.content}, {"role": "user", "content": [result]}]
    claude.messages.create(**{**ASK, "messages": [*HELLO, *more]}, tools=[TOOL])
    sent = stage.bodies[1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "f:0"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (503, anthropic.InternalServerError),
        (401, anthropic.InternalServerError),
    ],
)
def test_a_hosts_failure_has_its_class(
    claude: anthropic.Anthropic, stage: Backstage, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    """The SDK raises what it would for Anthropic's own; a credential that the host refuses is not the client's."""
    stage.play([Send(failure(status, "no"))])
    with pytest.raises(kind) as caught:
        claude.messages.create(**{**ASK, "model": f"f{status}/m"})
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert caught.value.request_id == body["request_id"]


def test_a_wrong_key_and_a_wrong_model(gateway: Gateway, claude: anthropic.Anthropic) -> None:
    """401 and 404, at once."""
    with opened(gateway, api_key="sk-wrong", max_retries=2) as stranger, pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(**ASK)
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(**{**ASK, "model": "claude-99"})
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("claude-99")


def test_a_rate_limit_is_waited_out(gateway: Gateway, stage: Backstage) -> None:
    """The SDK tries again, and the second answer is the caller's."""
    stage.play([Send(failure(429, "slow"))], [Send(stream("Hello"))])
    asked = {**ASK, "model": "slow/m"}
    with opened(gateway, max_retries=2) as sdk, sdk.messages.stream(**asked) as told:
        assert told.get_final_text() == "Hello"
    assert len(stage.requests) == 2


def test_a_stream_that_breaks_off_raises(claude: anthropic.Anthropic, stage: Backstage) -> None:
    """The text before it was read, and the end is an error with the request's id, not a short answer."""
    stage.play([Send(chunked(ROLE, delta({"content": "Hel"}))[: -len(b"0\r\n\r\n")]), Close()])
    seen: list[str] = []
    asked = {**ASK, "model": "broken/m"}
    with claude.messages.stream(**asked) as told, pytest.raises(anthropic.APIStatusError) as caught:
        seen.extend(told.text_stream)
    assert seen == ["Hel"]
    assert "broke off" in str(caught.value) or "ended" in str(caught.value)


def test_many_streams_at_once(gateway: Gateway) -> None:
    """Twenty streams of one asynchronous client are twenty messages."""

    async def ask(sdk: anthropic.AsyncAnthropic, number: int) -> str:
        said: list[Any] = [{"role": "user", "content": str(number)}]
        async with sdk.messages.stream(model=SIM, max_tokens=9, messages=said) as told:
            return (await told.get_final_message()).id

    async def run() -> list[str]:
        url = gateway.url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=url, auth_token=gateway.key, api_key=None) as sdk:
            return await asyncio.gather(*[ask(sdk, number) for number in range(20)])

    assert len(set(asyncio.run(run()))) == 20


def test_tokens_and_models(claude: anthropic.Anthropic) -> None:
    """A count is a number, and every page of the list holds models that are there."""
    assert claude.messages.count_tokens(model=SIM, messages=HELLO, tools=[TOOL]).input_tokens > 5
    every = [model.id for model in claude.models.list()]
    assert {SIM, TINY, STAGED} <= set(every)
    assert [model.id for model in claude.models.list(limit=2)] == every
    assert claude.models.retrieve(SIM).lifecycle == "active"


def test_a_stop_sequence_of_the_beta_surface(claude: anthropic.Anthropic, stage: Backstage) -> None:
    """The beta's resource is the same endpoint, with its betas in a header."""
    stage.play([Send(chunked(ROLE, delta({"content": "a"}), STOP, LAST_USAGE, DONE))])
    with claude.beta.messages.stream(**ASK, betas=["context-1m-2025-08-07"], stop_sequences=["END"]) as told:
        assert told.get_final_message().stop_reason == "end_turn"
    assert stage.bodies[0]["stop"] == ["END"]
