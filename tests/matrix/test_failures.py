"""A host's failures, in every host's own words, as every client hears them: status, word, and when to come back."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.matrix.clients.every import CLIENTS
from tests.matrix.rig import Rig, model_at, rigged
from tests.matrix.scenarios import FINE, HI
from tests.matrix.upstreams.every import HOSTS
from tests.matrix.upstreams.server import CUT
from tests.matrix.words import Asked, Said

pytestmark = pytest.mark.asyncio(loop_scope="module")
FAILED = {"openai": "upstream_bad_response", "anthropic": "api_error", "gemini": "INTERNAL"}
EXPECTED: dict[str, tuple[int, dict[str, str]]] = {
    "rate_limit": (
        429,
        {"openai": "rate_limit_exceeded", "anthropic": "rate_limit_error", "gemini": "RESOURCE_EXHAUSTED"},
    ),
    "auth": (502, {**FAILED, "openai": "upstream_auth"}),
    "missing": (404, {"openai": "model_not_found", "anthropic": "not_found_error", "gemini": "NOT_FOUND"}),
    "crash": (502, FAILED),
    "too_long": (
        400,
        {"openai": "context_length_exceeded", "anthropic": "invalid_request_error", "gemini": "INVALID_ARGUMENT"},
    ),
}
"""The status, and the word of each client's dialect."""
MODES = {"whole": False, "streamed": True}
PLACES = [
    f"{kind.replace('_', '-')}-{client}-{mode}" for kind in (*EXPECTED, CUT) for client in CLIENTS for mode in MODES
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """The gateway, which knows each host by a name for each failure: one that has failed is left alone for a while."""
    async with rigged(places=tuple(PLACES)) as made:
        yield made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("upstream", HOSTS)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", EXPECTED)
async def test_a_failure(rig: Rig, kind: str, client: str, upstream: str, mode: str) -> None:
    """It is told before any of an answer, in the client's own dialect; the host's name is, its key is not."""
    status, words = EXPECTED[kind]
    host = rig.hosts[upstream]
    host.says(Said(fault=kind))
    name = model_at(host, f"{kind.replace('_', '-')}-{client}-{mode}")
    answer = await rig.ask(client, name, Asked((HI,)), stream=MODES[mode])
    assert host.refused == []
    word, text = CLIENTS[client].read_error(answer)
    assert (answer.status, word) == (status, words[client])
    assert text
    assert b"sk-matrix" not in answer.body
    if kind == "rate_limit":
        assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("upstream", HOSTS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_stream_that_breaks_off(rig: Rig, client: str, upstream: str) -> None:
    """The client has what was said, and an error after it: never an answer that seems to be whole."""
    host = rig.hosts[upstream]
    host.says(replace(FINE, fault=CUT))
    answer = await rig.ask(client, model_at(host, f"{CUT}-{client}-streamed"), Asked((HI,)), stream=True)
    assert (answer.status, host.refused) == (200, [])
    last = [part for part in answer.body.split(b"\n\n") if part.strip()][-1]
    assert b'"error"' in last
    assert b"It" in answer.body
