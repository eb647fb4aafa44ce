"""The peers, installed from their own packages under .cache/bench: LiteLLM's proxy and Portkey's gateway.

Each is set up as its documentation says for one process, with nothing optional switched on, in front of our upstreams.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from bench import footprint, payloads, process
from bench.gateways import Gateway, Route, Site, ask, wait_until_answering

CACHE = process.ROOT / ".cache" / "bench"
_LITELLM = CACHE / "litellm"
_PORTKEY = CACHE / "portkey"
_PORTKEY_START = _PORTKEY / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
_KEY = "sk-bench-peer"

# Portkey 1.15.2 asks for any 1.x of its HTTP server. From 1.14 on, that server hands back the immutable headers of a
# fetched response, and Portkey answers every stream with 500. 1.13.8 is the newest with which its streams work.
_PORTKEY_PACKAGE = {"name": "bench-portkey", "private": True, "overrides": {"@hono/node-server": "1.13.8"}}


def _litellm_config(site: Site) -> str:
    """https://docs.litellm.ai/docs/proxy/configs: YAML, of which JSON is a part."""
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{payloads.MODEL}",
                "api_base": f"http://127.0.0.1:{port}/v1",
                "api_key": "sk-upstream",
            },
        }
        for name, port in (("json", site.upstreams.json), ("stream", site.upstreams.stream))
    ]
    return json.dumps({"model_list": models, "general_settings": {"master_key": _KEY}})


def install_litellm() -> None:
    """A virtual environment with ``litellm[proxy]``; kept when it is already there."""
    if (_LITELLM / "bin" / "litellm").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(_LITELLM)], check=True)
    subprocess.run([str(_LITELLM / "bin" / "pip"), "install", "--quiet", "litellm[proxy]"], check=True)


@contextmanager
def running_litellm(site: Site) -> Iterator[Gateway]:
    """One worker, a master key, no database."""
    folder = site.folder / "litellm"
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "config.yaml", folder / "litellm.log"
    config.write_text(_litellm_config(site))
    port = process.free_port()
    command = [str(_LITELLM / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    env = {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    headers = {"Authorization": f"Bearer {_KEY}"}
    route = Route(port, "json", headers=headers)
    began = time.monotonic()
    with process.running([*command, "--num_workers", "1"], core=site.cores.gateway, log=log, env=env) as program:
        wait_until_answering(program, lambda: ask(route), log=log)
        start_s = time.monotonic() - began
        yield Gateway("litellm", route, Route(port, "stream", headers=headers), program.pid, start_s)


def install_portkey() -> None:
    """A folder with ``@portkey-ai/gateway``; kept when it is already there."""
    if _PORTKEY_START.exists():
        return
    _PORTKEY.mkdir(parents=True, exist_ok=True)
    (_PORTKEY / "package.json").write_text(json.dumps(_PORTKEY_PACKAGE))
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "@portkey-ai/gateway"]
    subprocess.run(command, check=True, cwd=_PORTKEY)


@contextmanager
def running_portkey(site: Site) -> Iterator[Gateway]:
    """One Node process without its console; the host is named by header, as its documentation has it."""
    log = site.folder / "portkey" / "portkey.log"
    port = process.free_port()

    def route(upstream: int) -> Route:
        host = f"http://127.0.0.1:{upstream}/v1"
        headers = {"Authorization": "Bearer sk-upstream", "x-portkey-provider": "openai", "x-portkey-custom-host": host}
        return Route(port, payloads.MODEL, headers=headers)

    json_route = route(site.upstreams.json)
    command = ["node", str(_PORTKEY_START), f"--port={port}", "--headless"]
    began = time.monotonic()
    with process.running(command, core=site.cores.gateway, log=log, env={"NODE_ENV": "production"}) as program:
        wait_until_answering(program, lambda: ask(json_route), log=log)
        start_s = time.monotonic() - began
        yield Gateway("portkey", json_route, route(site.upstreams.stream), program.pid, start_s)


def _count_python() -> int:
    return len(footprint.packages(_LITELLM / "bin" / "python"))


def _count_node() -> int:
    lock = json.loads((_PORTKEY / "package-lock.json").read_text())
    return len(lock["packages"]) - 1  # The first entry is the folder itself.


def versions() -> dict[str, str]:
    """The versions of those peers that are installed."""
    found = {}
    for package in _LITELLM.glob("lib/*/site-packages/litellm-[0-9]*.dist-info"):
        found["LiteLLM"] = package.name.removeprefix("litellm-").removesuffix(".dist-info")
    if _PORTKEY_START.exists():
        found["Portkey"] = json.loads((_PORTKEY_START.parent.parent / "package.json").read_text())["version"]
    return found


def _python_mb() -> float:
    """What the virtual environment holds beside the installer it was made with."""
    installer = [path for name in ("pip", "setuptools") for path in _LITELLM.glob(f"lib/*/site-packages/{name}")]
    return footprint.disk_mb(_LITELLM / "lib") - sum(map(footprint.disk_mb, installer))


def _node_mb() -> float:
    return footprint.disk_mb(_PORTKEY / "node_modules")


@dataclass(frozen=True, slots=True)
class Peer:
    """How to install, run and weigh one peer."""

    name: str
    install: Callable[[], None]
    running: Callable[[Site], AbstractContextManager[Gateway]]
    packages: Callable[[], int]
    installed_mb: Callable[[], float]


PEERS = (
    Peer("litellm", install_litellm, running_litellm, _count_python, _python_mb),
    Peer("portkey", install_portkey, running_portkey, _count_node, _node_mb),
)
