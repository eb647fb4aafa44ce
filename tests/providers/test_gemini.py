"""Gemini's provider: addresses, headers, what is passed through and what is relayed."""

import json
from typing import Any

import pytest

from tollhouse.errors import UpstreamFault, UpstreamInterrupted, UpstreamModelMissing
from tollhouse.providers.gemini import PROVIDER
from tollhouse.providers.protocol import passes
from tollhouse.types.calls import ChatCall, Host, ModelFacts, Target
from tollhouse.types.secret import Secret

KEY = "a-key-0123456789"
HOST = Host("google", "https://g.example/v1beta", Secret(KEY), auth="x-goog-api-key", provider="gemini")
TARGET = Target(HOST, "gemini-2.5-flash")
NATIVE = {
    "model": "models/alias",
    "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
    "generationConfig": {"maxOutputTokens": 900, "temperature": 0},
    "somethingNew": {"a": [1]},
}


def native(stream: bool = False, **more: Any) -> ChatCall:
    """A call of a client that speaks Gemini."""
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    return ChatCall("alias", body, stream, False, "gemini", {**NATIVE, **more})


def plain(**more: Any) -> ChatCall:
    """A call of any other client."""
    return ChatCall("m", {"messages": [{"role": "user", "content": "Hi"}], **more}, False, False)


def test_a_clients_own_request_is_not_touched() -> None:
    """The model stands in the path, and every member of the body is as the client wrote it."""
    call = native()
    before = json.dumps(call.native)
    outgoing = PROVIDER.encode_chat(call, TARGET).outgoing
    assert outgoing.path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert json.loads(outgoing.body) == {name: value for name, value in NATIVE.items() if name != "model"}
    assert json.dumps(call.native) == before
    assert passes(PROVIDER, call)


@pytest.mark.parametrize("place", ["generationConfig", "generation_config"])
@pytest.mark.parametrize("name", ["maxOutputTokens", "max_output_tokens", None])
def test_the_cap_takes_the_place_of_the_clients_own(place: str, name: str | None) -> None:
    """Whatever spelling the client has, one cap is left in the config that it wrote."""
    given = {name for name in NATIVE if name != "generationConfig"}
    body: dict[str, Any] = {member: NATIVE[member] for member in given} | {place: {name: 900} if name else {}}
    call = ChatCall("m", {"messages": []}, False, False, "gemini", body)
    sent = json.loads(PROVIDER.encode_chat(call, TARGET, 50).outgoing.body)
    assert sent[place] == {"maxOutputTokens": 50}
    assert {"generationConfig", "generation_config"} & sent.keys() == {place}


def test_a_cap_without_a_config_makes_one() -> None:
    """A request that has no generationConfig gets one for the cap alone."""
    call = ChatCall("m", {"messages": []}, False, False, "gemini", {"contents": []})
    assert json.loads(PROVIDER.encode_chat(call, TARGET, 5).outgoing.body) == {
        "contents": [],
        "generationConfig": {"maxOutputTokens": 5},
    }


def test_the_clients_own_headers_go_with_it_and_never_replace_ours() -> None:
    """Headers of its dialect are sent, but not one that carries our credential."""
    fields = (("x-goog-api-client", "genai"), ("x-goog-api-key", "stolen"))
    call = ChatCall("m", {"messages": []}, False, False, "gemini", NATIVE).but(wire_headers=fields)
    sent = PROVIDER.encode_chat(call, TARGET).outgoing.headers
    assert dict(sent)["x-goog-api-key"] == KEY
    assert ("x-goog-api-client", "genai") in sent


def event(value: object) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


FIRST = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"promptTokenCount": 3}}
LAST = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"candidatesTokenCount": 2}, "new": 1}


@pytest.mark.parametrize("size", [None, 1, 9])
def test_a_passed_stream_is_the_hosts_own_objects(size: int | None) -> None:
    """Every event arrives unchanged, usage is read from all of them, and the end is a finish reason."""
    raw = event(FIRST) + event(LAST)
    reader = PROVIDER.decode_chat(native(stream=True), TARGET)
    step = size or len(raw)
    found = [one for at in range(0, len(raw), step) for one in reader.feed(raw[at : at + step])]
    found += reader.finish()
    assert found == [FIRST, LAST]
    assert [reader.commits(one) for one in found] == [True, True]
    assert reader.done
    assert reader.usage is not None
    assert (reader.usage["prompt_tokens"], reader.usage["completion_tokens"]) == (3, 2)


def test_a_passed_stream_without_its_end_is_broken() -> None:
    """The usage that was told before counts all the same."""
    reader = PROVIDER.decode_chat(native(stream=True), TARGET)
    reader.feed(event(FIRST))
    with pytest.raises(UpstreamInterrupted):
        reader.finish()
    assert reader.usage is not None
    assert reader.usage["prompt_tokens"] == 3


def test_an_empty_event_commits_to_nothing() -> None:
    """Usage alone tells a client nothing; a blocked prompt does."""
    reader = PROVIDER.decode_chat(native(stream=True), TARGET)
    assert not reader.commits({"candidates": [{"content": {"role": "model"}}]})
    assert not reader.commits({"usageMetadata": {}})
    assert reader.commits({"promptFeedback": {"blockReason": "SAFETY"}})


def test_a_passed_whole_answer_is_unchanged() -> None:
    """The object is the host's own, and an error in it is a fault."""
    whole = {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], "modelVersion": "x"}
    assert PROVIDER.decode_chat(native(), TARGET).reply(json.dumps(whole).encode()) == whole
    for body in (b"{}", b"[]", b"[1]", b"no", b'{"error":{"code":500}}', b'{"candidates":[7]}', b'{"candidates":7}'):
        with pytest.raises(UpstreamFault):
            PROVIDER.decode_chat(native(), TARGET).reply(body)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("models/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1:generateContent"),
    ],
)
def test_a_name_may_be_a_path(model: str, path: str) -> None:
    """Names that are paths already are not prefixed again."""
    assert PROVIDER.encode_chat(plain(), Target(HOST, model)).outgoing.path == path


@pytest.mark.parametrize("model", ["../files", "a/../../x", "", "a?b", "a:delete", "a b", "é", "/a", "a//b", "a\r\nb"])
def test_a_name_leads_nowhere_else(model: str) -> None:
    """A client's name of a model never becomes another address of the host."""
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_chat(plain(), Target(HOST, model))


def test_embeddings_go_to_the_compatible_surface() -> None:
    """The key is a bearer there, and the body is passed on as it is."""
    outgoing = PROVIDER.encode_relay("embeddings", "application/json", b"{}", TARGET)
    assert (outgoing.method, outgoing.path, outgoing.body) == ("POST", "/v1beta/openai/embeddings", b"{}")
    fields = dict(outgoing.headers)
    assert fields["authorization"] == f"Bearer {KEY}"
    assert "x-goog-api-key" not in fields


@pytest.mark.parametrize("kind", ["moderations", "audio/speech", "responses", "completions"])
def test_what_the_host_has_not_is_a_missing_model(kind: str) -> None:
    """Another host may have the endpoint."""
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_relay(kind, "application/json", b"{}", TARGET)


def test_an_event_with_an_image_may_be_large() -> None:
    """Models that make images are read with a larger limit than the host's own."""
    image = {"inlineData": {"mimeType": "image/png", "data": "A" * (2 << 20)}}
    whole = event({"candidates": [{"content": {"parts": [image]}, "finishReason": "STOP"}]})
    facts = ModelFacts("m", "m", output_kinds=("text", "image"))
    chunks = PROVIDER.decode_chat(plain(), Target(HOST, "m", facts)).feed(whole)
    assert chunks[0]["choices"][0]["delta"]["images"]
    with pytest.raises(UpstreamFault):
        PROVIDER.decode_chat(plain(), TARGET).feed(whole)


@pytest.mark.parametrize(("model", "marked"), [("gemini-3-flash-preview", True), ("gemini-2.5-flash", False)])
def test_a_call_of_another_host_is_marked_where_it_must_be(model: str, marked: bool) -> None:
    """In a conversation that is passed through, for a model that refuses a call without a signature."""
    turns = [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]
    sent = json.loads(PROVIDER.encode_chat(native(contents=turns), Target(HOST, model)).outgoing.body)
    assert ("thoughtSignature" in sent["contents"][1]["parts"][0]) is marked
