"""E-mail and IP addresses. Pure. `finding` calls the scanners with folded texts."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

Span = tuple[int, int]

_LATIN = "".join(map(chr, (*range(0xC0, 0xD7), *range(0xD8, 0xF7), *range(0xF8, 0x250))))
_LOCAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-'" + _LATIN
_LOCAL_CHARS = 64
"""The longest local part (RFC 5321, section 4.5.3.1.1)."""
_DOMAIN = re.compile(r"@([^\W_](?:[^\W_]|[.-]){2,252}+)")
_TOP_LEVEL = re.compile(r"[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59}", re.IGNORECASE)
_FILE_ENDINGS = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "pdf"})
"""``logo@2x.png``."""
_ACCOUNTS_OF_MACHINES = frozenset({"git"})
"""``git@github.com:owner/repository``."""

_IPV4 = re.compile(r"(?<![0-9A-Za-z_.+-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z_]|[.-][0-9])")
_IPV6 = re.compile(r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{2,36}+(?:\.[0-9]{1,3}){0,3}+(?![0-9A-Za-z_:])")
_LEAST_GROUPS = 3


def scan_emails(text: str) -> Iterator[Span]:
    """E-mail addresses: each ``@`` is looked at once, some way back and some way on."""
    if "@" not in text:
        return
    floor = 0
    for match in _DOMAIN.finditer(text):
        at = match.start()
        before = text[max(floor, at - _LOCAL_CHARS) : at]
        local = before[len(before.rstrip(_LOCAL)) :].lstrip(".'%+-").rstrip("'")
        end = _end_of(match)
        if end is None or not local or local.endswith(".") or ".." in local or text[at - 1] == "'":
            continue
        if local.lower() in _ACCOUNTS_OF_MACHINES:
            continue
        floor = end
        yield at - len(local), end


def _end_of(match: re.Match[str]) -> int | None:
    """Where an address ends, by what follows its ``@``; None where that is no domain."""
    labels = match[1].rstrip(".-").split(".")
    while len(labels) > 1 and not _TOP_LEVEL.fullmatch(labels[-1]):
        head = _TOP_LEVEL.match(labels.pop())  # "eva@example.com.2" and "eva@example.com-based" end before
        if head is not None:
            labels.append(head[0])
    fits = len(labels) > 1 and all(0 < len(label) <= 63 for label in labels)
    if not fits or labels[-1].lower() in _FILE_ENDINGS:
        return None
    return match.start(1) + len(".".join(labels))


def scan_ips(text: str) -> Iterator[Span]:
    """IP addresses, but those that are nobody's: loopback, unspecified, broadcast, multicast."""
    if "." in text:
        for match in _IPV4.finditer(text):
            if _is_somebodys(match[0], IPv4Address):
                yield match.span()
    if ":" in text:
        for match in _IPV6.finditer(text):
            groups = [group for group in match[0].split(":") if group]
            if (
                len(groups) >= _LEAST_GROUPS
                and any(map(str.isdigit, match[0]))
                and _is_somebodys(match[0], IPv6Address)
            ):
                yield match.span()


def _is_somebodys(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        address = kind(text)
    except AddressValueError:
        return False
    nobodys = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved
    return not nobodys and not text.startswith("0.")
