"""What an answer says of money: what it cost, what the caller has left, and whether that is little. Pure.

`gateway.pipeline` and `gateway.relay` call these between the settlement and the last byte. The figures go where every
client survives them: top-level members of a JSON answer, members of an ordinary chunk of a stream (one that would have
been sent anyway and has a choice), and ``usage.cost`` where usage is shown. They are written as exact decimal numbers,
never in exponents: the text of `write_usd`, which is the header's text too.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.dialects.usage import priced
from tollhouse.types.money import NUSD_PER_USD, format_usd, write_usd
from tollhouse.web.heads import header_line

REMAINING: Final = "_remaining_credits"
WARNING: Final = "_balance_warning"
COST_HEADER: Final = "x-tollhouse-cost"
_Raw: Final = msgspec.Raw
_FULL_EVENTS: Final = frozenset({"response.completed", "response.failed", "response.incomplete"})


def credits_json(amount_nusd: int, credits_per_usd: int) -> msgspec.Raw:
    """An amount in credits as a JSON number, just as exact."""
    return _Raw(write_usd(amount_nusd * credits_per_usd))


def amounts(name: str, amount_nusd: int | None, credits_per_usd: int) -> dict[str, Any]:
    """One amount as the pages show it: ``NAME_usd``, an exact string, and ``NAME_credits``, a number."""
    if amount_nusd is None:
        return {f"{name}_usd": None, f"{name}_credits": None}
    return {f"{name}_usd": format_usd(amount_nusd), f"{name}_credits": credits_json(amount_nusd, credits_per_usd)}


def is_low(available_nusd: int | None, credits_per_usd: int, warning_credits: int) -> bool:
    """Whether less than ``warning_credits`` are left. Never where nothing bounds the caller."""
    return available_nusd is not None and available_nusd * credits_per_usd < warning_credits * NUSD_PER_USD


def notes(available_nusd: int | None, credits_per_usd: int = 100, warning_credits: int = 10) -> dict[str, Any]:
    """The two members that every successful reply carries. Null credits stand for a caller whom nothing bounds."""
    left = None if available_nusd is None else credits_json(available_nusd, credits_per_usd)
    return {REMAINING: left, WARNING: is_low(available_nusd, credits_per_usd, warning_credits)}


def annotate_reply(reply: dict[str, Any], cost_nusd: int, said: Mapping[str, Any]) -> None:
    """Puts cost and `notes` into a whole JSON answer, in place. An answer without usage is given none."""
    if isinstance(usage := reply.get("usage"), dict):
        reply["usage"] = priced(usage, cost_nusd)
    reply.update(said)


def annotate_events(events: list[dict[str, Any]], cost_nusd: int, said: Mapping[str, Any]) -> None:
    """Puts cost and `notes` into the last events of a stream of another endpoint, in place: those that were held back
    from the one that ends the answer on.

    ``usage`` is priced wherever it stands. The notes go to the last event that has a choice, or to the response that
    ``response.completed`` holds; where there is neither (sound in events), to nothing.
    """
    place: dict[str, Any] | None = None
    for event in events:
        response = event.get("response")
        holder = response if event.get("type") in _FULL_EVENTS and isinstance(response, dict) else event
        if isinstance(usage := holder.get("usage"), dict):
            holder["usage"] = priced(usage, cost_nusd)
        if holder is not event or event.get("choices"):
            place = holder
    if place is not None:
        place.update(said)


def cost_header(cost_nusd: int) -> str:
    """The header line that tells the cost, for answers whose cost is known before their head is sent."""
    return header_line(COST_HEADER, format_usd(cost_nusd))
