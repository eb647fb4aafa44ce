"""Our streams as OpenAI's own Python SDK reads them, over a real connection."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.dialects.canon import normalised
from tollhouse.dialects.openai import ChatStream
from tollhouse.errors import UpstreamInterrupted

ID = "chatcmpl-0123456789abcdefghijklmnopqrs"
MESSAGES: list[Any] = [{"role": "user", "content": "Hi"}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "strict": True, "parameters": {"type": "object"}}} for name in "fg"
]


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the server's bytes."""

    def do_POST(self) -> None:
        """Reads the request and writes the answer, a few bytes at a time."""
        server = cast("Server", self.server)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if server.raw.startswith(b"data") else "application/json")
        self.send_header("connection", "close")
        self.end_headers()
        for at in range(0, len(server.raw), 50):
            self.wfile.write(server.raw[at : at + 50])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """A loopback server of one answer."""

    raw = b""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server."""
    running = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    """The SDK, pointed at it."""
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="x", max_retries=0) as sdk:
        yield sdk


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0) -> dict[str, Any]:
    """A chunk of a host."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


def written(*chunks: dict[str, Any], usage: bool = False) -> bytes:
    """The events of a whole stream, a heartbeat after each chunk."""
    writer = ChatStream(ID, 1_760_000_000, "fast-chat", usage)
    events = b"".join([writer.heartbeat() + writer.encode([one]) for one in chunks])
    return events + writer.end({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})


def test_text_and_usage(server: Server, client: openai.OpenAI) -> None:
    """The SDK's helper puts the text, the reason and the usage of a stream with heartbeats together."""
    server.raw = written(chunk({"role": "assistant", "content": "漢"}), chunk({"content": "字 \U0001f680"}), usage=True)
    with client.chat.completions.stream(model="m", messages=MESSAGES, stream_options={"include_usage": True}) as stream:
        final = stream.until_done().get_final_completion()
    assert final.choices[0].message.content == "漢字 \U0001f680"
    assert (final.id, final.model, final.choices[0].finish_reason) == (ID, "fast-chat", "stop")
    assert final.usage is not None
    assert final.usage.total_tokens == 3


def test_parallel_calls(server: Server, client: openai.OpenAI) -> None:
    """The SDK rebuilds two parallel calls from a host that sends them whole, with index 0 and arguments as objects."""
    calls = [{"index": 0, "id": name * 3, "function": {"name": name, "arguments": {name: 1}}} for name in "fg"]
    server.raw = written(chunk({"tool_calls": [calls[0]]}), chunk({"tool_calls": [calls[1]]}, "stop"))
    with client.chat.completions.stream(model="m", messages=MESSAGES, tools=TOOLS) as stream:
        final = stream.until_done().get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    made = [
        (call.id, call.function.name, call.function.arguments) for call in final.choices[0].message.tool_calls or []
    ]
    assert made == [("fff", "f", '{"f":1}'), ("ggg", "g", '{"g":1}')]


def test_several_choices(server: Server, client: openai.OpenAI) -> None:
    """The SDK's plain iterator sees each choice's role first and its reason last."""
    server.raw = written(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({"content": "A"}, "length"))
    texts, reasons = {0: "", 1: ""}, {}
    for one in client.chat.completions.create(model="m", messages=MESSAGES, n=2, stream=True):
        for choice in one.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason
    assert texts == {0: "aA", 1: "b"}
    assert reasons == {0: "length", 1: "stop"}


def test_an_error_event_is_raised(server: Server, client: openai.OpenAI) -> None:
    """An error event in a stream is an APIError with our message, after the text that came before it."""
    writer = ChatStream(ID, 1, "m", include_usage=False)
    server.raw = writer.encode([chunk({"content": "half"})])
    server.raw += writer.error_event(UpstreamInterrupted("It broke off.").body("req_1"))
    seen = ""
    with pytest.raises(openai.APIError, match="It broke off"):  # noqa: PT012 (the text before it is the point)
        for one in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            seen += one.choices[0].delta.content or ""
    assert seen == "half"


def test_a_whole_reply(server: Server, client: openai.OpenAI) -> None:
    """A normalised reply of a host that leaves half of the fields out is a complete ChatCompletion."""
    given = {"function": {"name": "f", "arguments": None}}
    reply = normalised({"choices": [{"message": {"tool_calls": [given]}}], "usage": {}}, ID, 7, "fast-chat")
    server.raw = msgspec.json.encode(reply)
    made = client.chat.completions.create(model="m", messages=MESSAGES)
    assert ChatCompletion.model_validate(made.model_dump(), strict=True) == made
    (call,) = made.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("f", "{}")
    assert made.choices[0].finish_reason == "tool_calls"
