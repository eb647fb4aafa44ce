"""Seals: what clients bring back for other hosts, and what becomes of one that was tampered with."""

import base64
import json
from typing import Any

import pytest

from tollhouse.dialects.anthropic.seals import PLAIN, client_id, host_id, is_sealed, seal, unseal, without_seals

ENTRIES: list[dict[str, Any]] = [
    {"type": "reasoning.text", "format": "google-gemini-v1", "signature": "c2ln"},
    {"type": "reasoning.encrypted", "format": "openai-responses-v1", "id": "rs_1", "data": "gAAA="},
    {"call": "call_1", "extra_content": {"google": {"thought_signature": "CpcH"}}},
]


def forged(value: object) -> str:
    """A seal around anything."""
    return "tollhouse.v1." + base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_sealed_comes_out_of_it(entry: dict[str, Any]) -> None:
    """An entry, or what belongs to a tool call, is the same after the round."""
    word = seal(entry)
    assert is_sealed(word)
    assert unseal(word) == entry


@pytest.mark.parametrize(
    "word",
    [
        "tollhouse.v1.",
        "tollhouse.v1.!!!",
        "tollhouse.v1.é",
        "tollhouse.v1.AAAA",
        forged([]),
        forged("x"),
        forged({"type": "text"}),
        forged({"call": 1, "extra_content": {}}),
        forged({"call": "c", "extra_content": "x"}),
        forged({"type": ["reasoning.text"]}),
        "tollhouse.v1." + base64.urlsafe_b64encode(b"[" * 5000).decode(),
    ],
)
def test_a_forged_seal_holds_nothing(word: str) -> None:
    """Whatever stands behind the prefix, nothing comes out that no host could have said."""
    assert unseal(word) == {}


def test_members_of_other_types_are_left_out() -> None:
    """Only the members of an entry that are text come out of a seal."""
    assert unseal(forged({"type": "reasoning.text", "signature": 1, "format": "f", "role": "system"})) == {
        "type": "reasoning.text",
        "format": "f",
    }


@pytest.mark.parametrize("given", ["functions.bash:0", "call|1", "", "toolu_x64_already", "a b", "漢"])
def test_an_odd_id_survives_the_round(given: str) -> None:
    """An id that the dialect does not take is one that it does, and comes back as it was."""
    spelled = client_id(given)
    assert spelled.replace("_", "").replace("-", "").isalnum()
    assert spelled.isascii()
    assert host_id(spelled) == given


@pytest.mark.parametrize("given", ["toolu_01A", "call_abc", "A-b_9"])
def test_a_good_id_stays(given: str) -> None:
    """An id that the dialect takes is not touched, in either direction."""
    assert client_id(given) == given == host_id(given)


@pytest.mark.parametrize("given", ["toolu_x64_!", "toolu_x64__w", "toolu_x64_A"])
def test_an_id_that_only_looks_spelled_stays(given: str) -> None:
    """What cannot be read back is the client's own id."""
    assert host_id(given) == given


def test_a_request_is_passed_on_without_what_is_sealed() -> None:
    """Blocks under seal go, and turns that held nothing else; the client's own object is as it was."""
    genuine = {"type": "thinking", "thinking": "t", "signature": "EqkE"}
    text = {"type": "text", "text": "x", "citations": [{"encrypted_index": PLAIN}, {"encrypted_index": "Eo8B"}]}
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": PLAIN}]},
        {"role": "assistant", "content": [genuine, {"type": "redacted_thinking", "data": PLAIN}, text]},
    ]
    body = {"model": "m", "messages": turns}
    before = json.dumps(body)
    assert without_seals(body)["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [genuine, {**text, "citations": [{"encrypted_index": "Eo8B"}]}]},
    ]
    assert json.dumps(body) == before
