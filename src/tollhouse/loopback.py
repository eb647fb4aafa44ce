"""Asking this machine's ports for an inference engine, and telling one from whatever else may listen there.

Called by `discovery` at start. One plain HTTP/1.0 request for each port, and a second where an engine may have a better
API of its own; to 127.0.0.1 only, under short deadlines and a cap on bytes. 8000 and 8080 are the favourite ports of
every web framework, so what answers must show the model list of an engine before it is used; another Tollhouse is told
from an engine, or two could call each other for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from tollhouse.settings.aliases import is_model_name
from tollhouse.types.calls import ModelFacts, Prices, Quirks

State = Literal["found", "missing", "skipped"]
FREE = Prices(input=0, output=0, cache_read=0, cache_write=0)
"""What a call costs at an engine of one's own: known to be nothing, which is not the same as unknown."""
MAX_ANSWER_BYTES = 4 << 20
MAX_MODELS = 2000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked for, how it stands, why, and what to do about it."""

    name: str
    state: State
    reason: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Engine:
    """A local inference server: its default port, the ``owned_by`` of its model list, and how to start it."""

    name: str
    label: str
    port: int
    owner: str
    start: str
    version_path: str = ""
    """What answers ``{"version": ...}`` where the engine has an API of its own, spoken by the file of its name in
    `providers`. Whatever else shows the same list of models is spoken to as the list says.
    """


QUIRKS = Quirks(max_tokens_field="max_tokens")
"""Every release of each engine takes max_tokens; some pass over max_completion_tokens, and an answer would not end.

Read in ``ChatCompletionRequest`` of ollama/ollama openai/openai.go, which has max_tokens alone.
"""
ENGINES = (
    Engine("ollama", "Ollama", 11434, "library", "ollama serve", "/api/version"),
    Engine("llamacpp", "llama.cpp", 8080, "llamacpp", "llama-server -m FILE.gguf"),
    Engine("vllm", "vLLM", 8000, "vllm", "vllm serve MODEL"),
    Engine("lmstudio", "LM Studio", 1234, "organization_owner", "lms server start"),
)

Fetch = Callable[[int, str], Awaitable[tuple[int, bytes]]]
"""Status and body of a GET of a path at a port of 127.0.0.1. Raises OSError, ValueError; cancelled at the deadline."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a port holds. ``models`` is None where it is not to be used."""

    engine: Engine
    port: int
    finding: Finding
    models: Mapping[str, ModelFacts] | None = None
    provider: str = "openai"
    """The file in `providers` that speaks to it."""


async def probe(engine: Engine, fetch: Fetch, timeout_s: float) -> Probed:
    """Asks the port of one engine. Never raises."""
    where = f"127.0.0.1:{engine.port}"
    finding: Finding
    try:
        async with asyncio.timeout(timeout_s):
            status, body = await fetch(engine.port, "/v1/models")
    except TimeoutError:
        finding = Finding(
            engine.name, "missing", f"{where} did not answer within {timeout_s:g} s", f"start {engine.label}"
        )
    except ConnectionRefusedError:
        finding = Finding(engine.name, "missing", f"nothing listens on {where}", engine.start)
    except (OSError, ValueError, EOFError):
        finding = Finding(engine.name, "skipped", f"what listens on {where} does not speak HTTP")
    else:
        return await _own_api(read(engine, status, body), fetch, timeout_s)
    return Probed(engine, engine.port, finding)


async def _own_api(probed: Probed, fetch: Fetch, timeout_s: float) -> Probed:
    """The same, to be spoken to in the engine's own API where it has one."""
    path = probed.engine.version_path
    if probed.models is None or not path:
        return probed
    try:
        async with asyncio.timeout(timeout_s):
            status, body = await fetch(probed.port, path)
    except (OSError, ValueError, EOFError):  # of which TimeoutError is one
        return probed
    own = status == 200 and isinstance(_document(body).get("version"), str)
    return replace(probed, provider=probed.engine.name) if own else probed


def read(engine: Engine, status: int, body: bytes) -> Probed:
    """What the answer of an engine's port shows it to be."""
    where = f"127.0.0.1:{engine.port}"
    base_url = f'base_url = "http://{where}/v1"'
    document = _document(body)
    rows = _rows(status, document)
    if _is_tollhouse(document, rows or []):
        finding = Finding(engine.name, "skipped", f"{where} is another Tollhouse", f"declare it with {base_url}")
    elif status in {401, 403}:
        fix = f"declare [providers.{engine.name}] with {base_url} and its api_key"
        finding = Finding(engine.name, "skipped", f"{where} asks for a key", fix)
    elif rows is not None:
        return _found(engine, rows)
    else:
        finding = Finding(engine.name, "skipped", f"{where} is a web server, but not an inference engine")
    return Probed(engine, engine.port, finding)


def _found(engine: Engine, rows: list[dict[str, Any]]) -> Probed:
    """The engine as its own list names it: vLLM may well sit on the port of llama.cpp."""
    owners = {owner for row in rows if isinstance(owner := row.get("owned_by"), str)}
    actual = next((one for one in ENGINES if one.owner in owners), engine)
    models = {row["id"]: _facts(row) for row in rows[:MAX_MODELS] if is_model_name(row["id"])}
    count = f"{len(models)} model{'' if len(models) == 1 else 's'}"
    return Probed(
        actual, engine.port, Finding(actual.name, "found", f"127.0.0.1:{engine.port} answers; {count}"), models
    )


def _facts(row: dict[str, Any]) -> ModelFacts:
    """What an engine says of a model: vLLM its window, llama.cpp the window it was trained with."""
    meta = row.get("meta")
    window = row.get("max_model_len") or (meta.get("n_ctx_train") if isinstance(meta, dict) else None)
    context = window if type(window) is int and 0 < window < 1 << 31 else None
    return ModelFacts(row["id"], row["id"], context_tokens=context, prices=FREE)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _rows(status: int, document: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of a model list in OpenAI's shape, or None where it is no such list. An empty Ollama says null."""
    rows = document.get("data", False)
    if status != 200 or document.get("object") != "list" or not isinstance(rows, list | None):
        return None
    return [row for row in rows or () if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _is_tollhouse(document: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Our errors carry an error_id, and our own models bear our name."""
    error = document.get("error")
    return (isinstance(error, dict) and "error_id" in error) or any(row["id"].startswith("tollhouse/") for row in rows)


async def fetch_loopback(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET at 127.0.0.1. HTTP/1.0, so that the body ends with the connection and is not chunked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MAX_ANSWER_BYTES)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n\r\n".encode())
        answer = bytearray()
        while piece := await reader.read(65_536):
            answer += piece
            if len(answer) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is too long")
    finally:
        writer.transport.abort()
    head, blank, body = bytes(answer).partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not blank or not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("not an HTTP answer")
    return int(rest[:3]), body
