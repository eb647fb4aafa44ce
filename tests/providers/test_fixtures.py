"""Every provider against its recorded exchanges: encoded, decoded whole, byte by byte, and cut at every event."""

import json
from typing import Any

import pytest

from tests.dialects.canon import events_of, judge
from tests.providers.fixture import CREDENTIAL, Case, read_cases
from tollhouse import __version__
from tollhouse.dialects.openai import ChatStream, normalise_reply
from tollhouse.errors import UpstreamFault
from tollhouse.gateway.meter import meter_reply, meter_stream
from tollhouse.providers import load
from tollhouse.types.calls import Usage

NAMES = ("openai", "anthropic", "responses", "cohere", "ollama", "bedrock", "azure", "gemini", "vertex")
PAIRS = [(name, case) for name in NAMES for case in read_cases(name)]
STREAMED = [pair for pair in PAIRS if pair[1].call.stream and pair[1].status == 200]
WHOLE = [pair for pair in PAIRS if pair not in STREAMED]


def each(pairs: list[tuple[str, Case]]) -> pytest.MarkDecorator:
    """The test, once for each of these cases."""
    return pytest.mark.parametrize(("name", "case"), pairs, ids=[f"{name}: {case.name}" for name, case in pairs])


OWN = ("id", "object", "created", "model")


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without the members that are the gateway's own."""
    return {name: value for name, value in answer.items() if name not in OWN}


class Client:
    """The gateway's part of one exchange, fed with a host's bytes: what the client gets of it."""

    def __init__(self, name: str, case: Case) -> None:
        self.case = case
        self.decoder = load(name).decode_chat(case.call, case.target)
        self.stream = ChatStream("chatcmpl-1", 7, case.call.model, case.call.include_usage)
        self.raw = b""
        self.fault: UpstreamFault | None = None

    def receive(self, pieces: list[bytes]) -> "Client":
        """Plays a whole stream, as the pipeline does."""
        try:
            for piece in pieces:
                self.raw += self.stream.encode(self.decoder.feed(piece))
            self.raw += self.stream.encode(self.decoder.finish())
            self.raw += self.stream.end(self.decoder.usage)
        except UpstreamFault as fault:
            self.fault = fault
        return self

    def check(self) -> None:
        """Asserts that the client got what the case says."""
        events = [json.loads(event) for event in events_of(self.raw) if event != "[DONE]"]
        assert [bare(event) for event in events] == self.case.events
        assert describe(self.fault) == self.case.error
        if self.raw:
            judge(self.raw, include_usage=self.case.call.include_usage, ended=self.fault is None)
        if self.case.usage is not None:
            assert meter_stream(self.decoder.usage, self.case.call, self.stream) == Usage(**self.case.usage)


def describe(fault: UpstreamFault | None) -> str | None:
    """A fault as the fixture files write it."""
    return None if fault is None else f"{fault.error_id} {fault.status} {fault.code}"


@each(PAIRS)
def test_the_host_gets_the_expected_request(name: str, case: Case) -> None:
    """Method, path, headers and JSON are exactly the expected ones, and the client's own body is not touched."""
    before = json.dumps(case.call.body)
    encoded = load(name).encode_chat(case.call, case.target)
    headers = {field: value.replace(CREDENTIAL, "<credential>") for field, value in encoded.outgoing.headers}
    headers["user-agent"] = headers["user-agent"].replace(__version__, "<version>")
    sent = (f"{encoded.outgoing.method} {encoded.outgoing.path}", headers, json.loads(encoded.outgoing.body))
    assert sent == case.request
    assert len(headers) == len(encoded.outgoing.headers)
    assert encoded.dropped == case.dropped
    assert json.dumps(case.call.body) == before


@each(WHOLE)
def test_the_client_gets_the_expected_reply(name: str, case: Case) -> None:
    """A whole answer, or the fault that the host's status stands for, is the expected one."""
    provider = load(name)
    decoder = provider.decode_chat(case.call, case.target)
    if case.status != 200:
        assert describe(provider.decode_error(case.status, {}, case.raw)) == case.error
    elif case.error is not None:
        with pytest.raises(UpstreamFault) as caught:
            decoder.reply(case.raw)
        assert describe(caught.value) == case.error
    else:
        reply = normalise_reply(decoder.reply(case.raw), "chatcmpl-1", 7, case.call.model)
        assert [bare(reply)] == case.events
        assert [reply[member] for member in OWN] == ["chatcmpl-1", "chat.completion", 7, case.call.model]
        assert meter_reply(decoder.usage, case.call, reply) == Usage(**(case.usage or {}))


@pytest.mark.parametrize("size", [None, 1, 2, 7, 100], ids=lambda size: f"reads of {size or 'all'}")
@each(STREAMED)
def test_the_client_gets_the_expected_events(name: str, case: Case, size: int | None) -> None:
    """A stream gives the expected events, byte for byte the same however its reads are cut."""
    step = size or len(case.raw)
    client = Client(name, case).receive([case.raw[at : at + step] for at in range(0, len(case.raw), step)])
    client.check()
    assert client.raw == Client(name, case).receive([case.raw]).raw


@each(STREAMED)
def test_a_stream_cut_at_any_event_fails_or_is_whole(name: str, case: Case) -> None:
    """Cut after any event, a stream gives a prefix and a typed fault, unless every choice had already ended."""
    line = b"\r\n" if b"\r\n" in case.raw else b"\n"
    separator = line if case.raw.startswith(b"{") else line * 2  # lines of JSON, or server-sent events
    pieces = [*case.frames, b""] if case.frames else [block + separator for block in case.raw.split(separator)]
    for count in range(len(pieces) - 1):
        client = Client(name, case).receive(pieces[:count])
        events = [bare(json.loads(event)) for event in events_of(client.raw) if event != "[DONE]"]
        if client.fault is not None:
            assert events == case.events[: len(events)]
            assert client.fault.error_id == "UPSTREAM_INTERRUPTED"
            assert b"[DONE]" not in client.raw
        else:
            reasons = [event["choices"][0]["finish_reason"] for event in case.events if event["choices"]]
            assert [event["choices"][0]["finish_reason"] for event in events if event["choices"]][-1] == reasons[-1]


@each(STREAMED)
def test_a_stream_cut_anywhere_never_crashes(name: str, case: Case) -> None:
    """Cut after any byte, a stream ends in whole events and, if it is not complete, in a typed fault."""
    for end in range(0, len(case.raw), 3):
        client = Client(name, case).receive([case.raw[:end]])
        assert client.fault is not None or client.raw.endswith(b"data: [DONE]\n\n")
        assert all(json.loads(event) for event in events_of(client.raw) if event != "[DONE]")
