"""Which plots a run yields: chooses values from the recorded runs and hands them to ``plot``."""

from statistics import median

from bench import plot
from bench.report import GATEWAYS, Scenarios, middle, number


def draw(scenarios: Scenarios) -> dict[str, str]:
    """File name -> SVG, for every plot whose figures were measured."""
    drawn = {
        "json-cpu.svg": _panels(
            scenarios,
            "CPU per JSON request",
            "Microseconds of the gateway's core per chat completion, whole answer; less is better",
            (("json", "cpu_us", "us", "At full load, beside nginx"), ("peer_json", "cpu_us", "us", "Beside its peers")),
        ),
        "chunk-cpu.svg": _panels(
            scenarios,
            "CPU per streamed chunk",
            "Microseconds of the gateway's core per event, one every 20 ms in each stream; less is better",
            (
                ("chunk", "cpu_us", "us", "200 streams, beside nginx"),
                ("peer_chunk", "cpu_us", "us", "10 streams, beside its peers"),
            ),
        ),
        "footprint.svg": _panels(
            scenarios,
            "What it weighs",
            "One process on one core, fresh from the package; less is better",
            (
                ("start", "start_s", "s", "Start to first answer"),
                ("memory", "idle_mb", "MB", "Memory at rest"),
                ("size", "mb", "MB", "Installed size"),
                ("size", "packages", "", "Packages installed"),
            ),
        ),
        "latency.svg": _latency(scenarios),
    }
    return {name: svg for name, svg in drawn.items() if svg is not None}


def _panels(scenarios: Scenarios, title: str, note: str, asked: tuple[tuple[str, str, str, str], ...]) -> str | None:
    panels = []
    for scenario, key, unit, heading in asked:
        found = [(name, middle(scenarios, scenario, name, key)) for name in GATEWAYS]
        bars = [plot.Bar(name, value, f"{number(value)} {unit}".rstrip()) for name, value in found if value is not None]
        if bars:
            panels.append(plot.Panel(heading, bars))
    return plot.bars(title, note, panels) if panels else None


def _latency(scenarios: Scenarios) -> str | None:
    lines = {}
    for name, runs in scenarios.get("latency", {}).items():
        curves = [run["curve_us"] for run in runs if run["curve_us"]]
        if curves:
            # The last point, the slowest request of all, says more about the machine than about a gateway.
            points = [(at[0][0], median(value for _, value in at) / 1000) for at in zip(*curves, strict=True)]
            lines[name] = points[:-1]
    title = "Latency at 1,000 requests a second"
    note = "Request to whole answer, by percentile; the median of all rounds"
    return plot.curves(title, note, lines, "ms") if lines else None
