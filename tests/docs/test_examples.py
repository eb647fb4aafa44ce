"""The programs in ``examples``, run as they stand against a running gateway."""

import sys
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, links
from tests.e2e.node import run_node
from tests.e2e.process import ENVIRON, Gateway, running, tollhouse
from tests.e2e.test_readme import run

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> "object":
    """The environment that examples/README.md describes."""
    with running(tmp_path_factory.mktemp("examples")) as gateway:
        yield variables(gateway)


def variables(gateway: Gateway) -> dict[str, str]:
    """Address and key as the SDKs read them."""
    return {**ENVIRON, "OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": gateway.key}


def test_the_tool_loop(environ: dict[str, str], tmp_path: Path) -> None:
    """It calls the function with the city of the question, and ends with a text."""
    lines = run([sys.executable, str(EXAMPLES / "tools.py")], environ, tmp_path).splitlines()
    assert lines[0] == "weather({'city': 'Paris'}) -> Sunny in Paris, 21 degrees."
    assert len(lines[-1]) > 10


def test_structured_output(environ: dict[str, str], tmp_path: Path) -> None:
    """The small model's answer fits the schema."""
    said = run_node(tmp_path, (EXAMPLES / "structured.mjs").read_text(), environ)
    assert said.startswith("{")
    assert said.splitlines()[-1].startswith("mood ")


def test_failures(environ: dict[str, str], tmp_path: Path) -> None:
    """Each failure is the exception that the example's reader should expect."""
    lines = run([sys.executable, str(EXAMPLES / "failures.py")], environ, tmp_path).splitlines()
    assert lines == [
        "a good answer: 'All is well.'",
        "a rate limit: RateLimitError 429 rate_limit_exceeded, wait 7 s",
        "a host that fails: InternalServerError 502 upstream_bad_response",
        "a stream that is cut: APIError upstream_interrupted",
        "a stream that fails: APIError upstream_unavailable",
        "a model that is slow: APITimeoutError ",
    ]


def test_the_configuration(tmp_path: Path) -> None:
    """``tollhouse check`` accepts the team's configuration."""
    keys = {"OPENAI_API_KEY": "sk-x", "ANTHROPIC_API_KEY": "sk-y"}
    checked = tollhouse("check", str(EXAMPLES / "tollhouse.toml"), cwd=tmp_path, environ=keys)
    assert checked.returncode == 0, checked.stderr


def test_every_example_is_listed() -> None:
    """examples/README.md has each file."""
    files = {path.name for path in EXAMPLES.iterdir()} - {"README.md"}
    assert set(links(EXAMPLES / "README.md")) == files
