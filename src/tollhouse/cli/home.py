"""The data folder: the database, the pepper of its digests, the admin key. Made on first use, for its owner only."""

import fcntl
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from tollhouse.errors import StorageUnavailable
from tollhouse.gateway.auth import mint_key
from tollhouse.stores.protocol import KeyStore
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.secret import Secret

_PEPPER_BYTES = 32


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


def home_or_exit(path: Path) -> Home:
    """As `open_home`; a folder that cannot be used ends the command with the reason."""
    try:
        return open_home(path)
    except (StorageUnavailable, OSError) as error:
        raise click.ClickException(f"The data folder {path} cannot be used: {error}") from error


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


def lock_home(path: Path) -> IO[str]:
    """Takes the folder for one server. Keep what it returns open. Exits when another server has it."""
    file = (path / "server.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise click.ClickException(f"Another Tollhouse serves from {path}. Stop it, or choose --data DIR.") from None
    return file


def create_key(store: KeyStore, pepper: bytes, name: str) -> tuple[str, str]:
    """Makes and stores a key. Returns its text, which nothing will show again, and its id."""
    text, record = mint_key(pepper, name, int(time.time()))
    store.add_key(record)
    return text, record.id
