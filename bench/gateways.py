"""A gateway under test: what it is called, its process, and how to reach each upstream through it.

``running_tollhouse`` starts ours. nginx.py and peers.py make the others; the scenarios treat all of them alike.
"""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import payloads, probe, process

START_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where and how to ask for a chat completion: everything but the body's other fields."""

    port: int
    model: str
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address for tools that want one."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def encode(self) -> str:
        """The route as JSON, for the command lines of our load clients."""
        return json.dumps({"port": self.port, "path": self.path, "headers": self.head(), "model": self.model})

    def head(self) -> dict[str, str]:
        """All request headers but the length."""
        return {"Content-Type": "application/json", **self.headers}


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The ports of the two upstreams: nginx answers JSON, ours streams."""

    json: int
    stream: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """One program that forwards chat completions. ``pid`` is None for the upstream itself, asked directly."""

    name: str
    json: Route
    stream: Route
    pid: int | None = None
    start_s: float = 0.0

    def family(self) -> list[int]:
        """Its processes."""
        return [] if self.pid is None else probe.family(self.pid)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a measurement happens: the cores, the upstreams and the folder for logs and scratch files."""

    cores: probe.Cores
    upstreams: Upstreams
    folder: Path


def ask(route: Route, *, timeout_s: float = 5.0) -> dict[str, Any]:
    """One whole chat completion. Raises OSError or HTTPException (no answer) or RuntimeError (not the right one)."""
    connection = http.client.HTTPConnection("127.0.0.1", route.port, timeout=timeout_s)
    try:
        connection.request("POST", route.path, body=payloads.request(route.model), headers=route.head())
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{route.url} answered {response.status}: {body[:300]!r}")
    reply: dict[str, Any] = json.loads(body)
    if reply.get("object") != "chat.completion" or not reply["choices"][0]["message"]["content"]:
        raise RuntimeError(f"{route.url} did not answer with a chat completion: {body[:300]!r}")
    return reply


def connect(port: int) -> None:
    """Raises OSError when nobody listens on the port."""
    socket.create_connection(("127.0.0.1", port), timeout=1).close()


def wait_until_answering(program: subprocess.Popen[bytes], attempt: Callable[[], object], *, log: Path) -> None:
    """Try until the program answers. Raises RuntimeError with the end of its log when it ends or time runs out."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            attempt()
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            if program.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{error}; its log ends: {log.read_text(errors='replace')[-1500:]}") from error
            time.sleep(0.005)
        else:
            return


PLAIN = "tollhouse"
"""The door alone: hosts that cost nothing, as engines of one's own do, and safety off."""
METERED = "tollhouse, everything on"
"""Hosts that have prices, and a key that everything binds, as `metered_key` says. Safety is off here too."""
JUDGED = "tollhouse, safety on"
"""The same, and every prompt and answer judged and annotated."""
INTERPRETED = "tollhouse, interpreted"
"""What plain "tollhouse" is where nothing was compiled; measured beside it where something was."""
_PRICED = "input_usd_per_1m = 2.5\noutput_usd_per_1m = 10.0\ncontext_tokens = 128000\noutput_tokens = 16384"
_TIER = "[tiers.bench]\nrequests_per_minute = 100000000\ntokens_per_minute = 1000000000000\nconcurrent = 100000\n"


def tollhouse_config(upstreams: Upstreams, label: str = PLAIN) -> str:
    """Our configuration file: two plain OpenAI-compatible hosts, nothing discovered."""
    is_paid = label in (METERED, JUDGED)
    safety = "annotate" if label == JUDGED else "off"
    hosts = ""
    for name, port in (("bench", upstreams.json), ("paced", upstreams.stream)):
        hosts += f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}/v1"\napi_key = "sk-upstream"\n'
        if is_paid:
            hosts += f'free = false\n[providers.{name}.models."{payloads.MODEL}"]\n{_PRICED}\n\n'
        else:
            hosts += f'free = true\nmodels = ["{payloads.MODEL}"]\n\n'
    return f'{hosts}{_TIER}\n[safety]\nmode = "{safety}"\n[discovery]\nenvironment = false\nloopback = false\n'


def metered_key(data: Path) -> str:
    """A key that everything binds: a prepaid organisation, a team, a user and the key with budgets, and a tier."""

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tollhouse", *words, "--data", str(data)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    org = command("orgs", "create", "bench", "--budget", "9000000/month")
    command("credits", "grant", org, "9000000")
    team = command("teams", "create", "bench", "--org", org, "--budget", "8000000/week@Europe/Berlin")
    user = command("users", "create", "bench", "--parent", team, "--budget", "7000000/day@America/New_York")
    return command("keys", "create", "bench", "--parent", user, "--budget", "6000000", "--tier", "bench")


def running_metered(site: Site) -> AbstractContextManager[Gateway]:
    """Tollhouse with a caller whom every budget and limit binds."""
    return running_tollhouse(site, METERED)


def running_judged(site: Site) -> AbstractContextManager[Gateway]:
    """The same with safety on."""
    return running_tollhouse(site, JUDGED)


def running_interpreted(site: Site) -> AbstractContextManager[Gateway]:
    """Plain Tollhouse from its sources, which hold no machine code."""
    return running_tollhouse(site, INTERPRETED)


@contextmanager
def running_tollhouse(site: Site, label: str = PLAIN) -> Iterator[Gateway]:
    """Tollhouse on the gateway's core, with a fresh data folder. ``start_s`` ends with an answer of `tollhouse/sim`."""
    home = site.folder / f"tollhouse-{time.monotonic_ns()}"
    home.mkdir(parents=True)
    config, log = home / "tollhouse.toml", home / "tollhouse.log"
    config.touch(mode=0o600)  # it holds an upstream key, and Tollhouse insists
    config.write_text(tollhouse_config(site.upstreams, label))
    port = process.free_port()
    command = [sys.executable, "-m", "tollhouse", "up", "--port", str(port), "--data", str(home / "data")]
    env = {"PYTHONPATH": str(process.ROOT / "src")} if label == INTERPRETED else None
    began = time.monotonic()
    command += ["--config", str(config), "--json"]
    with process.running(command, core=site.cores.gateway, log=log, env=env) as program:
        sim: list[Route] = []

        def attempt() -> None:
            route = Route(port, "tollhouse/sim", headers={"Authorization": f"Bearer {_printed_key(log)}"})
            ask(route)
            sim.append(route)

        wait_until_answering(program, attempt, log=log)
        start_s = time.monotonic() - began
        headers = sim[-1].headers
        if label in (METERED, JUDGED):
            headers = {"Authorization": f"Bearer {metered_key(home / 'data')}"}
        gateway = Gateway(
            label,
            Route(port, f"bench/{payloads.MODEL}", headers=headers),
            Route(port, f"paced/{payloads.MODEL}", headers=headers),
            program.pid,
            start_s,
        )
        ask(gateway.json)
        yield gateway


def _printed_key(log: Path) -> str:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{") and '"admin_url"' in line:
            key: str = json.loads(line)["key"]
            return key
    raise RuntimeError("it has not printed its address yet")
