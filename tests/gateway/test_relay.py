"""The endpoints that are relayed in OpenAI's own dialect: what the host is sent, and what the client gets back."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Pause, Send, Step, chunk, chunked, closed_port, head, whole
from tests.fakes.door import Answer, Door, eventually, opened
from tests.gateway.kit import SECRET, hosts, unmarked
from tollhouse.gateway.relay import KINDS
from tollhouse.validate import multipart, relay

JSON_BODIES: dict[str, dict[str, Any]] = {
    "completions": {"prompt": "once", "max_tokens": 3},
    "embeddings": {"input": ["a", "b"], "dimensions": 2},
    "moderations": {"input": "words"},
    "responses": {"input": [{"role": "user", "content": "hi"}], "tools": [{"type": "web_search"}]},
    "images/generations": {"prompt": "a door", "n": 1},
    "audio/speech": {"input": "read this", "voice": "alloy"},
}
FORM_FIELDS: dict[str, dict[str, bytes]] = {
    "images/edits": {"image": b"\x89PNG\r\n\x1a\n\x00\xff", "prompt": b"brighter"},
    "images/variations": {"image": b"\x89PNG\r\n\x1a\n\x00\xff"},
    "audio/transcriptions": {"file": b"RIFF\x00\x01--not-the-boundary\r\n", "language": b"de"},
    "audio/translations": {"file": b"RIFF\x00\x01"},
}
FORM_TYPE = "multipart/form-data; boundary=xYzZY"
BINARY = bytes(range(256)) * 64
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def form(fields: dict[str, bytes]) -> bytes:
    """The body of a form; fields whose bytes are no text are files."""
    return b"".join(_parts(fields)) + b"--xYzZY--\r\n"


def _parts(fields: dict[str, bytes]) -> Iterator[bytes]:
    for name, value in fields.items():
        file = "" if name in {"model", "prompt", "language"} else '; filename="f.bin"'
        kind = "" if not file else "Content-Type: application/octet-stream\r\n"
        top = f'--xYzZY\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{kind}\r\n'
        yield top.encode() + value + b"\r\n"


async def ask(door: Door, kind: str, model: str = "both", **more: Any) -> Answer:
    """A good request of any kind."""
    if kind in FORM_FIELDS:
        body = form({**FORM_FIELDS[kind], "model": model.encode()})
        return await door.post(body, f"/v1/{kind}", content_type=FORM_TYPE)
    return await door.post({**JSON_BODIES[kind], "model": model, **more}, f"/v1/{kind}")


def said(value: Any) -> bytes:
    """A JSON answer."""
    return whole(json.dumps(value).encode())


def events(*values: Any) -> bytes:
    """A stream; a tuple is (event name, value)."""
    parts = []
    for value in values:
        name, data = value if isinstance(value, tuple) else ("", value)
        top = f"event: {name}\n" if name else ""
        parts.append(f"{top}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode())
    return chunked(*parts)


def test_every_kind_is_tried_here() -> None:
    """Each relayed endpoint has a body in these tests and a validator of its own."""
    assert {kind.path for kind in KINDS} == JSON_BODIES.keys() | FORM_FIELDS.keys()
    assert JSON_BODIES.keys() == relay.ENDPOINTS.keys()
    assert FORM_FIELDS.keys() == multipart.ENDPOINTS.keys()


@pytest.mark.parametrize("kind", JSON_BODIES)
async def test_a_json_call_reaches_its_host_under_the_hosts_name_and_comes_back_under_the_clients(kind: str) -> None:
    """Path, credential and model are the host's; unknown fields ride along; the answer bears the name asked for."""
    reply = {"object": "thing", "model": "m-2024", "usage": USAGE, "extra": {"model": "inner"}}
    async with ChaosUpstream([Send(said(reply))]) as up, opened(hosts(up)) as door:
        answer = await ask(door, kind, x_vendor={"kept": [None, 1.5]})
        assert answer.status == 200
        assert unmarked(answer.json) == {**reply, "model": "both"}
        assert answer.headers["x-tollhouse-target"] == "up0/m"
        sent = up.requests[0]
        assert (sent.method, sent.target) == ("POST", f"/v1/{kind}")
        assert sent.headers["authorization"] == f"Bearer {SECRET}"
        assert sent.headers["content-type"] == "application/json"
        assert door.key.encode() not in sent.head
        assert json.loads(sent.body) == {**JSON_BODIES[kind], "model": "m", "x_vendor": {"kept": [None, 1.5]}}
        assert door.count("tollhouse_tokens", "up0", "m", "input") == 5
        spoken = "output_audio" if kind == "audio/speech" else "output"
        assert door.count("tollhouse_tokens", "up0", "m", spoken) == 2
        assert door.idle


@pytest.mark.parametrize("kind", FORM_FIELDS)
async def test_of_a_form_nothing_is_changed_but_the_model(kind: str) -> None:
    """The host gets the client's own bytes and boundary with its own name for the model in them."""
    async with ChaosUpstream([Send(said({"text": "words", "usage": USAGE}))]) as up, opened(hosts(up)) as door:
        answer = await ask(door, kind)
        assert (answer.status, answer.json["text"]) == (200, "words")
        sent = up.requests[0]
        assert sent.target == f"/v1/{kind}"
        assert sent.headers["content-type"] == FORM_TYPE
        assert sent.headers["authorization"] == f"Bearer {SECRET}"
        assert sent.body == form({**FORM_FIELDS[kind], "model": b"m"})
        assert door.idle


DEFAULTS = {kind.path: kind.model for kind in KINDS if kind.model is not None and kind.path != "moderations"}
"""Moderations without a model are answered by the classifier inside."""


@pytest.mark.parametrize("kind", DEFAULTS)
async def test_a_model_that_may_be_left_out_is_openais_default(kind: str) -> None:
    """Without a model the endpoint's own default is looked up as if the client had named it, and sent to the host."""
    async with ChaosUpstream([Send(said({"ok": True}))]) as up:
        declared = f'[providers.up0]\nbase_url = "{up.url}/v1"\nmodels = ["m"]\n'
        async with opened(f'{declared}[models]\n"{DEFAULTS[kind]}" = "up0/m"\n') as door:
            if kind in FORM_FIELDS:
                answer = await door.post(form(FORM_FIELDS[kind]), f"/v1/{kind}", content_type=FORM_TYPE)
            else:
                answer = await door.post(JSON_BODIES[kind], f"/v1/{kind}")
            assert answer.status == 200
            assert b'"m"' in up.requests[0].body or b'name="model"\r\n\r\nm\r\n' in up.requests[0].body


@pytest.mark.parametrize("kind", [kind.path for kind in KINDS if kind.model is None])
async def test_a_model_that_must_be_named_is_asked_for(kind: str) -> None:
    """Where OpenAI has no default, a call without a model is a 400 that says so."""
    async with opened() as door:
        if kind in FORM_FIELDS:
            answer = await door.post(form(FORM_FIELDS[kind]), f"/v1/{kind}", content_type=FORM_TYPE)
        else:
            answer = await door.post(JSON_BODIES[kind], f"/v1/{kind}")
        assert answer.status == 400
        assert "model" in answer.error["message"]


async def test_base64_vectors_pass_untouched() -> None:
    """An embedding as base64 text is the host's own, byte for byte."""
    vector = base64.b64encode(bytes(range(256)) * 24).decode()
    reply = {"object": "list", "model": "x", "data": [{"object": "embedding", "index": 0, "embedding": vector}]}
    async with ChaosUpstream([Send(said(reply))]) as up, opened(hosts(up)) as door:
        answer = await ask(door, "embeddings", encoding_format="base64")
        assert answer.json["data"][0]["embedding"] == vector
        assert json.loads(up.requests[0].body)["encoding_format"] == "base64"


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
async def test_sound_passes_through_as_it_is(framing: str) -> None:
    """Binary answers keep their bytes and their type, however the host frames them."""
    kind = "content-type: audio/mpeg"
    plays: dict[str, list[Step]] = {
        "length": [Send(head(200, kind, f"content-length: {len(BINARY)}") + BINARY, size=1000)],
        "chunked": [Send(head(200, kind, "transfer-encoding: chunked") + chunk(BINARY) + b"0\r\n\r\n")],
        "eof": [Send(head(200, kind) + BINARY), Close()],
    }
    async with ChaosUpstream(plays[framing]) as up, opened(hosts(up)) as door:
        answer = await ask(door, "audio/speech")
        assert (answer.status, answer.headers["content-type"]) == (200, "audio/mpeg")
        assert answer.body == BINARY
        assert answer.ended
        assert up.requests[0].headers["accept"] == "*/*"
        assert door.idle


async def test_sound_that_breaks_off_never_looks_whole() -> None:
    """A binary answer cut short upstream is cut short for the client too: no error text is mixed into it."""
    broken = head(200, "content-type: audio/mpeg", "content-length: 99999") + BINARY
    async with ChaosUpstream([Send(broken), Pause(0.1), Close()]) as up, opened(hosts(up)) as door:
        answer = await ask(door, "audio/speech")
        assert answer.body == BINARY
        assert not answer.ended
        await eventually(lambda: door.idle)


async def test_subtitles_are_text() -> None:
    """A transcription as ``srt`` comes as the host's text."""
    text = b"1\n00:00:00,000 --> 00:00:01,000\nHello\n"
    async with ChaosUpstream([Send(whole(text, content_type="text/plain; charset=utf-8"))]) as up:
        async with opened(hosts(up)) as door:
            answer = await ask(door, "audio/transcriptions")
            assert (answer.body, answer.headers["content-type"]) == (text, "text/plain; charset=utf-8")


async def test_events_keep_their_names_and_get_the_clients_model() -> None:
    """A Responses stream arrives event by event, named, with the model put back and the usage metered."""
    opening = {"type": "response.created", "response": {"id": "r", "object": "response", "model": "m-2024"}}
    text = {"type": "response.output_text.delta", "delta": "model: m-2024"}
    done = {"input_tokens": 11, "output_tokens": 4, "total_tokens": 15}
    closing = {"type": "response.completed", "response": {"object": "response", "model": "m-2024", "usage": done}}
    play = events(*[(value["type"], value) for value in (opening, text, closing)])
    async with ChaosUpstream([Send(play, size=7)]) as up, opened(hosts(up)) as door:
        answer = await ask(door, "responses", stream=True)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.ended
        blocks = [block.split(b"\n") for block in answer.body.split(b"\n\n") if block]
        assert [name.decode() for name, _ in blocks] == [
            f"event: {value['type']}" for value in (opening, text, closing)
        ]
        values = [json.loads(data.removeprefix(b"data: ")) for _, data in blocks]
        assert [value["response"]["model"] for value in (values[0], values[2])] == ["both", "both"]
        assert values[1] == text
        assert door.count("tollhouse_tokens", "up0", "m", "input") == 11
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 4
        assert door.idle


async def test_a_legacy_stream_ends_with_its_own_done() -> None:
    """Unnamed events, keep-alives and ``[DONE]`` of a completions stream come out clean."""
    piece = {"object": "text_completion", "model": "m-2024", "choices": [{"index": 0, "text": "a"}]}
    play = events(piece, " ", {**piece, "usage": USAGE}, "[DONE]")
    async with ChaosUpstream([Send(play, size=1)]) as up, opened(hosts(up)) as door:
        answer = await ask(door, "completions", stream=True)
        assert [event["model"] for event in answer.events] == ["both", "both"]
        assert answer.lines[-1] == b"[DONE]"
        assert len(answer.lines) == 3
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 2


async def test_a_target_without_the_endpoint_is_passed_over() -> None:
    """An alias may mix models inside this process with hosts: the first that can have the endpoint is asked."""
    async with ChaosUpstream([Send(said({"data": []}))]) as up:
        text = hosts(up).replace("targets = [", 'targets = ["tollhouse/sim", ')
        async with opened(f"[upstream]\nmax_attempts = 1\n{text}") as door:
            answer = await ask(door, "embeddings")
            assert (answer.status, answer.headers["x-tollhouse-target"]) == (200, "up0/m")


@pytest.mark.parametrize("kind", [kind.path for kind in KINDS])
async def test_a_model_inside_this_process_says_that_it_lacks_an_endpoint(kind: str) -> None:
    """``tollhouse/sim`` answers chat alone; anything else asked of it is a 404 that says so, and holds nothing."""
    async with opened() as door:
        answer = await ask(door, kind, "tollhouse/sim")
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")
        assert f"does not serve /v1/{kind}" in answer.error["message"]
        assert door.idle


async def test_a_dead_target_is_passed_over_and_the_client_is_told() -> None:
    """The next target is tried, with its own model in the form, and the attempts are counted in a header."""
    async with ChaosUpstream([Send(said({"text": "ok"}))]) as up, opened(hosts(closed_port(), up)) as door:
        answer = await ask(door, "audio/transcriptions")
        assert answer.status == 200
        assert answer.headers["x-tollhouse-target"] == "up1/m"
        assert answer.headers["x-tollhouse-attempts"] == "2"


@pytest.mark.parametrize("body", [b"", b"{", b"[1,2", b"{} {}", b"\xff\xfe", b'{"a":NaN}', b"[" * 100_000])
async def test_an_answer_that_is_no_json_is_the_hosts_fault(body: bytes) -> None:
    """Garbage under a JSON type is 502 upstream_bad_response, and the client's next call works."""
    async with ChaosUpstream([Send(whole(body))], [Send(said({"ok": 1}))]) as up, opened(hosts(up)) as door:
        answer = await ask(door, "embeddings")
        assert (answer.status, answer.error["code"]) == (502, "upstream_bad_response")
        assert door.idle
        assert (await ask(door, "embeddings")).status == 200


SECONDS = [{"type": "duration", "seconds": 3}]


@pytest.mark.parametrize("usage", [*SECONDS, None, 7, {"prompt_tokens": -1}])
async def test_usage_that_counts_no_tokens_is_estimated(usage: object) -> None:
    """Where a host garbles its usage an estimate stands, marked as one; seconds are no estimate."""
    async with ChaosUpstream([Send(said({"text": "x", "usage": usage}))]) as up, opened(hosts(up)) as door:
        assert unmarked((await ask(door, "audio/transcriptions")).json)["usage"] == usage
        seconds = door.count("tollhouse_tokens", "up0", "m", "input_audio")
        assert (door.count("tollhouse_estimated_usage", "up0"), seconds) == ((0, 3) if usage in SECONDS else (1, ANY))


@pytest.mark.parametrize("value", [7, "text", [1], None])
async def test_json_that_is_no_object_is_no_answer(value: Any) -> None:
    """Every answer of these endpoints is an object; anything else is a fault of the host's, and not charged (F12)."""
    async with ChaosUpstream([Send(said(value))]) as up, opened(hosts(up)) as door:
        assert (await ask(door, "moderations")).error["code"] == "upstream_bad_response"


@pytest.mark.parametrize("kind", ["Application/JSON", "application/json; charset=UTF-8", "APPLICATION/JSON ;x=y"])
async def test_a_content_type_means_the_same_in_any_case(kind: str) -> None:
    """The model's name is put back however the host spells the type of its JSON."""
    async with ChaosUpstream([Send(whole(b'{"model":"m-2024"}', content_type=kind))]) as up, opened(hosts(up)) as door:
        assert unmarked((await ask(door, "embeddings")).json) == {"model": "both"}
