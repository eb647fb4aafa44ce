"""``tollhouse chat``: one answer, a conversation, and what goes wrong."""

from pathlib import Path

import pytest

from tests.cli.terminal import host, run, settings
from tests.e2e.backstage import Backstage
from tests.fakes.chaos import Reset, Send, chunk, closed_port, head, whole
from tests.fakes.openai_wire import failure, stream, words


def test_one_message_is_one_answer(tmp_path: Path, stage: Backstage) -> None:
    """The answer is on standard output and nothing else is; the system message goes first."""
    stage.play([Send(stream("Hel", "lo"))])
    result = run("chat", "m", "hi", "--system", "be brief", "--config", settings(tmp_path, host(stage)))
    assert (result.exit_code, result.stdout) == (0, "Hello\n")
    assert stage.bodies[0]["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]
    assert stage.bodies[0]["stream"] is True


def test_a_conversation_remembers_what_was_said_and_forgets_what_failed(tmp_path: Path, stage: Backstage) -> None:
    """Each line is a turn with all turns before it; blank lines and failed turns leave no trace."""
    stage.play([Send(stream("one"))], [Send(failure(400, "no such luck"))], [Send(stream("three"))])
    result = run("chat", "m", "--config", settings(tmp_path, host(stage)), text="a\n\nb\nc\n")
    assert (result.exit_code, result.stdout) == (0, "one\n\nthree\n")
    assert result.stderr == "error: no such luck\n"
    said = [[message["content"] for message in body["messages"]] for body in stage.bodies]
    assert said == [["a"], ["a", "one", "b"], ["a", "one", "c"]]


def test_a_model_cannot_steer_the_terminal(tmp_path: Path, stage: Backstage) -> None:
    """Escape sequences and other control characters of an answer are dropped; line breaks and tabs are not."""
    stage.play([Send(stream("a\x1b[31mb\x07\x9b2J\tc\nd\r"))])
    result = run("chat", "m", "hi", "--config", settings(tmp_path, host(stage)))
    assert result.stdout == "a[31mb2J\tc\nd\n"


def test_an_unknown_model_is_an_error(tmp_path: Path) -> None:
    """The gateway's own explanation is shown and the exit code is 1."""
    result = run("chat", "tollhouse/sin", "hi", "--config", settings(tmp_path))
    assert result.exit_code == 1
    assert "error: The model 'tollhouse/sin' does not exist" in result.stderr
    assert "tollhouse/sim" in result.stderr


def test_an_answer_that_breaks_off_is_an_error(tmp_path: Path, stage: Backstage) -> None:
    """What came is shown, then why there is no more; the exit code is 1."""
    top = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
    stage.play([Send(top + b"".join(chunk(part) for part in words("half"))), Reset()])
    result = run("chat", "m", "hi", "--config", settings(tmp_path, host(stage)))
    assert (result.exit_code, result.stdout) == (1, "half\n")
    assert result.stderr.startswith("error: ")


# --- a gateway that runs already -----------------------------------------------------------------------------------


def test_a_running_gateway_is_asked_with_the_key(stage: Backstage) -> None:
    """With --url nothing is started here; the key comes from the option or TOLLHOUSE_KEY."""
    stage.play([Send(stream("there"))])
    for options, environ in ((["--key", "k1"], {}), ([], {"TOLLHOUSE_KEY": "k2"})):
        result = run("chat", "any/name", "hi", "--url", f"{stage.up.url}/v1/", *options, **environ)
        assert (result.exit_code, result.stdout) == (0, "there\n")
    assert [request.headers["authorization"] for request in stage.requests] == ["Bearer k1", "Bearer k2"]
    assert {request.target for request in stage.requests} == {"/v1/chat/completions"}


def test_a_url_needs_a_key() -> None:
    """Without one the command does not start."""
    result = run("chat", "m", "hi", "--url", "http://127.0.0.1:1/v1", TOLLHOUSE_KEY="")
    assert result.exit_code == 2
    assert "--key" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"<html>not found</html>", 404, "text/html"),
        whole(b'"nope"', 404),
        whole(b'{"error": "text"}', 500),
        whole(b"", 500),
        whole(b"<html>hello</html>", 200, "text/html"),
    ],
)
def test_a_url_of_something_else_is_told_plainly(stage: Backstage, answer: bytes) -> None:
    """What is no gateway, whatever it answers, is an error in one line, not a traceback and not an empty answer."""
    stage.play([Send(answer)])
    result = run("chat", "m", "hi", "--url", stage.up.url, "--key", "k")
    assert result.exit_code == 1
    assert "error: What answers there is no gateway" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://", f"http://127.0.0.1:{closed_port()}/v1"])
def test_a_url_that_leads_nowhere_is_an_error(url: str) -> None:
    """A bad URL and a dead one are each one line and exit code 1."""
    result = run("chat", "m", "hi", "--url", url, "--key", "k")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
