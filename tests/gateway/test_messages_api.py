"""Anthropic's Messages API at the door: every dialect behind it, counts, the list of models, errors, money."""

import json
from typing import Any

import pytest

from tests.dialects.anthropic.assembly import assembled, events_of
from tests.fakes.chaos import ChaosUpstream, Close, Send, Step, chunked, whole
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import ROLE, completion, delta, failure, stream
from tests.gateway.kit import SECRET, hosts

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
HI: dict[str, Any] = {"model": "both", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
VERSION = {"anthropic_version": "2026-10-21"}
NATIVE = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 3, "service_tier": "standard"},
}


def event(value: dict[str, Any]) -> bytes:
    """One event of a host that speaks the dialect."""
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


OPENING = event({"type": "message_start", "message": {**NATIVE, "content": []}})
OPENING += event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
WORD = event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}})
ENDING = event({"type": "content_block_stop", "index": 0})
ENDING += event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}})
ENDING += event({"type": "message_stop"})


def claude(upstream: ChaosUpstream, more: str = "") -> str:
    """Settings with one host that speaks the dialect."""
    host = f'[providers.up]\nbase_url = "http://127.0.0.1:{upstream.port}/v1"\nprovider = "anthropic"\nfree = true\n'
    return f'{host}api_key = "{SECRET}"\nmodels = ["claude-x"]\n{more}\n[models]\nboth = "up/claude-x"\n'


async def ask(door: Door, path: str = MESSAGES, **more: Any) -> Any:
    """One request as Anthropic's SDK sends it."""
    return await door.post({**HI, **more}, path, **VERSION)


async def test_a_message_from_a_host_of_another_dialect() -> None:
    """The answer is Anthropic's, under the name that was asked for, and says what it cost."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        answer = await ask(door, system="Be brief.", top_k=3)
        assert answer.status == 200
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
        found = answer.json
        assert found["id"].startswith("msg_")
        assert found["content"] == [{"type": "text", "text": "Hello there!"}]
        assert (found["model"], found["stop_reason"]) == ("both", "end_turn")
        assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (7, 3)
        assert "cost" in found["usage"]
        assert "_remaining_credits" in found
        sent = json.loads(up.requests[0].body)
        assert [message["role"] for message in sent["messages"]] == ["system", "user"]
        assert sent["max_tokens"] == 50
        assert door.idle


async def test_a_stream_from_a_host_of_another_dialect() -> None:
    """The events build the message, with the usage that was charged in the last of them."""
    async with ChaosUpstream([Send(stream("Hel", "lo"))]) as up, opened(hosts(up)) as door:
        answer = await ask(door, stream=True)
        assert answer.ended
        found = assembled(answer.body)
        assert found["content"] == [{"type": "text", "text": "Hello"}]
        assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (7, 3)
        assert door.idle


async def test_a_host_of_the_dialect_is_sent_what_the_client_sent() -> None:
    """Body and betas are the client's, unknown fields too; of the answer only the model's name and the cost change."""
    body = whole(json.dumps(NATIVE).encode())
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    async with ChaosUpstream([Send(body)]) as up, opened(claude(up)) as door:
        answer = await door.post({**HI, "tools": tools, "odd": {"x": 1}}, MESSAGES, **VERSION, anthropic_beta="a,b")
        assert answer.status == 200
        assert answer.headers["x-tollhouse-fidelity"] == "full"
        cost = answer.json["usage"].pop("cost")
        assert cost == 0
        assert {name: answer.json[name] for name in NATIVE if name != "usage"} == {
            **{name: value for name, value in NATIVE.items() if name != "usage"},
            "model": "both",
        }
        (request,) = up.requests
        assert request.target == "/v1/messages"
        assert request.headers["anthropic-version"] == "2026-10-21"
        assert request.headers["anthropic-beta"] == "a,b"
        assert json.loads(request.body) == {**HI, "tools": tools, "odd": {"x": 1}, "model": "claude-x"}


async def test_a_stream_of_a_host_of_the_dialect_is_passed_on() -> None:
    """Its own events under its own id, charged by its own usage."""
    async with ChaosUpstream([Send(chunked(OPENING, WORD, ENDING))]) as up, opened(claude(up)) as door:
        answer = await ask(door, stream=True)
        found = assembled(answer.body)
        assert (found["id"], found["model"], found["content"]) == ("msg_01", "both", NATIVE["content"])
        assert found["usage"]["cost"] == 0
        receipt = (await door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json
        assert (receipt["tokens"]["input"], receipt["tokens"]["output"]) == (5, 3)


@pytest.mark.parametrize("native", [True, False])
async def test_a_stream_that_breaks_off_ends_with_an_error_event(native: bool) -> None:
    """The SDKs see the event by its name, and what was delivered is settled."""
    begun = [OPENING + WORD] if native else [ROLE, delta({"content": "Hello."})]
    broken: list[Step] = [Send(chunked(*begun)[: -len(b"0\r\n\r\n")]), Close()]
    async with ChaosUpstream(broken) as up, opened(claude(up) if native else hosts(up)) as door:
        answer = await ask(door, stream=True)
        last = events_of(answer.body)[-1]
        assert last["type"] == "error"
        assert last["error"]["type"] == "api_error"
        assert last["request_id"] == answer.headers["request-id"]
        assert door.idle


async def test_a_fallback_between_dialects() -> None:
    """Where the host of the dialect fails, the next one is sent the translation, and what it lacks is told."""
    overloaded = whole(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', 529)
    async with ChaosUpstream([Send(overloaded)]) as first, ChaosUpstream([Send(stream("Hello"))]) as second:
        text = claude(first).replace('both = "up/claude-x"', 'both = ["up/claude-x", "other/m"]')
        text = f'[providers.other]\nbase_url = "http://127.0.0.1:{second.port}/v1"\nmodels = ["m"]\nfree = true\n{text}'
        text = text.replace("[models]\nboth = [", "[models.both]\ntargets = [")
        async with opened(text) as door:
            answer = await ask(door, stream=True, context_management={"edits": [1]})
            assert assembled(answer.body)["content"][0]["text"] == "Hello"
            assert answer.headers["x-tollhouse-attempts"] == "2"
            assert answer.headers["x-tollhouse-fidelity"] == "context_management=dropped"


async def test_strict_fidelity_refuses_what_would_be_lost() -> None:
    """A field that only Anthropic knows is a 400 where no target is Anthropic's."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        answer = await door.post({**HI, "speed": "fast"}, MESSAGES, x_tollhouse_fidelity="strict")
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unsupported_parameter", "speed")
        assert up.requests == []


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "invalid_request_error"),
        (b'{"model":"both","max_tokens":1,"messages":[]}', 400, "invalid_request_error"),
        (b'{"model":"both","messages":[{"role":"user","content":"x"}]}', 400, "invalid_request_error"),
        (b'{"model":"none-such","max_tokens":1,"messages":[{"role":"user","content":"x"}]}', 404, "not_found_error"),
    ],
)
async def test_a_refusal_is_in_anthropics_shape(body: bytes, status: int, kind: str) -> None:
    """With a type that its clients know, and the request's id where they look for it."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        for path in (MESSAGES, COUNT):
            answer = await door.post(body, path)
            if path == COUNT and b"max_tokens" not in body and status == 400 and body != b"{":
                assert answer.status == 200
                continue
            assert (answer.status, answer.json["type"], answer.error["type"]) == (status, "error", kind)
            assert answer.json["request_id"] == answer.headers["request-id"]


async def test_a_wrong_key_and_a_rate_limit_of_the_host() -> None:
    """401 and 429 are told in the same shape, the second with the wait that the host asked for."""
    async with ChaosUpstream([Send(failure(429, "slow"))]) as up, opened(hosts(up)) as door:
        wrong = await door.post(HI, MESSAGES, authorization="", x_api_key="sk-wrong")
        assert (wrong.status, wrong.error["type"]) == (401, "authentication_error")
        limited = await ask(door)
        assert (limited.status, limited.error["type"]) == (429, "rate_limit_error")
        assert (await door.post(HI, MESSAGES, authorization="", x_api_key=door.key)).status == 429


async def test_an_idempotent_answer_is_given_again_in_its_dialect() -> None:
    """The same name and the same body give the same bytes; the same name at another endpoint is another request."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        first = await door.post(HI, MESSAGES, idempotency_key="k")
        again = await door.post(HI, MESSAGES, idempotency_key="k")
        other = await door.post(HI, idempotency_key="k")
        assert first.body == again.body
        assert other.status == 422
        assert len(up.requests) == 1


async def prepaid_key(door: Door) -> str:
    """A key of a customer whose credit is used up."""
    port, door.port = door.port, door.admin_port
    try:
        operator = {"authorization": "Bearer admin-secret"}
        org = (await door.post({"name": "A"}, "/admin/organizations", **operator)).json["id"]
        key = (await door.post({"parent_id": org}, "/admin/keys", **operator)).json["key"]
    finally:
        door.port = port
    assert type(key) is str
    return key


@pytest.mark.parametrize(("provider", "status"), [("anthropic", 403), ("openai", 402)])
async def test_a_tool_that_the_host_runs_has_no_price(provider: str, status: int) -> None:
    """A caller with a balance is refused it at a host that would run it; where none would, it stands for nothing."""
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    priced = '[providers.up.models."claude-x"]\ninput_usd_per_1m = 1.0\noutput_usd_per_1m = 1.0\n'
    async with ChaosUpstream([Send(completion())]) as up:
        text = claude(up).replace('"anthropic"', f'"{provider}"').replace("free = true\n", "")
        async with opened(text.replace('models = ["claude-x"]\n', priced)) as door:
            key = await prepaid_key(door)
            answer = await door.post({**HI, "tools": tools}, MESSAGES, authorization=f"Bearer {key}")
            assert answer.status == status, answer.body
            assert (answer.error["code"] == "model_unpriced") == (status == 403)


# --- counting ----------------------------------------------------------------------------------------------------


async def test_a_host_of_the_dialect_counts() -> None:
    """It is asked with the fields that a count may have, and nothing is charged."""
    async with ChaosUpstream([Send(whole(b'{"input_tokens":19}'))]) as up, opened(claude(up)) as door:
        answer = await door.post({**HI, "system": "s", "stream": True}, COUNT, **VERSION, anthropic_beta="b")
        assert answer.json == {"input_tokens": 19}
        assert answer.headers["x-tollhouse-target"] == "up/claude-x"
        (request,) = up.requests
        assert request.target == "/v1/messages/count_tokens"
        assert request.headers["anthropic-beta"] == "b"
        assert json.loads(request.body) == {"model": "claude-x", "messages": HI["messages"], "system": "s"}
        assert door.idle


@pytest.mark.parametrize("said", [whole(b"{}", 500), whole(b'{"input_tokens":-1}'), whole(b"[]"), whole(b"no")])
async def test_what_a_host_cannot_count_is_estimated(said: bytes) -> None:
    """A host that fails, or answers with no number, leaves the estimate."""
    async with ChaosUpstream([Send(said)]) as up, opened(claude(up)) as door:
        answer = await ask(door, COUNT)
        assert answer.json["input_tokens"] > 0
        assert answer.headers["x-tollhouse-target"] == "estimate"
        assert door.idle


async def test_what_a_host_refuses_is_refused() -> None:
    """A request that is wrong there is wrong here, for to send it would fail likewise."""
    refusal = b'{"type":"error","error":{"type":"invalid_request_error","message":"no such block"}}'
    async with ChaosUpstream([Send(whole(refusal, 400))]) as up, opened(claude(up)) as door:
        answer = await ask(door, COUNT)
        assert (answer.status, answer.error["message"]) == (400, "no such block")


@pytest.mark.parametrize(("keys", "asked"), [('personal = "mask"', 0), ("", 0), ("prompt = false", 1)])
async def test_a_count_is_no_way_around_a_policy(keys: str, asked: int) -> None:
    """Where a policy may refuse or change prompts no host is asked: the number is the estimate. Else it is."""
    policy = f'[safety]\npolicy = "own"\n[safety.policies.own]\n{keys}\n'
    async with ChaosUpstream([Send(whole(b'{"input_tokens":19}'))]) as up, opened(claude(up) + policy) as door:
        answer = await ask(door, COUNT)
        assert (answer.status, len(up.requests)) == (200, asked)
        assert answer.headers["x-tollhouse-target"] == ("up/claude-x" if asked else "estimate")
        assert door.idle


async def test_other_hosts_are_not_asked_to_count() -> None:
    """The number is the estimate, and grows with the prompt."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        short = (await ask(door, COUNT)).json["input_tokens"]
        long = (await ask(door, COUNT, messages=[{"role": "user", "content": "hi " * 500}])).json["input_tokens"]
        assert 0 < short < long / 10
        assert up.requests == []


# --- models ------------------------------------------------------------------------------------------------------

INFO = {"type", "id", "display_name", "created_at", "lifecycle", "max_input_tokens", "max_tokens", "capabilities"}
CATALOGUED = '[providers.openai]\napi_key = "sk-test-0123456789"\n[models]\nfast-chat = "openai/gpt-4o-mini"\n'


async def test_the_list_of_models_is_in_the_clients_shape() -> None:
    """With the dialect's header, pages of ModelInfo; without it, OpenAI's list."""
    async with opened(CATALOGUED) as door:
        plain = [model["id"] for model in (await door.get("/v1/models")).json["data"]]
        whole_list = (await door.get("/v1/models", **VERSION)).json
        assert [model["id"] for model in whole_list["data"]] == plain
        assert (whole_list["first_id"], whole_list["last_id"], whole_list["has_more"]) == (plain[0], plain[-1], False)
        for model in whole_list["data"]:
            assert model.keys() >= INFO
            assert (await door.get(f"/v1/models/{model['id']}", **VERSION)).json == model
        known = whole_list["data"][0]
        assert known["created_at"].startswith("20")
        assert known["max_input_tokens"] == 128_000
        missing = await door.get("/v1/models/nope", **VERSION)
        assert (missing.status, missing.error["type"]) == (404, "not_found_error")


async def turned(door: Door, name: str, query: str) -> list[str]:
    """The ids of page after page, each named by the last or the first of the one before."""
    found: list[str] = []
    more = True
    while more:
        page = (await door.get(f"/v1/models?{query}", **VERSION)).json
        found += [model["id"] for model in page["data"]]
        query = f"limit=7&{name}={page['last_id'] if name == 'after_id' else page['first_id']}"
        more = page["has_more"]
    return found


async def test_the_pages_of_the_list_are_all_of_it() -> None:
    """Forwards by ``after_id``, backwards by ``before_id``, each model once."""
    async with opened(CATALOGUED) as door:
        every = [model["id"] for model in (await door.get("/v1/models", **VERSION)).json["data"]]
        assert await turned(door, "after_id", "limit=7") == every
        backwards = await turned(door, "before_id", f"limit=7&before_id={every[-1]}")
        assert sorted(backwards) == sorted(every[:-1])
        assert (await door.get("/v1/models?limit=0", **VERSION)).status == 400


async def test_what_claude_code_asks_first() -> None:
    """``HEAD /`` is answered, without a key and without a body."""
    async with opened() as door:
        answer = await door.request("HEAD", "/", authorization="", content_length="", content_type="")
        assert answer.status == 200
