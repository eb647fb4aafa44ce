"""llama.cpp's departures from OpenAI, on exchanges recorded from the engine (see tests/engines/test_local_chat.py)."""

import json

import pytest

from tests.providers.fixture import CREDENTIAL, Case, read_cases
from tests.providers.test_fixtures import Client, bare, describe
from tollhouse import __version__
from tollhouse.dialects.openai import normalise_reply
from tollhouse.errors import UpstreamFault, UpstreamInterrupted, UpstreamRejected
from tollhouse.gateway.meter import meter_reply
from tollhouse.providers.llamacpp import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Target, Usage

CASES = read_cases("llamacpp")
GOOD = [case for case in CASES if case.status == 200]
STREAMS = [case for case in GOOD if case.call.stream]
WHOLE = [case for case in GOOD if not case.call.stream]
BAD = [case for case in CASES if case.status != 200]


def names(case: Case) -> str:
    """A case's name, for the report."""
    return case.name


@pytest.mark.parametrize("case", CASES, ids=names)
def test_the_engine_gets_the_expected_request(case: Case) -> None:
    """Forced tools, several choices and old fields are put as the engine takes them, on a copy of the body."""
    before = json.dumps(case.call.body)
    encoded = PROVIDER.encode_chat(case.call, case.target)
    headers = {name: value.replace(CREDENTIAL, "<credential>") for name, value in encoded.outgoing.headers}
    headers["user-agent"] = headers["user-agent"].replace(__version__, "<version>")
    assert (
        f"{encoded.outgoing.method} {encoded.outgoing.path}",
        headers,
        json.loads(encoded.outgoing.body),
    ) == case.request
    assert encoded.dropped == case.dropped
    assert json.dumps(case.call.body) == before


@pytest.mark.parametrize("case", WHOLE, ids=names)
def test_a_whole_answer_is_openais(case: Case) -> None:
    """What the client gets is OpenAI's shape, with the tokens of every choice counted once."""
    decoder = PROVIDER.decode_chat(case.call, case.target)
    reply = normalise_reply(decoder.reply(case.raw), "chatcmpl-1", 7, case.call.model)
    assert [bare(reply)] == case.events
    assert meter_reply(decoder.usage, case.call, reply) == Usage(**(case.usage or {}))


@pytest.mark.parametrize("case", STREAMS, ids=names)
@pytest.mark.parametrize("step", [10**9, 1, 7, 100])
def test_a_stream_is_openais_however_it_is_cut(case: Case, step: int) -> None:
    """What the client gets does not depend on where the reads are cut."""
    pieces = [case.raw[at : at + step] for at in range(0, len(case.raw), step)]
    Client("llamacpp", case).receive(pieces).check()


def read_all(case: Case, raw: bytes) -> None:
    """Reads an answer to its end."""
    decoder = PROVIDER.decode_chat(case.call, case.target)
    if case.call.stream:
        decoder.feed(raw)
        decoder.finish()
    else:
        decoder.reply(raw)


@pytest.mark.parametrize("case", [*STREAMS, *(case for case in WHOLE if case.raw.startswith(b"data:"))], ids=names)
def test_a_stream_that_breaks_off_is_never_whole(case: Case) -> None:
    """A stream cut before its last finish reason is an interruption, also where the client wants a whole answer."""
    events = case.raw.split(b"\n\n")
    last = max(at for at, event in enumerate(events) if b'"finish_reason":"' in event)
    for size in range(1, last + 1):
        raw = b"\n\n".join(events[:size]) + b"\n\n"
        with pytest.raises(UpstreamInterrupted):
            read_all(case, raw)


@pytest.mark.parametrize("case", BAD, ids=names)
def test_errors_have_their_real_meaning(case: Case) -> None:
    """The engine's own kinds of error become the faults that clients understand."""
    fault: UpstreamFault = PROVIDER.decode_error(case.status, {}, case.raw)
    assert describe(fault) == case.error


def test_errors_name_what_is_wrong() -> None:
    """A refusal names the parameter, and too long a prompt gives the numbers; without numbers it still makes sense."""
    faults = {case.name: PROVIDER.decode_error(case.status, {}, case.raw) for case in BAD}
    assert faults["too many choices"].param == "n"
    assert faults["an image for a model without eyes"].param == "messages"
    long = faults["a prompt over the context"]
    assert isinstance(long, UpstreamRejected)
    assert "The model's context is 256 tokens, and the messages are 4" in long.message
    assert "longer than the model's context" in faults["embeddings input over the batch"].message


@pytest.mark.parametrize("body", [b"", b"null", b'{"error": "text"}', b'{"error": null}', b"[" * 5000, b"\xff"])
def test_no_error_body_is_too_strange(body: bytes) -> None:
    """Whatever an error's body holds, it is a fault and never an exception of ours."""
    assert isinstance(PROVIDER.decode_error(500, {}, body), UpstreamFault)


def test_a_forced_call_is_reported() -> None:
    """It is honoured by other means."""
    tool = {"type": "function", "function": {"name": "now"}}
    body = {"messages": [{"role": "user", "content": "Hi"}], "tools": [tool], "tool_choice": "required"}
    target = Target(Host("host", "http://127.0.0.1:1/v1"), "m")
    losses = PROVIDER.encode_chat(ChatCall("m", body, False, False), target).losses
    assert [(loss.param, loss.how) for loss in losses] == [("tool_choice", "emulated")]
