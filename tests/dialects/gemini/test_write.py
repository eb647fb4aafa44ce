"""Whole answers in Gemini's form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.gemini.kit import ACCOUNT, CALLED, CLAUDE, ENCRYPTED, IDENTITY, asked, message_of, reply
from tollhouse.dialects.client import Account
from tollhouse.dialects.gemini.client import GEMINI
from tollhouse.dialects.gemini.write import counts
from tollhouse.errors import UpstreamBadResponse
from tollhouse.types.calls import Usage

MEMBERS = (
    *("reasoning_details", "reasoning_content", "content_parts", "google_part", "images", "image_url", "url", "audio"),
    *("data", "extra_content", "google", "annotations", "url_citation", "logprobs", "content", "token", "logprob"),
    *("type", "format", "text", "summary", "signature", "index", "id", "refusal", "native_finish_reason", "transcript"),
    *(
        "prompt_feedback",
        "safety_ratings",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "top_logprobs",
        "start_index",
    ),
)


def candidate(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The candidate of an answer with one message."""
    found = reply(message, **more)["candidates"][0]
    assert isinstance(found, dict)
    return found


def parts(message: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Its parts."""
    found = candidate(message, **more)["content"]["parts"]
    assert isinstance(found, list)
    return found


def test_a_plain_answer() -> None:
    """Thoughts are counted beside the answer, the cache within the prompt, and the cost is told."""
    assert reply({"role": "assistant", "content": "Hello"}) == {
        "candidates": [
            {"content": {"parts": [{"text": "Hello"}], "role": "model"}, "finishReason": "STOP", "index": 0},
        ],
        "usageMetadata": {
            "promptTokenCount": 7,
            "candidatesTokenCount": 5,
            "cachedContentTokenCount": 2,
            "thoughtsTokenCount": 4,
            "totalTokenCount": 16,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
            "cost": 0.0000015,
        },
        "modelVersion": "a/m",
        "responseId": "chatcmpl-1",
        "_remaining_credits": None,
    }


def test_sound_is_counted_by_its_modality() -> None:
    """What the host tells of it, and the rest is text."""
    usage = Usage(input=6, input_audio=4, output=3)
    raw = {"prompt_tokens_details": {"audio_tokens": 4}}
    assert counts(usage, raw)["promptTokensDetails"] == [
        {"modality": "TEXT", "tokenCount": 6},
        {"modality": "AUDIO", "tokenCount": 4},
    ]


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"finish_reason": "stop"}, "STOP"),
        ({"finish_reason": "tool_calls"}, "STOP"),
        ({"finish_reason": "length"}, "MAX_TOKENS"),
        ({"finish_reason": "content_filter"}, "SAFETY"),
        ({"finish_reason": "content_filter", "native_finish_reason": "RECITATION"}, "RECITATION"),
        ({"finish_reason": "stop", "native_finish_reason": "end_turn"}, "STOP"),
        ({"finish_reason": "strange"}, "STOP"),
    ],
)
def test_finish_reasons(choice: dict[str, Any], reason: str) -> None:
    """Google's own word where the host has said one."""
    assert candidate({"content": "x"}, **choice)["finishReason"] == reason


def test_calls_are_objects() -> None:
    """With the id, which comes back with the result."""
    called = {**CALLED, "extra_content": {"google": {"thought_signature": "S"}}}
    empty = {"id": "c2", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert parts({"content": None, "tool_calls": [called, empty]}, finish_reason="tool_calls") == [
        {"functionCall": {"id": "c1", "name": "look", "args": {"city": "Rome"}}, "thoughtSignature": "S"},
        {"functionCall": {"id": "c2", "name": "f", "args": {}}},
    ]


@pytest.mark.parametrize(("reason", "word"), [("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")])
@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "7"])
def test_arguments_that_are_no_object(arguments: str, reason: str, word: str) -> None:
    """Gemini has a word for a model that writes such; an answer that was cut off keeps its own."""
    broken = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    found = candidate({"content": None, "tool_calls": [broken]}, finish_reason=reason)
    assert found["finishReason"] == word
    assert found["content"]["parts"] == [{"text": ""}]


THOUGHT: dict[str, Any] = {
    "content": "Yes",
    "reasoning_content": "Let me seeSum",
    "reasoning_details": [
        {**CLAUDE, "text": "Let me see", "index": 0},
        {"type": "reasoning.summary", "summary": "Sum", "format": "openai-responses-v1", "index": 1},
        {**ENCRYPTED, "index": 2},
    ],
}


@pytest.mark.parametrize("thoughts", [True, False])
@pytest.mark.parametrize("calls", [[CALLED], None])
def test_thoughts_come_back_as_they_were(thoughts: bool, calls: list[Any] | None) -> None:
    """Shown or under seal, with a call or without: a client that returns every part returns every entry."""
    message = {**THOUGHT, "tool_calls": calls}
    shown = parts(message, thoughts=thoughts)
    assert any(part.get("thought") for part in shown) == thoughts
    back = message_of(shown)
    assert back["reasoning_details"] == THOUGHT["reasoning_details"]
    assert back["reasoning_content"] == THOUGHT["reasoning_content"]
    assert back["content"] == "Yes"


def test_geminis_own_signatures_stay_in_their_places() -> None:
    """Of a thought, of the text, of a call; that of a call is not told twice."""
    google = {"format": "google-gemini-v1"}
    message = {
        "content": "Yes",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm", "signature": "A", **google},
            {"type": "reasoning.encrypted", "data": "B", **google},
            {"type": "reasoning.encrypted", "data": "C", "id": "c1", **google},
        ],
        "tool_calls": [{**CALLED, "extra_content": {"google": {"thought_signature": "C"}}}],
    }
    assert parts(message, thoughts=True) == [
        {"text": "Hm", "thought": True, "thoughtSignature": "A"},
        {"text": "Yes", "thoughtSignature": "B"},
        {"functionCall": {"id": "c1", "name": "look", "args": {"city": "Rome"}}, "thoughtSignature": "C"},
    ]


def test_thoughts_that_nobody_signed() -> None:
    """Shown where that is asked for; else they wait under the seal of a call, for some hosts want them back."""
    message = {"content": "Yes", "reasoning_content": "because"}
    assert parts(message, thoughts=True) == [{"text": "because", "thought": True}, {"text": "Yes"}]
    assert parts(message) == [{"text": "Yes"}]
    assert message_of(parts({**message, "tool_calls": [CALLED]}))["reasoning_content"] == "because"


def test_media() -> None:
    """Images and sound are inline, an image at an address is a file."""
    images = [
        {"image_url": {"url": "data:image/webp;base64,QQ=="}, "extra_content": {"google": {"thought_signature": "S"}}},
        {"image_url": {"url": "https://x/a"}},
        {"image_url": 3},
        4,
    ]
    audio = {"data": "QUJD", "transcript": "Hello"}
    assert parts({"content": None, "images": images, "audio": audio}) == [
        {"inlineData": {"mimeType": "image/webp", "data": "QQ=="}, "thoughtSignature": "S"},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a"}},
        {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "QUJD"}},
    ]
    assert parts({"content": None, "audio": audio})[0] == {"text": "Hello"}


def test_a_refusal_is_text() -> None:
    """There is nowhere else to say it."""
    assert parts({"content": None, "refusal": "No."}) == [{"text": "No."}]


def test_what_came_from_gemini_goes_back_as_it_was() -> None:
    """Parts without a counterpart, ratings, sources."""
    own = {"executableCode": {"code": "1"}}
    message = {"content": "x", "content_parts": [{"type": "google_part", "google_part": own}, {"type": "other"}]}
    found = candidate(message, grounding_metadata={"a": 1}, safety_ratings=[{"b": 2}])
    assert found["content"]["parts"] == [own, {"text": "x"}]
    assert found["groundingMetadata"] == {"a": 1}
    assert found["safetyRatings"] == [{"b": 2}]


def test_a_refused_prompt_is_feedback() -> None:
    """Without a candidate, as Google tells it."""
    found = reply({"content": ""}, finish_reason="content_filter", prompt_feedback={"blockReason": "SAFETY"})
    assert found["promptFeedback"] == {"blockReason": "SAFETY"}
    assert "candidates" not in found


def test_citations_are_counted_in_bytes() -> None:
    """OpenAI counts characters."""
    cited = [
        {"type": "url_citation", "url_citation": {"url": "https://x", "title": "X", "start_index": 1, "end_index": 3}},
        {"type": "url_citation", "url_citation": {"url": "https://x"}},
        {"type": "url_citation", "url_citation": {"url": 4}},
        "junk",
    ]
    assert candidate({"content": "éàü", "annotations": cited})["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://x", "title": "X"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 2, "endIndex": 6, "text": "àü"}, "groundingChunkIndices": [0]}
        ],
    }


def test_logprobs() -> None:
    """Chosen tokens, what else was likely, and their mean."""
    content = [
        {"token": "a", "logprob": -1.0, "top_logprobs": [{"token": "b", "logprob": -2}]},
        {"token": "c", "logprob": -3.0, "top_logprobs": []},
        {"token": 1},
    ]
    found = candidate({"content": "ac"}, logprobs={"content": content})
    assert found["avgLogprobs"] == -2.0
    assert found["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -1.0}, {"token": "c", "logProbability": -3.0}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2}]}, {"candidates": []}],
    }


def test_a_hosts_own_answer_is_changed_only_by_its_cost() -> None:
    """Usage that it does not state is ours."""
    answer: dict[str, Any] = {"candidates": [], "usageMetadata": {"promptTokenCount": 3, "serviceTier": "x"}, "new": 1}
    made = GEMINI.native_reply(dict(answer), asked(), ACCOUNT)
    assert made.keys() == {*answer, "_remaining_credits"}
    assert made["usageMetadata"].keys() == {"promptTokenCount", "serviceTier", "cost"}
    bare = GEMINI.native_reply({}, asked(), Account(Usage(input=1), None, 0, {}))
    assert bare["usageMetadata"]["promptTokenCount"] == 1


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3),
    max_leaves=12,
)


@given(odd=st.dictionaries(st.sampled_from(MEMBERS), ODD, max_size=6), thoughts=st.booleans())
def test_whatever_a_host_adds_is_written_or_refused(odd: dict[str, Any], *, thoughts: bool) -> None:
    """Members of a message that no decoder looks at have any shape, in whole answers and in streams."""
    message = {**odd, "role": "assistant", "content": "x", "tool_calls": [CALLED]}
    answer = {"choices": [{**odd, "index": 0, "message": message, "finish_reason": "stop"}]}
    call = asked(thoughts=thoughts)
    assert GEMINI.reply(answer, call, IDENTITY, ACCOUNT)["candidates" if "prompt_feedback" not in odd else "responseId"]
    writer = GEMINI.writer(call, IDENTITY)
    calls = [{"index": 0, **CALLED}]
    delta = {**odd, "content": "x", "tool_calls": calls}
    try:
        writer.encode(
            [{"choices": [{**odd, "index": 0, "delta": part, "finish_reason": None}]} for part in (delta, odd)]
        )
        writer.finish(ACCOUNT)
    except UpstreamBadResponse:
        return
    assert writer.tokens() > 0
