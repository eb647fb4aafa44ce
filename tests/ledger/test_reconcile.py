"""A provider's invoice against the ledger: whatever its columns are called, the right rows are said to differ."""

import io
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from tests.ledger.books import damage, write_books
from tollhouse.ledger.invoice import InvoiceUnreadable, Line, read_invoice
from tollhouse.ledger.reconcile import Outcome, reconcile
from tollhouse.stores.reader import open_reader

AGREED = """Request ID,Model,Input Tokens,Output Tokens,Cost (USD),Date
up-1,plain,8000,4000,$0.00171,2026-03-29
up-2,tiered,201,20,0.00000050206,2026-03-29T23:59:59Z
up-3,plain,0,0,0.00000045,2026-03-29
up-6,free,10,20,0,2026-03-29
up-7,pictures,0,0,0.0000400005,2026-04-01 00:00:05 UTC
"""
"""What the provider would bill for the books, but for hold 5, which a crash cut off before its id was kept."""


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A sound ledger."""
    write_books(tmp_path / "db")
    return tmp_path / "db"


def lines(text: str, **columns: str) -> list[Line]:
    """An invoice, read."""
    return list(read_invoice(io.StringIO(text, newline=""), columns))


def compare(path: Path, text: str, by: str = "auto", provider: str = "host", **models: str) -> Outcome:
    """An invoice against the ledger."""
    with open_reader(path) as reader:
        return reconcile(reader, lines(text), provider, by=by, models=models)


def differing(outcome: Outcome) -> list[tuple[str, str]]:
    """The kinds and names of what differs."""
    return [(one.kind, one.what) for one in outcome.differences]


# --- by request ----------------------------------------------------------------------------------------------------


def test_an_invoice_that_agrees_differs_only_in_what_a_crash_cut_off(books: Path) -> None:
    """Cached and written tokens are input, clipped charges and failures cost what they did; rounding is nothing."""
    outcome = compare(books, AGREED)
    assert differing(outcome) == [("not_theirs", "hold 5")]
    assert (outcome.by, outcome.matched, outcome.unnamed) == ("request", 5, 1)
    assert outcome.theirs.as_json() == {"requests": 5, "input": 8211, "output": 4040, "cost_nusd": 1_750_953}
    assert outcome.ours.as_json() == {"requests": 6, "input": 8311, "output": 4340, "cost_nusd": 1_820_954}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("up-1,plain,8000", "up-1,plain,8001", {("tokens", "up-1")}),
        ("201,20", "201,21", {("tokens", "up-2")}),
        ("0.00171,", "0.00172,", {("cost", "up-1")}),
        ("$0.00171", "$0.0017", set()),
        ("up-6,free", "up-66,free", {("not_ours", "up-66"), ("not_theirs", "up-6")}),
        ("up-6,free,10,20,0,2026-03-29\n", "", {("not_theirs", "up-6")}),
        ("up-3,plain,0,0,0.00000045,2026-03-29\n", "", {("not_theirs", "up-3")}),
        ("up-6,free,10,20,0,2026-03-29\n", "up-6,free,10,20,0,2026-03-29\n" * 2, {("tokens", "up-6")}),
        ("up-6,free", ",free", {("not_ours", "line 5"), ("not_theirs", "up-6")}),
    ],
)
def test_each_difference_is_named(books: Path, old: str, new: str, expected: set[tuple[str, str]]) -> None:
    """Tokens, costs beyond rounding, lines of nobody's, answers that were not billed, lines that are there twice."""
    assert old in AGREED
    found = differing(compare(books, AGREED.replace(old, new)))
    assert set(found) == expected | {("not_theirs", "hold 5")}
    assert len(set(found)) == len(found)


def test_other_providers_are_not_looked_at(books: Path) -> None:
    """An invoice of a host that was never called finds nothing of ours."""
    outcome = compare(books, AGREED, provider="elsewhere")
    assert {kind for kind, _ in differing(outcome)} == {"not_ours"}
    assert outcome.ours.requests == 0


def test_an_invoice_without_dates_is_about_the_days_of_what_it_names(books: Path) -> None:
    """Our rows of other days are not said to be missing from it."""
    assert differing(compare(books, "id,output tokens\nup-1,4000\nup-2,20\n")) == [
        ("not_theirs", "up-3"),
        ("not_theirs", "up-6"),
    ]
    assert differing(compare(books, "id\nup-7\n")) == []


def test_an_answer_billed_after_midnight_is_found(books: Path) -> None:
    """A request of the day before matches by its id, and others of that day are not missed."""
    assert differing(compare(books, "id,date\nup-7,2026-04-01\n")) == []


def test_a_request_that_failed_and_was_answered_elsewhere_is_looked_for_at_both(books: Path) -> None:
    """Each host bills its own attempt: the tokens are those of the host that answered."""
    attempts = (
        '[{"target":"first/a","outcome":"upstream_timeout","upstream_id":"f-1","cost_nusd":7},'
        '{"target":"host/free","outcome":"ok","upstream_id":"up-6"}]'
    )
    damage(books, f"UPDATE hold SET attempts = '{attempts}' WHERE id = 6")  # noqa: S608 - as above
    assert (
        differing(compare(books, "id,input tokens,cost,date\nf-1,0,0.000000007,2026-03-29\n", provider="first")) == []
    )
    assert ("not_theirs", "up-6") not in differing(compare(books, AGREED))


def test_a_failure_that_cost_nothing_need_not_be_billed(books: Path) -> None:
    """An attempt of which nothing is known but that it failed is in nobody's way, nor is one elsewhere."""
    attempts = (
        '[{"target":"other/x","outcome":"ok"},{"target":"host/free","outcome":"x"},{"target":"host/free","outcome":"x"'
    )
    damage(books, f"UPDATE hold SET state = 'released', attempts = '{attempts},\"upstream_id\":\"f\"}}]' WHERE id = 6")  # noqa: S608
    assert differing(
        compare(books, "id,date\nup-7,2026-04-01\nup-1,2026-03-29\nup-2,2026-03-29\nup-3,2026-03-29\n")
    ) == [("not_theirs", "hold 5")]


# --- by day --------------------------------------------------------------------------------------------------------


def test_an_invoice_without_ids_is_compared_by_day_and_model(books: Path) -> None:
    """Sums of a day and model; what one side lacks, and what differs, is named by both."""
    text = "day,model,prompt_tokens,completion_tokens,amount_usd\n2026-03-29,plain,8000,4000,0.00171045\n"
    text += "2026-03-29,tiered,201,20,0.0000005\n2026-03-29,gratis,10,20,0\n2026-03-30,plain,100,299,0.00007\n"
    outcome = compare(books, text, gratis="free")
    assert differing(outcome) == [("tokens", "2026-03-30 plain")]
    assert outcome.by == "day"
    outcome = compare(books, text)
    assert differing(outcome) == [
        ("not_theirs", "2026-03-29 free"),
        ("not_ours", "2026-03-29 gratis"),
        ("tokens", "2026-03-30 plain"),
    ]


def test_by_day_can_be_asked_for(books: Path) -> None:
    """Also where there are ids; then what a crash cut off is found by its day."""
    text = AGREED.replace("2026-04-01 00:00:05 UTC", "2026-03-31") + "x,plain,100,300,0.00007,2026-03-30\n"
    assert differing(compare(books, text, by="day")) == []


# --- reading -------------------------------------------------------------------------------------------------------


def test_columns_are_found_by_many_names() -> None:
    """Parts of the input are added up where there is no total, and a total is taken alone."""
    parts = "usage_input_tokens_no_cache,usage_input_tokens_cache_read,usage_output_tokens,message id\n5,7,9,m-1\n"
    assert (lines(parts)[0].input, lines(parts)[0].output, lines(parts)[0].request) == (12, 9, "m-1")
    total = "n_context_tokens_total,input_cached_tokens,Timestamp,MODEL\n5,7,1774742400,x\n"
    assert (lines(total)[0].input, lines(total)[0].day) == (5, date(2026, 3, 29))
    assert [line.request for line in lines("id,cost\nx,1\n,\ny,2\n")] == ["x", "y"]
    chosen = lines("a,b\nr-1,5\n", request="a", output="b")[0]
    assert (chosen.request, chosen.output, chosen.input, chosen.cost_nusd) == ("r-1", 5, None, None)


def test_costs_are_exact_and_know_their_rounding() -> None:
    """Decimals of any length, with a currency sign and thousands; half of the last decimal is slack."""
    line = lines('id,cost\nx,"$1,234.50"\n')[0]
    assert (line.cost_nusd, line.slack_nusd) == (Fraction(1_234_500_000_000), Fraction(5_000_000))
    line = lines("id,cost\nx,1E-7\n")[0]
    assert (line.cost_nusd, line.slack_nusd) == (Fraction(100), Fraction(50))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-03-29", date(2026, 3, 29)),
        ("2026-03-29T23:30:00-05:00", date(2026, 3, 30)),
        ("1774742399", date(2026, 3, 28)),
        ("1774742399999", date(2026, 3, 28)),
        ("", None),
    ],
)
def test_dates_are_utc_days(cell: str, expected: date | None) -> None:
    """Dates, times with an offset, Unix seconds and milliseconds."""
    assert lines(f"id,date\nx,{cell}\n")[0].day == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There are: none"),
        ("a,b\n1,2\n", "--column request=ID"),
        ("model\nx\n", "one of models and one of dates"),
        ("id,input tokens\nx,1.5\n", "Line 2: '1.5' is not a number of tokens"),
        ("id,input tokens\nx,-1\n", "not a number of tokens"),
        ("id,input tokens\nx,many\n", "not a number of tokens"),
        ("id,cost\nx,free\n", "Line 2: 'free' is not an amount of dollars"),
        ("id,cost\nx,NaN\n", "not an amount of dollars"),
        ("id,date\nx,yesterday\n", "'yesterday' is not a date"),
        ("id,date\nx,99999999999999999999\n", "is not a date"),
        ('id\n"x\n', "not a CSV file"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, said: str) -> None:
    """Nothing is guessed: the line, the cell and what was wanted."""
    with pytest.raises(InvoiceUnreadable) as raised:
        lines(text)
    assert said in str(raised.value)


def test_a_column_that_is_not_there_is_named() -> None:
    """With those that are."""
    with pytest.raises(InvoiceUnreadable, match=r"no column 'x'. There are: a, b"):
        lines("a,b\n", request="x")
