"""The ledger as files: stable, exact, whole, and harmless to open."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.books import APRIL_IN_BERLIN, MARCH_29, damage, write_books
from tollhouse.ledger.export import moment, read_rows, safe_cell, write_csv, write_json_lines
from tollhouse.stores.reader import open_reader


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A sound ledger."""
    write_books(tmp_path / "db")
    return tmp_path / "db"


def as_csv(path: Path, table: str, *span: tuple[int, int]) -> list[dict[str, str]]:
    """An export, read again."""
    text = io.StringIO(newline="")
    with open_reader(path) as reader:
        count = write_csv(read_rows(reader, table, *span), text)
    rows = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))
    assert len(rows) == count
    return rows


def as_json(path: Path, table: str) -> list[dict[str, object]]:
    """An export as JSON lines, read again."""
    text = io.StringIO()
    with open_reader(path) as reader:
        write_json_lines(read_rows(reader, table), text)
    return [json.loads(line) for line in text.getvalue().splitlines()]


def test_entries_come_in_the_order_of_the_ledger_and_sum_to_zero(books: Path) -> None:
    """Sixteen entries of eight movements, by movement and account, each with its hold's request and its amounts; a
    reversal names the charge that it undoes.
    """
    rows = as_csv(books, "entries")
    assert [int(row["tx"]) for row in rows] == [1, 1, 2, 2, 5, 5, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11]
    assert sum(int(row["amount_nusd"]) for row in rows) == 0
    assert list(rows[11].values()) == [
        *("9", "2026-03-29T00:00:09.000000Z", "topup", "sys:topup", "-7000000", "-0.007"),
        *("", "", "", "", "stripe", "evt_1", ""),
    ]
    assert (rows[1]["account"], rows[1]["amount_nusd"], rows[1]["request_id"]) == ("sys:revenue", "1500000", "req_1")
    assert [(row["reverses"], row["hold"]) for row in rows if row["kind"] == "reversal"] == [("7", "7")] * 2


def test_holds_name_their_key_and_organisation(books: Path) -> None:
    """By their public ids; attempts are JSON in JSON, and text in CSV."""
    rows = as_json(books, "holds")
    assert [row["hold"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["organisation"] for row in rows] == ["org_acme"] * 4 + ["org_default"] + ["org_acme"] * 2
    assert rows[0]["charge_usd"] == "0.0015"
    assert rows[0]["attempts"] == [{"target": "host/plain", "outcome": "ok", "upstream_id": "up-1"}]
    assert rows[3]["closed_at"] is None
    assert json.loads(as_csv(books, "holds")[0]["attempts"]) == rows[0]["attempts"]


def test_movements_are_as_large_as_what_they_move(books: Path) -> None:
    """One line each, with the sum of its positive entries; a reversal names the charge that it undoes here too."""
    assert [row["reverses"] for row in as_csv(books, "tx")] == [""] * 7 + ["7"]
    assert [int(row["amount_nusd"]) for row in as_csv(books, "tx")] == [
        *(1_500_000, 503, 70_000, 40_001, 1_000_000, 7_000_000, 450, 30_000)
    ]


def test_a_span_takes_its_start_and_not_its_end(books: Path) -> None:
    """[start, end) in microseconds, by the time of the movement or of the hold's opening."""
    second = (MARCH_29 + 2) * 1_000_000
    assert {row["tx"] for row in as_csv(books, "entries", (second, second + 1_000_000))} == {"2"}
    april = APRIL_IN_BERLIN * 1_000_000
    assert {row["hold"] for row in as_csv(books, "holds", (april, april + 2_000_000))} == {"7"}
    ninth = (MARCH_29 + 9) * 1_000_000
    assert {row["tx"] for row in as_csv(books, "entries", (ninth, ninth + 1_000_000))} == {"9"}
    assert as_csv(books, "tx", (0, 1)) == []


def test_two_exports_are_the_same_bytes(books: Path) -> None:
    """Nothing in an export depends on when or how it is made."""
    assert as_csv(books, "entries") == as_csv(books, "entries")
    assert as_json(books, "holds") == as_json(books, "holds")


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x")', "\n=1"])
def test_what_people_write_is_no_formula(books: Path, text: str) -> None:
    """A reason or a name that would be a formula has a quote before it (S55); the row is otherwise whole."""
    damage(books, f"UPDATE movement SET reason = '{text}' WHERE id = 8")  # noqa: S608 - texts of this test
    assert as_csv(books, "tx")[4]["reason"] == f"'{text}"
    assert as_json(books, "tx")[4]["reason"] == text


@given(st.text() | st.integers() | st.none())
def test_a_cell_never_begins_a_formula(value: object) -> None:
    """Numbers stay as they are, nothing is empty, and text that begins as a formula does is quoted."""
    cell = safe_cell(value)
    if isinstance(value, int):
        assert int(cell) == value
    assert cell.removeprefix("'") in {str(value), str(value).removeprefix("'"), ""} or value is None
    assert not cell.startswith(("=", "+", "@", "\t", "\r"))
    assert not cell.startswith("-") or cell.lstrip("-").replace(".", "", 1).isdecimal()


def test_times_keep_their_microseconds() -> None:
    """ISO 8601 in UTC, before 1970 too."""
    assert moment(1_774_742_400_000_001) == "2026-03-29T00:00:00.000001Z"
    assert moment(-1) == "1969-12-31T23:59:59.999999Z"
