"""Counters of the process: plain integers in dictionaries, which is all that the request path adds to.

`telemetry.exposition` turns them into Prometheus' text when ``/metrics`` is read. A label's values come from
configuration (route, host, model, status), never from a client's free text, so the number of series is bounded;
`REGISTERED` is the list the documentation is checked against.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

BOUNDS_S: Final[tuple[float, ...]] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

COUNTERS: Final = {
    "tollhouse_requests": ("Requests answered.", ("route", "status")),
    "tollhouse_attempts": ("Attempts at an upstream, by how they ended: ok or an error code.", ("host", "outcome")),
    "tollhouse_answers_broken_off": ("Answers that failed after their first content.", ("host", "code")),
    "tollhouse_tokens": ("Tokens metered, by class.", ("host", "model", "class")),
    "tollhouse_images": ("Images made, where they are priced by the piece.", ("host", "model")),
    "tollhouse_estimated_usage": ("Answers whose upstream gave no usage, so that tokens were estimated.", ("host",)),
    "tollhouse_client_disconnects": ("Requests whose client left before the end.", ("route",)),
    "tollhouse_config_reloads": ("Reads of a changed configuration.", ("result",)),
    "tollhouse_log_lines_dropped": ("Log lines lost to a slow or broken sink.", ()),
    "tollhouse_connections_refused": ("Client connections refused at the limit.", ()),
    "tollhouse_rate_limited": ("Requests refused by a limit of their key.", ("tier", "dimension")),
    "tollhouse_safety_findings": (
        "Requests in which something was found: annotated, or filtered by a policy.",
        ("side", "category", "severity", "outcome"),
    ),
    "tollhouse_judges": ("Texts shown to a judge: answered, failed, or skipped for a while.", ("judge", "outcome")),
    "tollhouse_replays": ("Answers given again, by what they were asked for by: seed or cache.", ("by",)),
    "tollhouse_payment_events": ("Events of a payment service, by what came of them.", ("source", "outcome")),
    "tollhouse_soft_limit_exceeded": ("Requests over a soft limit of their key.", ("tier", "dimension")),
    "tollhouse_slots_expired": ("Slots of requests that never gave them back: a bug, mended.", ()),
    "tollhouse_upstream_connects": ("Connections opened to upstreams.", ("host",)),
    "tollhouse_retries": ("Attempts beyond the first of a request, paid from the retry budget.", ()),
    "tollhouse_retries_refused": ("Retries for which the budget had no room.", ()),
    "tollhouse_hedges": ("Requests sent to a second target because the first was late.", ()),
    "tollhouse_hedges_refused": ("Hedges for which the budget had no room.", ()),
    "tollhouse_upstream_stale_retries": ("Requests repeated because a kept connection had died.", ("host",)),
}
HISTOGRAMS: Final = {
    "tollhouse_request_seconds": ("From the first byte of a request to the last of its answer.", ("route",)),
    "tollhouse_first_token_seconds": ("From the start of an attempt to the first byte of its answer.", ("host",)),
}
GAUGES: Final = {
    "tollhouse_requests_in_flight": ("Requests being served.", ()),
    "tollhouse_connections": ("Open client connections.", ()),
    "tollhouse_slots_taken": ("Requests being served for keys with limits.", ()),
    "tollhouse_holds_open": ("Requests admitted and not yet settled or released.", ()),
    "tollhouse_request_body_bytes": ("Request bodies in memory.", ()),
    "tollhouse_upstream_connections": ("Connections to upstreams, by state.", ("host", "state")),
    "tollhouse_targets": ("Models asked since the start, by the state of their circuit.", ("host", "state")),
    "tollhouse_targets_ejected": ("Models put behind others because too many of their answers fail.", ("host",)),
    "tollhouse_targets_failing": ("Models whose last answers failed.", ("host",)),
    "tollhouse_upstream_keys": ("The gateway's keys at a host, by state.", ("host", "state")),
    "tollhouse_upstream_requests_in_flight": ("Requests under way at a host.", ("host",)),
    "tollhouse_keys": ("Keys that are accepted.", ()),
    "tollhouse_up_seconds": ("Time since start.", ()),
}
REGISTERED: Final = (*COUNTERS, *HISTOGRAMS, *GAUGES)

Sample = tuple[str, tuple[str, ...], float]


class Durations:
    """How long something took, each time."""

    __slots__ = ("buckets", "total_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        """How many were no longer than each of `BOUNDS_S`, and longer than the one before; the last: than any."""
        self.total_s = 0.0

    def add(self, value_s: float) -> None:
        """Records one."""
        at = 0
        for bound_s in BOUNDS_S:  # most are found early, where `bisect` would go by way of the middle
            if value_s <= bound_s:
                break
            at += 1
        self.buckets[at] += 1
        self.total_s += value_s


class Tokens:
    """``tollhouse_tokens`` of one model at one host, by class."""

    __slots__ = (
        *("cache_read", "cache_write", "cache_write_1h", "input", "input_audio", "output", "output_audio"),
        "reasoning",
    )

    def __init__(self) -> None:
        self.input = self.output = self.cache_read = self.cache_write = 0
        self.cache_write_1h = self.reasoning = self.input_audio = self.output_audio = 0

    def by_class(self) -> dict[str, int]:
        """The classes of which there were any."""
        counts = {
            "input": self.input,
            "output": self.output,
            "cache_read": self.cache_read,
            "cache_write": self.cache_write,
            "cache_write_1h": self.cache_write_1h,
            "reasoning": self.reasoning,
            "input_audio": self.input_audio,
            "output_audio": self.output_audio,
        }
        return {kind: count for kind, count in counts.items() if count}


class Metrics:
    """The numbers. ``sources`` yield samples of gauges and of counters kept elsewhere, when asked."""

    def __init__(self) -> None:
        self.counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self.durations: dict[tuple[str, str], Durations] = {}
        """By the name of their histogram and the value of its one label."""
        self.tokens: dict[tuple[str, str], Tokens] = {}
        """By host and model: of a request several are counted, which in `counts` would take a lookup each."""
        self.sources: list[Callable[[], Iterator[Sample]]] = [self._tokens]

    def add(self, name: str, *labels: str, count: int = 1) -> None:
        """Adds to a counter."""
        self.counts[name, *labels] += count

    def begin_tokens(self, host: str, model: str) -> Tokens:
        """Of a model that has not been counted before."""
        tokens = self.tokens[host, model] = Tokens()
        return tokens

    def _tokens(self) -> Iterator[Sample]:
        for (host, model), tokens in self.tokens.items():
            for kind, count in tokens.by_class().items():
                yield "tollhouse_tokens", (host, model, kind), count

    def observe(self, name: str, label: str, value_s: float) -> None:
        """Records a duration in seconds."""
        key = (name, label)
        durations = self.durations.get(key)
        if durations is None:
            durations = self.durations[key] = Durations()
        durations.add(value_s)
