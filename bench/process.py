"""Programs under measurement: started on one core with ``taskset``, stopped by the process group we made for them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STOP_TIMEOUT_S = 10.0


_PORTS = count(18_000 + os.getpid() % 6000 * 2, 2)
"""Below the range from which the kernel takes ports for outgoing connections, of which a benchmark makes thousands."""


def free_port() -> int:
    """A loopback port on which nobody listens at this moment; nor on the next one, which Tollhouse uses for itself."""
    while True:
        port = next(_PORTS)
        if _is_free(port) and _is_free(port + 1):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command, held to one core."""
    return ["taskset", "--cpu-list", str(core), *command]


@contextmanager
def running(
    command: Sequence[str], *, core: int, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; its output goes to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        program = subprocess.Popen(
            pinned(core, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=None if env is None else {**os.environ, **env},
        )
    try:
        yield program
    finally:
        stop(program)


def stop(program: subprocess.Popen[bytes]) -> None:
    """Ask the program's group to end, then make it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if program.poll() is not None:
            return
        os.killpg(program.pid, number)
        try:
            program.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line of a module of this package."""
    return [sys.executable, "-m", module, *arguments]


def call_client(module: str, arguments: Sequence[str], *, core: int, timeout_s: float) -> dict[str, Any]:
    """Run one of our load clients to its end and read the JSON object it prints.

    Raises RuntimeError with the client's own words when it fails.
    """
    done = subprocess.run(
        pinned(core, python_module(module, *arguments)),
        capture_output=True,
        cwd=ROOT,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module}: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
