"""Who may spend: organisations, teams, users and keys as one tree of nodes, and what binds each of them.

`stores` keeps the rows, `ledger` holds their budgets, `gateway` reads a `Principal` for each request. A child never
exceeds its parent: what a request may do is the meet of its whole chain.
"""

from dataclasses import dataclass, field

NODE_KINDS = ("org", "team", "user", "key")
"""From the root down. A team hangs on an organisation, a user on either, a key on any of the three."""
PERIODS = ("total", "day", "week", "month")
PERMISSIONS = ("read", "write", "admin")
"""``read`` sees models, credits and its own usage; ``write`` also calls models; ``admin`` also sees the usage of the
whole subtree of its parent. None of them reaches the admin API.
"""
BILLING = ("prepaid", "postpaid")
"""``prepaid`` organisations spend what was credited to them and never more; ``postpaid`` ones are metered, and their
balance may go below zero. Budgets bind both.
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``limit_nusd`` in each period. Weeks begin on Monday. ``zone`` is an IANA name; ``total`` ignores it."""

    limit_nusd: int
    period: str = "total"
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Rates:
    """Limits of a tier, or of one model within it. ``None`` is no limit. ``soft`` names the dimensions that are only
    flagged when they are exceeded: ``requests``, ``tokens``.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    soft: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tier:
    """A named set of limits, from the configuration: ``[tiers.NAME]``. ``per_model`` binds each model separately."""

    name: str
    rates: Rates = field(default_factory=Rates)
    per_model: Rates = field(default_factory=Rates)
    models: dict[str, Rates] = field(default_factory=dict)
    """Limits of single models by requested name, in place of ``per_model``."""
    safety: str = ""
    """Name of a policy of ``[safety]``."""


@dataclass(frozen=True, slots=True)
class Node:
    """One row of the tree. ``number`` is its short name inside the ledger; both it and ``id`` are for ever.

    ``models`` and ``kinds`` are the names and endpoint kinds allowed (``prefix/*`` patterns too); None allows all.
    Times are Unix seconds. ``disabled_at`` stops every key below; a key that is revoked is disabled for ever.
    """

    number: int
    id: str
    kind: str
    parent: int | None
    name: str
    created_at: int
    budget: Budget | None = None
    models: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    tier: str | None = None
    billing: str | None = None
    """Of organisations only."""
    disabled_at: int | None = None
    disabled_reason: str = ""
    safety: str | None = None
    """Name of a policy of ``[safety]``, which adds to those of the nodes above."""


@dataclass(frozen=True, slots=True)
class KeySecret:
    """One text by which a key is known. Rotation gives a key a second one and lets the first expire.

    ``digest`` is HMAC-SHA256 under the installation's pepper; ``hint`` shows the prefix and the last four characters.
    """

    digest: bytes
    key: int
    hint: str
    created_at: int
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class KeyDetails:
    """What a key has beside its node."""

    number: int
    permission: str = "write"
    expires_at: int | None = None
    owner: str = ""
    """Free text: a person, a service."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The nodes that one request spends on, key first, organisation last, and the organisation that pays."""

    number: int
    nodes: tuple[int, ...]
    payer: int


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, whole: made when a key is read from the store, so that a request only looks it up.

    ``models`` and ``kinds`` are one entry for each node of the chain that restricts them: all must allow a name.
    ``not_after`` is the earliest expiry (Unix seconds) along the chain; None never expires.
    """

    key_id: str
    name: str
    number: int = 0
    chain: Chain = Chain(0, (), 0)
    permission: str = "write"
    tier: str | None = None
    models: tuple[tuple[str, ...], ...] = ()
    kinds: tuple[frozenset[str], ...] = ()
    not_after: int | None = None
    safety: tuple[str, ...] = ()
    """The policies that the nodes of the chain name."""
