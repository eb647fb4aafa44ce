"""From runs to answers: the targets of the project, what was measured, and whether they were met.

Pure: takes the recorded runs, returns rows and text. A target whose runs are missing is "not measured", never met.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.gateways import INTERPRETED, JUDGED, METERED, PLAIN

Scenarios = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""Scenario -> gateway -> the figures of each round."""


def values(scenarios: Scenarios, scenario: str, gateway: str, key: str) -> list[float]:
    """One figure of every round that has it."""
    found = [run.get(key) for run in scenarios.get(scenario, {}).get(gateway, ())]
    return [float(value) for value in found if value is not None]


def middle(scenarios: Scenarios, scenario: str, gateway: str, key: str) -> float | None:
    """The median over rounds."""
    found = values(scenarios, scenario, gateway, key)
    return median(found) if found else None


def _paired(
    scenarios: Scenarios, scenario: str, pair: tuple[str, str], key: str, join: Callable[[float, float], float]
) -> float | None:
    """Join the figures of two gateways round by round, then take the median."""
    rounds = zip(*(values(scenarios, scenario, gateway, key) for gateway in pair), strict=False)
    found = [join(first, second) for first, second in rounds]
    return median(found) if found else None


def ratio(scenarios: Scenarios, scenario: str, over: str, under: str, key: str = "cpu_us") -> float | None:
    """The median over rounds of one gateway's figure divided by another's."""
    return _paired(scenarios, scenario, (over, under), key, lambda first, second: first / second)


def added_ms(scenarios: Scenarios, key: str, over: str = PLAIN, under: str = "direct") -> float | None:
    """What one adds to a request that another does not, in milliseconds, at one percentile."""
    return _paired(scenarios, "latency", (over, under), key, lambda first, second: (first - second) / 1000)


def _times_ours(scenarios: Scenarios, peer: str) -> float | None:
    return ratio(scenarios, "peer_json", peer, "tollhouse")


def _worst(scenarios: Scenarios) -> float | None:
    """Stalls, lost chunks and broken streams of all crowded rounds together."""
    runs = scenarios.get("crowd", {}).get("tollhouse", ())
    return float(sum(run["stalls"] + run["lost"] + run["streams"] - run["whole"] for run in runs)) if runs else None


@dataclass(frozen=True, slots=True)
class Target:
    """One promise: the measured value must be at most (or at least) the limit."""

    what: str
    limit: float
    unit: str
    measure: Callable[[Scenarios], float | None]
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Whether a measured value keeps the promise."""
        return value >= self.limit if self.at_least else value <= self.limit


TARGETS = (
    Target("CPU per JSON request", 4, "x nginx", lambda s: ratio(s, "json", "tollhouse", "nginx")),
    Target("CPU per streamed chunk", 2, "x nginx", lambda s: ratio(s, "chunk", "tollhouse", "nginx")),
    Target("CPU per JSON request, everything on", 5, "x nginx", lambda s: ratio(s, "json", METERED, "nginx")),
    Target("CPU per streamed chunk, everything on", 2.2, "x nginx", lambda s: ratio(s, "chunk", METERED, "nginx")),
    Target("CPU per JSON request, safety on too", 7, "x nginx", lambda s: ratio(s, "json", JUDGED, "nginx")),
    Target("JSON request, added p50", 0.4, "ms", lambda s: added_ms(s, "p50_us")),
    Target("JSON request, added p99", 2, "ms", lambda s: added_ms(s, "p99_us")),
    Target("Durability, added p50", 1, "ms", lambda s: added_ms(s, "p50_us", METERED, PLAIN)),
    Target("500 streams: stalls and losses", 0, "", _worst),
    Target("Memory at rest", 80, "MB", lambda s: middle(s, "memory", "tollhouse", "idle_mb")),
    Target("Memory per idle connection", 20, "KiB", lambda s: middle(s, "memory", "tollhouse", "per_connection_kib")),
    Target("Start to first answer", 1, "s", lambda s: middle(s, "start", "tollhouse", "start_s")),
    Target("Packages installed", 20, "", lambda s: middle(s, "size", "tollhouse", "packages")),
    Target("Installed size", 80, "MB", lambda s: middle(s, "size", "tollhouse", "mb")),
    Target("LiteLLM's CPU per JSON request", 100, "x ours", lambda s: _times_ours(s, "litellm"), at_least=True),
    Target("Portkey's CPU per JSON request", 12, "x ours", lambda s: _times_ours(s, "portkey"), at_least=True),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the answer."""

    what: str
    target: str
    measured: str
    verdict: str


def number(value: float) -> str:
    """Three significant digits, with thousands marked and no needless zeros."""
    if value != 0 and abs(value) < 100:
        digits = 2 if abs(value) < 10 else 1
        return f"{value:.{digits}f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 else f"{value:.3f}"
    return f"{value:,.0f}"


def rows(scenarios: Scenarios) -> list[Row]:
    """Every target with what was measured."""
    found = []
    for target in TARGETS:
        value = target.measure(scenarios)
        limit = f"{'>=' if target.at_least else '<='} {number(target.limit)} {target.unit}".rstrip()
        if value is None:
            found.append(Row(target.what, limit, "-", "not measured"))
        else:
            verdict = "met" if target.holds(value) else "missed"
            found.append(Row(target.what, limit, f"{number(value)} {target.unit}".rstrip(), verdict))
    return found


_DETAIL = (
    ("json", "cpu_us", "JSON: CPU per request, us"),
    ("json", "rate", "JSON: requests/s on one core"),
    ("chunk", "cpu_us", "200 streams: CPU per chunk, us"),
    ("latency", "p50_us", "1,000 requests/s: p50, us"),
    ("latency", "p99_us", "1,000 requests/s: p99, us"),
    ("crowd", "cpu_percent", "500 streams: CPU of one core, %"),
    ("crowd", "waited_percent", "500 streams: time spent waiting for the core, %"),
    ("crowd", "gap_max_ms", "500 streams: longest gap, ms"),
    ("memory", "idle_mb", "Memory at rest, MB"),
    ("memory", "per_connection_kib", "Memory per idle connection, KiB"),
    ("start", "start_s", "Start to first answer, s"),
    ("size", "packages", "Packages"),
    ("size", "mb", "Installed size, MB"),
    ("peer_json", "cpu_us", "Peers, JSON: CPU per request, us"),
    ("peer_json", "rate", "Peers, JSON: requests/s on one core"),
    ("peer_chunk", "cpu_us", "Peers, 10 streams: CPU per chunk, us"),
)

GATEWAYS = ("direct", "nginx", "tollhouse", METERED, JUDGED, INTERPRETED, "portkey", "litellm")


def details(scenarios: Scenarios) -> list[list[str]]:
    """The medians behind the rows: a header line, then one line per figure and one column per gateway."""
    present = [name for name in GATEWAYS if any(name in runs for runs in scenarios.values())]
    lines = [["", *present]]
    for scenario, key, label in _DETAIL:
        cells = [middle(scenarios, scenario, name, key) for name in present]
        if any(cell is not None for cell in cells):
            lines.append([label, *("-" if cell is None else number(cell) for cell in cells)])
    return lines


def text_table(lines: Sequence[Sequence[str]]) -> str:
    """Columns in plain text, the first one flush left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    made = []
    for line in lines:
        numbers = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        made.append("  ".join([line[0].ljust(widths[0]), *numbers]).rstrip())
    return "\n".join(made)


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table; the first line is the header."""
    head, *body = lines
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def verdict_lines(scenarios: Scenarios) -> list[list[str]]:
    """The rows as table lines with a header."""
    body = [[row.what, row.target, row.measured, row.verdict] for row in rows(scenarios)]
    return [["", "target", "measured", ""], *body]
