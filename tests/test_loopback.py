"""Telling an inference engine on this machine from whatever else may listen there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.loopback import ENGINES, MAX_ANSWER_BYTES, MAX_MODELS, Engine, Probed, fetch_loopback, probe, read
from tollhouse.settings.aliases import is_model_name
from tollhouse.types.calls import Prices

OLLAMA, LLAMACPP, VLLM, LMSTUDIO = ENGINES


def listing(*models: str, owner: str = "library", **more: object) -> bytes:
    """A model list in OpenAI's shape."""
    rows = [{"id": model, "object": "model", "owned_by": owner, **more} for model in models]
    return msgspec.json.encode({"object": "list", "data": rows})


def http(body: bytes, status: int = 200, kind: str = "application/json") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def listener(answer: bytes | Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[int]:
    """A server on 127.0.0.1 that answers every connection alike; yields its port."""
    accepted: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        if callable(answer):
            answer(writer)
            return
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in accepted:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        await server.wait_closed()


async def ask(answer: bytes | Callable[[asyncio.StreamWriter], None], timeout_s: float = 5) -> Probed:
    """What a probe of a port with this answer says."""
    async with listener(answer) as port:
        engine = Engine("vllm", "vLLM", port, "vllm", "vllm serve MODEL")
        return await probe(engine, fetch_loopback, timeout_s)


async def test_an_engine_and_its_models_are_found() -> None:
    """An engine that lists models is used, at no cost, with the context it states."""
    probed = await ask(http(listing("qwen3-32b", owner="vllm", max_model_len=40_960)))
    assert probed.finding.state == "found"
    assert probed.models is not None
    facts = probed.models["qwen3-32b"]
    assert facts.context_tokens == 40_960
    assert facts.prices == Prices(input=0, output=0, cache_read=0, cache_write=0)


async def test_an_answer_in_pieces_is_read_whole() -> None:
    """However the network cuts an answer, it is read to its end."""
    answer = http(listing("a", "b", owner="vllm"))

    def trickle(writer: asyncio.StreamWriter) -> None:
        for index in range(len(answer)):
            writer.write(answer[index : index + 1])
        writer.close()

    probed = await ask(trickle)
    assert probed.models is not None
    assert list(probed.models) == ["a", "b"]


@pytest.mark.parametrize(
    "answer",
    [
        http(b"<html>hello</html>", kind="text/html"),
        http(b"<html>not found</html>", 404),
        http(b'{"object": "list"}'),
        http(b'{"object": "list", "data": {}}'),
        http(b'{"data": [{"id": "x"}]}'),
        http(b"[]"),
        http(b"[" * 100_000),
        http(b'{"detail": "Not Found"}', 404),
        http(b'{"object": "list", "data": []}', 500),
        b"HTTP/1.1 301 Moved\r\nLocation: http://elsewhere.example/\r\n\r\n",
    ],
)
async def test_a_web_server_is_not_an_engine(answer: bytes) -> None:
    """Something else on an engine's port is recognised, reported and left alone; no redirect is followed."""
    probed = await ask(answer)
    assert probed.models is None
    assert (probed.finding.state, probed.finding.name) == ("skipped", "vllm")
    assert "not an inference engine" in probed.finding.reason


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"\x00" * 100]
)
async def test_what_is_not_http_is_left_alone(answer: bytes) -> None:
    """A database or a broken server on the port does no harm."""
    probed = await ask(answer)
    assert probed.models is None
    assert "does not speak HTTP" in probed.finding.reason


async def test_an_endless_answer_is_cut_off() -> None:
    """An answer over the cap is not read to its end."""
    probed = await ask(http(b"x" * (MAX_ANSWER_BYTES + 100_000)))
    assert probed.models is None
    assert probed.finding.state == "skipped"


async def test_a_silent_server_costs_one_short_wait() -> None:
    """A port that accepts and says nothing is given up at the deadline."""
    probed = await ask(lambda _: None, timeout_s=0.05)
    assert (probed.models, probed.finding.state) == (None, "missing")
    assert "did not answer within 0.05 s" in probed.finding.reason


async def test_nothing_there_says_how_to_start_it() -> None:
    """A port that refuses is reported with the command that starts the engine."""
    async with listener(b"") as port:
        pass
    probed = await probe(Engine("ollama", "Ollama", port, "library", "ollama serve"), fetch_loopback, 5)
    assert probed.finding.state == "missing"
    assert probed.finding.fix == "ollama serve"


@pytest.mark.parametrize("status", [401, 403])
def test_an_engine_that_asks_for_a_key_must_be_declared(status: int) -> None:
    """Without a key there is nothing to guess: the settings are named."""
    probed = read(VLLM, status, b'{"error": "Unauthorized"}')
    assert probed.models is None
    assert 'base_url = "http://127.0.0.1:8000/v1"' in probed.finding.fix


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"error": {"message": "no", "code": "invalid_api_key", "error_id": "UNAUTHORIZED"}}'),
        (200, listing("tollhouse/sim", "openai/gpt-4o", owner="tollhouse")),
    ],
)
def test_another_tollhouse_is_never_called(status: int, body: bytes) -> None:
    """A gateway on an engine's port is told from an engine, or two gateways could call each other in a ring."""
    probed = read(LLAMACPP, status, body)
    assert probed.models is None
    assert "another Tollhouse" in probed.finding.reason


def test_an_engine_is_known_by_its_list_not_by_its_port() -> None:
    """VLLM on the port of llama.cpp is vLLM."""
    probed = read(LLAMACPP, 200, listing("m", owner="vllm"))
    assert (probed.engine, probed.port, probed.finding.name) == (VLLM, 8080, "vllm")
    assert read(LLAMACPP, 200, listing("m", owner="somebody")).engine is LLAMACPP


@pytest.mark.parametrize("data", ["null", "[]"])
def test_an_engine_without_models_is_found(data: str) -> None:
    """A fresh Ollama lists null; a model pulled later can be called by name at once."""
    probed = read(OLLAMA, 200, f'{{"object": "list", "data": {data}}}'.encode())
    assert (probed.finding.state, probed.models) == ("found", {})


def test_a_models_training_context_counts() -> None:
    """llama.cpp states the context under meta."""
    models = read(LLAMACPP, 200, listing("m", owner="llamacpp", meta={"n_ctx_train": 8192})).models
    assert models is not None
    assert models["m"].context_tokens == 8192


@pytest.mark.parametrize("window", [0, -5, "8k", 1 << 40, None, [1], True])
def test_a_senseless_context_is_unknown(window: object) -> None:
    """A window that cannot be true is not taken over."""
    models = read(VLLM, 200, listing("m", owner="vllm", max_model_len=window)).models
    assert models is not None
    assert models["m"].context_tokens is None


def test_odd_rows_are_passed_over() -> None:
    """A row that is no model, and a name that no request could hold, are not offered."""
    rows = [1, {}, {"id": 5}, {"id": "a b"}, {"id": "a#b"}, {"id": ""}, {"id": "good"}]
    models = read(LMSTUDIO, 200, msgspec.json.encode({"object": "list", "data": rows})).models
    assert models is not None
    assert list(models) == ["good"]
    many = read(VLLM, 200, listing(*(f"m{number}" for number in range(MAX_MODELS + 5)), owner="vllm")).models
    assert many is not None
    assert len(many) == MAX_MODELS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "owned_by", "max_model_len", "meta"])
ROWS = st.dictionaries(FIELDS, JSON | st.just("vllm") | st.fixed_dictionaries({"n_ctx_train": JSON}), max_size=4)
LISTS = st.fixed_dictionaries({"object": st.just("list"), "data": st.lists(ROWS | JSON, max_size=4) | JSON})
ANSWERS = (LISTS | JSON | st.fixed_dictionaries({"error": JSON})).map(json.dumps).map(str.encode)


@given(ANSWERS | st.binary(max_size=64), st.sampled_from([200, 401, 404, 500]))
async def test_no_answer_breaks_a_probe(body: bytes, status: int) -> None:
    """Whatever a local server answers, a probe ends with a finding, and names only models that can be called."""

    async def fetch(_port: int, _path: str) -> tuple[int, bytes]:
        return status, body

    probed = await probe(VLLM, fetch, 5)
    assert probed.finding.state in {"found", "skipped"}
    assert all(is_model_name(name) for name in probed.models or ())


@pytest.mark.parametrize("owner", [[], {}, [{}], 1, None, True, 1.5])
def test_an_owner_that_is_no_text_is_passed_over(owner: object) -> None:
    """A hostile server may put any value where the owner's name belongs, and its models are still listed."""
    body = msgspec.json.encode({"object": "list", "data": [{"id": "a", "owned_by": owner}]})
    probed = read(OLLAMA, 200, body)
    assert (probed.engine, list(probed.models or ())) == (OLLAMA, ["a"])


@pytest.mark.parametrize("body", [b"9" * 10_000, b'{"data":' + b"9" * 10_000 + b"}", b'{"a":' * 100_000, b'"\\ud800"'])
def test_an_answer_beyond_all_bounds_is_no_engine(body: bytes) -> None:
    """Numbers without end, nesting without end and half characters are not an engine's answer, and no crash."""
    assert read(VLLM, 200, body).models is None


@pytest.mark.parametrize(
    ("answer", "provider"),
    [
        ((200, b'{"version": "0.12.6"}'), "ollama"),
        ((200, b'{"version": 1}'), "openai"),
        ((404, b'{"version": "1"}'), "openai"),
        ((200, b"<html>"), "openai"),
        (ConnectionResetError(), "openai"),
        (TimeoutError(), "openai"),
    ],
)
async def test_an_engine_with_an_api_of_its_own_is_spoken_to_in_it(
    answer: tuple[int, bytes] | Exception, provider: str
) -> None:
    """Ollama is told from what only lists models as it does by its version; in doubt the list's own dialect is used."""

    async def fetch(_port: int, path: str) -> tuple[int, bytes]:
        if path == "/v1/models":
            return 200, listing("llama3:8b")
        assert path == "/api/version"
        if isinstance(answer, Exception):
            raise answer
        return answer

    probed = await probe(OLLAMA, fetch, 5)
    assert (probed.finding.state, probed.provider) == ("found", provider)


async def test_an_engine_without_an_api_of_its_own_is_asked_once() -> None:
    """Nothing but the list is asked of the others."""
    asked: list[str] = []

    async def fetch(_port: int, path: str) -> tuple[int, bytes]:
        asked.append(path)
        return 200, listing("m", owner="vllm")

    assert (await probe(OLLAMA, fetch, 5)).provider == "openai"
    assert asked == ["/v1/models"]
