"""What a host is sent in place of what the client said."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.safety.personal.examples import CARDS
from tests.safety.personal.test_vault import TEXTS
from tollhouse.safety.personal.calls import MASKED, mask_call, mask_json
from tollhouse.safety.personal.vault import Vault
from tollhouse.types.calls import ChatCall, Loss

EVA = "eva@example.com"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,ZXZhQGV4YW1wbGUuY29t?eva@example.com"}}


def chat(messages: list[dict[str, Any]], **others: Any) -> ChatCall:
    """A call with these messages."""
    return ChatCall("m", {"model": "m", "messages": messages, **others}, stream=False, include_usage=False)


def masked(messages: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
    """The body that is sent."""
    return mask_call(chat(messages, **others), Vault()).body


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
def test_the_text_of_every_role_is_masked(role: str) -> None:
    """Nobody's message keeps personal data."""
    assert masked([{"role": role, "content": f"To {EVA}."}])["messages"] == [{"role": role, "content": "To [EMAIL_1]."}]


@pytest.mark.parametrize(
    ("member", "given", "sent"),
    [
        ("content", [{"type": "text", "text": EVA}, IMAGE], [{"type": "text", "text": "[EMAIL_1]"}, IMAGE]),
        ("content", [{"type": "refusal", "refusal": EVA}], [{"type": "refusal", "refusal": "[EMAIL_1]"}]),
        ("refusal", EVA, "[EMAIL_1]"),
        ("reasoning_content", EVA, "[EMAIL_1]"),
        ("name", EVA, "[EMAIL_1]"),
        (
            "reasoning_details",
            [{"type": "reasoning.text", "text": EVA, "signature": "s"}, {"type": "reasoning.encrypted", "data": EVA}],
            [
                {"type": "reasoning.text", "text": "[EMAIL_1]", "signature": "s"},
                {"type": "reasoning.encrypted", "data": EVA},
            ],
        ),
        (
            "tool_calls",
            [{"id": "c", "type": "function", "function": {"name": "f", "arguments": f'{{"to": "{EVA}", "n": 1.0}}'}}],
            [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"to": "[EMAIL_1]", "n": 1.0}'}}],
        ),
        (
            "tool_calls",
            [{"id": "c", "type": "custom", "custom": {"name": "f", "input": EVA}}],
            [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "[EMAIL_1]"}}],
        ),
        ("function_call", {"name": "f", "arguments": f'["{EVA}"]'}, {"name": "f", "arguments": '["[EMAIL_1]"]'}),
        (
            "content_parts",
            [{"type": "google_part", "google_part": {"executableCode": {"code": EVA}, "inlineData": {"data": EVA}}}],
            [
                {
                    "type": "google_part",
                    "google_part": {"executableCode": {"code": "[EMAIL_1]"}, "inlineData": {"data": EVA}},
                }
            ],
        ),
        ("content", [EVA, 1, {"type": "text", "text": None}], [EVA, 1, {"type": "text", "text": None}]),
    ],
)
def test_every_text_of_a_message_is_masked(member: str, given: Any, sent: Any) -> None:
    """Texts are masked wherever the inner form has them; images, ciphers and signatures are not."""
    messages = [{"role": "user", "content": EVA}, {"role": "assistant", member: given}]
    assert masked(messages)["messages"][1] == {"role": "assistant", member: sent}


def test_what_is_no_message_is_left_alone() -> None:
    """``user``, ``metadata`` and tools go as they are; a prediction is masked."""
    tools = [{"type": "function", "function": {"name": "f", "description": EVA}}]
    body = masked(
        [{"role": "user", "content": EVA}], user=EVA, tools=tools, prediction={"type": "content", "content": f"<{EVA}>"}
    )
    assert (body["user"], body["tools"]) == (EVA, tools)
    assert body["prediction"] == {"type": "content", "content": "<[EMAIL_1]>"}


def test_the_call_itself_is_not_changed() -> None:
    """Masking makes a new call and leaves the given one as it was."""
    call = chat([{"role": "user", "content": [{"type": "text", "text": EVA}]}])
    before = copy.deepcopy(call.body)
    assert mask_call(call, Vault()) is not call
    assert call.body == before


def test_a_call_without_personal_data_is_the_same_object() -> None:
    """It goes on in the client's own dialect, and words like placeholders are not touched."""
    vault = Vault()
    call = chat([{"role": "user", "content": "[EMAIL_2] is a placeholder"}])
    assert mask_call(call, vault) is call
    assert not vault


def test_a_masked_call_goes_by_the_inner_form() -> None:
    """What the client sent in its own dialect is not sent, and that is reported beside the other losses."""
    body = {"messages": [{"role": "user", "content": EVA}]}
    call = ChatCall("m", body, False, False, "anthropic", {"x": 1})
    sent = mask_call(call.but(losses=(Loss("a"),)), Vault())
    assert (sent.native, sent.losses) == (None, (Loss("a"), MASKED))
    assert mask_call(chat([{"role": "user", "content": EVA}]), Vault()).losses == ()


def test_the_next_turn_masks_as_the_one_before() -> None:
    """A conversation that goes on is masked the same way from its beginning, so that prompt caches hold."""
    turns = [
        {"role": "user", "content": f"{EVA} and ada@example.org"},
        {"role": "assistant", "content": "ada@example.org?"},
    ]
    longer = masked([*turns, {"role": "user", "content": "b@example.net, ada@example.org"}])["messages"]
    assert longer[:2] == masked(turns)["messages"]
    assert longer[2]["content"] == "[EMAIL_3], [EMAIL_2]"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (f'{{"a": "{EVA}"}}', '{"a": "[EMAIL_1]"}'),
        (f'{{"{EVA}": [1, 2.50, true]}}', '{"[EMAIL_1]": [1, 2.50, true]}'),
        ('{"a": "x\\neva@example.com \\u00e9"}', '{"a": "x\\n[EMAIL_1] é"}'),
        ('{"a": "eva\\u0040example.com"}', '{"a": "[EMAIL_1]"}'),
        (f'{{"a": "{EVA}', '{"a": "[EMAIL_1]'),
        ('{"a": "b\\', '{"a": "b\\'),
        (f'{{"a": "b\\{EVA}"}}', '{"a": "b\\\\[EMAIL_1]"}'),
        (f'{{"n": {CARDS[0]}, "m": 4111111111111112}}', '{"n": "[CARD_1]", "m": 4111111111111112}'),
        (
            '{"password": "hunter2hunter", "pass": "hunter2hunter"}',
            '{"password": "[SECRET_1]", "pass": "hunter2hunter"}',
        ),
        ('{"password": ["hunter2hunter"]}', '{"password": ["hunter2hunter"]}'),
        (EVA, EVA),
        ("", ""),
    ],
)
def test_json_is_masked_inside_its_strings(text: str, sent: str) -> None:
    """What is not masked stays character by character, also in JSON that was cut off."""
    assert mask_json(text, Vault()) == sent


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(JSON, st.booleans())
def test_masked_json_is_json_and_comes_back(value: Any, plain: bool) -> None:
    """Masked arguments still parse, and are restored to the same value."""
    vault = Vault()
    text = json.dumps(value, ensure_ascii=plain)
    sent = mask_json(text, vault)
    json.loads(sent)
    assert json.loads(vault.restore_json(sent)) == value
