"""A Gemini host's own stream, passed on to a Gemini client."""

import json
from typing import Any

from tests.dialects.gemini.kit import ACCOUNT, asked
from tests.dialects.gemini.test_writer import objects
from tollhouse.dialects.gemini.client import GEMINI


def event(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One of the host's objects; ``more`` are members of the candidate."""
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **more}], "modelVersion": "m-001"}


def test_objects_are_passed_on_as_they_are() -> None:
    """At once, and the last with our cost."""
    writer = GEMINI.native_writer(asked())
    first, last = event({"text": "a"}), {**event({"text": "b"}, finishReason="STOP"), "usageMetadata": {"x": 1}}
    assert objects(writer.encode([first])) == [first]
    assert writer.encode([dict(last)]) == b""
    end = objects(writer.finish(ACCOUNT))
    assert end == [{**last, "usageMetadata": {"x": 1, "cost": 0.0000015}, "_remaining_credits": None}]


def test_what_follows_the_reason_is_passed_on_too() -> None:
    """Another candidate goes on, or usage comes alone; the notes are in the very last."""
    writer = GEMINI.native_writer(asked())
    events = [event({"text": "a"}, finishReason="STOP"), event({"text": "b"}, index=1), {"usageMetadata": {"x": 1}}]
    body = b"".join([writer.encode([one]) for one in json.loads(json.dumps(events))]) + writer.finish(ACCOUNT)
    found = objects(body)
    assert found[:2] == events[:2]
    assert found[2]["usageMetadata"]["x"] == 1
    assert "_remaining_credits" in found[2]


def test_a_stream_without_an_end_is_given_one() -> None:
    """The cost is told in any case, in an object with a candidate; so it is of a refused prompt."""
    writer = GEMINI.native_writer(asked())
    writer.encode([event({"text": "a"})])
    [end] = objects(writer.finish(ACCOUNT))
    assert end["candidates"]
    assert end["usageMetadata"]["cost"]
    refused = GEMINI.native_writer(asked())
    assert refused.encode([{"promptFeedback": {"blockReason": "SAFETY"}}]) == b""
    assert objects(refused.finish(ACCOUNT))[0]["promptFeedback"] == {"blockReason": "SAFETY"}


def test_what_is_given_is_counted() -> None:
    """Text, thoughts, calls, code, images and sound; what has the wrong type counts nothing, and breaks nothing."""
    for part in ({"text": "word"}, {"functionCall": {"name": "f"}}, {"executableCode": {"code": "1"}}):
        writer = GEMINI.native_writer(asked())
        writer.encode([event(part)])
        assert writer.tokens() > 0
    media = GEMINI.native_writer(asked())
    media.encode([event({"inlineData": {"mimeType": "audio/L16", "data": "A" * 64_000}})])
    assert (media.sound_tokens(), media.tokens()) == (20, 20)
    media.encode([event({"inlineData": {"mimeType": "image/png", "data": "A"}})])
    assert media.tokens() == 20 + 1290
    odd = GEMINI.native_writer(asked())
    strange: list[dict[str, Any]] = [{"candidates": 1}, {"candidates": [1, {"content": {"parts": [2]}}]}, {}]
    odd.encode(strange)
    assert odd.tokens() == 0


def test_a_heartbeat_has_a_candidate() -> None:
    """With an empty text, for SDKs forget a turn without one."""
    [beat] = objects(GEMINI.native_writer(asked()).heartbeat())
    assert beat["candidates"][0]["content"]["parts"] == [{"text": ""}]
