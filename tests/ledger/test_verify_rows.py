"""The verifier's bounds, from both sides, and what it says of a row that breaks one."""
# ruff: noqa: S608 - numbers and names of the tests themselves

import itertools
import time
from pathlib import Path

import apsw
import pytest

from tests.ledger.books import NOW_S, damage, write_books
from tollhouse.ledger.verify import walk
from tollhouse.ledger.verify.report import Finding, Report
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader
from tollhouse.stores.schema import MIGRATIONS


def look(tmp_path: Path, *statements: str) -> Report:
    """What the verifier says of the books after a change that nothing guarded."""
    write_books(tmp_path / "db")
    damage(tmp_path / "db", *statements)
    with open_reader(tmp_path / "db") as reader:
        return verify(reader, now_s=NOW_S)


def named(report: Report, check: str) -> list[Finding]:
    """The findings of a check, which are at most one."""
    return [one for one in report.findings if one.check.name == check]


@pytest.mark.parametrize(
    ("column", "least", "most"),
    [
        ("progress", 0, 2**31),
        ("amount", 0, 10**18),
        ("clipped", 0, 10**18),
        ("estimated", 0, 1),
        ("interrupted", 0, 1),
        ("opened_at", 0, 2**60),
    ],
)
def test_a_number_of_a_hold_is_within_its_range(tmp_path: Path, column: str, least: int, most: int) -> None:
    """Both ends are, and what is beyond them is said with the ends."""
    for value, is_sane in ((least, True), (most, True), (least - 1, False), (most + 1, False)):
        (tmp_path / "db").unlink(missing_ok=True)
        found = named(look(tmp_path, f"UPDATE hold SET {column} = {value} WHERE id = 6"), "sane numbers")
        told = [(one.row, one.expected, one.found) for one in found]
        assert told == ([] if is_sane else [("6", f"{column} from {least} to {most}", f"{column} {value}")])


@pytest.mark.parametrize("moment", [10**12, 2**60, -(2**63)])
def test_a_moment_that_no_calendar_has_is_a_finding(tmp_path: Path, moment: int) -> None:
    """Of a charge, or of a window: the walk goes on to its end."""
    charged = look(tmp_path, f"UPDATE hold SET opened_at = {moment} WHERE id = 1")
    assert [one.row for one in named(charged, "budgets")] == ["node 3, window_start 1772319600"]
    (tmp_path / "db").unlink()
    window = look(tmp_path, f"UPDATE spend SET window_start = {moment} WHERE node = 5 AND amount = 10001")
    (found,) = named(window, "budgets")
    assert (found.row, found.expected) == (f"node 5, window_start {moment}", "the first moment of a window")


def test_a_hold_may_be_open_for_an_hour(tmp_path: Path) -> None:
    """And not for a microsecond more."""
    hour_ago = (NOW_S - 3600) * 1_000_000
    assert look(tmp_path, f"UPDATE hold SET opened_at = {hour_ago} WHERE id = 4").findings == []
    (tmp_path / "db").unlink()
    (found,) = look(tmp_path, f"UPDATE hold SET opened_at = {hour_ago - 1} WHERE id = 4").findings
    assert (found.row, found.expected) == ("4", f"open since {hour_ago} or later")
    assert found.found == f"open since {hour_ago - 1}"


def test_a_hold_on_another_chain_is_told_with_its_own(tmp_path: Path) -> None:
    """The key and the payer that it says, and what its chain has."""
    report = look(
        tmp_path, "UPDATE hold SET key = 6 WHERE id = 6", "UPDATE usage_day SET key = 6 WHERE target LIKE '%free'"
    )
    (found,) = named(report, "holds on chains")
    assert found.found == "key 6, payer 2, chain 1 [5,4,3,2] payer 2"
    (tmp_path / "db").unlink()
    (found,) = named(look(tmp_path, "UPDATE hold SET chain = 9 WHERE id = 6"), "holds on chains")
    assert found.found == "key 5, payer 2, chain 9 that is not there"


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        *(
            (text, "a list of nodes")
            for text in ("7", "null", '"52"', "{}", "[]", "[[5]]", "[5,[2]]", '["5",2]', "[5.0,2]")
        ),
        ("[5,77,2]", "nodes that there are"),
        ("[4,3,2]", "a key first, the organisation last"),
        ("[5,4,3]", "a key first, the organisation last"),
        ("[5,1,2]", "a key first, the organisation last"),
        ("[5,6,2]", "a key first, the organisation last"),
        ("[5,4,3,1]", "the organisation as the payer"),
    ],
)
def test_a_chain_is_told_what_it_is_not(tmp_path: Path, nodes: str, expected: str) -> None:
    """Whatever stands in its place, the walk goes on to its end."""
    (found,) = named(look(tmp_path, f"UPDATE chain SET nodes = '{nodes}' WHERE id = 1"), "chains")
    assert (found.row, found.expected, found.found) == ("1", expected, f"{nodes}, payer 2")


def test_a_line_of_usage_is_told_by_what_differs(tmp_path: Path) -> None:
    """The count and both its numbers; all of them are 0 of a line that nobody used."""
    made_up = "INSERT INTO usage_day VALUES (1, 6, 'host/x', 'chat', {}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {})"
    for counts, expected, told in (((3, 0), "requests 0", "requests 3"), ((0, 5), "charge 0", "charge 5")):
        (tmp_path / "db").unlink(missing_ok=True)
        (found,) = named(look(tmp_path, made_up.format(*counts)), "usage of a day")
        assert (found.row, found.expected, found.found) == ("day 1, key 6, target host/x, kind chat", expected, told)
    (tmp_path / "db").unlink()
    (found,) = named(look(tmp_path, "DELETE FROM usage_day WHERE target = 'host/tiered'"), "usage of a day")
    assert (found.expected, found.found) == ("requests 1, charge 503", "no line")
    (tmp_path / "db").unlink()
    assert look(tmp_path, made_up.format(0, 0)).findings == []


@pytest.mark.parametrize("rows", [1, 50_000])
def test_movements_without_entries_are_named_however_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Though as many have entries as a span has rows."""
    monkeypatch.setattr(walk, "SPAN_ROWS", rows)
    (found,) = named(look(tmp_path, "DELETE FROM posting WHERE movement <> 8"), "conservation")
    assert (found.table, found.row) == ("movement", "9")


def test_of_several_lines_the_first_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their keys, in which order ever the walk has come by their holds."""
    monkeypatch.setattr(walk, "SPAN_ROWS", 1)
    report = look(tmp_path, "DELETE FROM usage_day WHERE target IN ('host/tiered', 'host/free')")
    (found,) = named(report, "usage of a day")
    assert found.row.endswith("target host/free, kind chat")
    (tmp_path / "db").unlink()
    report = look(tmp_path, "UPDATE usage_day SET charge = charge + 1 WHERE charge > 0")
    (found,) = named(report, "three ways")
    day = NOW_S // 86_400 - 3
    assert (found.row, found.expected, found.found) == (
        f"day {day}, key 5",
        "charge 1500503, as entered",
        "charge 1500505",
    )


def test_other_rows_of_the_audit_hide_nothing(tmp_path: Path) -> None:
    """Those of other things, and one that cannot be read, neither stand for a movement's nor end the walk."""
    others = (
        "INSERT INTO audit VALUES (9, 1, 'ada', 'org.create', 'org_acme', '{}')",
        "INSERT INTO audit VALUES (10, 1, 'ada', 'org.create', 'org_acme', '{')",
    )
    assert look(tmp_path, *others).findings == []
    (tmp_path / "db").unlink()
    (found,) = look(tmp_path, *others, "DELETE FROM audit WHERE detail = '{\"tx\": 9}'").findings
    assert (found.row, found.found) == ("9", "topup by ")


def test_only_who_asks_for_it_waits_for_the_whole_file(tmp_path: Path) -> None:
    """Foreign keys and indexes are compared when that is asked for; the report says how long it all took."""
    write_books(tmp_path / "db")
    damage(tmp_path / "db", "INSERT INTO key_details (number, permission) VALUES (77, 'write')")
    began = time.monotonic()
    with open_reader(tmp_path / "db") as reader:
        report = verify(reader, now_s=NOW_S)
    assert report.findings == []
    assert 0 < report.seconds <= time.monotonic() - began


@pytest.mark.parametrize(
    ("statements", "row", "expected", "found"),
    [
        (
            [f"DROP TRIGGER {table}_kept_{number}" for table in ("movement", "hold", "charge") for number in (2, 1)],
            "charge_kept_1",
            "the trigger",
            "nothing of this name",
        ),
        (["CREATE TABLE a_table (x)", "CREATE TABLE a_a (x)"], "a_a", "nothing of this name", "a table"),
        (
            ["DROP INDEX hold_open", "CREATE INDEX hold_open ON hold (id)\nWHERE state = 'x'"],
            "hold_open",
            "CREATE INDEX hold_open ON hold (id) WHERE state = 'open'",
            "CREATE INDEX hold_open ON hold (id) WHERE state = 'x'",
        ),
    ],
)
def test_what_guards_the_ledger_is_told_in_full(
    tmp_path: Path, statements: list[str], row: str, expected: str, found: str
) -> None:
    """What is missing, what is too much and what is another: the first by its name."""
    write_books(tmp_path / "db")
    db = apsw.Connection(str(tmp_path / "db"))
    for statement in statements:
        db.execute(statement)
    db.close()
    with open_reader(tmp_path / "db") as reader:
        (guard,) = named(verify(reader, now_s=NOW_S), "append-only")
    assert (guard.table, guard.row, guard.expected, guard.found) == ("sqlite_schema", row, expected, found)


def test_spans_touch_and_cover_every_integer(tmp_path: Path) -> None:
    """Each ends at a row, so many rows on; the first begins below all keys, the last ends above them."""
    write_books(tmp_path / "db")
    for query, ends in ((walk.NEXT_HOLD, [3, 6]), (walk.NEXT_MOVEMENT, [10])):
        with open_reader(tmp_path / "db") as reader:
            found = [(span.low, span.high) for span in walk.spans(reader, query, 3)]
        edges = [-(2**63), *ends, 2**63 - 1]
        assert found == list(itertools.pairwise(edges))


def test_progress_is_the_share_of_rows_that_were_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of holds and movements together; it does not go beyond the whole."""
    monkeypatch.setattr(walk, "SPAN_ROWS", 4)
    write_books(tmp_path / "db")
    shares: list[float] = []
    with open_reader(tmp_path / "db") as reader:
        verify(reader, now_s=NOW_S, progress=shares.append)
    assert shares == [4 / 11, 8 / 11, 1, 1]


def test_an_empty_ledger_is_sound(tmp_path: Path) -> None:
    """It is done with at once."""
    db = apsw.Connection(str(tmp_path / "db"))
    for number, script in enumerate(MIGRATIONS, start=1):
        db.execute(script)
        db.pragma("user_version", number)
    db.close()
    shares: list[float] = []
    with open_reader(tmp_path / "db") as reader:
        report = verify(reader, now_s=NOW_S, progress=shares.append)
    assert (report.findings, set(report.counts.values()), shares) == ([], {0, 1}, [1, 1])
