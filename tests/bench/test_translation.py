"""What the measurement of translation does, without its clock."""

import json

import pytest
from bench.translation import CHUNK_US, KINDS, PAIRS, PASSED, REQUEST_US, Row, least_us, read, table, work_of

from bench import dialogues
from tollhouse.types.wire import Outgoing

_MESSAGES = 2 + 2 * dialogues.STEPS


@pytest.mark.parametrize("client", ["openai", "anthropic", "gemini"])
def test_every_dialect_tells_the_same_conversation(client: str) -> None:
    """The agent's request is 12 messages, 5 calls and 10 tools, whichever dialect it is written in."""
    body = read(client, "agent").body
    assert [message["role"] for message in body["messages"]] == ["system", "user", *["assistant", "tool"] * 5]
    assert len(body["messages"]) == _MESSAGES
    calls = [call for message in body["messages"] for call in message.get("tool_calls") or ()]
    assert [json.loads(call["function"]["arguments"])["limit"] for call in calls] == [50] * dialogues.STEPS
    assert [tool["function"]["name"] for tool in body["tools"]] == [f"search_{n}" for n in range(dialogues.TOOLS)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pair", [PASSED, *PAIRS])
def test_work_can_be_done_again_and_again(pair: tuple[str, str], kind: str) -> None:
    """Each piece of work makes something, and the second time the same."""
    work = work_of(*pair, kind)
    made, again = work(), work()
    assert made
    if isinstance(made, Outgoing):
        assert isinstance(again, Outgoing)
        assert (made.path, made.headers, made.body) == (again.path, again.headers, again.body)
    else:
        assert again == made


@pytest.mark.parametrize("pair", PAIRS)
def test_a_chunk_is_told_in_the_clients_words(pair: tuple[str, str]) -> None:
    """The text of a host's event is in the event that its client gets."""
    assert b"parcel" in bytes(work_of(*pair, "chunk")())  # type: ignore[call-overload]


def test_the_least_of_all_rounds_counts() -> None:
    """Every piece of work has a figure above nothing."""
    assert least_us({("a", "b"): lambda: sum(range(100))}, 2)["a", "b"] > 0


def test_targets_are_of_what_is_added() -> None:
    """A pass-through is taken off before a figure is held against its target, and two translations may cost twice."""
    assert Row("openai", "anthropic", "agent", 100.0 + REQUEST_US, 100.0).verdict == "<= 40 met"
    assert Row("openai", "gemini", "chunk", 3.1 + CHUNK_US, 3.0).verdict == "<= 6 missed"
    assert Row("anthropic", "gemini", "agent", 170.0, 100.0).verdict == "<= 80 met"
    assert "| openai | gemini | chunk | 4.0 | 3.0 | 1.0 | <= 6 met |" in table([Row("openai", "gemini", "chunk", 4, 3)])
