"""Reads the cases of tests/fixtures/providers/*.txt. The format is described at the top of each file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.dialects.bedrock.frames import message
from tollhouse.types.calls import ChatCall, Host, Quirks, Target
from tollhouse.types.secret import Secret

FOLDER = Path(__file__).parent.parent / "fixtures" / "providers"
CREDENTIAL = "sk-test-credential-0123456789"
_RULE = "----------\n"


@dataclass(frozen=True)
class Case:
    """One exchange: what the client sent, what the host must get, what the host answers, what the client must get."""

    name: str
    call: ChatCall
    target: Target
    dropped: tuple[str, ...]
    request: tuple[str, dict[str, str], dict[str, Any]]
    """The request line, the headers and the JSON."""
    status: int
    raw: bytes
    events: list[dict[str, Any]]
    usage: dict[str, Any] | None
    error: str | None
    notes: dict[str, Any] = field(default_factory=dict)
    frames: tuple[bytes, ...] = ()
    """The messages of a binary stream, of which ``raw`` is made."""


def read_cases(provider: str) -> list[Case]:
    """Every case of one provider's file."""
    text = (FOLDER / f"{provider}.txt").read_bytes().decode("utf-8")
    return [_case(part) for part in text.split("\n=== ")[1:]]


def _case(text: str) -> Case:
    head, client, request, upstream, expected = text.split(_RULE)
    name, *settings = head.strip().split("\n")
    notes = dict(line.split(": ", 1) for line in settings)
    host = json.loads(notes.get("host", "{}"))
    body = json.loads(client)
    stream = bool(body.get("stream"))
    include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    status, _, rest = upstream.partition("\n")
    number, *how = status.split()
    wire = rest.rstrip("\n") if "unended" in how else rest
    frames = tuple([_frame(line) for line in rest.splitlines() if line]) if "frames" in how else ()
    lines = [line for line in expected.split("\n") if line]
    after = dict(line.split(": ", 1) for line in lines if not line.startswith("{"))
    return Case(
        name=name,
        call=ChatCall(body["model"], body, stream, include_usage),
        target=Target(_host(host), notes.get("model", "gpt-5-mini")),
        dropped=tuple(notes.get("dropped", "").split()),
        request=_request(request),
        status=int(number),
        raw=b"".join(frames) or (wire.replace("\n", "\r\n") if "crlf" in how else wire).encode(),
        events=[json.loads(line) for line in lines if line.startswith("{")],
        usage=json.loads(after["usage"]) if "usage" in after else None,
        error=after.get("error"),
        frames=frames,
    )


def _frame(line: str) -> bytes:
    kind, name, payload = line.split(" ", 2)
    return message(kind, name, payload.encode())


def _host(given: dict[str, Any]) -> Host:
    quirks = given.pop("quirks", {})
    return Host(
        name="host",
        base_url=given.pop("base_url", "https://api.openai.example/v1"),
        credential=Secret(CREDENTIAL),
        headers=tuple((name, value) for name, value in given.pop("headers", [])),
        quirks=Quirks(**{name: _frozen(value) for name, value in quirks.items()}),
        **{name: _frozen(value) for name, value in given.items()},
    )


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _request(text: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    first, *headers, body = text.strip().split("\n")
    return first, dict(line.split(": ", 1) for line in headers), json.loads(body)
