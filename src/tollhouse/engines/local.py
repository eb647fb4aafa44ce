"""A GGUF model in this process, by llama.cpp: the engine behind `tollhouse/tiny` and ``tollhouse up --gguf FILE``.

Theory of operation
-------------------
The engine (`xllamacpp`, the extra ``[local]``) brings its own HTTP server with llama.cpp's OpenAI-like surface. It is
started on a loopback port with a random key and given to the gateway as an ordinary `Host`, so that a local model goes
down the same path as any other upstream: the same client, timeouts, cancellation (a closed connection stops the
generation) and decoding, in `providers.llamacpp`. The engine computes in its own threads and without the GIL. Starting
and closing block and are done in a thread; but the engine's constructor holds the GIL while it reads the file, about a
second for each GiB that is not yet in memory, so files are best loaded before the gateway serves.

One `LocalEngine` is one file. Chat and embeddings need differently built contexts, so embeddings get a second server
of the same file, started when they are first asked for; it shares the file's pages with the first. Nothing of the
engine but its health is reachable without the key, and its page that shows other people's prompts (``/slots``), its web
page and its tools are off.

Requests beyond ``slots`` wait in the engine's queue. Every slot has a context of its own.
"""

import asyncio
import ctypes
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tollhouse.engines.local_gguf import GgufFacts, read_facts
from tollhouse.engines.local_loader import LocalEngineError, load
from tollhouse.types.calls import Host, ModelFacts, Prices
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Timeouts

TINY_NAME = "tollhouse/tiny"
TINY_PATH = Path(__file__).parent / "tiny" / "tiny.gguf"

DEFAULT_CONTEXT_TOKENS = 8192
"""For a model that can do more: its whole context may need more memory than the machine has."""
_PROMPT_CACHE_MIB = 256
_HTTP_THREADS = 64
"""Each open connection holds one while it is answered, those in the queue too; the engine adds more at need."""
_SMALL_BYTES = 64 * 1024 * 1024
"""Up to this size one thread is fastest: several would wait for each other longer than they compute."""
_SILENT, _ERRORS_ONLY = -1, 1
"""The engine writes its log to stderr, where ours is JSON: it is heard only when a model fails to load."""
_POOLING_MEAN = 1
_CLOSE_PACE_S = 0.02
_CLOSE_LEAST_S = 0.2
"""A server at rest answers within this, however little patience is left."""
_WORK = re.compile(r"^llamacpp:requests_(?:processing|deferred) [1-9]", re.MULTILINE)
_FREE = Prices(0, 0, 0, 0, 0, 0, 0)
_PATIENCE = Timeouts(connect_s=5.0, first_byte_s=600.0, idle_s=120.0, total_s=3600.0)
"""A long prompt takes minutes on a small machine, and a queued request waits for its slot without a byte."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How a file is served. ``None`` leaves the choice to us: the context to the model, the threads to the engine."""

    context_tokens: int | None = None
    slots: int = 4
    """Requests answered at the same time, and the most choices (``n``) of one request."""
    threads: int | None = None


@dataclass(slots=True)
class LocalEngine:
    """One GGUF file, served. Made by `start`; `close` it when it is no longer wanted."""

    name: str
    """The model's name in requests."""
    path: Path
    host: Host
    """Where the gateway sends chat completions."""
    facts: ModelFacts
    gguf: GgufFacts
    _build: "_Build"
    _servers: list[Any]
    _embeddings: "asyncio.Task[Host] | None" = None

    @property
    def models(self) -> tuple[ModelFacts, ...]:
        """The models of this engine: one."""
        return (self.facts,)

    @classmethod
    async def start(
        cls,
        path: Path,
        *,
        name: str | None = None,
        options: LocalOptions = LocalOptions(),
        loader: Callable[[], ModuleType] = load,
    ) -> "LocalEngine":
        """Loads the model and returns when it answers. The name is the file's, without ``.gguf``, if none is given.

        Raises `LocalEngineError`: no engine, no such file, not GGUF, or a model that this engine cannot run.
        """
        return await asyncio.to_thread(cls._start, path, name or path.stem, options, loader)

    @classmethod
    def _start(cls, path: Path, name: str, options: LocalOptions, loader: Callable[[], ModuleType]) -> "LocalEngine":
        gguf = read_facts(path)
        module = loader()
        context = options.context_tokens or min(gguf.context_tokens or DEFAULT_CONTEXT_TOKENS, DEFAULT_CONTEXT_TOKENS)
        facts = ModelFacts(
            id=name,
            name=gguf.name or name,
            context_tokens=context,
            output_tokens=context,
            tools=gguf.can_chat,
            structured_output=gguf.can_chat,
            prices=_FREE,
        )
        build = _Build(module, path, name, options, context)
        server, host = build.chat() if gguf.can_chat else build.embeddings(gguf)
        return cls(name, path, host, facts, gguf, build, [server])

    async def embeddings_host(self) -> Host:
        """Where the gateway sends embeddings; the first call starts that server. Raises `LocalEngineError`."""
        if not self.gguf.can_chat:
            return self.host
        if self._embeddings is None or (self._embeddings.done() and self._embeddings.exception() is not None):
            self._embeddings = asyncio.create_task(asyncio.to_thread(self._start_embeddings))
        return await asyncio.shield(self._embeddings)

    def _start_embeddings(self) -> Host:
        server, host = self._build.embeddings(self.gguf)
        self._servers.append(server)
        return host

    def close(self, *, patience_s: float = 5.0) -> None:
        """Stops the servers and frees the model; blocks for a moment. Close the connections first.

        While a client waits for an answer, the engine's shutdown waits for the client, with the GIL held. A server that
        is still at work after ``patience_s`` is therefore left alone and ends with the process.
        """
        until = time.monotonic() + patience_s
        while self._servers:
            server = self._servers.pop()
            if not _rests_by(server, until):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))  # a reference that is never given back

    async def aclose(self, *, patience_s: float = 5.0) -> None:
        """As `close`, without blocking the event loop."""
        if self._embeddings is not None:
            await asyncio.wait([self._embeddings])
        await asyncio.to_thread(self.close, patience_s=patience_s)


@dataclass(frozen=True, slots=True)
class _Build:
    """Makes the servers of one file."""

    module: ModuleType
    path: Path
    name: str
    options: LocalOptions
    context: int

    def chat(self) -> tuple[Any, Host]:
        """A server that writes."""
        params = self._params()
        params.n_ctx = self.context * self.options.slots
        server = self._serve(params)
        _prove(server.handle_completions, {"prompt": "a", "max_tokens": 1}, self.path)
        return server, self._host(server, params, self.name)

    def embeddings(self, gguf: GgufFacts) -> tuple[Any, Host]:
        """A server that makes vectors. An input is pooled whole, so it must fit into one batch."""
        params = self._params()
        params.n_parallel = 1
        params.n_ctx = params.n_batch = params.n_ubatch = self.context
        params.embedding = True
        params.no_extra_bufts = True  # no repacked copy of the weights: they are in memory already
        if not gguf.pooling:
            params.pooling_type = self.module.llama_pooling_type(_POOLING_MEAN)
        server = self._serve(params)
        _prove(server.handle_embeddings, {"input": "a"}, self.path)
        return server, self._host(server, params, f"{self.name}-embeddings")

    def _params(self) -> Any:
        """What both kinds have in common."""
        params = self.module.CommonParams()
        params.model.path = str(self.path)
        params.model_alias = {self.name}
        params.api_keys = [secrets.token_urlsafe(32)]
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.n_parallel = self.options.slots
        params.n_threads_http = _HTTP_THREADS
        params.cache_ram_mib = _PROMPT_CACHE_MIB
        params.verbosity = _SILENT
        params.warmup = False
        params.fit_params = False  # loads the file once more to measure it; the context is chosen here
        params.ui = False
        params.endpoint_slots = False
        params.endpoint_metrics = True  # behind the key; `_is_busy` asks it
        threads = self.options.threads or (1 if self.path.stat().st_size < _SMALL_BYTES else None)
        if threads:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        return params

    def _serve(self, params: Any) -> Any:
        try:
            return self.module.Server(params)
        except (RuntimeError, ValueError):
            params.verbosity = _ERRORS_ONLY
        try:
            return self.module.Server(params)
        except (RuntimeError, ValueError) as error:
            raise _cannot_run(self.path) from error

    def _host(self, server: Any, params: Any, name: str) -> Host:
        return Host(
            name=name,
            base_url=f"{server.listening_address}/v1",
            credential=Secret(params.api_keys[0]),
            provider="llamacpp",
            timeouts=_PATIENCE,
            label="this process",
        )


def _prove(handle: Callable[[dict[str, Any]], Any], request: dict[str, Any], path: Path) -> None:
    """Waits for one answer: a server that is stopped before its worker has begun never ends (xllamacpp 2026.10)."""
    try:
        answer = handle(request)
    except (RuntimeError, ValueError) as error:
        raise _cannot_run(path) from error
    if "error" in answer:
        raise _cannot_run(path)


def _rests_by(server: Any, until: float) -> bool:
    """Whether the server has no work left at that moment (of `time.monotonic`).

    It is asked in a thread that may be left behind: it answers between two batches, which on a slow machine is late.
    """
    rests = threading.Event()

    def look() -> None:
        while _is_busy(server):
            if time.monotonic() > until:
                return
            time.sleep(_CLOSE_PACE_S)
        rests.set()

    looking = threading.Thread(target=look, daemon=True, name="tollhouse-local-close")
    looking.start()
    if not rests.wait(max(_CLOSE_LEAST_S, until - time.monotonic())):
        return False
    looking.join()  # it holds the server, which the caller is to free
    return True


def _is_busy(server: Any) -> bool:
    """Whether a request is being answered or waits for a slot."""
    return _WORK.search(str(server.handle_metrics())) is not None


def _cannot_run(path: Path) -> LocalEngineError:
    return LocalEngineError(
        f"The engine cannot run {path}: it is damaged, too large for the memory, or of a kind that the engine does not "
        "know. The engine's own lines on stderr say which."
    )
