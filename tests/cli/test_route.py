"""``tollhouse route``: where a request would go, and how the hosts are."""

import json
from pathlib import Path

from tests.cli.terminal import host, run, settings
from tests.e2e.backstage import Backstage


def test_explain_names_the_target_and_says_why(tmp_path: Path, stage: Backstage) -> None:
    """For a request in a file: what is chosen, what it needs, and every candidate with its reason; nothing is sent."""
    asked = tmp_path / "request.json"
    asked.write_text(json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}))
    result = run("route", "explain", str(asked), "--config", settings(tmp_path, host(stage)))
    assert result.exit_code == 0, result.stderr
    assert "strategy" in result.stdout
    assert "chosen" in result.stdout
    assert not stage.bodies


def test_explain_as_json_is_the_page(tmp_path: Path, stage: Backstage) -> None:
    """The same as POST /v1/route/explain, for another model than the request's."""
    asked = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
    words = ("route", "explain", "-", "--model", "m", "--json", "--config", settings(tmp_path, host(stage)))
    result = run(*words, text=asked)
    page = json.loads(result.stdout)
    assert (page["model"], page["error"], result.exit_code) == ("m", None, 0)
    assert [row["code"] for row in page["candidates"]] == ["chosen"]


def test_explain_of_a_message_alone(tmp_path: Path, stage: Backstage) -> None:
    """A question is enough to be told."""
    words = ("--model", "m", "--message", "hi", "--config", settings(tmp_path, host(stage)))
    assert run("route", "explain", *words).exit_code == 0


def test_explain_refuses_what_is_no_request(tmp_path: Path) -> None:
    """No request, no JSON, no object, no such model: each is an error that says so."""
    at = ("--config", settings(tmp_path))
    assert "Give the request" in run("route", "explain", *at).stderr
    assert "not JSON" in run("route", "explain", "-", *at, text="{").stderr
    assert "not a JSON object" in run("route", "explain", "-", *at, text="[]").stderr
    missing = run("route", "explain", "--model", "tollhouse/sin", "--message", "hi", *at)
    assert (missing.exit_code, "does not exist" in missing.stderr) == (1, True)
    assert run("route", "explain", "--message", "hi", "--url", "http://127.0.0.1:9/v1", *at).exit_code == 2


def test_health_without_a_server_is_empty(tmp_path: Path) -> None:
    """Nothing has been asked by a command that serves itself."""
    result = run("route", "health", "--config", settings(tmp_path), "--data", str(tmp_path / "data"))
    assert (result.exit_code, "No target was asked" in result.stderr) == (0, True)
