"""One HTTP request as a client sees it: what arrived of the answer, and whether that is all of it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class Unanswered(Exception):
    """The connection ended before the answer did, or could not be made. ``body`` is as much of it as there was."""

    def __init__(self, why: str, body: bytes) -> None:
        super().__init__(why)
        self.body = body


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as an object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def done(self) -> bool:
        """Whether it is a stream that says it is over, without an error in it."""
        return self.body.endswith(b"data: [DONE]\n\n") and b'"error"' not in self.body


async def post(url: str, body: Mapping[str, Any] | bytes, headers: Mapping[str, str]) -> Answer:
    """Sends JSON, or bytes as they are. Raises `Unanswered`."""
    return await ask("POST", url, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


async def ask(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One request on a connection of its own. Raises `Unanswered`."""
    where = urlsplit(url)
    lines = {"host": where.netloc, "content-type": "application/json", "content-length": str(len(body)), **headers}
    head = f"{method} {where.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer, pieces = None, list[bytes]()
    try:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
        return await _read(reader, pieces)
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Unanswered(type(error).__name__, b"".join(pieces)) from error
    finally:
        if writer is not None:
            writer.close()


async def _read(reader: asyncio.StreamReader, pieces: list[bytes]) -> Answer:
    top, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
    else:
        pieces.append(await reader.readexactly(int(headers.get("content-length", "0"))))
    return Answer(int(top.split()[1]), headers, b"".join(pieces))
