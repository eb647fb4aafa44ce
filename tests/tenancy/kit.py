"""A real database of the tree for tests, and the hands that work on it as the ledger's writer would."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from tollhouse.errors import StorageUnavailable
from tollhouse.stores.schema import MIGRATIONS
from tollhouse.stores.tenancy import AuditRow, read_all, read_audit
from tollhouse.tenancy.desk import Desk, House
from tollhouse.tenancy.directory import Directory
from tollhouse.tenancy.office import operate
from tollhouse.types.tenancy import Rates, Tier

T = TypeVar("T")
PEPPER = b"p" * 32
START_S = 1_800_000_000
TIERS = {
    "free": Tier("free", Rates(requests_per_minute=60, tokens_per_minute=90_000, concurrent=2)),
    "starter": Tier("starter", Rates(requests_per_minute=60, tokens_per_minute=90_000, concurrent=10)),
    "paid": Tier("paid", Rates(tokens_per_minute=10_000_000, soft=frozenset({"tokens"}))),
}
KINDS = frozenset({"chat/completions", "embeddings", "images/generations", "images/edits", "audio/speech"})
CREATED = {"org": "create_org", "team": "create_team", "user": "create_user", "key": "create_key"}


class Base:
    """A database file. `write_now` keeps what a function did, or nothing of it when it raises."""

    def __init__(self, path: Path) -> None:
        self.db = apsw.Connection(str(path))
        self.db.execute("PRAGMA foreign_keys=ON")
        with self.db:
            for script in MIGRATIONS:
                self.db.execute(script)
        self.now_s = float(START_S)
        self.house = House(PEPPER, lambda: self.now_s, lambda: TIERS, KINDS)
        self.failure: StorageUnavailable | None = None
        """Raised by the next write, when it has committed."""
        self.is_down = False
        """Whether nothing can be read."""

    def write_now(self, function: Callable[[apsw.Connection], T]) -> T:
        """As `SqliteStore.write_now`."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            result = function(self.db)
            self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
        return result

    async def write(self, function: Callable[[apsw.Connection], T]) -> T:
        """As `Ledger.write`: later, by another hand."""
        await asyncio.sleep(0)
        result = self.write_now(function)
        await asyncio.sleep(0)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return result

    async def read(self, function: Callable[[apsw.Connection], T]) -> T:
        """As `Ledger.read`."""
        await asyncio.sleep(0)
        if self.is_down:
            raise StorageUnavailable("down")
        return function(self.db)

    def do(self, work: Callable[[Desk], T], actor: str = "tester") -> T:
        """One operation, as the command line runs it without a server."""
        return self.write_now(lambda db: operate(db, self.house, actor, work))[0]

    def call(self, deed: str, *given: object) -> Any:
        """One operation by its name."""
        return self.do(lambda desk: getattr(desk, deed)(*given))

    def directory(self) -> Directory:
        """The tree as a process that starts now finds it."""
        return Directory().revise(read_all(self.db))

    def audit(self) -> list[AuditRow]:
        """All audit rows, newest first."""
        return read_audit(self.db, limit=100_000)

    def dump(self) -> list[tuple[object, ...]]:
        """Every row of the tree and of the audit."""
        tables = ("SELECT * FROM node", "SELECT * FROM key_details", "SELECT * FROM key_secret", "SELECT * FROM audit")
        return [row for table in tables for row in self.db.execute(table)]


class Ledger:
    """Gives out numbers of chains, as the ledger does."""

    def __init__(self) -> None:
        self.chains: dict[tuple[tuple[int, ...], int], int] = {}

    def number(self, nodes: tuple[int, ...], payer: int) -> int:
        """The number of a chain, the same for the same."""
        return self.chains.setdefault((nodes, payer), len(self.chains) + 1)


def family(base: Base, name: str = "acme") -> tuple[str, str, str, str, str]:
    """An organisation with a team, a user and a key: their ids, and the key's text."""
    org = base.do(lambda desk: desk.create_org({"name": name})).node.id
    team = base.do(lambda desk: desk.create_team(org, {"name": "red"})).node.id
    user = base.do(lambda desk: desk.create_user(team, {"name": "ada"})).node.id
    made = base.do(lambda desk: desk.create_key(user, {"name": "laptop"}))
    return org, team, user, made.view.node.id, made.text.reveal()


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    """A fresh database."""
    made = Base(tmp_path / "t.db")
    yield made
    made.db.close()
