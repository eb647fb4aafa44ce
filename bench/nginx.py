"""nginx in two parts: the upstream that answers every request with the same JSON, and the baseline `proxy_pass`.

Each is one process (``master_process off``), so that its CPU is the CPU of the work and it fits one core.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import payloads, process
from bench.gateways import Gateway, Route, Site, Upstreams, ask, wait_until_answering

_FRAME = """
daemon off;
master_process off;
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
worker_rlimit_nofile 40000;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""

_UPSTREAM = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            default_type application/json;
            return 200 '{body}';
        }}
    }}
"""

_PROXY = """
    upstream json {{ server 127.0.0.1:{json}; keepalive 512; keepalive_requests 1000000000; }}
    upstream stream {{ server 127.0.0.1:{stream}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization "Bearer sk-upstream";
        location /json/ {{ proxy_pass http://json/; }}
        location /stream/ {{ proxy_pass http://stream/; proxy_buffering off; }}
    }}
"""


def _write(folder: Path, servers: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(_FRAME.format(folder=folder, servers=servers))
    return ["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]


@contextmanager
def running_upstream(folder: Path, *, core: int) -> Iterator[int]:
    """The JSON upstream; yields its port once it answers."""
    port = process.free_port()
    command = _write(folder, _UPSTREAM.format(port=port, body=payloads.reply().decode()))
    log = folder / "nginx.log"
    with process.running(command, core=core, log=log) as program:
        wait_until_answering(program, lambda: ask(Route(port, payloads.MODEL)), log=log)
        yield port


@contextmanager
def running_proxy(site: Site) -> Iterator[Gateway]:
    """The baseline: nginx forwards the same requests to the same upstreams, reading neither."""
    port = process.free_port()
    folder, ports = site.folder / "proxy", site.upstreams
    command = _write(folder, _PROXY.format(port=port, json=ports.json, stream=ports.stream))
    log = folder / "nginx.log"
    with process.running(command, core=site.cores.gateway, log=log) as program:
        json_route = Route(port, payloads.MODEL, "/json/v1/chat/completions")
        stream_route = Route(port, payloads.MODEL, "/stream/v1/chat/completions")
        wait_until_answering(program, lambda: ask(json_route), log=log)
        yield Gateway("nginx", json_route, stream_route, program.pid)


def direct(upstreams: Upstreams) -> Gateway:
    """No gateway at all: the upstreams themselves, for what the client and they cost alone."""
    return Gateway("direct", Route(upstreams.json, payloads.MODEL), Route(upstreams.stream, payloads.MODEL))
