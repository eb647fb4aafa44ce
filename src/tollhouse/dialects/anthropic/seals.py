"""What a client of this dialect has to bring back, and has no field for: put under seal in one that it does bring back.

Gemini's signature of a tool call, an encrypted thought of OpenAI's, or thinking that nobody signed is told to the
client as a ``thinking`` or ``redacted_thinking`` block whose ``signature`` or ``data`` is a seal: ``tollhouse.v1.`` and
the base64url of JSON. Clients return such blocks unchanged, as Anthropic has them do, so that `turns` can restore what
is in them whatever host is asked next. Anthropic itself would refuse them: `without_seals` takes them out of what is
passed through. A seal is the client's to change: what comes out of one is checked like any input.

Ids of tool calls have to match ``^[a-zA-Z0-9_-]+$`` in this dialect; others are spelled in base64url.
"""

import re
from base64 import b64decode, urlsafe_b64encode
from typing import Any

import msgspec

_SEAL = "tollhouse.v1."
_ID = "toolu_x64_"
_GOOD_ID = re.compile(r"[a-zA-Z0-9_-]+").fullmatch
_KINDS = ("reasoning.text", "reasoning.summary", "reasoning.encrypted")
_WORDS = ("format", "id", "signature", "data", "summary", "text")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def _spell(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _unspell(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def seal(entry: dict[str, Any]) -> str:
    """A ``reasoning_details`` entry, or ``{"call": id, "extra_content": {...}}``, as an opaque word."""
    return _SEAL + _spell(_encode(entry))


PLAIN = seal({"type": "reasoning.text"})
"""Of thinking that nobody signed."""


def is_sealed(word: object) -> bool:
    """Whether a signature or datum is ours, and no host's."""
    return type(word) is str and word.startswith(_SEAL)


def unseal(word: str) -> dict[str, Any]:
    """What is in a seal, as far as it can be what was put there; empty for one that was tampered with."""
    try:
        held = _decode(_unspell(word.removeprefix(_SEAL)))
    except (ValueError, RecursionError):
        return {}
    if type(held) is not dict:
        return {}
    call, extra = held.get("call"), held.get("extra_content")
    if type(call) is str and type(extra) is dict:
        return {"call": call, "extra_content": extra}
    if held.get("type") not in _KINDS:
        return {}
    words = {name: held[name] for name in _WORDS if type(held.get(name)) is str}
    return {"type": held["type"], **words}


def client_id(call_id: str) -> str:
    """The id of a tool call as a client of this dialect can take it."""
    if _GOOD_ID(call_id) and not call_id.startswith(_ID):
        return call_id
    return _ID + _spell(call_id.encode("utf-8", "surrogatepass"))


def host_id(call_id: str) -> str:
    """The id that its host gave it."""
    if not call_id.startswith(_ID):
        return call_id
    try:
        return _unspell(call_id.removeprefix(_ID)).decode()
    except ValueError:
        return call_id


def without_seals(body: dict[str, Any]) -> dict[str, Any]:
    """A request as Anthropic itself would take it: the same without blocks under seal, and without turns that held
    nothing else. ``body`` is not changed.
    """
    turns = []
    for message in body["messages"]:
        content = message["content"]
        if type(content) is not list:
            turns.append(message)
            continue
        kept = [_uncited(block) for block in content if not (is_sealed(block.get("signature") or block.get("data")))]
        if kept or not content:
            turns.append({**message, "content": kept})
    return {**body, "messages": turns}


def _uncited(block: dict[str, Any]) -> dict[str, Any]:
    """A block without the citations that no search of Anthropic's has made."""
    cited = block.get("citations")
    if type(cited) is not list:
        return block
    genuine = [one for one in cited if not (type(one) is dict and is_sealed(one.get("encrypted_index")))]
    return {**block, "citations": genuine or None}
