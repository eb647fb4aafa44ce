"""Does the ledger stay fast when it is large? Verifies ledgers of growing size, and charges requests on top of them.

Run it as ``python -m bench.ledger_size [--sizes 10000,10000000] [--requests 20000]``. Each database is made
(`bench.ledger_books`), verified, and opened by the real ledger, which takes and settles holds in groups of 64, each
durable before the next: CPU and wall time per request, and how long opening took. Figures fail nothing.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.ledger_books import KEYS, make_books
from tollhouse.ledger.journal import Journal, WriterThread
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.prices import Bid, PriceVersion, make_price
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.stores.tenancy import read_all
from tollhouse.types.calls import Host, Prices, Target, Usage
from tollhouse.types.tenancy import Chain, Principal
from tollhouse.web.front import request_id

TOGETHER = 64


class _NoMeter:
    """Nobody counts here."""

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""


def main() -> None:
    """Prints one line of JSON for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,10000000", help="numbers of entries")
    parser.add_argument("--requests", type=int, default=20_000, help="how many are charged on top of each")
    options = parser.parse_args()
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="ledger-size-") as folder:
            print(json.dumps(measure(Path(folder) / "tollhouse.db", size, options.requests)), flush=True)


def measure(path: Path, entries: int, requests: int) -> dict[str, Any]:
    """One size."""
    began = time.monotonic()
    make_books(path, entries)
    made_s = time.monotonic() - began
    size = path.stat().st_size
    with open_reader(path) as reader:
        report = verify(reader, now_s=time.time())
    if not report.ok:
        raise RuntimeError(f"{report.findings[0]}")
    began = time.monotonic()
    store = SqliteStore(path)
    ledger = Ledger(store, Journal(WriterThread(store)), _NoMeter())
    ledger.prime({node.number: node for node in store.read_now(read_all).nodes})
    opened_s = time.monotonic() - began
    figures = asyncio.run(_charge(ledger, requests))
    store.close()
    return {
        "entries": report.counts["entry"],
        "bytes": size,
        "made_s": round(made_s, 1),
        "verified_s": round(report.seconds, 1),
        "opened_ms": round(opened_s * 1000, 1),
        **figures,
    }


async def _charge(ledger: Ledger, requests: int) -> dict[str, float]:
    """Takes and settles holds. CPU is the whole process's: the event loop's and the writer's."""
    ledger.journal.start()
    version = make_price("host", "m1", Prices(2_500_000, 10_000_000), source="catalogue")
    if version is None:
        raise RuntimeError("no price")
    chains = [ledger.chain_number((key, 1), 1) for key in range(2, KEYS + 2)]
    callers = [
        Principal(f"key_{key}", "", key, Chain(number, (key, 1), 1)) for key, number in enumerate(chains, start=2)
    ]
    waits: list[float] = []
    await _group(ledger, version, callers, 0)
    cpu, wall = time.process_time(), time.monotonic()
    for first in range(0, requests, TOGETHER):
        began = time.monotonic()
        await _group(ledger, version, callers, first)
        waits.append(time.monotonic() - began)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    await ledger.journal.stop()
    waits.sort()
    return {
        "cpu_us_per_request": round(cpu / requests * 1e6, 1),
        "wall_us_per_request": round(wall / requests * 1e6, 1),
        "group_p50_ms": round(waits[len(waits) // 2] * 1000, 2),
        "group_p99_ms": round(waits[len(waits) * 99 // 100] * 1000, 2),
    }


async def _group(ledger: Ledger, version: PriceVersion, callers: list[Principal], first: int) -> None:
    """One group of requests at once: held, durable; settled, durable."""
    target = Target(Host("host", "http://127.0.0.1:1/v1"), "m1")
    bid = Bid(target, version, 10_000_000, 1000, 100)
    holds = [
        ledger.reserve(request_id(None), callers[(first + index) % KEYS], "chat/completions", "gpt-4o", (bid,))
        for index in range(TOGETHER)
    ]
    await asyncio.gather(*[hold.durable() for hold in holds])
    for hold in holds:
        hold.settle(bid, Usage(input=100, output=200))
    await asyncio.gather(*[hold.durable() for hold in holds])


if __name__ == "__main__":
    main()
