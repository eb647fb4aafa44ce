"""``tollhouse ledger``: what it says, what it writes, and with what it exits."""

import csv
import io
import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.ledger_books import make_books

from tests.cli.terminal import run, settings
from tests.ledger.books import damage, write_books

SOON = ["--max-age", str(10**9)]
"""The books are of another year, and hold one open hold."""


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A sound ledger, in a data folder."""
    (tmp_path / "data").mkdir()
    write_books(tmp_path / "data" / "tollhouse.db")
    return tmp_path / "data" / "tollhouse.db"


def open_since(books: Path, at_s: float) -> None:
    """Has the open hold opened at another time."""
    damage(books, f"UPDATE hold SET opened_at = {int(at_s) * 1_000_000} WHERE id = 4")  # noqa: S608 - a number


# --- verify --------------------------------------------------------------------------------------------------------


def test_a_sound_ledger_is_said_to_be_sound(books: Path) -> None:
    """One line with what was looked at, and exit 0; the same of a copy and of the data folder's own."""
    said = run("ledger", "verify", *SOON, "--file", books)
    assert said.exit_code == 0
    assert "checks of 16 entries, 7 holds" in said.stdout
    assert said.stdout.endswith("every promise is kept.\n")
    assert said.stderr == ""
    assert run("ledger", "verify", *SOON, "--integrity", "--data", books.parent).exit_code == 0
    file = settings(books.parent.parent, f'[server]\ndata_dir = "{books.parent}"')
    assert run("ledger", "verify", *SOON, "--config", file).exit_code == 0


def test_a_broken_promise_names_its_row(books: Path) -> None:
    """Exit 1, and for each promise the row, what it should say and what it says; as JSON too."""
    damage(books, "UPDATE account SET posted = posted + 1 WHERE id = 5")
    said = run("ledger", "verify", *SOON, "--file", books)
    assert said.exit_code == 1
    assert "FAILED I2 balances: an account's balance is the sum of its entries." in said.stdout
    assert "account 5: expected org:org_acme: posted 6489496" in said.stdout
    assert said.stdout.endswith("1 promise is broken.\n")
    report = json.loads(run("ledger", "verify", *SOON, "--json", "--file", books).stdout)
    assert report["ok"] is False
    assert [(one["check"], one["table"], one["row"]) for one in report["findings"]] == [("I2 balances", "account", "5")]


def test_a_hold_that_is_open_too_long_is_a_finding(books: Path) -> None:
    """An hour unless another age is given."""
    said = run("ledger", "verify", "--file", books)
    assert (said.exit_code, "FAILED I6" in said.stdout) == (1, True)
    open_since(books, time.time() - 1800)
    assert run("ledger", "verify", "--file", books).exit_code == 0
    assert run("ledger", "verify", "--max-age", "1700", "--file", books).exit_code == 1


def test_what_a_row_says_cannot_steer_a_terminal(books: Path) -> None:
    """Escape sequences in names come out as plain text."""
    damage(books, "UPDATE account SET name = char(27) || '[31mred', posted = 1 WHERE id = 4")
    said = run("ledger", "verify", *SOON, "--file", books)
    assert "[31mred" in said.stdout
    assert "\x1b" not in said.stdout


@pytest.mark.parametrize(
    "command", [["verify"], ["export"], ["backup", "copy.db"], ["reconcile", "--provider", "host"]]
)
def test_a_file_that_is_no_ledger_is_one_plain_line(tmp_path: Path, command: list[str]) -> None:
    """No traceback, exit 1, nothing made."""
    (tmp_path / "text").write_text("nothing of the kind" * 500)
    (tmp_path / "invoice.csv").write_text("id\nx\n")
    arguments = [str(tmp_path / one) if one.endswith(".db") else one for one in command]
    if "reconcile" in command:
        arguments.append(str(tmp_path / "invoice.csv"))
    for file in ("text", "missing"):
        said = run("ledger", *arguments, "--file", tmp_path / file)
        assert said.exit_code == 1
        assert said.stderr.startswith("Error: ")
        assert len(said.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["invoice.csv", "text"]


# --- export --------------------------------------------------------------------------------------------------------


def test_entries_are_exported_as_they_are(books: Path, tmp_path: Path) -> None:
    """CSV on standard output, the count on standard error; the same into a file; JSON lines; days from and to."""
    said = run("ledger", "export", "--file", books)
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert (said.exit_code, said.stderr, len(rows)) == (0, "16 rows.\n", 16)
    run("ledger", "export", "entries", "--file", books, "--output", tmp_path / "e.csv")
    assert (tmp_path / "e.csv").read_bytes().decode().splitlines() == said.stdout.splitlines()
    said = run("ledger", "export", "holds", "--format", "jsonl", "--file", books)
    assert [json.loads(line)["hold"] for line in said.stdout.splitlines()] == [1, 2, 3, 4, 5, 6, 7]
    said = run("ledger", "export", "holds", "--from", "2026-03-30", "--to", "2026-03-30", "--file", books)
    assert [row["hold"] for row in csv.DictReader(io.StringIO(said.stdout))] == ["5"]
    assert run("ledger", "export", "tx", "--to", "2026-03-28", "--file", books).stdout == ""


def test_an_export_of_a_damaged_ledger_has_what_there_is(books: Path) -> None:
    """JSON that cannot be read comes out as the text that it is."""
    damage(books, "UPDATE hold SET attempts = '[' WHERE id = 7")
    said = run("ledger", "export", "holds", "--format", "jsonl", "--file", books)
    assert json.loads(said.stdout.splitlines()[-1])["attempts"] == "["
    said = run("ledger", "export", "--file", books, "--output", books / "below")
    assert (said.exit_code, "Not a directory" in said.stderr) == (1, True)


def test_a_database_that_breaks_off_is_one_plain_line(tmp_path: Path) -> None:
    """Also when it does so in the middle of an export."""
    make_books(tmp_path / "db", 20_000)
    with (tmp_path / "db").open("r+b") as file:
        file.seek((tmp_path / "db").stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    said = run("ledger", "export", "holds", "--file", tmp_path / "db", "--output", tmp_path / "out")
    assert (said.exit_code, said.stderr.startswith("Error: The database cannot be read or copied")) == (1, True)


def test_a_reader_that_has_seen_enough_ends_the_export_quietly(tmp_path: Path) -> None:
    """As ``| head`` does: no traceback, no message."""
    make_books(tmp_path / "db", 20_000)
    command = [sys.executable, "-m", "tollhouse", "ledger", "export", "--file", str(tmp_path / "db")]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    """Whole per cents on one line that is cleared in the end; results on standard output alone."""
    make_books(tmp_path / "db", 150_000)
    terminal, other = os.openpty()
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "tollhouse", "ledger", "verify", "--file", str(tmp_path / "db")],
        stdout=subprocess.PIPE,
        stderr=other,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(other)
    shown = os.read(terminal, 65536)
    os.close(terminal)
    assert re.fullmatch(rb"(\rVerifying [0-9]+ %)+\r\x1b\[K", shown)
    assert b"Verifying 100 %" in shown
    assert "%" not in done.stdout


# --- backup --------------------------------------------------------------------------------------------------------


def test_a_backup_is_whole_verified_and_private(books: Path, tmp_path: Path) -> None:
    """Its path and size are said; it is the ledger, for its owner alone; into a folder it has the time in its name."""
    open_since(books, time.time())
    copy = tmp_path / "copy.db"
    said = run("ledger", "backup", copy, "--file", books)
    assert (said.exit_code, said.stdout) == (0, f"{copy}  {copy.stat().st_size:,} bytes\n")
    assert "Verified: 16 entries" in said.stderr
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert run("ledger", "verify", "--integrity", "--file", copy).exit_code == 0
    (tmp_path / "copies").mkdir()
    assert run("ledger", "backup", tmp_path / "copies", "--file", books).exit_code == 0
    assert [path.name[:12] for path in (tmp_path / "copies").iterdir()] == ["tollhouse-20"]


def test_a_backup_never_replaces_a_file(books: Path, tmp_path: Path) -> None:
    """And says which."""
    (tmp_path / "copy.db").write_text("precious")
    said = run("ledger", "backup", tmp_path / "copy.db", "--file", books)
    assert (said.exit_code, "exists" in said.stderr) == (1, True)
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_backup_of_a_damaged_ledger_is_kept_and_told_of(books: Path, tmp_path: Path) -> None:
    """Whoever needs a copy most has a ledger that is not sound: the copy is there, and exit 1 says what is wrong."""
    damage(books, "UPDATE account SET posted = posted + 1 WHERE id = 5")
    said = run("ledger", "backup", tmp_path / "copy.db", "--file", books)
    assert said.exit_code == 1
    assert "FAILED I2 balances" in said.stdout
    assert "nor is its original" in said.stderr
    assert (tmp_path / "copy.db").exists()
    assert not (tmp_path / "copy.db.partial").exists()


def test_a_backup_needs_a_place(books: Path, tmp_path: Path) -> None:
    """A folder that is not there is one plain line."""
    said = run("ledger", "backup", tmp_path / "nowhere" / "copy.db", "--file", books)
    assert (said.exit_code, "No such file or directory" in said.stderr) == (1, True)


# --- reconcile -----------------------------------------------------------------------------------------------------


def test_an_invoice_is_compared(books: Path, tmp_path: Path) -> None:
    """Exit 0 where it agrees, 1 where it differs, with both sides of every difference."""
    invoice = tmp_path / "invoice.csv"
    invoice.write_text("\ufeffNr,tokens\nup-2,20\n")
    columns = ("--column", "request=Nr", "--column", "output=tokens", "--provider", "host", "--file", books)
    said = run("ledger", "reconcile", invoice, *columns)
    assert said.exit_code == 1
    assert "up-1: in the ledger, and not billed" in said.stdout
    assert "1 matched by request, 3 different" in said.stdout
    invoice.write_text("Nr,tokens\nup-7,0\n")
    assert run("ledger", "reconcile", invoice, *columns).exit_code == 0
    invoice.write_text("Nr,tokens\nup-7,1\n")
    report = json.loads(run("ledger", "reconcile", invoice, "--json", *columns).stdout)
    assert [(one["kind"], one["what"], one["theirs"]["output"]) for one in report["differences"]] == [
        ("tokens", "up-7", 1)
    ]


def test_another_name_of_a_model_is_taken(books: Path, tmp_path: Path) -> None:
    """By day, a provider's snapshot is our model."""
    invoice = tmp_path / "invoice.csv"
    invoice.write_text("model,date,output tokens\nplain-0329,2026-03-30,300\n")
    arguments = ("ledger", "reconcile", invoice, "--provider", "host", "--file", books)
    assert run(*arguments).exit_code == 1
    assert run(*arguments, "--model", "plain-0329=plain").exit_code == 0


@pytest.mark.parametrize(
    ("text", "options", "code", "said"),
    [
        ("a,b\n1,2\n", [], 1, "--column request=ID"),
        ("id,cost\nx,much\n", [], 1, "Line 2: 'much' is not an amount of dollars."),
        ("id\nx\n", ["--column", "number=id"], 2, "--column knows request"),
        ("id\nx\n", ["--column", "request"], 2, "takes NAME=VALUE"),
        ("id\nx\n", ["--column", "request=nr"], 1, "no column 'nr'"),
    ],
)
def test_an_invoice_that_cannot_be_read_says_why(
    books: Path, tmp_path: Path, text: str, options: list[str], code: int, said: str
) -> None:
    """A plain line, not a traceback."""
    (tmp_path / "i.csv").write_text(text)
    result = run("ledger", "reconcile", tmp_path / "i.csv", "--provider", "host", *options, "--file", books)
    assert result.exit_code == code
    assert said in result.stderr
