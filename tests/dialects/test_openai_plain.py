"""The inner form for hosts that know no more than OpenAI's own members."""

import copy
from typing import Any

import pytest

from tollhouse.dialects.openai_plain import make_plain
from tollhouse.types.calls import ModelFacts

MARK = {"type": "ephemeral"}
REASONS = ModelFacts("m", "m", reasoning=True)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def text(words: str, **more: Any) -> dict[str, Any]:
    """A part."""
    return {"type": "text", "text": words, **more}


def plain(body: dict[str, Any], *kept: str, facts: ModelFacts | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    """What is sent, and what is lost; the given body stays as it was."""
    given = {"messages": [], **body}
    before = copy.deepcopy(given)
    made = dict(given)
    losses = {loss.param: loss.how for loss in make_plain(made, kept, facts)}
    assert given == before
    return made, losses


@pytest.mark.parametrize(
    ("body", "facts", "effort", "losses"),
    [
        ({"reasoning": {"enabled": True, "max_tokens": 2048}}, REASONS, "low", {"reasoning.max_tokens": "changed"}),
        ({"reasoning": {"enabled": True, "max_tokens": 9000}}, None, "medium", {"reasoning.max_tokens": "changed"}),
        ({"reasoning": {"enabled": True, "max_tokens": 20000}}, None, "high", {"reasoning.max_tokens": "changed"}),
        ({"reasoning": {"enabled": True}}, None, None, {}),
        ({"reasoning": {"enabled": False}}, None, None, {"reasoning": "dropped"}),
        ({"reasoning": {"enabled": True}, "reasoning_effort": "max"}, None, "high", {"reasoning_effort": "changed"}),
        ({"reasoning_effort": "low"}, ModelFacts("m", "m"), None, {"reasoning_effort": "dropped"}),
        ({"reasoning_effort": "low"}, REASONS, "low", {}),
    ],
)
def test_reasoning_is_an_effort(
    body: dict[str, Any], facts: ModelFacts | None, effort: str | None, losses: dict[str, str]
) -> None:
    """Of a model that reasons, or of which nothing is known; of any other it is not asked."""
    made, lost = plain(body, facts=facts)
    assert (made.get("reasoning_effort"), lost) == (effort, losses)
    assert "reasoning" not in made


def test_what_the_host_has_not_is_left_out() -> None:
    """Of the request what changes the answer is a loss; of the past, what asks for nothing is none."""
    past = {
        "role": "assistant",
        "content": [text("a"), text("b", cache_control=MARK)],
        "reasoning_content": "Hm.",
        "reasoning_details": [{}],
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}, "extra_content": {}}],
    }
    body = {
        "messages": [{"role": "system", "content": [text("x", cache_control=MARK), text("y")]}, past],
        "tools": [{"type": "function", "function": {}, "cache_control": MARK}],
        "top_k": 3,
        "stop": list("abcde"),
    }
    made, lost = plain(body)
    assert made["messages"] == [
        {"role": "system", "content": "x\ny"},
        {
            "role": "assistant",
            "content": "ab",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}],
        },
    ]
    assert made["tools"] == [{"type": "function", "function": {}}]
    assert made["stop"] == list("abcd")
    assert lost == {"top_k": "dropped", "stop": "changed"}


def test_what_the_host_takes_stays() -> None:
    """A host's own extensions reach it."""
    message = {"role": "user", "content": [text("a", cache_control=MARK)], "reasoning_content": "Hm."}
    body = {"messages": [message], "top_k": 3, "reasoning": {"enabled": True}}
    made, lost = plain(body, "cache_control", "top_k", "reasoning", "reasoning_content")
    assert made == body
    assert lost == {}


def test_images_of_a_tool_are_shown_by_the_user() -> None:
    """After the last result of the turn, for a tool's message is text there; a failure is told in words."""
    results = [
        {"role": "tool", "tool_call_id": "1", "content": [text("a"), text("b"), IMAGE]},
        {"role": "tool", "tool_call_id": "2", "content": "c", "is_error": True},
    ]
    for after in ([], [{"role": "user", "content": [text("d")]}]):
        made, lost = plain({"messages": [*results, *after]})
        assert made["messages"] == [
            {"role": "tool", "tool_call_id": "1", "content": "a\nb"},
            {"role": "tool", "tool_call_id": "2", "content": "Error: c"},
            {"role": "user", "content": [IMAGE]},
            *after,
        ]
        assert lost == {"is_error": "emulated", "messages": "emulated"}
