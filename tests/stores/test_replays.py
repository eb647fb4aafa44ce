"""The rows of answers that are given again: found by scope and digest, first one first, within their room."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tollhouse.stores import replays
from tollhouse.stores.protocol import Batch, Call
from tollhouse.stores.replays import ROW_BYTES, Entry, Found, Room, Sought
from tollhouse.stores.schema import MIGRATIONS
from tollhouse.stores.sqlite import SqliteStore

NOW = 1_800_000_000
A, B = b"a" * 32, b"b" * 32
WIDE = Room(1 << 20, 1 << 20)
ORG, KEY = 1, 2


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    """A database with an organisation and a key of it."""
    with apsw.Connection(":memory:") as made:
        for script in MIGRATIONS:
            made.execute(script)
        made.execute("PRAGMA foreign_keys=ON")
        made.execute("INSERT INTO node (number, id, kind, parent, name, created_at) VALUES (2, 'k', 'key', 1, 'k', 0)")
        yield made


def sought(*digests: bytes, scope: int = KEY, now: int = NOW, age_s: int = 100) -> Sought:
    """What a request looks for."""
    return Sought(scope, (digests[0], digests[-1]), now - age_s, now)


def keep(
    db: apsw.Connection, answer: bytes, digest: bytes = A, *, now: int = NOW, room: Room = WIDE, anew: bool = False
) -> bool:
    """Keeps an answer for 100 seconds."""
    entry = Entry(KEY, digest, f"req_{answer[:9].decode()}", now, now + 100, answer)
    return replays.keep(db, entry, sought(digest, now=now), room, anew=anew)


def answer_of(db: apsw.Connection, wanted: Sought) -> bytes | None:
    """What is found."""
    found = replays.find(db, wanted)
    return found.answer if found is not None else None


def sizes(db: apsw.Connection) -> dict[int, int]:
    """What each scope takes, as the table has it; checked against the rows."""
    known = {scope: size for scope, size in db.execute("SELECT scope, bytes FROM replay_size") if size}
    counted: dict[int, int] = {}
    for scope, size in db.execute("SELECT scope, size FROM replay"):
        counted[scope] = counted.get(scope, 0) + size
    assert known == counted | ({0: sum(counted.values())} if counted else {})
    return known


def test_an_answer_is_found_by_its_scope_and_digest(db: apsw.Connection) -> None:
    """The same scope and digest find it, with who got it first and when; another of either finds nothing."""
    assert keep(db, b"one")
    assert replays.find(db, sought(A)) == Found("req_one", NOW, b"one")
    assert replays.find(db, sought(B)) is None
    assert replays.find(db, sought(A, scope=ORG)) is None


def test_the_first_answer_stands(db: apsw.Connection) -> None:
    """A second answer for the same request is not kept."""
    assert keep(db, b"one")
    assert not keep(db, b"two")
    assert answer_of(db, sought(A)) == b"one"
    assert sizes(db) == {0: 3 + ROW_BYTES, KEY: 3 + ROW_BYTES}


def test_of_two_digests_the_older_answer_counts(db: apsw.Connection) -> None:
    """What a request found once under one of its digests it goes on finding."""
    assert keep(db, b"one", B)
    assert keep(db, b"two", A)
    assert answer_of(db, sought(A, B)) == answer_of(db, sought(B, A)) == b"one"


def test_an_answer_ends(db: apsw.Connection) -> None:
    """It is found to the last second of its time, then no more, and a new one takes its place."""
    keep(db, b"one")
    assert answer_of(db, sought(A, now=NOW + 99)) == b"one"
    assert answer_of(db, sought(A, now=NOW + 100, age_s=10_000)) is None
    assert answer_of(db, sought(A, now=NOW + 50, age_s=50)) is None
    assert keep(db, b"two", now=NOW + 100)
    assert answer_of(db, sought(A, now=NOW + 100)) == b"two"


def test_an_answer_anew_takes_the_place_of_all_that_would_do(db: apsw.Connection) -> None:
    """With ``anew`` the answers under both digests go, and nobody finds them again."""
    keep(db, b"one", B)
    entry = Entry(KEY, A, "req_new", NOW, NOW + 100, b"new")
    assert replays.keep(db, entry, sought(A, B), WIDE, anew=True)
    assert answer_of(db, sought(A, B)) == b"new"
    assert answer_of(db, sought(B)) is None
    assert sizes(db)[KEY] == 3 + ROW_BYTES


def test_the_oldest_make_room(db: apsw.Connection) -> None:
    """A scope never takes more than its room: its oldest answers go first, and one that is larger is not kept."""
    room = Room(3 * (10 + ROW_BYTES), 1 << 20)
    digests = [bytes([number]) * 32 for number in range(5)]
    for number, digest in enumerate(digests):
        assert keep(db, b"%010d" % number, digest, room=room)
        assert sizes(db)[KEY] <= room.scope
    assert [answer_of(db, sought(digest)) is not None for digest in digests] == [False, False, True, True, True]
    assert not keep(db, b"x" * room.scope, A, room=room)
    assert answer_of(db, sought(digests[-1])) is not None


def test_all_together_have_a_limit(db: apsw.Connection) -> None:
    """Beyond it nothing more is kept, and nothing of anybody is displaced."""
    room = Room(1 << 20, 3 + ROW_BYTES)
    assert keep(db, b"one", room=room)
    assert not keep(db, b"two", B, room=room)
    assert answer_of(db, sought(A)) == b"one"


def test_a_room_that_shrank_is_reached_in_steps(db: apsw.Connection) -> None:
    """Where far too much is there, each new answer deletes a piece of it, until there is room again."""
    for number in range(100):
        keep(db, b"x", number.to_bytes(32, "big"))
    small = Room(2 * (1 + ROW_BYTES), 1 << 20)
    assert not keep(db, b"y", A, room=small)
    assert sizes(db)[KEY] == 36 * (1 + ROW_BYTES)
    assert keep(db, b"y", A, room=small)
    assert sizes(db)[KEY] == small.scope


def test_what_has_ended_is_swept(db: apsw.Connection) -> None:
    """Rows that have ended are listed and deleted; one that took the number of such a row since is not."""
    keep(db, b"one")
    keep(db, b"two", B, now=NOW + 50)
    found = replays.expired(db, NOW + 100, 10)
    assert len(found) == 1
    replays.remove(db, found, NOW + 100)
    assert replays.expired(db, NOW + 100, 10) == []
    assert answer_of(db, sought(B, now=NOW + 100)) == b"two"
    (two,) = replays.expired(db, NOW + 150, 10)
    keep(db, b"three", B, now=NOW + 150)
    replays.remove(db, [two], NOW + 150)
    assert answer_of(db, sought(B, now=NOW + 150)) == b"three"
    assert sizes(db)[KEY] == 5 + ROW_BYTES


def test_an_answer_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """What breaks off while an answer is written leaves neither the row nor its size; what was written is on disk."""
    store = SqliteStore(tmp_path / "t.db")

    def broken(db: apsw.Connection) -> None:
        replays.keep(db, Entry(ORG, A, "req_1", NOW, NOW + 100, b"one"), sought(A, scope=ORG), WIDE, anew=False)
        raise RuntimeError("cut off")

    call = Call(broken)
    store.apply(Batch([(call,)]))
    assert isinstance(call.error, RuntimeError)
    assert store.read_now(lambda db: (replays.find(db, sought(A, scope=ORG)), sizes(db))) == (None, {})
    entry = Entry(ORG, A, "req_1", NOW, NOW + 100, b"one")
    store.apply(Batch([(Call(lambda db: replays.keep(db, entry, sought(A, scope=ORG), WIDE, anew=False)),)]))
    other = SqliteStore(tmp_path / "t.db")  # the first is not closed: this is what a crash would leave
    assert other.read_now(lambda db: answer_of(db, sought(A, scope=ORG))) == b"one"
    other.close()
    store.close()


def test_an_older_file_gets_the_tables(tmp_path: Path) -> None:
    """A database of before is brought up to date, with all that it held."""
    path = tmp_path / "t.db"
    old = apsw.Connection(str(path))
    for number, script in enumerate(MIGRATIONS[:2], start=1):
        old.execute(script)
        old.pragma("user_version", number)
    old.close()
    store = SqliteStore(path)
    assert store.read_now(lambda db: db.execute("SELECT count(*) FROM replay").fetchall()) == [(0,)]
    assert store.read_now(lambda db: db.execute("SELECT id FROM node").fetchall()) == [("org_default",)]
    store.close()
