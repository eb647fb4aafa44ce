"""``tollhouse up``: what the command line says over the settings, and what is printed."""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.process import ENVIRON, running, tollhouse
from tests.fakes.chaos import closed_port
from tollhouse.cli.up import Options
from tollhouse.config import Settings
from tollhouse.engines.local import TINY_PATH
from tollhouse.settings.keys import Local, Server

NONE = Options(None, None, None, None, (), as_json=False)


def applied(server: Server, **options: Any) -> Server:
    """The server's settings under these options."""
    given = {"config_file": None, "data_dir": None, "host": None, "port": None, "gguf": (), "as_json": False, **options}
    return Options(**given).apply(Settings(server=server)).server


@pytest.mark.parametrize(
    ("declared", "port", "ports"),
    [
        ((8787, 8788), None, (8787, 8788)),
        ((8787, 8788), 9000, (9000, 9001)),
        ((8787, 8788), 8788, (8788, 8789)),
        ((8787, 9787), 80, (80, 1080)),
        ((8787, 8788), 0, (0, 0)),
        ((8787, 0), 9000, (9000, 0)),
        ((8787, 0), 100, (100, 0)),
        ((8787, 8788), 65_535, (65_535, 65_534)),
        ((8787, 80), 8000, (8000, 7999)),
    ],
)
def test_the_admin_port_goes_with_the_port(declared: tuple[int, int], port: int | None, ports: tuple[int, int]) -> None:
    """It stays as far away as in the settings, is always a port that exists, and stays off where it is off."""
    server = applied(Server(port=declared[0], admin_port=declared[1]), port=port)
    assert (server.port, server.admin_port) == ports


def test_options_are_over_the_settings_and_files_are_added(tmp_path: Path) -> None:
    """Host and folder replace, GGUF files join those of the file, and without options all stays as it is."""
    settings = Settings(local=Local(gguf=("/a.gguf",)))
    assert NONE.apply(settings) == settings
    options = Options(None, tmp_path, "::1", None, ("/b.gguf",), as_json=True)
    over = options.apply(settings)
    assert (over.server.host, over.server.data_dir) == ("::1", tmp_path)
    assert over.local.gguf == ("/a.gguf", "/b.gguf")


def test_a_line_of_json_tells_a_program_all_it_needs(tmp_path: Path) -> None:
    """Exactly url, admin_url, key and models; the key works, the models are those of the API, the folder is made."""
    with running(tmp_path, '[models]\nmine = "tollhouse/sim"\n[embedded]\ntiny = false') as gateway:
        headers = {"authorization": f"Bearer {gateway.key}"}
        listed = httpx.get(f"{gateway.url}/models", headers=headers).json()["data"]
        assert [model["id"] for model in listed] == gateway.models
        assert gateway.models[0] == "mine"
        assert httpx.get(f"{gateway.admin_url}/healthz").json() == {"status": "ok"}
        assert gateway.url.startswith("http://127.0.0.1:")
        assert gateway.url.endswith("/v1")
        assert (tmp_path / "data" / "tollhouse.db").exists()


def test_each_later_start_has_a_key_of_its_own(tmp_path: Path) -> None:
    """The first start makes a key that stays; a later one with --json makes one for its run, which the next ends."""
    data = ("--data", str(tmp_path / "data"))
    keys: list[str] = []
    for run in range(3):
        with running(tmp_path) as gateway:
            keys.append(gateway.key)
            works = []
            for key in keys:
                headers = {"authorization": f"Bearer {key}"}
                works.append(httpx.get(f"{gateway.url}/models", headers=headers).status_code == 200)
            assert works == [[True], [True, True], [True, False, True]][run]
            listed = tollhouse("keys", "list", *data).stdout.splitlines()
            assert sum("active" in line for line in listed) == min(run + 1, 2)


def test_a_file_given_on_the_command_line_is_served(tmp_path: Path) -> None:
    """--gguf may be given twice; each file answers under its own name, and one that is no model is only reported."""
    paths = [tmp_path / "one.gguf", tmp_path / "two.gguf", tmp_path / "broken.gguf"]
    for path in paths[:2]:
        path.symlink_to(TINY_PATH)
    paths[2].write_bytes(b"nothing")
    options = [text for path in paths for text in ("--gguf", str(path))]
    with running(tmp_path, "[embedded]\ntiny = false\n[local]\ncontext_tokens = 128", *options) as gateway:
        assert gateway.models[:2] == ["one", "two"]
        assert "broken" not in gateway.models
        for name in ("one", "two"):
            body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
            headers = {"authorization": f"Bearer {gateway.key}"}
            answer = httpx.post(f"{gateway.url}/chat/completions", json=body, headers=headers, timeout=20)
            assert (answer.status_code, answer.json()["model"]) == (200, name)


def test_for_people_it_prints_what_was_found_and_a_line_to_try(tmp_path: Path) -> None:
    """The report, the URL, the key shown once, and a curl line; a later start shows no key."""
    command = [sys.executable, "-m", "tollhouse", "up", "--port", "0", "--data", str(tmp_path / "d")]
    environ = {**ENVIRON, "TOLLHOUSE_DISCOVERY_LOOPBACK": "false", "TOLLHOUSE_DISCOVERY_ENVIRONMENT": "false"}
    for attempt in range(2):
        with ExitStack() as stack:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            said = ""
            while "Content-Type" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
        assert "  + tollhouse/sim: " in said
        assert "Tollhouse answers at http://127.0.0.1:" in said
        assert ("Key, shown once:   sk-th-" in said) is (attempt == 0)
        assert ("$TOLLHOUSE_KEY" in said) is (attempt == 1)
        assert "curl http://127.0.0.1:" in said


def test_a_taken_port_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """The address is named; nothing keeps running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = tollhouse("up", "--port", str(port), "--data", str(tmp_path / "d"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"Cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.parametrize("options", [["--port", "65536"], ["--port", "x"], ["--config", "none"], ["--gguf", "none"]])
def test_options_that_cannot_be_are_refused_before_anything_starts(tmp_path: Path, options: list[str]) -> None:
    """A usage error is exit code 2 and names the option."""
    result = tollhouse("up", *options, cwd=tmp_path)
    assert result.returncode == 2
    assert options[0] in result.stderr


def test_the_configuration_may_be_named_by_a_variable(tmp_path: Path) -> None:
    """TOLLHOUSE_CONFIG stands for --config, and TOLLHOUSE_SECTION_KEY is over the file."""
    file = tmp_path / "t.toml"
    file.write_text(f"[server]\nport = {closed_port()}\nadmin_port = 0\nhost = 'not an address'\n")
    result = tollhouse("up", environ={"TOLLHOUSE_CONFIG": str(file)})
    assert result.returncode == 78
    assert "server.host" in result.stderr
    result = tollhouse("check", str(file), environ={"TOLLHOUSE_SERVER_HOST": "127.0.0.1"})
    assert result.returncode == 0
    assert json.dumps(str(file)).strip('"') in result.stdout
