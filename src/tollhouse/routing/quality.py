"""How good a model is likely to be: a prior from 0 to 100, made of what the catalogue knows. Pure data and arithmetic.

It is no benchmark. Vendors price their models by how good they are, and newer ones are better at the same price: the
parts below say how much each counts. Where the operator knows better, ``quality`` of a model is taken as it is.
"""

import re
from math import log10

from msgspec import Struct

from tollhouse.types.calls import ModelFacts

PRICE_POINTS = 45.0
"""For the price of answer tokens, on a logarithmic scale from `CHEAP_PUSD` to `DEAR_PUSD`."""
NEW_POINTS = 30.0
"""For the newest release in the catalogue; half of it for one that is `HALF_LIFE_DAYS` older."""
REASONING_POINTS = 15.0
CONTEXT_POINTS = 5.0
"""For a context of 128k tokens or more; part of it for less."""
TOOLS_POINTS = 5.0
CHEAP_PUSD = 50_000
"""0.05 US dollars per million tokens."""
DEAR_PUSD = 75_000_000
"""75 US dollars per million tokens."""
HALF_LIFE_DAYS = 365.0
UNPRICED_SHARE = 0.25
"""The share of `PRICE_POINTS` of a model without a price, or without cost."""
SIZE_CAPS = ((2.0, 25.0), (5.0, 32.0), (10.0, 42.0), (16.0, 50.0), (40.0, 62.0))
"""The most points of a model whose name says that it has fewer than so many billion parameters."""
_SIZE = re.compile(r"(?<![\w.])(\d{1,4}(?:\.\d+)?)b(?![a-z0-9])")
_CONTEXT_TOKENS = 128_000


class Prior(Struct, frozen=True):
    """The quality of one model, and its parts."""

    points: float
    price: float = 0.0
    newness: float = 0.0
    reasoning: float = 0.0
    context: float = 0.0
    tools: float = 0.0
    stated: bool = False
    """The operator's own figure."""


def prior(facts: ModelFacts, newest_on: str, output_pusd: int | None) -> Prior:
    """The prior of a model. ``newest_on`` is the newest release date there is (ISO); ``output_pusd`` the highest price
    of this model anywhere, for a host that sells it for less does not make it worse.
    """
    if facts.quality is not None:
        return Prior(float(facts.quality), stated=True)
    price = PRICE_POINTS * price_share(output_pusd)
    newness = NEW_POINTS * 0.5 ** (days_between(facts.released_on, newest_on) / HALF_LIFE_DAYS)
    reasoning = REASONING_POINTS if facts.reasoning else 0.0
    context = CONTEXT_POINTS * min((facts.context_tokens or 0) / _CONTEXT_TOKENS, 1.0)
    tools = TOOLS_POINTS if facts.tools else 0.0
    points = min(price + newness + reasoning + context + tools, size_cap(facts.id))
    return Prior(points, price, newness, reasoning, context, tools)


def size_cap(name: str) -> float:
    """The most points that the size in a model's name allows: 100 where it states none."""
    sizes = [float(size) for size in _SIZE.findall(name.lower())]
    return next((cap for size, cap in SIZE_CAPS if sizes and max(sizes) < size), 100.0)


def price_share(pusd: int | None) -> float:
    """Where a price lies between cheap and dear, from 0 to 1, on a logarithmic scale."""
    if not pusd:
        return UNPRICED_SHARE
    return min(max(log10(pusd / CHEAP_PUSD) / log10(DEAR_PUSD / CHEAP_PUSD), 0.0), 1.0)


def days_between(released_on: str | None, newest_on: str) -> float:
    """The days from one release to the newest, give or take one; two years where one of them is no date."""
    released, newest = _day(released_on), _day(newest_on)
    return 2 * HALF_LIFE_DAYS if released is None or newest is None else max(newest - released, 0.0)


def _day(text: str | None) -> float | None:
    """A date of the catalogue as days: ``2025-08-07``, ``2025-08`` or ``2025``."""
    parts = (text or "").split("-")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        return None
    year, month, day = [int(part) for part in (*parts, "1", "1")[:3]]
    return year * 365.25 + (month - 1) * 30.44 + day
