"""The counters of `telemetry.metrics` in Prometheus' text form. `control.pages` imports it when ``/metrics`` is read:
prometheus-client brings a web server with it, some 4 MB that a gateway nobody scrapes does without.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from tollhouse.telemetry.metrics import BOUNDS_S, COUNTERS, GAUGES, HISTOGRAMS, Metrics


class _Collector(Collector):
    """Called by prometheus-client for each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        counters = {name: CounterMetricFamily(name, text, labels=labels) for name, (text, labels) in COUNTERS.items()}
        gauges = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()}
        for (name, *labels), count in self._metrics.counts.items():
            counters[name].add_metric(labels, count)
        for source in self._metrics.sources:
            for name, values, value in source():
                (counters.get(name) or gauges[name]).add_metric(list(values), value)
        yield from counters.values()
        yield from gauges.values()
        yield from self._histograms()

    def _histograms(self) -> Iterator[HistogramMetricFamily]:
        for name, (text, labels) in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, text, labels=labels)
            for (own, label), durations in self._metrics.durations.items():
                if own == name:
                    family.add_metric([label], _cumulative(durations.buckets), durations.total_s)
            yield family


def render(metrics: Metrics) -> bytes:
    """The Prometheus text exposition format, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    return generate_latest(registry)


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    rows: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), buckets, strict=True):
        total += count
        rows.append((bound, total))
    return rows
