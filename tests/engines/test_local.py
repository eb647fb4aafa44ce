"""Starting, guarding and stopping a local model."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.engines.local_kit import Client, client_of, running, serving
from tollhouse.engines.local import TINY_PATH, LocalEngine, LocalOptions
from tollhouse.engines.local_loader import LocalEngineError, load, missing_abilities
from tollhouse.errors import UpstreamUnreachable
from tollhouse.types.calls import Prices

NEEDED = "flags\t\t: fpu sse2 avx avx2 fma f16c bmi2 aes\n"


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """The shipped model, served."""
    with serving() as started:
        yield started


async def test_the_shipped_model_answers(engine: LocalEngine) -> None:
    """A fresh install answers a chat request with a real model and no network."""
    async with client_of(engine.host) as client:
        reply = await client.whole("What is the capital of France?")
    assert reply["choices"][0]["message"]["content"] == "The capital of France is Paris."


def test_the_facts_are_the_files(engine: LocalEngine) -> None:
    """What the model list shows comes from the file, and a local token costs nothing, which is not unknown."""
    assert engine.facts.id == "tollhouse/tiny"
    assert engine.facts.context_tokens == 2048
    assert engine.facts.prices == Prices(0, 0, 0, 0, 0, 0, 0)
    assert engine.models == (engine.facts,)
    assert (engine.gguf.name, engine.gguf.architecture, engine.gguf.can_chat) == ("tollhouse/tiny", "llama", True)


async def test_a_model_is_named_after_its_file(tmp_path: Path) -> None:
    """A file that is dropped in is called by its name without ``.gguf``."""
    path = tmp_path / "My.Model-q8.gguf"
    path.symlink_to(TINY_PATH)
    engine = await LocalEngine.start(path, options=LocalOptions(slots=1, context_tokens=256))
    try:
        assert (engine.name, engine.facts.context_tokens) == ("My.Model-q8", 256)
        async with client_of(engine.host) as client:
            assert (await client.whole("Hi", ignore_eos=True))["usage"]["total_tokens"] == 256
    finally:
        await engine.aclose()


async def test_nobody_else_on_the_machine_can_use_it(engine: LocalEngine) -> None:
    """The engine's own port answers no one who lacks the random key, and listens on loopback only."""
    assert engine.host.base_url.startswith("http://127.0.0.1:")
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()
    async with client_of(engine.host) as client:
        for path in ("/v1/chat/completions", "/completion", "/v1/embeddings", "/tokenize", "/apply-template"):
            status, content = await client.post(path, body, key="guess")
            assert status == 401, path
            assert b"Invalid API Key" in content


async def test_other_peoples_prompts_cannot_be_seen(engine: LocalEngine) -> None:
    """The page that lists running requests, and the engine's web page, are off."""
    async with client_of(engine.host) as client:
        assert (await client.post("/slots", b"", method="GET"))[0] == 501
        assert (await client.post("/", b"", method="GET"))[0] == 404


async def test_keys_are_random(engine: LocalEngine) -> None:
    """Two engines have two keys, and neither prints its own."""
    async with running() as other:
        assert engine.host.credential != other.host.credential
        assert engine.host.credential is not None
        assert engine.host.credential.reveal() not in repr(engine)


async def test_a_slow_start_does_not_hold_up_the_loop() -> None:
    """While a start waits, here for a slow import, other work goes on."""
    ticks = 0

    def slow() -> ModuleType:
        time.sleep(0.5)
        return load()

    starting = asyncio.create_task(LocalEngine.start(TINY_PATH, options=LocalOptions(slots=1), loader=slow))
    while not starting.done():
        await asyncio.sleep(0.01)
        ticks += 1
    await (await starting).aclose()
    assert ticks >= 10


async def test_closing_frees_the_port() -> None:
    """A closed engine takes no more connections."""
    engine = await LocalEngine.start(TINY_PATH, options=LocalOptions(slots=1, context_tokens=256))
    await engine.aclose()
    async with client_of(engine.host) as client:
        with pytest.raises(UpstreamUnreachable):
            await client.whole("Hi")


async def test_closing_at_work_neither_hangs_nor_blocks() -> None:
    """An engine that is closed while clients still wait gives up after its patience, and the loop runs on meanwhile."""
    engine = await LocalEngine.start(TINY_PATH, options=LocalOptions(slots=1, threads=1))
    async with client_of(engine.host) as client:
        long = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 1900, "ignore_eos": True}
        incoming, _ = await client.send(long)
        waiting = [asyncio.create_task(client.send(long)) for _ in range(20)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(engine.aclose(patience_s=0.2))
        ticks = 0
        while not closing.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks >= 3
        incoming.close()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_closed_connection_stops_its_generation() -> None:
    """Twelve long answers that nobody waits for any more, most of them still queued, are not computed to their end."""
    long = {"stream": True, "max_tokens": 1000, "ignore_eos": True}
    async with running() as engine, client_of(engine.host) as client:
        body = {"messages": [{"role": "user", "content": "Tell me a story"}], **long}
        incoming, _ = await client.send(body)
        queued = [asyncio.create_task(client.send(body)) for _ in range(11)]
        await asyncio.sleep(0.05)
        incoming.close()
        for task in queued:
            task.cancel()
        for outcome in await asyncio.gather(*queued, return_exceptions=True):
            if not isinstance(outcome, BaseException):
                outcome[0].close()
        async with asyncio.timeout(30):
            while (await figure(client, "requests_processing")) + (await figure(client, "requests_deferred")):  # noqa: ASYNC110 (the engine tells nobody)
                await asyncio.sleep(0.02)
        assert await figure(client, "tokens_predicted_total") < 6000
        reply = await client.whole("What is 2 + 2?")
        assert reply["choices"][0]["message"]["content"] == "2 + 2 = 4"


async def figure(client: Client, name: str) -> int:
    """One of the engine's own figures."""
    _, content = await client.post("/metrics", b"", method="GET")
    return next(int(line.split()[1]) for line in content.decode().splitlines() if line.startswith(f"llamacpp:{name} "))


async def test_embeddings_come_from_a_server_of_their_own() -> None:
    """The first request for embeddings starts that server, once, and equal texts get equal vectors."""
    async with running() as engine:
        host, again = await asyncio.gather(engine.embeddings_host(), engine.embeddings_host())
        assert host is again
        assert host.base_url != engine.host.base_url
        async with client_of(host) as client:
            body = json.dumps({"input": ["a cat", "a stone bridge", "a cat"]}).encode()
            status, content = await client.post("/v1/embeddings", body)
            guess, _ = await client.post("/v1/embeddings", body, key="guess")
        reply = json.loads(content)
        vectors = [row["embedding"] for row in reply["data"]]
        assert (status, guess) == (200, 401)
        assert [len(vector) for vector in vectors] == [160, 160, 160]
        assert vectors[0] == pytest.approx(vectors[2], abs=1e-5)
        assert vectors[0] != pytest.approx(vectors[1], abs=1e-2)
        assert reply["usage"]["prompt_tokens"] > 0


def test_a_missing_engine_says_how_to_get_it() -> None:
    """Without the extra, the message is the command that installs it."""
    with pytest.raises(LocalEngineError, match=r'pip install "tollhouse\[local\]"'):
        load("an_engine_that_is_not_installed")


async def test_a_missing_engine_is_told_at_start() -> None:
    """Starting a model without the extra fails with that message, not with an import error."""
    with pytest.raises(LocalEngineError, match="not installed"):
        await LocalEngine.start(TINY_PATH, loader=lambda: load("an_engine_that_is_not_installed"))


def test_an_engine_that_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is told apart from a missing one."""
    (tmp_path / "broken_engine_a.py").write_text("import a_part_that_is_missing\n")
    (tmp_path / "broken_engine_b.py").write_text("raise ImportError('wrong ABI')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LocalEngineError, match="lacks a part: No module named 'a_part_that_is_missing'"):
        load("broken_engine_a")
    with pytest.raises(LocalEngineError, match="does not load: wrong ABI"):
        load("broken_engine_b")


def test_an_old_processor_is_refused_before_it_crashes(tmp_path: Path) -> None:
    """On an x86-64 machine without AVX2 the engine would end the process, so it is not even imported."""
    info = tmp_path / "cpuinfo"
    info.write_text(NEEDED.replace("avx2 ", "").replace("bmi2 ", ""))
    with pytest.raises(LocalEngineError, match="avx2, bmi2"):
        load(cpu_info=info, machine="x86_64")


def test_a_fit_or_silent_processor_is_not_refused(tmp_path: Path) -> None:
    """Only a processor that is known to lack something is refused."""
    info = tmp_path / "cpuinfo"
    info.write_text(NEEDED)
    assert missing_abilities(info, "x86_64") == []
    info.write_text("model name: a mystery\n")
    assert missing_abilities(info, "x86_64") == []
    assert missing_abilities(tmp_path / "nothing", "x86_64") == []
    assert missing_abilities(info, "aarch64") == []
