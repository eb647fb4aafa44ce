"""The hosts of the matrix judge what they are sent: a matrix of hosts that take anything would prove nothing."""

from typing import Any

import pytest

from tests.matrix.losses import LOSSES, PASSED, REFUSED
from tests.matrix.rig import model_at, table
from tests.matrix.scenarios import SCENARIOS
from tests.matrix.shapes import Kinds, Wrong, check
from tests.matrix.table import COLUMNS, render
from tests.matrix.upstreams.anthropic import BODY as MESSAGES
from tests.matrix.upstreams.every import HOSTS
from tests.matrix.upstreams.openai import BODY as CHAT
from tests.matrix.words import Got

HI = {"role": "user", "content": "Hi"}
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [HI]}


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"odd": 1}, ".odd"),
        ({"model": None}, ".model"),
        ({"temperature": "hot"}, ".temperature"),
        ({"top_k": True}, ".top_k"),
        ({"messages": {}}, ".messages"),
        ({"messages": [{"role": "clown", "content": "x"}]}, ".messages[0].role"),
        ({"messages": [{"role": "user"}]}, ".messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "y": 1}]}]},
            ".messages[0].content[0].y",
        ),
        ({"tool_choice": {"type": "maybe"}}, ".tool_choice.type"),
    ],
)
def test_a_shape_is_strict(more: dict[str, Any], where: str) -> None:
    """Unknown members and kinds, missing ones, and wrong types are found where they are."""
    check(ASKED, MESSAGES)
    with pytest.raises(Wrong) as caught:
        check({**ASKED, **more}, MESSAGES)
    assert caught.value.path == where


def test_kinds_told_apart_by_their_members() -> None:
    """As Bedrock has its blocks: exactly one."""
    kinds = Kinds("", {"text": {"text!": str}, "image": {"image!": dict}})
    check({"text": "x"}, kinds)
    wrongs: list[Any] = [{}, {"text": "x", "image": {}}, {"text": 1}, []]
    for wrong in wrongs:
        with pytest.raises(Wrong):
            check(wrong, kinds)


def test_extensions_of_the_inner_form_are_not_openais() -> None:
    """OpenAI refuses them, so that a codec that let one through would fail."""
    check({"model": "m", "messages": [HI]}, CHAT)
    extensions: list[dict[str, Any]] = [
        {"top_k": 1},
        {"reasoning": {}},
        {"messages": [{**HI, "reasoning_content": "x"}]},
    ]
    for more in extensions:
        with pytest.raises(Wrong):
            check({"model": "m", "messages": [HI], **more}, CHAT)


def test_a_signature_has_to_be_the_hosts_own_and_of_that_thought() -> None:
    """Whatever else it is."""
    host = HOSTS["anthropic"]()
    signature, got = host.sign("Hm"), Got()
    host.prove(signature, "there", got, "Hm")
    assert got.proofs == [signature]
    for wrong, thought in ((signature, "Oh"), ("other", "Hm"), (None, None)):
        with pytest.raises(Wrong, match="there"):
            host.prove(wrong, "there", got, thought)


def test_what_is_declared_exists() -> None:
    """Every loss is one of a scenario, of clients and of hosts that there are; the table has all hosts."""
    names = {scenario.name for scenario in SCENARIOS}
    assert names >= {row for row, _, _ in LOSSES} | PASSED.keys() | REFUSED.keys()
    assert HOSTS.keys() >= {one for _, _, hosts in LOSSES for one in hosts.split()}
    assert list(COLUMNS) == list(HOSTS)
    assert {"openai", "anthropic", "gemini"} >= {one for _, clients, _ in LOSSES for one in clients.split()}
    assert render().count("\n| ") == len(SCENARIOS) + 2
    assert all(table(host, "x") and model_at(host) for host in (kind() for kind in HOSTS.values()))
