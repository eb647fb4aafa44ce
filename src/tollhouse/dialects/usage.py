"""OpenAI's ``usage`` object: how it is asked for, which numbers may be believed, and how ours is shown to clients.

`providers.openai` and `gateway.relay` ask with `ask_for_usage`, and `gateway.relay` hides with `strip_usage` what its
client did not ask for; `gateway.meter` reads with `sane`; the client side writes with `usage_object` and `tidy_usage`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.types.calls import Quirks, Usage
from tollhouse.types.money import format_usd

MAX_TOKENS: Final = 2**31
_Raw: Final = msgspec.Raw
_CHARGED_BY_THE_HOST: Final[tuple[str, ...]] = ("cost", "cost_details", "cost_in_usd_ticks", "is_byok")
"""What hosts (OpenRouter, xAI) say in ``usage`` of their own charge to the operator: no concern of the client's."""


def sane(value: object) -> int | None:
    """The value if it is an integer in 0..2^31, else ``None``: floats, booleans, text and giants are not counts."""
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def ask_for_usage(body: dict[str, Any], quirks: Quirks) -> tuple[str, ...]:
    """Has a host report usage in the stream that ``body`` asks for, whatever the client asked: it is what the call
    costs. Changes ``body``; returns the names of what a host that is not to be asked does not get.
    """
    options = body.get("stream_options") or {}
    if quirks.stream_usage:
        body["stream_options"] = {**options, "include_usage": True}
        return ()
    body.pop("stream_options", None)
    return ("stream_options",) if options.keys() - {"include_usage"} else ()


def usage_asked(body: Mapping[str, Any]) -> bool:
    """Whether a client wants to see usage in its stream."""
    return (body.get("stream_options") or {}).get("include_usage") is True


def strip_usage(chunk: dict[str, Any]) -> bool:
    """Takes usage out of one chunk of a stream, for a client that did not ask for it. False when the chunk was there
    for it alone, and is not to be passed on.
    """
    usage = chunk.pop("usage", None)
    return usage is None or bool(chunk.get("choices"))


def usage_object(usage: Usage, raw: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a client is shown: the metered totals, with whatever else the host's own object holds."""
    prompt, completion = usage.prompt, usage.completion
    details = {"cached_tokens": usage.cache_read}
    if written := usage.cache_write + usage.cache_write_1h:
        details["cache_write_tokens"] = written
    if usage.input_audio:
        details["audio_tokens"] = usage.input_audio
    said = {"reasoning_tokens": usage.reasoning}
    if usage.output_audio:
        said["audio_tokens"] = usage.output_audio
    return {
        **(raw or {}),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {**_object(raw, "prompt_tokens_details"), **details},
        "completion_tokens_details": {**_object(raw, "completion_tokens_details"), **said},
    }


def tidy_usage(raw: dict[str, Any]) -> dict[str, Any]:
    """A host's object with the three totals that strict clients need, as integers; the sum is made here."""
    prompt, completion = sane(raw.get("prompt_tokens")) or 0, sane(raw.get("completion_tokens")) or 0
    total = sane(raw.get("total_tokens"))
    if total is None or total < prompt + completion:
        total = prompt + completion
    return {**raw, "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def priced(usage: Mapping[str, Any], cost_nusd: int) -> dict[str, Any]:
    """A ``usage`` object with our ``cost``, in place of what the host says that it charged."""
    told = dict(usage)
    price(told, cost_nusd)
    return told


def price(usage: dict[str, Any], cost_nusd: int) -> None:
    """The same in place, for an object of ours."""
    for name in _CHARGED_BY_THE_HOST:
        usage.pop(name, None)
    usage["cost"] = usd_json(cost_nusd)


def usd_json(amount_nusd: int) -> msgspec.Raw:
    """An amount in dollars as a JSON number, exact to its last digit: ``0.000012345``, ``5.00``."""
    return _Raw(format_usd(amount_nusd))


def _object(raw: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    value = raw.get(name) if raw else None
    return value if isinstance(value, dict) else {}
