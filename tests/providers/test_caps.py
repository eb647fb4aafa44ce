"""The cap that a hold pays for is the cap that goes upstream, by the name that the host takes."""

from typing import Any

import msgspec
import pytest

from tollhouse.providers.llamacpp import PROVIDER as LLAMACPP
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.protocol import Provider
from tollhouse.types.calls import ChatCall, Host, Quirks, Target

MESSAGES = [{"role": "user", "content": "hi"}]
ANY = Host("h", "https://h.example/v1")
NEW = Host("h", "https://h.example/v1", cap_field="max_completion_tokens")
OLD = Host("h", "https://h.example/v1", quirks=Quirks(max_tokens_field="max_tokens"), cap_field="max_completion_tokens")
BOTH = {"max_tokens", "max_completion_tokens"}


def sent(provider: Provider, host: Host, cap: int | None, **own: Any) -> dict[str, Any]:
    """The caps that reach a host."""
    call = ChatCall("m", {"messages": MESSAGES, **own}, False, False)
    before = dict(call.body)
    body = msgspec.json.decode(provider.encode_chat(call, Target(host, "m"), cap).outgoing.body)
    assert call.body == before
    return {name: value for name, value in body.items() if name in BOTH}


@pytest.mark.parametrize("provider", [OPENAI, LLAMACPP])
@pytest.mark.parametrize(
    ("host", "own", "expected"),
    [
        (ANY, {}, {"max_tokens": 100}),
        (NEW, {}, {"max_completion_tokens": 100}),
        (OLD, {}, {"max_tokens": 100}),
        (ANY, {"max_completion_tokens": 900}, {"max_completion_tokens": 100}),
        (NEW, {"max_tokens": 900}, {"max_tokens": 100}),
        (NEW, {"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": 100}),
        (ANY, {"max_tokens": 900, "max_completion_tokens": 800}, {"max_tokens": 100, "max_completion_tokens": 100}),
        (OLD, {"max_completion_tokens": 900}, {"max_tokens": 100}),
    ],
)
def test_the_cap_is_put_where_the_host_reads_it(
    provider: Provider, host: Host, own: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The client's own name is kept, else the host's; no field is left that says more."""
    assert sent(provider, host, 100, **own) == expected


@pytest.mark.parametrize("provider", [OPENAI, LLAMACPP])
def test_without_a_cap_the_clients_request_is_as_it_was(provider: Provider) -> None:
    """Nothing is put in where nothing binds."""
    assert sent(provider, NEW, None) == {}
    assert sent(provider, NEW, None, max_tokens=7) == {"max_tokens": 7}
