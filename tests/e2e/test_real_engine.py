"""A real model behind a real gateway: llama.cpp, reached as what it is and by the Messages API that it has too.

Everything else in this folder plays its upstream. Here both sides were written by others: the engine of the extra
``[local]``, served on a port as any host is, and the SDKs of OpenAI, Anthropic and Google. The engine speaks two of the
dialects itself, so that a client's dialect meets one that is its own and one that is not.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from tests.e2e.asking import WEATHER
from tests.e2e.process import Gateway, running
from tollhouse.engines.local import TINY_PATH, LocalEngine, LocalOptions

NATIVE, MESSAGES = "native/tiny", "messages/tiny"
MODELS = pytest.mark.parametrize("model", [NATIVE, MESSAGES])
CONFIG = """
[embedded]
tiny = false

[providers.native]
base_url = "{url}"
provider = "llamacpp"
api_key = "{key}"
models = ["tiny"]

[providers.messages]
base_url = "{url}"
provider = "anthropic"
auth = "x-api-key"
api_key = "{key}"
models = ["tiny"]
"""
QUESTION, ANSWER = "What is the capital of Japan?", "The capital of Japan is Tokyo."
ASKED: list[Any] = [{"role": "user", "content": QUESTION}]
WEATHER_ASKED: list[Any] = [{"role": "user", "content": "What is the weather in Rome?"}]
FUNCTION = WEATHER["function"]
SCHEMA = {
    "type": "object",
    "properties": {"capital": {"type": "string", "enum": ["Tokyo", "Rome"]}},
    "required": ["capital"],
    "additionalProperties": False,
}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """The shipped model, served by llama.cpp; no test of it where the extra is not installed."""
    pytest.importorskip("xllamacpp")
    started = asyncio.run(LocalEngine.start(TINY_PATH, name="tiny", options=LocalOptions(slots=2, threads=1)))
    with closing(started):
        yield started


@pytest.fixture(scope="module")
def house(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway, in a process of its own."""
    assert engine.host.credential is not None
    config = CONFIG.format(url=engine.host.base_url, key=engine.host.credential.reveal())
    with running(tmp_path_factory.mktemp("engine"), config) as process:
        yield process


@pytest.fixture
def gpt(house: Gateway) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK."""
    with openai.OpenAI(base_url=house.url, api_key=house.key, max_retries=0, timeout=30) as sdk:
        yield sdk


@pytest.fixture
def claude(house: Gateway) -> Iterator[anthropic.Anthropic]:
    """Anthropic's."""
    root = house.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=house.key, max_retries=0, timeout=30) as sdk:
        yield sdk


@pytest.fixture
def gemini(house: Gateway) -> Iterator[genai.Client]:
    """Google's."""
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{house.port}", timeout=30_000)
    with genai.Client(api_key=house.key, http_options=options) as sdk:
        yield sdk


# --- OpenAI ---------------------------------------------------------------------------------------------------------


@MODELS
def test_openai_text(gpt: openai.OpenAI, model: str) -> None:
    """What the model has learned, whole and streamed, with the engine's own counts."""
    whole = gpt.chat.completions.create(model=model, messages=ASKED, temperature=0, max_tokens=40)
    assert whole.choices[0].message.content == ANSWER
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens > 0
    assert whole.usage.completion_tokens > 0
    options: Any = {"include_usage": True}
    chunks = list(
        gpt.chat.completions.create(
            model=model, messages=ASKED, temperature=0, max_tokens=40, stream=True, stream_options=options
        )
    )
    assert len(chunks) > 4
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


@MODELS
def test_openai_cap(gpt: openai.OpenAI, model: str) -> None:
    """An answer that reaches the cap says so."""
    cut = gpt.chat.completions.create(model=model, messages=ASKED, temperature=0, max_tokens=2)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 2


@MODELS
def test_openai_tools(gpt: openai.OpenAI, model: str) -> None:
    """A forced call, whole and streamed, and the answer after its result."""
    asked: dict[str, Any] = {"model": model, "tools": [WEATHER], "temperature": 0, "max_tokens": 60}
    choice: Any = {"type": "function", "function": {"name": FUNCTION["name"]}}
    whole = gpt.chat.completions.create(messages=WEATHER_ASKED, tool_choice=choice, **asked)
    [call] = whole.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == FUNCTION["name"]
    assert isinstance(json.loads(call.function.arguments), dict)
    assert whole.choices[0].finish_reason == "tool_calls"
    with gpt.chat.completions.stream(messages=WEATHER_ASKED, tool_choice=choice, **asked) as stream:
        streamed = stream.get_final_completion().choices[0]
    [made] = streamed.message.tool_calls or []
    assert json.loads(made.function.arguments) == json.loads(call.function.arguments)
    said: Any = whole.choices[0].message.model_dump(exclude_none=True)
    turns = [*WEATHER_ASKED, said, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    after = gpt.chat.completions.create(messages=turns, tool_choice="none", **asked)
    assert after.choices[0].message.content
    assert not after.choices[0].message.tool_calls


@pytest.mark.parametrize("streamed", [False, True])
def test_openai_schema(gpt: openai.OpenAI, *, streamed: bool) -> None:
    """The engine's grammar lets the model write nothing but what the schema asks for."""
    asked: dict[str, Any] = {"model": NATIVE, "messages": ASKED, "response_format": FORMAT, "max_tokens": 40}
    if streamed:
        with gpt.chat.completions.stream(**asked) as stream:
            text = stream.get_final_completion().choices[0].message.content
    else:
        text = gpt.chat.completions.create(**asked).choices[0].message.content
    assert json.loads(text or "")["capital"] in ("Tokyo", "Rome")


def test_a_schema_that_nobody_enforces_is_kept_or_refused(gpt: openai.OpenAI) -> None:
    """llama.cpp's Messages API ignores schemas, and the model is too small to follow one: that is an error, never text
    under the name of JSON.
    """
    with pytest.raises(openai.InternalServerError) as refused:
        gpt.chat.completions.create(model=MESSAGES, messages=ASKED, response_format=FORMAT, max_tokens=40)
    assert refused.value.code == "upstream_bad_json"


# --- Anthropic ------------------------------------------------------------------------------------------------------

COLD = {"temperature": 0}
"""The newest SDK has no argument for it."""
TOOL: Any = {"name": FUNCTION["name"], "description": "The weather", "input_schema": FUNCTION["parameters"]}


@MODELS
def test_anthropic_text(claude: anthropic.Anthropic, model: str) -> None:
    """Translated, and passed through to a host of the same dialect: the same answer and counts."""
    asked: dict[str, Any] = {"model": model, "max_tokens": 40, "messages": ASKED, "extra_body": COLD}
    whole = claude.messages.create(**asked)
    assert [block.text for block in whole.content if block.type == "text"] == [ANSWER]
    assert whole.stop_reason == "end_turn"
    usage = whole.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0)
    with claude.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == ANSWER
    assert final.usage.output_tokens == usage.output_tokens
    assert final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0) == prompt


@MODELS
def test_anthropic_tools(claude: anthropic.Anthropic, model: str) -> None:
    """A forced call, whole and streamed, and the answer after its result."""
    asked: dict[str, Any] = {"model": model, "max_tokens": 60, "tools": [TOOL], "extra_body": COLD}
    choice: Any = {"type": "tool", "name": TOOL["name"]}
    whole = claude.messages.create(messages=WEATHER_ASKED, tool_choice=choice, **asked)
    [call] = [block for block in whole.content if block.type == "tool_use"]
    assert call.name == TOOL["name"]
    assert isinstance(call.input, dict)
    assert whole.stop_reason == "tool_use"
    with claude.messages.stream(messages=WEATHER_ASKED, tool_choice=choice, **asked) as stream:
        final = stream.get_final_message()
    [made] = [block for block in final.content if block.type == "tool_use"]
    assert made.input == call.input
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns: list[Any] = [
        *WEATHER_ASKED,
        {"role": "assistant", "content": whole.content},
        {"role": "user", "content": [result]},
    ]
    after = claude.messages.create(messages=turns, **asked)
    assert after.content


def test_anthropic_schema(claude: anthropic.Anthropic) -> None:
    """It becomes the engine's grammar."""
    form: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
    whole = claude.messages.create(model=NATIVE, max_tokens=40, messages=ASKED, output_config=form)
    [text] = [block.text for block in whole.content if block.type == "text"]
    assert json.loads(text)["capital"] in ("Tokyo", "Rome")


# --- Google ---------------------------------------------------------------------------------------------------------


@MODELS
def test_google_text(gemini: genai.Client, model: str) -> None:
    """Neither host speaks this dialect."""
    config = types.GenerateContentConfig(temperature=0, max_output_tokens=40)
    whole = gemini.models.generate_content(model=model, contents=QUESTION, config=config)
    assert whole.text == ANSWER
    chunks = list(gemini.models.generate_content_stream(model=model, contents=QUESTION, config=config))
    assert "".join(chunk.text or "" for chunk in chunks) == ANSWER
    first, last = whole.usage_metadata, chunks[-1].usage_metadata
    assert first is not None
    assert last is not None
    assert first.candidates_token_count == last.candidates_token_count
    assert first.prompt_token_count == last.prompt_token_count


@MODELS
@pytest.mark.parametrize("streamed", [False, True])
def test_google_tools(gemini: genai.Client, model: str, *, streamed: bool) -> None:
    """A forced call, which a stream tells when it is whole."""
    mode = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    declared = types.FunctionDeclaration(name=FUNCTION["name"], parameters_json_schema=FUNCTION["parameters"])
    config = types.GenerateContentConfig(
        temperature=0,
        max_output_tokens=60,
        tools=[types.Tool(function_declarations=[declared])],
        tool_config=types.ToolConfig(function_calling_config=mode),
    )
    asked: dict[str, Any] = {"model": model, "contents": "What is the weather in Rome?", "config": config}
    answers = gemini.models.generate_content_stream(**asked) if streamed else [gemini.models.generate_content(**asked)]
    [call] = [one for answer in answers for one in answer.function_calls or ()]
    assert call.name == FUNCTION["name"]
    assert isinstance(call.args, dict)


def test_google_schema(gemini: genai.Client) -> None:
    """It becomes the engine's grammar."""
    config = types.GenerateContentConfig(
        max_output_tokens=40, response_mime_type="application/json", response_json_schema=SCHEMA
    )
    text = gemini.models.generate_content(model=NATIVE, contents=QUESTION, config=config).text
    assert json.loads(text or "")["capital"] in ("Tokyo", "Rome")
