"""One soak: a real process under mixed traffic, and what must be true of it afterwards."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.process import Gateway, running
from tests.fuzz.engine import chance
from tests.soak.traffic import PATH, WEIGHTS, Client, Host, Tally
from tests.soak.watch import Metrics, Sample, Watch

CONFIG = """
[timeouts]
first_byte_s = 5
idle_s = 5
[providers.up]
base_url = "{url}/v1"
models = ["m"]
[log]
access = {access}
"""
_QUIET_S = 20.0
_FEW = 2000
_LOGGED_S = 900.0
"""A longer run writes no line for each request."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how many clients, and how much memory the process may grow by after the first part of the run.

    The allocator takes and keeps steps of about 4 MiB for bodies of 1 MiB, whenever two of them happen to meet.
    """

    seconds: float
    clients: int = 16
    pause_s: float = 0.02
    warm_up: float = 0.4
    growth_kib: int = 8192
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured."""

    tally: Tally
    watch: Watch
    before: Sample
    after: Sample
    metrics: Metrics
    growth_kib: float

    def report(self) -> str:
        """A few lines for people."""
        count = self.tally.kinds.total()
        seconds = self.watch.samples[-1].at_s - self.watch.samples[0].at_s
        peak = max(sample.rss_kib for sample in self.watch.samples)
        return (
            f"{count} requests in {seconds:.0f} s: {dict(sorted(self.tally.statuses.items()))}\n"
            f"  kinds: {dict(self.tally.kinds.most_common())}\n"
            f"  memory: {self.before.rss_kib} KiB before, {peak} at most, {self.after.rss_kib} after;"
            f" {self.growth_kib:+.0f} KiB growth after the warm-up\n"
            f"  memory by tenths of the run, in MiB: {self.watch.tenths()}\n"
            f"  descriptors: {self.before.files} before, {self.after.files} after;"
            f" threads: {self.before.threads}, {self.after.threads}"
        )


async def soak(folder: Path, plan: Plan) -> Result:
    """Runs it; the result is not yet judged."""
    async with Host([]) as host:
        config = CONFIG.format(url=host.url, access=str(plan.seconds < _LOGGED_S).lower())
        with running(folder, config) as gateway:
            result = await drive(gateway, plan)
            judge_log(gateway, result, complete=plan.seconds < _LOGGED_S)
            return result


async def drive(gateway: Gateway, plan: Plan) -> Result:
    """The traffic, then silence, then a look."""
    tally, watch = Tally(), Watch(gateway.process.pid)
    await Metrics.read(gateway)
    before = watch.take()
    watching = asyncio.create_task(watch.run(max(0.2, plan.seconds / 1000)))
    until_s = asyncio.get_running_loop().time() + plan.seconds
    clients = [Client(gateway, tally, chance("soak", plan.seed, number)) for number in range(plan.clients)]
    await asyncio.gather(*[client.run(until_s, plan.pause_s) for client in clients])
    watching.cancel()
    growth_kib = watch.growth_kib(plan.warm_up)
    deadline = asyncio.get_running_loop().time() + _QUIET_S
    metrics = await Metrics.read(gateway)
    while asyncio.get_running_loop().time() < deadline and not quiet(metrics):
        await asyncio.sleep(0.2)
        metrics = await Metrics.read(gateway)
    return Result(tally, watch, before, watch.take(), metrics, growth_kib)


def quiet(metrics: Metrics) -> bool:
    """Whether only the reader of the metrics is left."""
    return metrics.total("tollhouse_connections") <= 1 and metrics.total("tollhouse_requests_in_flight") == 0


def judge(result: Result, plan: Plan) -> None:
    """What must be true."""
    tally, metrics = result.tally, result.metrics
    assert tally.problems == [], tally.problems[:5]
    assert set(tally.kinds) == set(WEIGHTS) or tally.kinds.total() < _FEW, tally.kinds
    held = {name: metrics.total(name) for name in ("tollhouse_holds_open", "tollhouse_requests_in_flight")}
    held["tollhouse_request_body_bytes"] = metrics.total("tollhouse_request_body_bytes")
    assert held == dict.fromkeys(held, 0), held
    assert metrics.total("tollhouse_connections") <= 1
    assert metrics.total("tollhouse_upstream_connections", state="active") == 0
    judge_counts(tally, metrics)
    kept = metrics.total("tollhouse_upstream_connections", state="idle")
    assert result.after.files <= result.before.files + kept + 1, (result.before, result.after, kept)
    assert result.after.threads <= result.before.threads + 8, (result.before, result.after)
    assert result.growth_kib <= plan.growth_kib, result.report()


def judge_counts(tally: Tally, metrics: Metrics) -> None:
    """Each answer that a client saw is counted, with its status; beyond them only what clients did not wait for."""
    served = metrics.by("tollhouse_requests_total", "status", route=PATH)
    more = {status: served.get(status, 0) - count for status, count in tally.statuses.items()}
    more |= {status: count for status, count in served.items() if status not in tally.statuses}
    assert all(count >= 0 for count in more.values()), (served, tally.statuses)
    assert sum(more.values()) <= tally.unsure, (served, tally.statuses, tally.unsure)
    assert metrics.total("tollhouse_requests_total", route="none") == tally.garbage
    left = metrics.total("tollhouse_client_disconnects_total")
    assert tally.left <= left <= tally.left + tally.unsure, (left, tally)


def judge_log(gateway: Gateway, result: Result, *, complete: bool) -> None:
    """No bug, no traceback, and where requests are logged, as many lines as were counted."""
    with suppress(TimeoutError):
        gateway.process.terminate()
        assert gateway.wait() == 0
    lines = gateway.log.read_text().splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(records) == len(lines), [line for line in lines if not line.startswith("{")][:9]
    assert not [record for record in records if record["event"] == "bug"]
    counted = result.metrics.total("tollhouse_requests_total")
    logged = sum(record["event"] == "request" for record in records)
    assert not complete or logged == counted + 1, (
        logged,
        counted,
    )  # the last reading of the metrics counts itself after
