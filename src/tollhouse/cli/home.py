"""The data folder: the database, the pepper of its digests, the admin key. Made on first use, for its owner only."""

import fcntl
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from tollhouse.cli.options import EXIT_CONFIG
from tollhouse.errors import StorageUnavailable
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.secret import Secret

_PEPPER_BYTES = 32
_PATIENCE_S = 2.0
_PACE_S = 0.02


@dataclass(frozen=True, slots=True)
class Home:
    """An opened data folder."""

    path: Path
    store: SqliteStore
    pepper: bytes
    admin_key: Secret


def open_home(path: Path) -> Home:
    """Opens a data folder, making what is missing. Raises `StorageUnavailable`, or OSError with a path in it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    pepper = _pepper(path / "pepper")
    admin_key = Secret(_secret_file(path / "admin.key", "sk-th-admin-" + secrets.token_urlsafe(32)))
    return Home(path, SqliteStore(path / "tollhouse.db"), pepper, admin_key)


class Unusable(click.ClickException):
    """A data folder that cannot be used: starting again does not help, so it is told apart from other failures."""

    exit_code = EXIT_CONFIG


def home_or_exit(path: Path) -> Home:
    """As `open_home`; a folder that cannot be used ends the command with one line that says why, and exit code 78."""
    try:
        return open_home(path)
    except (StorageUnavailable, OSError) as error:
        raise Unusable(f"The data folder {path} cannot be used: {error}") from error


def _pepper(path: Path) -> bytes:
    """The key of every digest. A damaged one would make every stored key wrong, or guessable, so it is refused."""
    try:
        pepper = bytes.fromhex(_secret_file(path, secrets.token_hex(_PEPPER_BYTES)))
    except ValueError:
        pepper = b""
    if len(pepper) != _PEPPER_BYTES:
        raise StorageUnavailable(f"{path} is damaged. Put it back from a backup, or make every key anew without it.")
    return pepper


def _secret_file(path: Path, fresh: str) -> str:
    """The text of a file that only its owner can read; ``fresh`` where there is none. Two processes that start at
    once agree: the file is written aside and linked into place, which only one of them can do.
    """
    if not path.exists():
        aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return path.read_text().strip()


def try_lock(path: Path) -> IO[str] | None:
    """The lock of a folder, which is made where there is none. Whoever keeps it open is the folder's one writer; None
    while somebody else does. Raises OSError.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.fdopen(os.open(path / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def lock_home(path: Path) -> IO[str]:
    """Takes the folder for one server. Keep what it returns open. Exits when another server has it; a command that has
    it for a moment is waited for.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while (file := try_lock(path)) is None:
        if (path / "server.json").exists() or time.monotonic() > deadline:
            raise click.ClickException(f"Another Tollhouse serves from {path}. Stop it, or choose --data DIR.")
        time.sleep(_PACE_S)
    return file
