"""What the reports say of a ledger whose numbers are known: every line, sum and row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.books import APRIL_IN_BERLIN, DAY, MARCH_29, NOW_S, write_books
from tollhouse.ledger import reports
from tollhouse.ledger.reports import COUNTS, GROUPS, Entry, Line, Query, Report, Request, names_of
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.ledger import AttemptRecord

KEYS = (5, 6)
PLAIN = {"requests": 1, "input": 7000, "cache_read": 1000, "output": 4000, "reasoning": 2000, "charge": 1_500_000}
TIERED = {"requests": 1, "input": 200, "cache_write": 1, "output": 20, "charge": 503}
FREE = {"requests": 1, "input": 10, "output": 20}
CRASHED = {"requests": 1, "estimated": 1, "input": 100, "output": 300, "charge": 70_000}
PICTURE = {"requests": 1, "images": 1, "charge": 10_001}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """The books, opened."""
    write_books(tmp_path / "a.db")
    opened = SqliteStore(tmp_path / "a.db")
    yield opened
    opened.close()


def usage(store: SqliteStore, *groups: str, keys: tuple[int, ...] = KEYS, **fields: int) -> Report:
    """A report on the days of the books, unless other days are given."""
    asked = {"first_day": DAY, "last_day": DAY + 2, "limit": 100, **fields}
    query = Query(keys, asked["first_day"], asked["last_day"], groups, asked["limit"])
    return store.read_now(lambda db: reports.usage(db, query))


def counts(*lines: dict[str, int]) -> tuple[int, ...]:
    """The sums of some lines, in the order of `COUNTS`."""
    return tuple(sum(line.get(name, 0) for line in lines) for name in COUNTS)


def test_the_totals_are_the_sums_of_all_days(store: SqliteStore) -> None:
    """Without groups there are sums alone; open holds are told beside them."""
    report = usage(store)
    assert report == Report((), counts(PLAIN, TIERED, FREE, CRASHED, PICTURE), False, 1, 1000)


def test_lines_are_grouped_by_all_that_is_asked_for(store: SqliteStore) -> None:
    """Each line has the names of its groups, and both names of a key; lines come in their order."""
    chat, pictures = "chat", "images/generations"
    key, other = ("key_k", "key_k"), ("key_d", "key_d")
    assert usage(store, *GROUPS).lines == (
        Line((DAY, "host/free", chat, *key), counts(FREE)),
        Line((DAY, "host/plain", chat, *key), counts(PLAIN)),
        Line((DAY, "host/tiered", chat, *key), counts(TIERED)),
        Line((DAY + 1, "host/plain", chat, *other), counts(CRASHED)),
        Line((DAY + 2, "host/pictures", pictures, *key), counts(PICTURE)),
    )
    assert usage(store, "key").lines == (
        Line(key, counts(PLAIN, TIERED, FREE, PICTURE)),
        Line(other, counts(CRASHED)),
    )
    assert usage(store, "model").lines[2:] == (
        Line(("host/plain",), counts(PLAIN, CRASHED)),
        Line(("host/tiered",), counts(TIERED)),
    )
    assert usage(store, "kind").lines == (
        Line((chat,), counts(PLAIN, TIERED, FREE, CRASHED)),
        Line((pictures,), counts(PICTURE)),
    )
    assert [line.names for line in usage(store, "day", "kind").lines] == [
        (DAY, chat),
        (DAY + 1, chat),
        (DAY + 2, pictures),
    ]


def test_both_ends_of_the_days_are_included(store: SqliteStore) -> None:
    """The first and the last day count, the days beside them do not."""
    assert usage(store, first_day=DAY + 1, last_day=DAY + 2).totals == counts(CRASHED, PICTURE)
    assert usage(store, first_day=DAY, last_day=DAY + 1).totals == counts(PLAIN, TIERED, FREE, CRASHED)
    assert usage(store, first_day=DAY + 1, last_day=DAY + 1).totals == counts(CRASHED)
    assert usage(store, first_day=DAY + 3, last_day=DAY + 9).totals == counts()


def test_a_report_is_on_its_keys_alone(store: SqliteStore) -> None:
    """What another key used, and what it holds, is not in it."""
    report = usage(store, "key", keys=(6,))
    assert report.lines == (Line(("key_d", "key_d"), counts(CRASHED)),)
    assert (report.totals, report.open_requests, report.open_nusd) == (counts(CRASHED), 0, 0)
    assert usage(store, keys=()).totals == counts()


def test_more_lines_than_the_limit_are_told(store: SqliteStore) -> None:
    """The first come, the totals are of all, and whether there are more is said: exactly then."""
    report = usage(store, *GROUPS, limit=4)
    assert (len(report.lines), report.more) == (4, True)
    assert report.totals == counts(PLAIN, TIERED, FREE, CRASHED, PICTURE)
    report = usage(store, *GROUPS, limit=5)
    assert (len(report.lines), report.more) == (5, False)


def test_a_key_has_two_names() -> None:
    """Its public id and what it is called."""
    assert names_of(("day", "key", "kind")) == ("day", "key", "key_name", "kind")
    assert names_of(()) == ()


def request(store: SqliteStore, request_id: str, keys: tuple[int, ...] = KEYS) -> Request | None:
    """One request."""
    return store.read_now(lambda db: reports.request(db, request_id, keys))


def tokens(**some: int) -> dict[str, int]:
    """What a request took."""
    return dict.fromkeys(reports.TOKENS, 0) | some


def test_a_request_is_told_whole(store: SqliteStore) -> None:
    """Every column of its row, its price and its movements."""
    found = request(store, "req_7")
    assert found is not None
    opened_us = (APRIL_IN_BERLIN + 1) * 1_000_000
    values: dict[str, Any] = {"price": 4, "amount_nusd": 2_000_000, "charge_nusd": 40_001, "clipped_nusd": 0}
    assert found == Request(
        hold=7,
        request_id="req_7",
        key_id="key_k",
        key_name="key_k",
        kind="images/generations",
        requested="gpt",
        target="host/pictures",
        state="settled",
        opened_at_us=opened_us,
        closed_at_us=MARCH_29 * 1_000_000 + 5,
        estimated=False,
        interrupted=False,
        attempts=(AttemptRecord("host/pictures", "ok", "up-7"),),
        tokens=tokens(images=1),
        price_body=found.price_body,
        safety={"policy": "p"},
        entries=(
            Entry(7, "charge", (MARCH_29 + 7) * 1_000_000, "org:org_acme", -40_001),
            Entry(7, "charge", (MARCH_29 + 7) * 1_000_000, "sys:revenue", 40_001),
            Entry(11, "reversal", (MARCH_29 + 11) * 1_000_000, "sys:revenue", -30_000),
            Entry(11, "reversal", (MARCH_29 + 11) * 1_000_000, "org:org_acme", 30_000),
        ),
        **values,
    )
    assert (found.price_body["model"], found.price_body["image"]) == ("pictures", 40_000_000)


def test_what_is_missing_of_a_request_is_empty(store: SqliteStore) -> None:
    """An open hold has no end, target, price or movements; a crashed one is marked; one that was clipped says so."""
    opened = request(store, "req_4")
    assert opened is not None
    assert (opened.state, opened.closed_at_us, opened.price, opened.price_body) == ("open", None, None, {})
    assert (opened.opened_at_us, opened.entries) == ((NOW_S - 60) * 1_000_000, ())
    assert opened.safety is None
    clean = request(store, "req_6")
    assert clean is not None
    assert clean.safety == {}
    crashed = request(store, "req_5")
    assert crashed is not None
    assert (crashed.estimated, crashed.interrupted, crashed.tokens) == (True, True, tokens(input=100, output=300))
    clipped = request(store, "req_1")
    assert clipped is not None
    assert (clipped.clipped_nusd, clipped.charge_nusd) == (210_000, 1_500_000)
    assert clipped.tokens == tokens(input=7000, cache_read=1000, output=4000, reasoning=2000)


def test_what_a_failure_cost_the_operator_is_not_told(store: SqliteStore) -> None:
    """Its attempt is, without the cost; the operator's entries are not the customer's."""
    found = request(store, "req_3")
    assert found is not None
    assert found.attempts == (AttemptRecord("host/plain", "upstream_interrupted", "up-3", cost_nusd=0),)
    assert found.entries == ()


def test_a_request_is_told_to_its_own_keys(store: SqliteStore) -> None:
    """Nobody else's key finds it."""
    assert request(store, "req_5", (5,)) is None
    assert request(store, "req_5", (6,)) is not None


def test_of_two_requests_with_one_id_the_newer_is_told(store: SqliteStore) -> None:
    """Clients may choose ids; the last one counts."""
    store.write_now(lambda db: db.execute("UPDATE hold SET request_id = 'req_1' WHERE id = 4").fetchall())
    found = request(store, "req_1")
    assert found is not None
    assert found.hold == 4


def test_recent_requests_come_newest_first(store: SqliteStore) -> None:
    """So many as are asked for, of the keys that are asked for, without their entries."""
    recent = store.read_now(lambda db: reports.recent(db, (5,), 3))
    assert [(one.hold, one.entries) for one in recent] == [(7, ()), (6, ()), (4, ())]
