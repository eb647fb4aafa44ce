"""Where a request goes: an `Origin` read from a base URL, and the `Proxy` it may go through.

Called by configuration (to report bad URLs) and by whoever builds a `Pool`. The rule kept: a URL is taken as written or
refused, never repaired, so that the host that was checked is the host that is dialled.
"""

import base64
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tollhouse.types.secret import Secret

_HOST = r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})"
_BASE_URL = re.compile(rf"(?P<scheme>https?)://{_HOST}(?::(?P<port>[0-9]{{1,5}}))?(?P<path>/[!-~]*)?", re.IGNORECASE)
_PROXY_URL = re.compile(rf"http://(?:(?P<user>[!-~]*)@)?{_HOST}:(?P<port>[0-9]{{1,5}})/?", re.IGNORECASE)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme (``http`` or ``https``), host (lower case; an IPv6 address without brackets) and port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, base_url: str) -> "Origin":
        """The origin of a base URL; its path is not looked at. Raises ValueError with a text safe to show."""
        return split_base_url(base_url)[0]

    @property
    def tls(self) -> bool:
        """Whether connections to it are encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The ``Host`` header: the port is left out where it is the scheme's own (RFC 9110 section 4.2.3)."""
        if self.port == _DEFAULT_PORTS[self.scheme]:
            return _bracketed(self.host)
        return self.host_port

    @property
    def host_port(self) -> str:
        """``host:port``, always with the port: the target of CONNECT (RFC 9110 section 9.3.6)."""
        return f"{_bracketed(self.host)}:{self.port}"


def split_base_url(base_url: str) -> tuple[Origin, str]:
    """The origin and the path (without a final ``/``; ``""`` for none) of a provider's base URL.

    Raises ValueError with a text that is safe to show: it never repeats the URL, which may hold a password.
    """
    authority = base_url.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise ValueError("a base URL must not hold credentials; give the key in its own setting")
    match = _BASE_URL.fullmatch(base_url)
    if match is None:
        raise ValueError("not a base URL: expected http://host[:port][/path] or https://host[:port][/path]")
    path = match["path"] or ""
    if "?" in path or "#" in path or "\\" in path:
        raise ValueError("a base URL has no query, fragment or backslash")
    scheme = match["scheme"].lower()
    port = _port(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
    return Origin(scheme, _host(match["host"]), port), path.rstrip("/")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy named by the operator. The environment's ``HTTP_PROXY`` is never read."""

    host: str
    port: int
    authorization: Secret | None = None
    """The value of ``proxy-authorization``."""

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """From ``http://[user:password@]host:port``. Raises ValueError with a text that never repeats the URL."""
        match = _PROXY_URL.fullmatch(url)
        if match is None:
            raise ValueError("not a proxy URL: expected http://[user:password@]host:port")
        host, port = _host(match["host"]), _port(match["port"])
        if match["user"] is None:
            return cls(host, port)
        pair = unquote_to_bytes(match["user"])
        if b":" not in pair:
            pair += b":"
        return cls(host, port, Secret("Basic " + base64.b64encode(pair).decode("ascii")))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _port(digits: str) -> int:
    port = int(digits)
    if not 0 < port < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return port


def _host(text: str) -> str:
    """A checked host. A name that ends in a number must be a whole IPv4 address: ``127.1`` is refused, as in the
    WHATWG URL standard ("ends in a number"), because resolvers disagree on what it means.
    """
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            raise ValueError("the host in brackets is not an IPv6 address") from None
    labels = text.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the host is not a valid name")
    if labels[-1].isdigit() or labels[-1].lower().startswith("0x"):
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise ValueError("the host is not a valid IPv4 address") from None
    return text.lower()
