"""``scripts/storm``: lets a storm loose on a real gateway, and says what its clients heard of it."""
# ruff: noqa: T201 - it prints

import argparse
import sys
import time

import uvloop

from tests.fakes.storm import BROKEN, DEAD, PASSING
from tests.routing_faults.storms import both_fail, one_dies, storming


def main() -> int:
    """0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="scripts/storm", description=__doc__)
    parser.add_argument("--requests", type=int, default=30_000, help="of each storm, at least (30000)")
    parser.add_argument("--workers", type=int, default=16, help="clients at once (16)")
    parser.add_argument("--share", type=float, default=0.1, help="of requests that fail at both routes (0.1)")
    parser.add_argument("--dead-s", type=float, default=20.0, help="for how long a route is dead (20)")
    parser.add_argument("--seed", type=int, default=1, help="another number is another storm (1)")
    options = parser.parse_args()
    began = time.monotonic()
    broken = uvloop.run(_blow(options))
    print(f"{time.monotonic() - began:.0f} s, " + ("every promise kept" if not broken else "; ".join(broken)))
    return 1 if broken else 0


async def _blow(options: argparse.Namespace) -> list[str]:
    """The promises that were broken."""
    broken = []
    for name, ways, most in (("before a word", PASSING, 0.001), ("in every way", BROKEN, 0.003)):
        async with storming(options.seed) as storm:
            figures = await both_fail(storm, options.share, options.requests, options.workers, ways)
        print(f"{options.share:.0%} of requests fail {name}: {figures}", flush=True)
        if figures.error_rate >= most or figures.amplification > 1.2:
            broken.append(f"too many errors or retries when hosts fail {name}")
    for way in (*DEAD, "503", "hang"):
        async with storming(options.seed) as storm:
            figures = await one_dies(storm, options.dead_s, options.requests, options.workers, (way,))
        print(f"one provider dead ({way}): {figures}", flush=True)
        late = figures.late_errors / max(1, figures.late_requests)
        if late >= 0.0001 or figures.amplification > 1.2 or figures.opens_s >= 2.0 or figures.closes_s >= 10.0:
            broken.append(f"a provider that died ({way}) was noticed")
    return broken


if __name__ == "__main__":
    sys.exit(main())
