"""A real ledger with a real tree in a real file, and the hands that work in it: for tests of what a client sees of
money.

    async with opened_house(tmp_path) as house:
        org = await house.node("org", name="Acme")
        key = await house.key(org)
        await house.ledger.post("grant", house.number(org), 5_000_000_000, actor="ada", reason="welcome")
        house.spend(key, "req_1", Usage(input=1000, output=10))
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from tollhouse.catalog import store as catalog
from tollhouse.config import Settings
from tollhouse.gateway.auth import Keyring
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.journal import Journal, WriterThread
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.prices import Bid, PriceVersion, make_price
from tollhouse.ledger.recovery import recover
from tollhouse.snapshot import Live, build
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.stores.tenancy import read_all
from tollhouse.tenancy.desk import Desk
from tollhouse.tenancy.desk import House as Rules
from tollhouse.tenancy.directory import Directory, NodeView
from tollhouse.tenancy.office import Office
from tollhouse.types.calls import Host, Prices, Target, Usage
from tollhouse.types.tenancy import Principal
from tollhouse.web.exchange import Exchange

USD = 10**9
PEPPER = b"p" * 32
CATALOGUE = catalog.load()
TARGET = Target(Host("up", "http://127.0.0.1:1/v1"), "m")
_PRICES = Prices(input=3_000_000, output=15_000_000, cache_read=300_000)


def price_of(prices: Prices = _PRICES, model: str = "m") -> PriceVersion:
    """The version of some prices: by default $3 and $15 for a million tokens."""
    price = make_price("up", model, prices, source="config")
    assert price is not None
    return price


PRICE = price_of()


class Nowhere:
    """A meter that counts nothing."""

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""


class Sheet:
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        self.data = bytearray()

    def send(self, data: bytes) -> None:
        """See `Channel`."""
        self.data += data

    async def writable(self) -> None:
        """See `Channel`."""

    def abort(self) -> None:
        """See `Channel`."""


@dataclass
class Asking:
    """One request and what was answered."""

    exchange: Exchange
    sheet: Sheet

    @property
    def head(self) -> str:
        """The status line and headers."""
        return bytes(self.sheet.data).partition(b"\r\n\r\n")[0].decode()

    @property
    def body(self) -> bytes:
        """The body as it was sent, chunked framing and all."""
        return bytes(self.sheet.data).partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def asking(
    method: str = "GET",
    *,
    key: str = "",
    query: bytes = b"",
    rest: bytes = b"",
    body: bytes = b"",
    headers: dict[bytes, bytes] | None = None,
) -> Asking:
    """A request that has arrived whole."""
    sheet = Sheet()
    exchange = Exchange(sheet, "127.0.0.1", 0.0)
    exchange.method, exchange.query, exchange.rest = method, query, rest
    exchange.request_id = "req_asking"
    exchange.headers = {b"authorization": f"Bearer {key}".encode(), **(headers or {})}
    exchange.add_body(body)
    exchange.close_body()
    return Asking(exchange, sheet)


class House:
    """The ledger, the tree, and who calls."""

    def __init__(self, store: SqliteStore, make: type[Ledger] = Ledger) -> None:
        self.store = store
        self.ledger = make(store, Journal(WriterThread(store)), Nowhere())
        self.keyring = Keyring(PEPPER, self.ledger.chain_number)
        self.office = Office(self.ledger.write, self.ledger.read, Rules(PEPPER), self.keyring.replace)
        self.live = Live(build(Settings(), CATALOGUE, ()))
        self.log = BytesIO()
        self.texts: dict[str, str] = {}
        """The text of each key, by its id."""

    async def open(self) -> None:
        """Begins."""
        self.ledger.journal.start()
        await self.office.refresh()
        await self.follow()

    async def follow(self) -> None:
        """Lets the ledger know of the tree as it is now."""
        await self.ledger.adopt(self.office.directory.nodes)

    async def node(self, kind: str, parent: str | None = None, **fields: Any) -> str:
        """Makes an organisation, a team or a user. Returns its id."""
        wanted = {"name": kind, **fields}

        def create(desk: Desk) -> NodeView:
            if parent is None:
                return desk.create_org(wanted)
            return desk.create_team(parent, wanted) if kind == "team" else desk.create_user(parent, wanted)

        view = await self.office.act("ada", create)
        await self.follow()
        return view.node.id

    async def key(self, parent: str, **fields: Any) -> Principal:
        """Makes a key. Returns who calls with it."""
        made = await self.office.act("ada", lambda desk: desk.create_key(parent, {"name": "key", **fields}))
        await self.follow()
        self.texts[made.view.node.id] = made.text.reveal()
        return self.principal(made.view.node.id)

    def principal(self, key_id: str) -> Principal:
        """Who calls with a key."""
        return self.keyring.identify({b"x-api-key": self.texts[key_id].encode()})

    def number(self, node_id: str) -> int:
        """The number of a node."""
        return self.office.directory.numbers[node_id]

    async def grant(self, org_id: str, amount_nusd: int) -> None:
        """Gives an organisation credit."""
        await self.ledger.post("grant", self.number(org_id), amount_nusd, actor="ada", reason="welcome")

    def hold(self, who: Principal, request_id: str, amount: int = USD, kind: str = "chat/completions") -> Hold:
        """Holds an amount for a request."""
        bid = Bid(TARGET, PRICE, amount, None, 1000)
        return self.ledger.reserve(request_id, who, kind, "both", (bid,))

    def spend(self, who: Principal, request_id: str, usage: Usage, kind: str = "chat/completions") -> int:
        """A request that is served and settled. Returns what it cost."""
        hold = self.hold(who, request_id, kind=kind)
        return hold.settle(hold.bids[0], usage)

    def count(self, query: str) -> int:
        """The number that a query finds."""
        return self.store.read_now(lambda db: next(int(number) for (number,) in db.execute(query)))

    async def landed(self) -> None:
        """Returns when all that was decided is durable."""
        self.ledger.write_holds()
        await self.ledger.journal.durable(self.ledger.journal.appended)


@asynccontextmanager
async def opened_house(folder: Path, make: type[Ledger] = Ledger) -> AsyncIterator[House]:
    """A house on a file, that one opened before or a new one; what was left open there is resolved as after a crash."""
    store = SqliteStore(folder / "house.db")
    recover(store, Directory().revise(store.read_now(read_all)).nodes, 0)
    house = House(store, make)
    await house.open()
    try:
        yield house
    finally:
        await house.ledger.journal.stop()
        await asyncio.sleep(0)
        store.close()
