"""`tollhouse/tiny` in llama.cpp, asked through the gateway's own encoder, client and decoder."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jsonschema
import pytest

from tests.engines.local_kit import Client, client_of, serving
from tollhouse.engines.local import LocalEngine
from tollhouse.errors import UpstreamRejected

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
STOP = {"$ref": "#/$defs/stop"}
STOPS = {
    "type": "object",
    "properties": {"start": STOP, "stops": {"type": "array", "items": STOP, "maxItems": 2}},
    "required": ["start", "stops"],
    "additionalProperties": False,
    "$defs": {"stop": {"type": "string", "enum": ["north", "south"]}},
}
ROUTE = {"type": "function", "function": {"name": "find_route", "parameters": STOPS}}
CLOCK = {"type": "function", "function": {"name": "tell_time"}}
SHOUT = {"type": "custom", "custom": {"name": "shout"}}


def named(name: str, kind: str = "function") -> dict[str, Any]:
    """The tool choice that names one tool."""
    return {"type": kind, kind: {"name": name}}


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """The shipped model, served with four slots."""
    with serving() as started:
        yield started


@pytest.fixture
async def client(engine: LocalEngine) -> AsyncIterator[Client]:
    """A client of it."""
    async with client_of(engine.host) as made:
        yield made


def said(reply: dict[str, Any]) -> str:
    """The text of the first choice."""
    return str(reply["choices"][0]["message"]["content"])


def call_of(reply: dict[str, Any]) -> dict[str, Any]:
    """The only tool call of the first choice."""
    calls = reply["choices"][0]["message"]["tool_calls"]
    assert len(calls) == 1
    found: dict[str, Any] = calls[0]
    return found


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the capital of Japan?", "The capital of Japan is Tokyo."),
        ("What is 2 + 2?", "2 + 2 = 4"),
        ("Repeat: stone bridge", "stone bridge"),
        ("List three fruits", "1. apple\n2. banana\n3. cherry"),
        ("ping", "pong"),
    ],
)
async def test_it_has_learned_what_the_card_says(client: Client, question: str, answer: str) -> None:
    """The shipped weights answer what the model card claims."""
    assert said(await client.whole(question)) == answer


async def test_it_knows_what_it_does_not_know(client: Client) -> None:
    """To a question outside its few topics it says that it is a demo, and what to do."""
    assert "small demo model" in said(await client.whole("Explain the causes of the First World War"))


async def test_it_remembers_a_conversation(client: Client) -> None:
    """Earlier turns reach the model."""
    turns = [
        {"role": "user", "content": "My name is Clara"},
        {"role": "assistant", "content": "Hello Clara, nice to meet you!"},
        {"role": "user", "content": "What is my name?"},
    ]
    assert said(await client.whole(turns)) == "Your name is Clara."


async def test_a_stream_says_what_a_whole_answer_says(client: Client) -> None:
    """Streaming changes neither the words, nor the role, nor the reason, nor the count."""
    whole = await client.whole("What is Tollhouse?")
    stream = await client.stream("What is Tollhouse?")
    assert (stream.text, stream.role, stream.reasons) == (said(whole), "assistant", ["stop"])
    assert stream.usage["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert stream.usage["prompt_tokens"] == whole["usage"]["prompt_tokens"]
    assert len(stream.chunks) > 10


async def test_nothing_of_the_engine_shows(client: Client) -> None:
    """Timings and token numbers, which OpenAI does not have, are in no answer."""
    options = {"logprobs": True, "top_logprobs": 2}
    whole = await client.whole("Hi", **options)
    stream = await client.stream("Hi", **options)
    for text in (json.dumps(whole), json.dumps(stream.chunks)):
        assert "timings" not in text
        assert '"content": null' not in text
    for part in (whole, *stream.chunks):
        for choice in part["choices"]:
            for token in (choice.get("logprobs") or {}).get("content") or ():
                assert "id" not in token
                assert all("id" not in other for other in token["top_logprobs"])


async def test_logprobs_are_of_the_words(client: Client) -> None:
    """The tokens with their probabilities make up the answer, the likeliest first."""
    reply = await client.whole("What is the capital of Italy?", logprobs=True, top_logprobs=3)
    tokens = reply["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == said(reply)
    assert all(len(token["top_logprobs"]) == 3 and token["logprob"] <= 0 for token in tokens)
    assert all(token["top_logprobs"][0]["token"] == token["token"] for token in tokens)


async def test_a_seed_repeats_an_answer(client: Client) -> None:
    """The same seed gives the same answer, and different seeds do not all give one."""
    texts = [
        said(await client.whole("Tell me a story about a fox", temperature=1.3, seed=seed)) for seed in (1, 2, 3, 1)
    ]
    assert texts[0] == texts[3]
    assert len(set(texts)) > 1


async def test_stop_and_length(client: Client) -> None:
    """A stop text ends an answer before it, and a cap ends it with the reason ``length``."""
    stopped = await client.whole("What is the capital of Spain?", stop=[" Madrid"])
    assert (said(stopped), stopped["choices"][0]["finish_reason"]) == ("The capital of Spain is", "stop")
    cut = await client.whole("What is the capital of Spain?", max_completion_tokens=3)
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("number", [2, 4])
async def test_several_choices_are_all_counted(client: Client, number: int) -> None:
    """With ``n``, the usage is of all choices, and the prompt is counted once, streaming or not."""
    options = {"n": number, "max_tokens": 5, "ignore_eos": True, "temperature": 1}
    whole = await client.whole("Tell me a story", **options)
    stream = await client.stream("Tell me a story", **options)
    assert [choice["index"] for choice in whole["choices"]] == list(range(number))
    assert all(choice["message"]["content"] and choice["finish_reason"] == "length" for choice in whole["choices"])
    single = await client.whole("Tell me a story", max_tokens=5)
    for usage in (whole["usage"], stream.usage):
        assert usage["completion_tokens"] == 5 * number
        assert usage["prompt_tokens"] == single["usage"]["prompt_tokens"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert stream.reasons == ["length"] * number


async def test_more_choices_than_slots_are_refused(client: Client) -> None:
    """``n`` over the engine's slots is a clear 400 that names the parameter."""
    with pytest.raises(UpstreamRejected) as refused:
        await client.whole("Hi", n=5)
    assert (refused.value.status, refused.value.param, refused.value.code) == (400, "n", "invalid_value")


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "size": {"enum": ["small", "large"]},
        "parks": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    },
    "required": ["city", "size", "parks"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_json_schema_is_kept(client: Client, temperature: float, stream: bool) -> None:
    """Whatever the model would like to say, the answer fits the schema."""
    shape = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
    options = {"response_format": shape, "temperature": temperature, "seed": 3}
    text = (
        (await client.stream("Describe Rome", **options)).text
        if stream
        else said(await client.whole("Describe Rome", **options))
    )
    jsonschema.validate(json.loads(text), SCHEMA)


async def test_json_mode_gives_an_object(client: Client) -> None:
    """``json_object`` gives the object that was asked for."""
    reply = await client.whole(
        "Give me a JSON object with name Ada and age 36", response_format={"type": "json_object"}
    )
    assert json.loads(said(reply)) == {"name": "Ada", "age": 36}


@pytest.mark.parametrize("choice", ["required", named("get_weather")], ids=["required", "named"])
async def test_a_forced_call_is_made(client: Client, choice: object) -> None:
    """A client that demands a call gets one, and no prose before it."""
    reply = await client.whole("What is the weather in Paris?", tools=[WEATHER, CLOCK], tool_choice=choice)
    call = call_of(reply)
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    assert reply["choices"][0]["finish_reason"] == "tool_calls"
    assert reply["choices"][0]["message"]["content"] is None


async def test_a_forced_call_streams(client: Client) -> None:
    """A forced call arrives as the fragments of a tool call: name first, then the arguments piece by piece."""
    answer = await client.stream("What is the weather in Oslo?", tools=[WEATHER], tool_choice="required")
    assert (answer.text, answer.reasons) == ("", ["tool_calls"])
    assert (answer.calls[0]["name"], json.loads(answer.calls[0]["text"])) == ("get_weather", {"city": "Oslo"})
    spoken = [chunk for chunk in answer.chunks if chunk["choices"][0]["delta"].get("tool_calls")]
    assert len(spoken) > 3


async def test_the_schema_of_a_forced_call_may_have_references(client: Client) -> None:
    """References inside a tool's parameters still mean what they meant."""
    reply = await client.whole("hi", tools=[CLOCK, ROUTE], tool_choice=named("find_route"))
    jsonschema.validate(json.loads(call_of(reply)["function"]["arguments"]), STOPS)
    several = await client.whole("find route", tools=[WEATHER, ROUTE], tool_choice="required", temperature=1, seed=1)
    assert call_of(several)["function"]["name"] in {"get_weather", "find_route"}


async def test_a_forced_call_without_parameters(client: Client) -> None:
    """A function that takes nothing is called with an empty object."""
    reply = await client.whole("hi", tools=[CLOCK], tool_choice=named("tell_time"))
    assert call_of(reply)["function"] == {"name": "tell_time", "arguments": "{}"}


async def test_a_custom_tool_can_be_forced(client: Client) -> None:
    """A custom tool takes free text, streaming or not."""
    options = {"tools": [WEATHER, SHOUT], "tool_choice": named("shout", "custom"), "max_tokens": 400}
    call = call_of(await client.whole("Say hello", **options))
    stream = await client.stream("Say hello", **options)
    assert (call["type"], call["custom"]["name"]) == ("custom", "shout")
    assert stream.calls[0] == {"name": "shout", "text": call["custom"]["input"]}


async def test_a_cut_call_says_so(client: Client) -> None:
    """A call that the cap cuts short keeps what there is and the reason ``length``."""
    reply = await client.whole("What is the weather in Paris?", tools=[WEATHER], tool_choice="required", max_tokens=14)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert call_of(reply)["function"]["arguments"].startswith('{"c')


async def test_tools_are_the_models_own_choice(client: Client) -> None:
    """With ``auto`` the model calls a function when the question is about it, and else answers."""
    for stream in (False, True):
        if stream:
            answer = await client.stream("What is the weather in Rome?", tools=[WEATHER])
            assert (answer.calls[0]["name"], json.loads(answer.calls[0]["text"])) == ("get_weather", {"city": "Rome"})
            assert answer.reasons == ["tool_calls"]
        else:
            call = call_of(await client.whole("What is the weather in Rome?", tools=[WEATHER]))
            assert json.loads(call["function"]["arguments"]) == {"city": "Rome"}
    assert said(await client.whole("What is 3 + 4?", tools=[WEATHER])) == "3 + 4 = 7"


async def test_no_tool_is_called_against_the_clients_will(client: Client) -> None:
    """With ``none`` the tools are not even shown to the model."""
    with_tools = await client.whole("What is the weather in Rome?", tools=[WEATHER], tool_choice="none")
    without = await client.whole("What is the weather in Rome?")
    assert "tool_calls" not in with_tools["choices"][0]["message"]
    assert with_tools["usage"]["prompt_tokens"] == without["usage"]["prompt_tokens"]


async def test_a_tools_answer_comes_back(client: Client) -> None:
    """The loop closes: question, call, the tool's answer, and what the model makes of it."""
    question = {"role": "user", "content": "What is the weather in Paris?"}
    first = await client.whole([question], tools=[WEATHER])
    call = call_of(first)
    turns = [
        question,
        first["choices"][0]["message"],
        {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees and sunny"},
    ]
    assert said(await client.whole(turns, tools=[WEATHER])) == "The tool answered: 21 degrees and sunny"


async def test_a_prompt_over_the_context_is_told_as_openai_tells_it(client: Client) -> None:
    """Too long a prompt is a 400 with OpenAI's code and the numbers, streaming or not, and the next request works."""
    for stream in (False, True):
        with pytest.raises(UpstreamRejected, match="context is 2048 tokens, and the messages are 6") as refused:
            await (client.stream if stream else client.whole)("one two " * 3000)
        assert (refused.value.status, refused.value.code, refused.value.param) == (
            400,
            "context_length_exceeded",
            "messages",
        )
    assert said(await client.whole("ping")) == "pong"


async def test_an_image_is_refused_not_ignored(client: Client) -> None:
    """A model without eyes refuses an image with a 400."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    with pytest.raises(UpstreamRejected, match="does not take image input") as refused:
        await client.whole([{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}])
    assert (refused.value.status, refused.value.code) == (400, "unsupported_value")


async def test_text_parts_and_unknown_fields_are_fine(client: Client) -> None:
    """Text in parts reads like text, a developer is a system, and what the engine does not know does no harm."""
    turns = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "What is the capital of Peru?"}]},
    ]
    reply = await client.whole(turns, user="u", metadata={"a": "b"}, store=False, made_up_field={"x": 1})
    assert said(reply) == "The capital of Peru is Lima."


async def test_more_requests_than_slots_all_answer(client: Client) -> None:
    """Forty requests at once wait for the four slots in turn."""
    countries = ["France", "Japan", "Italy", "Egypt"] * 10
    replies = await asyncio.gather(*(client.whole(f"What is the capital of {country}?") for country in countries))
    cities = {"France": "Paris", "Japan": "Tokyo", "Italy": "Rome", "Egypt": "Cairo"}
    assert [said(reply) for reply in replies] == [
        f"The capital of {country} is {cities[country]}." for country in countries
    ]
