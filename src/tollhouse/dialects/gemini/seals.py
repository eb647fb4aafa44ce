"""Thoughts of other hosts, under seal in the one field that clients of this dialect bring back: ``thoughtSignature``.

A model's proof of what it thought (Anthropic's signature, OpenAI's encrypted item) has to return with the next request.
Clients of Gemini return each part's ``thoughtSignature`` unread, so that is where other hosts' entries of
``reasoning_details`` travel: base64 of ``tollhouse.v1.`` and JSON. `turns` opens them again; `without_seals` takes
them out of what is passed on to Google, which would refuse them. A seal is the client's to change, so what comes out of
one is checked like any input.
"""

from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec

from tollhouse.dialects.gemini.words import NO_SIGNATURE

_MARK = b"tollhouse.v1."
_HEAD: Final = b64encode(_MARK)[:16].decode()
"""What every seal begins with: the first 12 bytes of the mark, in either alphabet of base64."""
_KINDS = ("reasoning.text", "reasoning.summary", "reasoning.encrypted")
_WORDS = ("format", "id", "signature", "data", "summary", "text")
_MOST_ENTRIES = 1024

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def seal(entries: list[dict[str, Any]]) -> str:
    """Entries of ``reasoning_details`` as a signature."""
    return b64encode(_MARK + _encode(entries)).decode()


def is_sealed(signature: object) -> bool:
    """Whether a signature is ours, and no host's."""
    return type(signature) is str and signature.startswith(_HEAD)


def unseal(signature: str) -> list[dict[str, Any]]:
    """The entries in a seal; none of one that was tampered with."""
    standard = signature.rstrip("=").replace("-", "+").replace("_", "/")  # Google's SDK sends the URL's alphabet
    try:
        raw = b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        held = _decode(raw.removeprefix(_MARK))
    except (ValueError, RecursionError):
        return []
    if type(held) is not list or not raw.startswith(_MARK):
        return []
    return [_entry(item) for item in held[:_MOST_ENTRIES] if type(item) is dict and item.get("type") in _KINDS]


def _entry(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": item["type"], **{name: item[name] for name in _WORDS if type(item.get(name)) is str}}


def without_seals(asked: dict[str, Any]) -> dict[str, Any]:
    """A request as Google would take it: what is under seal left out, calls marked as those of another model."""
    turns = []
    for turn in asked["contents"]:
        parts = [_unsealed(part) for part in turn.get("parts") or ()]
        if kept := [part for part in parts if part]:
            turns.append({**turn, "parts": kept})
    return {**asked, "contents": turns}


def with_marks(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turns for a model that refuses a call without a signature: the first call of each of its turns that has none
    was another model's, and is marked so. ``turns`` is not changed.
    """
    made: list[dict[str, Any]] = []
    called = False
    for turn in turns:
        if turn.get("role") != "model":
            called = False
            made.append(turn)
            continue
        parts = turn.get("parts") or []
        first = next((place for place, part in enumerate(parts) if "functionCall" in part), None)
        if first is not None and not called and not parts[first].get("thoughtSignature"):
            marked = {**parts[first], "thoughtSignature": NO_SIGNATURE}
            turn = {**turn, "parts": [*parts[:first], marked, *parts[first + 1 :]]}  # noqa: PLW2901
        called = called or first is not None  # the pieces of one answer follow each other
        made.append(turn)
    return made


def _unsealed(part: dict[str, Any]) -> dict[str, Any]:
    if not is_sealed(part.get("thoughtSignature")):
        return part
    kept = {name: value for name, value in part.items() if name != "thoughtSignature"}
    if "functionCall" in part:
        return {**kept, "thoughtSignature": NO_SIGNATURE}
    if not kept.get("text") and kept.keys() <= {"text", "thought"}:
        return {}
    return kept
