"""A choice that is withheld after its host has said why it stopped: the client reads that it was withheld."""

from typing import Any

import pytest

from tests.dialects.gemini.kit import ACCOUNT
from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.client import ClientDialect, Identity
from tollhouse.dialects.gemini.client import GEMINI
from tollhouse.dialects.openai_client import OPENAI
from tollhouse.dialects.replies import tidy_reply
from tollhouse.types.calls import ChatCall

CALL = ChatCall("m", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}, True, False)


def ended(reason: str, **delta: Any) -> dict[str, Any]:
    """A chunk that ends the choice."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


@pytest.mark.parametrize(
    ("client", "word"), [(OPENAI, b'"content_filter"'), (ANTHROPIC, b'"refusal"'), (GEMINI, b'"SAFETY"')]
)
def test_being_withheld_goes_over_any_other_reason(client: ClientDialect, word: bytes) -> None:
    """Also over one that was said before; no other reason goes over the first."""
    writer = client.writer(CALL, Identity("chatcmpl-x", 1))
    writer.encode([ended("length", content="so far"), ended("stop"), ended("content_filter"), ended("stop")])
    assert word in writer.finish(ACCOUNT)


def test_no_two_choices_have_one_index() -> None:
    """Hosts that number every choice 0 are corrected, for clients tell choices apart by their index."""
    choices = [{"index": 0, "message": {"content": text}} for text in "abc"]
    reply: dict[str, Any] = {"choices": [*choices, {"index": 1, "message": {"content": "d"}}]}
    tidy_reply(reply, "seed")
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2, 3]
