"""The admin API for commands: over HTTP where a server has the data folder, in this process where none has.

Theory of operation
-------------------
A data folder has one writer at a time, and ``server.lock`` says who. A command tries the lock first. Whoever gets it is
alone with the database and serves itself: the endpoints of `control.admin`, over the same office and ledger that the
server has. Whoever does not get it asks the one that has: ``server.json`` tells where, ``admin.key`` opens. Both take
and give the same JSON, so that a command is written once. The lock is the proof, not the file: a server that was killed
leaves its ``server.json`` behind, but never its lock.

Between the two there is a moment (a server that holds the lock and does not listen yet, another command that holds it
for a few milliseconds): so `cli.desk` tries both in turn until one works.
"""

import getpass
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

PAGE = 500
_CONNECT_S = 2.0
_TIMEOUT_S = 60.0
_MAX_BYTES = 256 << 20


class Refused(click.ClickException):
    """The API said no; its own words are the message. ``status`` and ``error_id`` are of its error."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("message", f"The server answered {status}.")))
        self.status = status
        self.error_id = str(error.get("error_id", ""))


class Client(Protocol):
    """The admin API, wherever it is."""

    def call(
        self,
        method: str,
        path: str,
        node: str = "",
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        event: str | None = None,
    ) -> Any:
        """One endpoint, by its template; ``node`` stands for the braces. Returns its JSON, or the bytes of a table.

        Raises `Refused`.
        """


class HttpClient:
    """A server's admin listener."""

    def __init__(self, url: str, admin_key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise click.ClickException(f"{url!r} is not the URL of an admin listener.")
        self._where = parts.hostname, parts.port or 80
        self._headers = {"authorization": f"Bearer {admin_key}", "x-tollhouse-actor": f"cli/{account()}"}

    def answers(self) -> bool:
        """Whether somebody listens there."""
        try:
            socket.create_connection(self._where, timeout=_CONNECT_S).close()
        except OSError:
            return False
        return True

    def call(
        self,
        method: str,
        path: str,
        node: str = "",
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        event: str | None = None,
    ) -> Any:
        """See `Client`."""
        target = fill_in(path, node) + (f"?{write_query(query)}" if query else "")
        headers = dict(self._headers)
        if event is not None:
            headers["idempotency-key"] = event
        if method != "GET":
            headers["content-type"] = "application/json"
        data = None if method == "GET" else json.dumps(body or {}).encode()
        connection = http.client.HTTPConnection(*self._where, timeout=_TIMEOUT_S)
        try:
            connection.request(method, target, data, headers)
            answer = connection.getresponse()
            text, kind = answer.read(_MAX_BYTES), answer.headers.get_content_type()
        except (http.client.HTTPException, OSError) as error:
            where = f"{self._where[0]}:{self._where[1]}"
            why = "What was asked may have been done or not: look before asking again."
            raise click.ClickException(f"The server at {where} broke off. {why}") from error
        finally:
            connection.close()
        return _read(answer.status, text, kind)


def account() -> str:
    """Who runs this command, as the system knows them: a note for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def fill_in(path: str, node: str) -> str:
    """A template with an id in its braces."""
    before, brace, after = path.partition("{")
    return f"{before}{quote(node, safe='')}{after.partition('}')[2]}" if brace else path


def write_query(query: Mapping[str, object]) -> str:
    """Parameters for a URL; those that are None are left out."""
    return urlencode({name: str(value) for name, value in query.items() if value is not None})


def _read(status: int, text: bytes, kind: str) -> Any:
    """What was answered: parsed JSON, or the bytes of a table."""
    if kind == "text/csv" and status < http.client.BAD_REQUEST:
        return text
    try:
        said = msgspec.json.decode(text) if kind == "application/json" else None
    except msgspec.DecodeError:
        said = None
    if not isinstance(said, dict):
        raise click.ClickException(f"What answers at the server's address is no Tollhouse (status {status}).")
    if status >= http.client.BAD_REQUEST:
        raise Refused(status, said.get("error") or {})
    return said


def every(client: Client, path: str, **query: object) -> Iterator[dict[str, Any]]:
    """All rows of a list, page by page."""
    after: str | None = None
    while True:
        page = client.call("GET", path, query={**query, "limit": PAGE, "after": after})
        yield from page["data"]
        if not page["has_more"]:
            return
        after = page["last_id"]


# --- which of the two ---------------------------------------------------------------------------------------------


class Address(msgspec.Struct):
    """What ``server.json`` says."""

    pid: int
    url: str
    admin_url: str | None


def find_server(folder: Path) -> HttpClient | None:
    """The server that has a folder, as far as it can be reached; None while none does. Raises `click.ClickException`
    where it has no admin listener.
    """
    try:
        said = msgspec.json.decode((folder / "server.json").read_bytes(), type=Address)
        admin_key = (folder / "admin.key").read_text().strip()
    except (OSError, msgspec.DecodeError):
        return None
    if not is_running(said.pid):
        return None  # its port may be somebody else's by now: the key must not go there
    if said.admin_url is None:
        raise click.ClickException(
            "A server runs on this data folder without an admin listener [server.admin_port = 0]. Stop it, or turn the "
            "listener on."
        )
    client = HttpClient(said.admin_url, admin_key)
    return client if client.answers() else None


def is_running(pid: int) -> bool:
    """Whether there is a process of this number."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
