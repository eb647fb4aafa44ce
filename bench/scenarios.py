"""The measurements: each takes gateways and measures them in turns, A B A B, round by round.

The machine's noise moves slowly; what is measured side by side within one round meets the same noise, so ratios of one
round are steady where absolute figures are not. Called by ``run``; returns plain values for results.json.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench import load_json, process
from bench.gateways import Gateway, Site

Figures = dict[str, Any]
Runs = dict[str, list[Figures]]
"""Gateway name -> the figures of each round."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. Seconds are of one run of one gateway in one round."""

    rounds: int = 5
    starts: int = 5
    json_s: float = 4
    json_connections: int = 32
    chunk_s: float = 4
    chunk_streams: int = 200
    crowd_rounds: int = 3
    crowd_s: float = 8
    crowd_streams: int = 500
    rate: int = 1000
    rate_s: float = 6
    idle_connections: int = 9_000
    peer_streams: int = 10
    peer_warm_s: float = 5


QUICK = Plan(
    rounds=2, starts=2, json_s=1, chunk_s=1.5, crowd_rounds=1, crowd_s=2, rate_s=2, idle_connections=2000, peer_warm_s=2
)


def in_turns(gateways: Sequence[Gateway], rounds: int, measure: Callable[[Gateway], Figures]) -> Runs:
    """Measure every gateway once per round; every other round in the opposite order."""
    runs: Runs = {gateway.name: [] for gateway in gateways}
    for number in range(rounds):
        for gateway in gateways if number % 2 == 0 else reversed(gateways):
            runs[gateway.name].append(measure(gateway))
    return runs


def json_requests(site: Site, gateways: Sequence[Gateway], plan: Plan) -> Runs:
    """CPU per JSON request and requests per second, at full load."""
    load = load_json.Load(plan.json_connections, plan.json_s)

    def measure(gateway: Gateway) -> Figures:
        return load_json.run(gateway, load, core=site.cores.client, folder=site.folder)

    in_turns(gateways, 1, lambda gateway: _warm(site, gateway, plan.json_connections, 1))
    return in_turns(gateways, plan.rounds, measure)


def peer_json_requests(site: Site, gateways: Sequence[Gateway], plan: Plan) -> Runs:
    """As `json_requests`, with a longer warming: the peers compile as they run."""
    in_turns(gateways, 1, lambda gateway: _warm(site, gateway, plan.json_connections, plan.peer_warm_s))
    return json_requests(site, gateways, replace(plan, rounds=min(plan.rounds, 3)))


def _warm(site: Site, gateway: Gateway, connections: int, seconds: float) -> Figures:
    return load_json.run(gateway, load_json.Load(connections, seconds), core=site.cores.client, folder=site.folder)


def _streams(site: Site, gateway: Gateway, streams: int, seconds: float) -> Figures:
    arguments = ["--route", gateway.stream.encode(), "--streams", str(streams), "--window-s", str(seconds)]
    return process.call_client(
        "bench.load_stream",
        [*arguments, "--pids", str(gateway.family())],
        core=site.cores.client,
        timeout_s=120 + 10 * seconds,
    )


def chunks(site: Site, gateways: Sequence[Gateway], plan: Plan) -> Runs:
    """CPU per streamed chunk: many streams, each with a chunk every 20 ms."""
    return in_turns(gateways, plan.rounds, lambda gateway: _streams(site, gateway, plan.chunk_streams, plan.chunk_s))


def peer_chunks(site: Site, gateways: Sequence[Gateway], plan: Plan) -> Runs:
    """CPU per streamed chunk at a load that every peer can carry, the same for all."""
    rounds = min(plan.rounds, 3)
    return in_turns(gateways, rounds, lambda gateway: _streams(site, gateway, plan.peer_streams, plan.chunk_s))


def crowd(site: Site, gateways: Sequence[Gateway], plan: Plan) -> Runs:
    """Many concurrent streams through one core: lost chunks, stalls, the longest gap.

    A run of a single round asks only the last gateway, ours: what is promised here is no ratio.
    """
    rounds = plan.crowd_rounds
    subjects = gateways if rounds > 1 else gateways[-1:]
    return in_turns(subjects, rounds, lambda gateway: _streams(site, gateway, plan.crowd_streams, plan.crowd_s))


def latency(site: Site, gateways: Sequence[Gateway], plan: Plan) -> Runs:
    """Time from request to whole answer, at a fixed rate of requests."""

    def measure(gateway: Gateway) -> Figures:
        arguments = ["--route", gateway.json.encode(), "--rate", str(plan.rate), "--seconds", str(plan.rate_s)]
        core, timeout_s = site.cores.client, 60 + plan.rate_s
        return process.call_client("bench.load_rate", arguments, core=core, timeout_s=timeout_s)

    return in_turns(gateways, plan.rounds, measure)


TRAFFIC: dict[str, Callable[[Site, Sequence[Gateway], Plan], Runs]] = {
    "json": json_requests,
    "chunk": chunks,
    "latency": latency,
    "crowd": crowd,
}
"""The scenarios that send requests through running gateways, in the order they are run."""

WITH_DIRECT = frozenset({"latency", "crowd"})
"""Those that are also measured without a gateway, to know what client and upstream cost."""
