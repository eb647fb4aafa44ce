"""What a model says of itself is taken out; what the client said comes back."""

import json
from typing import Any

from tollhouse.safety.personal.redaction import Redactor, redact_reply
from tollhouse.safety.personal.replies import restore_reply
from tollhouse.safety.personal.vault import Vault


def test_only_the_models_own_data_is_redacted() -> None:
    """An address that the model made up is gone, the client's own is restored, also in the arguments of a tool."""
    vault, redactor = Vault(), Redactor()
    text = f"{vault.mask('eva@example.com')} or bob@example.org"
    function = {"name": "f", "arguments": json.dumps({"to": text, "password": "hunter2hunter"})}
    message = {"role": "assistant", "content": text, "tool_calls": [{"id": "c", "function": function}]}
    reply: dict[str, Any] = {"choices": [{"index": 0, "message": message}]}
    made = restore_reply(redact_reply(reply, redactor), vault)["choices"][0]["message"]
    assert made["content"] == "eva@example.com or [EMAIL]"
    arguments = json.loads(made["tool_calls"][0]["function"]["arguments"])
    assert arguments == {"to": "eva@example.com or [EMAIL]", "password": "[SECRET]"}
    assert [entry["sub_category"] for entry in redactor.findings()["sub_categories"]] == ["Secret", "Email"]


def test_a_text_without_personal_data_stays() -> None:
    """The same object, and no finding."""
    redactor, text = Redactor(), "Nothing [EMAIL_1] here"
    assert redactor.mask(text) is text
    assert redactor.findings()["detected"] is False
