"""A request without its personal data: what a host is sent in place of what the client said. Pure.

`gateway` calls `mask_call` before the first attempt. Masked are the texts of all messages, those of the system and of
tools too, the arguments of earlier tool calls, and a prediction. Not masked: tools and schemas (the client's program,
not its data), ``user`` and ``metadata``, names in URLs, images, sound and files.
"""

import json
import re
from typing import Any, Protocol

from tollhouse.safety.personal.accounts import is_card
from tollhouse.safety.personal.credentials import is_secret_field
from tollhouse.safety.personal.places import Places
from tollhouse.safety.personal.vault import Vault
from tollhouse.types.calls import ChatCall, Loss

MASKED = Loss("messages", "emulated", "personal data is masked, so that the call goes by the inner form")
"""What a client of another dialect than OpenAI's loses: its request does not reach a host word for word."""
_STRING = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:\\?\Z|"(\s{0,64}+:)?+)', re.DOTALL)
"""A string of JSON and the colon behind it, or what is left of one that was cut off."""
_NUMBER = re.compile(r"(?<![0-9.eE+-])[0-9]{13,19}+(?![0-9.eE])")


def mask_call(call: ChatCall, vault: Vault) -> ChatCall:
    """The call with placeholders for its personal data; the same object where it holds none. Raises `InvalidRequest`
    where there is more than a `Vault` takes.
    """
    body = call.body
    places = Places(vault.mask, lambda text: mask_json(text, vault))
    changed: dict[str, Any] = {"messages": [places.message(message) for message in body["messages"]]}
    prediction = body.get("prediction")
    if isinstance(prediction, dict) and "content" in prediction:
        changed["prediction"] = {**prediction, "content": places.content(prediction["content"])}
    if not vault.found:
        vault.clear()
        return call
    losses = call.losses if call.native is None else (*call.losses, MASKED)
    return call.but(body={**body, **changed}, native=None, losses=losses)


class Masker(Protocol):
    """What takes personal data out of texts: a `Vault`, or a `redaction.Redactor`."""

    kinds: tuple[str, ...]

    def mask(self, text: str) -> str:
        """The text without personal data."""
        ...

    def hide(self, value: str, kind: str) -> str:
        """What stands for a value that is personal data of this kind."""
        ...


def mask_json(text: str, vault: Masker) -> str:
    """JSON, also such as was cut off, with placeholders in its strings. Of what is not masked every character stays.

    A card's number that is no string becomes one, for a placeholder can only stand there.
    """
    parts: list[str] = []
    done = 0
    name = ""
    for match in _STRING.finditer(text):
        between = text[done : match.start()]
        parts.append(_mask_numbers(between, vault))
        value = _decoded(match[1])
        secret = bool(name) and not between.strip() and "secret" in vault.kinds and is_secret_field(name, value)
        masked = vault.hide(value, "secret") if secret else vault.mask(value)
        tail = text[match.end(1) : match.end()]
        if masked != value:
            parts.append(f'"{json.dumps(masked, ensure_ascii=False)[1:-1]}{tail}')
        else:
            parts.append(match[0])
        name = value if match[2] else ""
        done = match.end()
    return "".join((*parts, _mask_numbers(text[done:], vault)))


def _mask_numbers(between: str, vault: Masker) -> str:
    if "card" not in vault.kinds:
        return between
    return _NUMBER.sub(
        lambda match: json.dumps(vault.hide(match[0], "card")) if is_card(match[0]) else match[0], between
    )


def _decoded(inner: str) -> str:
    """What a string of JSON says, between its quotes; as it stands where it is not well formed."""
    if "\\" not in inner:
        return inner
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        return inner
