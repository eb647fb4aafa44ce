"""One request and its response, on a channel that keeps the bytes."""

import asyncio
import json

import pytest

from tollhouse.errors import InvalidRequest, Overloaded, PayloadTooLarge, UpstreamRejected
from tollhouse.web.exchange import Exchange


class Wire:
    """A channel that keeps what is sent, each write by itself."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.aborted = False

    def send(self, data: bytes) -> None:
        """See `Channel`."""
        self.writes.append(data)

    async def writable(self) -> None:
        """See `Channel`."""

    def abort(self) -> None:
        """See `Channel`."""
        self.aborted = True


def made(method: str = "GET", *, http_1_0: bool = False, complete: bool = True) -> tuple[Exchange, Wire]:
    """An exchange whose request has come, whole or without its body."""
    wire = Wire()
    exchange = Exchange(wire, "127.0.0.1", 0.0)
    exchange.method = method
    exchange.http_1_0 = http_1_0
    if complete:
        exchange.close_body()
    exchange.request_id = "req_1"
    exchange.shared_headers = "x-request-id: req_1\r\n"
    return exchange, wire


# --- the request ---------------------------------------------------------------------------------------------------


async def test_the_body_is_all_pieces_in_order() -> None:
    """A handler that waits is woken once the body is whole; one that comes later has it at once."""
    exchange, _ = made("POST", complete=False)
    waiting = asyncio.create_task(exchange.body())
    await asyncio.sleep(0)
    exchange.add_body(b"ab")
    exchange.add_body(b"cd")
    assert not waiting.done()
    exchange.close_body()
    assert await waiting == b"abcd"
    assert await exchange.body() == b"abcd"
    assert exchange.body_bytes == 4
    exchange.release_body()
    assert await exchange.body() == b""


async def test_a_body_that_fails_raises_for_whoever_waits() -> None:
    """The reason is raised, for a handler that waits and for one that asks later; the pieces are freed."""
    exchange, _ = made("POST", complete=False)
    waiting = asyncio.create_task(exchange.body())
    await asyncio.sleep(0)
    exchange.add_body(b"ab")
    exchange.close_body(PayloadTooLarge("too much"))
    with pytest.raises(PayloadTooLarge):
        await waiting
    with pytest.raises(PayloadTooLarge):
        await exchange.body()


async def test_a_client_that_expects_to_be_told_is_told_once_it_is_wanted() -> None:
    """100 Continue leaves when a handler asks for the body, not before, and not for one that has come already."""
    exchange, wire = made("POST", complete=False)
    exchange.expects_continue = True
    waiting = asyncio.create_task(exchange.body())
    await asyncio.sleep(0)
    assert wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    exchange.close_body()
    await waiting
    eager, quiet = made("POST", complete=False)
    eager.expects_continue = True
    eager.close_body()
    await eager.body()
    assert quiet.writes == []


async def test_a_handler_that_gave_up_waiting_is_not_woken() -> None:
    """A body that ends after its handler was cancelled troubles nobody."""
    exchange, _ = made("POST", complete=False)
    waiting = asyncio.create_task(exchange.body())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    exchange.close_body()
    assert exchange.complete


# --- a whole answer ------------------------------------------------------------------------------------------------


def test_a_whole_answer_is_one_write_with_its_length() -> None:
    """Head and body leave together; the id is in it; the connection stays open without a word."""
    exchange, wire = made()
    exchange.reply(200, b'{"a":1}', "x-more: 1\r\n")
    (data,) = wire.writes
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert {b"content-length: 7", b"content-type: application/json", b"x-request-id: req_1", b"x-more: 1"} <= set(lines)
    assert b"connection" not in head
    assert body == b'{"a":1}'
    assert (exchange.status, exchange.sent_bytes, exchange.head_sent) == (200, 7, True)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("HEAD", 404)])
def test_some_answers_have_no_body(method: str, status: int) -> None:
    """HEAD and 204 end with their head."""
    exchange, wire = made(method)
    exchange.reply(status, b"body" if status != 204 else b"")
    assert wire.writes[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize("complete", [True, False])
def test_a_connection_that_closes_says_so(complete: bool) -> None:
    """``connection: close`` is in the head of the last answer, and of one that does not wait for the request's end."""
    exchange, wire = made(complete=complete)
    exchange.keep_alive = not complete
    exchange.reply(200, b"")
    assert b"\r\nconnection: close\r\n" in wire.writes[0]


# --- a stream ------------------------------------------------------------------------------------------------------


def test_the_head_of_a_stream_waits_for_its_first_event() -> None:
    """Nothing is sent when a stream begins, for a fault may still choose the status; then head and event are one."""
    exchange, wire = made()
    exchange.begin_stream("x-a: 1\r\n")
    assert wire.writes == []
    exchange.write(b"data: 1\n\n")
    exchange.write(b"data: 2\n\n")
    exchange.end(b"data: [DONE]\n\n")
    first, second, last = wire.writes
    head, _, event = first.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"content-type: text/event-stream; charset=utf-8" in head
    assert event == b"9\r\ndata: 1\n\n\r\n"
    assert second == b"9\r\ndata: 2\n\n\r\n"
    assert last == b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    assert exchange.sent_bytes == 9 + 9 + 14
    assert not exchange.streaming


def test_a_write_of_nothing_does_not_end_the_body() -> None:
    """An empty chunk is the end of a chunked body, and what came after it would be read as the next answer."""
    exchange, wire = made()
    exchange.begin_stream()
    exchange.write(b"")
    assert wire.writes == []
    exchange.write(b"data: 1\n\n")
    exchange.write(b"")
    exchange.end(b"data: 2\n\n")
    body = b"".join(wire.writes).partition(b"\r\n\r\n")[2]
    assert body == b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"


def test_a_stream_that_says_nothing_still_has_a_head_and_an_end() -> None:
    """Ending an unbegun stream sends both, once."""
    exchange, wire = made()
    exchange.begin_stream(content_type="audio/mpeg")
    exchange.end()
    (data,) = wire.writes
    assert data.startswith(b"HTTP/1.1 200")
    assert b"content-type: audio/mpeg" in data
    assert data.endswith(b"\r\n\r\n0\r\n\r\n")


def test_http_1_0_gets_the_bytes_and_a_close() -> None:
    """Without chunked coding the end of the connection is the end of the body."""
    exchange, wire = made(http_1_0=True)
    exchange.begin_stream()
    exchange.write(b"data: 1\n\n")
    exchange.end(b"data: 2\n\n")
    assert not exchange.keep_alive
    assert b"".join(wire.writes).partition(b"\r\n\r\n")[2] == b"data: 1\n\ndata: 2\n\n"
    assert b"connection: close" in wire.writes[0]


def test_a_hosts_content_type_cannot_add_a_header() -> None:
    """A type with line breaks in it stays one header line."""
    exchange, wire = made()
    exchange.begin_stream(content_type="audio/x\r\nset-cookie: a=b")
    exchange.end()
    assert b"\r\nset-cookie" not in wire.writes[0]


# --- a fault -------------------------------------------------------------------------------------------------------


def test_a_fault_before_anything_was_sent_is_a_status() -> None:
    """Its JSON, its own headers, and the request's id; also when a stream had begun but not spoken."""
    for begins in (False, True):
        exchange, wire = made()
        if begins:
            exchange.begin_stream(heartbeat=lambda: b"")
        exchange.fail(Overloaded("full", headers={"retry-after": "1"}))
        (data,) = wire.writes
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in data
        assert b"chunked" not in head
        assert json.loads(body)["error"]["request_id"] == "req_1"
        assert exchange.heartbeat is None


def test_a_fault_within_events_is_the_last_of_them() -> None:
    """The status is gone already: one event tells it, the framing ends, and the connection may go on."""
    exchange, wire = made()
    exchange.begin_stream()
    exchange.write(b"data: 1\n\n")
    exchange.fail(InvalidRequest("no"))
    assert b'\r\ndata: {"error":{"message":"no"' in wire.writes[1]
    assert wire.writes[1].endswith(b"\n\n\r\n0\r\n\r\n")
    assert not wire.aborted


def test_a_fault_within_sound_breaks_it_off() -> None:
    """No text is mixed into a binary answer, and no end is sent, so that it cannot pass for whole."""
    exchange, wire = made()
    exchange.begin_stream(content_type="audio/mpeg")
    exchange.write(b"\x00\x01")
    exchange.fail(InvalidRequest("no"))
    assert len(wire.writes) == 1
    assert wire.aborted
    assert not exchange.streaming


def test_a_fault_after_the_answer_says_nothing() -> None:
    """One request has one answer."""
    exchange, wire = made()
    exchange.reply(200, b"x")
    exchange.fail(InvalidRequest("no"))
    assert len(wire.writes) == 1
    assert exchange.status == 200


@pytest.mark.parametrize("status", [418, 460, 499])
def test_a_status_without_a_name_is_still_a_status(status: int) -> None:
    """A host's refusal keeps its status, whether a registry knows it or not."""
    exchange, wire = made()
    exchange.fail(UpstreamRejected("no", status=status))
    assert wire.writes[0].startswith(b"HTTP/1.1 %d " % status)
