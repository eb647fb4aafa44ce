"""The counts of findings: by what they are grouped, whose they are, and that asking reads little."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.ledger.books import DAY, write_books
from tests.ledger.test_reports import Watched
from tollhouse.ledger import safety_reports
from tollhouse.ledger.reports import Line, Query, names_of
from tollhouse.ledger.safety_reports import GROUPS, SafetyReport
from tollhouse.stores.sqlite import SqliteStore

KEYS = (5, 6)
FOUND = (
    (DAY, 5, "prompt", "hate", 1, 0, 7),
    (DAY, 5, "prompt", "hate", 3, 1, 2),
    (DAY, 5, "completion", "hate", 3, 0, 1),
    (DAY, 6, "completion", "violence", 2, 0, 4),
    (DAY + 2, 5, "prompt", "jailbreak", 3, 1, 1),
    (DAY + 3, 5, "prompt", "hate", 1, 0, 100),
    (DAY, 4, "prompt", "hate", 1, 0, 1000),
)
ANSWERED = 5
"""Of `tests.ledger.books`, all kinds."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """The books, with findings."""
    write_books(tmp_path / "a.db")
    opened = SqliteStore(tmp_path / "a.db")

    def fill(db: apsw.Connection) -> None:
        db.executemany("INSERT INTO safety_day VALUES (?, ?, ?, ?, ?, ?, ?)", FOUND)

    opened.write_now(fill)
    yield opened
    opened.close()


def findings(store: SqliteStore, *groups: str, keys: tuple[int, ...] = KEYS, limit: int = 100) -> SafetyReport:
    """A report on the three days of the books."""
    return store.read_now(lambda db: safety_reports.findings(db, Query(keys, DAY, DAY + 2, groups, limit)))


def test_the_totals_are_those_of_the_days_and_keys(store: SqliteStore) -> None:
    """Other days and other keys are in no sum; without groups there are totals alone, beside the answered requests."""
    assert findings(store) == SafetyReport((), (15, 3), False, ANSWERED)
    assert findings(store, keys=(6,)) == SafetyReport((), (4, 0), False, 1)
    assert findings(store, keys=()) == SafetyReport((), (0, 0), False, 0)


def test_lines_are_grouped_by_all_that_is_asked_for(store: SqliteStore) -> None:
    """Each line has the names of its groups, prompts come before answers, and severities rise."""
    report = findings(store, *GROUPS)
    assert [line.names for line in report.lines] == [
        (DAY, "key_k", "key_k", "prompt", "hate", "low", "annotated"),
        (DAY, "key_k", "key_k", "prompt", "hate", "high", "filtered"),
        (DAY, "key_k", "key_k", "completion", "hate", "high", "annotated"),
        (DAY, "key_d", "key_d", "completion", "violence", "medium", "annotated"),
        (DAY + 2, "key_k", "key_k", "prompt", "jailbreak", "high", "filtered"),
    ]
    assert [line.counts for line in report.lines] == [(7, 0), (2, 2), (1, 0), (4, 0), (1, 1)]
    assert len(names_of(GROUPS)) == len(report.lines[0].names)


@pytest.mark.parametrize(
    ("group", "lines"),
    [
        ("day", [Line((DAY,), (14, 2)), Line((DAY + 2,), (1, 1))]),
        ("key", [Line(("key_k", "key_k"), (11, 3)), Line(("key_d", "key_d"), (4, 0))]),
        ("side", [Line(("prompt",), (10, 3)), Line(("completion",), (5, 0))]),
        ("category", [Line(("hate",), (10, 2)), Line(("jailbreak",), (1, 1)), Line(("violence",), (4, 0))]),
        ("severity", [Line(("low",), (7, 0)), Line(("medium",), (4, 0)), Line(("high",), (4, 3))]),
        ("outcome", [Line(("annotated",), (12, 0)), Line(("filtered",), (3, 3))]),
    ],
)
def test_each_group_adds_up_alone(store: SqliteStore, group: str, lines: list[Line]) -> None:
    """By whatever it is grouped, every finding is in one line, and filtered ones are counted as such."""
    report = findings(store, group)
    assert list(report.lines) == lines
    assert tuple(map(sum, zip(*(line.counts for line in lines), strict=True))) == report.totals


def test_the_limit_cuts_lines_not_totals(store: SqliteStore) -> None:
    """A report that is cut says so, and its totals are still of everything."""
    report = findings(store, "category", limit=2)
    assert ([line.names for line in report.lines], report.more) == ([("hate",), ("jailbreak",)], True)
    assert report.totals == (15, 3)
    assert not findings(store, "category", limit=3).more


def test_no_report_scans_the_findings(store: SqliteStore) -> None:
    """Days and keys are found by the primary key, whatever is asked for."""

    def read(db: apsw.Connection) -> list[str]:
        watched = Watched(db)
        safety_reports.findings(watched, Query(KEYS, DAY, DAY + 2, GROUPS, 10))  # type: ignore[arg-type]
        return watched.steps

    found = store.read_now(read)
    assert any("safety_day USING PRIMARY KEY (day=? AND key=?)" in step for step in found), found
    assert not [step for step in found if step.startswith(("SCAN safety_day", "SCAN usage_day"))], found
