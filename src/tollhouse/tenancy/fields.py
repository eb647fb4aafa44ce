"""The fields of a node that an operator may write, each checked for itself. Called by `tenancy.desk`.

Every field is on an allow-list by the kind of node, and an unknown one is refused, never dropped (CVE-2026-47102). How
a child stays inside its parent is in `tenancy.rules`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tollhouse.errors import InvalidRequest
from tollhouse.types.money import MAX_NUSD, format_usd, parse_usd
from tollhouse.types.tenancy import BILLING, PERIODS, PERMISSIONS, Budget
from tollhouse.validate.problems import Problem, missing, refuse_type
from tollhouse.validate.rules import Integer, Rule, Text, Word
from tollhouse.validate.shapes import Array
from tollhouse.validate.spelling import shorten

LATEST_S: Final = 253_402_300_799
"""The last second of the year 9999."""
_SHARED: Final = ("name", "budget", "models", "kinds", "tier", "safety")
FIELDS: Final = MappingProxyType(
    {
        "org": (*_SHARED, "billing"),
        "team": _SHARED,
        "user": _SHARED,
        "key": (*_SHARED, "owner", "permission", "expires_at"),
    }
)
"""What may be written of a node of each kind; nothing else can be."""
NULLABLE: Final = frozenset({"budget", "models", "kinds", "tier", "safety", "expires_at"})
"""The fields that restrict: null takes the restriction away."""


class Fields(TypedDict, total=False):
    """What was read of a request. An absent field is left as it is."""

    name: str
    budget: Budget | None
    models: tuple[str, ...] | None
    kinds: tuple[str, ...] | None
    tier: str | None
    safety: str | None
    billing: str
    owner: str
    permission: str
    expires_at: int | None


class Line(Text):
    """A text of one line: no control characters, for it goes into logs and terminals."""

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        super().check(value)
        if not value.isprintable():
            raise Problem("Invalid", ": control characters are not allowed.", "invalid_value")


class Zone(Text):
    """The name of a time zone in the IANA database."""

    _NOT_ZONES: ClassVar = frozenset({"localtime", "Factory", "posixrules"})  # files among the zones, of some machines

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        super().check(value)
        try:
            known = value not in self._NOT_ZONES and bool(ZoneInfo(value).key)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
            known = False
        if not known:
            after = f": '{shorten(value)}' is not an IANA time zone, such as Europe/Berlin."
            raise Problem("Invalid", after, "invalid_value")


class Dollars(Text):
    """An amount above zero, as decimal text."""

    def __init__(self) -> None:
        super().__init__(pattern=r"[0-9]{1,10}(\.[0-9]{1,9})?")

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        super().check(value)
        try:
            amount_nusd = parse_usd(value)
        except ValueError:
            amount_nusd = 0
        if amount_nusd == 0:
            after = f": expected an amount above zero and up to {format_usd(MAX_NUSD)} dollars."
            raise Problem("Invalid", after, "invalid_value")


class BudgetRule:
    """``{"limit_usd": "5.00", "period"?, "zone"?}``, or ``limit_nusd`` as an integer in place of ``limit_usd``."""

    kind = "an object"
    says = "budget"
    _rules: ClassVar[Mapping[str, Rule]] = MappingProxyType(
        {
            "limit_usd": Dollars(),
            "limit_nusd": Integer(1, MAX_NUSD),
            "period": Word(*PERIODS),
            "zone": Zone(64, low=1),
        }
    )

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if not isinstance(value, Mapping):
            refuse_type(self.kind, value)
        for name, item in value.items():
            if name not in self._rules:
                raise Problem("Unknown parameter:", ".", "unknown_parameter").at(str(name))
            try:
                self._rules[name].check(item)
            except Problem as problem:
                raise problem.at(name) from None
        if "limit_usd" not in value and "limit_nusd" not in value:
            raise missing("limit_usd")
        if "limit_usd" in value and "limit_nusd" in value:
            raise Problem("Invalid", ": the same amount is given twice.", "invalid_value").at("limit_nusd")


_ENTRIES: Final = Array(Line(256, low=1, pattern=r"[^\s*]+|[^\s*]*\*"), low=1, high=1000)
_RULES: Final[dict[str, Rule]] = {
    "name": Line(200, low=1, pattern=r".*\S.*"),
    "budget": BudgetRule(),
    "models": _ENTRIES,
    "kinds": _ENTRIES,
    "tier": Line(64, low=1),
    "safety": Line(64, low=1),
    "billing": Word(*BILLING),
    "owner": Line(200),
    "permission": Word(*PERMISSIONS),
    "expires_at": Integer(1, LATEST_S),
    "reason": Line(500),
}


def read_fields(kind: str, given: Mapping[str, Any]) -> Fields:
    """The fields of a node of a kind. Raises `InvalidRequest` that names the first one that is unknown or wrong."""
    found: Fields = {}
    for name, value in given.items():
        if name not in FIELDS[kind]:
            message = f"Unknown parameter: '{shorten(name)}'. Of a {kind} can be set: {', '.join(FIELDS[kind])}."
            raise InvalidRequest(message, param=shorten(name), code="unknown_parameter")
        found[name] = None if value is None and name in NULLABLE else read(name, value)  # type: ignore[literal-required]
    return found


def read(name: str, value: Any) -> Any:
    """The value of one field as it is kept. Raises `InvalidRequest`."""
    plain = _plain(value)
    try:
        _RULES[name].check(plain)
    except Problem as problem:
        raise problem.at(name).as_error() from None
    if name == "budget":
        return _budget(plain)
    if name in {"models", "kinds"}:
        return tuple(dict.fromkeys(plain))
    return plain.strip() if isinstance(plain, str) else plain


def read_number(name: str, value: Any, low: int, high: int) -> int:
    """A whole number within bounds, both included. Raises `InvalidRequest`."""
    try:
        Integer(low, high).check(value)
    except Problem as problem:
        raise problem.at(name).as_error() from None
    return int(value)


def _plain(value: Any) -> Any:
    """A value of ours as JSON has it, so that one rule serves both."""
    if isinstance(value, Budget):
        return {"limit_nusd": value.limit_nusd, "period": value.period, "zone": value.zone}
    return list(value) if isinstance(value, tuple) else value


def _budget(value: Mapping[str, Any]) -> Budget:
    limit = value["limit_nusd"] if "limit_nusd" in value else parse_usd(value["limit_usd"])
    return Budget(limit, value.get("period", "total"), value.get("zone", "UTC"))
