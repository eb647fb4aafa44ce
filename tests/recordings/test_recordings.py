"""The runner behind `scripts/recordings`: it takes good exchanges for good, and sees what is wrong."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.dialects.bedrock.frames import event
from tests.recordings import normal
from tests.recordings.__main__ import main
from tests.recordings.exchange import Exchange, read
from tests.recordings.holding import _counts, hold

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "text", "text": "Yes"},
        {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"city": "Rome"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5},
}
CANDIDATE = {"content": {"parts": [{"text": "Yes"}], "role": "model"}, "finishReason": "STOP", "index": 0}
GOOGLE = {
    "candidates": [CANDIDATE],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    "modelVersion": "m-001",
}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COMPLETION = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE], "usage": USAGE}
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Yes"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
}
OUTPUT = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [OUTPUT],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
COHERE = {
    "id": "1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Yes"}]},
    "usage": {
        "billed_units": {"input_tokens": 3, "output_tokens": 2},
        "tokens": {"input_tokens": 30, "output_tokens": 4},
    },
}
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"


def sse(*events: dict[str, Any]) -> str:
    """A stream, each event named by its type where it has one."""
    named = [(f"event: {one['type']}\n" if "type" in one else "", json.dumps(one)) for one in events]
    return "".join(f"{head}data: {data}\n\n" for head, data in named)


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    """One of OpenAI's chunks."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice], **more}


CHUNKS = sse(chunk({"role": "assistant", "content": "Y"}), chunk({"content": "es"}), chunk({}, "stop", usage=USAGE))
ROWS: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "anthropic": ("api.anthropic.com", "/v1/messages", {**ASKED, "max_tokens": 9}, MESSAGE),
    "gemini": (
        "generativelanguage.googleapis.com",
        GENERATE,
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        GOOGLE,
    ),
    "openai": ("api.openai.com", "/v1/chat/completions", ASKED, COMPLETION),
    "openai stream": ("h", "/v1/chat/completions", {**ASKED, "stream": True}, f"{CHUNKS}data: [DONE]\n\n"),
    "bedrock": ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse", {}, CONVERSED),
    "responses": ("api.openai.com", "/v1/responses", {"model": "m", "input": "hi"}, RESPONSE),
    "cohere": ("api.cohere.com", "/v2/chat", ASKED, COHERE),
}


def exchange(name: str, response: Any = None, status: int = 200) -> Exchange:
    """A row of a file."""
    host, path, request, recorded = ROWS[name]
    return Exchange(1, host, path, request, status, {}, recorded if response is None else response)


@pytest.mark.parametrize("name", ROWS)
def test_an_exchange_of_every_dialect_is_decoded_and_equal(name: str) -> None:
    """Whole and streamed."""
    outcome = hold(exchange(name))
    assert outcome.differences == []
    assert outcome.equal


def test_a_stream_of_frames_is_read() -> None:
    """Bedrock's are binary, and stand in the file in base64."""
    frames = [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Yes"}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": "end_turn"}),
        event("metadata", {"usage": CONVERSED["usage"], "metrics": {"latencyMs": 1}}),
    ]
    response = {"base64": base64.b64encode(b"".join(frames)).decode()}
    row = replace(exchange("bedrock", response), path="/model/m/converse-stream")
    assert hold(row).differences == []


@pytest.mark.parametrize("name", ["anthropic", "gemini", "openai"])
def test_normal_forms_keep_what_was_said(name: str) -> None:
    """Another word is another answer, so that no rule forgives too much."""
    other = json.loads(json.dumps(ROWS[name][3]).replace("Yes", "No", 1))
    assert normal.differences(normal.normal(name, ROWS[name][3]), normal.normal(name, other))


@pytest.mark.parametrize(
    "response",
    [
        {**COMPLETION, "choices": [{**CHOICE, "message": {"role": "assistant", "content": 3}}]},
        {**COMPLETION, "choices": []},
    ],
)
def test_what_cannot_be_decoded_is_told(response: dict[str, Any]) -> None:
    """With the fault, and it is not decoded."""
    outcome = hold(exchange("openai", response))
    assert not outcome.decoded
    assert "UpstreamBadResponse" in outcome.differences[0]


def test_what_a_codec_loses_is_told() -> None:
    """A member that the inner form has no place for, by its path."""
    message = {**MESSAGE, "new_member": {"a": 1}}
    [line] = hold(exchange("anthropic", message)).differences
    assert line == '.new_member: {"a": 1} -> null'


def test_usage_that_does_not_add_up_is_told() -> None:
    """The counts of the recording against what would be charged."""
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 4}
    [line] = hold(exchange("gemini", {**GOOGLE, "usageMetadata": usage})).differences
    assert line.startswith("usage.completion")


def test_usage_is_compared_class_by_class() -> None:
    """What was cached and what was thought have prices of their own, so the runner reads them by itself."""
    usage = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert hold(exchange("openai", {**COMPLETION, "usage": usage})).differences == []
    assert _counts("openai", {"usage": usage}) == {
        "prompt": 3,
        "cache_read": 2,
        "cache_write": 0,
        "reasoning": 1,
        "completion": 2,
    }
    assert _counts("anthropic", MESSAGE)["prompt"] == 7


def test_a_request_that_our_door_refuses_is_told() -> None:
    """A real client sent it, so it has to be read."""
    row = replace(exchange("anthropic"), request={**ASKED, "max_tokens": "many"})
    [line] = hold(row).differences
    assert "the request is refused: max_tokens" in line


def test_an_error_is_a_fault_in_the_hosts_words() -> None:
    """And a page that is no model's answer is a fault, as it has to be."""
    refused = {"error": {"message": "n is too large", "type": "invalid_request_error", "param": "n", "code": None}}
    assert hold(exchange("openai", refused, 400)).equal
    assert hold(exchange("openai", "<html>hello</html>")).equal
    assert hold(exchange("openai stream", sse({"error": {"message": "no such luck", "code": 400}}))).equal


def test_a_stream_that_is_cut_is_told() -> None:
    """It is no whole answer, however good its beginning."""
    outcome = hold(exchange("openai stream", CHUNKS.partition("\n\n")[0] + "\n\n"))
    assert not outcome.decoded


def test_the_command_prints_a_table_and_every_difference(tmp_path: Path) -> None:
    """It fails where anything differs; other endpoints are counted, and `--line` takes one row."""
    file = tmp_path / "rows.jsonl"
    bad = {**MESSAGE, "new_member": 1}
    rows = [(*ROWS["openai"][:3], COMPLETION), (*ROWS["anthropic"][:3], bad), ("h", "/v1/embeddings", {}, {})]
    names = ("host", "path", "request", "response")
    lines = [json.dumps({**dict(zip(names, row, strict=True)), "status": 200, "headers": {}}) for row in rows]
    file.write_text("\n".join(lines))
    ran = CliRunner().invoke(main, [str(file)])
    assert ran.exit_code == 1
    assert "line 2 (api.anthropic.com) .new_member: 1 -> null" in ran.output
    assert "1 of other endpoints" in ran.output
    assert ["all", "2", "2", "1"] in [line.split() for line in ran.output.splitlines()]
    assert CliRunner().invoke(main, [str(file), "--line", "1"]).exit_code == 0
    assert "thinking" in CliRunner().invoke(main, ["--rules"]).output


def test_a_row_that_is_none_is_named(tmp_path: Path) -> None:
    """By its file and line."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"host": "h"}\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl:1: not a recorded exchange"):
        list(read(file))
