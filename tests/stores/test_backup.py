"""Reading a database beside its writer: one instant, without a trace; and copies of it."""

import os
import resource
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import apsw
import pytest
from bench.ledger_books import make_books

from tests.ledger.books import NOW_S, write_books
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.backup import copy_snapshot
from tollhouse.stores.reader import open_reader
from tollhouse.stores.schema import MIGRATIONS

GRANT = (
    "INSERT INTO movement (id, kind, at, actor, reason) SELECT max(id) + 1, 'grant', 1, 'ada', 'more' FROM movement",
    "INSERT INTO posting SELECT max(id), 5, 100 FROM movement",
    "INSERT INTO posting SELECT max(id), 2, -100 FROM movement",
    "UPDATE account SET posted = posted + 100 WHERE id = 5",
    "UPDATE account SET posted = posted - 100 WHERE id = 2",
    """
    INSERT INTO audit (at, actor, action, subject, detail)
        SELECT 1, 'ada', 'credits.grant', 'org_acme', json_object('tx', max(id)) FROM movement
    """,
)


class Writer(threading.Thread):
    """A program that writes sound movements as fast as it can."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._enough = threading.Event()
        self.written = 0

    def run(self) -> None:
        """See `threading.Thread`."""
        db = apsw.Connection(str(self._path))
        db.set_busy_timeout(5000)
        while not self._enough.is_set():
            with db:
                for statement in GRANT:
                    db.execute(statement)
            self.written += 1
        db.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._enough.set()
        self.join()


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_reader_sees_one_instant(tmp_path: Path) -> None:
    """What is committed after it was opened is not there for it, however often it looks."""
    write_books(tmp_path / "db")
    with open_reader(tmp_path / "db") as reader, Writer(tmp_path / "db") as writer:
        while writer.written < 20:
            assert reader.row("SELECT count(*), max(id) FROM tx") == (8, 11)
    with open_reader(tmp_path / "db") as reader:
        assert reader.row("SELECT count(*) FROM tx") == (8 + writer.written,)


def test_a_ledger_is_verified_while_it_is_written(tmp_path: Path) -> None:
    """Again and again, with a writer that never rests: never a finding, and never an old instant."""
    write_books(tmp_path / "db")
    counts = []
    with Writer(tmp_path / "db"):
        for _ in range(20):
            with open_reader(tmp_path / "db") as reader:
                report = verify(reader, now_s=NOW_S)
            assert report.findings == []
            counts.append(report.counts["tx"])
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """Only its own temporary tables."""
    write_books(tmp_path / "db")
    with open_reader(tmp_path / "db") as reader:
        reader.run("CREATE TEMP TABLE mine (x)")
        with pytest.raises(StorageUnavailable, match="ReadOnlyError"):
            reader.run("UPDATE account SET posted = 0")


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder that this process cannot write to, also where it is root's."""
    folder.chmod(0o555)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_folder_that_cannot_be_written_is_read() -> None:
    """A copy in WAL mode on a read-only medium, where SQLite cannot make the files of its WAL, has none and needs none;
    one that has a WAL is not read without it.
    """
    with tempfile.TemporaryDirectory() as name:  # below the folder that everybody may enter
        folder = Path(name)
        write_books(folder / "db")
        with unwritable(folder), open_reader(folder / "db") as reader:
            assert reader.row("SELECT count(*) FROM tx") == (8,)
        (folder / "db-wal").write_bytes(b"")
        with unwritable(folder), pytest.raises(StorageUnavailable, match="CantOpenError"):
            open_reader(folder / "db")


def test_a_name_with_marks_of_a_uri_is_a_name(tmp_path: Path) -> None:
    """Question marks, hashes and per cents belong to the file's name."""
    path = tmp_path / "a?mode=rw#b%20c.db"
    write_books(path)
    with open_reader(path) as reader:
        assert reader.row("SELECT count(*) FROM tx") == (8,)


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """No file, a folder, another file, an older and a newer database: each with its reason."""
    (tmp_path / "text").write_text("this is no database, however long it may be" * 100)
    for name in ("old", "new"):
        apsw.Connection(str(tmp_path / name)).pragma("user_version", len(MIGRATIONS) + (1 if name == "new" else -1))
    for name, said in (
        ("nothing", "is not a file"),
        ("", "is not a file"),
        ("text", "NotADBError"),
        ("old", "Start the gateway on it once"),
        ("new", "newer Tollhouse"),
    ):
        with pytest.raises(StorageUnavailable, match=said):
            open_reader(tmp_path / name)


# --- copies --------------------------------------------------------------------------------------------------------


def test_a_copy_taken_under_load_is_one_sound_instant(tmp_path: Path) -> None:
    """F114: a backup beside a writer that never rests verifies, is one file, and is its owner's alone."""
    write_books(tmp_path / "db")
    with Writer(tmp_path / "db") as writer:
        for number in range(10):
            copy = tmp_path / f"copy{number}"
            with open_reader(tmp_path / "db") as reader:
                expected = reader.row("SELECT count(*) FROM tx")
                copy_snapshot(reader, copy)
            with open_reader(copy) as reader:
                assert reader.row("SELECT count(*) FROM tx") == expected
                assert verify(reader, now_s=NOW_S, thorough=True).findings == []
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
            assert not [path for path in tmp_path.iterdir() if path.name.startswith(f"{copy.name}-")]
    assert writer.written > 10


def test_a_copy_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    """Where the disk is full there is an error, and nothing that looks like a copy."""
    make_books(tmp_path / "db", 20_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_reader(tmp_path / "db") as reader:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))  # as good as a full disk
        try:
            with pytest.raises(StorageUnavailable, match="cannot be read or copied"):
                copy_snapshot(reader, tmp_path / "copy")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == []


def test_a_copy_is_made_in_steps_that_can_be_watched(tmp_path: Path) -> None:
    """Shares of the way only grow, to 1."""
    make_books(tmp_path / "db", 200_000)
    shares: list[float] = []
    with open_reader(tmp_path / "db") as reader:
        copy_snapshot(reader, tmp_path / "copy", shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 1
    assert shares[-1] == 1


def test_a_copy_never_replaces_a_file(tmp_path: Path) -> None:
    """Whatever is there stays as it is."""
    write_books(tmp_path / "db")
    (tmp_path / "copy").write_text("precious")
    with open_reader(tmp_path / "db") as reader, pytest.raises(FileExistsError):
        copy_snapshot(reader, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "precious"


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Half a copy would look like one."""
    write_books(tmp_path / "db")

    def give_up(share: float) -> None:
        raise KeyboardInterrupt(share)

    with open_reader(tmp_path / "db") as reader, pytest.raises(KeyboardInterrupt):
        copy_snapshot(reader, tmp_path / "copy", give_up)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == []
