"""One request through the whole gateway, to an upstream that checks what it is sent."""

import json

import pytest

from tests.fakes.chaos import ChaosUpstream, Send, closed_port
from tests.fakes.door import HELLO, opened
from tests.fakes.openai_wire import USAGE, completion, failure, stream
from tests.gateway.kit import ASK, SECRET, STREAM, hosts
from tollhouse.gateway.pipeline import mint_chat_id
from tollhouse.web.exchange import OPENAI_ERRORS


async def test_a_completion_is_answered_in_openai_shape_under_the_name_that_was_asked_for() -> None:
    """The client sees its own model name; the target is in a header; the upstream gets its own name and its own key."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        answer = await door.post({**ASK, "temperature": 0.5, "x_vendor": {"kept": [1, None]}})
        assert answer.status == 200
        assert answer.headers["x-tollhouse-target"] == "up0/m"
        assert answer.headers["content-type"] == "application/json"
        reply = answer.json
        assert reply["model"] == "both"
        assert reply["object"] == "chat.completion"
        assert reply["id"].startswith("chatcmpl-")
        assert reply["choices"][0]["message"]["content"] == "Hello there!"
        assert {**USAGE, **reply["usage"]} == reply["usage"]
        sent = up.requests[0]
        assert sent.target == "/v1/chat/completions"
        assert sent.headers["authorization"] == f"Bearer {SECRET}"
        assert json.loads(sent.body) == {**ASK, "model": "m", "temperature": 0.5, "x_vendor": {"kept": [1, None]}}
        assert door.count("tollhouse_tokens", "up0", "m", "input") == 7
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 3
        assert door.idle


async def test_a_stream_is_canonical_and_usage_is_asked_for_but_not_shown() -> None:
    """Role first, one id and model, one terminal reason, [DONE]; usage only for a client that asked."""
    async with ChaosUpstream([Send(stream("Hel", "lo"))]) as up, opened(hosts(up)) as door:
        answer = await door.post(STREAM)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["cache-control"] == "no-cache"
        assert "content-encoding" not in answer.headers
        assert answer.ended
        assert answer.lines[-1] == b"[DONE]"
        events = answer.events
        assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert answer.text == "Hello"
        assert {event["model"] for event in events} == {"both"}
        assert len({(event["id"], event["created"]) for event in events}) == 1
        reasons = [event["choices"][0]["finish_reason"] for event in events]
        assert [reason for reason in reasons if reason] == ["stop"]
        assert not any("usage" in event for event in events)
        assert json.loads(up.requests[0].body)["stream_options"] == {"include_usage": True}
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 3


async def test_usage_comes_last_when_the_client_asks() -> None:
    """With include_usage every chunk has ``usage: null`` but one more at the end that has it, with no choices."""
    async with ChaosUpstream([Send(stream("hi"))]) as up, opened(hosts(up)) as door:
        answer = await door.post({**STREAM, "stream_options": {"include_usage": True}})
        *ordinary, last = answer.events
        assert all(event["usage"] is None for event in ordinary)
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] == 10


async def test_what_every_network_read_held_leaves_in_one_write() -> None:
    """Each event is whole in its HTTP chunk, so that a client that splits naively still reads it."""
    async with ChaosUpstream([Send(stream("a", "b", "c"), size=11)]) as up, opened(hosts(up)) as door:
        reader, _ = await door.send("POST", "/v1/chat/completions", STREAM)
        raw = await reader.read(-1)
        framed = raw.partition(b"\r\n\r\n")[2]
        while framed:
            size, _, rest = framed.partition(b"\r\n")
            data, framed = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
            assert data == b"" or (data.startswith(b"data: ") and data.endswith(b"\n\n"))


async def test_targets_are_tried_in_order_until_one_answers() -> None:
    """A target that cannot answer is passed over before the first byte; the headers say who answered, and after how
    many attempts.
    """
    dead = closed_port()
    async with ChaosUpstream([Send(completion("from the second"))]) as up, opened(hosts(dead, up)) as door:
        answer = await door.post(ASK)
        assert answer.json["choices"][0]["message"]["content"] == "from the second"
        assert answer.headers["x-tollhouse-target"] == "up1/m"
        assert answer.headers["x-tollhouse-attempts"] == "2"
        assert door.count("tollhouse_attempts", "up0", "upstream_unreachable") == 1
        assert door.count("tollhouse_attempts", "up1", "ok") == 1


async def test_when_every_target_fails_the_error_names_each_and_asks_for_no_retry() -> None:
    """One fault for all, 503, with the attempts in it; the SDK is told that retrying was done already."""
    async with ChaosUpstream([Send(failure(500))]) as up, opened(hosts(closed_port(), up)) as door:
        answer = await door.post(ASK)
        assert answer.status == 503
        assert "up0/m: upstream_unreachable; up1/m: " in answer.error["message"]
        assert answer.headers["x-should-retry"] == "false"
        assert door.idle


async def test_a_request_makes_no_more_upstream_calls_than_attempts() -> None:
    """A20: with three failing targets and max_attempts 2, two calls are made."""
    plays = [Send(failure(503))]
    async with ChaosUpstream(plays) as a, ChaosUpstream(plays) as b, ChaosUpstream(plays) as c:
        async with opened(hosts(a, b, c, more="[upstream]\nmax_attempts = 2")) as door:
            assert (await door.post(ASK)).status == 503
            assert [len(up.requests) for up in (a, b, c)] == [1, 1, 0]


async def test_a_request_that_is_wrong_is_not_tried_elsewhere() -> None:
    """F37: what one host calls a bad request, the others are not asked; status, code and message come through."""
    bad = failure(400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded")
    async with ChaosUpstream([Send(bad)]) as first, ChaosUpstream([Send(completion())]) as second:
        async with opened(hosts(first, second)) as door:
            answer = await door.post(ASK)
            assert answer.status == 400
            assert answer.error["code"] == "context_length_exceeded"
            assert "8192 tokens" in answer.error["message"]
            assert not second.requests


async def test_f36_a_refused_upstream_key_is_never_the_clients_401() -> None:
    """A provider's 401, which may print a key, becomes 502 upstream_auth without a word of it."""
    leak = failure(401, f"Incorrect API key provided: {SECRET}.", "invalid_api_key")
    async with ChaosUpstream([Send(leak)]) as up, opened(hosts(up)) as door:
        answer = await door.post(ASK)
        assert answer.status == 502
        assert answer.error["code"] == "upstream_auth"
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-tollhouse-target"] == "up0/m"
        assert SECRET.encode() not in answer.body
        assert len(up.requests) == 1


async def test_a_rate_limited_upstream_passes_its_wait_on() -> None:
    """C3: the upstream's Retry-After reaches the client as whole seconds on a 429."""
    limited = failure(429, "slow", "rate_limit_exceeded").replace(b"content-type", b"retry-after: 7\r\ncontent-type", 1)
    async with ChaosUpstream([Send(limited)]) as up, opened(hosts(up)) as door:
        answer = await door.post(ASK)
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")
        assert answer.error["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("name", ["nope", "up0", "up9/m", "m#up9", ""])
async def test_an_unknown_model_is_a_404_or_names_its_parameter(name: str) -> None:
    """A name that leads nowhere is refused without any upstream call."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        answer = await door.post({**HELLO, "model": name})
        assert answer.status == (404 if name else 400)
        assert answer.error["code"] == "model_not_found" or not name
        assert not up.requests


@pytest.mark.parametrize("name", ["up0/m", "m", "m#up0", "UP0/M".lower(), "both"])
async def test_a_model_may_be_named_in_each_way(name: str) -> None:
    """Alias, host/model, pinned and bare names reach the same target."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        answer = await door.post({**HELLO, "model": name})
        assert answer.status == 200
        assert answer.json["model"] == name


async def test_s24_a_client_cannot_choose_the_host() -> None:
    """A base URL in the body, a header or the query is refused by name, and nobody is called (CVE-2024-6587)."""
    async with ChaosUpstream([Send(completion())]) as evil, ChaosUpstream([Send(completion())]) as up:
        async with opened(hosts(up)) as door:
            for field in ("api_base", "base_url", "custom_host", "azure_endpoint"):
                answer = await door.post({**ASK, field: evil.url})
                assert (answer.status, answer.error["param"]) == (400, field)
            answer = await door.post(ASK, f"/v1/chat/completions?base%5Furl={evil.url}")
            assert (answer.status, answer.error["param"]) == (400, "base_url")
            answer = await door.post(ASK, x_portkey_custom_host=evil.url)
            assert (answer.status, answer.error["param"]) == (400, "x-portkey-custom-host")
            assert (await door.post(ASK, "/v1/chat/completions?api-version=2024-10-21")).status == 200
            assert not evil.visits


async def test_s20_only_listed_headers_pass_either_way() -> None:
    """The client's key, cookies and headers stop here; so do the upstream's cookies, server name and request id."""
    reply = completion().replace(
        b"content-type", b"set-cookie: a=b\r\nserver: up\r\nx-request-id: up-1\r\ncontent-type", 1
    )
    async with ChaosUpstream([Send(reply)]) as up, opened(hosts(up)) as door:
        answer = await door.post(ASK, cookie="session=1", x_api_key="other", x_custom="1", openai_organization="o")
        sent = up.requests[0]
        assert door.key.encode() not in sent.head
        assert not {"cookie", "x-api-key", "x-custom", "openai-organization", "x-request-id"} & set(sent.headers)
        assert not {"set-cookie", "server"} & set(answer.headers)
        assert answer.headers["x-request-id"] != "up-1"


def test_ids_look_like_openais() -> None:
    """An id is chatcmpl- and 29 alphanumerics, and no two are alike."""
    ids = {mint_chat_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(one.startswith("chatcmpl-") and len(one) == 38 and one[9:].isalnum() for one in ids)


async def test_no_key_no_service() -> None:
    """Without a good key nothing but health is served, and nothing reaches an upstream."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        for route in door.app.routes:
            if route.access != "key":
                continue
            path = route.path.replace("{model}", "m:generateContent" if route.method == "POST" else "m")
            assert (await door.request(route.method, path, b"{}", authorization="")).status == 401
            wrong = await door.request(route.method, path, b"{}", authorization="Bearer sk-th-wrong")
            assert wrong.status == 401
            assert route.errors is not OPENAI_ERRORS or wrong.error["code"] == "invalid_api_key"
        assert not up.requests


async def test_the_gateway_refuses_what_it_cannot_hold() -> None:
    """Over max_in_flight a request is told to come back, and nothing is taken."""
    async with ChaosUpstream([Send(completion())]) as up:
        async with opened(hosts(up, more="[server]\nmax_in_flight = 1")) as door:
            door.app.gate.in_flight = 1
            answer = await door.post(ASK)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            door.app.gate.in_flight = 0
            assert (await door.post(ASK)).status == 200


async def test_an_openai_id_of_the_upstream_is_kept_and_any_other_replaced() -> None:
    """A provider's support asks for its id; what does not look like one of OpenAI's never reaches the client."""
    good, odd = completion(id="chatcmpl-abc123", created=1_700_000_001), completion(id="../x\n", created=-5)
    async with ChaosUpstream([Send(good)], [Send(odd)]) as up, opened(hosts(up)) as door:
        kept, minted = (await door.post(ASK)).json, (await door.post(ASK)).json
        assert (kept["id"], kept["created"]) == ("chatcmpl-abc123", 1_700_000_001)
        assert minted["id"].startswith("chatcmpl-")
        assert minted["created"] > 1_700_000_001


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_same_seed_and_request_give_the_same_bytes(streamed: object) -> None:
    """``tollhouse/sim`` with a seed is reproducible to the byte, ids and times included."""
    body = {"model": "tollhouse/sim", "seed": 7, "stream": streamed, **HELLO}
    async with opened() as door:
        first, second = await door.post(body), await door.post(body)
        assert first.body == second.body
        assert (await door.post({**body, "seed": 8})).body != first.body
