"""Every charge, priced again from its version's body: `Pricing`.

Theory of operation: the bodies are read here by their own words (pico-USD per token of each class, tiers by the length
of the whole prompt, per image, per request) and laid out in ``temp.rate``, one row for each tier. SQLite then does the
sum of a row with 64-bit integers and keeps the rows that do not come out; where numbers are so large that a sum could
overflow, it keeps the row too. What it keeps is judged with fractions: the charge and what was clipped of it are
together the exact price, rounded up to a whole nano-USD once.
"""

import hashlib
import json
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from operator import itemgetter
from typing import Any

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span
from tollhouse.stores.reader import Reader, Row

REPRICED = Check("I8", "recomputable", "a charge and what was clipped are the stored usage at the stored price")
PRICES = Check("I8", "price versions", "a version is what its digest was made of")

_CLASSES = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "output",
    "reasoning",
    "output_audio",
)
_PROMPT = _CLASSES[:5]
_FOREVER = 1 << 62
_SMALL_RATE, _SMALL_IMAGE, _SMALL_REQUEST = 1 << 33, 1 << 40, 1 << 60
"""With at most 2**26 tokens of a class and 2**20 images, a sum of such rates is below 2**63."""
_RATE = """
    CREATE TEMP TABLE rate (
        price INTEGER, above INTEGER, below INTEGER, input INTEGER, cache_read INTEGER, cache_write INTEGER,
        cache_write_1h INTEGER, input_audio INTEGER, output INTEGER, reasoning INTEGER, output_audio INTEGER,
        image INTEGER, request INTEGER, small INTEGER, PRIMARY KEY (price, above)
    ) WITHOUT ROWID
"""
_ADD_RATE = "INSERT INTO temp.rate VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DOUBTFUL = """
    SELECT hold.id, hold.price, hold.charge, hold.clipped, hold.images, hold.input, hold.cache_read, hold.cache_write,
        hold.cache_write_1h, hold.input_audio, hold.output, hold.reasoning, hold.output_audio
    FROM hold LEFT JOIN temp.rate ON rate.price = hold.price
        AND rate.above < hold.input + hold.cache_read + hold.cache_write + hold.cache_write_1h + hold.input_audio
        AND rate.below >= hold.input + hold.cache_read + hold.cache_write + hold.cache_write_1h + hold.input_audio
    WHERE hold.id > ? AND hold.id <= ? AND hold.state IN ('settled', 'expired') AND (
        rate.small AND max(hold.input, hold.cache_read, hold.cache_write, hold.cache_write_1h, hold.input_audio,
            hold.output, hold.reasoning, hold.output_audio) <= 67108864
        AND hold.images <= 1048576
        AND (
            hold.input * rate.input + hold.cache_read * rate.cache_read + hold.cache_write * rate.cache_write
            + hold.cache_write_1h * rate.cache_write_1h + hold.input_audio * rate.input_audio
            + (hold.output - min(hold.reasoning, hold.output)) * rate.output
            + min(hold.reasoning, hold.output) * rate.reasoning
            + hold.output_audio * rate.output_audio + hold.images * rate.image + rate.request + 999
        ) / 1000 = hold.charge + hold.clipped
    ) IS NOT TRUE
    ORDER BY hold.id
"""


class Pricing(Part):
    """Price versions and what was charged by them."""

    checks = (REPRICED, PRICES)

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._bodies: dict[int, dict[str, Any]] = {}

    def begin(self) -> Iterator[Finding]:
        """See `Part`."""
        self.reader.run(_RATE)
        query = "SELECT id, host, model, source, effective_from, body, digest FROM price ORDER BY id"
        for number, *named, body, digest in self.reader.rows(query):
            try:
                price = json.loads(body)
                rates = list(_rates(number, price))
            except (ValueError, KeyError, TypeError) as error:
                yield Finding(
                    PRICES, "price", str(number), "a body that can be read", f"{type(error).__name__}: {error}"
                )
                continue
            stated = [price.get(name) for name in ("host", "model", "source", "effective_from")]
            if hashlib.sha256(body.encode()).digest() != digest:
                yield Finding(PRICES, "price", str(number), "the digest of its body", digest.hex())
            elif stated != named:
                yield Finding(PRICES, "price", str(number), f"{stated}, as in its body", f"{named}")
            self._bodies[number] = price
            for rate in rates:
                self.reader.run(_ADD_RATE, rate)

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        for row in self.reader.rows(_DOUBTFUL, (span.low, span.high)):
            if (finding := self._judge(row)) is not None:
                yield finding
                return

    def _judge(self, row: Row) -> Finding | None:
        """Whether a row is wrong indeed."""
        number, version, charge, clipped, images, *tokens = row
        price = self._bodies.get(version)
        if price is None:
            return Finding(REPRICED, "hold", str(number), "a price version", f"version {version}")
        due = ceil(exact_nusd(price, dict(zip(_CLASSES, tokens, strict=True)), images))
        if due == charge + clipped:
            return None
        found = f"{charge} + {clipped}"
        return Finding(REPRICED, "hold", str(number), f"charge + clipped = {due} by version {version}", found)


def exact_nusd(price: dict[str, Any], tokens: dict[str, int], images: int) -> Fraction:
    """The price of a usage, unrounded. Reasoning tokens are among those of the output, and priced by their own rate."""
    rates, prompt = price["rates"], sum(tokens[name] for name in _PROMPT)
    for tier in sorted(price["tiers"], key=itemgetter("above_tokens")):
        if prompt > tier["above_tokens"]:
            rates = tier["rates"]
    reasoning = min(tokens["reasoning"], tokens["output"])
    counted = {**tokens, "output": tokens["output"] - reasoning, "reasoning": reasoning}
    pico = sum(counted[name] * rates[name] for name in _CLASSES) + images * price["image"] + price["request"]
    return Fraction(pico, 1000)


def _rates(number: int, price: dict[str, Any]) -> Iterator[tuple[int, ...]]:
    """The rows of ``temp.rate`` of a version. Raises ValueError where a number of it is no integer of 0 or more."""
    flat = (price["image"], price["request"])
    longer = [(tier["above_tokens"], _listed(tier["rates"])) for tier in price["tiers"]]
    steps = [(-1, _listed(price["rates"])), *longer]
    stated = [*flat, *(above for above, _ in longer), *(rate for _, rates in steps for rate in rates)]
    if any(type(one) is not int or not 0 <= one < _FOREVER for one in stated):
        raise ValueError("a number that is no integer of 0 or more")
    steps.sort()
    for (above, rates), (below, _) in zip(steps, [*steps[1:], (_FOREVER, [])], strict=True):
        small = max(rates) <= _SMALL_RATE and flat[0] <= _SMALL_IMAGE and flat[1] <= _SMALL_REQUEST
        yield (number, above, below, *rates, *flat, int(small))


def _listed(rates: dict[str, int]) -> list[int]:
    return [rates[name] for name in _CLASSES]
