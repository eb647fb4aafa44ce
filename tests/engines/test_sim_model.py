"""`tollhouse/sim` as a connector: every parameter of a request is honoured, in OpenAI's own shapes."""

import base64
import io
import json
import wave
from typing import Any

import pytest

from tests.engines.sim_asking import HELLO, ask, outgoing, pieces, request
from tollhouse.engines.sim import tokens
from tollhouse.engines.sim.model import Sim
from tollhouse.types.wire import Connector, Timeouts

USAGE = {"include_usage": True}
PNG_64 = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x20\x08\0\0\0\0").decode()


def user(text: str, *before: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation that ends in a user's text."""
    return [*before, {"role": "user", "content": text}]


async def test_it_is_a_connector_that_names_itself() -> None:
    """The model says that it is simulated, in its text and in its fingerprint."""
    connector: Connector = Sim()
    answer = await ask(request())
    assert "simulated" in answer.text
    assert "Hello there, simulated model." in answer.text
    assert answer.json["system_fingerprint"] == "fp_tollhouse_sim_1"
    assert answer.json["model"] == "sim"
    await connector.aclose()


async def test_it_says_what_it_received() -> None:
    """The text reports the number and roles of the messages."""
    answer = await ask(request(messages=user("Ping", {"role": "system", "content": "Be brief."})))
    assert "2 messages (1 system, 1 user)" in answer.text
    assert '"Ping"' in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_n_choices_differ(stream: bool) -> None:
    """Each of n choices is there once, with its own text and finish reason."""
    answer = await ask(request(n=3, stream=stream))
    texts = [answer.text_of(index) for index in range(3)]
    assert len(set(texts)) == 3
    assert [answer.finish(index) for index in range(3)] == [["stop"]] * 3


async def test_choices_of_a_stream_take_turns() -> None:
    """The choices of a stream are interleaved."""
    answer = await ask(request(n=2, stream=True))
    order = [choice["index"] for chunk in answer.chunks for choice in chunk["choices"]]
    assert order[:6] == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stop", ["lang", ["zzz", "lang", " model"], "language model"])
async def test_stop(stop: Any, stream: bool) -> None:
    """The text ends before the first stop text, which is not in it."""
    answer = await ask(request(stop=stop, stream=stream, tollhouse_sim={"reply": "no language model"}))
    assert answer.text == "no "
    assert answer.finish() == ["stop"]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("stream", [False, True])
async def test_limit(name: str, stream: bool) -> None:
    """The text has as many tokens as allowed, and says that it was cut."""
    answer = await ask(request(**{name: 7}, stream=stream))
    assert tokens.count(answer.text) == 7
    assert answer.finish() == ["length"]


async def test_limit_that_is_not_reached() -> None:
    """An answer shorter than its limit ends by itself."""
    answer = await ask(request(max_tokens=3, tollhouse_sim={"reply": "one two three"}))
    assert (answer.text, answer.finish()) == ("one two three", ["stop"])


async def test_stream_and_whole_say_the_same() -> None:
    """Streamed or not, the same seed and request give the same text, usage, id and time."""
    whole = await ask(request(seed=5, n=2))
    streamed = await ask(request(seed=5, n=2, stream=True, stream_options=USAGE))
    assert [whole.text_of(0), whole.text_of(1)] == [streamed.text_of(0), streamed.text_of(1)]
    assert streamed.chunks[-1]["usage"] == whole.json["usage"]
    assert streamed.chunks[0]["id"] == whole.json["id"]


@pytest.mark.parametrize("extra", [
    {}, {"stream": True}, {"n": 2, "logprobs": True, "top_logprobs": 3}, {"response_format": {"type": "json_object"}},
])  # fmt: skip
async def test_seed_repeats_bytes(extra: dict[str, Any]) -> None:
    """The same seed and request give the same bytes; another seed gives other text."""
    first, second = await ask(request(seed=7, **extra)), await ask(request(seed=7, **extra))
    other = await ask(request(seed=8, **extra))
    assert first.raw == second.raw
    assert other.raw != first.raw


async def test_seed_depends_on_the_request() -> None:
    """The same seed with other words gives another identifier; with another user's name it gives the same text."""
    first = await ask(request(seed=7))
    assert (await ask(request(seed=7, user="someone", metadata={"a": "b"}, store=True))).text == first.text
    assert (await ask(request(seed=7, messages=user("Other")))).json["id"] != first.json["id"]


@pytest.mark.parametrize("greedy", [{"temperature": 0}, {"top_p": 0}, {"temperature": 0.0}])
async def test_greedy_text_repeats(greedy: dict[str, Any]) -> None:
    """At temperature 0 the text is always the same, while each answer keeps its own identifier."""
    first, second = await ask(request(**greedy)), await ask(request(**greedy))
    assert first.text == second.text
    assert first.json["id"] != second.json["id"]


async def test_without_seed_texts_vary() -> None:
    """Without a seed the text is not always the same."""
    assert len({(await ask(request(verbosity="high"))).text for _ in range(5)}) > 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("top", [None, 0, 5, 20])
async def test_logprobs(top: int | None, stream: bool) -> None:
    """Every token has its log probability, and together they spell the text."""
    extra = {} if top is None else {"top_logprobs": top}
    answer = await ask(request(logprobs=True, stream=stream, **extra))
    source = answer.chunks if stream else [answer.json]
    found = [choice["logprobs"] for part in source for choice in part["choices"] if choice["logprobs"]]
    entries = [entry for item in found for entry in item["content"]]
    assert "".join(entry["token"] for entry in entries) == answer.text
    assert all(len(entry["top_logprobs"]) == (top or 0) for entry in entries)


async def test_stream_shape() -> None:
    """A stream has the role first, one token per event, one finish, usage where asked for, and its end mark."""
    answer = await ask(request(stream=True, stream_options=USAGE, max_tokens=4))
    assert answer.chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert answer.chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    assert answer.chunks[-1]["choices"] == []
    assert [chunk["usage"] for chunk in answer.chunks[:-1]] == [None] * 6
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "usage" not in (await ask(request(stream=True))).chunks[0]


async def test_usage_counts_what_is_sent() -> None:
    """Completion tokens are the pieces that a stream sends; prompt tokens follow the documented rule."""
    answer = await ask(request(n=2, stream=True, stream_options=USAGE))
    sent = sum(1 for index in range(2) for delta in answer.deltas(index) if delta.get("content"))
    usage = answer.chunks[-1]["usage"]
    assert usage["completion_tokens"] == sent
    assert usage["prompt_tokens"] == 3 + 3 + tokens.count(HELLO[0]["content"])
    assert usage["total_tokens"] == usage["prompt_tokens"] + sent


async def test_reasoning_effort() -> None:
    """Reasoning tokens follow the effort, count as completion, and leave half of a limit for the text."""
    usage = (await ask(request(reasoning_effort="high", tollhouse_sim={"reply": "ok"}))).json["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 512
    assert usage["completion_tokens"] == 513
    answer = await ask(request(reasoning_effort="high", max_completion_tokens=10))
    assert answer.json["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5
    assert tokens.count(answer.text) == 5
    assert answer.json["usage"]["completion_tokens"] == 10


async def test_prediction() -> None:
    """Predicted tokens are accepted as far as they are right."""
    prediction = {"type": "content", "content": "one two four five"}
    usage = (await ask(request(prediction=prediction, tollhouse_sim={"reply": "one two three"}))).json["usage"]
    details = usage["completion_tokens_details"]
    assert (details["accepted_prediction_tokens"], details["rejected_prediction_tokens"]) == (2, 2)


async def test_verbosity() -> None:
    """A more verbose answer is longer."""
    low, medium, high = [
        tokens.count((await ask(request(seed=1, verbosity=v))).text) for v in ("low", "medium", "high")
    ]
    assert low < medium < high


@pytest.mark.parametrize(("asked", "told"), [("default", "default"), ("fast", "priority"), ("auto", "default")])
async def test_service_tier(asked: str, told: str) -> None:
    """The tier that was asked for is reported as OpenAI reports it."""
    assert (await ask(request(service_tier=asked))).json["service_tier"] == told


# --- media ---------------------------------------------------------------------------------------------------------


async def test_media_are_acknowledged() -> None:
    """Images, sounds and files are counted and described as they are."""
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}", "detail": "high"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"filename": "x.txt", "file_data": "data:text/plain;base64,aGVsbG8="}},
    ]
    answer = await ask(request(messages=[{"role": "user", "content": parts}]))
    assert "1 image, 1 audio, 1 file" in answer.text
    assert "image/png, 64x32 pixels, detail high" in answer.text
    assert "x.txt, text/plain, 5 bytes" in answer.text
    assert answer.json["usage"]["prompt_tokens"] > 255
    assert answer.json["usage"]["prompt_tokens_details"]["audio_tokens"] == 1


@pytest.mark.parametrize("form", ["wav", "pcm16"])
async def test_audio_output(form: str) -> None:
    """Asked for audio, the message carries sound, its transcript and its tokens."""
    body = request(modalities=["text", "audio"], audio={"voice": "alloy", "format": form}, max_tokens=6)
    answer = await ask(body)
    audio = answer.message["audio"]
    assert answer.message["content"] is None
    assert tokens.count(audio["transcript"]) == 6
    data = base64.b64decode(audio["data"])
    if form == "wav":
        with wave.open(io.BytesIO(data)) as file:
            assert file.getnframes() > 0
    details = answer.json["usage"]["completion_tokens_details"]
    assert details["audio_tokens"] > 0
    assert answer.json["usage"]["completion_tokens"] == 6 + details["audio_tokens"]


async def test_audio_stream() -> None:
    """A stream carries the transcript by tokens, then the sound, as pcm16."""
    body = request(modalities=["text", "audio"], audio={"voice": {"id": "v"}, "format": "pcm16"}, stream=True)
    answer = await ask(body)
    audio = [delta["audio"] for delta in answer.deltas(0) if "audio" in delta]
    assert "simulated" in "".join(part.get("transcript", "") for part in audio)
    assert len(b"".join(base64.b64decode(part["data"]) for part in audio if "data" in part)) > 1000
    assert "expires_at" in audio[-1]


@pytest.mark.parametrize(("form", "stream"), [("mp3", False), ("opus", False), ("wav", True), (None, False)])
async def test_audio_formats_it_has_not(form: str | None, stream: bool) -> None:
    """A format that is not made here is a 400, not something else."""
    body = request(modalities=["audio"], audio={"voice": "alloy", "format": form}, stream=stream)
    answer = await ask(body)
    assert (answer.status, answer.error["param"]) == (400, "audio.format")


# --- tool results, JSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["tool", "function"])
async def test_tool_results_are_quoted(role: str) -> None:
    """After a tool's result the answer quotes it and names the tool."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    result = {"role": role, "tool_call_id": "call_1", "content": '{"temp": 21}'}
    before: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [call]}
    if role == "function":
        before = {"role": "assistant", "content": None, "function_call": call["function"]}
        result = {"role": role, "name": "get_weather", "content": '{"temp": 21}'}
    tool = {"type": "function", "function": {"name": "get_weather"}}
    answer = await ask(request(messages=[*user("Weather?"), before, result], tools=[tool]))
    assert 'get_weather returned: {"temp": 21}' in answer.text
    assert answer.finish() == ["stop"]


@pytest.mark.parametrize("stream", [False, True])
async def test_json_object(stream: bool) -> None:
    """Asked for JSON, the content is a JSON object that says it is simulated."""
    answer = await ask(request(response_format={"type": "json_object"}, stream=stream))
    assert json.loads(answer.text)["simulated"] is True


SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["city", "days"],
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
async def test_json_schema(stream: bool) -> None:
    """Asked for a schema, the content is an instance of it, with values from the text."""
    form = {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA, "strict": True}}
    answer = await ask(request(messages=user("Go to Oslo for 4 days"), response_format=form, stream=stream))
    assert json.loads(answer.text) == {"city": "Oslo", "days": 4}
    cut = await ask(request(messages=user("Go to Oslo for 4 days"), response_format=form, max_tokens=3, stream=stream))
    assert cut.finish() == ["length"]
    assert answer.text.startswith(cut.text)


async def test_json_schema_without_schema() -> None:
    """A format without a schema of its own gives some JSON."""
    form = {"type": "json_schema", "json_schema": {"name": "any"}}
    json.loads((await ask(request(response_format=form))).text)


async def test_impossible_schema_is_refused() -> None:
    """A schema that cannot be honoured is a 400 that names the keyword and its place."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<=x)y"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "bad", "schema": schema}}
    answer = await ask(request(response_format=form))
    assert answer.status == 400
    assert "'pattern'" in answer.error["message"]
    assert answer.error["param"] == "response_format"


# --- bad requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "param"), [
    ({"messages": []}, "messages"), ({"messages": "hi"}, "messages"), ({"messages": [3]}, "messages[0]"),
    ({"messages": [{"role": "robot"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url.url"),
    ({"model": None}, "model"), ({"model": 3}, "model"), ({"n": 0}, "n"), ({"n": "2"}, "n"), ({"n": 129}, "n"),
    ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": True}, "max_tokens"), ({"stop": 3}, "stop"),
    ({"stop": [3]}, "stop"),
    ({"seed": 1.5}, "seed"), ({"stream": "yes"}, "stream"), ({"temperature": "0"}, "temperature"),
    ({"top_logprobs": 3}, "top_logprobs"), ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"response_format": {"type": "xml"}}, "response_format.type"), ({"response_format": "json"}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"), ({"modalities": ["audio"]}, "audio"),
    ({"tools": {}}, "tools"), ({"tools": [{}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function.name"), ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": 3}, "tool_choice"), ({"prediction": {"content": 3}}, "prediction.content"),
    ({"stream": True, "stream_options": 3}, "stream_options"),
    ({"n": 100, "tollhouse_sim": {"tokens": 100_000}}, "tollhouse_sim.tokens"),
    ({"logprobs": True, "top_logprobs": 20, "tollhouse_sim": {"tokens": 100_000}}, "tollhouse_sim.tokens"),
])  # fmt: skip
async def test_bad_fields_are_named(fields: dict[str, Any], param: str) -> None:
    """A field that cannot be used is a 400 that names its path."""
    answer = await ask(request(**fields))
    assert (answer.status, answer.error["param"]) == (400, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff", b'{"model": "\\ud800"}', b"[" * 5000])
async def test_broken_bodies(body: bytes) -> None:
    """A body that is not a JSON object is a 400."""
    sent = outgoing({})
    incoming = await Sim().send(type(sent)(sent.method, sent.path, sent.headers, body), Timeouts())
    assert incoming.status == 400
    assert json.loads(await incoming.read(1000))["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/embeddings"),
                                              ("GET", "/v1/chat/completions")])  # fmt: skip
async def test_other_routes(method: str, path: str) -> None:
    """Only chat completions are answered."""
    incoming = await Sim().send(outgoing(request(), path, method), Timeouts())
    assert incoming.status == 404
    incoming.close()


async def test_large_requests_are_answered() -> None:
    """A prompt of a million characters is counted whole and quoted in part."""
    answer = await ask(request(messages=user("word " * 200_000)))
    assert answer.json["usage"]["prompt_tokens"] > 200_000
    assert len(answer.text) < 2000


async def test_long_streams_come_in_batches() -> None:
    """A long answer at full speed comes in pieces of many events, so that it is fast and blocks nobody."""
    found = [piece async for piece in pieces(request(stream=True, tollhouse_sim={"tokens": 5000}))]
    assert 50 < len(found) < 200
    assert all(piece.endswith(b"\n\n") for piece in found)


async def test_seeded_bytes_are_the_same_everywhere() -> None:
    """A seeded answer is the same in every process and on every version of Python."""
    schema = {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"},
                                               "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}},
              "required": ["code", "id"], "minProperties": 3}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = await ask(request(seed=1, response_format=form))
    assert answer.json["id"] == "chatcmpl-vdQC7OY6KFq8DrpN18Tb1Dzotpee5"
    assert answer.text == '{"id": "3ac0aebb-fab3-4512-89ba-90659e954984", "code": "LCO-0628", "name": "example name"}'


async def test_clock_and_chance_are_given() -> None:
    """An answer without a seed takes its time and its chance from what the model was given."""
    first, second = [await ask(request(), Sim(now_s=lambda: 1234.5, entropy=lambda: 1)) for _ in range(2)]
    assert first.json["created"] == 1234
    assert first.raw == second.raw
