"""What the filters of hosts found, in whole answers and in streams, whatever the cuts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tollhouse.errors import UpstreamFault
from tollhouse.providers.openai import ChatReader

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
HIGH = {"hate": {"filtered": True, "severity": "high"}}
ASKED = [{"prompt_index": 0, "content_filter_results": SAFE}]
NOTHING = {"id": "", "object": "", "created": 0, "model": ""}
FLAGGED = {
    "type": "moderation_results",
    "model": "omni-moderation-latest",
    "results": [{"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.6}}],
}
MODERATION = {"input": FLAGGED, "output": FLAGGED}


def said(delta: dict[str, Any] | None, reason: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A chunk of one choice; without a delta where that is None."""
    choice: dict[str, Any] = {"index": index, "finish_reason": reason, **more}
    return {"id": "c", "choices": [choice if delta is None else {**choice, "delta": delta}]}


def wire(*events: dict[str, Any]) -> bytes:
    """The bytes of a stream."""
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events) + b"data: [DONE]\n\n"


def read(body: bytes, size: int = 0) -> list[dict[str, Any]]:
    """Every chunk, in reads of this many bytes."""
    reader, step = ChatReader(), size or len(body)
    return [chunk for at in range(0, len(body), step) for chunk in reader.feed(body[at : at + step])] + reader.finish()


def results(chunks: list[dict[str, Any]]) -> Iterator[tuple[int, Any]]:
    """Each choice's results, where a chunk has any."""
    for chunk in chunks:
        for choice in chunk["choices"]:
            if "content_filter_results" in choice:
                yield choice["index"], choice["content_filter_results"]


ASYNC = wire(
    {**NOTHING, "prompt_filter_results": ASKED, "choices": []},
    said({"role": "assistant"}),
    said({"content": "One"}),
    {**said(None, content_filter_results=SAFE, content_filter_offsets={"check_offset": 44}), **NOTHING},
    said({"content": " two"}),
    said({}, "content_filter", content_filter_results=HIGH),
    {"choices": [], "usage": {"prompt_tokens": 1}},
)


@pytest.mark.parametrize("size", [0, 1, 7])
def test_the_asynchronous_filter(size: int) -> None:
    """The prompt's results ride on the first chunk with a choice, the answer's on choices with an empty delta."""
    chunks = read(ASYNC, size)
    assert all(chunk["choices"] for chunk in chunks)
    assert [chunk.get("prompt_filter_results") for chunk in chunks] == [ASKED, *[None] * (len(chunks) - 1)]
    assert list(results(chunks)) == [(0, SAFE), (0, HIGH)]
    assert chunks[2]["choices"][0]["delta"] == {}


def test_a_stream_that_breaks_off_is_broken_all_the_same() -> None:
    """Results are no end of an answer: cut anywhere before its last word, a stream is a fault."""
    end = ASYNC.index(b'"finish_reason": "content_filter"')
    for at in range(0, end, 5):
        with pytest.raises(UpstreamFault):
            read(ASYNC[:at], 3)


def test_older_words_are_the_newer() -> None:
    """What Azure said in 2023 is told as it says it now."""
    opening = {**NOTHING, "prompt_annotations": ASKED, "choices": []}
    chunks = read(wire(opening, said({"content": "a"}, "stop", content_filter_result=HIGH)))
    assert chunks[0]["prompt_filter_results"] == ASKED
    assert chunks[0]["choices"][0]["content_filter_results"] == HIGH
    assert "prompt_annotations" not in chunks[0]
    assert "content_filter_result" not in chunks[0]["choices"][0]


def test_results_on_the_first_chunk_stay_there() -> None:
    """A host that sends them with a choice needs no waiting."""
    chunks = read(wire({**said({"content": "a"}, "stop"), "prompt_filter_results": ASKED}))
    assert chunks[0]["prompt_filter_results"] == ASKED


@pytest.mark.parametrize("odd", [None, 7, "x", [7], [[]], {"hate": 7}, [{"content_filter_results": 7}]])
def test_odd_results_are_left_out(odd: Any) -> None:
    """What makes no sense is no word about safety, and spoils nothing."""
    chunks = read(
        wire({**said({"content": "a"}, content_filter_results=odd), "prompt_filter_results": odd}, said({}, "stop"))
    )
    assert "prompt_filter_results" not in chunks[0]
    assert not chunks[0]["choices"][0].get("content_filter_results")
    reply = {"choices": [{"message": {"content": "a"}, "content_filter_results": odd}], "prompt_filter_results": odd}
    whole = ChatReader().reply(json.dumps(reply).encode())
    assert "prompt_filter_results" not in whole
    assert not whole["choices"][0].get("content_filter_results")


def test_a_whole_answer() -> None:
    """Azure's results pass; those of moderation are added, and the member stays."""
    choice = {"message": {"content": "a"}, "finish_reason": "stop", "content_filter_results": SAFE}
    whole = ChatReader().reply(json.dumps({"choices": [choice], "prompt_annotations": ASKED}).encode())
    assert (whole["prompt_filter_results"], whole["choices"][0]["content_filter_results"]) == (ASKED, SAFE)
    whole = ChatReader().reply(json.dumps({"choices": [choice], "moderation": MODERATION}).encode())
    graded = {"hate": {"filtered": False, "severity": "medium"}}
    assert whole["moderation"] == MODERATION
    assert whole["prompt_filter_results"] == [{"prompt_index": 0, "content_filter_results": graded}]
    assert whole["choices"][0]["content_filter_results"] == graded


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("alone", [True, False])
def test_moderation_ends_a_stream(size: int, alone: bool) -> None:
    """Its results are told of every choice, whether or not their chunk has one: filtered where a filter ended it."""
    pieces = [said({"content": "a"}), said({"content": "b"}, index=1), said({}, "stop", 1)]
    last = said({}, "content_filter")
    if alone:
        pieces += [last, {"choices": [], "usage": {"prompt_tokens": 1}, "moderation": MODERATION}]
    else:
        pieces.append({**last, "moderation": MODERATION})
    chunks = read(wire(*pieces), size)
    told = dict(results(chunks))
    assert {index: found["hate"]["filtered"] for index, found in told.items()} == {0: True, 1: False}
    assert [chunk.get("moderation") for chunk in chunks].count(MODERATION) == 1
    (asked,) = [chunk["prompt_filter_results"] for chunk in chunks if "prompt_filter_results" in chunk]
    assert asked[0]["content_filter_results"]["hate"]["severity"] == "medium"


@pytest.mark.parametrize("choices", [None, 7, {}, [7], [{"index": "x"}]])
def test_moderation_beside_odd_choices(choices: Any) -> None:
    """It raises nothing that the choices do not."""
    try:
        chunks = read(wire(said({"content": "a"}, "stop"), {"choices": choices, "moderation": MODERATION}))
    except UpstreamFault:
        return
    assert chunks[0]["choices"][0]["delta"] == {"content": "a"}
