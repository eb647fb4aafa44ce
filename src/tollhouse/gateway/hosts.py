"""S24 on the outside of a request: headers and query parameters by which clients try to choose the host."""

from typing import Final
from urllib.parse import unquote_plus

from tollhouse.validate import hosts

_NAMES: Final = frozenset(name.encode() for name in hosts.HOST_NAMES)


def refuse_hosts(headers: dict[bytes, bytes], query: bytes) -> None:
    """Raises `InvalidRequest` for a request that tries to choose its host; ``headers`` have lower-case names."""
    if not _NAMES.isdisjoint(headers):
        hosts.refuse_hosts([name.decode("latin-1") for name in headers])
    if query:
        pairs = query.decode("latin-1").split("&")
        hosts.refuse_hosts([unquote_plus(pair.partition("=")[0]).lower() for pair in pairs])
