"""One recorded exchange, read from a JSONL file, and which codec it concerns.

A row is ``{"source", "cassette", "host", "path", "request", "status", "headers", "response"}``: ``response`` is the
JSON of a whole answer, the text of another body or of an event stream, or ``{"base64": ...}`` for binary frames.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True)
class Kind:
    """A surface of a vendor: where it is found, and what in Tollhouse reads it."""

    host: str
    """A pattern, to be found in the host's name."""
    path: str
    """A pattern that the path has to match whole; ``model`` is a group where the path names it."""
    provider: str
    """The file in `tollhouse.providers`."""
    dialect: str = ""
    """The client's dialect that says the same as the host's; empty where clients have none."""
    streams: str = ""
    """A pattern of the path of a stream, where it is not the request's ``stream`` that asks for one."""


_GOOGLE = r".*/models/(?P<model>[^:/]+):(?:stream)?[gG]enerateContent"
KINDS = (
    Kind(r"anthropic\.com$", r"/v1/messages", "anthropic", "anthropic"),
    Kind(r"^bedrock-", r"/model/(?P<model>[^/]*claude[^/]*)/invoke", "anthropic", "anthropic"),
    Kind(r"^bedrock-", r"/model/(?P<model>[^/]+)/converse(?:-stream)?", "bedrock", "", r"/converse-stream$"),
    Kind(r"aiplatform\.", _GOOGLE, "vertex", "gemini", ":stream"),
    Kind(r"generativelanguage\.", _GOOGLE, "gemini", "gemini", ":stream"),
    Kind(r"cohere\.com$", r"/v2/chat", "cohere"),
    Kind(r"azure\.com$", r"/openai/deployments/(?P<model>[^/]+)/chat/completions", "azure", "openai"),
    Kind(r"", r".*/chat/completions", "openai", "openai"),
    Kind(r"", r".*/responses", "responses"),
)
"""In the order in which they are tried."""


@dataclass(frozen=True)
class Exchange:
    """One row."""

    line: int
    """Where in the file, counted from 1."""
    host: str
    path: str
    request: Any
    status: int
    headers: dict[str, str]
    response: Any

    @cached_property
    def kind(self) -> Kind | None:
        """What reads it; None for what is no chat."""
        path = self.path.partition("?")[0]
        return next((kind for kind in KINDS if re.search(kind.host, self.host) and re.fullmatch(kind.path, path)), None)

    @cached_property
    def body(self) -> bytes:
        """The answer as it came; JSON was parsed when it was recorded, and is written anew."""
        if isinstance(self.response, dict) and self.response.keys() == {"base64"}:
            return base64.b64decode(self.response["base64"])
        return self.response.encode() if isinstance(self.response, str) else json.dumps(self.response).encode()

    @cached_property
    def streamed(self) -> bool:
        """Whether the answer is a stream."""
        if self.kind is None or self.status != 200:
            return False
        if self.kind.streams:
            return re.search(self.kind.streams, self.path.partition("?")[0]) is not None
        return isinstance(self.request, dict) and self.request.get("stream") is True

    @property
    def model(self) -> str:
        """The model that was asked."""
        assert self.kind is not None
        found = re.fullmatch(self.kind.path, self.path.partition("?")[0])
        named = found.groupdict().get("model") if found else None
        return unquote(named) if named else str((self.request or {}).get("model") or "m")


def read(file: Path) -> Iterator[Exchange]:
    """Every row of a file. Raises `ValueError` with its line for one that is none."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                request = row["request"]
                request = json.loads(request) if isinstance(request, str) and request[:1] == "{" else request
                headers = {name.lower(): str(value) for name, value in (row.get("headers") or {}).items()}
                yield Exchange(number, row["host"], row["path"], request, row["status"], headers, row["response"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{file}:{number}: not a recorded exchange: {error!r}") from error
