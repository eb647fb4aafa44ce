"""The whole answer that the objects of a stream make, each of which is an answer by itself. Pure.

`gateway.replaying` uses it for answers that were passed through as a stream and are asked for again as a whole.
"""

from collections.abc import Iterable
from typing import Any

_JOINED = frozenset({"text", "thought"})
"""The members of a part that is nothing but text: the next one of its kind goes on with it."""


def join_objects(objects: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The answer; None where there are no objects. Of what is said more than once, the last word counts."""
    whole: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for one in objects:
        whole |= {name: value for name, value in one.items() if name != "candidates"}
        listed = one.get("candidates")
        for place, candidate in enumerate(listed if isinstance(listed, list) else ()):
            index = candidate.get("index", place)
            _add(candidates.setdefault(index if type(index) is int else place, {}), candidate)
    if candidates:
        whole = {"candidates": [candidates[index] for index in sorted(candidates)], **whole}
    return whole or None


def _add(known: dict[str, Any], candidate: dict[str, Any]) -> None:
    """Adds a piece of a candidate, in place."""
    content = candidate.get("content")
    known |= {name: value for name, value in candidate.items() if name != "content"}
    if not isinstance(content, dict):
        return
    held = known.setdefault("content", {"parts": []})
    held |= {name: value for name, value in content.items() if name != "parts"}
    parts = content.get("parts")
    for part in parts if isinstance(parts, list) else ():
        last = held["parts"][-1] if held["parts"] else None
        if last is not None and _goes_on(last, part):
            last["text"] += part["text"]
        elif not (isinstance(part, dict) and part.get("text") == "" and len(part) == 1):
            held["parts"].append(dict(part) if isinstance(part, dict) else part)


def _goes_on(last: Any, part: Any) -> bool:
    if not (isinstance(last, dict) and isinstance(part, dict)):
        return False
    plain = part.keys() <= _JOINED and last.keys() <= _JOINED
    texts = isinstance(part.get("text"), str) and isinstance(last.get("text"), str)
    return plain and texts and bool(part.get("thought")) == bool(last.get("thought"))
