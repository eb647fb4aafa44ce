"""Whether a request wants an answer that was given before, and which one would be the same. Pure.

`gateway.replaying` asks once for each chat call where ``[replay]`` is on. Theory of operation: an answer is the same
where nothing differs that could have made another one. The digest is of what the client sent, parsed (the order of
members and spaces do not count), with the requested model, what was said to the router, the policy of fidelity where it
is strict, and the scope. Left out is what `_LEFT_OUT` names: how an answer is sent, and for whom.

A call of another dialect than the inner one has two digests. An answer in that dialect's own words (its host speaks it)
is kept under the digest of what the client sent; one in the inner form under that of the call in the inner form, where
every client that asks the same finds it, whatever it speaks. Where the inner form does not hold all that the client
said (`ChatCall.losses`, a header for betas), there is only the first.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from tollhouse.errors import InvalidRequest
from tollhouse.gateway.needs import chat_needs
from tollhouse.routing.wishes import read_wishes
from tollhouse.settings.replay import Replay
from tollhouse.types.calls import ChatCall, Loss
from tollhouse.types.tenancy import Principal

CACHE_HEADER, TTL_HEADER = b"x-tollhouse-cache", b"x-tollhouse-cache-ttl"
SEED, CACHE = "seed", "cache"
ON, REFRESH, OFF = "on", "refresh", "off"
_PERSON = b"tollhouse-replay"
_VERSION = 1
"""Another one forgets every answer: for changes to how they are kept, or to what a digest is of."""
_LEFT_OUT = frozenset(
    {
        *("model", "stream", "stream_options"),
        *("user", "safety_identifier", "metadata", "labels"),
        *("prompt_cache_key", "prompt_cache_retention", "store"),
    }
)
"""Members of the body that change nothing of an answer, and the model, which is compared by the name that was asked
for. ``labels`` are Vertex' metadata.
"""
_VERSIONS = frozenset({"anthropic-version"})
"""Header lines of a dialect's own that are about its form alone."""
_SEED_KEPT = Loss("seed", "emulated", "the same answer is given again")
_canonical = msgspec.json.Encoder(order="sorted").encode


class Wish(Struct, frozen=True):
    """What a request wants of the store."""

    by: str
    """What it is asked for by: ``seed`` or ``cache``."""
    scope: int
    """The number of the node whose requests share answers."""
    inner: bytes | None
    """The digest of answers in the inner form; None where they would not be the same."""
    native: bytes | None
    """The digest of answers in the client's own dialect; None where that is the inner form."""
    age_s: int
    """An answer that is older will not do, and one that is kept ends then."""
    anew: bool = False
    """No answer of before will do, and the new one takes its place."""


def read_wish(
    call: ChatCall, headers: Mapping[bytes, bytes], principal: Principal, keys: Replay, *, strict: bool
) -> Wish | None:
    """The wish of a call as its client sent it; None where it has none, or where its answer cannot be kept. ``strict``
    is the policy of fidelity.

    Raises `InvalidRequest` for headers that say nothing that is known.
    """
    by, anew, age_s = SEED, False, keys.keep_s
    if not (keys.seed and type(call.body.get("seed")) is int):
        asked = _asked(headers) if keys.cache else OFF
        if asked == OFF:
            return None
        by, anew, age_s = CACHE, asked == REFRESH, min(keys.keep_s, _ttl_s(headers, keys.keep_s))
    if not _may_keep(call):
        return None
    scope = principal.number if keys.scope == "key" else principal.chain.payer
    shared = [_VERSION, scope, call.model, strict, read_wishes(call.body, headers)]
    inner, native = _said(call.body), _said(call.native or {})
    beside = [field for field in call.wire_headers if field[0] not in _VERSIONS]
    return Wish(
        by,
        scope,
        inner=None if call.losses or beside else _digest([*shared, inner]),
        native=None if call.native is None else _digest([*shared, inner, call.dialect, native, call.wire_headers]),
        age_s=age_s,
        anew=anew,
    )


def keep_seed(losses: tuple[Loss, ...]) -> tuple[Loss, ...]:
    """What is lost at a target, where a seed is kept here: the target need not know what it is."""
    return tuple([_SEED_KEPT if loss.param == SEED else loss for loss in losses])


def _asked(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(CACHE_HEADER)
    if given is None:
        return OFF
    word = given.decode("latin-1").strip().lower()
    if word not in (ON, REFRESH, OFF):
        name = CACHE_HEADER.decode()
        raise InvalidRequest(f"The header {name} is one of: {ON}, {REFRESH}, {OFF}.", param=name)
    return word


def _ttl_s(headers: Mapping[bytes, bytes], most: int) -> int:
    given = headers.get(TTL_HEADER)
    if given is None:
        return most
    text = given.decode("latin-1").strip()
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    if not seconds:
        name = TTL_HEADER.decode()
        raise InvalidRequest(f"The header {name} is a whole number of seconds, at least 1.", param=name)
    return seconds


def _may_keep(call: ChatCall) -> bool:
    """Whether the answer is nothing but words: what a host does beside (a search, a stored completion) is not done by
    giving its words again, and what it refers to (sound by its id) is gone after a while.
    """
    body = call.body
    if body.get("store") or "audio" in (body.get("modalities") or ()):
        return False
    return chat_needs(call, 0).hosted is None


def _said(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _LEFT_OUT}


def _digest(parts: list[Any]) -> bytes:
    return blake2b(_canonical(parts), digest_size=32, person=_PERSON).digest()
