"""Structured log lines: one event, one line of JSON, written off the request path.

Lines are queued in memory and handed over by `flush`, which the server's sweep calls, or the line that fills the
queue. Once `start` is called a thread of their own writes them, so that a reader who has stopped reading holds nobody:
the queue is bounded, and what does not fit, or a dead sink does not take, is dropped and counted. Strings are
JSON-escaped, so no value can break out of its line or colour a terminal (control characters, ANSI, bidi marks).
"""

import queue
import sys
import threading
import time
from typing import IO, Any, Final

import msgspec
from msgspec import Struct

from tollhouse.telemetry.redact import redact

LEVELS: Final = ("debug", "info", "warning", "error")
_FLUSH_LINES: Final = 512
_MAX_BATCHES: Final = 40
_MAX_TEXT: Final = 2_000
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


def _escape(line: bytes) -> bytes:
    """JSON with every character outside ASCII escaped: C1 controls and bidi marks cannot reach a terminal."""
    if line.isascii():
        return line.replace(b"\x7f", b"\\u007f")
    text = line.decode()
    return "".join([c if c < "\x7f" else _code_units(c) for c in text]).encode()


def _code_units(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join([f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)])


class AccessLine(Struct):
    """What is said of every request, in this order. No field can hold a credential."""

    at: float
    level: str
    event: str
    request_id: str
    method: str
    route: str
    status: int
    ms: float
    bytes_in: int
    bytes_out: int
    client: str


class Log:
    """The process's log. ``sink`` is a binary stream; the default is standard error."""

    def __init__(
        self, level: str = "info", *, text: bool = False, access: bool = True, sink: IO[bytes] | None = None
    ) -> None:
        self._threshold = LEVELS.index(level)
        self._access = access and self._threshold <= LEVELS.index("info")
        self._text = text
        self._sink = sink if sink is not None else _unbuffered(sys.stderr.buffer)
        self._lines: list[bytes] = []
        self._batches: queue.Queue[tuple[bytes, int]] | None = None
        self.dropped = 0

    def start(self) -> None:
        """From now on a thread writes. It is a daemon: a sink that blocks for ever does not keep the process."""
        if self._batches is None:
            self._batches = queue.Queue(_MAX_BATCHES)
            threading.Thread(target=self._drain, args=(self._batches,), name="log", daemon=True).start()

    def stop(self, patience_s: float = 1.0) -> None:
        """Hands over what is queued and waits a moment until it is written."""
        self.flush()
        batches = self._batches
        deadline = time.monotonic() + patience_s
        while batches is not None and batches.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def event(self, level: str, name: str, **fields: Any) -> None:
        """Queues one line. ``fields`` hold no prompt, no answer, no credential; their strings are redacted anyway."""
        if LEVELS.index(level) < self._threshold:
            return
        safe = {key: redact(value[:_MAX_TEXT]) if isinstance(value, str) else value for key, value in fields.items()}
        record = {"at": round(time.time(), 3), "level": level, "event": name, **safe}
        self._queue(_render(record) if self._text else _encode(record) + b"\n")

    def access(self, line: AccessLine, notes: dict[str, object]) -> None:
        """Queues the line of one request. ``notes`` are further members of it, none of which ``line`` has."""
        if not self._access:
            return
        data = _encode(line)
        if notes:
            data = b"%b,%b" % (data[:-1], _encode(notes)[1:])
        self._queue(_render(msgspec.json.decode(data)) if self._text else data + b"\n")

    def _queue(self, line: bytes) -> None:
        # A line is written out at once, while what it says is at hand: a queue of dictionaries is what a collector of
        # garbage looks through.
        self._lines.append(line)
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()

    def flush(self) -> None:
        """Hands over what is queued. A broken sink loses the lines, not the process."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        data = b"".join(lines)
        if not self._text:
            data = _escape(data)
        if self._batches is None:
            self._write(data, len(lines))
            return
        try:
            self._batches.put_nowait((data, len(lines)))
        except queue.Full:
            self.dropped += len(lines)

    def _drain(self, batches: "queue.Queue[tuple[bytes, int]]") -> None:
        while True:
            self._write(*batches.get())
            batches.task_done()

    def _write(self, data: bytes, lines: int) -> None:
        rest = data
        try:
            while rest and (taken := self._sink.write(rest)):
                rest = rest[taken:]
            if rest:  # a pipe that is full and does not wait
                self.dropped += lines
            self._sink.flush()
        except (OSError, ValueError):
            self.dropped += lines


def _unbuffered(stream: Any) -> Any:
    """What a stream writes to. In a buffer, what a full disk did not take would be tried again as the process ends, and
    fail its exit code.
    """
    return getattr(stream, "raw", stream)


def _render(record: dict[str, Any]) -> bytes:
    at = time.strftime("%H:%M:%S", time.localtime(record.pop("at", time.time())))
    level = record.pop("level", "info")
    name = record.pop("event", "")
    rest = " ".join([f"{key}={_escape(_encode(value)).decode()}" for key, value in record.items()])
    return f"{at} {level:7} {name} {rest}\n".encode()
