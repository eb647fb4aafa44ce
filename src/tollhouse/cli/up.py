"""``tollhouse up``: from nothing to a gateway that answers, saying on the way what it found."""

import asyncio
import ctypes
import gc
import os
import resource
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click
import uvloop

from tollhouse import config
from tollhouse.app import App
from tollhouse.books import Books
from tollhouse.catalog import store as catalog
from tollhouse.cli.assembly import Assembler, make_parts
from tollhouse.cli.home import Home, Unusable, home_or_exit, lock_home
from tollhouse.cli.options import config_option, data_option, read_settings, settings_or_exit
from tollhouse.config import Settings
from tollhouse.errors import StorageUnavailable
from tollhouse.settings.keys import Server
from tollhouse.settings.urls import is_local_address
from tollhouse.snapshot import Snapshot
from tollhouse.web.heads import json_body

_PR_SET_DUMPABLE = 4
_GC_THRESHOLD = 20_000, 50, 1000
"""A request makes hundreds of short-lived dicts and no cycles; Python's default of 700 looks for some every few."""
_LAST_PORT = 65_535
_SHOWCASE = ("tollhouse/tiny", "tollhouse/guide", "tollhouse/sim")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says over the settings."""

    config_file: Path | None
    data_dir: Path | None
    host: str | None
    port: int | None
    gguf: tuple[str, ...]
    as_json: bool

    def apply(self, settings: Settings) -> Settings:
        """The settings with the options over them."""
        server = settings.server
        server = replace(server, host=self.host or server.host, data_dir=self.data_dir or server.data_dir)
        if self.port is not None:
            server = replace(server, port=self.port, admin_port=_beside(self.port, server))
        return replace(settings, server=server, local=replace(settings.local, gguf=(*settings.local.gguf, *self.gguf)))


def _beside(port: int, server: Server) -> int:
    """The admin listener's port for another port of the API: as far from it as in the settings, and off if it is."""
    if port == 0 or server.admin_port == 0:
        return 0
    admin_port = port + server.admin_port - server.port
    return admin_port if 0 < admin_port <= _LAST_PORT else port - 1


@click.command()
@config_option
@data_option
@click.option("--host", help="Address to listen on [server.host].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API [server.port]; 0 takes a free one.")
@click.option(
    "--gguf", multiple=True, type=click.Path(exists=True, dir_okay=False), help="Serve a GGUF file (repeatable)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once the gateway answers.")
def up(
    config_file: Path | None,
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    gguf: tuple[str, ...],
    as_json: bool,
) -> None:
    """Start the gateway."""
    options = Options(config_file, data_dir, host, port, gguf, as_json)
    catalogue = catalog.load()
    settings = options.apply(settings_or_exit(config_file, catalogue))
    harden()
    gc.collect()
    gc.freeze()  # what is loaded by now stays for good: the collector need not look at it again
    gc.set_threshold(*_GC_THRESHOLD)
    home = home_or_exit(settings.server.data_dir)
    with lock_home(home.path):
        (home.path / "server.json").unlink(missing_ok=True)  # of a server that was killed: its port may be another's
        try:
            code = uvloop.run(_serve(options, settings, home))
        except StorageUnavailable as error:
            raise Unusable(f"The data folder {home.path} cannot be used: {error}") from error
    sys.exit(code)


def harden() -> None:
    """No core file, no attaching debugger of the same user (credentials are in memory), and all the file descriptors
    that the system allows.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(options: Options, settings: Settings, home: Home) -> int:
    """Runs until a signal. 0 after a drain, 1 when a second signal cut it short."""
    catalogue = catalog.load()
    assembler = await Assembler.start(settings, catalogue, config.environment())
    snapshot = await assembler.make(settings)
    parts = make_parts(assembler, snapshot, home, lambda: options.apply(read_settings(options.config_file, catalogue)))
    app = App(parts)
    try:
        ports = await app.start()
    except OSError as error:
        where = f"{settings.server.host}:{settings.server.port}"
        click.echo(f"Cannot listen on {where}: {error.strerror}. Choose another with --port N.", err=True)
        await app.stop()
        assembler.close()
        return 1
    signals = Signals(app)  # before anybody is told that there is something to stop
    key = await _first_key(options, parts.books)
    address = home.path / "server.json"
    write_address(address, settings.server.host, ports)
    _announce(options, snapshot, assembler, ports, key)
    code = await signals.drain()
    address.unlink(missing_ok=True)
    assembler.close()
    return code


def url_of(host: str, port: int) -> str:
    """Where the API answers on this machine."""
    shown = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/v1"


def write_address(file: Path, host: str, ports: tuple[int, int | None]) -> None:
    """Tells commands on this machine where the server of the data folder answers."""
    admin_url = f"http://127.0.0.1:{ports[1]}" if ports[1] is not None else None
    aside = file.with_suffix(".new")
    aside.touch(0o600)
    aside.write_bytes(json_body({"pid": os.getpid(), "url": url_of(host, ports[0]), "admin_url": admin_url}))
    aside.replace(file)


async def _first_key(options: Options, books: Books) -> str | None:
    """A key to start with, when there is none yet; for ``--json`` one of this run."""
    if len(books.keyring) == 0:
        return await books.mint("first key")
    return await books.mint_session() if options.as_json else None


class Signals:
    """What the system asks of the process: SIGTERM and SIGINT end it, a second one at once; SIGHUP reloads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        self._reloads: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_stop(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    def _on_hangup(self) -> None:
        task = asyncio.get_running_loop().create_task(self._app.parts.reloader.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def drain(self) -> int:
        """Waits for the first signal and drains. 0 after a drain, 1 when a second signal cut it short."""
        await self._stop.wait()
        drain = asyncio.create_task(self._app.drain())
        cut = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({drain, cut}, return_when=asyncio.FIRST_COMPLETED)
        cut.cancel()
        if drain.done():
            return 0
        drain.cancel()
        await self._app.stop()
        return 1


def _announce(
    options: Options, snapshot: Snapshot, assembler: Assembler, ports: tuple[int, int | None], key: str | None
) -> None:
    host = snapshot.settings.server.host
    if not is_local_address(host):
        click.echo(
            f"Warning: {host or 'every address'} can be reached from other machines, and HTTP carries keys and prompts "
            "in the clear: put TLS in front, or listen on 127.0.0.1.",
            err=True,
        )
    url = url_of(host, ports[0])
    admin_url = f"http://127.0.0.1:{ports[1]}" if ports[1] is not None else None
    listed = snapshot.names.listed()
    if options.as_json:
        line = {"url": url, "admin_url": admin_url, "key": key, "models": list(listed)}
        click.echo(json_body(line).decode())
        sys.stdout.flush()
        return
    for finding in assembler.report:
        mark = {"found": "+", "missing": "-", "skipped": "."}[finding.state]
        click.echo(f"  {mark} {finding.name}: {finding.reason}")
        if finding.fix:
            click.echo(f"      {finding.fix}")
    click.echo(f"\nTollhouse answers at {url} with {len(listed)} models ({url}/models)")
    if admin_url is not None:
        click.echo(f"Admin, metrics:    {admin_url}/metrics")
    _show_first_steps(url, key, next((name for name in _SHOWCASE if name in listed), next(iter(listed), "MODEL")))


def _show_first_steps(url: str, key: str | None, model: str) -> None:
    if key is None:
        click.echo("Key:               one you made before; make another with: tollhouse keys create NAME\n")
        key = "$TOLLHOUSE_KEY"
    else:
        click.echo(f"Key, shown once:   {key}\n")
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "What is Tollhouse?"}}]}}'
    click.echo("Try it:")
    click.echo(f"  curl {url}/chat/completions -H 'Authorization: Bearer {key}' \\")
    click.echo(f"    -H 'Content-Type: application/json' -d '{body}'\n")
    sys.stdout.flush()
