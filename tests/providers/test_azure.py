"""Azure's provider: its addresses, its errors and where filter results go. The rest is in the fixtures."""

import json
from typing import Any

import pytest

from tollhouse.errors import (
    UpstreamAuth,
    UpstreamFault,
    UpstreamFiltered,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from tollhouse.providers.azure import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.secret import Secret

CALL = ChatCall("m", {"model": "m", "messages": []}, False, False)
RESOURCE = "https://res.openai.azure.com"
DATED = "2024-10-21"


def target(base_url: str, version: str = "", auth: str = "api-key", deployment: str = "my nano") -> Target:
    """A deployment."""
    options = (("api_version", version),) if version else ()
    return Target(Host("azure", base_url, Secret("k" * 10), auth, options=options), deployment)


@pytest.mark.parametrize(
    ("base_url", "version", "chat", "embeddings", "responses"),
    [
        ("", "", "/openai/v1/chat/completions", "/openai/v1/embeddings", "/openai/v1/responses"),
        ("/openai", "", "/openai/v1/chat/completions", "/openai/v1/embeddings", "/openai/v1/responses"),
        ("/openai/v1", "", "/openai/v1/chat/completions", "/openai/v1/embeddings", "/openai/v1/responses"),
        (
            "/openai/v1",
            "preview",
            "/openai/v1/chat/completions?api-version=preview",
            "/openai/v1/embeddings?api-version=preview",
            "/openai/v1/responses?api-version=preview",
        ),
        *[
            (
                base,
                DATED,
                f"/openai/deployments/my%20nano/chat/completions?api-version={DATED}",
                f"/openai/deployments/my%20nano/embeddings?api-version={DATED}",
                f"/openai/responses?api-version={DATED}",
            )
            for base in ("", "/openai", "/openai/v1")
        ],
        (
            "/openai/deployments/fixed/chat/completions",
            DATED,
            f"/openai/deployments/fixed/chat/completions?api-version={DATED}",
            f"/openai/deployments/fixed/embeddings?api-version={DATED}",
            f"/openai/responses?api-version={DATED}",
        ),
        (
            "/models",
            "2024-05-01-preview",
            "/models/chat/completions?api-version=2024-05-01-preview",
            "/models/embeddings?api-version=2024-05-01-preview",
            "/models/responses?api-version=2024-05-01-preview",
        ),
        ("/apim/x", "", "/apim/x/chat/completions", "/apim/x/embeddings", "/apim/x/responses"),
    ],
)
def test_every_form_of_address(base_url: str, version: str, chat: str, embeddings: str, responses: str) -> None:
    """The v1 API, dated versions, an address as the portal shows it, Foundry's, and a gateway before them."""
    there = target(RESOURCE + base_url, version)
    assert PROVIDER.encode_chat(CALL, there).outgoing.path == chat
    for kind, path in (("embeddings", embeddings), ("responses", responses)):
        outgoing = PROVIDER.encode_relay(kind, "application/json", b"{}", there)
        assert outgoing.path == path
        assert ("api-key", "k" * 10) in outgoing.headers


def test_a_form_keeps_its_type() -> None:
    """Sound goes to the deployment with the boundary of its form."""
    kind = "audio/transcriptions"
    outgoing = PROVIDER.encode_relay(kind, "multipart/form-data; boundary=b", b"--b", target(RESOURCE, DATED))
    assert outgoing.path == f"/openai/deployments/my%20nano/{kind}?api-version={DATED}"
    assert dict(outgoing.headers)["content-type"] == "multipart/form-data; boundary=b"


def test_a_token_of_entra_is_a_bearer() -> None:
    """With ``auth = "bearer"`` the credential is a token; the deployment's name is the model."""
    outgoing = PROVIDER.encode_chat(CALL, target(RESOURCE, auth="bearer")).outgoing
    assert ("authorization", "Bearer " + "k" * 10) in outgoing.headers
    assert json.loads(outgoing.body)["model"] == "my nano"


def test_what_azure_has_not_is_another_hosts() -> None:
    """There is no endpoint for moderations."""
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_relay("moderations", "application/json", b"{}", target(RESOURCE))


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (404, {"code": "DeploymentNotFound", "message": "The API deployment"}, UpstreamModelMissing, "model_not_found"),
        (404, {"code": "404", "message": "Resource not found"}, UpstreamModelMissing, "model_not_found"),
        (400, {"code": "OperationNotSupported", "message": "x"}, UpstreamModelMissing, "model_not_found"),
        (429, {"code": "429", "message": "Please retry after 6 s"}, UpstreamRateLimited, "rate_limit_exceeded"),
        (401, {"code": "401", "message": "Access denied"}, UpstreamAuth, "upstream_auth"),
        (403, {"code": "403", "message": "Public access is disabled"}, UpstreamAuth, "upstream_auth"),
        (408, {"code": "Timeout", "message": "The operation was timeout."}, UpstreamTimeout, "upstream_timeout"),
        (400, {"code": "content_filter", "message": "filtered"}, UpstreamFiltered, "content_filter"),
        (400, {"code": "context_length_exceeded", "message": "too long"}, UpstreamRejected, "context_length_exceeded"),
    ],
)
def test_every_error_is_its_fault(status: int, error: dict[str, Any], kind: type[UpstreamFault], code: str) -> None:
    """Azure's codes are words of their own."""
    fault = PROVIDER.decode_error(status, {}, json.dumps({"error": error}).encode())
    assert (type(fault), fault.code) == (kind, code)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after-ms": "1200", "retry-after": "60"}, "2"),
        ({"retry-after": "7"}, "7"),
        ({"retry-after-ms": "soon", "retry-after": "7"}, "7"),
        ({"retry-after-ms": "86400000"}, "60"),
    ],
)
def test_waits_come_in_milliseconds_too(headers: dict[str, str], wait: str) -> None:
    """The more exact header counts, rounded up; what is no number does not."""
    assert PROVIDER.decode_error(429, headers, b"{}").headers["retry-after"] == wait


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"error":7}', b'{"error":{"code":[]}}', b"[" * 100_000])
def test_no_body_raises(body: bytes) -> None:
    """Whatever comes with an error, there is a fault."""
    for status in (400, 404, 500):
        assert isinstance(PROVIDER.decode_error(status, {}, body), UpstreamFault)


def test_filter_results_keep_the_answers_identity() -> None:
    """The event that opens a stream with filter results has no id: the first chunk given out is the one that has."""
    decoder = PROVIDER.decode_chat(CALL, target(RESOURCE))
    found = [{"prompt_index": 0, "content_filter_results": {}}]
    opening = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": found}
    first = {"id": "chatcmpl-A", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
    assert decoder.feed(f"data: {json.dumps(opening)}\n\n".encode()) == []
    (chunk,) = decoder.feed(f"data: {json.dumps(first)}\n\n".encode())
    assert (chunk["id"], chunk["prompt_filter_results"]) == ("chatcmpl-A", found)
    (later,) = decoder.feed(f"data: {json.dumps(first)}\n\n".encode())
    assert "prompt_filter_results" not in later
