"""What the ledger writes down: the values between `ledger`, which decides, and `stores`, which makes them durable.

One logical request is one hold: `OpenHold`, any number of `MarkProgress`, one `CloseHold`. Money moves only by
`Charge` and `Post`, whose entries sum to zero. Amounts are nano-USD; times are Unix microseconds, UTC.
"""

from msgspec import Struct

from tollhouse.types.calls import Loss, Usage

OPEN, SETTLED, RELEASED, EXPIRED = "open", "settled", "released", "expired"
POST_KINDS = ("grant", "topup", "refund", "adjustment", "writeoff", "cost", "reversal")

TOPUP, REVENUE, WRITEOFF, ADJUST, ABSORBED = "sys:topup", "sys:revenue", "sys:writeoff", "sys:adjust", "sys:absorbed"
SYSTEM_ACCOUNTS = (TOPUP, REVENUE, WRITEOFF, ADJUST, ABSORBED)
"""The other side of every movement. An organisation's account is ``org:`` and its id; what failed attempts cost the
operator is on ``provider:NAME:cost`` against `ABSORBED`.
"""


class AttemptRecord(Struct, frozen=True, omit_defaults=True):
    """One attempt of a request, as ``GET /v1/usage/{request_id}`` shows it."""

    target: str
    outcome: str
    """``ok`` or the code of the fault."""
    upstream_id: str | None = None
    """The upstream's own request id, else the id of its answer: what its invoice or its support would name."""
    ms: int = 0
    cost_nusd: int = 0
    """What a failed attempt cost the operator; the customer never pays for it."""
    losses: tuple[Loss, ...] = ()
    """What of the request the target did not honour as it stood."""


class OpenHold(Struct, frozen=True):
    """A hold is taken."""

    id: int
    request_id: str
    key: int
    chain: int
    payer: int
    kind: str
    requested: str
    amount: int
    opened_at: int
    input_bound: int = 0
    """Tokens of the prompt, as recovery charges them."""
    price: int | None = None
    """The price of the first target, by which recovery charges."""


class MarkProgress(Struct, frozen=True):
    """The client has been given about this many output tokens; never awaited, read by recovery alone."""

    id: int
    output_tokens: int
    prompt_tokens: int
    price: int | None
    target: str


class CloseHold(Struct, frozen=True):
    """A hold is resolved. What it charges is a `Charge`, and a `Spend`, of the same group."""

    id: int
    state: str
    closed_at: int
    charge: int = 0
    target: str = ""
    price: int | None = None
    usage: Usage | None = None
    """None where nothing was delivered."""
    interrupted: bool = False
    clipped: int = 0
    """What the price of the usage exceeds the hold by; written off."""
    attempts: tuple[AttemptRecord, ...] = ()
    safety: str = ""
    """What was found in its texts, as `gateway.safety` writes it in JSON: never the texts. Empty: not judged."""


class CountFindings(Struct, frozen=True):
    """What the safety of one request counts for in ``safety_day``: once for each (side, category, level, filtered)."""

    day: int
    key: int
    rows: tuple[tuple[str, str, int, bool], ...]


class Spend(Struct, frozen=True):
    """Where a charge, or what is given back of one (negative), counts beside the entries: the windows of the budgets
    it was held on, (node, start), and its line of ``usage_day``. ``close`` is there once for each hold.
    """

    amount: int
    windows: tuple[tuple[int, int], ...]
    day: int
    key: int
    target: str
    kind: str
    close: CloseHold | None = None


class Charge(Struct, frozen=True):
    """What a hold comes to: an amount above zero from one account (`debit`) to another. Once for each hold, whose
    number is that of the movement.
    """

    hold: int
    at: int
    debit: int
    credit: int
    amount: int


class Post(Struct, frozen=True):
    """Any other movement. ``entries`` are (account number, amount); they sum to zero. ``source`` and
    ``external_id`` together happen once, whatever is sent twice.
    """

    id: int
    kind: str
    at: int
    entries: tuple[tuple[int, int], ...]
    hold: int | None = None
    actor: str = ""
    reason: str = ""
    source: str | None = None
    external_id: str | None = None


class AddPrice(Struct, frozen=True):
    """A version of a price is used for the first time. ``body`` is its canonical JSON, which ``digest`` is of."""

    id: int
    host: str
    model: str
    source: str
    body: str
    digest: bytes
    effective_from: int


class AddAccount(Struct, frozen=True):
    """An account comes into being."""

    id: int
    name: str
    allow_debt: bool


class AddChain(Struct, frozen=True):
    """A chain of nodes is used for the first time."""

    id: int
    nodes: tuple[int, ...]
    payer: int


Op = OpenHold | MarkProgress | CloseHold | CountFindings | Spend | Charge | Post | AddPrice | AddAccount | AddChain
