"""Log lines, metrics and the redaction of both."""

import json
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import cast

import pytest

from tollhouse.telemetry.exposition import render
from tollhouse.telemetry.log import AccessLine, Log
from tollhouse.telemetry.metrics import Metrics, Sample
from tollhouse.telemetry.redact import redact

SECRETS = (
    "sk-proj-abcdefghijklmnop1234",
    "sk-th-Zm9vYmFyYmF6cXV4cXV1eA",
    "gsk_abcdefghijklmnopqrstuvwx",
    "AIzaSyA1234567890abcdefghijklmnopqrstu",
    "xai-abcdefghijklmnop",
    "hf_abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def",
    "dGhpcyBpcyBhIHZlcnkgbG9uZyBzZWNyZXQgdGV4dCBpbiBiYXNlNjQ=",
)

LINE = AccessLine(1.25, "info", "request", "req_1", "POST", "/v1/x", 200, 12.5, 3, 4, "::1")


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "frame", ["Incorrect API key provided: {}.", "Bearer {}", "?key={}&x=1", '{{"api_key": "{}"}}']
)
def test_s18_nothing_that_looks_like_a_credential_survives(secret: str, frame: str) -> None:
    """A provider that prints a key in its error does not make us print it."""
    assert secret not in redact(frame.format(secret))


def test_ordinary_text_is_left_alone() -> None:
    """Redaction spares sentences, model names and numbers."""
    text = "The model gpt-4o-mini-2024-07-18 takes max_tokens up to 16384 (request req_0123456789abcdef)."
    assert redact(text) == text
    assert redact("https://user:hunter22@host/x") == "https://[redacted]@host/x"


@pytest.mark.parametrize("value", ["a\nb", "\x1b[31mred", "\u202etxt", "\x7f\x85", '"},{"level":"error'])
def test_s54_one_event_is_one_line_whatever_its_fields_hold(value: str) -> None:
    """Control characters, ANSI and bidirectional marks are escaped, and the value comes back from the JSON."""
    sink = BytesIO()
    log = Log(sink=sink)
    log.event("info", "x", field=value)
    log.flush()
    line = sink.getvalue()
    assert line.count(b"\n") == 1
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert json.loads(line)["field"] == value


def test_the_text_form_is_one_line_too() -> None:
    """A person's format escapes the same."""
    sink = BytesIO()
    log = Log(sink=sink, text=True)
    log.event("warning", "found", host="a\nb")
    log.flush()
    assert sink.getvalue().count(b"\n") == 1
    assert b"warning found host=" in sink.getvalue()


def test_levels_below_the_threshold_are_not_written() -> None:
    """A log at warning writes no info and no access lines."""
    sink = BytesIO()
    log = Log("warning", sink=sink)
    log.event("info", "x")
    log.access(LINE, {})
    log.event("error", "y")
    log.flush()
    assert sink.getvalue().count(b"\n") == 1


@pytest.mark.parametrize("text", [False, True])
def test_the_line_of_a_request_says_its_fields_and_then_its_notes(text: bool) -> None:
    """One line, whatever a note holds; without notes it ends with the fields."""
    sink = BytesIO()
    log = Log(sink=sink, text=text)
    log.access(LINE, {"model": "a\n\u202e", "attempts": [("h/m", "ok")]})
    log.access(LINE, {})
    log.flush()
    lines = sink.getvalue().splitlines()
    assert len(lines) == 2
    assert all(0x20 <= byte < 0x7F for line in lines for byte in line)
    if text:
        assert lines[0].endswith(b'client="::1" model="a\\n\\u202e" attempts=[["h/m","ok"]]')
        return
    assert list(json.loads(lines[0]).items())[-3:] == [
        ("client", "::1"),
        ("model", "a\n\u202e"),
        ("attempts", [["h/m", "ok"]]),
    ]
    assert lines[1].startswith(b'{"at":1.25,"level":"info","event":"request","request_id":"req_1","method":"POST",')
    assert list(json.loads(lines[1]))[-1] == "client"


class DeadSink:
    """A pipe whose reader has gone."""

    def write(self, data: bytes) -> int:
        """Fails as a closed pipe does."""
        raise BrokenPipeError(32, data[:0].decode())

    def flush(self) -> None:
        """Never reached."""


def test_f115_a_dead_sink_loses_lines_not_the_process() -> None:
    """Writing to a closed pipe drops the lines and counts them."""
    log = Log(sink=cast(BytesIO, DeadSink()))
    log.event("info", "x")
    log.event("info", "y")
    log.flush()
    assert log.dropped == 2


def test_metrics_are_rendered_in_the_text_format() -> None:
    """Counters, gauges from sources and histograms with cumulative buckets appear under their names."""
    metrics = Metrics()
    metrics.add("tollhouse_requests", "/v1/models", "200")
    metrics.add("tollhouse_requests", "/v1/models", "200", count=2)
    metrics.observe("tollhouse_request_seconds", "/v1/models", 0.03)
    metrics.observe("tollhouse_request_seconds", "/v1/models", 400.0)

    def source() -> Iterator[Sample]:
        yield "tollhouse_keys", (), 3

    metrics.sources.append(source)
    text = render(metrics).decode()
    assert 'tollhouse_requests_total{route="/v1/models",status="200"} 3.0' in text
    assert "tollhouse_keys 3.0" in text
    assert 'tollhouse_request_seconds_bucket{le="0.025",route="/v1/models"} 0.0' in text
    assert 'tollhouse_request_seconds_bucket{le="0.05",route="/v1/models"} 1.0' in text
    assert 'tollhouse_request_seconds_bucket{le="+Inf",route="/v1/models"} 2.0' in text
    assert 'tollhouse_request_seconds_count{route="/v1/models"} 2.0' in text


class StuckSink:
    """A pipe whose reader has stopped reading: the first write never returns."""

    def __init__(self) -> None:
        self.reading = threading.Event()

    def write(self, data: bytes) -> int:
        """Blocks until the reader goes on."""
        self.reading.wait(20)
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""


def test_f115_a_reader_that_stops_reading_holds_nobody() -> None:
    """With the writer thread started, a blocked sink costs lines, which are counted, and never the caller's time."""
    sink = StuckSink()
    log = Log(sink=cast(BytesIO, sink))
    log.start()
    for number in range(200):
        log.event("info", "x", number=number)
        log.flush()
    assert log.dropped > 100
    log.stop(patience_s=0.05)
    sink.reading.set()
