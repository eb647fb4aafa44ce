"""What a gateway weighs: memory at rest and per idle connection, time to the first answer, size and packages."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from shutil import rmtree
from typing import Any

from bench import probe, process
from bench.gateways import Gateway, Site
from tollhouse.telemetry.machine_code import is_compiled

_REST_S = 1.0
_WARM_CONNECTIONS = 64
_NOT_OURS = frozenset({"pip", "setuptools", "wheel"})

Running = Callable[[Site], AbstractContextManager[Gateway]]


def memory(site: Site, running: Running, connections: int) -> dict[str, Any]:
    """Resident memory of a fresh gateway at rest, and what each idle connection adds.

    A first small batch of connections pays for code and pools that come once; the rest are the measurement.
    """
    with ExitStack() as stack:
        gateway = stack.enter_context(running(site))
        time.sleep(_REST_S)
        idle_kib = probe.rss_kib(gateway.family())
        first = _hold(stack, site, gateway, _WARM_CONNECTIONS)
        before_kib = probe.rss_kib(gateway.family())
        crowd = _hold(stack, site, gateway, connections)
        after_kib = probe.rss_kib(gateway.family())
        still_open = _release(crowd)
        _release(first)
    each_kib = (after_kib - before_kib) / connections
    return {
        "idle_mb": idle_kib * 1024 / 1e6,
        "connections": connections,
        "still_open": still_open,
        # A gateway that closes idle connections within seconds leaves nothing to weigh.
        "per_connection_kib": each_kib if still_open == connections else None,
    }


def _hold(stack: ExitStack, site: Site, gateway: Gateway, connections: int) -> subprocess.Popen[str]:
    command = process.python_module(
        "bench.load_idle", "--route", gateway.json.encode(), "--connections", str(connections)
    )
    holder = subprocess.Popen(
        process.pinned(site.cores.client, command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(site.folder / "idle.log").open("w"),
        cwd=process.ROOT,
        text=True,
    )
    stack.callback(holder.kill)
    if not _line(holder):
        raise RuntimeError(f"idle connections: {(site.folder / 'idle.log').read_text()[-1000:]}")
    time.sleep(_REST_S)
    return holder


def _line(holder: subprocess.Popen[str]) -> str:
    return holder.stdout.readline() if holder.stdout else ""


def _release(holder: subprocess.Popen[str]) -> int:
    if holder.stdin:
        holder.stdin.close()
    still_open: int = json.loads(_line(holder))["open"]
    holder.wait()
    return still_open


def start(site: Site, running: Running) -> dict[str, Any]:
    """Seconds from the start of the process to the whole first answer."""
    with running(site) as gateway:
        return {"start_s": gateway.start_s}


def disk_mb(folder: Path) -> float:
    """Disk space of all files under a folder, as ``du`` counts it, in 10^6 bytes."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) / 1e6


def packages(python: Path) -> list[str]:
    """Names and versions of what is installed, without the installers themselves."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "list", "--format=json"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    return [f"{p['name']} {p['version']}" for p in json.loads(listed.stdout) if p["name"] not in _NOT_OURS]


def size(folder: Path) -> dict[str, Any]:
    """Install Tollhouse, and nothing optional, into an empty virtual environment and weigh what it added."""
    rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    before_mb = disk_mb(folder)
    python = folder / "bin" / "python"
    wheels = sorted((process.ROOT / "dist").glob("*.whl")) if is_compiled() else []
    what = str(wheels[-1] if wheels else process.ROOT)
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", what]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"pip install: {done.stderr.strip().splitlines()[-1]}")
    names = packages(python)
    return {"packages": len(names), "mb": disk_mb(folder) - before_mb, "names": names}
