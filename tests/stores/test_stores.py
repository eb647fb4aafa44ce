"""The contract of every key store, run against each kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from tollhouse.errors import StorageUnavailable
from tollhouse.stores.memory import MemoryStore
from tollhouse.stores.protocol import KeyRecord, KeyStore
from tollhouse.stores.sqlite import SqliteStore

KINDS: dict[str, Callable[[Path], KeyStore]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "t.db"),
}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    """A fresh store of each kind."""
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


def record(number: int, created_at: int = 1) -> KeyRecord:
    """A key of a given number."""
    return KeyRecord(f"key_{number}", bytes([number]) * 32, "sk-...x", f"name {number}", created_at)


def test_keys_come_back_as_they_were_stored_oldest_first(store: KeyStore) -> None:
    """A stored key is read back whole, in order of creation."""
    store.add_key(record(2, created_at=20))
    store.add_key(record(1, created_at=10))
    assert store.keys() == [record(1, 10), record(2, 20)]


def test_a_key_is_stored_once(store: KeyStore) -> None:
    """The same id or the same digest is refused, and the first stays."""
    store.add_key(record(1))
    with pytest.raises(ValueError, match="exists"):
        store.add_key(record(1))
    with pytest.raises(ValueError, match="exists"):
        store.add_key(KeyRecord("key_other", record(1).digest, "", "", 1))
    assert store.keys() == [record(1)]


def test_a_revocation_happens_once_and_stays(store: KeyStore) -> None:
    """Revoking is final: the first moment stands, and an unknown key is not revoked."""
    store.add_key(record(1))
    assert store.revoke_key("key_1", 99)
    assert not store.revoke_key("key_1", 100)
    assert not store.revoke_key("key_9", 99)
    records = store.keys()
    assert [record.revoked_at for record in records] == [99]


def test_the_version_moves_with_every_write(store: KeyStore) -> None:
    """A reader that remembers the version sees each change."""
    seen = {store.version()}
    store.add_key(record(1))
    seen.add(store.version())
    store.revoke_key("key_1", 5)
    seen.add(store.version())
    assert len(seen) == 3
    assert store.version() in seen


def test_sqlite_keeps_keys_over_a_restart_and_shows_another_process_writes(tmp_path: Path) -> None:
    """What one connection commits, another sees, and a later one finds."""
    first, second = SqliteStore(tmp_path / "t.db"), SqliteStore(tmp_path / "t.db")
    before = first.version()
    second.add_key(record(1))
    assert first.version() != before
    assert first.keys() == [record(1)]
    first.close()
    second.close()
    assert SqliteStore(tmp_path / "t.db").keys() == [record(1)]
    assert (tmp_path / "t.db").stat().st_mode & 0o777 == 0o600


def test_f94_a_database_that_is_not_one_is_refused_in_one_line(tmp_path: Path) -> None:
    """A corrupt file is an error, never rebuilt in silence."""
    (tmp_path / "t.db").write_bytes(b"not a database at all, not even close to one" * 100)
    with pytest.raises(StorageUnavailable, match="does not answer"):
        SqliteStore(tmp_path / "t.db")


def test_f94_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """An older Tollhouse does not touch what a newer one wrote."""
    SqliteStore(tmp_path / "t.db").close()
    with apsw.Connection(str(tmp_path / "t.db")) as database:
        database.pragma("user_version", 999)
    with pytest.raises(StorageUnavailable, match="newer Tollhouse"):
        SqliteStore(tmp_path / "t.db")


def test_the_sqlite_in_use_is_free_of_the_wal_reset_bug() -> None:
    """The bundled SQLite is 3.51.3 or newer (sqlite.org/wal.html#walresetbug)."""
    assert tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) >= (3, 51, 3)
