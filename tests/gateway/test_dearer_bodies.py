"""What a client of any dialect says that would cost more than its tokens at their price, or more than is held for."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send, Step, whole
from tests.fakes.door import Answer, Door, opened
from tests.faults.kit import INPUT_NUSD, OUTPUT_NUSD, judged, pays
from tollhouse.gateway.needs import chat_needs
from tollhouse.types.calls import ChatCall

MESSAGES = "/v1/messages"
GENERATE = "/v1beta/models/both:generateContent"
CHAT = "/v1/chat/completions"
CLAUDE = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 7, "outputTokens": 3},
}
SAID: dict[str, Any] = {"anthropic": CLAUDE, "gemini": GEMINI, "bedrock": CONVERSE}
CONTEXT = 100_000


@asynccontextmanager
async def till(
    provider: str, paid_nusd: int = 20 * 10**9, plays: Sequence[Step] = ()
) -> AsyncIterator[tuple[Door, ChaosUpstream]]:
    """One host that speaks a dialect, at $3 and $15 for a million tokens, and a client that has paid $20."""
    async with ChaosUpstream(plays or [Send(whole(json.dumps(SAID[provider]).encode()))]) as up:
        text = (
            f'[providers.up]\nbase_url = "http://127.0.0.1:{up.port}/v1"\napi_key = "sk-x"\nprovider = "{provider}"\n'
            f'[providers.up.models."m"]\ninput_usd_per_1m = 3\noutput_usd_per_1m = 15\ncontext_tokens = {CONTEXT}\n'
            'output_tokens = 8000\n[models]\nboth = "up/m"\n'
        )
        async with opened(text) as door:
            await pays(door, paid_nusd)
            yield door, up


def messages(content: Any = "hi", **more: Any) -> dict[str, Any]:
    """A request of Anthropic's."""
    return {"model": "both", "max_tokens": 50, "messages": [{"role": "user", "content": content}], **more}


def contents(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request of Gemini's."""
    told = [{"role": "user", "parts": [{"text": "hi"}, *parts]}]
    return {"contents": told, "generationConfig": {"maxOutputTokens": 50}, **more}


def chat(content: Any = "hi", **more: Any) -> dict[str, Any]:
    """A request of OpenAI's."""
    return {"model": "both", "max_tokens": 50, "messages": [{"role": "user", "content": content}], **more}


async def ask(door: Door, path: str, body: dict[str, Any]) -> Answer:
    """One request."""
    return await door.post(body, path)


DEARER = (
    ("anthropic", MESSAGES, messages(speed="fast"), "speed"),
    ("anthropic", MESSAGES, messages(inference_geo="us"), "inference_geo"),
    ("anthropic", MESSAGES, messages(mcp_servers=[{"type": "url", "url": "https://x.example", "name": "x"}]), "mcp"),
    ("anthropic", MESSAGES, messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "web_search"),
    (
        "anthropic",
        MESSAGES,
        messages(context_management={"edits": [{"type": "clear_x"}, {"type": "compact_20260112"}]}),
        "context_management",
    ),
    ("gemini", GENERATE, contents(tools=[{"googleSearch": {}}]), "googleSearch"),
    ("gemini", GENERATE, contents(tools=[{"code_execution": {}}]), "codeExecution"),
    ("gemini", GENERATE, contents(cachedContent="cachedContents/x"), "cachedContent"),
    ("gemini", GENERATE, contents(serviceTier="priority"), "serviceTier"),
    ("gemini", GENERATE, contents(service_tier="SERVICE_TIER_PRIORITY"), "serviceTier"),
    (
        "gemini",
        GENERATE,
        contents(generationConfig={"routingConfig": {"manualMode": {"modelName": "gemini-2.5-pro"}}}),
        "routingConfig",
    ),
    ("gemini", CHAT, chat(service_tier="priority"), "service_tier"),
    ("bedrock", CHAT, chat(serviceTier={"type": "priority"}), "serviceTier"),
    ("bedrock", CHAT, chat(performanceConfig={"latency": "optimized"}), "performanceConfig"),
    ("bedrock", CHAT, chat(performance_config={"latency": "optimized"}), "performance_config"),
    ("bedrock", CHAT, chat(guardrailConfig={"guardrailIdentifier": "g", "guardrailVersion": "1"}), "guardrailConfig"),
)


@pytest.mark.parametrize(("provider", "path", "body", "named"), DEARER)
async def test_a_client_whose_money_binds_cannot_ask_for_what_has_no_price(
    provider: str, path: str, body: dict[str, Any], named: str
) -> None:
    """It is told what it is, nothing is sent, and nothing is held."""
    async with till(provider) as (door, up):
        answer = await ask(door, path, body)
        assert answer.status == 403
        assert named in json.dumps(answer.json)
        assert up.requests == []
        assert await judged(door) == []


UNSEEN = (
    ("anthropic", MESSAGES, messages([{"type": "image", "source": {"type": "file", "file_id": "f"}}])),
    ("anthropic", MESSAGES, messages([{"type": "document", "source": {"type": "file", "file_id": "f"}}])),
    ("anthropic", MESSAGES, messages([{"type": "document", "source": {"type": "url", "url": "https://x.example/a"}}])),
    ("anthropic", MESSAGES, messages([{"type": "text", "text": "x"}, {"type": "container_upload", "file_id": "f"}])),
    (
        "anthropic",
        MESSAGES,
        messages(
            [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
                }
            ]
        ),
    ),
    (
        "anthropic",
        MESSAGES,
        messages(
            [
                {
                    "type": "document",
                    "source": {
                        "type": "content",
                        "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
                    },
                }
            ]
        ),
    ),
    ("gemini", GENERATE, contents({"fileData": {"fileUri": "https://youtu.be/x"}})),
    ("gemini", GENERATE, contents({"file_data": {"mime_type": "application/pdf", "file_uri": "gs://a/b"}})),
    (
        "gemini",
        GENERATE,
        contents(systemInstruction={"parts": [{"text": "x"}, {"fileData": {"fileUri": "https://x.example/f"}}]}),
    ),
    ("gemini", CHAT, chat(extra_body={"google": {"cached_content": "cachedContents/x"}})),
    ("gemini", CHAT, chat(google={"cached_content": "cachedContents/x"})),
)


@pytest.mark.parametrize(("provider", "path", "body"), UNSEEN)
async def test_what_cannot_be_measured_is_held_for_as_a_full_context(
    provider: str, path: str, body: dict[str, Any]
) -> None:
    """What the host reads from elsewhere may fill the context, whatever dialect names it."""
    async with till(provider) as (door, _):
        answer = await ask(door, path, body)
        assert answer.status == 200, answer.body
        (hold,) = await judged(door)
        assert hold.amount >= CONTEXT * INPUT_NUSD + 50 * OUTPUT_NUSD
        assert hold.charge == 7 * INPUT_NUSD + 3 * OUTPUT_NUSD


PLAIN = (
    ("anthropic", MESSAGES, messages(service_tier="auto", context_management={"edits": [{"type": "clear_tool_uses"}]})),
    ("gemini", GENERATE, contents(serviceTier="flex")),
    ("bedrock", CHAT, chat(serviceTier={"type": "flex"}, performanceConfig={"latency": "standard"})),
    ("gemini", CHAT, chat(google={"thinking_config": {"thinking_budget": 0}}, extra_body={})),
)


@pytest.mark.parametrize(("provider", "path", "body"), PLAIN)
async def test_what_costs_no_more_passes(provider: str, path: str, body: dict[str, Any]) -> None:
    """Only what is dearer is refused, and only what cannot be seen fills the context."""
    async with till(provider) as (door, _):
        answer = await ask(door, path, body)
        assert answer.status == 200, answer.body
        (hold,) = await judged(door)
        assert hold.amount < 3000 * INPUT_NUSD


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt", "input"])
def test_what_the_responses_api_reads_beside_the_messages_may_fill_the_context(field: str) -> None:
    """Such members ride along to a host that is asked at /responses."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert not chat_needs(ChatCall("m", body, False, False)).unseen
    assert not chat_needs(ChatCall("m", {**body, field: None}, False, False)).unseen
    assert chat_needs(ChatCall("m", {**body, field: "x"}, False, False)).unseen


@pytest.mark.parametrize("stream", [False, True])
async def test_a_models_own_fields_cannot_lift_the_cap(stream: bool) -> None:
    """Bedrock's additional fields pass, but for those that say how much may be written, and that is told."""
    fields = {"max_tokens": 90_000, "top_k": 5, "inferenceConfig": {"maxTokens": 90_000, "topK": 3}, "max_gen_len": 9}
    async with till("bedrock") as (door, up):
        answer = await ask(door, CHAT, chat(additionalModelRequestFields=fields, stream=stream))
        sent = json.loads(up.requests[0].body)
        assert sent["inferenceConfig"]["maxTokens"] == 50
        assert sent["additionalModelRequestFields"] == {"top_k": 5, "inferenceConfig": {"topK": 3}}
        if not stream:
            assert "additionalModelRequestFields.max_tokens" in answer.headers["x-tollhouse-fidelity"]


async def test_several_answers_of_a_host_without_n_are_held_and_paid_for_with_their_prompts() -> None:
    """The host is asked three times: three prompts and three answers are held for, charged, and within one hold."""
    async with till("anthropic") as (door, up):
        one = await ask(door, CHAT, chat("long " * 2000))
        three = await ask(door, CHAT, chat("long " * 2000, n=3))
        assert (one.status, three.status) == (200, 200), three.body
        assert len(three.json["choices"]) == 3
        assert len(up.requests) == 4
        first, second = await judged(door)
        assert second.charge == 3 * first.charge == 3 * (7 * INPUT_NUSD + 3 * OUTPUT_NUSD)
        assert second.amount >= 3 * (10_000 * INPUT_NUSD + 50 * OUTPUT_NUSD)


async def test_several_answers_that_the_money_does_not_reach_for_are_refused() -> None:
    """What one prompt would leave room for, three do not."""
    async with till("anthropic", paid_nusd=2 * 10_000 * INPUT_NUSD) as (door, up):
        assert (await ask(door, CHAT, chat("long " * 2000))).status == 200
        refused = await ask(door, CHAT, chat("long " * 2000, n=3))
        assert refused.status == 402
        assert len(up.requests) == 1
        await judged(door)


LONG = "word " * 40


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        ("anthropic", MESSAGES, messages()),
        ("gemini", GENERATE, contents()),
        ("anthropic", CHAT, chat()),
        ("gemini", CHAT, chat()),
        ("bedrock", MESSAGES, messages()),
    ],
)
async def test_an_answer_whose_host_tells_no_usage_is_not_free(provider: str, path: str, body: dict[str, Any]) -> None:
    """It is estimated from what was said, in whatever dialect that is, and the client is shown what it is charged."""
    said = json.loads(json.dumps(SAID[provider]).replace("Hello.", LONG))
    said = {name: value for name, value in said.items() if not name.startswith("usage")}
    async with till(provider, plays=[Send(whole(json.dumps(said).encode()))]) as (door, _):
        answer = (await ask(door, path, body)).json
        (hold,) = await judged(door)
        assert hold.estimated
        assert hold.output >= 40
        shown = answer.get("usage") or answer["usageMetadata"]
        written = {"output_tokens", "completion_tokens", "candidatesTokenCount"} & shown.keys()
        assert [shown[name] for name in written] == [hold.output]
        assert shown["cost"] == pytest.approx(hold.charge / 10**9)


@pytest.mark.parametrize("stream", [False, True])
async def test_more_answers_than_a_host_is_asked_for_are_refused(stream: bool) -> None:
    """One request does not take all connections of a host that gives one answer at a time."""
    async with till("anthropic") as (door, up):
        answer = await ask(door, CHAT, chat(n=17, stream=stream))
        assert answer.status == 400, answer.body
        assert answer.error["param"] == "n"
        assert up.requests == []
        assert [hold.charge for hold in await judged(door)] == [0]


def streamed(*events: dict[str, Any]) -> list[Step]:
    """A host's stream of these events."""
    told = "".join([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]).encode()
    return [Send(whole(told, content_type="text/event-stream"))]


@pytest.mark.parametrize(("path", "ask_for"), [(MESSAGES, messages), (CHAT, chat)])
async def test_the_count_of_the_first_token_is_not_taken_for_that_of_the_last(path: str, ask_for: Any) -> None:
    """A stream that ends without its second usage is charged by what was said."""
    opening = {**CLAUDE, "content": [], "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    text = {"type": "text_delta", "text": LONG}
    plays = streamed(
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": text},
        {"type": "message_stop"},
    )
    async with till("anthropic", plays=plays) as (door, _):
        answer = await ask(door, path, ask_for(stream=True))
        assert answer.status == 200
        (hold,) = await judged(door)
        assert hold.estimated
        assert hold.output >= 40
