"""What a client says about routing: what it prefers, and what may be chosen. Nothing here names a host's address.

Read by the pipelines from the body (``prefer``, and ``auto``: {"prefer", "allow", "deny", "max_price"}) and from the
headers ``x-tollhouse-prefer``, ``x-tollhouse-allow`` and ``x-tollhouse-deny`` (lists with commas); headers go first. A
client can only choose among what the operator allows: lists and prices of its own make the choice smaller.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tollhouse.errors import InvalidRequest
from tollhouse.routing.patterns import MOST_CHARS, MOST_PATTERNS, MOST_STARS
from tollhouse.settings.routing import PREFERENCES
from tollhouse.types.values import Value

MEMBERS: Final = ("auto", "prefer")
"""Members of the body that are ours, and never sent on."""
_PARTS: Final = frozenset({"prefer", "allow", "deny", "max_price"})
_PICO_PER_USD_PER_1M: Final = 1_000_000
_MOST_USD: Final = 1_000_000


class Wishes(Value, frozen=True):
    """What one client says. Prices are pico-USD per token."""

    prefer: str = ""
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    max_input_pusd: int | None = None
    max_output_pusd: int | None = None

    @property
    def narrow(self) -> bool:
        """Whether they leave anything out."""
        return bool(self.allow or self.deny) or self.max_input_pusd is not None or self.max_output_pusd is not None


NONE: Final = Wishes()


def read_wishes(body: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Wishes:
    """The wishes of a request; header names are lower-case. Raises `InvalidRequest`."""
    table = body.get("auto")
    prefer = body.get("prefer")
    if table is None and prefer is None and not _in_headers(headers):
        return NONE
    if table is None:
        table = {}
    if not isinstance(table, dict):
        raise InvalidRequest("'auto' is an object: prefer, allow, deny, max_price.", param="auto")
    for name in table:
        if name not in _PARTS:
            raise InvalidRequest(f"'auto' has no member {str(name)[:64]!r}.", param="auto")
    prices = _prices(table.get("max_price"))
    return Wishes(
        prefer=_prefer(_header(headers, b"x-tollhouse-prefer") or table.get("prefer", prefer)),
        allow=_patterns(_listed(headers, b"x-tollhouse-allow") or table.get("allow"), "auto.allow"),
        deny=_patterns(_listed(headers, b"x-tollhouse-deny"), "x-tollhouse-deny")
        + _patterns(table.get("deny"), "auto.deny"),
        max_input_pusd=prices.get("input"),
        max_output_pusd=prices.get("output"),
    )


def has_wishes(body: dict[str, Any], headers: dict[bytes, bytes]) -> bool:
    """Whether a request says anything about routing, right or wrong."""
    return "auto" in body or "prefer" in body or _in_headers(headers)


def without_wishes(body: dict[str, Any]) -> dict[str, Any]:
    """The body without our own members; the same object where it has none."""
    if body.keys().isdisjoint(MEMBERS):
        return body
    return {name: value for name, value in body.items() if name not in MEMBERS}


def _in_headers(headers: Mapping[bytes, bytes]) -> bool:
    return b"x-tollhouse-prefer" in headers or b"x-tollhouse-allow" in headers or b"x-tollhouse-deny" in headers


def _header(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip()


def _listed(headers: Mapping[bytes, bytes], name: bytes) -> list[str]:
    return [part.strip() for part in _header(headers, name).split(",") if part.strip()]


def _prefer(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str) and value in PREFERENCES:
        return value
    raise InvalidRequest(f"'prefer' is one of {', '.join(PREFERENCES)}.", param="prefer")


def _patterns(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_PATTERNS:
        raise InvalidRequest(f"'{where}' is a list of at most {MOST_PATTERNS} models.", param=where)
    for item in value:
        if not isinstance(item, str) or not 0 < len(item) <= MOST_CHARS or item.count("*") > MOST_STARS:
            raise InvalidRequest(f"'{where}' holds names of models, as \"openai/*\".", param=where)
    return tuple(value)


def _prices(table: object) -> dict[str, int]:
    """``max_price``: US dollars per million tokens, ``input`` and ``output``."""
    if table is None:
        return {}
    if not isinstance(table, dict) or table.keys() - {"input", "output"}:
        raise InvalidRequest('\'auto.max_price\' is {"input", "output"} in USD per 1M tokens.', param="auto.max_price")
    return {str(name): _pusd(value) for name, value in table.items() if value is not None}


def _pusd(value: object) -> int:
    try:
        amount = Decimal(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount <= _MOST_USD:
        raise InvalidRequest("A price in 'auto.max_price' is a number of USD per 1M tokens.", param="auto.max_price")
    return int(amount * _PICO_PER_USD_PER_1M)
