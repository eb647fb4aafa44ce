"""Organisations' money: balances, grants, adjustments, refunds, and what the ledger says of itself.

Amounts come in as decimal strings, never as JSON numbers: 0.1 is not a binary fraction. A movement with an
``Idempotency-Key`` happens once; the same key with another amount, kind or organisation is refused, never answered with
somebody else's movement.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any, Literal

import apsw
from msgspec import Meta, Struct

from tollhouse.control.admin.pages import page_of, read_number
from tollhouse.control.admin.shapes import AmountText, Billing, Page, Paging, Reason, Usd
from tollhouse.control.admin.table import Call, Endpoint, Work
from tollhouse.control.admin.tree import find_node
from tollhouse.errors import IdempotencyMismatch, InvalidRequest
from tollhouse.ledger.ledger import Ledger
from tollhouse.tenancy.directory import Directory
from tollhouse.types.money import MAX_NUSD, NUSD_PER_USD, credits_number, format_usd
from tollhouse.types.tenancy import Chain, Node, Principal

SOURCE = "admin"
_AMOUNT = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,9})?", re.ASCII)
_SIGNS = {"grant": 1, "refund": -1, "adjustment": 1}
_US = 1_000_000
_MOVEMENT = """
    SELECT movement.id, movement.kind, movement.at, movement.actor, movement.reason, account.name, posting.amount
    FROM movement JOIN posting ON posting.movement = movement.id JOIN account ON account.id = posting.account
    WHERE account.name LIKE 'org:%' AND
"""
_BY_EVENT = f"{_MOVEMENT} movement.source = ? AND movement.external_id = ?"
_BY_NUMBER = f"{_MOVEMENT} movement.id = ?"
_ACCOUNTS = """
    SELECT iif(name LIKE 'org:%', 'org:*', name) AS line, sum(posted), count(*) FROM account GROUP BY line ORDER BY line
"""
_HOLDS = """
    SELECT hold.id, hold.request_id, key.id, org.id, hold.kind, hold.requested, hold.amount, hold.opened_at
    FROM hold JOIN node AS key ON key.number = hold.key JOIN node AS org ON org.number = hold.payer
    WHERE hold.state = 'open' AND hold.id > ? ORDER BY hold.id LIMIT ?
"""


class BudgetState(Struct, frozen=True, kw_only=True):
    """A budget in its period of now."""

    limit_usd: Usd
    spent_usd: Usd
    held_usd: Usd
    window_start: int
    resets_at: int | None


class Balance(Struct, frozen=True, kw_only=True):
    """What an organisation has. ``available_usd`` is what one more request may hold; null where nothing bounds it."""

    organization_id: str
    billing: Billing
    balance_usd: Usd
    held_usd: Usd
    available_usd: Usd | None
    balance_credits: float
    available_credits: float | None
    budget: BudgetState | None
    object: Literal["balance"] = "balance"


class Grant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credit to give: ``amount_usd`` or ``amount_credits``, above zero."""

    amount_usd: AmountText | None = None
    amount_credits: AmountText | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


class Refund(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that was paid back to the customer, above zero: it is taken out of the credit."""

    amount_usd: AmountText | None = None
    amount_credits: AmountText | None = None
    reason: Reason


class Adjustment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A correction: above zero it adds credit, below zero it takes."""

    amount_usd: AmountText | None = None
    amount_credits: AmountText | None = None
    reason: Reason


class Movement(Struct, frozen=True, kw_only=True):
    """A movement that is in the ledger. ``created`` is false when an earlier request with this key had made it."""

    id: str
    organization_id: str
    kind: Literal["grant", "refund", "adjustment"]
    amount_usd: Usd
    reason: str
    actor: str
    created_at: int
    created: bool
    balance_usd: Usd
    balance_credits: float
    object: Literal["movement"] = "movement"


class Account(Struct, frozen=True):
    """One account of the ledger, the sum of its entries. Those of organisations are one line, ``org:*``."""

    name: str
    posted_usd: Usd
    accounts: int


class OpenHold(Struct, frozen=True):
    """A hold that is to be resolved."""

    id: int
    request_id: str
    key_id: str
    organization_id: str
    kind: str
    requested: str
    amount_usd: Usd
    opened_at: int


class JournalState(Struct, frozen=True):
    """How far what was decided is on disk."""

    appended: int
    durable: int
    commits: int
    failing: str | None


class LedgerState(Struct, frozen=True, kw_only=True):
    """The accounts, the holds that are open (oldest first, a page of them), and the journal."""

    accounts: list[Account]
    sum_usd: Annotated[str, Meta(description="Of all accounts: always 0.00.")]
    open_holds: int
    holds: Page[OpenHold]
    journal: JournalState
    object: Literal["ledger"] = "ledger"


class Accounts:
    """The handlers. ``credits_per_usd`` is asked for the setting of the moment."""

    def __init__(self, ledger: Ledger, directory: Callable[[], Directory], credits_per_usd: Callable[[], int]) -> None:
        self._ledger = ledger
        self._directory = directory
        self._credits_per_usd = credits_per_usd

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of this module."""
        at = "/admin/organizations/{id}"
        return (
            Endpoint("GET", f"{at}/balance", "get_balance", "What an organization has.", self.balance, Balance),
            *(
                Endpoint(
                    *("POST", f"{at}/{kind}s", f"create_{kind}", summary, self._poster(kind), Movement),
                    body=body,
                    status=201,
                    repeatable=True,
                )
                for kind, summary, body in (
                    ("grant", "Give an organization credit.", Grant),
                    ("adjustment", "Correct an organization's balance, up or down.", Adjustment),
                    ("refund", "Take back credit whose payment was returned.", Refund),
                )
            ),
            Endpoint(
                *("GET", "/admin/ledger", "get_ledger", "Accounts, open holds, journal.", self.ledger, LedgerState),
                query=Paging,
            ),
        )

    async def balance(self, call: Call) -> Balance:
        """One organisation's balance and budget."""
        org = find_node(self._directory(), call.id, "org")
        standing = self._ledger.standing(_payer(org))
        rate = self._credits_per_usd()
        free = standing.available_nusd
        own = next((budget for budget in standing.budgets if budget.node == org.number), None)
        return Balance(
            organization_id=org.id,
            billing="prepaid" if standing.prepaid else "postpaid",
            balance_usd=format_usd(standing.balance_nusd),
            held_usd=format_usd(standing.held_nusd),
            available_usd=None if free is None else format_usd(free),
            balance_credits=credits_number(standing.balance_nusd, rate),
            available_credits=None if free is None else credits_number(free, rate),
            budget=None
            if own is None
            else BudgetState(
                limit_usd=format_usd(own.limit_nusd),
                spent_usd=format_usd(own.spent_nusd),
                held_usd=format_usd(own.held_nusd),
                window_start=own.window_start_s,
                resets_at=own.resets_at_s,
            ),
        )

    # --- movements -------------------------------------------------------------------------------------------

    def _poster(self, kind: str) -> Work:
        async def post(call: Call) -> Movement:
            org = find_node(self._directory(), call.id, "org")
            amount = _SIGNS[kind] * read_amount(call.body, self._credits_per_usd(), signed=kind == "adjustment")
            before = await self._made(call.event)
            if before is None:
                if self._ledger.standing(_payer(org)).balance_nusd + amount > MAX_NUSD:
                    raise _invalid("amount_usd", "the balance would be more than a billion dollars")
                posted = await self._ledger.post(
                    *(kind, org.number, amount),
                    actor=call.actor,
                    reason=call.body.reason,
                    event=None if call.event is None else (SOURCE, call.event),
                )
                row = await self._ledger.read(lambda db: _read_movement(db, _BY_NUMBER, (posted.tx,)))
                created = posted.created
            else:
                row, created = before, False
            if row is None or (row.kind, row.account, row.amount) != (kind, f"org:{org.id}", amount):
                raise IdempotencyMismatch("This Idempotency-Key stands for another movement.")
            return self._show(org, row, created=created)

        return post

    async def _made(self, event: str | None) -> "_Row | None":
        """What an earlier request with the same key has moved: known before money is held to be taken once more."""
        if event is None:
            return None
        return await self._ledger.read(lambda db: _read_movement(db, _BY_EVENT, (SOURCE, event)))

    def _show(self, org: Node, row: "_Row", *, created: bool) -> Movement:
        balance = self._ledger.standing(_payer(org)).balance_nusd
        return Movement(
            id=f"tx_{row.id}",
            organization_id=org.id,
            kind=row.kind,
            amount_usd=format_usd(_SIGNS[row.kind] * row.amount),
            reason=row.reason,
            actor=row.actor,
            created_at=row.at // _US,
            created=created,
            balance_usd=format_usd(balance),
            balance_credits=credits_number(balance, self._credits_per_usd()),
        )

    # --- the ledger ------------------------------------------------------------------------------------------

    async def ledger(self, call: Call) -> LedgerState:
        """The state of the books."""
        after, limit = read_number(call.query.after), call.query.limit
        accounts, count, rows = await self._ledger.report(lambda db: _read_state(db, after, limit + 1))
        journal = self._ledger.journal
        holds = [_show_hold(row) for row in rows[:limit]]
        return LedgerState(
            accounts=[Account(name, format_usd(posted), number) for name, posted, number in accounts],
            sum_usd=format_usd(sum(posted for _, posted, _ in accounts)),
            open_holds=count,
            holds=page_of(holds, lambda hold: str(hold.id), more=len(rows) > limit),
            journal=JournalState(
                *(journal.appended, journal.landed, journal.commits),
                failing=journal.failing.message if journal.failing is not None else None,
            ),
        )


class _Row(Struct, frozen=True):
    """One movement as the database has it: the entry of the organisation's account."""

    id: int
    kind: Literal["grant", "refund", "adjustment"]
    at: int
    actor: str
    reason: str
    account: str
    amount: int


def _read_movement(db: apsw.Connection, query: str, values: tuple[str | int, ...]) -> _Row | None:
    row = db.execute(query, values).fetchone()
    return None if row is None else _Row(*row)


def _read_state(db: apsw.Connection, after: int, limit: int) -> tuple[list[Any], int, list[Any]]:
    """All accounts, the number of open holds, and some of them: of one instant."""
    accounts = db.execute(_ACCOUNTS).fetchall()
    (count,) = db.execute("SELECT count(*) FROM hold WHERE state = 'open'").fetchone() or (0,)
    return accounts, int(count), db.execute(_HOLDS, (after, limit)).fetchall()


def _show_hold(row: tuple[Any, ...]) -> OpenHold:
    number, request_id, key_id, org_id, kind, requested, amount, at_us = row
    return OpenHold(number, request_id, key_id, org_id, kind, requested, format_usd(amount), at_us // _US)


def read_amount(body: Grant | Refund | Adjustment, credits_per_usd: int, *, signed: bool) -> int:
    """The nano-USD of a movement. Raises `InvalidRequest`: none, both, malformed, zero, or a sign that is not asked."""
    given = {name: getattr(body, name) for name in ("amount_usd", "amount_credits") if getattr(body, name) is not None}
    if len(given) != 1:
        raise InvalidRequest("Give either amount_usd or amount_credits.", param="amount_usd")
    ((name, text),) = given.items()
    if _AMOUNT.fullmatch(text) is None:
        raise _invalid(name, "write a decimal number such as 12.50, with at most nine decimals")
    exact = Fraction(text) * NUSD_PER_USD / (credits_per_usd if name == "amount_credits" else 1)
    if exact.denominator != 1:
        raise _invalid(name, f"{text} credits are no whole number of nano-dollars")
    if exact == 0 or abs(exact) > MAX_NUSD or (exact < 0 and not signed):
        allowed = "not 0" if signed else "more than 0"
        raise _invalid(name, f"the amount must be {allowed}, and at most {MAX_NUSD // NUSD_PER_USD} dollars")
    return int(exact)


def _invalid(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{name}': {why}.", param=name, code="invalid_value")


def _payer(org: Node) -> Principal:
    """An organisation as if it called: what binds it alone."""
    return Principal("", org.name, chain=Chain(0, (org.number,), org.number))
