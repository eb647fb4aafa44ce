"""The upstream's share of the fault matrix (F01-F31), seen by a client of the whole gateway."""

import json

import pytest

from tests.fakes.chaos import (
    ChaosUpstream,
    Close,
    Hang,
    Pause,
    Reset,
    Send,
    Step,
    chunk,
    chunked,
    closed_port,
    head,
    whole,
)
from tests.fakes.door import eventually, opened
from tests.fakes.openai_wire import (
    DONE,
    LAST_USAGE,
    ROLE,
    STOP,
    completion,
    delta,
    event,
    failure,
    stream,
    words,
)
from tests.gateway.kit import ASK, STREAM, hosts

SSE = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
JSON = "content-type: application/json"
BIG_HEADER = head(200, JSON, "x: " + "a" * 70_000, "content-length: 2") + b"{}"
MANY_HEADERS = head(200, JSON, *[f"x-{number}: a" for number in range(10_000)], "content-length: 2") + b"{}"

SILENT_OR_BROKEN: dict[str, tuple[list[Step], int, str]] = {
    "f02 no answer to the request": ([Hang()], 504, "upstream_timeout"),
    "f06 closes without a byte": ([Close()], 502, "upstream_unreachable"),
    "f07 reset in the head": ([Send(b"HTTP/1.1 200 OK\r\ncont"), Pause(0.02), Reset()], 502, ""),
    "f08 a header too large": ([Send(BIG_HEADER)], 502, "upstream_protocol"),
    "f08 too many headers": ([Send(MANY_HEADERS)], 502, "upstream_protocol"),
    "f08 nul in a header": (
        [Send(head(200, JSON, "x: a\x00b", "content-length: 2") + b"{}")],
        502,
        "upstream_protocol",
    ),
    "f09 a thousand 1xx": ([Send(head(100) * 1000 + completion())], 502, "upstream_protocol"),
    "f09 101": ([Send(head(101))], 502, "upstream_protocol"),
    "f09 204": ([Send(head(204))], 502, ""),
    "f10 a redirect": (
        [Send(head(302, "location: http://127.0.0.1:9/", "content-length: 0"))],
        502,
        "upstream_redirect",
    ),
    "f11 html": ([Send(whole(b"<html>sk-leak-0123456789</html>", 200, "text/html"))], 502, "upstream_bad_response"),
    "f12 garbage": ([Send(whole(b"\x00\x01garbage"))], 502, "upstream_bad_response"),
    "f12 truncated json": ([Send(whole(b'{"choices": [{"mess'))], 502, "upstream_bad_response"),
    "f12 an empty body": ([Send(whole(b""))], 502, ""),
    "f12 another json": ([Send(whole(b"[1,2,3]"))], 502, "upstream_bad_response"),
    "f12 no choices": ([Send(whole(b'{"id": "x"}'))], 502, "upstream_bad_response"),
    "f13 invalid utf-8": ([Send(completion("@@").replace(b"@@", b"\xff\xfe"))], 502, "upstream_bad_response"),
    "f14 shorter than its length": ([Send(completion()[:-20]), Close()], 502, "upstream_interrupted"),
    "f15 gzip unasked": (
        [Send(head(200, JSON, "content-encoding: gzip", "content-length: 2") + b"{}")],
        502,
        "upstream_protocol",
    ),
    "not http": ([Send(b"SSH-2.0-OpenSSH_9.2\r\n")], 502, "upstream_protocol"),
    "f19 headers then silence": ([Send(head(200, JSON, "content-length: 500")), Hang()], 504, "upstream_timeout"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("name", SILENT_OR_BROKEN)
async def test_a_target_that_fails_before_content_is_passed_over(name: str, *, streamed: bool) -> None:
    """Alone it is its own status and code, without the upstream's words; beside a second target it is not seen."""
    play, status, code = SILENT_OR_BROKEN[name]
    ask = STREAM if streamed else ASK
    good = stream("fine") if streamed else completion("fine")
    async with ChaosUpstream(play) as bad, ChaosUpstream([Send(good)]) as second:
        async with opened(hosts(bad)) as door:
            answer = await door.post(ask)
            assert answer.status == status
            assert answer.error["code"] == code or not code
            assert answer.error["type"]
            assert b"sk-leak" not in answer.body
            assert door.idle
        async with opened(hosts(bad, second)) as door:
            answer = await door.post(ask)
            assert answer.status == 200
            assert b"fine" in answer.body
            assert answer.headers["x-tollhouse-target"] == "up1/m"
            assert door.idle


async def test_f01_a_closed_port_is_502_at_once() -> None:
    """Nothing listening is upstream_unreachable, and the next request works."""
    async with opened(hosts(closed_port())) as door:
        for _ in range(2):
            answer = await door.post(ASK)
            assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")


async def test_a_fault_names_the_host_in_its_text() -> None:
    """The one host that was asked is named, before content and after it; its own word on a request is not altered."""
    async with opened(hosts(closed_port())) as door:
        assert (await door.post(ASK)).error["message"].endswith(" (host: up0)")
    async with ChaosUpstream([Send(failure(500))], [Send(failure(400, "no"))]) as up, opened(hosts(up)) as door:
        assert (await door.post(ASK)).error["message"].endswith(" (host: up0)")
        assert (await door.post(ASK)).error["message"] == "no"
    async with ChaosUpstream([Send(chunked(*words("a"))[:-5]), Close()]) as up, opened(hosts(up)) as door:
        answer = await door.post(STREAM)
        assert answer.text == "a"
        assert answer.error["message"].endswith(" (host: up0)")


async def test_f16_an_answer_over_the_cap_is_cut() -> None:
    """A whole answer larger than the limit is refused without being held."""
    async with ChaosUpstream([Send(completion("x" * 5000))]) as up:
        async with opened(hosts(up, more="[upstream]\nmax_response_bytes = 2000")) as door:
            answer = await door.post(ASK)
            assert (answer.status, answer.error["code"]) == (502, "upstream_too_large")


async def test_f28_an_event_over_the_cap_is_cut() -> None:
    """A stream's event larger than ``max_event_bytes`` is refused; one that is within a larger cap passes."""
    long = stream("x" * 5000)
    async with ChaosUpstream([Send(long)]) as up, opened(hosts(up, more="[upstream]\nmax_event_bytes = 2000")) as door:
        answer = await door.post(STREAM)
        assert (answer.status, answer.error["code"]) == (502, "upstream_too_large")
    longer = stream("x" * 1_500_000)
    for more, passes in (("", False), ("[upstream]\nmax_event_bytes = 2000000", True)):
        async with ChaosUpstream([Send(longer)]) as up, opened(hosts(up, more=more)) as door:
            answer = await door.post(STREAM)
            assert (answer.status == 200 and len(answer.text) == 1_500_000) is passes


IN_BAND = event({"error": {"message": "sk-leak-0123456789 overloaded", "type": "server_error", "code": "server_error"}})

BROKEN_OFF: dict[str, tuple[list[Step], str]] = {
    "f18 stalls": ([Hang()], "upstream_stalled"),
    "f20 reset": ([Reset()], "upstream_interrupted"),
    "f21 fin without a reason": ([Send(b"0\r\n\r\n")], "upstream_interrupted"),
    "f21 fin in the middle": ([Close()], "upstream_interrupted"),
    "f28 an endless line": ([Send(chunk(b"data: " + b"x" * 3_000_000)), Hang()], "upstream_too_large"),
    "d8 an error event": ([Send(chunk(IN_BAND) + b"0\r\n\r\n")], ""),
    "garbage json": ([Send(chunk(b"data: {nope\n\n") + b"0\r\n\r\n")], "upstream_bad_response"),
    "invalid utf-8": (
        [Send(chunk(delta({"content": "@@"}).replace(b"@@", b"\xff")) + b"0\r\n\r\n")],
        "upstream_bad_response",
    ),
    "broken framing": ([Send(b"zz\r\nnot a chunk")], "upstream_"),
}


@pytest.mark.parametrize("name", BROKEN_OFF)
async def test_a_stream_that_breaks_off_after_content_ends_with_an_error_event(name: str) -> None:
    """C1: what came is delivered, then one error event and the end; no [DONE], no finish reason, no second target."""
    tail, code = BROKEN_OFF[name]
    begun = Send(SSE + b"".join(chunk(part) for part in words("one ", "two ")))
    async with ChaosUpstream([begun, Pause(0.02), *tail]) as bad, ChaosUpstream([Send(stream("other"))]) as second:
        async with opened(hosts(bad, second)) as door:
            answer = await door.post(STREAM)
            assert answer.status == 200
            assert answer.text.startswith("one two ")
            assert answer.ended
            last = answer.lines[-1]
            assert last.startswith(b'{"error":{"message":')
            error = json.loads(last)["error"]
            assert (error["code"] or "").startswith(code)
            assert error["request_id"] == answer.headers["x-request-id"]
            assert b"sk-leak" not in answer.body
            assert b"[DONE]" not in answer.body
            assert b'"finish_reason":"' not in answer.body
            assert not second.requests
            if not (isinstance(tail[-1], Send) and tail[-1].data.endswith(b"0\r\n\r\n")):
                await bad.gone()
            await eventually(lambda: door.idle)
            assert door.count("tollhouse_estimated_usage", "up0") == 1


async def test_f30_an_error_event_before_content_is_a_failed_attempt() -> None:
    """A host that opens its stream and then fails has said nothing yet: the next target's answer is the only one."""
    bad = chunked(ROLE, IN_BAND)
    async with ChaosUpstream([Send(bad)]) as first, ChaosUpstream([Send(stream("other"))]) as second:
        async with opened(hosts(first, second)) as door:
            answer = await door.post(STREAM)
            assert answer.text == "other"
            assert answer.events[0]["choices"][0]["delta"]["role"] == "assistant"
        async with opened(hosts(first)) as door:
            answer = await door.post(STREAM)
            assert answer.status >= 500
            assert answer.headers["content-type"] == "application/json"


async def test_f17_a_slow_first_token_is_covered_by_heartbeats_and_may_still_fall_back() -> None:
    """While nothing has come, empty deltas keep the stream open; they are no content, so the next target may answer."""
    more = "[server]\nheartbeat_s = 0.1\n[timeouts]\nfirst_byte_s = 0.5\n"
    async with ChaosUpstream([Hang()]) as slow, ChaosUpstream([Pause(0.3), Send(stream("late"))]) as second:
        async with opened(hosts(slow, second, more=more)) as door:
            answer = await door.post(STREAM)
            assert answer.text == "late"
            assert len(answer.events) > 5
            assert answer.events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
            assert [line for line in answer.lines if b'"role"' in line] == [answer.lines[0]]
        async with opened(hosts(slow, more=more)) as door:
            answer = await door.post(STREAM)
            assert answer.error["code"] == "upstream_timeout"
            assert answer.lines[-1].startswith(b'{"error":')


NORMAL: dict[str, tuple[bytes, ...]] = {
    "f22 a reason and no [DONE]": (*words("ok"), STOP),
    "f23 no usage": (*words("ok"), STOP, DONE),
    "f24 usage before content": (LAST_USAGE, *words("ok"), STOP, DONE),
    "f24 usage twice": (*words("ok"), LAST_USAGE, STOP, LAST_USAGE, DONE),
    "f31 events after the end": (*words("ok"), STOP, LAST_USAGE, DONE, *words("more"), DONE),
    "a2 usage with a choice": (
        *words("ok"),
        delta({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 1}),
        DONE,
    ),
    "f29 crlf": tuple(part.replace(b"\n", b"\r\n") for part in (*words("ok"), STOP, DONE)),
    "f29 comments": (b": hi\n\n", *words("ok"), b": there\n\n", STOP, b"event: ping\n\n", DONE),
    "d10 no space": tuple(part.replace(b"data: ", b"data:") for part in (*words("ok"), STOP, DONE)),
}


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("name", NORMAL)
async def test_every_dialect_of_a_stream_comes_out_the_same(name: str, size: int) -> None:
    """However the host frames, orders or cuts its events, the client gets one canonical stream."""
    async with ChaosUpstream([Send(chunked(*NORMAL[name]), size=size)]) as up, opened(hosts(up)) as door:
        answer = await door.post(STREAM)
        assert answer.text == "ok"
        assert answer.lines[-1] == b"[DONE]"
        assert b'"finish_reason":"stop"' in answer.lines[-2]
        assert answer.body.count(b"[DONE]") == 1
        assert door.idle


BAD_USAGE = [-5, 1.5, "12", 10**30, None, True, [], {}]


@pytest.mark.parametrize("value", BAD_USAGE, ids=repr)
async def test_f25_usage_that_is_no_count_never_reaches_arithmetic(value: object) -> None:
    """Negative, fractional, textual or absurd usage is estimated instead, and flagged."""
    usage = {"prompt_tokens": value, "completion_tokens": value, "total_tokens": value}
    async with ChaosUpstream([Send(completion(usage=usage))]) as up, opened(hosts(up)) as door:
        answer = await door.post(ASK)
        assert answer.status == 200
        assert door.count("tollhouse_estimated_usage", "up0") == 1
        assert 0 < door.count("tollhouse_tokens", "up0", "m", "output") < 100


async def test_d2_text_cut_anywhere_inside_a_character_arrives_whole() -> None:
    """CJK and emoji survive whatever size of read they come in."""
    text = "漢字かな 👩‍👩‍👧 ÅΩ \U0001f600"
    part = delta({"content": "@"}).replace(b'"@"', json.dumps(text, ensure_ascii=False).encode())
    async with ChaosUpstream([Send(chunked(ROLE, part, STOP, DONE), size=1)]) as up, opened(hosts(up)) as door:
        assert (await door.post(STREAM)).text == text


async def test_a_whole_json_answer_to_a_stream_request_is_rechunked() -> None:
    """E7: a host that cannot stream still gives the client a stream."""
    async with ChaosUpstream([Send(completion("all at once"))]) as up, opened(hosts(up)) as door:
        answer = await door.post(STREAM)
        assert answer.text == "all at once"
        assert answer.lines[-1] == b"[DONE]"


async def test_f14_more_bytes_than_the_length_are_dropped_with_the_connection() -> None:
    """A second answer smuggled behind the first is never given to the next request."""
    async with ChaosUpstream([Send(completion("first") + completion("evil"))], [Send(completion("second"))]) as up:
        async with opened(hosts(up)) as door:
            texts = [(await door.post(ASK)).json["choices"][0]["message"]["content"] for _ in range(2)]
            assert texts == ["first", "second"]
            assert len(up.visits) == 2


async def test_f06_a_kept_connection_that_died_costs_the_client_nothing() -> None:
    """A reused connection closed by the host is replaced in silence, once."""
    async with ChaosUpstream([Send(completion("a"))], [Close()], [Send(completion("b"))]) as up:
        async with opened(hosts(up)) as door:
            assert (await door.post(ASK)).status == 200
            answer = await door.post(ASK)
            assert answer.json["choices"][0]["message"]["content"] == "b"
            assert "x-tollhouse-attempts" not in answer.headers


async def test_f26_f27_a_host_that_ignores_the_cap_is_passed_on_and_metered_as_it_says() -> None:
    """More tokens than ``max_tokens`` asked for reach the client as they come, and count as the host reports them."""
    usage = {"prompt_tokens": 7, "completion_tokens": 5000, "total_tokens": 5007}
    async with ChaosUpstream([Send(completion("x " * 5000, usage=usage))]) as up, opened(hosts(up)) as door:
        answer = await door.post({**ASK, "max_tokens": 5})
        assert json.loads(up.requests[0].body)["max_tokens"] == 5
        assert answer.json["usage"]["completion_tokens"] == 5000
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 5000


async def test_s21_s28_nothing_but_a_declared_host_is_ever_connected_to() -> None:
    """A redirect to another host is not followed, and no name of a model leads to a host that nobody declared."""
    async with ChaosUpstream([Send(completion())]) as other:
        redirect = head(307, f"location: {other.url}/v1/chat/completions", "content-length: 0")
        async with ChaosUpstream([Send(redirect)]) as up, opened(hosts(up)) as door:
            assert (await door.post(ASK)).error["code"] == "upstream_redirect"
            for name in (f"{other.url}/m", f"m#{other.authority}", f"{other.authority}/m", "//127.0.0.1/m"):
                assert (await door.post({**ASK, "model": name})).status == 404
            assert not other.visits
