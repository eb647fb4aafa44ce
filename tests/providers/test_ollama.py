"""Ollama's addresses and headers. What it is sent and answers is in the fixtures and in tests/dialects/ollama."""

from typing import Any

import pytest

from tollhouse.catalog import store
from tollhouse.errors import UpstreamModelMissing
from tollhouse.providers import load
from tollhouse.providers.ollama import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.secret import Secret

NOW = {"type": "function", "function": {"name": "now"}}
CALL = ChatCall("m", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, stream=True, include_usage=False)


def target(base_url: str = "http://127.0.0.1:11434/v1", **more: Any) -> Target:
    """A model at a host."""
    return Target(Host("ollama", base_url, provider="ollama", **more), "qwen3")


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        ("http://127.0.0.1:11434/v1", ""),
        ("http://127.0.0.1:11434", ""),
        ("http://127.0.0.1:11434/api/", ""),
        ("https://proxy.example/ollama/v1", "/ollama"),
    ],
)
def test_both_surfaces_are_found_from_either_address(base_url: str, root: str) -> None:
    """Chats go to Ollama's own, embeddings to the compatible one."""
    assert PROVIDER.encode_chat(CALL, target(base_url)).outgoing.path == f"{root}/api/chat"
    relayed = PROVIDER.encode_relay("embeddings", "application/json", b"{}", target(base_url))
    assert relayed.path == f"{root}/v1/embeddings"


def test_the_compatible_surface_is_still_there() -> None:
    """The same address is all that the other provider needs."""
    outgoing = load("openai").encode_chat(CALL, target()).outgoing
    assert outgoing.path == "/v1/chat/completions"


def test_a_key_is_sent_where_there_is_one() -> None:
    """The cloud has one, a machine of one's own has none."""
    local = dict(PROVIDER.encode_chat(CALL, target()).outgoing.headers)
    assert "authorization" not in local
    assert local["accept"] == "application/x-ndjson"
    cloud = target(credential=Secret("credential-0123456789"))
    assert dict(PROVIDER.encode_chat(CALL, cloud).outgoing.headers)["authorization"] == "Bearer credential-0123456789"


def test_what_its_compatible_surface_does_not_have_is_missing() -> None:
    """Another host may have it."""
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_relay("audio/speech", "application/json", b"{}", target())


def test_the_decoder_knows_whether_a_call_was_forced() -> None:
    """It reads the same request as the encoder."""
    body = {**CALL.body, "tools": [NOW], "tool_choice": "required"}
    call = ChatCall("m", body, stream=False, include_usage=False)
    answer = b'{"message": {"content": "{\\"name\\": \\"now\\", \\"arguments\\": {}}"}, "done": true}'
    reply = PROVIDER.decode_chat(call, target()).reply(answer)
    assert reply["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}
    reply = PROVIDER.decode_chat(CALL, target()).reply(answer)
    assert "tool_calls" not in reply["choices"][0]["message"]


def test_the_catalogue_reaches_the_cloud_so() -> None:
    """Its row names this provider, and that no schema is enforced there."""
    row = store.load().providers["ollama-cloud"]
    assert (row.provider, row.base_url, row.quirks.schema) == ("ollama", "https://ollama.com/v1", "none")
