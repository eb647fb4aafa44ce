"""A whole answer out of the objects of a stream."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.gemini.join import join_objects


def said(*parts: Any, index: int | None = None, **more: Any) -> dict[str, Any]:
    """An object with one candidate."""
    place = {} if index is None else {"index": index}
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **place, **more}]}


def parts_of(*objects: dict[str, Any]) -> Any:
    """The parts of the first candidate of what objects make."""
    whole = join_objects(objects)
    assert whole is not None
    return whole["candidates"][0]["content"]["parts"]


@given(st.lists(st.text(max_size=5), min_size=1, max_size=6))
def test_cuts_do_not_matter(texts: list[str]) -> None:
    """Text in any pieces is the text."""
    parts = parts_of(*[said({"text": text}) for text in texts])
    assert "".join([part["text"] for part in parts]) == "".join(texts)
    assert len(parts) <= 1


def test_thoughts_calls_and_signatures_stay_apart() -> None:
    """Text that is thought is no text, and what has a signature of its own, or is no text, stands for itself."""
    call = {"functionCall": {"name": "f", "args": {}}}
    signed = {"text": "c", "thoughtSignature": "s"}
    objects = [
        {"text": "a", "thought": True},
        {"text": "b", "thought": True},
        {"text": "x"},
        call,
        signed,
        {"text": ""},
    ]
    assert parts_of(*[said(part) for part in objects]) == [
        {"text": "ab", "thought": True},
        {"text": "x"},
        call,
        signed,
    ]


def test_the_last_word_counts() -> None:
    """Finish reason, usage and candidates of a later object go over those of an earlier one."""
    first = {**said({"text": "a"}, index=1), "usageMetadata": {"totalTokenCount": 1}, "responseId": "r"}
    last = {**said({"text": "b"}, index=1, finishReason="STOP"), "usageMetadata": {"totalTokenCount": 2}}
    assert join_objects([first, said({"text": "z"}, index=0), last]) == {
        "candidates": [
            {"content": {"parts": [{"text": "z"}], "role": "model"}, "index": 0},
            {"content": {"parts": [{"text": "ab"}], "role": "model"}, "index": 1, "finishReason": "STOP"},
        ],
        "usageMetadata": {"totalTokenCount": 2},
        "responseId": "r",
    }


def test_a_block_and_odd_values_are_taken_as_they_come() -> None:
    """A prompt that was blocked has no candidates; members of other kinds break nothing; nothing makes nothing."""
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    assert join_objects([blocked]) == blocked
    assert join_objects([]) is None
    assert join_objects([{"candidates": 5, "x": 1}]) == {"x": 1}
    assert parts_of(said(5, "x"), {"candidates": [{"content": {"parts": 7}}, {"content": 3, "index": "q"}]}) == [5, "x"]
