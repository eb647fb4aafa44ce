"""S24 on the outside of a request: headers and query parameters by which clients try to choose the host."""

from typing import Final
from urllib.parse import unquote_plus

from tollhouse.validate import hosts
from tollhouse.web.exchange import Exchange

_NAMES: Final = frozenset(name.encode() for name in hosts.HOST_NAMES)


def refuse_chosen_host(exchange: Exchange) -> None:
    """`refuse_hosts` of a request. A head that its connection repeats is looked at once."""
    repeated = exchange.repeated
    if repeated is None or not repeated.names_no_host:
        refuse_hosts(exchange.headers, exchange.query)
        if repeated is not None:
            repeated.names_no_host = True


def refuse_hosts(headers: dict[bytes, bytes], query: bytes) -> None:
    """Raises `InvalidRequest` for a request that tries to choose its host; ``headers`` have lower-case names."""
    if not _NAMES.isdisjoint(headers):
        hosts.refuse_hosts([name.decode("latin-1") for name in headers])
    if query:
        pairs = query.decode("latin-1").split("&")
        hosts.refuse_hosts([unquote_plus(pair.partition("=")[0]).lower() for pair in pairs])
