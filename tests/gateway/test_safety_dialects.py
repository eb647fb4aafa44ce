"""Clients of Anthropic's and Google's dialects, before hosts of their own and of another: annotated and blocked."""

import json
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Hang, Send, Step, chunk, chunked, head, whole
from tests.fakes.door import opened
from tests.fakes.openai_wire import completion, stream
from tests.faults.kit import judged, pays
from tests.gateway import test_gemini_api as gemini
from tests.gateway import test_messages_api as messages
from tests.gateway.safety_clients import ask_as, heard
from tests.gateway.safety_kit import (
    CLEAN_ANSWER,
    CLEAN_PROMPT,
    FILLER,
    FOUND,
    NO_LIST,
    PLAIN,
    SEEN,
    THREAT,
    aliases,
    is_hit,
    settings_of_policies,
    watched,
)
from tests.gateway.test_safety_upstream import claude_host, gemini_host

REASONS = {"anthropic": ("end_turn", "refusal"), "gemini": ("STOP", "SAFETY")}
HOSTS = {"anthropic": claude_host, "gemini": gemini_host}
both_clients = pytest.mark.parametrize("client", ["anthropic", "gemini"])
both_ways = pytest.mark.parametrize("native", [True, False], ids=["own host", "other host"])


def native_plays(client: str, *pieces: str) -> list[list[Send]]:
    """An answer of a host of the client's own dialect, whole and as a stream."""
    text = "".join(pieces)
    if client == "gemini":
        parts = [gemini.said(piece) for piece in pieces]
        parts[-1]["candidates"][0]["finishReason"] = "STOP"
        said = whole(json.dumps(gemini.said(text, finishReason="STOP")).encode())
        return [[Send(said)], [Send(gemini.events(*parts))]]
    message = {**messages.NATIVE, "content": [{"type": "text", "text": text}]}
    return [[Send(whole(json.dumps(message).encode()))], [Send(chunked(*claude_events(*pieces), messages.ENDING))]]


def claude_events(*pieces: str) -> list[bytes]:
    """The beginning of a stream of Anthropic's."""
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    events = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    return [messages.OPENING, *map(messages.event, events)]


def plays(client: str, native: bool, *pieces: str) -> list[list[Send]]:
    """An answer, whole and as a stream."""
    return native_plays(client, *pieces) if native else [[Send(completion("".join(pieces)))], [Send(stream(*pieces))]]


def settings(client: str, native: bool, up: ChaosUpstream) -> str:
    """A gateway with every policy before one host."""
    host = HOSTS[client](up) if native else f'[providers.up]\nbase_url = "{up.url}/v1"\nmodels = ["m"]\nfree = true\n'
    return f"{settings_of_policies()}{host}{aliases('up/m')}"


@both_clients
@both_ways
async def test_an_answer_is_annotated(client: str, native: bool) -> None:
    """Beside the members that the client knows, once, in the last event of a stream; nothing else changes."""
    steps = plays(client, native, PLAIN[:11], PLAIN[11:])
    async with ChaosUpstream(*steps) as up, opened(settings(client, native, up)) as door:
        for streamed in (False, True):
            found = heard(await ask_as(door, client, "plain", stream=streamed), client, stream=streamed)
            assert (found.text, found.reason) == (PLAIN, REASONS[client][0])
            assert (found.prompt, found.completion) == (CLEAN_PROMPT, {0: CLEAN_ANSWER})


@both_clients
@both_ways
async def test_what_is_found_is_told_and_passes(client: str, native: bool) -> None:
    """A policy that annotates changes no byte of the text, and is told the same of a stream as of the whole."""
    steps = plays(client, native, "a ven", "om. ", THREAT[:70], THREAT[70:])
    async with ChaosUpstream(*steps) as up, opened(settings(client, native, up)) as door:
        first = heard(await ask_as(door, client, "told", stream=False), client, stream=False)
        second = heard(await ask_as(door, client, "told", stream=True), client, stream=True)
    assert first == second
    assert first.text == f"a venom. {THREAT}"
    assert first.completion[0].items() >= SEEN.items()
    assert "high" in {first.completion[0][name]["severity"] for name in ("hate", "violence")}


@both_clients
@both_ways
@pytest.mark.parametrize("policy", ["answers", "later"], ids=["buffered", "async"])
async def test_an_answer_is_blocked(client: str, native: bool, policy: str) -> None:
    """It ends as the client's SDK knows a refusal, and a buffered one says nothing."""
    steps = plays(client, native, "a ven", "om.")
    async with ChaosUpstream(*steps) as up, opened(settings(client, native, up)) as door:
        for streamed in (False, True):
            answer = await ask_as(door, client, policy, stream=streamed)
            found = heard(answer, client, stream=streamed)
            assert found.reason == REASONS[client][1]
            assert is_hit(found.completion[0])
            assert found.prompt == {**CLEAN_PROMPT, **NO_LIST}
            if policy == "answers" or not streamed:
                assert b"a ven" not in answer.body
            assert door.idle


@both_clients
async def test_a_prompt_is_blocked(client: str) -> None:
    """The error is in the client's own form, with the results inside, and no host hears of it."""
    async with watched() as house:
        for streamed in (False, True):
            answer = await ask_as(house.door, client, "listed", stream=streamed, prompt="some venom")
            assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
            error = answer.json["error"]
            if client == "anthropic":
                assert (answer.json["type"], error["type"]) == ("error", "invalid_request_error")
                inner = error["innererror"]
                assert (error["code"], error["error_id"]) == ("content_filter", "CONTENT_POLICY_VIOLATION")
            else:
                assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
                metadata = error["details"][0]["metadata"]
                assert metadata["error_id"] == "CONTENT_POLICY_VIOLATION"
                inner = json.loads(metadata["innererror"])
            assert inner["content_filter_result"] == {**CLEAN_PROMPT, **FOUND}
        assert house.sent == []


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (
            "anthropic",
            {"content": [{"type": "thinking", "thinking": "venom", "signature": "s"}, {"type": "text", "text": "x"}]},
        ),
        ("anthropic", {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": ["venom"]}}]}),
        ("anthropic", {"content": [{"type": "text", "text": "ve"}, {"type": "text", "text": "nom"}]}),
        ("gemini", {"parts": [{"text": "venom", "thought": True}, {"text": "x"}]}),
        ("gemini", {"parts": [{"functionCall": {"name": "f", "args": {"a": "venom"}}}]}),
    ],
    ids=["thinking", "tool", "two blocks", "thought", "call"],
)
async def test_all_that_a_host_says_is_read(client: str, said: dict[str, Any]) -> None:
    """Thoughts and calls of a host of the client's own dialect are annotated, and withheld where the policy says so."""
    if client == "anthropic":
        play = whole(json.dumps({**messages.NATIVE, **said}).encode())
    else:
        candidate = {"content": {"role": "model", **said}, "finishReason": "STOP"}
        play = whole(json.dumps({"candidates": [candidate], "usageMetadata": gemini.USAGE}).encode())
    async with ChaosUpstream([Send(play)]) as up, opened(settings(client, True, up)) as door:
        annotated = await ask_as(door, client, "told", stream=False)
        assert heard(annotated, client, stream=False).completion[0].items() >= SEEN.items()
        blocked = await ask_as(door, client, "answers", stream=False)
        assert heard(blocked, client, stream=False).reason == REASONS[client][1]
        assert b"venom" not in blocked.body


async def test_a_cut_of_a_passed_through_host_hangs_up() -> None:
    """A host of the client's own dialect is left at once, and its text is charged."""
    opening = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
    events = claude_events("venom ", *([FILLER] * 8))
    play: list[Step] = [Send(opening + b"".join(map(chunk, events))), Hang()]
    async with ChaosUpstream(play) as up:
        prices = "[providers.up.models.m]\ninput_usd_per_1m = 3\noutput_usd_per_1m = 15\ncontext_tokens = 1000\n"
        host = claude_host(up).replace('models = ["m"]\nfree = true\n', "") + prices
        async with opened(f"{settings_of_policies()}{host}{aliases('up/m')}") as door:
            await pays(door)
            answer = await ask_as(door, "anthropic", "answers", stream=True)
            await up.gone()
            (hold,) = await judged(door)
    found = heard(answer, "anthropic", stream=True)
    assert (found.text, found.reason) == ("", "refusal")
    assert (hold.state, hold.estimated) == ("settled", True)
    assert 0 < hold.charge <= hold.amount
