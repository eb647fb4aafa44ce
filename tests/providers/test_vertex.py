"""Vertex AI: Gemini's provider at another address."""

import json

import pytest

from tollhouse.errors import UpstreamModelMissing
from tollhouse.providers.vertex import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Target

BASE = "https://x-aiplatform.example/v1/projects/p/locations/x/publishers/google"
HOST = Host("vertex", BASE, auth="google", provider="vertex")
CALL = ChatCall("m", {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "b"}}, False, False)


def test_requests_are_left_to_be_signed() -> None:
    """The address is the publisher's, metadata are labels, and no header carries a credential."""
    outgoing = PROVIDER.encode_chat(CALL, Target(HOST, "gemini-2.5-flash")).outgoing
    assert outgoing.path == "/v1/projects/p/locations/x/publishers/google/models/gemini-2.5-flash:generateContent"
    assert json.loads(outgoing.body)["labels"] == {"a": "b"}
    assert not {"authorization", "x-goog-api-key"} & dict(outgoing.headers).keys()


def test_an_endpoint_of_ones_own_stands_beside_the_publisher() -> None:
    """A tuned model is called below the location."""
    outgoing = PROVIDER.encode_chat(CALL, Target(HOST, "endpoints/123")).outgoing
    assert outgoing.path == "/v1/projects/p/locations/x/endpoints/123:generateContent"


def test_nothing_is_relayed() -> None:
    """Vertex has no embeddings in OpenAI's form."""
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_relay("embeddings", "application/json", b"{}", Target(HOST, "m"))


def test_open_models_of_other_publishers_are_asked_in_openais_dialect() -> None:
    """At the address that Vertex has for it, and read so; a client that speaks Gemini is sent elsewhere."""
    target = Target(HOST, "deepseek-ai/deepseek-v3.2-maas")
    outgoing = PROVIDER.encode_chat(CALL, target).outgoing
    assert outgoing.path == "/v1/projects/p/locations/x/endpoints/openapi/chat/completions"
    assert json.loads(outgoing.body)["model"] == "deepseek-ai/deepseek-v3.2-maas"
    assert "authorization" not in dict(outgoing.headers)
    answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    reply = PROVIDER.decode_chat(CALL, target).reply(json.dumps(answer).encode())
    assert reply["choices"][0]["message"]["content"] == "Hi"
    native = ChatCall("m", CALL.body, False, False, "gemini", {"contents": []})
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_chat(native, target)
