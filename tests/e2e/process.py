"""A real ``tollhouse up`` in a process of its own, for tests of what only a process has: signals, exit codes, SDKs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRON = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}


@dataclass
class Gateway:
    """A running process and what it printed."""

    process: subprocess.Popen[str]
    url: str
    admin_url: str
    key: str
    models: list[str]
    log: Path

    @property
    def port(self) -> int:
        """The API's port."""
        return int(self.url.rsplit(":", 1)[1].split("/")[0])

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def wait(self, within_s: float = 20.0) -> int:
        """The exit code."""
        return self.process.wait(within_s)

    def records(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


def tollhouse(*arguments: str, cwd: Path | None = None, environ: dict[str, str] | None = None, text: str = "") -> Any:
    """Runs a command to its end."""
    command = [sys.executable, "-m", "tollhouse", *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=cwd,
        env={**ENVIRON, **(environ or {})},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


CALM = """[routing]
same_target_retries = 0
breaker_failures = 1000
breaker_ratio = 1.0
ejection_ratio = 1.0
key_bad_s = 1
cooldown_base_s = 0.05
cooldown_max_s = 0.05
"""
"""One test's faults are nothing to the next, though they share a gateway."""


@contextmanager
def running(folder: Path, config: str = "", *options: str, environ: dict[str, str] | None = None) -> Iterator[Gateway]:
    """``tollhouse up --json`` on free ports, killed at the end if it still runs."""
    file, log = folder / "tollhouse.toml", folder / "log.txt"
    calm = "" if "[routing]" in config else CALM
    file.write_text(f"{config}\n{calm}[discovery]\nenvironment = false\nloopback = false\n")
    file.chmod(0o600)
    arguments = ["up", "--json", "--port", "0", "--config", str(file), "--data", str(folder / "data"), *options]
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "tollhouse", *arguments],
            env={**ENVIRON, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        said = json.loads(line)
        yield Gateway(process, said["url"], said["admin_url"], said["key"], said["models"], log)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def until(condition: Any, within_s: float = 10.0) -> None:
    """Waits until a condition holds; fails when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
