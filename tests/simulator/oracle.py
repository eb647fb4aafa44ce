"""The judge: reads the database and what the clients saw, and shares no code with what wrote either.

Prices are applied with fractions, sums are made anew, and an answer's usage is taken from what its host had said.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from tests.simulator.client import Client, Seen
from tests.simulator.upstream import Truth
from tests.simulator.world import PROBE, World

_US = 1_000_000
_DAY_US = 86_400 * _US
_TOKENS = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio")


class Row(Struct):
    """One hold as the database has it."""

    id: int
    request_id: str
    key: int
    chain: int
    opened_at: int
    amount: int
    state: str
    charge: int
    price: int | None
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    reasoning: int
    input_audio: int
    estimated: int
    interrupted: int
    clipped: int
    attempts: list[dict[str, Any]]
    charged: int = 0
    """What its transactions took; ``returned`` is what reversals gave back."""
    returned: int = 0


class Judge:
    """Finds what is wrong with one finished scenario."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.problems = list(world.record.problems)
        self.rows: dict[int, Row] = {}
        self.by_request: defaultdict[str, list[Row]] = defaultdict(list)
        self.prices: dict[int, str] = {}

    def judge(self) -> list[str]:
        """Every broken promise, in words; empty when there is none."""
        self.world.house.disk.inner.read_now(self._read)
        self._judge_end()
        for row in self.rows.values():
            self._judge_row(row)
        for client in self.world.record.clients:
            self._judge_client(client)
        self._judge_repeats()
        return self.problems

    @property
    def _knows_no_future(self) -> bool:
        """A budget that is set while the clock is set back counts its own period. That something has been spent
        already in those that come after it, it does not know.
        """
        options = self.world.options
        return bool(options.clock_steps_at and options.budgets_at)

    def _fail(self, text: str) -> None:
        self.problems.append(text)

    # --- the books ---------------------------------------------------------------------------------------------

    def _read(self, db: apsw.Connection) -> None:
        names = Row.__struct_fields__[:-2]
        for values in db.execute(f"SELECT {', '.join(names)} FROM hold"):  # noqa: S608 - names of our own
            fields = dict(zip(names, values, strict=True))
            row = msgspec.convert(fields | {"attempts": json.loads(str(fields["attempts"]))}, Row)
            self.rows[row.id] = row
            self.by_request[row.request_id].append(row)
        self.prices = dict(_rows(db, "SELECT id, body FROM price"))
        self._read_entries(db)
        self._read_sums(db)

    def _read_entries(self, db: apsw.Connection) -> None:
        accounts = {number: (name, posted, debt) for number, name, posted, debt in _rows(db, "SELECT * FROM account")}
        folds, sums = Counter[int](), Counter[int]()
        query = "SELECT tx, kind, hold, account, amount FROM entry"
        for tx, kind, hold, account, amount in _rows(db, query):
            folds[account] += amount
            sums[tx] += amount
            if kind in {"charge", "reversal"} and accounts[account][0].startswith("org:"):
                self._count_movement(kind, hold, amount)
        for tx, total in sums.items():
            if total:
                self._fail(f"transaction {tx} sums to {total} (I1)")
        for number, (name, posted, debt) in accounts.items():
            if posted != folds[number]:
                self._fail(f"account {name} says {posted} and its entries say {folds[number]} (I2)")
            if not debt and posted < 0:
                self._fail(f"account {name} is at {posted} (I3)")
        self._judge_memory({name: posted for name, posted, _ in accounts.values()})
        events = Counter([event for (event,) in _rows(db, "SELECT external_id FROM tx WHERE external_id NOT NULL")])
        for event in self.world.record.posted:
            if events[event] != 1:
                self._fail(f"the payment {event} is there {events[event]} times (I21)")
        if any(count > 1 for count in events.values()):
            self._fail(f"a payment was credited twice: {events} (I21)")

    def _count_movement(self, kind: str, hold: int, amount: int) -> None:
        row = self.rows.get(hold)
        if row is None:
            self._fail(f"a {kind} of {amount} is of no request")
        elif kind == "charge":
            row.charged -= amount
        else:
            row.returned += amount

    def _judge_memory(self, posted: dict[str, int]) -> None:
        wallet = self.world.house.ledger.wallet
        for number, name in ((1, "org:org_default"), (2, "org:org_paid")):
            purse = wallet.purses[number]
            if purse.posted != posted.get(name, 0) or purse.held:
                self._fail(
                    f"{name}: memory has {purse.posted} and {purse.held} held, the disk {posted.get(name)} (I17)"
                )

    def _read_sums(self, db: apsw.Connection) -> None:
        """Budgets' windows and usage by day are folds too."""
        chains = {number: json.loads(nodes) for number, nodes in _rows(db, "SELECT id, nodes FROM chain")}
        spends = {(node, start): amount for node, start, amount in _rows(db, "SELECT * FROM spend")}
        for meter in self.world.house.ledger.wallet._meters.values():
            for window in meter.windows:
                place = window.node, window.start_s
                inside = [row for row in self.rows.values() if window.node in chains[row.chain]]
                span = range(window.start_s * _US, window.end_s * _US)
                spent = sum(row.charged - row.returned for row in inside if row.opened_at in span)
                if self._knows_no_future:
                    spent = window.spent
                if not window.spent == spends.get(place, 0) == spent or window.held:
                    found = f"memory {window.spent}, disk {spends.get(place)}, ledger {spent}, held {window.held}"
                    self._fail(f"node {place}: what was spent is {found}")
                if window.spent > window.limit and not self.world.options.budgets_at:
                    self._fail(f"node {window.node} spent {window.spent} of {window.limit}")
        days: Counter[Any] = Counter()
        for row in self.rows.values():
            if row.state in {"settled", "expired"}:
                days[row.opened_at // _DAY_US, row.key, "requests"] += 1
                days[row.opened_at // _DAY_US, row.key, "tokens"] += row.input + row.cache_read + row.output
                days[row.opened_at // _DAY_US, row.key, "charge"] += row.charged - row.returned
        query = (
            "SELECT day, key, sum(requests), sum(input + cache_read + output), sum(charge) FROM usage_day GROUP BY 1, 2"
        )
        for day, key, *sums in _rows(db, query):
            for name, found in zip(("requests", "tokens", "charge"), sums, strict=True):
                if found != days.pop((day, key, name), 0):
                    self._fail(f"usage of day {day} says {found} {name} of key {key}, the holds otherwise (I25)")
        if any(days.values()):
            self._fail(f"usage by day lacks {days} (I25)")

    # --- each hold ---------------------------------------------------------------------------------------------

    def _judge_end(self) -> None:
        world = self.world
        if world.waiting:
            stuck = [client.request.number for client in world.record.clients if not client.finished]
            self._fail(f"clients still wait: {stuck}")
        if not world.house.quiet:
            house = world.house
            self._fail(
                f"not quiet: {house.ledger.open_holds} holds, {house.gate.in_flight} in flight, {house.limits.slots}"
                f" slots, {len(house.gate.once)} names, {len(house.gate.drains)} drains"
            )
        if self.world.script.active:
            self._fail(f"{self.world.script.active} upstream exchanges were never closed")

    def _judge_row(self, row: Row) -> None:
        who = f"hold {row.id} of {row.request_id}"
        if row.state == "open":
            self._fail(f"{who} is open (I6)")
        if row.charge > row.amount:
            self._fail(f"{who} charged {row.charge} of {row.amount} (I7)")
        if row.charged != row.charge or row.returned not in {0, row.charge}:
            self._fail(f"{who} says {row.charge}, its entries {row.charged} less {row.returned} (I10)")
        self._judge_recovered(row, who)
        if row.state == "released":
            if row.charge or row.charged:
                self._fail(f"{who} was released and charged")
            return
        due = self._due(row)
        if row.charge != min(due, row.amount) or row.clipped != due - row.charge:
            self._fail(f"{who} charged {row.charge}, its usage comes to {due} (I8)")
        if row.state == "settled":
            self._judge_settled(row, who)

    def _judge_recovered(self, row: Row, who: str) -> None:
        """A hold that a dead process left open is charged for what was last known of it, and for nothing else."""
        tokens = self.world.record.progress.get(row.id)
        if row.state == "expired" and (row.output != tokens or not row.estimated or not row.interrupted):
            self._fail(f"{who} was charged for {row.output} tokens after a crash; known were {tokens}")
        if row.state == "released" and not row.attempts and tokens:
            self._fail(f"{who} had come to {tokens} tokens when the process died, and was released")

    def _due(self, row: Row) -> int:
        price = json.loads(self.prices[row.price or 0])
        rates = price["rates"]
        pico = sum((Fraction(getattr(row, name)) * rates[name] for name in _TOKENS), Fraction(price["request"]))
        pico += Fraction(row.output - row.reasoning) * rates["output"] + Fraction(row.reasoning) * rates["reasoning"]
        charge: int = ceil(pico / 1000)
        return charge

    def _judge_settled(self, row: Row, who: str) -> None:
        truth = self._truth(row)
        if truth is None:
            self._fail(f"{who} was settled and no answer of a host is behind it: {row.attempts}")
            return
        if not truth.said and not truth.complete and row.charge:
            self._fail(f"{who} was charged {row.charge} and {truth.serial} said nothing (I9)")
        expected = [
            version for last, version in self.world.record.prices if last < row.id and version.host == truth.host
        ]
        if self.prices[row.price or 0] != expected[-1].body:
            self._fail(f"{who} was charged by another price than that of its reservation (I8)")
        if truth.complete and truth.usage is not None and not row.interrupted:
            counted = row.input, row.cache_read, row.output, row.reasoning
            if counted != truth.usage or row.estimated:
                self._fail(f"{who} counts {counted} where {truth.serial} reported {truth.usage}")
        if truth.play in {"no_usage", "bad_usage"} and not row.estimated:
            self._fail(f"{who} took the usage of {truth.serial} ({truth.play}) for sane (I20)")

    def _truth(self, row: Row) -> Truth | None:
        serial = row.attempts[-1].get("upstream_id") if row.attempts else None
        return self.world.script.truths.get(str(serial))

    # --- each client -------------------------------------------------------------------------------------------

    def _judge_client(self, client: Client) -> None:
        request, seen = client.request, client.seen()
        revoked = self.world.record.revoked.get(request.key)
        if revoked is not None and self.world.record.started[request.number] > revoked and seen.status not in {0, 401}:
            self._fail(f"client {request.number} got {seen.status} with a key that was revoked (I23)")
        if request.key == f"sk-{PROBE}" and not seen.answered:
            self._fail(f"after all faults have ended nobody is answered: {seen}")
        rows = self.by_request[request.request_id]
        if len(rows) > 1:
            self._fail(f"client {request.number} has {len(rows)} holds (I12)")
        if seen.status >= 500 and not seen.whole and not client.left and client.how != "reset":
            self._fail(f"client {request.number} got half an error")
        if "idempotent-replayed" in seen.headers:
            return
        if client.left and self.world.options.drain and rows:
            self._judge_drained(client, rows[0])
        if seen.answered:
            self._judge_answer(client, seen, rows)
        elif seen.status >= 400 and any(row.state == "settled" and row.charged != row.returned for row in rows):
            self._judge_refusal(client, seen)
        self._judge_order(client, seen, rows)

    def _judge_drained(self, client: Client, row: Row) -> None:
        """A host that bills to the end is read to the end, whoever has left, while the disk lets it. (``up0`` does not,
        and where no other is well at the time, nobody else is in the plan.)
        """
        truth, options = self._truth(row), self.world.options
        trouble = self.world.record.deaths or options.disk_full_at or options.disk_fail_percent
        if truth is None or truth.host == "up0" or trouble:
            return
        if truth.play == "fine" and not truth.complete:
            self._fail(f"client {client.request.number} left, and {truth.serial} was not read to its end")

    def _judge_answer(self, client: Client, seen: Seen, rows: list[Row]) -> None:
        number = client.request.number
        if not rows or rows[0].state != "settled" or rows[0].returned:
            self._fail(f"client {number} was answered for nothing: {rows} (I10)")
            return
        row, shown = rows[0], _cost(seen)
        if shown != Fraction(row.charge, 10**9):
            self._fail(f"client {number} was told {shown} and charged {row.charge}")
        if row.interrupted:
            self._fail(f"client {number} was answered whole, and its charge says that it was interrupted")

    def _judge_refusal(self, client: Client, seen: Seen) -> None:
        """A refusal that was charged. One way is left open: the commit of a charge was in doubt for so long that the
        client was told so, and the process died before it could write down that it gave the charge back.
        """
        parted = self.world.record.parted[client.request.number]
        if b"storage_unavailable" in seen.body and any(death > parted for death in self.world.record.deaths):
            return
        self._fail(f"client {client.request.number} got {seen.status} and was charged (I9)")

    def _judge_order(self, client: Client, seen: Seen, rows: list[Row]) -> None:
        record, number = self.world.record, client.request.number
        if seen.content_step is not None and (
            not rows or record.opened.get(rows[0].id, seen.content_step) >= seen.content_step
        ):
            self._fail(f"client {number} was shown an answer before its hold was on disk (I4)")
        if seen.answered and rows and record.closed.get(rows[0].id, seen.last_step or 0) >= (seen.last_step or 0):
            self._fail(f"client {number} had its last byte before its charge was on disk (I4)")

    def _judge_repeats(self) -> None:
        """Requests under one Idempotency-Key run to a charge once, and every answer of theirs is the same (I11)."""
        groups: defaultdict[str, list[Client]] = defaultdict(list)
        for client in self.world.record.clients:
            if client.request.name is not None:
                groups[client.request.name].append(client)
        for name, clients in groups.items():
            rows = [row for client in clients for row in self.by_request[client.request.request_id]]
            charged = [row for row in rows if row.state in {"settled", "expired"} and row.charged > row.returned]
            if len(charged) > 1:
                self._fail(f"{name} was charged {len(charged)} times (I11)")
            answers = {seen.body for client in clients if (seen := client.seen()).answered}
            if len(answers) > 1:
                self._fail(f"{name} had {len(answers)} different answers (I11)")


def _rows(db: apsw.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    yield from db.execute(query)


def _cost(seen: Seen) -> Fraction:
    """What the client was told that it cost, from the text of its answer."""
    document = seen.body
    usages = [event["usage"] for event in _decimal(document, seen) if event.get("usage")]
    return Fraction(usages[-1]["cost"]) if usages else Fraction(-1)


def _decimal(document: bytes, seen: Seen) -> list[dict[str, Any]]:
    texts = [document] if not seen.is_stream else [part.removeprefix(b"data: ") for part in document.split(b"\n\n")]
    return [json.loads(text, parse_float=str) for text in texts if text.startswith(b"{")]
