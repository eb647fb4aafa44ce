"""The README's examples, run as they stand against a running gateway. Nothing in them is replaced: the address and the
key come through the two environment variables that the README tells its reader to set.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import README, ROOT, block
from tests.e2e.node import run_node
from tests.e2e.process import ENVIRON, Gateway, running, tollhouse


@pytest.fixture(scope="module")
def environ(gateway: Gateway) -> dict[str, str]:
    """The environment that the README describes."""
    names = re.findall(r"^export (\w+)=", block(README, "sh", "Call it"), re.MULTILINE)
    assert names == ["OPENAI_BASE_URL", "OPENAI_API_KEY"]
    return {**ENVIRON, "OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": gateway.key}


def run(command: list[str], environ: dict[str, str], folder: Path) -> str:
    """A program's standard output; it must succeed."""
    done = subprocess.run(  # noqa: S603 - the README's own text
        command, env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_example(environ: dict[str, str], tmp_path: Path) -> None:
    """Curl gets a completion of the small real model."""
    answer: dict[str, Any] = json.loads(run(["bash", "-ec", block(README, "sh", "curl")], environ, tmp_path))
    assert answer["model"] == "tollhouse/tiny"
    assert answer["choices"][0]["message"]["content"]


def test_the_python_example(environ: dict[str, str], tmp_path: Path) -> None:
    """The Python example streams the guide's answer to its question, which is in the documentation."""
    file = tmp_path / "example.py"
    file.write_text(block(README, "python", "Python"))
    said = run([sys.executable, str(file)], environ, tmp_path)
    assert "tollhouse keys create" in said
    assert "Sources:" in said


def test_the_node_example(environ: dict[str, str], tmp_path: Path) -> None:
    """The Node example prints a tool call whose arguments are JSON."""
    said = run_node(tmp_path, block(README, "js", "Node"), environ)
    assert "name: 'weather'" in said
    assert "city" in said


def test_the_configuration_example_is_valid(tmp_path: Path) -> None:
    """``tollhouse check`` accepts it, given the variable that it names."""
    file = tmp_path / "tollhouse.toml"
    file.write_text(block(README, "toml", "Configure it"))
    checked = tollhouse("check", str(file), environ={"VLLM_KEY": "sk-x"})
    assert checked.returncode == 0, checked.stderr
    missing = tollhouse("check", str(file))
    assert (missing.returncode, "VLLM_KEY" in missing.stderr) == (78, True)


def plain(text: str) -> list[str]:
    """The lines of a start, with what differs from start to start made equal."""
    text = re.sub(r"sk-th-[\w.-]+", "KEY", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def start(folder: Path) -> str:
    """What ``tollhouse up`` prints to people who have no key, up to its last line."""
    file = folder / "tollhouse.toml"
    file.write_text("[discovery]\nloopback = false\n")
    command = [
        sys.executable,
        "-m",
        "tollhouse",
        "up",
        "--port",
        "0",
        "--config",
        str(file),
        "--data",
        str(folder / "d"),
    ]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.lstrip().startswith("-H 'Content-Type"):
                break
        process.terminate()
        process.stdout.read()
    return said


def test_the_transcript_is_what_a_start_prints(tmp_path: Path) -> None:
    """Each line of the README's transcript is printed, in that order, by a start on a machine without keys."""
    shown = plain(block(README, "console", "Run it"))
    assert shown[0] == "$ scripts/serve"
    printed = iter(plain(start(tmp_path)))
    for line in shown[1:]:
        assert any(line == other for other in printed), line


def test_the_printed_curl_line_answers(tmp_path: Path) -> None:
    """What the start tells its user to try works as it is printed."""
    with running(tmp_path) as gateway:
        model = gateway.models[0]
        shown = block(README, "console", "Run it")
        line = shown[shown.index("  curl ") :].replace("http://127.0.0.1:8787/v1", gateway.url)
        line = line.replace("sk-th-...", gateway.key)
        answer = json.loads(run(["bash", "-ec", line], ENVIRON, tmp_path))
        assert answer["model"] == model == "tollhouse/tiny"
        assert answer["choices"][0]["message"]["content"]


def test_the_two_commands_exist() -> None:
    """The commands that the README begins with are scripts of the repository that can be run."""
    commands = re.findall(r"^(scripts/\w+)", block(README, "sh", "Run it"), re.MULTILINE)
    assert commands == ["scripts/serve", "scripts/test"]
    for command in [*commands, "scripts/check", "scripts/docs"]:
        assert (ROOT / command).stat().st_mode & 0o111, command


def test_the_readmes_commands_about_money_do_what_it_says(tmp_path: Path) -> None:
    """Organisation, grant, key, balance, usage and verification work as they stand, beside a running server."""
    commands = block(README, "sh", "Say who may spend what")
    function = f'tollhouse() {{ "{sys.executable}" -m tollhouse "$@"; }}\n'
    with running(tmp_path) as gateway:
        environ = {**ENVIRON, "TOLLHOUSE_SERVER_DATA_DIR": str(tmp_path / "data")}
        said = run(["bash", "-ec", function + commands], environ, tmp_path)
        assert gateway
    assert "25.00" in said
    assert "sk-th-" in said
