"""Heads that a client repeats: read once, and from then on compared. Called by `web.connection`.

Theory of operation
-------------------
A client says the same in the head of each of its requests but for the length of the body. What the parser makes of a
head depends on its bytes alone. So a head that equals one the parser has read on this connection, save for the digits
of its ``content-length``, needs no parser: it means what the other meant, with another length.

That holds where the parser stands between two requests, and for requests that leave it there: those after which the
connection goes on. Only a request that came whole, with nothing behind it, is taken so; the parser never sees it.
"""

import re
from typing import Any, Final

from tollhouse.web.exchange import Channel, Exchange, Repeated
from tollhouse.web.host import Host

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)\r\n", re.IGNORECASE)
_UNUSUAL: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_MOST_BYTES: Final = 2048
"""Of a head, for it is kept as long as its connection is open."""
_LESSONS: Final = 4
"""How many heads of a connection are read with the intent to know them again: some clients number theirs."""


class Repeats:
    """The head that one connection has last learnt. Of a connection that is used once nothing is kept."""

    __slots__ = ("_after", "_before", "_headers", "_met", "_method", "_path", "_query", "_repeated")

    def __init__(self) -> None:
        self._met = 0
        """How many heads the parser has read."""
        self._before = b""
        """What is known, up to the digits of the length."""
        self._after = b""
        """The rest, its empty line included."""
        self._headers: dict[bytes, bytes] | None = None
        """Of what is known, if anything is."""
        self._method = ""
        self._path = b""
        self._query = b""
        self._repeated = Repeated()

    def read(self, data: bytes, host: Host[Any], channel: Channel, client: str, now: float) -> Exchange | None:
        """What ``data`` says, if that is one whole request with the known head, and there is room for it."""
        headers = self._headers
        if headers is None:
            return None
        # The body is what is left of the data behind a head that tells its length; one guess at the digits is enough.
        rest = len(data) - len(self._before) - len(self._after)
        size = rest - len(str(rest))
        text = str(size)
        if len(text) + size < rest:
            size += 1
            text = str(size)
        digits = text.encode()
        head = self._before + digits + self._after
        if not data.startswith(head) or len(head) + size != len(data) or not host.holds(size):
            return None
        exchange = Exchange(channel, client, now)
        exchange.method = self._method
        exchange.path = self._path
        exchange.query = self._query
        own = exchange.headers = headers.copy()
        own[b"content-length"] = digits
        exchange.repeated = self._repeated
        exchange.keep_alive = not host.draining
        exchange.add_body(data[len(head) :])
        exchange.close_body()
        host.bodies_bytes += size
        return exchange

    def learn(self, exchange: Exchange, data: bytes) -> None:
        """The parser has read ``exchange`` from ``data``, which began with a request and held no second one."""
        self._met += 1
        end = data.find(b"\r\n\r\n") + 4
        if self._met == 1 or self._met > 1 + _LESSONS or end > _MOST_BYTES or end + exchange.body_bytes != len(data):
            return
        length = _LENGTH.search(data, 0, end)
        if length is None or not _is_usual(exchange):
            return
        self._before, self._after = data[: length.start(1)], data[length.end(1) : end]
        self._method, self._path, self._query = exchange.method, exchange.path, exchange.query
        self._headers = exchange.headers
        self._repeated = Repeated()

    def forget(self) -> None:
        """The parser has read a head after which it reads no more."""
        self._headers = None


def _is_usual(exchange: Exchange) -> bool:
    """Whether a request was received without a hitch, and a next one can follow."""
    plain = exchange.fault is None and exchange.complete and exchange.keep_alive and not exchange.http_1_0
    return plain and _UNUSUAL.isdisjoint(exchange.headers)
