"""What the upstream itself says of safety, wherever a dialect puts it: the other half of `spoken`. Pure.

An answer in the inner form holds it already, for its reader has put it there (`filtered`). What is passed through in
the host's own dialect is read here, and stays as it is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from tollhouse.dialects.anthropic.decode import refusal_results
from tollhouse.dialects.filtered import PROMPT, RESULTS, Results
from tollhouse.dialects.gemini.ratings import add_ratings, candidate_results, prompt_results
from tollhouse.dialects.responses.decode import add_results, ending_of, reason_of

PROMPT_SIDE = -1


class Reported(Struct, frozen=True):
    """The results of one text. ``choice`` is the answer's index; `PROMPT_SIDE` stands for the prompt."""

    choice: int
    results: Results


def reported(answer: Mapping[str, Any]) -> Iterator[Reported]:
    """What a whole answer or a chunk in the inner form holds."""
    if PROMPT in answer:
        for entry in answer[PROMPT]:
            yield Reported(PROMPT_SIDE, entry[RESULTS])
    for choice in answer["choices"]:
        if RESULTS in choice:
            yield Reported(choice["index"], choice[RESULTS])


def reported_by_anthropic(piece: Mapping[str, Any]) -> Iterator[Reported]:
    """What a whole ``message`` or an event says."""
    holder = piece.get("delta") if piece.get("type") == "message_delta" else piece
    if isinstance(holder, dict) and (results := refusal_results(holder)):
        yield Reported(0, results)


def reported_by_gemini(piece: Mapping[str, Any]) -> Iterator[Reported]:
    """What a ``GenerateContentResponse`` says."""
    if results := prompt_results(piece.get("promptFeedback")):
        yield Reported(PROMPT_SIDE, results)
    candidates = piece.get("candidates")
    for place, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
        if not isinstance(candidate, dict):
            continue
        rated: Results = {}
        add_ratings(rated, candidate.get("safetyRatings"))
        if found := candidate_results(rated, candidate.get("finishReason")):
            index = candidate.get("index", place)
            yield Reported(index if type(index) is int else place, found)


def reported_by_responses(piece: Mapping[str, Any]) -> Iterator[Reported]:
    """What a whole ``response`` says, or the event that ends one."""
    holder = piece.get("response") if str(piece.get("type")).startswith("response.") else piece
    if isinstance(holder, dict) and (holder.get("content_filters") or holder.get("moderation")):
        choice = {"index": 0, "finish_reason": reason_of(holder)}
        answer = {**ending_of(holder), "choices": [choice]}
        add_results(answer)
        yield from reported(answer)
