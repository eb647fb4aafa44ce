"""OpenAI's Python SDK against a running gateway, in front of the simulated model and of the llama.cpp engine."""

import asyncio
import json
from typing import Any, Literal

import jsonschema
import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from tests.e2e.asking import ADVICE, ADVICE_SCHEMA, CLOCK, HELLO, PICTURE, SOUND, TOOLS, WEATHER
from tests.e2e.process import Gateway

SIM, TINY = "tollhouse/sim", "tollhouse/tiny"
each_model = pytest.mark.parametrize("model", [SIM, TINY])
BOTH: list[Any] = [{"role": "user", "content": "Call get_weather and get_time, please."}]


class Advice(BaseModel):
    """What `.parse()` fills."""

    sky: Literal["sun", "rain"]
    degrees: int
    umbrella: bool


def check_call(function: Any) -> None:
    """Asserts that a call's arguments are valid against the schema of the tool it names."""
    tool = next(tool for tool in TOOLS if tool["function"]["name"] == function.name)
    jsonschema.validate(json.loads(function.arguments), tool["function"]["parameters"])


def check_stream(chunks: list[ChatCompletionChunk], model: str) -> str:
    """Asserts the shape of a whole stream of one choice, and gives its text."""
    assert {(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks} == {
        (chunks[0].id, chunks[0].created, model, "chat.completion.chunk")
    }
    assert chunks[0].id.startswith("chatcmpl-")
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert [choice.delta.role for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
    assert choices[0].delta.content == ""
    assert [choice.finish_reason for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1].finish_reason is not None
    return "".join(choice.delta.content or "" for choice in choices)


@each_model
def test_create(client: openai.OpenAI, model: str) -> None:
    """A whole answer has OpenAI's shape, the model's name as it was asked for, and usage that adds up."""
    answer = client.chat.completions.create(model=model, messages=HELLO, max_completion_tokens=12)
    assert (answer.object, answer.model, len(answer.choices)) == ("chat.completion", model, 1)
    choice = answer.choices[0]
    assert (choice.index, choice.message.role, choice.message.refusal) == (0, "assistant", None)
    assert choice.message.content
    assert choice.finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@each_model
def test_stream(client: openai.OpenAI, model: str) -> None:
    """A stream keeps one identity, says the role once, ends with one reason, and carries no usage unasked."""
    with client.chat.completions.create(model=model, messages=HELLO, max_tokens=12, stream=True) as stream:
        chunks = list(stream)
    assert check_stream(chunks, model)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@each_model
def test_stream_with_usage(client: openai.OpenAI, model: str) -> None:
    """Asked for, usage comes once, in a last chunk without choices."""
    options: Any = {"include_usage": True}
    asked: dict[str, Any] = {"model": model, "messages": HELLO, "max_tokens": 12, "stream_options": options}
    chunks: list[ChatCompletionChunk] = list(client.chat.completions.create(**asked, stream=True))
    check_stream(chunks, model)
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].choices == []


@each_model
def test_stream_helper(client: openai.OpenAI, model: str) -> None:
    """The SDK's accumulator puts the same text together as the deltas do."""
    with client.chat.completions.stream(model=model, messages=HELLO, stop=["."]) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert final.choices[0].message.content == text
    assert final.choices[0].finish_reason == "stop"


@each_model
def test_parse_into_a_pydantic_model(client: openai.OpenAI, model: str) -> None:
    """Structured output comes back as the caller's own class."""
    answer = client.chat.completions.parse(model=model, messages=HELLO, response_format=Advice, temperature=0)
    assert isinstance(answer.choices[0].message.parsed, Advice)


@each_model
def test_json_schema(client: openai.OpenAI, model: str) -> None:
    """The answer is valid against the schema, whole and streamed."""
    asked: dict[str, Any] = {"model": model, "messages": HELLO, "response_format": ADVICE}
    whole = client.chat.completions.create(**asked)
    jsonschema.validate(json.loads(whole.choices[0].message.content or ""), ADVICE_SCHEMA)
    streamed = list(client.chat.completions.create(**asked, stream=True))
    jsonschema.validate(json.loads(check_stream(streamed, model)), ADVICE_SCHEMA)


def test_json_object(client: openai.OpenAI) -> None:
    """With json_object the answer is one JSON object."""
    asked: Any = [{"role": "user", "content": "Answer in JSON."}]
    answer = client.chat.completions.create(model=SIM, messages=asked, response_format={"type": "json_object"})
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


@each_model
@pytest.mark.parametrize("tool", [WEATHER, CLOCK], ids=["weather", "time"])
def test_a_forced_tool(client: openai.OpenAI, model: str, tool: dict[str, Any]) -> None:
    """A named tool is called, with arguments that its schema takes, and the reason is tool_calls."""
    name = tool["function"]["name"]
    forced: Any = {"type": "function", "function": {"name": name}}
    answer = client.chat.completions.create(model=model, messages=HELLO, tools=TOOLS, tool_choice=forced)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.id
    assert call.function.name == name
    check_call(call.function)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_parallel_tools(client: openai.OpenAI, *, streamed: bool) -> None:
    """Two calls come in one answer; of a stream the SDK rebuilds both, whole."""
    asked: dict[str, Any] = {"model": SIM, "messages": BOTH, "tools": TOOLS, "tool_choice": "required"}
    if streamed:
        with client.chat.completions.stream(**asked) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**asked).choices[0].message
    calls = message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    for call in calls:
        assert call.type == "function"
        check_call(call.function)
    one = client.chat.completions.create(**asked, parallel_tool_calls=False).choices[0].message
    assert len(one.tool_calls or []) == 1


def test_streamed_tool_deltas_have_the_canonical_form(client: openai.OpenAI) -> None:
    """Each call's first delta has index, id, type, name and empty arguments; later ones add to the arguments only."""
    seen: dict[int, str] = {}
    stream = client.chat.completions.create(model=SIM, messages=BOTH, tools=TOOLS, tool_choice="required", stream=True)
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or []:
            assert call.function is not None
            if call.index not in seen:
                assert (call.index, call.type, call.function.arguments) == (len(seen), "function", "")
                assert call.id
                assert call.function.name
                seen[call.index] = ""
            else:
                assert (call.id, call.type, call.function.name) == (None, None, None)
                seen[call.index] += call.function.arguments or ""
    assert [bool(json.loads(arguments)) for arguments in seen.values()] == [True, True]


@each_model
def test_a_tool_loop(client: openai.OpenAI, model: str) -> None:
    """A call's answer goes back with the history, exactly as the SDK gave it, and the model goes on."""
    tools: list[Any] = [WEATHER]
    first = client.chat.completions.create(model=model, messages=HELLO, tools=tools, tool_choice="required")
    message = first.choices[0].message
    assert message.tool_calls
    results: list[Any] = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls]
    history: list[Any] = [*HELLO, message, *results]
    second = client.chat.completions.create(
        model=model, messages=history, tools=tools, tool_choice="none", max_tokens=30
    )
    assert second.choices[0].message.content


def test_vision_and_audio_parts(client: openai.OpenAI) -> None:
    """An image as a data URL and a sound are received as what they are."""
    parts: Any = [{"type": "text", "text": "What is this?"}, PICTURE, SOUND]
    answer = client.chat.completions.create(model=SIM, messages=[{"role": "user", "content": parts}])
    text = answer.choices[0].message.content or ""
    assert "image/png, 1x1 pixels" in text
    assert "wav, 0.10 seconds" in text


@each_model
def test_logprobs(client: openai.OpenAI, model: str) -> None:
    """Each token has its logprob and so many alternatives as were asked for, whole and streamed."""
    asked: dict[str, Any] = {"model": model, "messages": HELLO, "max_tokens": 4, "logprobs": True, "top_logprobs": 2}
    chosen = client.chat.completions.create(**asked).choices[0]
    assert chosen.logprobs is not None
    tokens = chosen.logprobs.content or []
    assert "".join(token.token for token in tokens) == chosen.message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)
    streamed = [chunk.choices[0] for chunk in client.chat.completions.create(**asked, stream=True)]
    held = [token for choice in streamed if choice.logprobs for token in choice.logprobs.content or []]
    assert "".join(token.token for token in held) == "".join(choice.delta.content or "" for choice in streamed)


@each_model
def test_several_choices(client: openai.OpenAI, model: str) -> None:
    """``n`` choices have an index each and, in a stream, one finish reason each."""
    answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=5, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    stream = client.chat.completions.create(model=model, messages=HELLO, max_tokens=5, n=3, stream=True)
    ended = [choice.index for chunk in stream for choice in chunk.choices if choice.finish_reason]
    assert sorted(ended) == [0, 1, 2]


@each_model
def test_stop_and_length(client: openai.OpenAI, model: str) -> None:
    """A stop string ends the answer before itself; a cap ends it with ``length``."""
    stopped = client.chat.completions.create(model=model, messages=HELLO, stop=[" "], max_tokens=30).choices[0]
    assert (stopped.finish_reason, " " in (stopped.message.content or "")) == ("stop", False)
    capped = client.chat.completions.create(model=model, messages=HELLO, max_tokens=2).choices[0]
    assert capped.finish_reason == "length"


def test_a_seed_makes_answers_equal(client: openai.OpenAI) -> None:
    """The same seed and request give the same answer; other seeds give others."""

    def ask(seed: int) -> str | None:
        return client.chat.completions.create(model=SIM, messages=HELLO, seed=seed).choices[0].message.content

    assert ask(7) == ask(7)
    assert len({ask(seed) for seed in range(8)}) > 1


async def test_the_asynchronous_client(gateway: Gateway) -> None:
    """Twenty answers at once, half of them streamed, each its own."""

    async def whole(sdk: openai.AsyncOpenAI, number: int) -> str:
        script = {"tollhouse_sim": {"reply": f"answer {number}", "ttft_ms": 50}}
        answer = await sdk.chat.completions.create(model=SIM, messages=HELLO, extra_body=script)
        return answer.choices[0].message.content or ""

    async def streamed(sdk: openai.AsyncOpenAI, number: int) -> str:
        script = {"tollhouse_sim": {"reply": f"answer {number}", "tps": 200}}
        stream = await sdk.chat.completions.create(model=SIM, messages=HELLO, extra_body=script, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        answers = await asyncio.gather(*[(streamed if n % 2 else whole)(sdk, n) for n in range(20)])
    assert answers == [f"answer {number}" for number in range(20)]


async def test_leaving_a_stream_early_ends_it(gateway: Gateway) -> None:
    """A client that breaks off an endless answer is noticed: nothing stays in flight."""
    script = {"tollhouse_sim": {"tokens": 50_000, "tps": 100}}
    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        stream = await sdk.chat.completions.create(
            model=SIM, messages=HELLO, extra_body=script, stream=True, extra_headers={"x-request-id": "left-early"}
        )
        async for _ in stream:
            break
        await stream.close()
    for _ in range(100):
        if lines := [line for line in gateway.records("request") if line["request_id"] == "left-early"]:
            break
        await asyncio.sleep(0.05)
    assert [line["error"] for line in lines] == ["client_disconnected"]
