"""Cohere's addresses, headers and errors. What it is sent and answers is in the fixtures and tests/dialects/cohere."""

import json

import pytest

from tollhouse.catalog import store
from tollhouse.errors import UpstreamModelMissing
from tollhouse.providers.cohere import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.secret import Secret

CALL = ChatCall("m", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, stream=True, include_usage=False)


def target(base_url: str = "https://api.cohere.example/v2") -> Target:
    """A model at a host with a key."""
    return Target(Host("cohere", base_url, Secret("co-credential-0123456789"), provider="cohere"), "command")


@pytest.mark.parametrize(
    "base_url", ["https://api.cohere.example/v2", "https://api.cohere.example", "https://a.example/v2/"]
)
def test_chats_go_to_the_second_version(base_url: str) -> None:
    """With the key and the operator's headers, however the base URL is written."""
    outgoing = PROVIDER.encode_chat(CALL, target(base_url)).outgoing
    assert (outgoing.method, outgoing.path) == ("POST", "/v2/chat")
    headers = dict(outgoing.headers)
    assert (headers["authorization"], headers["accept"]) == ("Bearer co-credential-0123456789", "text/event-stream")


def test_a_host_behind_a_path_keeps_it() -> None:
    """For chats and embeddings alike."""
    behind = target("https://proxy.example/cohere/v2")
    assert PROVIDER.encode_chat(CALL, behind).outgoing.path == "/cohere/v2/chat"
    relayed = PROVIDER.encode_relay("embeddings", "application/json", b"{}", behind)
    assert relayed.path == "/cohere/compatibility/v1/embeddings"


def test_embeddings_go_to_the_compatible_surface() -> None:
    """It speaks OpenAI's dialect already; there is nothing else there."""
    outgoing = PROVIDER.encode_relay("embeddings", "application/json", b'{"a":1}', target())
    assert (outgoing.path, outgoing.body) == ("/compatibility/v1/embeddings", b'{"a":1}')
    assert dict(outgoing.headers)["authorization"].startswith("Bearer ")
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_relay("audio/speech", "application/json", b"{}", target())


def test_the_catalogue_reaches_cohere_so() -> None:
    """Its row names this provider and its address."""
    row = store.load().providers["cohere"]
    assert (row.provider, row.base_url, row.auth) == ("cohere", "https://api.cohere.com/v2", "bearer")


@pytest.mark.parametrize(
    ("status", "message", "error_id"),
    [
        (400, "invalid request: no api key supplied", "UPSTREAM_AUTH"),
        (403, "forbidden", "UPSTREAM_AUTH"),
        (503, "service unavailable", "UPSTREAM_UNAVAILABLE"),
        (504, "timeout", "UPSTREAM_TIMEOUT"),
        (501, "not implemented", "UPSTREAM_BAD_RESPONSE"),
        (418, "teapot", "UPSTREAM_BAD_RESPONSE"),
    ],
)
def test_an_error_is_known_by_its_status_and_its_text(status: int, message: str, error_id: str) -> None:
    """The others are in the fixtures."""
    assert PROVIDER.decode_error(status, {}, json.dumps({"message": message}).encode()).error_id == error_id


def test_a_wait_that_cohere_asks_for_is_passed_on() -> None:
    """In whole seconds."""
    fault = PROVIDER.decode_error(429, {"retry-after": "7"}, b'{"message": "slow down"}')
    assert fault.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"message": 5}', b'{"error": {"message": "no"}}', b"[" * 9999]
)
def test_an_error_without_words_is_one_all_the_same(body: bytes) -> None:
    """Whatever stands in its body."""
    assert PROVIDER.decode_error(400, {}, body).status == 400
    assert PROVIDER.decode_error(500, {}, body).error_id == "UPSTREAM_BAD_RESPONSE"
