"""What the fuzzer has found, each with the smallest case of it."""

from pathlib import Path

import pytest

from tests.fuzz.config_files import ConfigFiles
from tests.fuzz.http_server import HttpServer, Stage
from tests.settings.reader import faults

HEAD = b"HTTP/1.1\r\nHost: t\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
GET = b"GET /v1/echo " + HEAD + b"\r\n"


async def bodies(end: bytes, *pieces: bytes) -> list[tuple[bytes, bytes | None]]:
    """The responses: status and body. The oracle judges in passing."""
    return [(response.method, response.body) for response in await Stage().play(end, list(pieces))]


@pytest.mark.parametrize("version", [b"", b" HTTP/2.0", b" HTTP/0.9"])
async def test_a_request_line_without_a_version_that_is_spoken_is_refused(version: bytes) -> None:
    """``POST /`` and a bare line feed is not read as HTTP/0.9 with headers, nor is HTTP/2.0 read as HTTP/1.1."""
    line_end = b"\r\n" if version else b"\n"
    ((status, _),) = await bodies(b"eof", b"POST /v1/echo" + version + line_end + b"Host: t\r\n\r\n")
    assert status == b"400"


@pytest.mark.parametrize("end", [b"eof", b"gone"])
async def test_a_body_that_is_not_waited_for_is_counted_out_once(end: bytes) -> None:
    """When a handler answers before the body's end, or the client goes while a request waits, no byte stays counted,
    and none is counted twice.
    """
    start = b"POST /v1/deaf " + HEAD + b"Content-Length: 9\r\n\r\nabc"
    await bodies(end, start)
    await bodies(end, GET + start)
    await bodies(end, GET * 3 + start, b"de")


async def test_an_answer_before_the_end_of_the_body_says_that_the_connection_closes() -> None:
    """A client that still sends must not believe that it can send another request."""
    (response,) = await Stage().play(b"eof", [b"POST /v1/none " + HEAD + b"Content-Length: 9\r\n\r\n"])
    assert (response.method, response.close) == (b"404", True)


async def test_a_refused_client_is_read_on_until_it_has_its_answer() -> None:
    """Reading that a full pipeline has paused goes on while the connection lingers."""
    await bodies(b"gone", b"GET / HTTP/1.1\r\n\r\n" + GET * 9, GET)


@pytest.mark.parametrize("cut", [1, 40, 1000])
async def test_a_request_that_offers_an_upgrade_keeps_its_body(cut: int) -> None:
    """An h2c upgrade, which Java's client offers with every first request, is ignored: the body is read, with a length
    or in chunks, and the connection serves the next request.
    """
    sized = b"POST /v1/echo " + HEAD + UPGRADE + b"Content-Length: 2\r\n\r\nhi"
    chunked = b"POST /v1/echo " + HEAD + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n"
    empty = b"GET /v1/echo " + HEAD + UPGRADE + b"\r\n"
    data = sized + chunked + empty + sized
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
    assert await bodies(b"eof", *pieces) == [(b"200", b"hi"), (b"200", b"ho"), (b"200", b""), (b"200", b"hi")]


@pytest.mark.parametrize("more", [b"", UPGRADE])
@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, chunked"])
async def test_a_coding_that_is_not_read_is_refused(coding: bytes, more: bytes) -> None:
    """Only ``chunked`` is; anything else would leave the body encoded, or its end in doubt."""
    request = b"POST /v1/echo " + HEAD + more + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n"
    ((status, _),) = await bodies(b"eof", request)
    assert status == b"400"


async def test_those_cases_hold_however_they_are_cut() -> None:
    """The cases as the fuzzer found them."""
    for case in (
        (b"eof", b"POST /\nHost:\r\n\r\n"),
        (b"hold", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"\n"),
        (b"slow", b"POST / HTTP/1.1\r\nHost:\r\nUpgrade:c\r\nConnection: upgrade\r\nTransfer-Encoding: d\r\n\r\n"),
        (b"slow", b"POST /f HTTP/1.1\r\nHost: t\r\nContent-Length: 34\r\n\r\nGv1/echo HTTP/1.1\r", b"t\r\nX: "),
    ):
        await HttpServer().check(case)


def test_a_credential_behind_env_is_not_repeated(tmp_path: Path) -> None:
    """``env:sk-...`` is a slip of the pen: the problem does not print what may be the key."""
    found = faults(tmp_path, '[providers.openai]\napi_key = "env:sk-CANARY-0123"\n')
    assert "CANARY" not in str(found)
    assert found["providers.openai.api_key"].fix == 'write "env:NAME"'


async def test_a_path_that_cannot_be_one_is_a_problem(tmp_path: Path) -> None:
    """A NUL in ``file:`` is reported like any other fault."""
    found = faults(tmp_path, '[providers.openai]\napi_key = "file:\\u0000"\n')
    assert found["providers.openai.api_key"].message == "not a path"
    await ConfigFiles(tmp_path).check((b"", b'[providers.openai]\napi_key = "file:\\u0000"\n'))
