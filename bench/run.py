"""The speed harness's command line: starts upstreams and gateways, runs the scenarios, writes and prints the answer.

Figures never fail it: a missed target is reported as missed, a gateway that will not run as not measured, exit 0.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import figures, footprint, gateways, nginx, peers, probe, process, publish, report, scenarios
from bench.gateways import Site, Upstreams
from tollhouse.telemetry.machine_code import is_compiled

OUT = process.ROOT / "bench" / "out"
SCENARIOS = ("json", "chunk", "latency", "crowd", "memory", "start", "size", "peers")
_TROUBLE = (RuntimeError, OSError, ValueError, subprocess.SubprocessError)


@dataclass(slots=True)
class Bench:
    """One run: where it happens, how much is measured, and what has been found."""

    site: Site
    plan: scenarios.Plan
    only: frozenset[str]
    found: dict[str, scenarios.Runs] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)

    def wants(self, scenario: str) -> bool:
        """Whether this scenario was asked for; "peers" stands for all about them."""
        return not self.only or "peers" in self.only or scenario.removeprefix("peer_") in self.only

    def measure(self, scenario: str, work: Callable[[], scenarios.Runs]) -> None:
        """Run one scenario, if it was asked for, and keep what it found; trouble is noted and the next one follows."""
        if not self.wants(scenario):
            return
        began = time.monotonic()
        try:
            for name, runs in work().items():
                self.found.setdefault(scenario, {}).setdefault(name, []).extend(runs)
        except _TROUBLE as error:
            self.trouble[scenario] = str(error)
            print(f"  {scenario}: not measured: {error}", flush=True)
        else:
            print(f"  {scenario}: {time.monotonic() - began:.0f} s", flush=True)


@contextmanager
def running_upstreams(folder: Path, cores: probe.Cores) -> Iterator[Upstreams]:
    """Both upstreams, answering."""
    port, log = process.free_port(), folder / "paced.log"
    command = process.python_module("bench.paced_upstream", str(port))
    with (
        nginx.running_upstream(folder / "upstream", core=cores.upstream) as json_port,
        process.running(command, core=cores.upstream, log=log) as program,
    ):
        gateways.wait_until_answering(program, lambda: gateways.connect(port), log=log)
        yield Upstreams(json_port, port)


def measure_core(bench: Bench) -> None:
    """Everything about nginx and Tollhouse."""
    site, plan = bench.site, bench.plan
    with ExitStack() as stack:
        direct = nginx.direct(site.upstreams)
        contenders = [stack.enter_context(nginx.running_proxy(site))]
        beside = [gateways.running_interpreted] if is_compiled() else []
        for running in (gateways.running_tollhouse, gateways.running_metered, gateways.running_judged, *beside):
            try:
                contenders.append(stack.enter_context(running(site)))
            except _TROUBLE as error:
                bench.trouble["tollhouse"] = str(error)
                print(f"  tollhouse does not run: {error}", flush=True)
        for name, scenario in scenarios.TRAFFIC.items():
            subjects = [direct, *contenders] if name in scenarios.WITH_DIRECT else contenders
            bench.measure(name, partial(scenario, site, subjects, plan))
    connections = plan.idle_connections
    measure_footprint(bench, "nginx", nginx.running_proxy, starts=0, connections=connections)
    measure_footprint(bench, "tollhouse", gateways.running_tollhouse, starts=plan.starts, connections=connections)
    bench.measure("size", lambda: {"tollhouse": [footprint.size(peers.CACHE / "size")]})


def measure_footprint(bench: Bench, name: str, running: footprint.Running, *, starts: int, connections: int) -> None:
    """Memory and start time of one gateway, each time from a fresh process."""
    site = bench.site
    bench.measure("memory", lambda: {name: [footprint.memory(site, running, connections)]})
    if starts:
        bench.measure("start", lambda: {name: [footprint.start(site, running) for _ in range(starts)]})


def measure_peers(bench: Bench) -> None:
    """The peers beside Tollhouse: load, then what they weigh."""
    for peer in peers.PEERS:
        peer.install()
    site, plan = bench.site, bench.plan
    with ExitStack() as stack:
        subjects = []
        for running in (nginx.running_proxy, gateways.running_tollhouse, *(peer.running for peer in peers.PEERS)):
            try:
                subjects.append(stack.enter_context(running(site)))
            except _TROUBLE as error:
                bench.trouble[f"peers: {running.__name__}"] = str(error)
                print(f"  a gateway does not run: {error}", flush=True)
        bench.measure("peer_json", lambda: scenarios.peer_json_requests(site, subjects, plan))
        bench.measure("peer_chunk", lambda: scenarios.peer_chunks(site, subjects, plan))
    for peer in peers.PEERS:
        # A peer answers some 80 requests a second at worst, and each connection is answered once before it rests.
        measure_footprint(bench, peer.name, peer.running, starts=min(plan.starts, 3), connections=500)
        bench.measure("size", partial(_weigh, peer))


def _weigh(peer: peers.Peer) -> scenarios.Runs:
    return {peer.name: [{"packages": peer.packages(), "mb": peer.installed_mb()}]}


def versions() -> dict[str, str]:
    """What was measured with what."""
    nginx_version = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr.strip()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=process.ROOT, capture_output=True, text=True, check=False
    )
    ours = f"{commit.stdout.strip()} ({'compiled' if is_compiled() else 'interpreted'})"
    return {"nginx": nginx_version.rpartition("/")[2], "tollhouse": ours, **peers.versions()}


def write(out: Path, record: dict[str, Any], found: report.Scenarios) -> None:
    """results.json, the table as text, and the plots."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    for name, svg in figures.draw(found).items():
        (out / name).write_text(svg)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures Tollhouse beside nginx and its peers.")
    parser.add_argument("--quick", action="store_true", help="a small run for CI, under 90 seconds; figures are rough")
    parser.add_argument("--rounds", type=int, help="how many times each gateway takes its turn")
    parser.add_argument("--only", action="append", choices=SCENARIOS, default=[], help="one scenario; may be repeated")
    parser.add_argument("--peers", action="store_true", help="also install and measure LiteLLM and Portkey")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for results.json and plots (default: bench/out)")
    parser.add_argument("--publish", action="store_true", help="also put table and plots into the documentation")
    return parser.parse_args()


def main() -> None:
    """Measure, write, print."""
    asked = options()
    plan = scenarios.QUICK if asked.quick else scenarios.Plan()
    if asked.rounds:
        plan = replace(plan, rounds=asked.rounds, crowd_rounds=asked.rounds)
    cores, folder = probe.cores(), asked.out.resolve() / "work"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Measuring; the gateway has core {cores.gateway}, the upstream {cores.upstream}, the client {cores.client}.")
    with running_upstreams(folder, cores) as upstreams:
        bench = Bench(Site(cores, upstreams, folder), plan, frozenset(asked.only))
        if bench.only != {"peers"}:
            measure_core(bench)
        if asked.peers or "peers" in bench.only:
            measure_peers(bench)
    record = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": probe.machine(),
        "versions": versions(),
        "plan": asdict(plan),
        "answers": [asdict(row) for row in report.rows(bench.found)],
        "trouble": bench.trouble,
        "scenarios": bench.found,
    }
    write(asked.out, record, bench.found)
    for lines in (report.details(bench.found), report.verdict_lines(bench.found)):
        print(f"\n{report.text_table(lines)}")
    print(f"\nWritten to {asked.out}.")
    if asked.publish:
        publish.publish(asked.out, record, bench.found)


if __name__ == "__main__":
    main()
