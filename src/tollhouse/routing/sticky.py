"""Keeping a conversation where its prompt is cached: a key for it, and rendezvous hashing over the targets.

Vendors cache prompts by prefix and by account, so all turns of a conversation should meet one target and one key of it.
The key of a conversation is what its client says it is, else its beginning: the system prompt and the first message of
the user, which later turns repeat. Rendezvous hashing (Thaler and Ravishankar, 1998) gives each target a number by key;
the highest is taken. When a target falls out, only its own conversations move.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import log
from typing import Any

import msgspec

_NAMES = ("prompt_cache_key", "session_id", "conversation_id", "user")
"""Members by which clients name a conversation, the closest first (OpenAI's `prompt_cache_key`, OpenRouter's
`session_id`).
"""
_HEADERS = (b"x-session-id", b"x-session-affinity", b"session_id", b"x-tollhouse-session")
_MAX_CHARS = 512
_FIRST_BYTES = 16_384
BITS = 30
"""Numbers of this size are what CPython multiplies fastest."""
_MASK = (1 << BITS) - 1
_ODD = 0x9E3779B1
_encode = msgspec.json.Encoder(order="sorted").encode


def conversation_key(body: Mapping[str, Any], headers: Mapping[bytes, bytes], tenant: str = "") -> int:
    """64 bits, not 0, that stay the same through a conversation of one tenant (a key's or a user's id)."""
    said = _stated(body, headers)
    text = said if said is not None else _beginning(body)
    return int.from_bytes(blake2b(text, digest_size=8, key=tenant.encode("utf-8", "replace")[:64]).digest()) or 1


def _stated(body: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bytes | None:
    for name in _HEADERS:
        if name in headers:
            return headers[name][:_MAX_CHARS]
    for member in _NAMES:
        value = body.get(member)
        if value.__class__ is str and value:
            return value[:_MAX_CHARS].encode("utf-8", "replace")
    return None


def _beginning(body: Mapping[str, Any]) -> bytes:
    """All up to the first message of a user, and that."""
    first: list[Any] = []
    for message in body.get("messages", ()):
        first.append(message.get("content"))
        if message.get("role") == "user":
            break
    return _encode([body.get("model"), first])[:_FIRST_BYTES]


def digest(name: str) -> int:
    """`BITS` bits of a target's name."""
    return int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) & _MASK


def score(key: int, name_digest: int) -> int:
    """`BITS` bits for a conversation at a target: both are hashes, so a bijection of their sum is mixture enough."""
    return ((key & _MASK) ^ name_digest) * _ODD & _MASK


def rank(key: int, digests: Sequence[int], weights: Sequence[float] | None = None) -> list[int]:
    """The positions of the targets, the best first. With weights, each gets its share of the conversations."""
    short = key & _MASK
    scores = [(short ^ one) * _ODD & _MASK for one in digests]
    if weights is None:
        return sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
    waits = [
        -log((one + 1) / (_MASK + 2)) / weight if weight > 0 else float("inf")
        for one, weight in zip(scores, weights, strict=True)
    ]
    return sorted(range(len(waits)), key=waits.__getitem__)
