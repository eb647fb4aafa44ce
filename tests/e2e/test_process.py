"""The process: start, signals, reload, keys, descriptors, and the files it leaves."""

import asyncio
import json
import resource
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.process import Gateway, running, tollhouse, until
from tests.fakes.door import read_answer

SIM = {"model": "tollhouse/sim", "messages": [{"role": "user", "content": "hello"}]}


def ask(gateway: Gateway, key: str | None = None, **more: object) -> httpx.Response:
    """One completion by the simulated model."""
    headers = {"authorization": f"Bearer {key or gateway.key}"}
    return httpx.post(f"{gateway.url}/chat/completions", json={**SIM, **more}, headers=headers, timeout=20)


async def open_stream(gateway: Gateway, **script: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Starts a scripted stream and leaves it running."""
    body = json.dumps({**SIM, "stream": True, "tollhouse_sim": script}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {gateway.key}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return reader, writer


async def test_f83_sigterm_lets_every_live_stream_finish_and_exits_0(tmp_path: Path) -> None:
    """Two hundred streams run when the signal comes; each ends complete, not ready is said at once, nothing new is
    taken, and the exit code is 0.
    """
    with running(tmp_path) as gateway:
        streams = [await open_stream(gateway, tokens=40, tps=20) for _ in range(200)]
        await asyncio.gather(*[reader.readuntil(b"data: ") for reader, _ in streams])
        ready = await asyncio.open_connection("127.0.0.1", gateway.port)
        gateway.signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        probe = await asyncio.to_thread(httpx.get, gateway.url.removesuffix("/v1") + "/readyz")
        assert (probe.status_code, probe.json()["problems"]) == (503, ["draining"])
        await asyncio.sleep(0.6)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", gateway.port)).close()
        ends = await asyncio.gather(*[reader.read(-1) for reader, _ in streams])
        assert all(end.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for end in ends)
        assert all(end.count(b'"content":') >= 39 for end in ends)
        for _, writer in [*streams, ready]:
            writer.close()
        assert await asyncio.to_thread(gateway.wait) == 0


async def test_f84_streams_longer_than_the_drain_are_told_and_the_exit_is_0(tmp_path: Path) -> None:
    """At the limit a stream ends with ``server_draining``, without [DONE]."""
    with running(tmp_path, "[server]\ndrain_s = 0.5") as gateway:
        reader, writer = await open_stream(gateway, tokens=10_000, tps=10)
        await reader.readuntil(b"data: ")
        gateway.signal(signal.SIGTERM)
        end = await reader.read(-1)
        assert b'data: {"error":' in end
        assert b"server_draining" in end
        assert b"[DONE]" not in end
        writer.close()
        assert await asyncio.to_thread(gateway.wait, 3.5) == 0


async def test_f85_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A second signal does not wait for streams."""
    with running(tmp_path) as gateway:
        reader, writer = await open_stream(gateway, tokens=10_000, tps=5)
        await reader.readuntil(b"data: ")
        gateway.signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        gateway.signal(signal.SIGINT)
        assert await asyncio.to_thread(gateway.wait, 3.0) == 1
        writer.close()


async def test_readyz_says_503_while_draining(tmp_path: Path) -> None:
    """On a connection that is open already, /readyz turns to 503 with the signal; /healthz stays 200."""
    with running(tmp_path) as gateway:
        admin = httpx.AsyncClient(base_url=gateway.admin_url)
        assert (await admin.get("/readyz")).status_code == 200
        reader, writer = await open_stream(gateway, tokens=30, tps=20)
        await reader.readuntil(b"data: ")
        gateway.signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        answer = await admin.get("/readyz")
        assert (answer.status_code, answer.json()["problems"]) == (503, ["draining"])
        assert (await admin.get("/healthz")).status_code == 200
        await reader.read(-1)
        writer.close()
        await admin.aclose()
        assert await asyncio.to_thread(gateway.wait) == 0


def test_keys_are_made_listed_and_revoked_beside_a_running_server(tmp_path: Path) -> None:
    """A key of the command line works within seconds, and a revoked one stops within five."""
    with running(tmp_path) as gateway:
        data = ("--data", str(tmp_path / "data"))
        made = json.loads(tollhouse("keys", "create", "laptop", "--json", *data).stdout)
        until(lambda: ask(gateway, made["key"]).status_code == 200, within_s=5)
        listed = tollhouse("keys", "list", *data).stdout
        assert "laptop" in listed
        assert made["key"] not in listed
        assert tollhouse("keys", "revoke", made["id"], *data).returncode == 0
        until(lambda: ask(gateway, made["key"]).status_code == 401, within_s=5)
        assert ask(gateway).status_code == 200
        assert tollhouse("keys", "revoke", made["id"], *data).returncode == 1


def test_the_data_folder_is_its_owners_and_is_taken_by_one_server(tmp_path: Path) -> None:
    """Nothing in the folder can be read by others, and a second server on it is refused."""
    with running(tmp_path) as gateway:
        data = tmp_path / "data"
        assert data.stat().st_mode & 0o077 == 0
        for path in data.iterdir():
            assert path.name == "server.lock" or path.stat().st_mode & 0o077 == 0, path
        second = tollhouse("up", "--port", "0", "--data", str(data))
        assert second.returncode == 1
        assert "Another Tollhouse" in second.stderr
        assert gateway.process.poll() is None


def test_s22_no_core_no_debugger_and_no_secret_in_argv(tmp_path: Path) -> None:
    """Core files are off, the process is not dumpable, and its arguments hold no key."""
    with running(tmp_path) as gateway:
        pid = gateway.process.pid
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert gateway.key.encode() not in arguments
        assert Path(f"/proc/{pid}/environ").stat().st_uid == 0


def test_f110_a_bad_configuration_changes_nothing_and_is_reported(tmp_path: Path) -> None:
    """A broken file is refused with every problem, shown by /admin/config, while the old settings serve on; a good one
    is taken without a restart. Both are noticed without a word, and at once where they are told.
    """
    good = '[models]\nmine = "tollhouse/sim"\n'
    with running(tmp_path, good) as gateway:
        headers = {"authorization": f"Bearer {(tmp_path / 'data' / 'admin.key').read_text()}"}
        file = tmp_path / "tollhouse.toml"

        def last() -> dict[str, object]:
            found = httpx.get(f"{gateway.admin_url}/admin/config", headers=headers).json()["last_reload"]
            assert isinstance(found, dict)
            return found

        def becomes(result: str) -> None:
            until(lambda: last()["result"] == result, within_s=5)

        file.write_text("[models\n")
        becomes("invalid")
        file.write_text(good)
        becomes("ok")
        for broken in ("[nonsense]\nx = 1\n", '[server]\nport = "x"\n[providers.a]\nurl = 1\n', "#" * 2_000_000):
            for text, result in ((broken, "invalid"), (good, "ok")):
                file.write_text(text)
                httpx.post(f"{gateway.admin_url}/admin/reload", headers=headers)
                becomes(result)
                assert bool(last()["problems"]) is (text is broken)
                assert ask(gateway, model="mine").status_code == 200
        file.write_text('[models]\nother = "tollhouse/sim"\n[discovery]\nenvironment = false\nloopback = false\n')
        until(lambda: ask(gateway, model="other").status_code == 200, within_s=5)
        assert ask(gateway, model="mine").status_code == 404
        assert len(gateway.records("config_invalid")) == 4


def test_the_admin_listener_wants_the_admin_key(tmp_path: Path) -> None:
    """Without the key in the data folder nothing under /admin is answered, and the API's port has no such pages."""
    with running(tmp_path) as gateway:
        assert httpx.get(f"{gateway.admin_url}/admin/config").status_code == 401
        wrong = httpx.post(f"{gateway.admin_url}/admin/reload", headers={"authorization": f"Bearer {gateway.key}"})
        assert wrong.status_code == 403
        assert httpx.get(f"{gateway.url.removesuffix('/v1')}/admin/config").status_code == 404
        assert "tollhouse_requests_total" in httpx.get(f"{gateway.admin_url}/metrics").text


async def test_f107_running_out_of_descriptors_is_survived(tmp_path: Path) -> None:
    """With 256 descriptors and 400 connections the process lives, and serves as soon as some are closed."""
    with running(tmp_path) as gateway:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        sockets = [socket.socket() for _ in range(400)]
        for one in sockets:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", gateway.port))
        await asyncio.sleep(0.5)
        assert gateway.process.poll() is None
        for one in sockets:
            one.close()
        for _ in range(50):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
            try:
                assert (await asyncio.wait_for(read_answer(reader), 2)).status == 200
                break
            except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.1)
            finally:
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        else:
            raise AssertionError("the gateway did not recover")


def test_a_bad_configuration_does_not_start_and_says_everything_at_once(tmp_path: Path) -> None:
    """``up`` and ``check`` end with 78 and list each problem with its path and fix."""
    file = tmp_path / "bad.toml"
    file.write_text('[server]\nprot = 1\nport = -4\n[providers.x]\napi_key = "env:NOT_SET_ANYWHERE"\n')
    for command in (["up", "--config"], ["check"]):
        result = tollhouse(*command, str(file), cwd=tmp_path)
        assert result.returncode == 78
        for path in ("server.prot", "server.port", "providers.x"):
            assert path in result.stderr
        assert "fix:" in result.stderr


def test_init_writes_a_file_that_check_accepts_and_never_overwrites(tmp_path: Path) -> None:
    """The commented file is valid as it is, private, and left alone when it exists."""
    assert tollhouse("init", cwd=tmp_path).returncode == 0
    file = tmp_path / "tollhouse.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert tollhouse("check", str(file)).returncode == 0
    assert tollhouse("init", cwd=tmp_path).returncode == 1
    assert file.exists()


def test_metrics_behind_a_proxy_on_this_machine_want_the_admin_key(tmp_path: Path) -> None:
    """A forwarded request is a stranger's, though its peer is loopback."""
    with running(tmp_path) as gateway:
        url = gateway.url.removesuffix("/v1") + "/metrics"
        assert httpx.get(url).status_code == 200
        assert httpx.get(url, headers={"x-forwarded-for": "203.0.113.9"}).status_code == 401


def test_a_port_that_is_taken_loses_no_key(tmp_path: Path) -> None:
    """A first start that cannot listen makes no key, so the next one still shows the first."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        failed = tollhouse("up", "--port", port, "--data", str(tmp_path / "data"))
    assert failed.returncode == 1
    assert "--port N" in failed.stderr
    assert "No keys yet" in tollhouse("keys", "list", "--data", str(tmp_path / "data")).stderr
