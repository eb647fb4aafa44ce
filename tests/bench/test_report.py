"""What the speed harness concludes from its runs, and how it draws them."""

from typing import Any
from xml.etree import ElementTree as ET

from bench import figures, plot, report

RUNS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "json": {"nginx": [{"cpu_us": 10.0}, {"cpu_us": 20.0}], "tollhouse": [{"cpu_us": 30.0}, {"cpu_us": 100.0}]},
    "crowd": {"tollhouse": [{"stalls": 0, "lost": 3, "streams": 5, "whole": 4}]},
    "latency": {
        "direct": [{"p50_us": 50, "p99_us": 90, "curve_us": [(50, 50.0), (99, 90.0), (100, 99.0)]}],
        "tollhouse": [{"p50_us": 250, "p99_us": 900, "curve_us": [(50, 250.0), (99, 900.0), (100, 999.0)]}],
    },
    "size": {"tollhouse": [{"packages": 7, "mb": 80.1}]},
}


def verdict(what: str) -> tuple[str, str]:
    """What was measured for one target, and the conclusion."""
    row = next(row for row in report.rows(RUNS) if row.what == what)
    return row.measured, row.verdict


def test_ratios_are_taken_round_by_round() -> None:
    """A ratio is the median of the ratios of single rounds, not the ratio of two medians."""
    assert verdict("CPU per JSON request") == ("4 x nginx", "met")


def test_what_was_not_measured_is_never_met() -> None:
    """A target without runs says so."""
    assert verdict("Start to first answer") == ("-", "not measured")


def test_a_missed_target_is_missed() -> None:
    """A figure just over its limit misses it, and so does a single lost chunk."""
    assert verdict("Installed size")[1] == "missed"
    assert verdict("500 streams: stalls and losses") == ("4", "missed")


def test_added_latency_is_the_difference_to_the_upstream_alone() -> None:
    """What a gateway adds is its percentile less that of the upstream asked directly."""
    assert verdict("JSON request, added p50") == ("0.2 ms", "met")


def test_every_plot_is_an_svg_document() -> None:
    """Each plot that has figures is well-formed XML with one shape or more for each gateway."""
    drawn = figures.draw(RUNS)
    assert set(drawn) == {"json-cpu.svg", "latency.svg", "footprint.svg"}
    for svg in drawn.values():
        nodes = ET.fromstring(svg).iter()  # noqa: S314 - our own text
        shapes = [node for node in nodes if node.tag.endswith(("}rect", "}polyline"))]
        assert len(shapes) >= 2


def test_whoever_is_reported_can_be_drawn() -> None:
    """Each gateway has a name and a colour in the plots."""
    assert set(report.GATEWAYS) == set(plot.NAMES) == set(plot.COLOURS)
