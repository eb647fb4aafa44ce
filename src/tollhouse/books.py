"""The state of one installation, opened: store, ledger, tree, keys and prices, made in the order in which they need
each other. `app` serves with it; the command line opens it for a server, and the tests for theirs.

Opening recovers: what the last process left open is resolved before anything new is decided.
"""

import time
from contextlib import suppress
from dataclasses import dataclass

from tollhouse.errors import StorageUnavailable
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.relay import KINDS
from tollhouse.ledger.holds import Meter
from tollhouse.ledger.journal import Journal, WriterThread
from tollhouse.ledger.ledger import Ledger, wall_clock_us
from tollhouse.ledger.movements import read_admin_prices
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.ledger.recovery import recover
from tollhouse.snapshot import Live
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.stores.tenancy import read_all
from tollhouse.tenancy.desk import House
from tollhouse.tenancy.directory import Directory
from tollhouse.tenancy.office import Office

SESSION = "session"
"""The name of the key that ``tollhouse up --json`` makes for the program that started it; each start ends the last."""


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that is kept. Call `start` on the event loop, and `stop` in the end."""

    store: SqliteStore
    journal: Journal
    ledger: Ledger
    office: Office
    keyring: Keyring
    prices: PriceBook

    async def start(self) -> None:
        """Begins to write, and reads the tree."""
        self.journal.start()
        await self.office.refresh()

    async def follow(self) -> None:
        """Makes good what a failed write may have left unknown. Called once a second."""
        if self.office.stale and self.journal.failing is None:
            with suppress(StorageUnavailable):  # the next second has another try
                await self.office.refresh()

    async def stop(self) -> None:
        """Writes what is queued and closes the store."""
        self.ledger.write_holds()
        await self.journal.stop()
        self.store.close()

    def problem(self) -> str | None:
        """Why nothing can be promised at the moment."""
        try:
            self.journal.check()
        except StorageUnavailable:
            return "storage_unavailable"
        return None

    async def mint(self, name: str) -> str:
        """A new key of the default organisation: its text, which nothing will show again."""
        parent = self.office.directory.children(None)[0].id
        made = await self.office.act("tollhouse up", lambda desk: desk.create_key(parent, {"name": name}))
        return made.text.reveal()

    async def mint_session(self) -> str:
        """The key of this run; those of earlier runs end."""
        for node in list(self.office.directory.nodes.values()):
            if node.kind == "key" and node.name == SESSION and node.disabled_at is None:
                await self.office.act("tollhouse up", lambda desk, key_id=node.id: desk.revoke(key_id))  # type: ignore[misc]
        return await self.mint(SESSION)


def open_books(store: SqliteStore, pepper: bytes, live: Live, meter: Meter) -> Books:
    """Opens the books of a store. Raises `StorageUnavailable`."""
    nodes = {node.number: node for node in store.read_now(read_all).nodes}
    recover(store, nodes, wall_clock_us())
    journal = Journal(WriterThread(store))
    ledger = Ledger(store, journal, meter)
    ledger.prime(nodes)
    keyring = Keyring(pepper, ledger.chain_number)

    def follow(directory: Directory) -> None:
        ledger.adopt_orgs(directory.nodes)
        keyring.replace(directory)

    house = House(
        pepper,
        time.time,
        lambda: live.snapshot.settings.tiers,
        frozenset({"chat/completions", *(kind.path for kind in KINDS)}),
        lambda: live.snapshot.settings.safety.names,
    )
    office = Office(ledger.write, ledger.read, house, follow, lambda directory: ledger.adopt(directory.nodes))
    prices = PriceBook(store.read_now(read_admin_prices), unpriced=live.snapshot.settings.billing.unpriced)
    return Books(store, journal, ledger, office, keyring, prices)
