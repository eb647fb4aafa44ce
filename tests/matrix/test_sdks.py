"""The vendors' own SDKs for Python before every host of another dialect: text, streams, tools and their results."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import types

from tests.matrix.rig import Rig, model_at, rigged
from tests.matrix.scenarios import BOTH, FINE, PARIS
from tests.matrix.test_thinking import SIGNERS
from tests.matrix.upstreams.every import HOSTS
from tests.matrix.upstreams.server import Host
from tests.matrix.words import TOOLS, Said

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALLING = Said("I look.", thought="Paris, I guess.", calls=(PARIS,), finish="tool_calls")
QUESTION = "Weather?"
SUN = "sun in Paris"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """The gateway."""
    async with rigged() as made:
        yield made


@pytest.fixture(params=list(HOSTS))
def host(rig: Rig, request: pytest.FixtureRequest) -> Host:
    """Each host in turn; it calls a tool, and then answers."""
    found = rig.hosts[request.param]
    found.says(CALLING, FINE)
    return found


def check(host: Host) -> None:
    """The host was asked twice, the second time with the call and what came of it."""
    assert host.refused == []
    first, second = host.got
    assert set(first.tools) == set(BOTH)
    assert not first.thinks or host.name not in SIGNERS or len(second.proofs) == 1
    call = second.turns[1].calls[0]
    assert (call.name, call.arguments) == (PARIS.name, PARIS.arguments)
    result = second.turns[2].results[0]
    assert (result.name, result.text) == (PARIS.name, SUN)


def plain(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what the SDK itself adds to a streamed one."""
    for call in message["tool_calls"]:
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    return {name: value for name, value in message.items() if name != "parsed"}


async def complete(sdk: openai.AsyncOpenAI, asked: dict[str, Any], *, streamed: bool) -> Any:
    """A completion, put together by the SDK where it is streamed."""
    if not streamed:
        return await sdk.chat.completions.create(**asked)
    async with sdk.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        return await stream.get_final_completion()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_openai(rig: Rig, host: Host, streamed: bool) -> None:
    """Its accumulating stream gives the same message as a whole answer."""
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": TOOLS[name]}} for name in BOTH]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    asked: dict[str, Any] = {"model": model_at(host), "messages": messages, "tools": tools}
    url = f"http://127.0.0.1:{rig.door.port}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=rig.door.key, max_retries=0) as sdk:
        first = await complete(sdk, asked, streamed=streamed)
        assert first.usage.completion_tokens == host.counts.output
        assert first.choices[0].finish_reason == "tool_calls"
        (call,) = first.choices[0].message.tool_calls
        assert json.loads(call.function.arguments) == PARIS.arguments
        messages.append(plain(first.choices[0].message.to_dict()))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": SUN})
        second = await complete(sdk, asked, streamed=streamed)
    assert second.choices[0].message.content == FINE.text
    check(host)


async def message(sdk: anthropic.AsyncAnthropic, asked: dict[str, Any], *, streamed: bool) -> Any:
    """A message, put together by the SDK where it is streamed."""
    if not streamed:
        return await sdk.messages.create(**asked)
    async with sdk.messages.stream(**asked) as stream:
        return await stream.get_final_message()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_anthropic(rig: Rig, host: Host, streamed: bool) -> None:
    """Its accumulating stream gives the same message as a whole answer; thoughts go back with the history."""
    tools: Any = [{"name": name, "input_schema": TOOLS[name]} for name in BOTH]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    asked: dict[str, Any] = {"model": model_at(host), "max_tokens": 4000, "messages": messages, "tools": tools}
    asked["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    url = f"http://127.0.0.1:{rig.door.port}"
    async with anthropic.AsyncAnthropic(base_url=url, api_key=rig.door.key, max_retries=0) as sdk:
        first = await message(sdk, asked, streamed=streamed)
        assert first.usage.output_tokens == host.counts.output
        assert first.stop_reason == "tool_use"
        (call,) = [block for block in first.content if block.type == "tool_use"]
        assert call.input == PARIS.arguments
        result = {"type": "tool_result", "tool_use_id": call.id, "content": SUN}
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        second = await message(sdk, asked, streamed=streamed)
    assert second.content[-1].text == FINE.text
    check(host)


async def pieces_of(chat: Any, said: Any, *, streamed: bool) -> list[types.GenerateContentResponse]:
    """The next answer of a chat."""
    if streamed:
        return [piece async for piece in await chat.send_message_stream(said)]
    return [await chat.send_message(said)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_google_genai(rig: Rig, host: Host, streamed: bool) -> None:
    """Its chat keeps the history, signatures too, whatever pieces an answer came in."""
    declared = [types.FunctionDeclaration(name=name, parameters_json_schema=TOOLS[name]) for name in BOTH]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declared)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{rig.door.port}", timeout=20_000)
    sdk = genai.Client(api_key=rig.door.key, http_options=options)
    chat = sdk.aio.chats.create(model=model_at(host), config=config)
    first = await pieces_of(chat, QUESTION, streamed=streamed)
    usage = first[-1].usage_metadata
    assert usage is not None
    assert (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) == host.counts.output
    (call,) = [call for piece in first for call in piece.function_calls or ()]
    assert call.args == PARIS.arguments
    response = types.FunctionResponse(id=call.id, name=call.name, response={"result": SUN})
    second = await pieces_of(chat, types.Part(function_response=response), streamed=streamed)
    assert "".join([piece.text or "" for piece in second]) == FINE.text
    check(host)
