"""What is surely too long for a local model is refused before the engine reads it."""

from typing import Any

import pytest

from tests.fakes.door import Door, opened
from tollhouse.errors import UpstreamRejected
from tollhouse.providers.llamacpp import PROVIDER, text_bytes
from tollhouse.types.calls import ChatCall, Host, ModelFacts, Target

HOST = Host("h", "http://127.0.0.1:1/v1", auth="none", provider="llamacpp")
SMALL = Target(HOST, "m", ModelFacts("m", "m", context_tokens=100))
LONG = "word " * 4000
WITH_TINY = "[discovery]\nenvironment = false\nloopback = false\n"


def encode(target: Target, content: Any, **more: Any) -> bytes:
    """A chat request, encoded."""
    body = {"messages": [{"role": "user", "content": content}], **more}
    return PROVIDER.encode_chat(ChatCall("m", body, stream=False, include_usage=False), target).outgoing.body


@pytest.mark.parametrize(
    ("content", "more"),
    [
        (LONG, {}),
        ([{"type": "text", "text": LONG}], {}),
        ("\u4e2d" * 3000, {}),
        ("x", {"tools": [{"type": "function", "function": {"name": "f", "description": LONG}}]}),
        ("x", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {LONG: True}}}}),
    ],
)
def test_text_beyond_the_context_is_refused(content: Any, more: dict[str, Any]) -> None:
    """Messages, tools and schemas all count, in bytes; nothing of them is encoded."""
    with pytest.raises(UpstreamRejected) as caught:
        encode(SMALL, content, **more)
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")
    assert caught.value.param == "messages"


def test_media_and_unknown_contexts_are_not_counted() -> None:
    """A picture's bytes are no text, and where no context is known none is assumed."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 20_000}}
    assert len(encode(SMALL, [picture])) > 20_000
    assert encode(SMALL, "word " * 300)
    assert encode(Target(HOST, "m"), LONG)
    assert encode(Target(HOST, "m", ModelFacts("m", "m")), LONG)


def test_text_is_counted_in_bytes() -> None:
    """Names, texts and the number of things count; numbers in between do not."""
    assert text_bytes("\u00e9") == 2
    assert text_bytes({"ab": ["c", 1]}) == 2 + 1 + 2 + 1
    assert text_bytes("\ud800") == 1


def test_each_input_to_embed_is_held_to_the_context() -> None:
    """Many short inputs are fine; one that is too long is refused, alone or in a list."""
    many = b'{"input":[' + b",".join([b'"word"'] * 4000) + b"]}"
    assert PROVIDER.encode_relay("embeddings", "application/json", many, SMALL).body == many
    for given in (b'"%s"' % LONG.encode(), b'["x","%s"]' % LONG.encode()):
        with pytest.raises(UpstreamRejected) as caught:
            PROVIDER.encode_relay("embeddings", "application/json", b'{"input":' + given + b"}", SMALL)
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")


async def told(door: Door, body: dict[str, Any], path: str = "/v1/chat/completions") -> tuple[int, object]:
    """Status and code of a refusal."""
    answer = await door.post({"model": "tollhouse/tiny", **body}, path)
    return answer.status, answer.error["code"]


async def test_the_gateway_refuses_a_flood_of_text_at_once() -> None:
    """Ten million bytes to the small model are a 400 in either endpoint and form, and its engine is never started."""
    text = "word " * 2_000_000
    message = {"messages": [{"role": "user", "content": text}]}
    async with opened("", quiet=WITH_TINY) as door:
        expected = (400, "context_length_exceeded")
        assert await told(door, message) == expected
        assert await told(door, {**message, "stream": True}) == expected
        assert await told(door, {"input": text}, "/v1/embeddings") == expected
