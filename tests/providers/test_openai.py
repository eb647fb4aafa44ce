"""The OpenAI dialect towards hosts: each gets the request it takes."""

import json
from typing import Any

import pytest

from tollhouse.errors import InternalError
from tollhouse.providers.openai import PROVIDER, OpenAI
from tollhouse.types.calls import ChatCall, Host, Quirks, Target
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Outgoing


def encode(body: dict[str, Any], host: Host | None = None, **quirks: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The JSON that a host gets for a client's body, and what was dropped."""
    host = host or Host("h", "http://h/v1", quirks=Quirks(**quirks))
    call = ChatCall("alias", {"model": "alias", **body}, bool(body.get("stream")), False)
    encoded = PROVIDER.encode_chat(call, Target(host, "theirs"))
    return json.loads(encoded.outgoing.body), encoded.dropped


def outgoing(host: Host) -> Outgoing:
    """The request that a host gets for an empty body."""
    return OpenAI().encode_chat(ChatCall("alias", {}, False, False), Target(host, "theirs")).outgoing


@pytest.mark.parametrize(
    ("field", "body", "sent"),
    [
        (None, {"max_tokens": 1, "max_completion_tokens": 2}, {"max_tokens": 1, "max_completion_tokens": 2}),
        ("max_tokens", {"max_completion_tokens": 2}, {"max_tokens": 2}),
        ("max_completion_tokens", {"max_tokens": 2}, {"max_completion_tokens": 2}),
        ("max_tokens", {"max_tokens": 2}, {"max_tokens": 2}),
        ("max_tokens", {"max_tokens": 9, "max_completion_tokens": 2}, {"max_tokens": 2}),
        ("max_tokens", {"max_tokens": 9, "max_completion_tokens": None}, {"max_tokens": 9}),
        ("max_tokens", {"max_tokens": None}, {}),
        ("max_tokens", {}, {}),
    ],
)
def test_the_cap_goes_by_the_name_the_host_takes(field: str | None, body: dict[str, Any], sent: dict[str, Any]) -> None:
    """Either name of the output cap works on every host; of two different caps the stricter is kept."""
    made, dropped = encode(body, max_tokens_field=field)
    del made["model"]
    assert made == sent
    assert dropped == ()


def test_refused_fields_are_dropped_and_named() -> None:
    """What a host refuses is left out and listed, in a fixed order, only where the client sent it."""
    made, dropped = encode({"logit_bias": {}, "store": None, "seed": 1}, drop=("seed", "store", "user"))
    assert made == {"model": "theirs", "logit_bias": {}}
    assert dropped == ("seed", "store")


@pytest.mark.parametrize(
    ("options", "takes", "sent", "dropped"),
    [
        (None, True, {"include_usage": True}, ()),
        ({"include_usage": False}, True, {"include_usage": True}, ()),
        ({"include_obfuscation": False}, True, {"include_obfuscation": False, "include_usage": True}, ()),
        ({"include_usage": True}, False, None, ()),
        ({"include_obfuscation": False}, False, None, ("stream_options",)),
        (None, False, None, ()),
    ],
)
def test_usage_is_always_asked_for(
    options: dict[str, Any] | None, takes: bool, sent: dict[str, Any] | None, dropped: tuple[str, ...]
) -> None:
    """A stream's usage is asked for whether the client did or not, unless the host refuses to be asked."""
    made, gone = encode({"stream": True, "stream_options": options}, stream_usage=takes)
    assert made.get("stream_options") == sent
    assert made["stream"] is True
    assert gone == dropped


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://h/v1", "/v1/chat/completions"),
        ("https://h/v1/", "/v1/chat/completions"),
        ("https://h", "/chat/completions"),
        ("https://h/", "/chat/completions"),
        ("https://h:8443/a/b?x=1&y=2", "/a/b/chat/completions?x=1&y=2"),
    ],
)
def test_the_path_is_that_of_the_base_url(base_url: str, path: str) -> None:
    """With or without a trailing slash, and with a query, the path is the base URL's and chat/completions."""
    assert outgoing(Host("h", base_url)).path == path


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ("bearer", "authorization", "Bearer s3cret"),
        ("x-api-key", "x-api-key", "s3cret"),
        ("api-key", "api-key", "s3cret"),
        ("none", None, None),
    ],
)
def test_the_credential_goes_where_the_host_wants_it(auth: str, name: str | None, value: str | None) -> None:
    """The credential is in exactly the one header that the host's kind of auth names."""
    headers = outgoing(Host("h", "https://h", credential=Secret("s3cret"), auth=auth)).headers
    assert [pair for pair in headers if "s3cret" in pair[1]] == ([] if name is None else [(name, value)])
    assert not any("authorization" in pair for pair in outgoing(Host("h", "https://h", auth=auth)).headers)


def test_an_unknown_kind_of_auth_is_our_fault() -> None:
    """A host row with a kind of auth that does not exist raises rather than sending no credential."""
    with pytest.raises(InternalError):
        outgoing(Host("h", "https://h", credential=Secret("s"), auth="magic"))


def test_a_hosts_own_headers_win() -> None:
    """The operator's headers are sent in lower case, once each, in the place of ours where the names agree."""
    headers = outgoing(Host("h", "https://h", headers=(("User-Agent", "mine"), ("X-A", "1")))).headers
    assert dict(headers)["user-agent"] == "mine"
    assert dict(headers)["x-a"] == "1"
    assert len(dict(headers)) == len(headers)


def test_what_is_known_of_hosts_is_never_stale() -> None:
    """After many reloads every host still gets its own path and credential."""
    provider = OpenAI()
    call = ChatCall("a", {}, False, False)
    for number in range(3000):
        host = Host("h", f"https://h/{number}", credential=Secret(str(number)))
        made = provider.encode_chat(call, Target(host, "m")).outgoing
        assert made.path == f"/{number}/chat/completions"
        assert ("authorization", f"Bearer {number}") in made.headers
        assert provider.encode_chat(call, Target(host, "other")).outgoing.headers is made.headers


def test_other_endpoints_share_the_credential() -> None:
    """Another endpoint of the same host has the chat completion's path, headers and credential, but its own body."""
    host = Host("h", "https://h/v1?v=1", credential=Secret("s3cret"))
    made = PROVIDER.encode_relay("audio/transcriptions", "multipart/form-data; boundary=x", b"form", Target(host, "m"))
    assert (made.method, made.path, made.body) == ("POST", "/v1/audio/transcriptions?v=1", b"form")
    assert dict(made.headers)["authorization"] == "Bearer s3cret"
    assert dict(made.headers)["content-type"] == "multipart/form-data; boundary=x"
    assert len(dict(made.headers)) == len(made.headers)
