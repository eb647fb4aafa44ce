"""Gemini's answers, read: what each part becomes, and what is no answer."""

import base64
import json
from typing import Any

import pytest

from tollhouse.dialects.gemini.decode import GeminiReader, Wanted
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamRateLimited,
    UpstreamUnavailable,
)

SIGNED = {"google": {"thought_signature": "c2ln"}}


def answer(*parts: Any, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """A response with one candidate."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "responseId": "r", **more}


def whole(value: Any, wanted: Wanted | None = None) -> dict[str, Any]:
    """The choice of a whole answer."""
    reply = GeminiReader(wanted or Wanted()).reply(json.dumps(value).encode())
    choice: dict[str, Any] = reply["choices"][0]
    return choice


def event(value: Any) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def fails(raw: bytes, size: int | None = None) -> UpstreamFault:
    """The fault of a stream."""
    reader = GeminiReader(Wanted())
    step = size or max(1, len(raw))
    try:
        for at in range(0, len(raw), step):
            reader.feed(raw[at : at + step])
        reader.finish()
    except UpstreamFault as fault:
        return fault
    raise AssertionError("the stream is whole")


def test_what_google_ran_itself_is_kept_and_is_no_text() -> None:
    """Code and its result are entries that hold the parts as they are."""
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    message = whole(answer(code, {"text": "2"}))["message"]
    assert message["content"] == "2"
    assert message["content_parts"] == [{"type": "google_part", "google_part": code}]


def test_calls_get_ids_of_their_own_and_keep_googles() -> None:
    """Ids are minted where there are none or one comes twice, and a custom tool's input is text again."""
    parts = [{"functionCall": {"name": "f"}}, {"functionCall": {"id": "x", "name": "f", "args": {"a": 1}}}] * 2
    parts.append({"functionCall": {"name": "g", "args": {"input": "free"}}, "thoughtSignature": "c2ln"})
    choice = whole(answer(*parts), Wanted(custom=frozenset({"g"})))
    calls = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert [call["id"] == "x" for call in calls] == [False, True, False, False, False]
    assert len({call["id"] for call in calls}) == 5
    assert [call["function"]["arguments"] for call in calls[:2]] == ["{}", '{"a":1}']
    assert calls[4]["custom"] == {"name": "g", "input": "free"}
    assert calls[4]["extra_content"] == SIGNED
    detail = choice["message"]["reasoning_details"][0]
    assert (detail["data"], detail["id"]) == ("c2ln", calls[4]["id"])


def test_ids_of_two_answers_differ() -> None:
    """Without an id of the answer, what it says tells it from another."""
    first, second = (GeminiReader(Wanted()) for _ in range(2))
    calls = []
    for reader, usage in ((first, 1), (second, 2)):
        value = answer({"functionCall": {"name": "f"}}, usageMetadata={"promptTokenCount": usage})
        del value["responseId"]
        calls.append(reader.reply(json.dumps(value).encode())["choices"][0]["message"]["tool_calls"][0]["id"])
    assert calls[0] != calls[1]


def test_clients_of_functions_get_a_function_call() -> None:
    """The older form of a call takes the first one."""
    call = {"functionCall": {"name": "f", "args": {}}}
    choice = whole(answer(call, call), Wanted(legacy=True))
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert choice["finish_reason"] == "function_call"
    assert "tool_calls" not in choice["message"]


def test_sound_is_made_what_was_asked_for() -> None:
    """Samples get a header where the client wants wav, and are as they came where it does not."""
    samples = base64.b64encode(b"\0\1" * 4).decode()
    part = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": samples}}
    assert whole(answer(part))["message"]["audio"]["data"] == samples
    made = base64.b64decode(whole(answer(part, part), Wanted(wav=True))["message"]["audio"]["data"])
    assert made[:4] == b"RIFF"
    assert int.from_bytes(made[24:28], "little") == 24_000
    assert made[44:] == b"\0\1" * 8
    bad = {"inlineData": {"mimeType": "audio/pcm", "data": "!"}}
    with pytest.raises(UpstreamBadResponse):
        whole(answer(bad), Wanted(wav=True))


def test_a_signed_thought_keeps_its_signature() -> None:
    """A thought is one entry, however many parts it comes in."""
    details = whole(answer({"text": "a", "thought": True}, {"text": "b", "thought": True, "thoughtSignature": "s"}))
    assert details["message"]["reasoning_content"] == "ab"
    assert [(one["text"], one["signature"]) for one in details["message"]["reasoning_details"]] == [("ab", "s")]


def test_sources_are_counted_in_characters() -> None:
    """Places after letters of several bytes are right, and hostile ones stay inside the text."""
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://u", "title": "T"}}, {"web": 7}, 7],
        "groundingSupports": [
            {"segment": {"startIndex": 4, "endIndex": 6}, "groundingChunkIndices": [0, 1, 2, 9, "x"]},
            {"segment": {"startIndex": 10**12, "endIndex": -5}, "groundingChunkIndices": [0]},
            {"segment": 7, "groundingChunkIndices": 7},
            7,
        ],
    }
    value = answer({"text": "漢 xy"})
    value["candidates"][0] |= {"groundingMetadata": grounding}
    places = [one["url_citation"] for one in whole(value)["message"]["annotations"]]
    assert [(one["start_index"], one["end_index"]) for one in places] == [(2, 4), (4, 4)]


def test_places_are_right_over_long_texts() -> None:
    """Marks in a long text change nothing."""
    text = "aé" * 5000
    at = len(("aé" * 3000).encode())
    value = answer({"text": text})
    citation = {"startIndex": at, "endIndex": at + 3, "uri": "https://u"}
    value["candidates"][0]["citationMetadata"] = {"citationSources": [citation]}
    found = whole(value)["message"]["annotations"][0]["url_citation"]
    assert (found["start_index"], found["end_index"], found["title"]) == (6000, 6002, "https://u")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("OTHER", "stop"),
        ("NEW_WORD", "stop"),
        ("SPII", "content_filter"),
    ],
)
def test_reasons_are_openais(word: str, expected: str) -> None:
    """The host's own word stays beside it."""
    choice = whole(answer({"text": "x"}, reason=word))
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (expected, word)


def test_a_mistake_after_words_is_an_end() -> None:
    """What was said before the model's mistake is an answer; a mistake alone is none, streamed or whole."""
    assert whole(answer({"text": "x"}, reason="MALFORMED_FUNCTION_CALL"))["finish_reason"] == "stop"
    alone = answer(reason="MALFORMED_FUNCTION_CALL")
    assert type(fails(event(alone))) is UpstreamBadResponse
    with pytest.raises(UpstreamBadResponse):
        whole(alone)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}, (5, 2, 0)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 10}, (5, 5, 3)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 10}, (5, 5, 3)),
        ({"promptTokenCount": 5, "toolUsePromptTokenCount": 4, "totalTokenCount": 12}, (9, 3, 0)),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, (5, 0, 0)),
        ({"promptTokenCount": -1, "candidatesTokenCount": 1.5, "totalTokenCount": "x"}, (None, None, 0)),
    ],
)
def test_counts_add_up(meta: dict[str, Any], expected: tuple[int | None, int | None, int]) -> None:
    """Tools' input is prompt, thoughts are answer, and what is no count is left out."""
    reader = GeminiReader(Wanted())
    reader.reply(json.dumps(answer({"text": "x"}, usageMetadata=meta)).encode())
    assert reader.usage is not None
    told = reader.usage.get("prompt_tokens"), reader.usage.get("completion_tokens")
    assert (*told, reader.usage["completion_tokens_details"]["reasoning_tokens"]) == expected


def test_cached_sound_is_not_counted_as_heard() -> None:
    """A token of the prompt has one class."""
    meta = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}, {"modality": "TEXT", "tokenCount": 50}, 7],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}],
    }
    reader = GeminiReader(Wanted())
    reader.reply(json.dumps(answer({"text": "x"}, usageMetadata=meta)).encode())
    assert reader.usage is not None
    assert reader.usage["prompt_tokens_details"] == {"cached_tokens": 60, "audio_tokens": 10}


def test_json_in_place_of_a_stream_is_an_answer() -> None:
    """An object, and the list that a host sends without alt=sse, become chunks."""
    pieces = [answer({"text": "a"}, reason=None), answer({"text": "b"})]
    for raw, text in ((json.dumps(pieces), "ab"), (json.dumps(pieces[1]), "b")):
        reader = GeminiReader(Wanted())
        chunks = [chunk for at in range(len(raw)) for chunk in reader.feed(raw[at : at + 1].encode())]
        chunks += reader.finish()
        assert reader.done
        assert chunks[0]["choices"][0]["delta"]["content"] == text
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("keep_alive", [b"data: \n\n", b'data: ""\n\n', b"data: null\n\n", b": x\n\n", b"data: {}\n\n"])
def test_keep_alives_are_passed_over(keep_alive: bytes) -> None:
    """They give no chunk and spoil nothing."""
    reader = GeminiReader(Wanted())
    chunks = reader.feed(keep_alive + event(answer({"text": "x"})) + keep_alive) + reader.finish()
    assert len(chunks) == 2


HOSTILE: tuple[bytes, ...] = (
    b"<html>no</html>",
    b"data: {oops}\n\n",
    b"data: NaN\n\n",
    b"data: 7\n\n",
    b'data: {"candidates":7}\n\n',
    b'data: {"candidates":[7]}\n\n',
    b'data: {"candidates":[{"content":7}]}\n\n',
    b'data: {"candidates":[{"content":{"parts":7}}]}\n\n',
    b'data: {"candidates":[{"content":{"parts":[7]}}]}\n\n',
    b'data: {"candidates":[{"content":{"parts":[{"functionCall":7}]}}]}\n\n',
    b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":""}}]}}]}\n\n',
    b'data: {"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":7}}]}}]}\n\n',
    b'data: {"candidates":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n",
    b'data: {"candidates":[{"content":{"parts":[{"text":"\xff"}]}}]}\n\n',
    b"{oops",
    b"[]",
    b"{}",
    b"[7]",
)


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("raw", HOSTILE)
def test_what_is_no_answer_is_a_bad_response(raw: bytes, size: int | None) -> None:
    """Garbage of every kind is typed, whatever the cut of reads."""
    assert type(fails(raw, size)) is UpstreamBadResponse


@pytest.mark.parametrize(
    "value",
    [
        {"index": 10**9},
        {"index": "x"},
        {"finishReason": {"a": 1}},
        {"logprobsResult": {"chosenCandidates": [{"token": 1}], "topCandidates": 7}},
        {"logprobsResult": {"chosenCandidates": 7}},
        {"groundingMetadata": {"groundingChunks": 7, "groundingSupports": {"a": 1}}},
        {"citationMetadata": {"citations": [{"uri": 7}]}},
        {"safetyRatings": 7},
    ],
)
def test_odd_members_spoil_nothing(value: dict[str, Any]) -> None:
    """What stands beside the content and is of a wrong type is passed over."""
    odd = answer({"text": "x", "thoughtSignature": 7}, {}, {"text": 5}, usageMetadata={"promptTokenCount": None})
    odd["candidates"][0] |= value
    reader = GeminiReader(Wanted())
    chunks = reader.feed(event(odd)) + reader.finish()
    assert chunks[0]["choices"][0]["delta"]["content"] == "x"


@pytest.mark.parametrize("raw", [b"", b": ping\n\n", event(answer({"text": "x"}, reason=None)), b'data: {"candid'])
def test_a_body_that_just_ends_is_broken(raw: bytes) -> None:
    """Without a finish reason the end of the body is an interruption."""
    assert type(fails(raw)) is UpstreamInterrupted


def test_every_candidate_has_to_end() -> None:
    """One of two that has not ended makes the answer a broken one."""
    value = {"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1, "content": {"parts": [{"text": "x"}]}}]}
    assert type(fails(event(value))) is UpstreamInterrupted


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow"}, UpstreamRateLimited),
        ({"status": "UNAVAILABLE"}, UpstreamUnavailable),
        ("text", UpstreamUnavailable),
        ({"code": "x", "status": 7}, UpstreamUnavailable),
    ],
)
@pytest.mark.parametrize("size", [None, 1])
def test_an_error_event_is_its_fault(error: object, kind: type[UpstreamFault], size: int | None) -> None:
    """What came before it is given first, wherever reads are cut."""
    assert type(fails(event(answer({"text": "x"}, reason=None)) + event({"error": error}), size)) is kind
