"""Whole replies: compatible hosts' answers in exactly OpenAI's shape."""

from typing import Any

import pytest

from tests.dialects.canon import judge, normalised
from tollhouse.dialects.openai import ChatStream
from tollhouse.dialects.replies import normalise_reply, split_reply
from tollhouse.errors import UpstreamBadResponse
from tollhouse.types.calls import Usage


def reply(message: dict[str, Any], **choice: Any) -> dict[str, Any]:
    """A host's answer with one choice."""
    return {"id": "theirs", "choices": [{"message": message, **choice}], "usage": {"prompt_tokens": 1}}


def normal(message: dict[str, Any], **choice: Any) -> dict[str, Any]:
    """The choice that a client gets for it."""
    made: dict[str, Any] = normalised(reply(message, **choice), "chatcmpl-1", 7, "alias")["choices"][0]
    return made


def test_identity_is_ours_and_comes_first() -> None:
    """Id, object, created and model are the gateway's; what else the host sent stays."""
    whole = normalised({**reply({"content": "x"}), "model": "theirs", "x_groq": 1, "error": None}, "c", 7, "alias")
    assert list(whole)[:4] == ["id", "object", "created", "model"]
    assert [whole[name] for name in ("id", "object", "created", "model")] == ["c", "chat.completion", 7, "alias"]
    assert whole["x_groq"] == 1
    assert "error" not in whole


def test_our_members_come_first_whatever_the_hosts_order() -> None:
    """An answer that begins as OpenAI's is changed in place; any other is put into that order."""
    usual = {"id": "a", "object": "x", "created": 1, "model": "b", "choices": []}
    for reply in (usual, {"choices": [], "model": "b"}, dict(reversed(usual.items())), {"id": "a", "object": "x"}, {}):
        whole = normalise_reply({**reply}, "chatcmpl-1", 7, "m")
        assert list(whole.items())[:4] == [
            ("id", "chatcmpl-1"), ("object", "chat.completion"), ("created", 7), ("model", "m")
        ]  # fmt: skip
        assert whole.get("choices") == reply.get("choices")


def test_what_strict_readers_need_is_there() -> None:
    """Index, role, content, refusal, logprobs, a reason and integer totals are there however little a host sent."""
    whole = normalised(reply({}), "c", 7, "alias")
    assert whole["choices"] == [
        {
            "message": {"role": "assistant", "content": None, "refusal": None},
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert whole["usage"] == {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}


def test_a_missing_usage_is_the_metered_one() -> None:
    """Where a host reports no usage the client is shown our estimate; a host's own is never replaced."""
    silent: dict[str, Any] = {"choices": [{"message": {}}], "usage": None}
    shown = normalised(silent, "c", 7, "m", metered=Usage(input=3, output=4, estimated=True))["usage"]
    assert (shown["prompt_tokens"], shown["completion_tokens"], shown["total_tokens"]) == (3, 4, 7)
    assert normalised(reply({}), "c", 7, "m", metered=Usage(output=9))["usage"]["total_tokens"] == 1


def test_vendor_fields_of_choices_and_messages_stay() -> None:
    """Reasoning, filter results and logprobs reach the client as the host sent them."""
    choice = normal({"content": "x", "reasoning_content": "r"}, logprobs={"content": []}, stop_reason=7)
    assert choice["message"]["reasoning_content"] == "r"
    assert (choice["logprobs"], choice["stop_reason"]) == ({"content": []}, 7)


def test_empty_members_are_left_out() -> None:
    """Zero values that stand for nothing (Snowflake's) are not passed on as a call, a refusal or audio."""
    message = normal(
        {
            "content": "x",
            "refusal": "",
            "tool_calls": None,
            "function_call": {"name": "", "arguments": ""},
            "audio": {"id": "", "data": "", "expires_at": 0},
            "annotations": None,
        }
    )["message"]
    assert message == {"content": "x", "role": "assistant", "refusal": None}


@pytest.mark.parametrize("calls", [[], None, "x"])
def test_no_calls_is_no_member(calls: object) -> None:
    """tool_calls is there only with calls in it: null fails strict readers."""
    choice = normal({"content": "x", "tool_calls": calls}, finish_reason="tool_calls")
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [('{"a":1}', '{"a":1}'), ({"a": 1}, '{"a":1}'), (None, "{}"), ("", "{}"), ("not json", "not json")],
)
def test_calls_are_complete(arguments: object, text: str) -> None:
    """A call has an id, a type and its arguments as text, and its answer ends with tool_calls."""
    call = {"index": 0, "function": {"name": "f", "arguments": arguments}, "extra_content": {"s": 1}}
    choice = normal({"content": None, "tool_calls": [call]}, finish_reason="stop")
    (made,) = choice["message"]["tool_calls"]
    assert made.pop("id").startswith("call_")
    assert made == {"type": "function", "function": {"name": "f", "arguments": text}, "extra_content": {"s": 1}}
    assert choice["finish_reason"] == "tool_calls"


def test_call_ids_are_unique_and_stable() -> None:
    """Calls that share an id, or have none, get ids that are the same for the same answer."""
    ids = []
    for _ in range(2):
        calls = [{"id": call_id, "function": {"name": "f"}} for call_id in ("f", "f", None)]
        ids.append([call["id"] for call in normal({"tool_calls": calls})["message"]["tool_calls"]])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    assert ids[0][0] == "f"


def test_custom_and_legacy_calls_pass() -> None:
    """A custom tool's call and a legacy function_call keep their own shapes."""
    custom = {"id": "A", "type": "custom", "custom": {"name": "c", "input": "x"}}
    assert normal({"tool_calls": [custom]})["message"]["tool_calls"] == [custom]
    choice = normal({"function_call": {"name": "f", "arguments": {"a": 1}}})
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert choice["finish_reason"] == "function_call"


def test_content_parts_become_text() -> None:
    """Mistral's list of parts becomes text and reasoning, and parts of other kinds are kept beside them."""
    message = normal(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}, {"type": "x"}]},
                {"type": "thinking", "thinking": "m."},
                {"type": "text", "text": "Yes"},
                "!",
                {"type": "reference", "reference_ids": [1]},
            ]
        }
    )["message"]
    assert (message["content"], message["reasoning_content"]) == ("Yes!", "Hmm.")
    assert message["content_parts"] == [{"type": "reference", "reference_ids": [1]}]
    assert normal({"content": [{"type": "thinking", "thinking": 7}]})["message"]["content"] == ""


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"choices": None},
        {"choices": {}},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"message": "x"}]},
        {"choices": [{"message": {"content": 7}}]},
        {"choices": [{"message": {"tool_calls": [7]}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {}}]}}]},
        {"choices": [{"message": {"tool_calls": [{"type": "function"}]}}]},
    ],
)
def test_what_is_no_reply_is_refused(bad: dict[str, Any]) -> None:
    """An object without choices, messages or names of functions is not the answer of a model."""
    with pytest.raises(UpstreamBadResponse):
        normalised(bad, "c", 1, "m")


def test_a_reply_as_a_stream_says_the_same() -> None:
    """A reply cut into chunks and streamed gives the client the same texts, calls and reasons."""
    whole = normalised(
        {
            "choices": [
                {
                    "message": {"content": "Hi", "reasoning": "r"},
                    "logprobs": {"content": [1]},
                    "finish_reason": "length",
                },
                {"message": {"tool_calls": [{"id": "A", "function": {"name": "f", "arguments": {"a": 1}}}]}},
            ],
            "service_tier": "flex",
        },
        "c",
        7,
        "alias",
    )
    writer = ChatStream("c", 7, "alias", include_usage=False)
    judged = judge(writer.encode(split_reply(whole)) + writer.end(None), include_usage=False)
    assert judged.choices[0].texts == {"content": "Hi", "reasoning": "r"}
    assert judged.choices[0].extras == {"logprobs": {"content": [1]}}
    assert judged.choices[1].calls == [{"id": "A", "name": "f", "arguments": '{"a":1}'}]
    assert [said.finish_reason for said in judged.choices.values()] == ["length", "tool_calls"]
    assert judged.envelope == {"service_tier": "flex"}
