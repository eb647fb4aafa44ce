"""The gate: what every request for a model passes: who calls, may they, is there room, can they pay.

`gateway.pipeline` and `gateway.relay` make one `Visit` for each request. The stages are its methods, called in the
order in which they stand; whatever happens, `part` and `leave` are called in the end. Nothing is kept by a request that
is refused.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tollhouse.errors import ClientFault, Fault, Forbidden, InsufficientBalance, Overloaded
from tollhouse.gateway.annotate import notes
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.bids import bids
from tollhouse.gateway.drains import Drains
from tollhouse.gateway.idempotency import HEADER, Idempotency, Replay, Running, read_name
from tollhouse.gateway.judging import Judges
from tollhouse.gateway.limits import Lease, Limits
from tollhouse.gateway.needs import Needs
from tollhouse.gateway.quote import refuse_dearer
from tollhouse.gateway.replays import Replays
from tollhouse.gateway.router import Asked
from tollhouse.gateway.safety import Safety
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.ledger.prices import Bid, short_of
from tollhouse.ledger.wallet import Shortage
from tollhouse.snapshot import Live
from tollhouse.telemetry.metrics import Metrics
from tollhouse.tenancy.directory import allows_kind, allows_model
from tollhouse.types.calls import ChatCall, Plan, Usage, tokens_of
from tollhouse.types.money import format_usd
from tollhouse.types.tenancy import Principal
from tollhouse.web.exchange import Exchange

_MAX_COST: Final = b"x-max-cost-usd"
_BYTES_PER_TOKEN: Final = 4


class Gate:
    """What the pipelines share."""

    def __init__(
        self, live: Live, keyring: Keyring, limits: Limits, ledger: Ledger, book: PriceBook, metrics: Metrics
    ) -> None:
        self.live = live
        self.keyring = keyring
        self.limits = limits
        self.ledger = ledger
        self.book = book
        self.metrics = metrics
        self.once = Idempotency(ledger)
        self.replays = Replays(ledger, metrics)
        self.drains = Drains()
        self.safety = Safety(Judges(live, book, metrics), metrics)
        self.in_flight = 0

    def identify(self, exchange: Exchange, permission: str = "write") -> Principal:
        """Who calls. Raises `Unauthorized`, `RateLimited`, `Forbidden`."""
        keyring, repeated = self.keyring, exchange.repeated
        if repeated is None:
            principal = keyring.identify(exchange.headers, exchange.client)
        else:
            principal = keyring.identify_repeated(repeated, exchange.headers, exchange.client)
        exchange.notes["key"] = principal.key_id
        if principal.permission == "read" and permission != "read":
            raise Forbidden("This key may look, but not call models. Ask for a key with the permission 'write'.")
        return principal

    async def receive(self, exchange: Exchange, permission: str = "write") -> tuple[Principal, bytes]:
        """Who calls, and the body. A body may take a minute to come, in which a key may be revoked or changed: then who
        calls is asked again, so that nobody is let in by what was (I23). Raises what `identify` and the body do.
        """
        received = self.receive_at_once(exchange, permission)
        if received is not None:
            return received
        self.identify(exchange, permission)
        body = await exchange.body()
        return self.identify(exchange, permission), body

    def receive_at_once(self, exchange: Exchange, permission: str = "write") -> tuple[Principal, bytes] | None:
        """What `receive` gives of a request that has arrived whole; else None."""
        if not exchange.complete:
            return None
        return self.identify(exchange, permission), exchange.whole_body()

    def admit(self, exchange: Exchange, principal: Principal, kind: str) -> "Visit":
        """Lets a request in whose body has arrived. Raises `Overloaded`, `RateLimited`, `Forbidden`, taking nothing."""
        if principal.kinds and not allows_kind(principal, kind):
            raise Forbidden(f"This key may not use /v1/{kind}.", code="kind_not_allowed")
        if self.in_flight >= self.live.snapshot.settings.server.max_in_flight:
            raise Overloaded("The gateway is serving as many requests as it may.", headers={"retry-after": "1"})
        lease = self.limits.admit(principal)
        self.in_flight += 1
        return Visit(self, exchange, principal, lease)


class Visit:
    """One request on its way through."""

    __slots__ = ("_gate", "_inside", "_running", "exchange", "hold", "lease", "principal", "snapshot")

    def __init__(self, gate: Gate, exchange: Exchange, principal: Principal, lease: Lease) -> None:
        self._gate = gate
        self._inside = True
        self._running: Running | None = None
        self.snapshot = gate.live.snapshot
        self.exchange = exchange
        self.principal = principal
        self.lease = lease
        self.hold: Hold | None = None

    async def is_repeated(self, fingerprint: Callable[[], bytes]) -> bool:
        """Whether the client has sent this before, under an ``Idempotency-Key``: it has its answer then.

        Raises `IdempotencyConflict`, `IdempotencyMismatch`, `StorageUnavailable`.
        """
        exchange = self.exchange
        if HEADER not in exchange.headers:
            return False
        name = read_name(exchange.headers)
        if name is None:
            return False
        found = await self._gate.once.begin(self.principal, name, fingerprint(), exchange.request_id)
        if isinstance(found, Replay):
            found.send(exchange)
            return True
        self._running = found
        return False

    def asked(self, call: ChatCall, body_bytes: int, now: float) -> Asked:
        """The call as the router is asked about it. A key with a list of models chooses among those of it (the last
        restriction of its chain; the others are seen to by `reserve`).
        """
        principal = self.principal
        allowed: tuple[str, ...] = ()
        if principal.models and not allows_model(principal, call.model):
            allowed = principal.models[0]
        tenant, seed = str(principal.chain.payer), random.getrandbits(64)
        return Asked(call, self.exchange.headers, body_bytes, tenant, allowed, now, seed)

    def reserve(self, plan: Plan, needs: Needs) -> Hold:
        """Takes what the request may use at most: tokens of its limits, money of its budgets.

        Raises `Forbidden`, `Unpriced`, `RateLimited`, `InsufficientBalance`, `StorageUnavailable`.
        """
        gate, principal = self._gate, self.principal
        if principal.models:
            plan = permitted(plan, principal)
        ledger = gate.ledger
        billing = self.snapshot.settings.billing
        try:
            offered = bids(
                needs,
                plan,
                book=gate.book,
                at_s=int(time.time()),
                available_nusd=ledger.available(principal),
                billing=billing,
            )
        except InsufficientBalance as fault:
            raise name_budget(fault, gate, principal) from None
        offered = self.within_cap(offered)
        return self.take(needs.kind, plan.requested, offered, expected_tokens(offered[0].input_bound, needs))

    def within_cap(self, offered: tuple[Bid, ...]) -> tuple[Bid, ...]:
        """The bids within the client's own cap on the cost. Raises what `refuse_dearer` does."""
        if _MAX_COST in self.exchange.headers:
            return refuse_dearer(offered, self.exchange.headers[_MAX_COST])
        return offered

    def take(self, kind: str, requested: str, offered: tuple[Bid, ...], tokens: int) -> Hold:
        """Takes these tokens, and the dearest of the bids. Raises `RateLimited`, `InsufficientBalance`,
        `StorageUnavailable`.
        """
        ledger = self._gate.ledger
        self.lease.reserve(requested, tokens)
        try:
            self.hold = ledger.reserve(self.exchange.request_id, self.principal, kind, requested, offered)
        except Shortage as short:  # a period has ended since the bids were made
            needed = max([bid.amount for bid in offered])
            billing = self.snapshot.settings.billing
            raise short_of(needed, short.available, billing.credits_per_usd) from None
        if self._running is not None:
            self.hold.awaited = True
        return self.hold

    def progress(self, bid: Bid, prompt_tokens: int, output_tokens: int) -> None:
        """Tells the ledger how far the answer has come, for recovery alone."""
        if self.hold is not None:
            self.hold.progress(bid, prompt_tokens, output_tokens)

    @property
    def forgives(self) -> bool:
        """Whether an answer that breaks off at its host costs nothing, whatever was delivered of it."""
        return self.snapshot.settings.billing.charge_interrupted == "none"

    def settled(self, usage: Usage) -> None:
        """What was used is known: the limits count that from now on."""
        self.lease.correct(tokens_of(usage))

    def notes(self) -> dict[str, object]:
        """What the answer says of the caller's money."""
        billing = self.snapshot.settings.billing
        left = self._gate.ledger.available(self.principal)
        return notes(left, billing.credits_per_usd, billing.balance_warning_credits)

    def record(self, data: bytes) -> None:
        """Keeps a piece of the answer, where it may be asked for again."""
        if self._running is not None:
            self._running.record(data)

    def record_end(self, data: bytes, content_type: str) -> None:
        """Keeps the last piece of the answer. Between the settlement and this there is no wait."""
        if self._running is not None:
            self._running.record(data)
            self._running.finish(200, content_type)

    def tell(self, fault: Fault) -> None:
        """Puts the state of the limits into a refusal. One that is not for what the request says counts for nothing."""
        if self.hold is None and not isinstance(fault, ClientFault):
            self.lease.withdraw()
        self.lease.tell(fault)

    @contextmanager
    def page(self) -> Iterator[None]:
        """Around a page that takes neither tokens nor money: a refusal is told its limits, and the place is freed."""
        try:
            yield
        except Fault as fault:
            self.tell(fault)
            raise
        finally:
            self.part()
            self.leave()

    def part(self) -> None:
        """The client is served or has left: its place is free. What runs on for the host's usage needs none."""
        if self._inside:
            self._inside = False
            self._gate.in_flight -= 1
            self.lease.leave()

    def leave(self) -> None:
        """The request is over, and its hold resolved."""
        hold = self.hold
        if hold is not None and hold.state == "released":
            self.lease.correct(0)
        if self._running is not None:
            self._running.close(charged=hold is not None and hold.state == "settled" and not hold.undone)
            self._running = None


def expected_tokens(input_bound: int, needs: Needs) -> int:
    """What a request counts for in its minute until its usage is known: the estimate OpenAI makes too, a token for
    four characters and the answer's cap.

    https://platform.openai.com/docs/guides/rate-limits
    """
    return input_bound // _BYTES_PER_TOKEN + (needs.cap or 0) * needs.choices + 1


def expected_input(needs: Needs) -> int:
    """About how many tokens a prompt is that nothing has counted."""
    return needs.text // _BYTES_PER_TOKEN + needs.audio // _BYTES_PER_TOKEN + 1


def permitted(plan: Plan, principal: Principal) -> Plan:
    """The plan without the targets that the caller may not use. Raises `Forbidden` where none is left."""
    if allows_model(principal, plan.requested):
        return plan
    targets = tuple([target for target in plan.targets if allows_model(principal, target.id, target.model)])
    if not targets:
        raise Forbidden(f"This key may not use the model '{plan.requested}'.", param="model", code="model_not_allowed")
    return Plan(plan.requested, targets)


def name_budget(fault: InsufficientBalance, gate: Gate, principal: Principal) -> InsufficientBalance:
    """Says which budget it is that binds, and when there is more of it."""
    standing = gate.ledger.standing(principal)
    for budget in standing.budgets:
        left = max(0, budget.limit_nusd - budget.spent_nusd - budget.held_nusd)
        if left == standing.available_nusd:
            fault.code = "budget_exceeded"
            name = gate.keyring.directory.nodes[budget.node].id
            until = f" until {_utc(budget.resets_at_s)}" if budget.resets_at_s is not None else ""
            state = f"has ${format_usd(left)} left" if left else "is used up"
            fault.message = f"The budget of {name} {state}{until}. {fault.message}"
            break
    return fault


def _utc(at_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_s))
