"""Streams in Gemini's form."""

import json
from typing import Any

import pytest

from tests.dialects.gemini.kit import ACCOUNT, CLAUDE, ENCRYPTED, IDENTITY, asked, message_of, parts_of
from tollhouse.dialects.gemini.client import GEMINI, GeminiClient
from tollhouse.dialects.gemini.framing import Elements
from tollhouse.errors import UpstreamBadResponse


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of the first choice."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def objects(body: bytes) -> list[dict[str, Any]]:
    """The objects of a stream of events."""
    assert body.endswith(b"\n\n")
    lines = body.removesuffix(b"\n\n").split(b"\n\n")
    assert all(line.startswith(b"data: ") and b"\n" not in line for line in lines)
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def told(*chunks: dict[str, Any], thoughts: bool = False) -> list[dict[str, Any]]:
    """All that a stream of these chunks tells, each written by itself."""
    writer = GEMINI.writer(asked(thoughts=thoughts), IDENTITY)
    written = [writer.encode([json.loads(json.dumps(one))]) for one in chunks]
    return objects(b"".join(written) + writer.finish(ACCOUNT))


def tool(index: int, arguments: str, **head: Any) -> dict[str, Any]:
    """A piece of a call."""
    name = {"name": head.pop("name")} if "name" in head else {}
    return {"tool_calls": [{"index": index, **head, "function": {**name, "arguments": arguments}}]}


def test_text() -> None:
    """A piece for each chunk; the end has the reason, the usage and the notes."""
    first = chunk({"role": "assistant", "content": ""})
    found = told(first, chunk({"content": "He"}), chunk({"content": "llo"}), chunk({}, "length"))
    assert found[:-1] == [
        {
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
            "modelVersion": "a/m",
            "responseId": "chatcmpl-1",
        }
        for text in ("He", "llo")
    ]
    last = found[-1]
    assert last["candidates"] == [
        {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
    ]
    assert last["usageMetadata"]["totalTokenCount"] == 16
    assert last["usageMetadata"]["cost"] == 0.0000015
    assert "_remaining_credits" in last


def test_calls_are_told_whole() -> None:
    """Once their choice has ended, in their order, whatever order their pieces came in."""
    writer = GEMINI.writer(asked(), IDENTITY)
    pieces = [
        tool(0, "", id="c1", type="function", name="f"),
        tool(0, '{"a"'),
        tool(1, "", id="c2", type="function", name="g"),
        tool(0, ": 1}"),
        tool(1, "{}"),
    ]
    assert b"".join([writer.encode([chunk(piece)]) for piece in pieces]) == b""
    assert writer.tokens() == 0
    ended = writer.encode([chunk({}, "tool_calls")])
    assert parts_of(objects(ended)) == [
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
    ]
    assert writer.tokens() > 0
    assert objects(writer.finish(ACCOUNT))[-1]["candidates"][0]["finishReason"] == "STOP"


def test_a_call_without_an_end_is_told_all_the_same() -> None:
    """Its choice has no reason, and ends with the stream."""
    found = told(chunk(tool(0, "{}", id="c", type="function", name="f")))
    assert parts_of(found) == [{"functionCall": {"id": "c", "name": "f", "args": {}}}]


@pytest.mark.parametrize(("reason", "word"), [("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")])
def test_arguments_that_are_cut_off(reason: str, word: str) -> None:
    """The call is left out, and the reason says why."""
    found = told(chunk(tool(0, '{"a', id="c", type="function", name="f")), chunk({}, reason))
    assert parts_of(found) == [{"text": ""}]
    assert found[-1]["candidates"][0]["finishReason"] == word


THINKING = [
    chunk(
        {"reasoning_content": "Let ", "reasoning_details": [{**CLAUDE, "signature": "", "text": "Let ", "index": 0}]}
    ),
    chunk({"reasoning_content": "me", "reasoning_details": [{"type": "reasoning.text", "text": "me", "index": 0}]}),
    chunk({"reasoning_details": [{**CLAUDE, "index": 0}]}),
    chunk({"reasoning_details": [{**ENCRYPTED, "index": 1}]}),
]
ENTRIES = [{**CLAUDE, "text": "Let me", "index": 0}, {**ENCRYPTED, "index": 1}]


@pytest.mark.parametrize("thoughts", [True, False])
@pytest.mark.parametrize("calls", [True, False])
def test_thoughts_come_back_as_they_were(thoughts: bool, calls: bool) -> None:
    """In pieces or under seal, with a call or without: a client that returns every part returns every entry."""
    said = [chunk({"content": "Yes"}), chunk({"content": "."})]
    called = [chunk(tool(0, "{}", id="c", type="function", name="f"))] if calls else []
    found = parts_of(told(*THINKING, *said, *called, chunk({}, "stop"), thoughts=thoughts))
    shown = [part["text"] for part in found if part.get("thought")]
    assert shown == (["Let ", "me", "", ""] if thoughts else [])
    back = message_of(found)
    assert back["reasoning_details"] == ENTRIES
    assert back["content"] == "Yes."
    assert ("tool_calls" in back) == calls


def test_thoughts_that_nobody_signed() -> None:
    """Shown as they come, or kept for the first call."""
    thought = chunk({"reasoning_content": "because"})
    called = chunk(tool(0, "{}", id="c", type="function", name="f"))
    assert parts_of(told(thought, chunk({"content": "x"}), thoughts=True))[0] == {"text": "because", "thought": True}
    assert parts_of(told(thought, chunk({"content": "x"}))) == [{"text": "x"}, {"text": ""}]
    assert message_of(parts_of(told(thought, called)))["reasoning_content"] == "because"


def test_geminis_own_signatures() -> None:
    """Of the text, on an empty part at the end, as Gemini sends it; of a call, on the call."""
    google = {"type": "reasoning.encrypted", "format": "google-gemini-v1"}
    signed = tool(0, "{}", id="c", type="function", name="f")
    signed["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "C"}}
    found = told(
        chunk({"content": "x", "reasoning_details": [{**google, "data": "B", "index": 0}]}),
        chunk({**signed, "reasoning_details": [{**google, "data": "C", "id": "c", "index": 1}]}),
        chunk({}, "stop"),
    )
    assert parts_of(found) == [
        {"text": "x"},
        {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "C"},
        {"text": "", "thoughtSignature": "B"},
    ]


def test_several_choices() -> None:
    """Each is a candidate, and all end in the last object."""
    both = {"choices": [{"index": n, "delta": {"content": str(n)}, "finish_reason": None} for n in (0, 1)]}
    found = told(both, chunk({}, "stop"))
    assert [one["candidates"][0]["index"] for one in found[:-1]] == [0, 1]
    assert [one["index"] for one in found[-1]["candidates"]] == [0, 1]


def test_media_sources_and_logprobs() -> None:
    """Images as they come, sources with the end, logprobs with their piece."""
    image = {"image_url": {"url": "data:image/png;base64,QQ=="}}
    cited = {"type": "url_citation", "url_citation": {"url": "https://x", "start_index": 0, "end_index": 1}}
    logprobs = {"content": [{"token": "a", "logprob": -1.0}]}
    found = told(
        chunk({"content": "a"}, logprobs=logprobs),
        chunk({"images": [image]}),
        chunk({"annotations": [cited]}),
        chunk({}, "stop", safety_ratings=[{"x": 1}]),
    )
    assert found[0]["candidates"][0]["logprobsResult"]["chosenCandidates"] == [{"token": "a", "logProbability": -1.0}]
    assert parts_of(found)[1] == {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}
    end = found[-1]["candidates"][0]
    assert end["groundingMetadata"]["groundingSupports"][0]["segment"]["text"] == "a"
    assert end["safetyRatings"] == [{"x": 1}]


def test_sound_is_counted_apart() -> None:
    """A second of it is 20 tokens."""
    writer = GEMINI.writer(asked(), IDENTITY)
    writer.encode([chunk({"audio": {"data": "A" * 64_000}})])
    assert writer.sound_tokens() == 20
    assert writer.tokens() == 20


def test_a_refused_prompt_is_feedback() -> None:
    """Without a candidate, as Google tells it."""
    found = told(chunk({}, "content_filter", prompt_feedback={"blockReason": "SAFETY"}))
    assert found[-1]["promptFeedback"] == {"blockReason": "SAFETY"}
    assert "candidates" not in found[-1]


def test_a_heartbeat_is_a_part_without_text() -> None:
    """Google's SDKs take comments for JSON, and forget a turn that has an object without candidates."""
    writer = GEMINI.writer(asked(), IDENTITY)
    [beat] = objects(writer.heartbeat())
    assert parts_of([beat]) == [{"text": ""}]
    assert writer.tokens() == 0


def test_an_array_of_objects() -> None:
    """Without ``alt=sse``: heartbeats are white space, wherever they fall, and an error is the last element."""
    client = GeminiClient(Elements())
    first = client.writer(asked(), IDENTITY)
    body = first.heartbeat()
    second = client.writer(asked(), IDENTITY)
    body += second.encode([chunk({"content": "a"}), chunk({"content": ""})]) + second.heartbeat()
    body += second.encode([chunk({"content": "b"}), chunk({"content": "c"})]) + second.heartbeat()
    whole = json.loads(body + second.finish(ACCOUNT))
    assert [part["text"] for part in parts_of(whole)] == ["a", "b", "c", ""]
    assert whole[-1]["usageMetadata"]["cost"]


@pytest.mark.parametrize("text", ["", "a"])
def test_an_array_that_fails(text: str) -> None:
    """It is JSON still, and its last element is the error."""
    client = GeminiClient(Elements())
    writer = client.writer(asked(), IDENTITY)
    body = writer.heartbeat() + (
        writer.encode([chunk({"role": "assistant", "content": ""}), chunk({"content": "a"})]) if text else b""
    )
    whole = json.loads(body + client.error_event({"error": {"code": 502}}))
    assert whole[-1] == {"error": {"code": 502}}
    assert len(whole) == 1 + len(text)


def test_half_a_surrogate_pair_is_a_bad_answer() -> None:
    """JSON cannot carry it; in the first piece or any other."""
    for chunks in ([chunk({"content": "\ud800"})], [chunk({"content": "a"}), chunk({"content": "\ud800"})]):
        with pytest.raises(UpstreamBadResponse):
            GEMINI.writer(asked(), IDENTITY).encode(chunks)


def test_an_answer_that_says_nothing_ends_all_the_same() -> None:
    """With a candidate, for SDKs look for one."""
    assert told()[-1]["candidates"][0]["finishReason"] == "STOP"


def test_thoughts_whose_proof_comes_after_them_are_told_once() -> None:
    """Responses tell a thought in pieces and prove it when it is whole: the entry repeats its text."""
    entries = [{"type": "reasoning.summary", "summary": "Let me see", "format": "openai-responses-v1", "id": "rs_1"}]
    entries.append({"type": "reasoning.encrypted", "data": "gAAAA", "format": "openai-responses-v1", "id": "rs_1"})
    found = told(
        chunk({"reasoning_content": "Let me "}),
        chunk({"reasoning_content": "see"}),
        chunk({"reasoning_details": [{**entry, "index": index} for index, entry in enumerate(entries)]}),
        chunk({"content": "Yes"}, "stop"),
        thoughts=True,
    )
    parts = [part for one in found for part in one["candidates"][0]["content"]["parts"]]
    assert "".join([part["text"] for part in parts if part.get("thought")]) == "Let me see"
    assert any("thoughtSignature" in part for part in parts)
