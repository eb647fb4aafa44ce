"""The compatibility traps T7 to T13 of the requirements, each under its name; see test_compat.py for the others."""

import json
from typing import Any

import pytest

from tests.e2e.test_compat import BEGIN, CALL, QUICK, WITH_USAGE, events_in, relayed, tool, writes_of
from tests.e2e.wire_readers import READERS, USAGE, InBand, read_go_openai, read_naive_browser
from tests.fakes.chaos import ChaosUpstream, Close, Pause, Send, Step, chunk, head, whole
from tests.fakes.door import Answer, opened
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, event, failure, words
from tests.gateway.kit import ASK, STREAM, hosts

ORIGIN = "http://localhost:3000"
ERROR_MEMBERS = {"message", "type", "param", "code", "error_id", "request_id"}


async def answered(raw: bytes, body: dict[str, Any] = ASK, path: str = "/v1/chat/completions") -> Answer:
    """The client's answer when the host answers with these bytes."""
    async with ChaosUpstream([Send(raw)]) as up, opened(hosts(up)) as door:
        return await door.post(body, path)


async def test_t7_cline_unknown_paths_are_never_a_success() -> None:
    """A base URL that is wrong gets a 404 that says where the API is; without ``/v1`` alone it works."""
    async with opened() as door:
        for path in ("/v2/chat/completions", "/api/v1/chat/completions", "/chat", "/v1", "/v1/v1/chat/completions"):
            answer = await door.post(ASK, path)
            assert answer.status == 404, path
            assert "/v1" in answer.error["message"]
    assert (await answered(completion(), path="/chat/completions")).json["choices"][0]["message"]["content"]


@pytest.mark.parametrize("parts", [(), (ROLE,), (DONE,), (LAST_USAGE, DONE)], ids=["nothing", "role", "done", "usage"])
async def test_t7_cline_a_stream_that_says_nothing_is_an_error(parts: tuple[bytes, ...]) -> None:
    """A host's stream without text, call or reason is no empty success: before content it has a status of its own."""
    async with ChaosUpstream([BEGIN, Send(b"".join(map(chunk, parts))), Close()]) as up, opened(hosts(up)) as door:
        answer = await door.post(STREAM)
        assert answer.status == 502
        assert answer.error["message"]


async def test_t7_cline_usage_is_on_a_chunk_with_choices() -> None:
    """It always asks for usage and reads ``chunk.choices[0]?.delta``: every chunk has ``choices``."""
    writes = await relayed(*words("a"), STOP, LAST_USAGE, DONE, body=WITH_USAGE)
    assert all("choices" in one for one in events_in(writes))


async def test_t7_cline_errors_have_a_body() -> None:
    """A host's 400 without a body is told with one."""
    answer = await answered(head(400, "content-length: 0"))
    assert (answer.status, answer.json["error"]["message"]) == (400, answer.error["message"])
    assert answer.error["message"]


async def test_t8_continue_only_200_is_success_and_499_never_sent() -> None:
    """Success is exactly 200; whatever a host answers, 499, 2xx and 3xx do not reach the client."""
    for status in (201, 202, 204, 206, 299, 302, 418, 499, 599):
        raw = head(status) if status == 204 else whole(b"{}", status)
        answer = await answered(raw)
        assert answer.status in (400, 502), status
        assert answer.error["message"]
    assert (await answered(completion())).status == 200


async def test_t8_continue_sends_both_names_of_the_cap() -> None:
    """``max_tokens``, ``max_completion_tokens`` and ``stream_options`` are taken together."""
    asked = {**WITH_USAGE, "max_tokens": 5, "max_completion_tokens": 5}
    writes = await relayed(*words("a"), STOP, DONE, body=asked)
    assert {reader(writes) for reader in READERS if reader is not read_naive_browser} == {"a"}


async def test_t9_open_webui_joins_with_two_slashes_and_lists_models() -> None:
    """``/v1//models`` is the list, in the one shape it takes."""
    async with opened() as door:
        listed = (await door.get("/v1//models")).json
        assert listed["object"] == "list"
        assert {"tollhouse/sim"} <= {model["id"] for model in listed["data"]}
        assert all(model["object"] == "model" and type(model["created"]) is int for model in listed["data"])


@pytest.mark.parametrize("member", ["content", "reasoning_content", "arguments"])
async def test_t9_open_webui_no_line_is_too_long(member: str) -> None:
    """Half a megabyte in one delta leaves in lines of at most 64 KiB, with nothing lost."""
    text = "x" * 500_000
    call = {**CALL, "function": {"name": "f", "arguments": text}}
    big = delta({"tool_calls": [{"index": 0, **call}]} if member == "arguments" else {member: text})
    writes = await relayed(ROLE, big, STOP, DONE)
    assert max(map(len, b"".join(writes).split(b"\n"))) <= 64 * 1024
    deltas = [one["choices"][0]["delta"] for one in events_in(writes)]
    if member == "arguments":
        pieces = [one["tool_calls"][0]["function"]["arguments"] for one in deltas if "tool_calls" in one]
    else:
        pieces = [one.get(member) or "" for one in deltas]
    assert "".join(pieces) == text


async def test_t10_zed_whole_answers_have_every_member() -> None:
    """Id, created and usage are there where the host left them out, as integers; ``tool_calls: null`` is gone."""
    message = {"role": "assistant", "content": "Hi", "tool_calls": None}
    poor = whole(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())
    answer = (await answered(poor)).json
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(answer)
    assert (answer["object"], type(answer["created"])) == ("chat.completion", int)
    assert all(type(answer["usage"][name]) is int for name in USAGE)
    choice = answer["choices"][0]
    assert (choice["index"], choice["message"]) == (0, {"role": "assistant", "content": "Hi", "refusal": None})


async def test_t10_zed_tool_calls_have_id_and_type() -> None:
    """In a whole answer too, and arguments are a string."""
    message = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}
    raw = whole(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())
    choice = (await answered(raw)).json["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert (call["type"], bool(call["id"]), json.loads(call["function"]["arguments"])) == ("function", True, {"a": 1})
    assert choice["finish_reason"] == "tool_calls"


async def test_t10_zed_fields_it_sends_are_taken() -> None:
    """Its own parameters reach the host."""
    extra = {
        "prompt_cache_key": "k",
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
        "max_completion_tokens": 9,
    }
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        assert (await door.post({**ASK, **extra})).status == 200
        assert json.loads(up.requests[0].body).items() >= extra.items()


async def test_t11_go_openai_finds_the_error() -> None:
    """The line starts exactly ``data: {"error":``, also after heartbeats; its members have the types of its struct."""
    begun = Send(b"".join(map(chunk, words("half"))))
    play: list[Step] = [BEGIN, begun, Pause(0.3), Close()]
    async with ChaosUpstream(play) as up, opened(hosts(up, more=QUICK.format(more=""))) as door:
        writes = await writes_of(door)
    assert len(writes) > 3
    last = b"".join(writes).split(b"\n\n")[-2]
    assert last.startswith(b'data: {"error":{"message":"')
    error = json.loads(last[6:])["error"]
    assert [type(error[name]) for name in ("message", "type", "param", "code")] == [str, str, type(None), str]
    with pytest.raises(InBand):
        read_go_openai(writes)


async def test_t11_go_openai_numbers_are_integers() -> None:
    """Floats and strings where a host should send integers become integers or are counted anew."""
    odd = event({
        "id": 5, "created": 1.7e9, "model": None,
        "choices": [{"index": 0.0, "delta": {"content": "a"}, "finish_reason": None}],
    })  # fmt: skip
    usage = event({"choices": [], "usage": {"prompt_tokens": 7.0, "completion_tokens": "3", "total_tokens": 10.0}})
    writes = await relayed(odd, STOP, usage, DONE, body=WITH_USAGE)
    chunks = events_in(writes)
    assert all(type(one["created"]) is int for one in chunks)
    assert all(type(choice["index"]) is int for one in chunks for choice in one["choices"])
    assert all(type(chunks[-1]["usage"][name]) is int for name in USAGE)
    assert read_go_openai(writes) == "a"


BAD_REQUESTS: dict[str, tuple[str, str, Any, dict[str, str], int]] = {
    "no key": ("POST", "/v1/chat/completions", ASK, {"authorization": ""}, 401),
    "wrong key": ("POST", "/v1/chat/completions", ASK, {"authorization": "Bearer sk-nope"}, 401),
    "no model": ("POST", "/v1/chat/completions", {**ASK, "model": "gpt-99"}, {}, 404),
    "bad json": ("POST", "/v1/chat/completions", b'{"model":', {}, 400),
    "bad field": ("POST", "/v1/chat/completions", {**ASK, "n": "x"}, {}, 400),
    "bad route": ("GET", "/v1/nothing", b"", {}, 404),
    "bad method": ("DELETE", "/v1/chat/completions", b"", {}, 405),
    "too large": ("POST", "/v1/chat/completions", b"x" * 2000, {}, 413),
    "bad type": ("POST", "/v1/chat/completions", b"{}", {"content_encoding": "gzip"}, 415),
    "bad model page": ("GET", "/v1/models/gpt-99", b"", {}, 404),
    "a host that is not there": ("POST", "/v1/chat/completions", {**ASK, "model": "up0/m"}, {}, 502),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
async def test_t12_error_bodies(name: str) -> None:
    """Every error has the one shape, the right status, a request id that is also a header, and CORS for the page."""
    method, path, body, headers, status = BAD_REQUESTS[name]
    async with opened(hosts(9, more="[server]\nmax_body_bytes = 1500")) as door:
        answer = await door.request(method, path, body, origin=ORIGIN, **headers)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"error"}
    error = answer.error
    assert set(error) == ERROR_MEMBERS
    assert all(isinstance(error[member], str) and error[member] for member in ("message", "type", "error_id"))
    assert all(error[member] is None or error[member] not in ("", "None", "null") for member in ("param", "code"))
    assert not isinstance(error["code"], int)
    assert error["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_t12_preflights_need_no_key_and_headers_are_exposed() -> None:
    """OPTIONS is 204 without a key, and a page may read the request id and the retry headers."""
    async with opened() as door:
        asked = {"origin": ORIGIN, "access_control_request_method": "POST", "authorization": ""}
        preflight = await door.request(
            "OPTIONS", "/v1/chat/completions", access_control_request_headers="authorization, content-type", **asked
        )
        answer = await door.get("/v1/models", origin=ORIGIN)
    assert preflight.status == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "x-should-retry", "x-tollhouse-target"} <= set(exposed)


async def test_t12_the_hosts_limit_is_429_with_whole_seconds() -> None:
    """A fraction is rounded up; a host's refusal of our own key or account is never the client's 401 or 402."""
    slow = failure(429).replace(b"\r\n\r\n", b"\r\nretry-after: 1.2\r\n\r\n", 1)
    assert (await answered(slow)).headers["retry-after"] == "2"
    assert [(await answered(failure(status))).status for status in (401, 402, 403)] == [502, 503, 502]


async def test_t13_choices_are_empty_only_for_usage() -> None:
    """A host's filter chunk without choices is not passed on as one: unguarded ``choices[0]`` never fails."""
    filtered = event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    writes = await relayed(filtered, *words("a"), STOP, LAST_USAGE, DONE)
    chunks = events_in(writes)
    assert all(one["choices"] for one in chunks)
    assert any(one.get("prompt_filter_results") for one in chunks)


REASONS = {
    "eos": "stop",
    "model_length": "length",
    "max_tokens": "length",
    "tool_use": "stop",
    "SAFETY": "content_filter",
}


@pytest.mark.parametrize(("sent", "given"), [*REASONS.items(), (7, "stop")])
async def test_t13_reasons_are_openais_whole_and_streamed(sent: Any, given: str) -> None:
    """A host's own finish reason becomes the one of OpenAI's that means it."""
    streamed = events_in(await relayed(*words("a"), delta({}, sent), DONE))
    assert streamed[-1]["choices"][0]["finish_reason"] == given
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": sent}
    assert (await answered(completion(choices=[choice]))).json["choices"][0]["finish_reason"] == given


async def test_t13_a_missing_reason_is_supplied() -> None:
    """[DONE] without one still ends the choice, as ``tool_calls`` where tools were called."""
    called = tool(function={"name": "f", "arguments": "{}"})
    for parts, given in (([*words("a"), DONE], "stop"), ([ROLE, called, DONE], "tool_calls")):
        assert events_in(await relayed(*parts))[-1]["choices"][0]["finish_reason"] == given


@pytest.mark.parametrize("content", ["", None, [], "absent"], ids=str)
async def test_t13_an_assistant_message_may_have_no_content(content: Any) -> None:
    """Beside tool calls, content may be empty, null, an empty list or left out; it reaches the host as it was."""
    message = {"role": "assistant", "content": content, "tool_calls": [CALL]}
    if content == "absent":
        del message["content"]
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        answer = await door.post({**ASK, "messages": [*ASK["messages"], message]})
        assert answer.status == 200
        assert json.loads(up.requests[0].body)["messages"][-1] == message


async def test_t13_the_model_is_the_one_asked_for() -> None:
    """Body and every chunk have the client's name for it, the header has the host's."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        for name in ("both", "up0/m", "m#up0"):
            answer = await door.post({**ASK, "model": name})
            assert (answer.json["model"], answer.headers["x-tollhouse-target"]) == (name, "up0/m")
            assert json.loads(up.requests[-1].body)["model"] == "m"
