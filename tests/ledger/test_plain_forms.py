"""What verification, reconciliation and export print as JSON, field by field."""

import io
import json
from pathlib import Path

import pytest

from tests.ledger.books import damage, write_books
from tollhouse.ledger.export import read_rows, write_json_lines
from tollhouse.ledger.invoice import read_invoice
from tollhouse.ledger.reconcile import reconcile
from tollhouse.ledger.verify.report import Check, Finding, Report
from tollhouse.stores.reader import open_reader

SUM = Check("I1", "sums", "every transaction sums to zero")
OTHER = Check("I2", "folds", "a balance is the sum of its entries")


def test_a_finding_names_its_check_its_row_and_both_values() -> None:
    """What was promised, where it is broken, what was expected and what was found."""
    finding = Finding(SUM, "tx", "7", "0", "3")
    assert finding.as_json() == {
        "check": "I1 sums",
        "promise": "every transaction sums to zero",
        "table": "tx",
        "row": "7",
        "expected": "0",
        "found": "3",
    }


def test_a_report_has_the_first_finding_of_each_check() -> None:
    """It is good as long as there is none; seconds are rounded to the millisecond."""
    report = Report((SUM, OTHER), counts={"tx": 9}, seconds=1.23456)
    assert (report.ok, report.seconds) == (True, 1.23456)
    assert report.as_json() == {"ok": True, "checks": 2, "counts": {"tx": 9}, "seconds": 1.235, "findings": []}
    first, again, other = (Finding(check, "tx", row, "0", "3") for check, row in ((SUM, "7"), (SUM, "8"), (OTHER, "9")))
    for finding in (first, again, other):
        report.add(finding)
    assert report.findings == [first, other]
    assert report.ok is False
    found = report.as_json()
    assert (found["ok"], found["findings"]) == (False, [first.as_json(), other.as_json()])
    assert Report((SUM,)).as_json() == {"ok": True, "checks": 1, "counts": {}, "seconds": 0.0, "findings": []}


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A sound ledger."""
    write_books(tmp_path / "db")
    return tmp_path / "db"


def test_a_comparison_is_told_whole(books: Path) -> None:
    """Both sums, how many matched, how many have no id, and each difference with both of its sides."""
    invoice = "id,input tokens,output tokens,cost,date\nup-1,8000,4001,0.00171,2026-03-29\nup-9,1,2,0.5,2026-03-29\n"
    with open_reader(books) as reader:
        outcome = reconcile(reader, read_invoice(io.StringIO(invoice, newline="")), "host")
    told = outcome.as_json()
    differences = told.pop("differences")
    assert told == {
        "by": "request",
        "matched": 1,
        "theirs": {"requests": 2, "input": 8001, "output": 4003, "cost_nusd": 501_710_000},
        "ours": {"requests": 4, "input": 8211, "output": 4040, "cost_nusd": 1_710_953},
        "ours_without_id": 0,
    }
    assert {(one["kind"], one["what"]) for one in differences} == {
        ("not_theirs", "up-2"),
        ("not_theirs", "up-3"),
        ("not_theirs", "up-6"),
        ("tokens", "up-1"),
        ("not_ours", "up-9"),
    }
    (tokens,) = [one for one in differences if one["kind"] == "tokens"]
    assert tokens == {
        "kind": "tokens",
        "what": "up-1",
        "theirs": {"requests": 1, "input": 8000, "output": 4001, "cost_nusd": 1_710_000},
        "ours": {"requests": 1, "input": 8000, "output": 4000, "cost_nusd": 1_710_000},
    }


def test_damaged_attempts_are_exported_as_they_are(books: Path) -> None:
    """An export keeps what there is: text that is no JSON any more stays text, and the other rows stay whole."""
    damage(books, "UPDATE hold SET attempts = '[{' WHERE id = 1")
    text = io.StringIO()
    with open_reader(books) as reader:
        assert write_json_lines(read_rows(reader, "holds"), text) == 7
    rows = [json.loads(line) for line in text.getvalue().splitlines()]
    assert rows[0]["attempts"] == "[{"
    assert rows[1]["attempts"][0]["upstream_id"] == "up-2"
