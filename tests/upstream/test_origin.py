"""Base URLs and proxy URLs: taken as written, or refused."""

import pytest

from tollhouse.upstream.origin import Origin, Proxy, split_base_url


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://api.example.com/v1", Origin("https", "api.example.com", 443), "/v1"),
        ("https://api.example.com/v1/", Origin("https", "api.example.com", 443), "/v1"),
        ("HTTP://LocalHost:11434", Origin("http", "localhost", 11434), ""),
        ("http://my_service:80/", Origin("http", "my_service", 80), ""),
        ("http://[::1]:8000/a/b", Origin("http", "::1", 8000), "/a/b"),
        ("http://[0:0::1]", Origin("http", "::1", 80), ""),
        ("http://127.0.0.1", Origin("http", "127.0.0.1", 80), ""),
    ],
)
def test_base_url_is_split(url: str, origin: Origin, path: str) -> None:
    """A base URL gives its origin and its path."""
    assert split_base_url(url) == (origin, path)
    assert Origin.parse(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "//api.example.com",
        "https:/api.example.com",
        "https://",
        "https://:443",
        "https://api.example.com:0",
        "https://api.example.com:65536",
        "https://api.example.com:",
        "https://api.example.com:80a",
        "https://api.example.com/v1?key=sk-1",
        "https://api.example.com/v1#x",
        "https://api.example.com\\evil",
        "https://api.example.com/v1\\..",
        "https://api.example.com/v1\r\nhost: evil",
        "https://api.example.com\n",
        " https://api.example.com",
        "https://api example.com",
        "https://b\u00fccher.example",
        "https://-a.example",
        "https://a..example",
        "https://a.example.",
        "http://127.1",
        "http://0x7f.0.0.1",
        "http://2130706433",
        "http://256.1.1.1",
        "http://[::1",
        "http://[1:2]",
        "http://[::1%25eth0]",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_bad_base_url_is_refused(url: str) -> None:
    """A base URL that is not exactly one is refused."""
    with pytest.raises(ValueError, match=r"^(not a|the host|a port|a base)"):
        Origin.parse(url)


@pytest.mark.parametrize("url", ["https://user:hunter2@api.example.com/v1", "https://hunter2@api.example.com"])
def test_credentials_in_a_base_url_are_refused_unseen(url: str) -> None:
    """A base URL with a password in it is refused with a text that does not repeat it."""
    with pytest.raises(ValueError, match="credentials") as caught:
        Origin.parse(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "authority", "host_port"),
    [
        (Origin("https", "a.example", 443), "a.example", "a.example:443"),
        (Origin("http", "a.example", 443), "a.example:443", "a.example:443"),
        (Origin("http", "::1", 80), "[::1]", "[::1]:80"),
        (Origin("https", "::1", 8443), "[::1]:8443", "[::1]:8443"),
    ],
)
def test_host_header_leaves_out_the_default_port(origin: Origin, authority: str, host_port: str) -> None:
    """The Host header has a port only where it differs from the scheme's; CONNECT always has one."""
    assert origin.authority == authority
    assert origin.host_port == host_port


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("http://proxy.example:3128", None),
        ("http://proxy.example:3128/", None),
        ("http://u:p@proxy.example:3128", "Basic dTpw"),
        ("http://u@proxy.example:3128", "Basic dTo="),
        ("http://u:p%40ss%3A@proxy.example:3128", "Basic dTpwQHNzOg=="),
    ],
)
def test_proxy_url_is_split(url: str, header: str | None) -> None:
    """A proxy URL gives host, port and, from user and password, the proxy-authorization header."""
    proxy = Proxy.parse(url)
    assert (proxy.host, proxy.port) == ("proxy.example", 3128)
    assert (proxy.authorization and proxy.authorization.reveal()) == header


@pytest.mark.parametrize(
    "url",
    [
        "proxy:3128",
        "https://proxy:3128",
        "socks5://proxy:1080",
        "http://proxy",
        "http://proxy:3128/path",
        "http://u:hunter2@:1",
    ],
)
def test_bad_proxy_url_is_refused_unseen(url: str) -> None:
    """A proxy URL that is not exactly one is refused with a text that does not repeat it."""
    with pytest.raises(ValueError, match="proxy URL") as caught:
        Proxy.parse(url)
    assert "hunter2" not in str(caught.value)


def test_proxy_password_never_prints() -> None:
    """A proxy's repr shows nothing of its password."""
    assert "dTpw" not in repr(Proxy.parse("http://u:p@proxy.example:3128"))
