"""Invoices, reconciliation and export at their edges: cells that lack, days that end, sums to the last unit."""

import io
import time
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from tests.ledger.books import MARCH_29, damage, write_books
from tollhouse.ledger.export import read_rows, write_json_lines
from tollhouse.ledger.invoice import InvoiceUnreadable, Line, read_invoice
from tollhouse.ledger.reconcile import Outcome, reconcile
from tollhouse.stores.reader import open_reader

DAY_US = 86_400_000_000


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A sound ledger."""
    write_books(tmp_path / "db")
    return tmp_path / "db"


def lines(text: str, **columns: str) -> list[Line]:
    """An invoice, read."""
    return list(read_invoice(io.StringIO(text, newline=""), columns))


def compare(path: Path, text: str, by: str = "auto", **models: str) -> Outcome:
    """An invoice against the ledger."""
    with open_reader(path) as reader:
        return reconcile(reader, lines(text), "host", by=by, models=models)


def differing(outcome: Outcome) -> set[tuple[str, str]]:
    """The kinds and names of what differs."""
    return {(one.kind, one.what) for one in outcome.differences}


def attempts(path: Path, hold: int, text: str, **columns: str) -> None:
    """Changes a hold of the books."""
    sets = "".join(f", {name} = '{value}'" for name, value in columns.items())
    damage(path, f"UPDATE hold SET attempts = '{text}'{sets} WHERE id = {hold}")  # noqa: S608 - values of this file


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "request_id", "tokens"),
    [
        ("id,ID,output tokens\nx,y,9\n", "x", (None, 9)),
        ("id,input tokens,prompt tokens\nx,5,7\n", "x", (5, None)),
        ("id,output tokens,completion tokens\nx,5,7\n", "x", (None, 5)),
        ("id,input tokens\nx\n", "x", (None, None)),
        ("id,model,date,cost\nx\n", "x", (None, None)),
        ("id,uncached input tokens,input cached tokens\nx,5\n", "x", (5, None)),
        (",id,output tokens\n,x,\n", "x", (None, None)),
        ("id,output tokens\n,5\n", None, (None, 5)),
        ('id,input tokens\nx,"1,234.0"\n', "x", (1234, None)),
    ],
)
def test_the_first_column_of_a_name_counts_and_cells_may_lack(
    text: str, request_id: str | None, tokens: tuple[int | None, int | None]
) -> None:
    """Two columns for one thing are not added up, a line that ends early is read, and what is empty is not 0."""
    (line,) = lines(text)
    assert (line.request, (line.input, line.output)) == (request_id, tokens)
    assert (line.model, line.day, line.cost_nusd, line.slack_nusd) == (None, None, None, Fraction(0))


def test_a_column_that_is_chosen_goes_before_those_that_are_known() -> None:
    """Also where a known name is there too."""
    assert lines("id,b\nx,y\n", request="b")[0].request == "y"


def test_models_and_dates_are_enough() -> None:
    """A file of nothing else can be read; one that lacks either says what it has."""
    (line,) = lines("model,date\nm,2026-03-29\n")
    assert (line.number, line.request, line.model, line.day) == (2, None, "m", date(2026, 3, 29))
    assert lines("model,date\n,2026-03-29\n")[0].model is None
    with pytest.raises(InvoiceUnreadable, match="There are: a, date"):
        lines("a,date\n")
    assert Line(1, None, None, None, None, None, None).slack_nusd == Fraction(0)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("99999999999", date(5138, 11, 16)),
        ("100000000000", date(5138, 11, 16)),
        ("100000000001", date(1973, 3, 3)),
        ("1774742400.5", date(2026, 3, 29)),
    ],
)
def test_long_numbers_are_milliseconds(cell: str, expected: date) -> None:
    """More than a hundred thousand million is no count of seconds."""
    assert lines(f"id,date\nx,{cell}\n")[0].day == expected


def test_a_time_beyond_the_calendar_is_no_date() -> None:
    """Its day in UTC does not exist."""
    with pytest.raises(InvoiceUnreadable, match="Line 2: '0001-01-01T00:00:00\\+05:00' is not a date"):
        lines("id,date\nx,0001-01-01T00:00:00+05:00\n")


def test_a_file_that_is_no_utf_8_is_said_to_be_none(tmp_path: Path) -> None:
    """As one that is no CSV is."""
    (tmp_path / "invoice.csv").write_bytes(b"id,cost\nx\xff,1\n")
    with (tmp_path / "invoice.csv").open(encoding="utf-8", newline="") as file:
        with pytest.raises(InvoiceUnreadable, match="UTF-8"):
            list(read_invoice(file))


# --- reconciling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nano", "differs"),
    [(1_710_000, False), (1_710_001, False), (1_709_999, False), (1_710_002, True), (1_709_998, True)],
)
def test_a_cost_may_differ_by_its_rounding_and_ours(books: Path, nano: int, *, differs: bool) -> None:
    """One nano-USD that we have rounded up by, and half of the last decimal of theirs; no more, either way."""
    found = differing(compare(books, f"id,cost\nup-1,0.00{nano}\n"))
    assert (("cost", "up-1") in found) is differs


@pytest.mark.parametrize(("clipped", "differs"), [(210_004, False), (210_003, True)])
def test_a_cost_at_the_very_end_of_what_rounding_hides_does_not_differ(
    books: Path, clipped: int, *, differs: bool
) -> None:
    """Six nano-USD apart, of which five are half of their last decimal and one is ours."""
    damage(books, f"UPDATE hold SET clipped = {clipped} WHERE id = 1")  # noqa: S608 - a number
    found = differing(compare(books, "id,cost\nup-1,0.00171001\n"))
    assert (("cost", "up-1") in found) is differs


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock is nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_tokyo")
def test_days_are_those_of_utc_wherever_the_machine_is(books: Path) -> None:
    """Of the invoice and of the ledger: the first second and the last of a day are both on it."""
    first, last = MARCH_29 * 1_000_000, MARCH_29 * 1_000_000 + DAY_US - 1
    damage(books, f"UPDATE hold SET opened_at = {first} WHERE id = 1")  # noqa: S608 - a number
    damage(books, f"UPDATE hold SET opened_at = {last} WHERE id = 2")  # noqa: S608 - a number
    text = "date,model,output tokens\n2026-03-29T00:00:00,plain,4000\n1774828799,tiered,20\n2026-03-29,free,20\n"
    assert differing(compare(books, text)) == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("id,input tokens,output tokens,cost\nup-1,8000,,\nup-1,,4000,0.00171\n", None),
        ("id,input tokens,output tokens,cost\nup-1,8001,,\nup-1,,4000,0.00171\n", "tokens"),
        ("id,input tokens,output tokens,cost\nup-1,8000,,\nup-1,,4001,0.00171\n", "tokens"),
        ("id,input tokens,output tokens,cost\nup-1,8000,,\nup-1,,4000,0.00181\n", "cost"),
    ],
)
def test_what_some_lines_of_a_request_say_is_compared(books: Path, text: str, kind: str | None) -> None:
    """A request may be on several lines, each of which says a part."""
    found = {(one, what) for one, what in differing(compare(books, text)) if what == "up-1"}
    assert found == ({(kind, "up-1")} if kind else set())


def test_every_class_of_tokens_is_compared(books: Path) -> None:
    """Long cache writes and audio are input, spoken answers are output."""
    damage(books, "UPDATE hold SET cache_write_1h = 3, input_audio = 5, output_audio = 7 WHERE id = 6")
    found = differing(compare(books, "id,input tokens,output tokens,date\nup-6,18,27,2026-03-29\n"))
    assert ("tokens", "up-6") not in found


@pytest.mark.parametrize(("day", "found"), [(30, True), (31, True), (29, False)])
def test_an_answer_may_be_billed_a_day_early_or_late(books: Path, day: int, *, found: bool) -> None:
    """Asked for on 31 March in UTC: the day before and the day after will do, two days will not."""
    assert (("not_ours", "up-7") not in differing(compare(books, f"id,date\nup-7,2026-03-{day}\n"))) is found
    late = day - 29 if found else 2
    assert (("not_ours", "up-7") not in differing(compare(books, f"id,date\nup-7,2026-04-0{max(1, late)}\n"))) is (
        late < 2
    )


def test_the_days_of_an_invoice_are_those_it_states(books: Path) -> None:
    """What it does not bill on them is missed, though nothing that it names is of that day; without any day, all is."""
    dated = differing(compare(books, "id,date\nup-1,2026-03-29\nxx,2026-03-30\n"))
    assert ("not_theirs", "hold 5") in dated
    assert ("not_theirs", "up-7") not in dated
    undated = differing(compare(books, "id\nxx\n"))
    assert {("not_theirs", "up-7"), ("not_theirs", "up-1"), ("not_theirs", "hold 5")} <= undated


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1970-01-01"])
def test_days_at_the_ends_of_the_calendar_are_harmless(books: Path, day: str) -> None:
    """Nothing of ours is there."""
    assert ("not_ours", "up-1") in differing(compare(books, f"id,date\nup-1,{day}\n"))


@pytest.mark.parametrize(("column", "kept"), [("input", 10), ("output", 20)])
def test_an_answer_with_tokens_is_missed(books: Path, column: str, kept: int) -> None:
    """Though it cost nothing, and has tokens of one side only."""
    other = {"input": "output", "output": "input"}[column]
    damage(books, f"UPDATE hold SET {other} = 0, {column} = {kept} WHERE id = 6")  # noqa: S608 - names of this file
    assert ("not_theirs", "up-6") in differing(compare(books, "id,date\nup-1,2026-03-29\n"))


def test_a_failure_counts_by_its_id_or_its_cost(books: Path) -> None:
    """One with an id can be found on the invoice, one with a cost is missed there, one with neither is nothing."""
    text = (
        '[{"target":"host/free","outcome":"x","upstream_id":"f-1"},{"target":"host/free","outcome":"x","cost_nusd":9},'
        '{"target":"host/free","outcome":"x"},{"target":"other/m","outcome":"ok","upstream_id":"o-1"}]'
    )
    attempts(books, 6, text, target="other/m")
    outcome = compare(books, "id,cost,date\nf-1,0,2026-03-29\n")
    found = differing(outcome)
    assert ("not_ours", "f-1") not in found
    assert ("not_theirs", "hold 6") in found
    assert outcome.unnamed == 1
    assert outcome.ours.requests == 5


def test_what_was_released_is_not_ours(books: Path) -> None:
    """A hold that ended without an answer and without attempts was never at the host."""
    damage(books, "UPDATE hold SET state = 'released', attempts = '[]' WHERE id = 1")
    assert ("not_theirs", "hold 1") not in differing(compare(books, "id,date\nup-2,2026-03-29\n"))


def test_a_host_without_models_is_its_own_model(books: Path) -> None:
    """By day, for an answer, a failure and what a crash cut off."""
    attempts(books, 1, '[{"target":"host","outcome":"ok"}]', target="host")
    attempts(books, 3, '[{"target":"host","outcome":"x","cost_nusd":4}]')
    attempts(books, 5, "[]", target="host")
    text = "date,model,input tokens,cost\n2026-03-29,host,8000,0.001710004\n2026-03-30,host,100,0.00007\n"
    found = {what for _, what in differing(compare(books, text))}
    assert not {"2026-03-29 host", "2026-03-30 host"} & found


def test_by_day_both_sides_are_summed(books: Path) -> None:
    """What matched is counted, and all of both sides, whether or not it did."""
    text = "date,model,input tokens,output tokens,cost\n2026-03-29,plain,8000,4000,0.00171045\n2026-03-29,x,1,2,0.5\n"
    outcome = compare(books, text)
    assert outcome.matched == 1
    assert outcome.theirs.as_json() == {"requests": 2, "input": 8001, "output": 4002, "cost_nusd": 501_710_450}
    assert outcome.ours.as_json() == {"requests": 4, "input": 8211, "output": 4040, "cost_nusd": 1_710_953}


def test_a_day_is_from_midnight_to_midnight(books: Path) -> None:
    """To the microsecond: the last of a day is its own, the first of the next is not."""
    end_us = MARCH_29 * 1_000_000 + DAY_US
    damage(books, f"UPDATE hold SET opened_at = {end_us - 1} WHERE id = 1")  # noqa: S608 - a number
    damage(books, f"UPDATE hold SET opened_at = {end_us} WHERE id IN (2, 5)")  # noqa: S608 - a number
    found = differing(compare(books, "date,model,output tokens\n2026-03-29,plain,4000\n"))
    assert found == {("not_theirs", "2026-03-29 free")}


def test_by_day_an_invoice_may_lack_days_and_models(books: Path) -> None:
    """Then it is compared under no name, or under the one that is given for none."""
    found = differing(compare(books, "id,output tokens\nup-1,4000\n", by="day"))
    assert ("not_ours", "None ") in found
    assert ("not_theirs", "2026-03-31 pictures") in found
    named = "id,date,input tokens,output tokens\nup-1,2026-03-29,8000,4000\n"
    assert ("not_ours", "2026-03-29 ") in differing(compare(books, named, by="day"))
    assert ("not_theirs", "2026-03-29 plain") not in differing(compare(books, named, by="day", **{"": "plain"}))
    with open_reader(books) as reader:
        assert reconcile(reader, lines(named), "host", by="day").by == "day"


# --- export --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "column"), [("entries", "tx"), ("tx", "tx"), ("holds", "hold")])
def test_a_span_of_each_table_takes_its_start_and_not_its_end(books: Path, table: str, column: str) -> None:
    """To the microsecond; without a span everything is there, whatever its time."""
    for name, number in (("movement", "id"), ("charge", "hold")):
        damage(books, f"UPDATE {name} SET at = {number} * 10")  # noqa: S608 - names of this test
    damage(books, "UPDATE hold SET opened_at = id * 10")
    with open_reader(books) as reader:
        charged = {row[column] for row in read_rows(reader, table, (20, 70))}
        posted = {row[column] for row in read_rows(reader, table, (80, 110))}
        everything = {row[column] for row in read_rows(reader, table)}
    assert charged == ({2, 3, 4, 5, 6} if table == "holds" else {2, 5})
    assert posted == (set() if table == "holds" else {8, 9, 10})
    assert {1, 2, 7} <= everything


def test_json_lines_are_dense_and_in_their_own_letters(books: Path) -> None:
    """No blanks between fields, and no escapes where UTF-8 has the letter."""
    damage(books, "UPDATE movement SET reason = 'für Zoë' WHERE id = 8")
    text = io.StringIO()
    with open_reader(books) as reader:
        assert write_json_lines(read_rows(reader, "tx"), text) == 8
    grant = text.getvalue().splitlines()[4]
    assert grant.startswith('{"tx":8,"at":"2026-03-29T00:00:08.000000Z","kind":"grant",')
    assert '"reason":"für Zoë"' in grant
