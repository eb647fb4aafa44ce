"""What the admin API says and takes, as structs: the handlers fill them, `control.openapi` describes them.

Amounts are decimal strings of US dollars, exact to the nano-dollar; figures in credits beside them are for reading.
Times are Unix seconds. In a PATCH an absent field is left as it is, and ``null`` takes a restriction away.
"""

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

T = TypeVar("T")

MAX_NAME_CHARS = 200
MAX_REASON_CHARS = 500
MAX_LIST = 1000
AMOUNT_PATTERN = r"^-?[0-9]{1,10}(\.[0-9]{1,9})?$"

Usd = Annotated[str, Meta(description="US dollars, exactly.", examples=["12.50"])]
AmountText = Annotated[
    str,
    Meta(description="Up to nine decimals.", examples=["12.50"], extra_json_schema={"pattern": AMOUNT_PATTERN}),
]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)]
Reason = Annotated[str, Meta(min_length=1, max_length=MAX_REASON_CHARS)]
Patterns = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=256)]],
    Meta(min_length=1, max_length=MAX_LIST, description="Names, or prefixes as `openai/*`; null allows all."),
]
KindNames = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]],
    Meta(min_length=1, max_length=64, description="Endpoints below /v1/, as `chat/completions`; null allows all."),
]
PolicyName = Annotated[str, Meta(description="A safety policy of the configuration, or a template, as `strict`.")]
Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799, description="Unix seconds.")]
Period = Literal["total", "day", "week", "month"]
Permission = Literal["read", "write", "admin"]
Status = Literal["active", "disabled", "suspended", "expired", "revoked"]
Billing = Literal["prepaid", "postpaid"]


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most this much in each period. Weeks begin on Monday, in the zone; a total ignores it."""

    limit_usd: AmountText
    period: Period = "total"
    zone: Annotated[str, Meta(max_length=64, description="An IANA name, as `Europe/Berlin`.")] = "UTC"


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list. With ``has_more``, ask again with ``after=last_id``."""

    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool


# --- the tree ----------------------------------------------------------------------------------------------------


class NodeShape(Struct, frozen=True, kw_only=True):
    """What organisations, teams, users and keys have in common."""

    id: str
    name: str
    created_at: int
    status: Annotated[Status, Meta(description="`suspended`: something above it is disabled.")]
    budget: Budget | None
    models: list[str] | None
    kinds: list[str] | None
    tier: str | None
    safety: PolicyName | None
    disabled_at: int | None
    disabled_reason: str


class Organization(NodeShape, frozen=True, kw_only=True):
    """Who pays. A prepaid one spends its credit and no more."""

    billing: Billing
    object: Literal["organization"] = "organization"


class Team(NodeShape, frozen=True, kw_only=True):
    """A part of an organisation."""

    organization_id: str
    object: Literal["team"] = "team"


class User(NodeShape, frozen=True, kw_only=True):
    """A person or a service, in a team or directly in an organisation."""

    parent_id: str
    organization_id: str
    object: Literal["user"] = "user"


class KeyHint(Struct, frozen=True):
    """One text by which a key is known, as far as it is shown. After a rotation a key has two for a while."""

    hint: str
    created_at: int
    expires_at: int | None


class Key(NodeShape, frozen=True, kw_only=True):
    """A client's key. Its text is shown once, when it is made, and stored nowhere."""

    parent_id: str
    organization_id: str
    permission: Permission
    expires_at: int | None
    revoked_at: int | None
    owner: str
    hint: str
    secrets: list[KeyHint]
    object: Literal["key"] = "key"


class KeyWithText(Key, frozen=True, kw_only=True):
    """A key with its text, which nothing will show again."""

    key: str


class NewOrganization(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation to make."""

    name: Name
    billing: Billing = "prepaid"
    budget: Budget | None = None
    models: Patterns | None = None
    kinds: KindNames | None = None
    tier: str | None = None
    safety: PolicyName | None = None


class NewTeam(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team to make."""

    name: Name
    organization_id: str
    budget: Budget | None = None
    models: Patterns | None = None
    kinds: KindNames | None = None
    tier: str | None = None
    safety: PolicyName | None = None


class NewUser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to make. ``parent_id`` is a team or an organisation."""

    name: Name
    parent_id: str
    budget: Budget | None = None
    models: Patterns | None = None
    kinds: KindNames | None = None
    tier: str | None = None
    safety: PolicyName | None = None


class NewKeyShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make. ``parent_id`` is a user, a team or an organisation."""

    name: Name = "default"
    parent_id: str = "org_default"
    owner: Annotated[str, Meta(max_length=MAX_NAME_CHARS)] = ""
    permission: Permission = "write"
    expires_at: Seconds | None = None
    budget: Budget | None = None
    models: Patterns | None = None
    kinds: KindNames | None = None
    tier: str | None = None
    safety: PolicyName | None = None


class NodeChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of a team or a user."""

    name: Name | UnsetType = UNSET
    budget: Budget | UnsetType | None = UNSET
    models: Patterns | UnsetType | None = UNSET
    kinds: KindNames | UnsetType | None = UNSET
    tier: str | UnsetType | None = UNSET
    safety: PolicyName | UnsetType | None = UNSET


class OrganizationChange(NodeChange, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of an organisation."""

    billing: Billing | UnsetType = UNSET


class KeyChange(NodeChange, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of a key."""

    owner: Annotated[str, Meta(max_length=MAX_NAME_CHARS)] | UnsetType = UNSET
    permission: Permission | UnsetType = UNSET
    expires_at: Seconds | UnsetType | None = UNSET


class Disabling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is switched off."""

    reason: Annotated[str, Meta(max_length=MAX_REASON_CHARS)] = ""


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old text of a key stays valid beside the new one."""

    overlap_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 86_400


class Listing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list. ``under`` keeps what is below a node, at any depth."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIST)] = 100
    after: Annotated[str, Meta(description="The `last_id` of the page before.")] | None = None
    under: str | None = None
    status: Status | None = None


class Paging(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIST)] = 100
    after: str | None = None
