"""``tollhouse doctor``: each reason why a model does not answer, told apart."""

import sys
from pathlib import Path

import pytest

from tests.cli.terminal import host, run, settings
from tests.e2e.backstage import Backstage
from tests.fakes.chaos import Hang, Reset, Send, Step, chunk, head, whole
from tests.fakes.chaos import closed_port as nowhere
from tests.fakes.openai_wire import failure, stream, words


def test_without_a_model_it_reports_what_there_is(tmp_path: Path, stage: Backstage) -> None:
    """Every host found and every alias that leads nowhere is a line, and that alone is no failure."""
    text = host(stage) + '[models]\nfine = "stage/m"\nlost = "openai/gpt-4o"\n'
    result = run("doctor", "--config", settings(tmp_path, text))
    assert result.exit_code == 0
    assert "ok    stage: declared in the settings; 1 model" in result.output
    assert "ok    tollhouse/sim" in result.output
    assert "MISS  alias lost: its target openai/gpt-4o leads nowhere" in result.output
    assert "alias fine" not in result.output
    assert "CANARY" not in result.output


def test_no_cloud_key_is_explained(tmp_path: Path) -> None:
    """Where the environment is looked at and holds no key, that is said, with the way out."""
    file = tmp_path / "t.toml"
    file.write_text("[discovery]\nloopback = false\n[embedded]\ntiny = false\n")
    result = run("doctor", "--config", file)
    assert result.exit_code == 0
    assert "MISS  cloud: no provider's key is in the environment" in result.output
    assert "fix: export OPENAI_API_KEY=" in result.output
    found = run("doctor", "--config", file, OPENAI_API_KEY="sk-0123456789abcdef")
    assert "ok    openai: OPENAI_API_KEY is set" in found.output
    assert "sk-0123456789abcdef" not in found.output


def test_a_model_whose_host_has_no_key_names_the_variable(tmp_path: Path) -> None:
    """For a known model that no host here serves, the variable to set is named; the exit code is 1."""
    result = run("doctor", "gpt-4o", "--config", settings(tmp_path))
    assert result.exit_code == 1
    assert "OPENAI_API_KEY" in result.output
    assert "MISS  gpt-4o" in result.output


def test_a_declared_host_without_its_key_is_a_configuration_fault(tmp_path: Path) -> None:
    """A host that the file declares and whose key is nowhere ends with 78, the path and the fix."""
    result = run("doctor", "--config", settings(tmp_path, "[providers.openai]\n"))
    assert result.exit_code == 78
    assert "providers.openai.api_key: missing" in result.stderr
    assert "OPENAI_API_KEY" in result.stderr


def test_a_misspelt_model_gets_a_suggestion(tmp_path: Path) -> None:
    """What was probably meant is named."""
    result = run("doctor", "tollhouse/sin", "--config", settings(tmp_path))
    assert result.exit_code == 1
    assert "Did you mean 'tollhouse/sim'" in result.output


def test_a_model_that_answers_is_ok(tmp_path: Path, stage: Backstage) -> None:
    """One short request is made to its target, and the exit code is 0."""
    stage.play([Send(stream("ok"))])
    result = run("doctor", "m", "--config", settings(tmp_path, host(stage)))
    assert result.exit_code == 0
    assert f"ok    stage/m at http://127.0.0.1:{stage.up.port}/v1: it answers" in result.output
    assert stage.bodies[0]["max_tokens"] == 16
    assert len(stage.requests) == 1


@pytest.mark.parametrize("model", ["tollhouse/sim", "tollhouse/guide"])
def test_the_models_of_this_process_answer(tmp_path: Path, model: str) -> None:
    """What ships with Tollhouse answers with nothing set up, and at no address."""
    result = run("doctor", model, "--config", settings(tmp_path))
    assert result.exit_code == 0
    assert f"ok    {model} in this process: it answers" in result.output
    assert "http://" not in result.output


FAILS: dict[str, tuple[list[Step], str]] = {
    "a wrong key": (
        [Send(failure(401, "Incorrect API key provided: sk-cli-CANARY-0123456789"))],
        "The upstream host refused the gateway's credential.",
    ),
    "an unknown name": ([Send(failure(404, "The model `m` does not exist", "model_not_found"))], "does not exist"),
    "no quota": ([Send(failure(429, "quota", "insufficient_quota"))], "out of quota"),
    "a refusal": ([Send(failure(400, "max_tokens is not supported"))], "max_tokens is not supported"),
    "no model server": ([Send(whole(b"<html>", 200, "text/html"))], "upstream"),
    "silence": ([Hang()], "upstream"),
    "a broken stream": (
        [
            Send(
                head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
                + b"".join(chunk(part) for part in words("a"))
            ),
            Reset(),
        ],
        "upstream_interrupted",
    ),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_stands_in_the_way_is_said(tmp_path: Path, stage: Backstage, name: str) -> None:
    """Each fault of a host has words of its own, without the credential in them; the exit code is 1."""
    play, said = FAILS[name]
    stage.play(play)
    result = run("doctor", "m", "--config", settings(tmp_path, host(stage)))
    assert result.exit_code == 1
    assert f"FAIL  stage/m at http://127.0.0.1:{stage.up.port}/v1: " in result.output
    assert said in result.output
    assert "CANARY" not in result.output


def test_every_target_of_an_alias_is_tried(tmp_path: Path, stage: Backstage) -> None:
    """A dead target beside one that answers is shown, and the name as a whole is fine."""
    stage.play([Send(stream("ok"))])
    text = host(nowhere(), "dead") + host(stage) + '[models]\npair = ["dead/m", "stage/m"]\n'
    result = run("doctor", "pair", "--config", settings(tmp_path, text))
    assert result.exit_code == 0
    assert "FAIL  dead/m at http://127.0.0.1:" in result.output
    assert "upstream_unreachable" in result.output
    assert "ok    stage/m" in result.output


def test_what_the_second_tier_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that wants it in an installation without the extra: what is missing, and the command."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    result = run("doctor", "--config", settings(tmp_path, "[safety.policies.house]\nembedding = true\n"))
    assert result.exit_code == 0
    assert "MISS  local-embedding-v1: a policy wants it, but numpy is not installed" in result.output
    assert 'fix: pip install "tollhouse[local]"' in result.output
    assert "local-embedding-v1" not in run("doctor", "--config", settings(tmp_path)).output
