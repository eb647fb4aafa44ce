"""Google's Python SDK (google-genai) against a running gateway: in front of the simulated model, and of a host that
plays what a test says, in OpenAI's dialect and in Gemini's.
"""

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.e2e.backstage import Backstage
from tests.e2e.process import Gateway, running
from tests.fakes.chaos import Close, Pause, Send, Step, chunked, whole
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, stream

SIM, OTHER, OWN = "tollhouse/sim", "stage/m", "google/m"
CONFIG = """
[server]
heartbeat_s = 0.2

[providers.stage]
base_url = "http://127.0.0.1:{port}/v1"
api_key = "sk-x"
models = ["m"]
quirks = {{ extensions = ["reasoning_content", "reasoning_details", "top_k"] }}
timeouts = {{ first_byte_s = 3.0, idle_s = 2.0 }}

[providers.google]
base_url = "http://127.0.0.1:{port}/v1beta"
provider = "gemini"
auth = "x-goog-api-key"
api_key = "sk-x"
models = ["m"]
"""
SHOW = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))


class Advice(BaseModel):
    """What an answer is parsed into."""

    sky: Literal["sun", "rain"]
    degrees: int


@pytest.fixture(scope="module")
def backstage() -> Iterator[Backstage]:
    """The upstream."""
    with Backstage() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(backstage: Backstage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway."""
    with running(tmp_path_factory.mktemp("google"), CONFIG.format(port=backstage.up.port)) as process:
        yield process


def sdk(house: Gateway, **more: Any) -> genai.Client:
    """Google's SDK, pointed at the gateway; all it is told is where."""
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{house.port}", timeout=20_000, **more)
    return genai.Client(api_key=house.key, http_options=options)


@pytest.fixture(params=[None, "v1beta"])
def client(house: Gateway, request: pytest.FixtureRequest) -> Iterator[genai.Client]:
    """It, with its own default version and with the older one."""
    with sdk(house) if request.param is None else sdk(house, api_version=request.param) as it:
        yield it


@pytest.fixture
def direct(house: Gateway) -> Iterator[genai.Client]:
    """It, as its users make it."""
    with sdk(house) as it:
        yield it


def call(city: str) -> dict[str, Any]:
    """A call of ``get_weather`` as an OpenAI host says it."""
    function = {"name": "get_weather", "arguments": json.dumps({"city": city})}
    return {"id": f"call_{city}", "type": "function", "function": function}


def called(*cities: str) -> bytes:
    """An OpenAI host's answer that calls a tool for each."""
    message = {"role": "assistant", "content": None, "tool_calls": [call(city) for city in cities]}
    return completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: its name.

    """
    return f"sun in {city}"


def test_a_whole_answer(client: genai.Client) -> None:
    """Text, reason, usage, and the model's name as it was asked for."""
    answer = client.models.generate_content(model=SIM, contents="Hello!")
    assert answer.text
    assert answer.model_version == SIM
    assert answer.response_id
    usage = answer.usage_metadata
    assert usage is not None
    assert usage.prompt_token_count
    assert usage.candidates_token_count
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP


def test_a_stream(client: genai.Client) -> None:
    """Each chunk has text, the last has the reason and the usage."""
    chunks = list(client.models.generate_content_stream(model=SIM, contents="Hello!"))
    assert len(chunks) > 3
    assert all(type(chunk.text) is str for chunk in chunks)
    assert "".join(chunk.text or "" for chunk in chunks)
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    assert reasons == [None] * (len(chunks) - 1) + [types.FinishReason.STOP]
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count


async def test_the_asynchronous_client(house: Gateway) -> None:
    """It reads streams with another reader."""
    client = sdk(house)
    answer = await client.aio.models.generate_content(model=SIM, contents="Hello!")
    assert answer.text
    chunks = [one async for one in await client.aio.models.generate_content_stream(model=SIM, contents="Hello!")]
    assert "".join(chunk.text or "" for chunk in chunks)
    await client.aio.aclose()
    client.close()


def test_a_chat(client: genai.Client) -> None:
    """Every turn is remembered, streamed ones too: the SDK forgets a turn that it finds invalid."""
    chat = client.chats.create(model=SIM)
    chat.send_message("one")
    streamed = "".join(chunk.text or "" for chunk in chat.send_message_stream("two"))
    assert streamed
    assert chat.send_message("three").text
    users = [turn for turn in chat.get_history(curated=True) if turn.role == "user"]
    assert len(users) == 3


def test_a_streamed_turn_comes_back_as_one_message(direct: genai.Client, backstage: Backstage) -> None:
    """Whatever pieces it came in."""
    backstage.play([Send(stream("He", "llo"))], [Send(completion())])
    chat = direct.chats.create(model=OTHER)
    list(chat.send_message_stream("one"))
    chat.send_message("two")
    assert backstage.bodies[1]["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "two"},
    ]


def test_functions_are_called_automatically(direct: genai.Client, backstage: Backstage) -> None:
    """The SDK calls two at once, and the host is told each result by the id of its call."""
    backstage.play([Send(called("Rome", "Oslo"))], [Send(completion("Nice."))])
    config = types.GenerateContentConfig(tools=[get_weather])
    chat = direct.chats.create(model=OTHER, config=config)
    assert chat.send_message("Weather?").text == "Nice."
    first, second = backstage.bodies
    function = first["tools"][0]["function"]
    assert (function["name"], function["parameters"]["type"]) == ("get_weather", "object")
    assert function["parameters"]["properties"]["city"]["type"] == "string"
    assert [(one["id"], json.loads(one["function"]["arguments"])) for one in second["messages"][1]["tool_calls"]] == [
        ("call_Rome", {"city": "Rome"}),
        ("call_Oslo", {"city": "Oslo"}),
    ]
    assert [message for message in second["messages"] if message["role"] == "tool"] == [
        {"role": "tool", "tool_call_id": f"call_{city}", "content": f"sun in {city}"} for city in ("Rome", "Oslo")
    ]


def test_functions_are_called_automatically_in_streams(direct: genai.Client, backstage: Backstage) -> None:
    """A call arrives whole, whatever pieces its arguments came in."""
    head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": text}} for text in ('{"ci', 'ty": "Rome"}')]
    calls = [delta({"tool_calls": [piece]}) for piece in (head, *pieces)]
    asking = chunked(ROLE, *calls, delta({}, "tool_calls"), LAST_USAGE, DONE)
    backstage.play([Send(asking)], [Send(stream("Nice."))])
    config = types.GenerateContentConfig(tools=[get_weather])
    chat = direct.chats.create(model=OTHER, config=config)
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream("Weather?")) == "Nice."
    assert backstage.bodies[1]["messages"][2]["content"] == "sun in Rome"


def test_the_simulated_model_calls_a_function(client: genai.Client) -> None:
    """One that is forced, without the SDK calling it."""
    calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    config = types.GenerateContentConfig(
        tools=[get_weather],
        tool_config=types.ToolConfig(function_calling_config=calling),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    answer = client.models.generate_content(model=SIM, contents="Weather in Rome?", config=config)
    assert answer.function_calls is not None
    assert answer.function_calls[0].name == "get_weather"
    assert isinstance((answer.function_calls[0].args or {})["city"], str)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("shown", [False, True])
def test_thoughts_of_another_vendor_come_back(
    direct: genai.Client, backstage: Backstage, *, streamed: bool, shown: bool
) -> None:
    """What proves them goes through the SDK's history, shown or not, and reaches the host as it was."""
    entry = {"type": "reasoning.text", "text": "Hm", "signature": "S>?" * 5, "format": "anthropic-claude-v1"}
    said = {
        "role": "assistant",
        "content": "Yes",
        "reasoning_content": "Hm",
        "reasoning_details": [{**entry, "index": 0}],
    }
    answer = (
        chunked(delta(said), STOP, LAST_USAGE, DONE)
        if streamed
        else completion(choices=[{"index": 0, "message": said, "finish_reason": "stop"}])
    )
    backstage.play([Send(answer)], [Send(completion())])
    chat = direct.chats.create(model=OTHER, config=SHOW if shown else None)
    if streamed:
        list(chat.send_message_stream("one"))
    else:
        assert chat.send_message("one").text == "Yes"
    chat.send_message("two")
    back = backstage.bodies[1]["messages"][1]
    assert back["reasoning_details"] == [{**entry, "index": 0}]
    assert (back["content"], back["reasoning_content"]) == ("Yes", "Hm")


def test_a_schema(client: genai.Client) -> None:
    """The answer is parsed into the caller's own class; in Google's schema and in JSON Schema."""
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Advice)
    assert isinstance(client.models.generate_content(model=SIM, contents="Hi", config=config).parsed, Advice)
    plain = types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=Advice.model_json_schema()
    )
    text = client.models.generate_content(model=SIM, contents="Hi", config=plain).text
    assert Advice.model_validate_json(text or "")


def test_media_and_settings_arrive(direct: genai.Client, backstage: Backstage) -> None:
    """In the host's own words."""
    backstage.play([Send(completion())])
    image = types.Part.from_bytes(data=b"\x00\xff\xfe" * 5, mime_type="image/png")
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", temperature=0.5, top_k=40, max_output_tokens=9, stop_sequences=["."], seed=1
    )
    direct.models.generate_content(model=OTHER, contents=[image, "What is it?"], config=config)
    [body] = backstage.bodies
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["messages"][1]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AP/+AP/+AP/+AP/+AP/+"}},
        {"type": "text", "text": "What is it?"},
    ]
    sampling = {name: body[name] for name in ("temperature", "top_k", "max_tokens", "stop", "seed")}
    assert sampling == {"temperature": 0.5, "top_k": 40, "max_tokens": 9, "stop": ["."], "seed": 1}


def test_models(client: genai.Client) -> None:
    """The list, page by page, and one by its name."""
    names = [model.name for model in client.models.list(config={"page_size": 2})]
    assert {f"models/{name}" for name in (SIM, OTHER, OWN)} <= set(names)
    assert len(names) == len(set(names))
    one = client.models.get(model=SIM)
    assert one.name == f"models/{SIM}"
    assert one.input_token_limit
    assert "generateContent" in (one.supported_actions or [])


def test_tokens(client: genai.Client) -> None:
    """An estimate, for a model whose host does not speak the dialect."""
    few = client.models.count_tokens(model=SIM, contents="Hello").total_tokens or 0
    many = client.models.count_tokens(model=SIM, contents="Hello world " * 50).total_tokens or 0
    assert 0 < few < many


def test_errors(client: genai.Client, house: Gateway) -> None:
    """They are the SDK's own classes, with Google's status word and our message."""
    with pytest.raises(errors.ClientError) as missing:
        client.models.generate_content(model="nobody/m", contents="Hi")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    assert "nobody/m" in (missing.value.message or "")
    with pytest.raises(errors.ClientError) as wrong:
        client.models.generate_content(model=SIM, contents="Hi", config={"temperature": 7})
    assert (wrong.value.code, wrong.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ClientError) as streamed:
        list(client.models.generate_content_stream(model="nobody/m", contents="Hi"))
    assert streamed.value.code == 404
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{house.port}")
    with (
        genai.Client(api_key="sk-wrong", http_options=options) as stranger,
        pytest.raises(errors.ClientError) as unknown,
    ):
        stranger.models.generate_content(model=SIM, contents="Hi")
    assert (unknown.value.code, unknown.value.status) == (401, "UNAUTHENTICATED")


def test_a_stream_that_breaks_off_is_an_error(direct: genai.Client, backstage: Backstage) -> None:
    """After the text that came before it."""
    backstage.play([Send(chunked(ROLE, delta({"content": "He"}))[:-5]), Close()])
    chunks = direct.models.generate_content_stream(model=OTHER, contents="Hi")
    assert next(chunks).text == "He"
    with pytest.raises(errors.ServerError) as caught:
        next(chunks)
    assert caught.value.code == 502


def test_a_silent_host(direct: genai.Client, backstage: Backstage) -> None:
    """Heartbeats before the first word and between words disturb neither text nor history."""
    play: list[Step] = [Pause(0.7), Send(chunked(ROLE, delta({"content": "He"}))[:-5]), Pause(0.7)]
    rest = chunked(delta({"content": "llo"}), STOP, LAST_USAGE, DONE).partition(b"\r\n\r\n")[2]
    backstage.play([*play, Send(rest)], [Send(completion())])
    chat = direct.chats.create(model=OTHER)
    chunks = list(chat.send_message_stream("Hi"))
    assert len(chunks) > 5
    assert "".join(chunk.text or "" for chunk in chunks) == "Hello"
    chat.send_message("and?")
    assert backstage.bodies[1]["messages"][1] == {"role": "assistant", "content": "Hello"}


def test_a_host_that_speaks_the_dialect(direct: genai.Client, backstage: Backstage) -> None:
    """What it says reaches the SDK as it is, signatures too, and they come back to it."""
    signature = "c2lnbmF0dXJl"
    part = {"functionCall": {"name": "get_weather", "args": {"city": "Rome"}}, "thoughtSignature": signature}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    ending = {"usageMetadata": usage, "modelVersion": "m-001", "responseId": "r"}
    asks = {"candidates": [{"content": {"parts": [part], "role": "model"}, "finishReason": "STOP"}], **ending}
    text = {"content": {"parts": [{"text": "Nice."}], "role": "model"}, "finishReason": "STOP"}
    answer = {"candidates": [text], **ending}
    backstage.play(*[[Send(whole(json.dumps(one).encode()))] for one in (asks, answer)])
    chat = direct.chats.create(model=OWN, config=types.GenerateContentConfig(tools=[get_weather]))
    found = chat.send_message("Weather?")
    assert (found.text, found.model_version, found.response_id) == ("Nice.", "m-001", "r")
    returned = backstage.bodies[1]["contents"][1]["parts"][0]
    assert returned["thoughtSignature"] == signature
    assert returned["functionCall"]["name"] == "get_weather"


def test_the_client_for_vertex(house: Gateway) -> None:
    """It spells paths in its own way."""
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{house.port}")
    with genai.Client(enterprise=True, api_key=house.key, http_options=options) as client:
        assert client.models.generate_content(model=SIM, contents="Hello").text
        assert client.models.count_tokens(model=SIM, contents="Hello").total_tokens
