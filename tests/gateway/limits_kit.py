"""What the tests of limits share: a clock that stands until it is moved, tiers, and callers."""

from dataclasses import replace

from tollhouse.config import Settings
from tollhouse.gateway.limits import Limits
from tollhouse.settings.keys import Limits as LimitKeys
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.tenancy import Principal, Rates, Tier

SECOND = 10**9
MINUTE = 60 * SECOND


class Clock:
    """Monotonic nanoseconds, moved by hand."""

    def __init__(self) -> None:
        self.ns = 5_000 * SECOND + 123_456_789

    def now(self) -> int:
        """The moment."""
        return self.ns

    def pass_s(self, seconds: float) -> None:
        """Time goes by."""
        self.ns += round(seconds * SECOND)


def settings(*tiers: Tier, default: str = "") -> Settings:
    """Settings with these tiers."""
    return replace(Settings(), tiers={tier.name: tier for tier in tiers}, limits=LimitKeys(default))


def limiter(*tiers: Tier, default: str = "") -> tuple[Limits, Clock]:
    """Limits with these tiers, and their clock."""
    clock = Clock()
    return Limits(settings(*tiers, default=default), Metrics(), clock.now), clock


def caller(tier: str | None = "t", key: str = "key_1") -> Principal:
    """A caller of a tier."""
    return Principal(key, "laptop", tier=tier)


def tier(requests: int | None = None, tokens: int | None = None, concurrent: int | None = None) -> Tier:
    """The tier ``t`` with limits of its keys alone."""
    return Tier("t", Rates(requests, tokens, concurrent))


def shown(lines: str) -> dict[str, str]:
    """Header lines by name."""
    return dict([line.split(": ", 1) for line in lines.splitlines()])
