"""A real ledger on a real SQLite file, with a clock of its own, and short words for what tests do with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from tollhouse.ledger.holds import Hold
from tollhouse.ledger.journal import Journal, WriterThread
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.prices import Bid, PriceVersion, make_price
from tollhouse.ledger.recovery import Recovered, recover
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.stores.tenancy import read_all
from tollhouse.types.calls import Host, Prices, Target, Usage
from tollhouse.types.tenancy import Budget, Chain, Node, Principal

NOON_US = 1_795_262_400_000_000
"""2026-11-21 12:00 UTC, a Saturday."""
ORG, TEAM, USER, KEY, OTHER_KEY = 2, 3, 4, 5, 6
TARGET = Target(Host("host", "https://host.test/v1"), "m")


def price(input_pico: int = 1_000_000, output_pico: int = 2_000_000, model: str = "m") -> PriceVersion:
    """A price of $1 and $2 per million tokens, unless other figures are given: 1,000 and 2,000 nano-USD a token."""
    made = make_price("host", model, Prices(input_pico, output_pico), source="catalogue")
    assert made is not None
    return made


def bid(amount: int, version: PriceVersion | None = None, target: Target = TARGET) -> Bid:
    """A bid of this amount."""
    return Bid(target, version or price(), amount, None, 10)


class Counted:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.usages: list[Usage] = []

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""
        assert target
        self.usages.append(usage)


@dataclass
class Bench:
    """A ledger at work."""

    store: SqliteStore
    ledger: Ledger
    journal: Journal
    meter: Counted
    nodes: dict[int, Node]
    recovered: Recovered
    now_us: int = NOON_US
    _requests: int = field(default=0)

    def principal(self, key: int = KEY) -> Principal:
        """The caller behind a key."""
        nodes, number = [key], self.nodes[key].parent
        while number is not None:
            nodes.append(number)
            number = self.nodes[number].parent
        chain = tuple(nodes)
        return Principal(
            self.nodes[key].id, "", key, Chain(self.ledger.chain_number(chain, chain[-1]), chain, chain[-1])
        )

    def reserve(self, amount: int, *, key: int = KEY, version: PriceVersion | None = None) -> Hold:
        """A hold of this amount."""
        self._requests += 1
        bids = (bid(amount, version),)
        return self.ledger.reserve(f"req_{self._requests}", self.principal(key), "chat/completions", "m", bids)

    async def credit(self, amount: int, external_id: str | None = None, org: int = ORG, kind: str = "grant") -> int:
        """Credits the organisation; returns its balance."""
        event = ("test", external_id) if external_id else None
        posted = await self.ledger.post(kind, org, amount, actor="me", reason="test", event=event)
        return posted.balance_nusd

    def available(self, key: int = KEY) -> int | None:
        """What the key may hold now."""
        return self.ledger.available(self.principal(key))

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds in the database."""
        return self.store.read_now(lambda db: list(db.execute(query, values)))

    async def landed(self) -> None:
        """Returns when everything decided so far is durable."""
        self.ledger.write_holds()
        await self.journal.durable(self.journal.appended)

    async def set_node(self, number: int, **fields: Any) -> None:
        """Changes a node, in the store and in the ledger."""
        names = ", ".join(f"{name} = ?" for name in fields)
        await self.ledger.write(
            lambda db: db.execute(f"UPDATE node SET {names} WHERE number = ?", (*fields.values(), number)).fetchall()  # noqa: S608
        )
        self.nodes = read_nodes(self.store)
        await self.ledger.adopt(self.nodes)


async def eventually(true: Callable[[], bool]) -> None:
    """Returns when something has become so."""
    for _ in range(2_000):
        if true():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came to that")


def read_nodes(store: SqliteStore) -> dict[int, Node]:
    """The tree."""
    return {node.number: node for node in store.read_now(read_all).nodes}


def plant(db: apsw.Connection, budgets: Mapping[int, Budget]) -> None:
    """An organisation that prepays, a team, a user, and two keys: one of the user, one of the organisation."""
    rows = (
        (ORG, "org_acme", "org", None, "prepaid"),
        (TEAM, "team_red", "team", ORG, None),
        (USER, "user_ann", "user", TEAM, None),
        (KEY, "key_one", "key", USER, None),
        (OTHER_KEY, "key_two", "key", ORG, None),
    )
    for number, name, kind, parent, billing in rows:
        budget = budgets.get(number)
        limits = (budget.limit_nusd, budget.period, budget.zone) if budget else (None, None, None)
        db.execute(
            "INSERT INTO node (number, id, kind, parent, name, created_at, billing, budget_nusd, budget_period,"
            " budget_zone) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?)",
            (number, name, kind, parent, name, billing, *limits),
        )


@asynccontextmanager
async def opened(
    folder: Path, budgets: Mapping[int, Budget] | None = None, *, store: SqliteStore | None = None
) -> AsyncIterator[Bench]:
    """A ledger in a folder: a new one with the tree of `plant`, or the one that is there, recovered."""
    fresh = not (folder / "ledger.db").exists()
    store = store or SqliteStore(folder / "ledger.db")
    if fresh:
        store.write_now(lambda db: plant(db, budgets or {}))
    nodes = read_nodes(store)
    bench: Bench
    recovered = recover(store, nodes, NOON_US)
    meter = Counted()
    journal = Journal(WriterThread(store))
    ledger = Ledger(store, journal, meter, lambda: bench.now_us)
    bench = Bench(store, ledger, journal, meter, nodes, recovered)
    ledger.prime(nodes)
    journal.start()
    try:
        yield bench
    finally:
        await asyncio.wait_for(journal.stop(), 10)
        store.close()
