"""Bedrock's provider: addresses, headers, and what it does not serve. The rest is in the fixtures."""

import json
import zlib

import pytest

from tollhouse.dialects.wishes import custom_names
from tollhouse.errors import UpstreamModelMissing, UpstreamTooLarge
from tollhouse.providers.bedrock import PROVIDER
from tollhouse.types.calls import ChatCall, Host, ModelFacts, Target
from tollhouse.types.secret import Secret

BASE = "https://bedrock-runtime.us-east-1.amazonaws.com"
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def target(model: str = "amazon.nova-pro-v1:0", base_url: str = BASE, facts: ModelFacts | None = None) -> Target:
    """A model of Bedrock's."""
    return Target(Host("aws", base_url, Secret("k" * 10)), model, facts)


@pytest.mark.parametrize(
    ("base_url", "model", "stream", "path"),
    [
        (BASE, "amazon.nova-pro-v1:0", False, "/model/amazon.nova-pro-v1%3A0/converse"),
        (BASE, "amazon.nova-pro-v1:0", True, "/model/amazon.nova-pro-v1%3A0/converse-stream"),
        (BASE + "/proxy/", "a/../b c", False, "/proxy/model/a%2F..%2Fb%20c/converse"),
        (
            BASE,
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x",
            False,
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x/converse",
        ),
    ],
)
def test_a_models_name_is_one_segment_of_the_path(base_url: str, model: str, stream: bool, path: str) -> None:
    """Every byte of a name that is not unreserved is encoded, so that no name leads elsewhere."""
    call = ChatCall("m", BODY, stream, False)
    assert PROVIDER.encode_chat(call, target(model, base_url)).outgoing.path == path


def test_the_catalogue_says_what_a_model_follows() -> None:
    """A schema is sent to a model that follows one, and lost on one that does not, or that is not known to."""
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    call = ChatCall("m", {**BODY, "response_format": schema, "temperature": 0.5}, False, False)
    follows = ModelFacts("m", "m", structured_output=True)
    assert PROVIDER.encode_chat(call, target(facts=follows)).dropped == ()
    assert PROVIDER.encode_chat(call, target(facts=ModelFacts("m", "m"))).dropped == ("response_format",)
    cold = ModelFacts("m", "m", structured_output=True, temperature=False)
    assert PROVIDER.encode_chat(call, target(facts=cold)).dropped == ("temperature",)


@pytest.mark.parametrize(
    ("guardrail", "version"), [("xbgw7g293v7o:3", "3"), ("xbgw7g293v7o:DRAFT", "DRAFT"), ("xbgw7g293v7o", "DRAFT")]
)
def test_the_operators_guardrail_stands(guardrail: str, version: str) -> None:
    """Every answer is given under it, and a client that names another is told that it was not used."""
    host = Host("aws", BASE, options=(("guardrail", guardrail),))
    wanted = {"guardrailIdentifier": "xbgw7g293v7o", "guardrailVersion": version, "trace": "enabled"}
    for given, losses in (({}, []), ({"guardrail_config": {"guardrailIdentifier": "none"}}, ["guardrailConfig"])):
        encoded = PROVIDER.encode_chat(ChatCall("m", {**BODY, **given}, False, False), Target(host, "x"))
        assert json.loads(encoded.outgoing.body)["guardrailConfig"] == wanted
        assert [loss.param for loss in encoded.losses] == losses


def test_a_signed_host_sends_no_credential_of_its_own() -> None:
    """Where requests are signed, the provider leaves ``authorization`` to the signer."""
    host = Host("aws", BASE, auth="sigv4", secrets=(("access_key_id", Secret("AKID")),))
    headers = dict(PROVIDER.encode_chat(ChatCall("m", BODY, False, False), Target(host, "x")).outgoing.headers)
    assert "authorization" not in headers


def test_only_chat_is_served() -> None:
    """Embeddings and the like are another host's."""
    with pytest.raises(UpstreamModelMissing, match="embeddings"):
        PROVIDER.encode_relay("embeddings", "application/json", b"{}", target())


def test_the_hosts_own_limit_for_events_counts() -> None:
    """A decoder refuses an event that is larger than its host may send."""
    small = Target(Host("aws", BASE, max_event_bytes=64), "x")
    decoder = PROVIDER.decode_chat(ChatCall("m", BODY, True, False), small)
    with pytest.raises(UpstreamTooLarge):
        decoder.feed(b"\x00\x00\x00A\x00\x00\x00\x00" + zlib.crc32(b"\x00\x00\x00A\x00\x00\x00\x00").to_bytes(4, "big"))


def test_custom_tools_are_known_to_the_decoder() -> None:
    """The tools of the call decide what is read as free text."""
    tools = [{"type": "custom", "custom": {"name": "shell"}}]
    body = {**BODY, "tools": tools}
    assert custom_names(body) == {"shell"}
    use = b'{"toolUse":{"toolUseId":"a","name":"shell","input":{"input":"ls"}}}'
    reply = PROVIDER.decode_chat(ChatCall("m", body, False, False), target()).reply(
        b'{"output":{"message":{"role":"assistant","content":[' + use + b']}},"stopReason":"tool_use"}'
    )
    assert reply["choices"][0]["message"]["tool_calls"][0]["custom"] == {"name": "shell", "input": "ls"}
