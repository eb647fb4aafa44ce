"""Request heads as bytes, and the judgement of reply heads."""

import pytest

from tollhouse.errors import Fault, InternalError, UpstreamProtocol, UpstreamRedirect
from tollhouse.types.wire import Outgoing
from tollhouse.upstream.heads import Heads, add_field, check_reply, decode_head
from tollhouse.upstream.origin import Origin, Proxy

ORIGIN = Origin("http", "a.example", 8080)


Fields = tuple[tuple[str, str], ...]


def encode(method: str = "POST", path: str = "/v1", headers: Fields = (), body: bytes = b"") -> bytes:
    """The head of one request."""
    return Heads(ORIGIN, None).encode(Outgoing(method, path, headers, body))


def test_head_is_complete() -> None:
    """A head has the request line, host, identity coding, the caller's headers and the length."""
    assert encode(headers=(("X-One", "1"), ("x-two", "2 \t\xe9")), body=b"abc") == (
        b"POST /v1 HTTP/1.1\r\nhost: a.example:8080\r\naccept-encoding: identity\r\n"
        b"x-one: 1\r\nx-two: 2 \t\xe9\r\ncontent-length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(("method", "announced"), [("GET", False), ("HEAD", False), ("DELETE", False), ("POST", True)])
def test_empty_body_is_announced_only_where_one_is_expected(method: str, announced: bool) -> None:
    """Without a body only methods that normally have one say content-length: 0."""
    assert (b"content-length: 0\r\n" in encode(method)) is announced


def test_remembered_head_keeps_its_own_length() -> None:
    """The same headers with another body give the same head but for the length."""
    heads = Heads(ORIGIN, None)
    first, second = (heads.encode(Outgoing("POST", "/v1", (("a", "b"),), body)) for body in (b"x", b"y" * 12))
    assert first.replace(b"length: 1\r", b"length: 12\r") == second


def test_head_memory_is_bounded() -> None:
    """Heads that never repeat do not pile up."""
    heads = Heads(ORIGIN, None)
    for number in range(1000):
        heads.encode(Outgoing("POST", "/v1", (("x-request-id", str(number)),), b""))
    assert len(heads._known) <= 256


def test_accept_encoding_is_ours() -> None:
    """A caller cannot ask for a compressed reply."""
    assert encode(headers=(("Accept-Encoding", "gzip"),)).count(b"accept-encoding") == 1


@pytest.mark.parametrize("bad", ["a\rb", "a\nb", "a\r\nhost: evil", "a\0b", "a\x7f", "\x01", "\u0394"])
def test_header_value_that_could_end_the_line_is_refused(bad: str) -> None:
    """A value with CR, LF, NUL or another control or wide character is refused, and not repeated in the message."""
    with pytest.raises(InternalError) as caught:
        encode(headers=(("x-key", bad),))
    assert bad not in caught.value.message


@pytest.mark.parametrize("bad", ["", "a b", "a:", "a\r\nb", "\xe9", "a\0"])
def test_header_name_must_be_a_token(bad: str) -> None:
    """A name that is not a token is refused."""
    with pytest.raises(InternalError):
        encode(headers=((bad, "x"),))


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "connection", "proxy-connection", "te"]
)
def test_framing_headers_are_not_the_callers(name: str) -> None:
    """Headers that belong to the connection are refused."""
    with pytest.raises(InternalError):
        encode(headers=((name, "1"),))


@pytest.mark.parametrize("path", ["", "v1", "/a b", "/a\r\nx: y", "http://evil/", "/\xe9", "/\x00"])
def test_path_must_be_a_request_target(path: str) -> None:
    """A path that could end the request line is refused."""
    with pytest.raises(InternalError):
        encode(path=path)


@pytest.mark.parametrize("method", ["", "G ET", "GET\r\n", "CONNECT"])
def test_method_must_be_a_token(method: str) -> None:
    """A method that is not a plain token is refused."""
    with pytest.raises(InternalError):
        encode(method=method)


def test_proxied_http_has_an_absolute_target_and_the_proxys_password() -> None:
    """A plain request through a proxy names the whole URL and carries proxy-authorization."""
    head = Heads(ORIGIN, Proxy.parse("http://u:p@proxy:1")).encode(Outgoing("GET", "/v1", (), b""))
    assert head.startswith(b"GET http://a.example:8080/v1 HTTP/1.1\r\nhost: a.example:8080\r\n")
    assert b"\r\nproxy-authorization: Basic dTpw\r\n" in head


def test_proxied_https_keeps_the_proxys_password_from_the_origin() -> None:
    """Inside a tunnel the head is that of a direct request."""
    origin = Origin("https", "a.example", 443)
    outgoing = Outgoing("GET", "/v1", (), b"")
    assert Heads(origin, Proxy.parse("http://u:p@proxy:1")).encode(outgoing) == Heads(origin, None).encode(outgoing)


def test_fields_are_joined_and_lowered() -> None:
    """Names are lower-case, repeated fields are joined, space after a value is dropped, bytes above 127 survive."""
    fields = [(b"X-A", b"1"), (b"x-b", b"two \t"), (b"x-a", b"2"), (b"X-C", b"\xe9")]
    head: dict[bytes, bytes] = {}
    for name, value in fields:
        add_field(head, name, value)
    assert decode_head(head) == {"x-a": "1, 2", "x-b": "two", "x-c": "\xe9"}


@pytest.mark.parametrize(
    ("status", "version", "headers", "fault"),
    [
        (200, "1.1", {}, None),
        (200, "1.0", {}, None),
        (599, "1.1", {}, None),
        (304, "1.1", {"content-length": "5"}, None),
        (204, "1.1", {"content-length": "0"}, None),
        (200, "1.1", {"transfer-encoding": "Chunked"}, None),
        (200, "1.1", {"content-encoding": "identity"}, None),
        (200, "1.1", {"content-encoding": ""}, None),
        (200, "2.0", {}, UpstreamProtocol),
        (200, "0.9", {}, UpstreamProtocol),
        (600, "1.1", {}, UpstreamProtocol),
        (99, "1.1", {}, UpstreamProtocol),
        (300, "1.1", {}, UpstreamRedirect),
        (301, "1.1", {}, UpstreamRedirect),
        (308, "1.1", {"location": "http://evil"}, UpstreamRedirect),
        (204, "1.1", {"content-length": "5"}, UpstreamProtocol),
        (204, "1.1", {"transfer-encoding": "chunked"}, UpstreamProtocol),
        (200, "1.0", {"transfer-encoding": "chunked"}, UpstreamProtocol),
        (200, "1.1", {"transfer-encoding": "gzip, chunked"}, UpstreamProtocol),
        (200, "1.1", {"transfer-encoding": "chunked, chunked"}, UpstreamProtocol),
        (200, "1.1", {"transfer-encoding": "identity"}, UpstreamProtocol),
        (200, "1.1", {"content-encoding": "gzip"}, UpstreamProtocol),
        (200, "1.1", {"content-encoding": "br"}, UpstreamProtocol),
        (200, "1.1", {"content-encoding": "identity, gzip"}, UpstreamProtocol),
    ],
)
def test_heads_are_judged(status: int, version: str, headers: dict[str, str], fault: type[Fault] | None) -> None:
    """A head is acted on only if status, version, framing and coding leave one reading."""
    head = {name.encode(): value.encode() for name, value in headers.items()}
    if fault is None:
        check_reply(status, version, head)
        return
    with pytest.raises(fault) as caught:
        check_reply(status, version, head)
    assert "evil" not in caught.value.message
