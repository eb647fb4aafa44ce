"""The JSON load client for CPU and throughput: ``wrk`` with one thread, closed loop, and a script that counts.

CPU per request is the gateway's clock over the run, divided by the requests that wrk saw answered with 200.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import payloads, probe, process
from bench.gateways import Gateway, Route

_SCRIPT = """
wrk.method = "POST"
{headers}
local before, after, count = {before}, {after}, 0
request = function()
    count = count + 1
    return wrk.format(nil, nil, nil, before .. count .. after)
end
done = function(summary, latency, requests)
    local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format('{{"requests":%d,"duration_us":%d,"refused":%d,"lost":%d,"p50_us":%d,"p99_us":%d}}\\n',
        summary.requests, summary.duration, summary.errors.status, lost,
        latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """How hard and how long."""

    connections: int
    seconds: float


def script(route: Route) -> str:
    """The Lua for wrk: the request, and a last line of JSON. A JSON string is a Lua string for the bytes we send.

    No two prompts are the same, for what was judged once is remembered: each names another order.
    """
    pairs = [(json.dumps(name), json.dumps(value)) for name, value in route.head().items()]
    headers = "\n".join(f"wrk.headers[{name}] = {value}" for name, value in pairs)
    before, after = payloads.request(route.model).decode().split(payloads.ORDER)
    return _SCRIPT.format(before=json.dumps(before), after=json.dumps(after), headers=headers)


def run(gateway: Gateway, load: Load, *, core: int, folder: Path) -> dict[str, Any]:
    """One run: requests per second, CPU microseconds per request, and what went wrong."""
    lua = folder / f"wrk-{gateway.name}.lua"
    lua.write_text(script(gateway.json))
    seconds = max(1, round(load.seconds))  # wrk takes whole seconds only
    wrk = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(lua)]
    pids = gateway.family()
    before_s = probe.cpu_s(pids)
    done = subprocess.run(process.pinned(core, [*wrk, gateway.json.url]), capture_output=True, text=True, check=True)
    used_s = probe.cpu_s(pids) - before_s
    seen = json.loads(done.stdout.splitlines()[-1])
    answered = seen["requests"] - seen["refused"]
    return {
        **seen,
        "rate": answered / seen["duration_us"] * 1e6,
        "cpu_us": used_s / answered * 1e6 if pids and answered else None,
        "cpu_percent": used_s / seen["duration_us"] * 1e8 if pids else None,
    }
