"""The Responses provider: what goes around the translation, passing through, and hosts that send anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamTooLarge,
    UpstreamUnfit,
)
from tollhouse.providers.responses import PROVIDER, ResponsesReader
from tollhouse.types.calls import ChatCall, Host, ModelFacts, Target
from tollhouse.types.secret import Secret

HOST = Host("host", "https://api.example/v1", Secret("sk-test-0123456789"))
HI = [{"role": "user", "content": "Hi"}]


def call(**members: Any) -> ChatCall:
    """A chat call with these members."""
    return ChatCall("fast", {"model": "fast", "messages": HI, **members}, members.get("stream", False), False)


def native(stream: bool = False) -> ChatCall:
    """A call of a client that speaks the dialect."""
    body = {"model": "fast", "input": "Hi", "store": True, "instructions": "Be brief."}
    asked = ChatCall("fast", call().body, stream, False, "responses", body)
    return asked.but(wire_headers=(("openai-beta", "x=1"),))


def sent(asked: ChatCall, facts: ModelFacts | None = None, cap: int | None = None) -> dict[str, Any]:
    """The JSON that a host gets."""
    body = PROVIDER.encode_chat(asked, Target(HOST, "gpt-5", facts), cap).outgoing.body
    found: dict[str, Any] = json.loads(body)
    return found


def reader(asked: ChatCall | None = None, max_event_bytes: int = 1 << 20) -> ResponsesReader:
    """A decoder for one answer."""
    host = Host("host", "https://api.example/v1", max_event_bytes=max_event_bytes)
    return PROVIDER.decode_chat(asked or call(stream=True), Target(host, "gpt-5"))


def wire(*events: dict[str, Any]) -> bytes:
    """Events as bytes."""
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


DELTA = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}
END: dict[str, Any] = {"type": "response.completed", "response": {"status": "completed", "output": []}}


@pytest.mark.parametrize(
    ("facts", "asked", "included"),
    [
        (None, {}, False),
        (None, {"reasoning_effort": "low"}, True),
        (ModelFacts("gpt-5", "", reasoning=True), {}, True),
        (ModelFacts("gpt-4o", "", reasoning=False), {"reasoning_effort": "low"}, False),
        (ModelFacts("openai/gpt-5-chat-latest", "", reasoning=True), {}, False),
    ],
    ids=["unknown", "asked", "reasons", "never", "chat"],
)
def test_encrypted_reasoning_is_asked_of_models_that_reason(facts: ModelFacts, asked: Any, included: bool) -> None:
    """What the catalogue knows of a model decides; of an unknown one, the request."""
    assert ("include" in sent(call(**asked), facts)) is included


def test_a_cap_takes_the_place_of_the_clients_own() -> None:
    """Within the least that the API takes."""
    assert sent(call(max_tokens=500), cap=100)["max_output_tokens"] == 100
    assert sent(call(), cap=3)["max_output_tokens"] == 16


def test_a_client_of_the_dialect_is_passed_through() -> None:
    """Its body goes out as it is, but for the model's name, with its own headers."""
    asked = native()
    encoded = PROVIDER.encode_chat(asked, Target(HOST, "gpt-5"), 50)
    assert json.loads(encoded.outgoing.body) == {
        **(asked.native or {}), "model": "gpt-5", "stream": False, "max_output_tokens": 50,
    }  # fmt: skip
    assert ("openai-beta", "x=1") in encoded.outgoing.headers
    assert not encoded.losses
    assert asked.native is not None
    assert asked.native["model"] == "fast"


def test_a_native_stream_is_the_hosts_own_events() -> None:
    """Events come as they are; those before the first word commit to nothing; usage is read under chat's names."""
    created = {"type": "response.created", "response": {"id": "resp_1", "usage": None}}
    end = {**END, "response": {**END["response"], "usage": {"input_tokens": 3, "output_tokens": 1}}}
    decoder = reader(native(stream=True))
    chunks = decoder.feed(wire(created, DELTA, end))
    assert chunks == [created, DELTA, end]
    assert [decoder.commits(chunk) for chunk in chunks] == [False, True, True]
    assert decoder.done
    assert decoder.usage == {"prompt_tokens": 3, "completion_tokens": 1}
    assert decoder.finish() == []


def test_a_native_answer_is_the_hosts_own_object() -> None:
    """Whole, or as the one event of a stream that the host did not send."""
    response = {"id": "resp_1", "status": "incomplete", "output": [], "usage": {"input_tokens": 3}}
    assert reader(native()).reply(json.dumps(response).encode()) == response
    decoder = reader(native(stream=True))
    assert decoder.feed(json.dumps(response).encode()) == []
    assert decoder.finish() == [{"type": "response.incomplete", "sequence_number": 0, "response": response}]


def test_other_endpoints_are_openais() -> None:
    """A relayed request goes to its own path below the base URL."""
    outgoing = PROVIDER.encode_relay("responses/compact", "application/json", b"{}", Target(HOST, "gpt-5"))
    assert outgoing.path == "/v1/responses/compact"
    assert ("authorization", "Bearer sk-test-0123456789") in outgoing.headers


@pytest.mark.parametrize(
    ("base_url", "options", "path"),
    [
        ("https://r.example", (), "/openai/v1/responses"),
        ("https://r.example/openai/v1", (("api_version", "preview"),), "/openai/v1/responses?api-version=preview"),
        (
            "https://r.example",
            (("api_version", "2025-04-01-preview"),),
            "/openai/responses?api-version=2025-04-01-preview",
        ),
    ],
    ids=["resource", "preview", "dated"],
)
def test_azure_has_its_own_addresses(base_url: str, options: tuple[tuple[str, str], ...], path: str) -> None:
    """A model of Azure's that is asked here is asked where Azure answers."""
    host = Host("azure", base_url, Secret("k" * 20), auth="api-key", provider="azure", options=options)
    outgoing = PROVIDER.encode_chat(call(), Target(host, "codex-mini")).outgoing
    assert outgoing.path == path
    assert dict(outgoing.headers)["api-key"] == "k" * 20


def test_reasoning_that_another_host_encrypted_may_be_read_by_another_target() -> None:
    """The fault names what is at fault, and the next target is tried."""
    body = b'{"error":{"message":"could not be verified","code":"invalid_encrypted_content"}}'
    fault = PROVIDER.decode_error(400, {}, body)
    assert isinstance(fault, UpstreamUnfit)
    assert fault.retryable
    assert fault.param == "messages[].reasoning_details"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", UpstreamInterrupted),
        (b"\n\n", UpstreamInterrupted),
        (b"data: [DONE]\n\n", UpstreamInterrupted),
        (wire(DELTA) + b"data: [DONE]\n\n", UpstreamInterrupted),
        (wire(DELTA) + b'data: {"type":"response.comp', UpstreamInterrupted),
        (b"<html>", UpstreamBadResponse),
        (b"data: {\n\n", UpstreamBadResponse),
        (b"data: 3\n\n", UpstreamBadResponse),
        (b'data: {"a":NaN}\n\n', UpstreamBadResponse),
        (b"data: " + b"[" * 100_000 + b"\n\n", UpstreamBadResponse),
        (b"{", UpstreamBadResponse),
        (b'{"error":{"message":"m"}}', UpstreamFault),
        (wire({**DELTA, "delta": "x" * 5000}), UpstreamTooLarge),
    ],
)
def test_what_is_no_stream_is_a_fault(raw: bytes, kind: type[UpstreamFault]) -> None:
    """The same one however the reads are cut."""
    faults = []
    for step in (len(raw) or 1, 1 if len(raw) < 10_000 else 4096, 7 if len(raw) < 10_000 else 8192):
        decoder = reader(max_event_bytes=4096 if kind is UpstreamTooLarge else 1 << 20)
        with pytest.raises(kind) as caught:
            _play(decoder, raw, step)
        faults.append(type(caught.value))
        assert not decoder.done or isinstance(caught.value, UpstreamFault)
    assert len(set(faults)) == 1


def _play(decoder: ResponsesReader, raw: bytes, step: int) -> None:
    for at in range(0, len(raw), step):
        decoder.feed(raw[at : at + step])
    decoder.finish()


def test_events_without_a_type_are_known_by_their_label() -> None:
    """A host that names events in the ``event`` field alone is understood."""
    raw = b'event: response.output_text.delta\ndata: {"delta":"Hi"}\n\n'
    raw += b'event: response.completed\ndata: {"response":{}}\n\n'
    decoder = reader()
    assert [chunk["choices"][0]["delta"] for chunk in decoder.feed(raw)] == [{"content": "Hi"}, {}]
    assert decoder.done


def test_a_fault_after_chunks_of_one_read_waits() -> None:
    """Where reads are cut changes nothing: the chunks come first, the fault with the next call."""
    decoder = reader()
    assert decoder.feed(wire(DELTA, {"type": "error", "code": "server_error", "message": "m"}))
    assert decoder.done
    with pytest.raises(UpstreamFault):
        decoder.finish()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    *("id", "item_id", "output_index", "content_index", "summary_index", "delta", "item", "response", "part"),
    *("status", "error", "incomplete_details", "output", "usage", "summary", "content", "text", "annotations", "name"),
    *("call_id", "arguments", "input", "encrypted_content", "annotation", "logprobs", "refusal", "result", "phase"),
    *("created_at", "model", "moderation", "service_tier", "code", "message", "reason", "top_logprobs", "input_tokens"),
)
TYPES = (
    *("response.created", "response.completed", "response.incomplete", "response.failed", "error"),
    *("response.output_item.added", "response.output_item.done", "response.output_text.delta"),
    *("response.function_call_arguments.delta", "response.reasoning_summary_text.delta", "response.refusal.delta"),
    *("response.custom_tool_call_input.delta", "response.output_text.annotation.added", "message", "reasoning"),
    *("function_call", "custom_tool_call", "image_generation_call", "output_text", "summary_text", "completed"),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with a type and a few members that responses have."""
    members = st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    return st.builds(lambda kind, rest: {**rest, "type": kind}, st.sampled_from(TYPES), members)


HOSTILE = st.recursive(
    JSON | st.sampled_from(TYPES),
    lambda inner: st.lists(inner, max_size=3) | objects(inner),
    max_leaves=10,
)


@given(st.lists(objects(HOSTILE), max_size=6))
def test_hostile_events_are_chunks_or_faults(events: list[dict[str, Any]]) -> None:
    """Whatever a host sends, a decoder raises nothing but faults, and its chunks have the promised shape."""
    decoder = reader()
    chunks: list[dict[str, Any]] = []
    try:
        for event in events:
            chunks += decoder.feed(wire(event))
        chunks += decoder.finish()
    except UpstreamFault:
        pass
    for chunk in chunks:
        assert all(type(one["delta"]) is dict and "finish_reason" in one for one in chunk["choices"])


@given(st.lists(HOSTILE, max_size=4), objects(HOSTILE))
def test_a_hostile_answer_is_a_reply_or_a_fault(output: list[Any], members: dict[str, Any]) -> None:
    """The same for a whole answer, read as either dialect."""
    for asked in (call(), call(functions=[{"name": "f"}]), native()):
        try:
            reader(asked).reply(json.dumps({**members, "output": output}).encode())
        except UpstreamFault:
            continue
