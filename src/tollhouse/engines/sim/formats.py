"""The string formats of JSON Schema: texts that have one, and whether a text has it. Pure.

https://json-schema.org/draft/2020-12/json-schema-validation#section-7.3. A format that is not in `FORMATS` says
nothing about a string, as the specification has it.
"""

import datetime as dt
import ipaddress
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from tollhouse.engines.sim import pattern
from tollhouse.engines.sim.draws import Draws

SAFE = re.compile(r"[\x21-\x7e]+")
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
DURATION = re.compile(
    r"P(?:[0-9]+W|(?=[0-9]|T[0-9])(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?)"
)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%]+")
URI_REFERENCE = re.compile(r"[A-Za-z0-9\-._~/?#@!$&'()*+,;=%][A-Za-z0-9\-._~:/?#@!$&'()*+,;=%]*")
BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
RELATIVE_POINTER = re.compile(r"(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)")


@dataclass(frozen=True, slots=True)
class Format:
    """``make`` gives a text of at least about the asked length where the format allows it; ``check`` decides."""

    make: Callable[[Draws, int], str]
    check: Callable[[str], bool]


def make_date(draws: Draws, _low: int) -> str:
    """A day between 2020 and 2029."""
    return (dt.date(2020, 1, 1) + dt.timedelta(days=draws.below(3652))).isoformat()


def make_time(draws: Draws, _low: int) -> str:
    """A time of day in UTC."""
    return f"{draws.below(24):02}:{draws.below(60):02}:{draws.below(60):02}Z"


def make_moment(draws: Draws, low: int) -> str:
    """A day and a time of it."""
    text = f"{make_date(draws, low)}T{make_time(draws, low)}"
    missing = min(low - len(text), 7)
    return text if missing < 2 else f"{text[:-1]}.{'0' * (missing - 1)}Z"


def make_duration(draws: Draws, low: int) -> str:
    """Some minutes or days."""
    count = str(draws.between(1, 90)).zfill(max(0, low - 3))
    return f"PT{count}M" if draws.below(2) else f"P{count}D"


def make_host(draws: Draws, low: int) -> str:
    """A host under example.com, longer by labels where asked."""
    name = f"host{draws.below(100)}.example.com"
    while len(name) < low:
        name = "a" * min(40, max(1, low - len(name) - 1)) + "." + name
    return name


def make_email(draws: Draws, low: int) -> str:
    """A mail box at example.com."""
    name = f"user{draws.below(1000)}"
    return f"{name.ljust(min(64, low - 12), 'x')}@{make_host(draws, low - 65) if low > 76 else 'example.com'}"


def make_uri(draws: Draws, low: int) -> str:
    """A page at example.com."""
    text = f"https://example.com/{draws.below(1000)}"
    return text.ljust(low, "0")


def make_ipv4(draws: Draws, _low: int) -> str:
    """An address from the range for documentation (RFC 5737)."""
    return f"192.0.2.{draws.between(1, 254)}"


def make_ipv6(draws: Draws, low: int) -> str:
    """An address from the range for documentation (RFC 3849)."""
    address = ipaddress.IPv6Address((0x20010DB8 << 96) + draws.between(1, 65535))
    return address.exploded if low > len(str(address)) else str(address)


def make_uuid(draws: Draws, _low: int) -> str:
    """A random (version 4) identifier."""
    return str(uuid.UUID(int=draws.below(1 << 128), version=4))


def make_pointer(draws: Draws, low: int) -> str:
    """A place in a JSON document."""
    return f"/items/{draws.below(10)}".ljust(low, "0")


def make_relative_pointer(draws: Draws, low: int) -> str:
    """A place as seen from another."""
    return f"{draws.below(3)}/name".ljust(low, "e")


def make_expression(_draws: Draws, low: int) -> str:
    """A regular expression."""
    return "^[a-z]+$".rjust(low, "a") if low > 8 else "^[a-z]+$"


def make_template(draws: Draws, low: int) -> str:
    """An RFC 6570 template."""
    return f"https://example.com/{draws.below(100)}/{{id}}".ljust(low, "0")


def has_date(text: str) -> bool:
    """RFC 3339 full-date."""
    return DATE.fullmatch(text) is not None and parses(dt.date.fromisoformat, text)


def has_time(text: str) -> bool:
    """RFC 3339 full-time."""
    return TIME.fullmatch(text) is not None


def has_moment(text: str) -> bool:
    """RFC 3339 date-time."""
    return text[10:11] in ("T", "t") and has_date(text[:10]) and has_time(text[11:])


def has_host(text: str) -> bool:
    """RFC 1123 host name."""
    return len(text) <= 253 and all(LABEL.fullmatch(label) for label in text.split("."))


def has_email(text: str) -> bool:
    """RFC 5321 mail box, without quoting and address literals."""
    name, at, host = text.rpartition("@")
    return bool(at) and len(name) <= 64 and LOCAL_PART.fullmatch(name) is not None and has_host(host)


def has_uri(text: str) -> bool:
    """RFC 3986 URI."""
    return URI.fullmatch(text) is not None and BAD_PERCENT.search(text) is None


def has_uri_reference(text: str) -> bool:
    """RFC 3986 URI, or a path that is relative to one."""
    return has_uri(text) or (URI_REFERENCE.fullmatch(text) is not None and BAD_PERCENT.search(text) is None)


def has_uuid(text: str) -> bool:
    """RFC 4122 identifier, in the form with hyphens."""
    return len(text) == 36 and parses(uuid.UUID, text) and str(uuid.UUID(text)) == text.lower()


def has_expression(text: str) -> bool:
    """An expression that is read here."""
    try:
        pattern.read(text)
    except pattern.Unsupported:
        return False
    return True


def has_template(text: str) -> bool:
    """RFC 6570, as far as braces go."""
    return SAFE.fullmatch(text) is not None and text.count("{") == text.count("}") and "{}" not in text


def parses(read: Callable[[str], object], text: str) -> bool:
    """Whether a reader of the standard library takes the text."""
    try:
        read(text)
    except ValueError:
        return False
    return True


FORMATS: dict[str, Format] = {
    "date-time": Format(make_moment, has_moment),
    "date": Format(make_date, has_date),
    "time": Format(make_time, has_time),
    "duration": Format(make_duration, lambda text: DURATION.fullmatch(text) is not None),
    "email": Format(make_email, has_email),
    "idn-email": Format(make_email, has_email),
    "hostname": Format(make_host, has_host),
    "idn-hostname": Format(make_host, has_host),
    "ipv4": Format(make_ipv4, lambda text: parses(ipaddress.IPv4Address, text)),
    "ipv6": Format(make_ipv6, lambda text: "%" not in text and parses(ipaddress.IPv6Address, text)),
    "uri": Format(make_uri, has_uri),
    "uri-reference": Format(make_uri, has_uri_reference),
    "iri": Format(make_uri, has_uri),
    "iri-reference": Format(make_uri, has_uri_reference),
    "uri-template": Format(make_template, has_template),
    "uuid": Format(make_uuid, has_uuid),
    "json-pointer": Format(make_pointer, lambda text: POINTER.fullmatch(text) is not None),
    "relative-json-pointer": Format(make_relative_pointer, lambda text: RELATIVE_POINTER.fullmatch(text) is not None),
    "regex": Format(make_expression, has_expression),
}
