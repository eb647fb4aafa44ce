"""Faults of hosts on the relayed endpoints: what is passed over, what the client is told, and what is never shown."""

import asyncio
import json

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Hang, Pause, Reset, Send, Step, chunk, chunked, head, whole
from tests.fakes.door import eventually, opened
from tests.fakes.openai_wire import event, failure
from tests.gateway.kit import SECRET, hosts, unmarked
from tests.gateway.test_disconnects import leave
from tests.gateway.test_relay import BINARY, JSON_BODIES, ask, events, said

EVENTS = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
JSON = "content-type: application/json"
ODD = "canary value with spaces"
GOOD = {"object": "list", "data": []}
SWIFT = "[timeouts]\nfirst_byte_s = 0.15\nidle_s = 0.15\n"

BEFORE: dict[str, tuple[list[Step], int, str]] = {
    "no answer": ([Hang()], 504, "upstream_timeout"),
    "closes": ([Close()], 502, "upstream_unreachable"),
    "resets within its json": ([Send(head(200, JSON, "content-length: 50") + b'{"a"'), Reset()], 502, ""),
    "stalls within its json": ([Send(head(200, JSON, "content-length: 50") + b'{"a"'), Hang()], 504, ""),
    "garbage": ([Send(whole(b"{nope"))], 502, "upstream_bad_response"),
    "an error as 200": ([Send(said({"error": {"message": "down", "code": 503}}))], 503, "upstream_unavailable"),
    "html": ([Send(whole(b"<html>", 200, "text/html; charset=utf-8"))], 502, "upstream_bad_response"),
    "an unknown type": ([Send(whole(b"PK", 200, "application/zip"))], 502, "upstream_bad_response"),
    "no type": ([Send(head(200, "content-length: 2") + b"{}")], 502, "upstream_bad_response"),
    "201": ([Send(whole(b"{}", 201))], 502, "upstream_bad_response"),
    "a stream that says nothing": ([Send(chunked(b": hello\n\n"))], 502, "upstream_bad_response"),
    "a stream that opens with an error": (
        [Send(events({"error": {"message": "busy", "type": "overloaded_error"}}))],
        503,
        "upstream_unavailable",
    ),
    "a stream that stalls at once": ([Send(EVENTS), Hang()], 504, ""),
    "sound that never begins": ([Send(head(200, "content-type: audio/wav", "content-length: 9")), Hang()], 504, ""),
    "401": ([Send(failure(401, "bad key"))], 502, "upstream_auth"),
    "429": ([Send(failure(429, "slow", "rate_limit_exceeded"))], 429, "rate_limit_exceeded"),
}


@pytest.mark.parametrize("name", BEFORE)
async def test_a_host_that_fails_before_its_first_byte_is_passed_over(name: str) -> None:
    """Alone its fault is the answer, with a status of its own; beside a second host the client never sees it."""
    play, status, code = BEFORE[name]
    async with ChaosUpstream(play) as bad, ChaosUpstream([Send(said(GOOD))]) as second:
        async with opened(hosts(bad, more=SWIFT)) as door:
            answer = await ask(door, "embeddings")
            assert answer.status == status
            assert answer.error["code"] == code or not code
            assert door.idle
        async with opened(hosts(bad, second, more=SWIFT)) as door:
            answer = await ask(door, "embeddings")
            assert (answer.status, unmarked(answer.json)) == (200, GOOD)
            assert door.count("tollhouse_attempts", "up1", "ok") == 1
            assert door.idle


async def test_a_refused_request_is_not_sent_elsewhere() -> None:
    """What one host calls a bad request is the client's 400, with the host's own parameter and words."""
    bad = failure(400, "dimensions must be at most 256", "invalid_value")
    async with ChaosUpstream([Send(bad)]) as first, ChaosUpstream([Send(said(GOOD))]) as second:
        async with opened(hosts(first, second)) as door:
            answer = await ask(door, "embeddings")
            assert (answer.status, answer.error["message"]) == (400, "dimensions must be at most 256")
            assert not second.requests


async def test_an_answer_over_the_cap_is_refused() -> None:
    """A JSON answer larger than ``max_response_bytes`` is 502, not a part of it."""
    async with ChaosUpstream([Send(said({"data": "x" * 5000}))]) as up:
        async with opened(hosts(up, more="[upstream]\nmax_response_bytes = 2000")) as door:
            answer = await ask(door, "embeddings")
            assert (answer.status, answer.error["code"]) == (502, "upstream_too_large")


MIDWAY: dict[str, tuple[list[Step], str]] = {
    "reset": ([Reset()], "upstream_interrupted"),
    "stalls": ([Hang()], "upstream_stalled"),
    "closes within an event": ([Send(chunk(b'data: {"a":') + b"0\r\n\r\n")], "upstream_bad_response"),
    "no json": ([Send(chunk(b"data: nope\n\n")), Hang()], "upstream_bad_response"),
    "an error event": ([Send(chunk(event({"error": {"message": SECRET, "code": 529}}))), Hang()], "upstream_unavail"),
    "an endless line": ([Send(chunk(b"data: " + b"x" * 2_000_000)), Hang()], "upstream_too_large"),
}


@pytest.mark.parametrize("name", MIDWAY)
async def test_a_stream_that_breaks_off_ends_with_an_error_event(name: str) -> None:
    """What came is delivered, then one error event; no second host, no ``[DONE]``, and the host is let go."""
    tail, code = MIDWAY[name]
    begun = Send(EVENTS + chunk(event({"object": "text_completion", "n": 1})))
    async with ChaosUpstream([begun, Pause(0.02), *tail]) as bad, ChaosUpstream([Send(events({}))]) as second:
        async with opened(hosts(bad, second, more=SWIFT)) as door:
            answer = await ask(door, "completions", stream=True)
            assert answer.events[0]["n"] == 1
            assert answer.lines[-1].startswith(b'{"error":')
            assert answer.error["code"].startswith(code)
            assert answer.error["request_id"] == answer.headers["x-request-id"]
            assert SECRET.encode() not in answer.body
            assert not second.requests
            await eventually(lambda: door.idle)


async def test_what_a_failed_response_says_is_cleared_of_credentials() -> None:
    """An error inside a Responses object or event keeps its shape and loses every key in its text."""
    error = {"code": "server_error", "message": f"key {SECRET} and {ODD} failed"}
    failed = {"type": "response.failed", "response": {"object": "response", "model": "x", "error": error}}
    own = {"type": "error", "code": "x", "message": f"{ODD}!", "param": None}
    play = events(("response.created", {"type": "response.created"}), ("response.failed", failed), ("error", own))
    whole_one = said({"object": "response", "status": "failed", "model": "x", "error": error})
    async with ChaosUpstream([Send(play)], [Send(whole_one)]) as up:
        text = hosts(up).replace('models = ["m"]', f'models = ["m"]\nheaders = {{x-token = "{ODD}"}}')
        async with opened(text) as door:
            for answer in (await ask(door, "responses", stream=True), await ask(door, "responses")):
                assert answer.status == 200
                assert SECRET.encode() not in answer.body
                assert ODD.encode() not in answer.body
                assert answer.body.count(b"[redacted]") >= 2
            assert answer.json["error"]["code"] == "server_error"
            assert answer.json["model"] == "both"


@pytest.mark.parametrize(
    ("kind", "play"),
    [
        ("embeddings", [Hang()]),
        ("embeddings", [Send(head(200, JSON, "content-length: 50") + b"{"), Hang()]),
        ("responses", [Send(EVENTS + chunk(b'data: {"a":1}\n\n')), Hang()]),
        ("audio/speech", [Send(head(200, "content-type: audio/mpeg", "content-length: 99999") + BINARY), Hang()]),
    ],
)
async def test_a_client_that_leaves_closes_the_upstream(kind: str, play: list[Step]) -> None:
    """In every phase the host's connection is closed within a second, and nothing stays held."""
    waits = "[timeouts]\nfirst_byte_s = 20.0\nidle_s = 20.0\n"
    async with ChaosUpstream(play) as up, opened(hosts(up, more=waits)) as door:
        _, writer = await door.send("POST", f"/v1/{kind}", {**JSON_BODIES[kind], "model": "both"})
        await up.arrived()
        await asyncio.sleep(0.05)
        leave(writer, reset=True)
        await up.gone(within_s=1.3)
        await eventually(lambda: door.idle)
        assert door.count("tollhouse_client_disconnects", f"/v1/{kind}") == 1


async def test_a_slow_client_holds_the_upstream_back() -> None:
    """Of a binary answer that the client does not read, the gateway takes no more than its buffers hold."""
    size = 40_000_000
    play = Send(head(200, "content-type: audio/wav", f"content-length: {size}") + bytes(size))
    async with ChaosUpstream([play]) as up, opened(hosts(up, more="[timeouts]\nidle_s = 20.0")) as door:
        reader, writer = await door.send(
            "POST", "/v1/audio/speech", {"model": "both", "input": "long", "voice": "alloy"}
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.4)
        assert up.visits[0].transport.get_write_buffer_size() > size // 2
        writer.transport.abort()
        await up.gone()
        await eventually(lambda: door.idle)


async def test_a_delete_that_fails_tells_no_secret() -> None:
    """A host's refusal of DELETE is shown without the gateway's own credentials, whatever they look like."""
    leak = failure(400, f"cannot delete with {ODD} {SECRET}")
    async with ChaosUpstream([Send(leak)], [Send(said({"id": "m", "deleted": True}))]) as up:
        text = hosts(up).replace('models = ["m"]', f'models = ["m"]\nheaders = {{x-token = "{ODD}"}}')
        async with opened(f"{text}[models_api]\nallow_model_delete = true\n") as door:
            answer = await door.request("DELETE", "/v1/models/up0/m")
            assert answer.status == 400
            assert answer.error["message"] == "cannot delete with [redacted] [redacted]"
            answer = await door.request("DELETE", "/v1/models/up0/m")
            assert (answer.status, answer.json) == (200, {"id": "m", "deleted": True})
            assert (up.requests[1].method, up.requests[1].target) == ("DELETE", "/v1/models/m")
            missing = await door.request("DELETE", "/v1/models/tollhouse/sim")
            assert (missing.status, missing.error["code"]) == (404, "model_not_found")
        async with opened(text) as door:
            assert (await door.request("DELETE", "/v1/models/up0/m")).status == 403
            assert len(up.requests) == 2


async def test_a_status_without_a_name_is_passed_on() -> None:
    """A host's refusal with a status that no RFC names still reaches the client as an error."""
    odd = failure(460, "no", "content_filter")
    async with ChaosUpstream([Send(odd)]) as up, opened(hosts(up)) as door:
        answer = await ask(door, "embeddings")
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (460, "content_filter")


@pytest.mark.parametrize("path", ["completions", "responses"])
async def test_f21_a_stream_that_stops_short_of_its_end_is_not_passed_off_as_whole(path: str) -> None:
    """A host that closes in good order, but before it said that it was done, gives the client an error event."""
    body = (
        {"model": "both", "stream": True, "prompt": "x"}
        if path == "completions"
        else {"model": "both", "stream": True, "input": "x"}
    )
    part = event({"id": "cmpl-1", "choices": [{"index": 0, "text": "half", "finish_reason": None}]})
    async with ChaosUpstream([Send(chunked(part))]) as up, opened(hosts(up)) as door:
        answer = await door.post(body, f"/v1/{path}")
        assert answer.error["code"] == "upstream_interrupted"
        assert b"half" in answer.body
