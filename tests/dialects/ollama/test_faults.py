"""Ollama's errors, by their text. The usual ones are in the fixtures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.ollama.faults import fault_of_answer, fault_of_line
from tollhouse.errors import UpstreamFault


def fault(status: int, text: object) -> UpstreamFault:
    """The fault of an error body."""
    return fault_of_answer(status, {}, json.dumps({"error": text}).encode())


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ('"llama3" does not support thinking', "reasoning_effort"),
        ('think value "high" is not supported for this model', "reasoning_effort"),
        ("registry.ollama.ai/library/gemma:2b does not support tools", "tools"),
        ('"nomic-embed-text" does not support chat', "messages"),
    ],
)
def test_what_a_model_cannot_do_is_another_targets(text: str, param: str) -> None:
    """The client is told which of its parameters it is."""
    found = fault(400, text)
    assert (found.error_id, found.param, found.retryable) == ("UNSUPPORTED_PARAMETER", param, True)


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(
    "text",
    [
        "request (8889 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "the prompt is longer than the context length currently available to the model; shorten it",
        "input length exceeds maximum context length",
        '{"error":{"code":400,"message":"request (8889 tokens) exceeds the available context size (4096 tokens)"}}',
    ],
)
def test_a_prompt_over_the_context_is_said_to_be_one(status: int, text: str) -> None:
    """Whatever the status, with the counts where they are known, and how to get more room."""
    found = fault(status, text)
    assert (found.status, found.code, found.retryable) == (400, "context_length_exceeded", False)
    assert ("4096 tokens here, and the messages are 8889" in found.message) is ("8889" in text)
    assert "options.num_ctx" in found.message


def test_the_hosts_own_commands_are_not_shown() -> None:
    """How to pull a model is the operator's business."""
    found = fault(404, 'model "nope" not found, try pulling it first')
    assert found.code == "model_not_found"
    assert "pull" not in found.message
    assert "/root" not in fault(500, "open /root/.ollama/x: permission denied").message


def test_a_rejected_request_is_told_in_the_hosts_words() -> None:
    """They are about the client's request."""
    found = fault(400, "invalid option provided")
    assert (found.message, found.status) == ("invalid option provided", 400)


def test_an_error_in_a_line_is_the_engines() -> None:
    """Unless its text says more."""
    assert fault_of_line("boom").code == "upstream_bad_response"
    assert fault_of_line("server busy, please try again").code == "upstream_unavailable"


@given(st.integers(300, 600), st.binary() | st.text().map(str.encode) | st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["error", "message", "x"]), inner), max_leaves=9).map(json.dumps).map(str.encode))  # fmt: skip
def test_every_body_is_some_fault(status: int, body: bytes) -> None:
    """Nothing that a host answers is another exception."""
    assert isinstance(fault_of_answer(status, {}, body), UpstreamFault)
