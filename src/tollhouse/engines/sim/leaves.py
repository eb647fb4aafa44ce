"""Strings and numbers that keep every limit of several schemas at once. Pure; called by `schema`."""

import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tollhouse.engines.sim import automaton, charsets, pattern
from tollhouse.engines.sim.check import is_multiple
from tollhouse.engines.sim.document import COUNT_MAX, Document, is_number
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.formats import FORMATS
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.pattern import Anchor, Chars, Choice, Node, Repeat, Sequence

TRIES = 12
EXACT_MAX = 1 << 53  # the integers that every JSON reader keeps exact (RFC 8259 section 6)
LARGEST = Fraction(sys.float_info.max)
FILLER = " This text was made by a simulated model."
Schema = dict[str, Any]


class Unsatisfied(Exception):
    """No value was found: the keyword that stood in the way."""

    def __init__(self, keyword: str, why: str) -> None:
        super().__init__(why)
        self.keyword = keyword
        self.why = why


def largest(parts: list[Schema], keyword: str, default: Any) -> Any:
    """The strictest of several lower limits."""
    return max((part[keyword] for part in parts if keyword in part), default=default)


def smallest(parts: list[Schema], keyword: str, default: Any) -> Any:
    """The strictest of several upper limits."""
    return min((part[keyword] for part in parts if keyword in part), default=default)


class Text:
    """What a string has to keep, and where candidates for it come from."""

    __slots__ = ("_avoid", "_draws", "_fit", "_formats", "_patterns")

    def __init__(self, parts: list[Schema], doc: Document, draws: Draws, avoid: list[Any]) -> None:
        self._patterns = [part["pattern"] for part in parts if "pattern" in part]
        found = [doc.machines(text) for text in self._patterns]
        found += [((), machines) for machines in excluded(parts, doc)]
        low = int(largest(parts, "minLength", 0))
        high = smallest(parts, "maxLength", None)
        self._fit = automaton.Fit(
            tuple(machine for positive, _ in found for machine in positive),
            tuple(machine for _, negative in found for machine in negative),
            low,
            None if high is None else int(min(high, COUNT_MAX)),
        )
        self._formats = [FORMATS[part["format"]] for part in parts if part.get("format") in FORMATS]
        self._draws = draws
        self._avoid = avoid

    def make(self, name: str, hints: Hints) -> str:
        """A string. Raises `Unsatisfied`."""
        fit = self._fit
        if fit.high is not None and fit.high < fit.low:
            raise Unsatisfied("maxLength", f"no string has at least {fit.low} and at most {fit.high} characters")
        for candidate in self._candidates(name, hints):
            if self._takes(candidate):
                return candidate
        if not self._formats and (fit.found or fit.absent):
            found = automaton.search(fit, self._draws)
            if found is not None and self._takes(found):
                return found
        keyword = "pattern" if self._patterns else "format" if self._formats else "maxLength"
        raise Unsatisfied(keyword, "no string that keeps it along with the other limits was found")

    def _takes(self, text: str) -> bool:
        return self._fit.holds(text) and text not in self._avoid and all(form.check(text) for form in self._formats)

    def _candidates(self, name: str, hints: Hints) -> Iterator[str]:
        draws, low = self._draws, self._fit.low
        yield from (self._trimmed(text) for text in hints.texts(name))
        for form in self._formats:
            yield from (form.make(draws, least) for least in (*range(low, low + 6), *[low] * TRIES))
        for text in self._patterns:
            node = pattern.read(text).body
            yield from (walk(node, draws, stretch) for stretch in (2, 1, 3, 0, 6, 12, low, 2, 2, 4, 8))
        if not self._patterns and not self._formats:
            label = f"example {name}" if name else "simulated text"
            yield self._sized(label)
            yield from (self._sized(f"{label} {count}") for count in range(2, 60))
            yield from (self._sized(draws.name(8)) for _ in range(TRIES))

    def _trimmed(self, text: str) -> str:
        return text if self._fit.high is None else text[: self._fit.high].rstrip() or text[: self._fit.high]

    def _sized(self, text: str) -> str:
        missing = self._fit.low - len(text)
        if missing > 0:
            text += (FILLER * (missing // len(FILLER) + 1))[:missing]
        return text if self._fit.high is None else text[: self._fit.high]


def excluded(parts: list[Schema], doc: Document) -> Iterator[tuple[automaton.Machine, ...]]:
    """The automata of ``not`` with nothing but a pattern, which the search can keep out from the start."""
    for part in parts:
        schema = part.get("not")
        if isinstance(schema, dict) and "pattern" in schema and schema.keys() <= {"pattern", "type"}:
            found, absent = doc.machines(schema["pattern"])
            if len(found) == 1 and not absent and schema.get("type", "string") == "string":
                yield found


def walk(node: Node, draws: Draws, stretch: int) -> str:
    """A text of a pattern's own kind; what repeats without end does so up to ``stretch`` times beyond its least."""
    match node:
        case Chars(ranges):
            return charsets.sample(ranges, draws)
        case Anchor():
            return ""
        case Sequence(parts):
            return "".join(walk(part, draws, stretch) for part in parts)
        case Choice(options):
            return walk(draws.pick(options), draws, stretch)
        case Repeat(inner, low, high):
            most = low + stretch if high is None else min(high, low + stretch)
            return "".join(walk(inner, draws, stretch // 2) for _ in range(draws.between(low, most)))


class Number:
    """What a number has to keep, in exact arithmetic: it lies on a grid, between two ends."""

    __slots__ = ("_avoid", "_draws", "_first", "_integer", "_last", "_parts", "_step")

    def __init__(self, parts: list[Schema], draws: Draws, avoid: list[Any], *, integer: bool) -> None:
        """Raises `Unsatisfied` when no number lies between the limits."""
        self._parts = parts
        self._draws = draws
        self._avoid = {value for value in avoid if is_number(value)}
        self._integer = integer
        low, low_open = end(parts, "minimum", "exclusiveMinimum", max)
        high, high_open = end(parts, "maximum", "exclusiveMaximum", min)
        self._step = grid(parts, low, high, integer=integer)
        self._first = None if low is None else math.ceil(low / self._step)
        if self._first is not None and low_open and self._first * self._step == low:
            self._first += 1
        self._last = None if high is None else math.floor(high / self._step)
        if self._last is not None and high_open and self._last * self._step == high:
            self._last -= 1
        if self._first is not None and self._last is not None and self._last < self._first:
            keyword = "multipleOf" if any("multipleOf" in part for part in parts) else "minimum"
            raise Unsatisfied(keyword, "no number lies between the limits")

    def make(self, name: str, hints: Hints) -> int | float:
        """A number. Raises `Unsatisfied`."""
        for offer in hints.figures(name):
            if self._takes(Fraction(repr(offer))) and offer not in self._avoid:
                return self._shown(Fraction(repr(offer)))
        first, last = self._span()
        start = self._draws.between(first, last)
        fallback: int | float | None = None
        for shift in range(max(TRIES, len(self._avoid) + 1) * 4):
            exact = (first + (start - first + shift) % (last - first + 1)) * self._step
            if abs(exact) > LARGEST or (value := self._shown(exact)) in self._avoid:
                continue
            if self._plain(value):
                return value
            fallback = value if fallback is None else fallback
        if fallback is None:
            raise Unsatisfied(
                "uniqueItems" if self._avoid else "minimum", "no further number that can be shown exactly"
            )
        return fallback

    def _takes(self, value: Fraction) -> bool:
        at = value / self._step
        on_grid = at.denominator == 1 or (not self._integer and not any("multipleOf" in part for part in self._parts))
        above = self._first is None or at >= self._first
        return on_grid and above and (self._last is None or at <= self._last)

    def _span(self) -> tuple[int, int]:
        """The first and last step that are drawn from: all there are, or a hundred from the end that there is."""
        if self._first is not None and self._last is not None:
            return self._first, self._last
        width = 100 + 2 * len(self._avoid)
        if self._first is not None:
            return self._first, self._first + width
        if self._last is not None:
            return self._last - width, self._last
        return 1, width

    def _shown(self, value: Fraction) -> int | float:
        return int(value) if value.denominator == 1 and abs(value) <= EXACT_MAX else float(value)

    def _plain(self, value: float) -> bool:
        """Whether binary floating point agrees that it is a multiple, for validators that divide."""
        steps = [part["multipleOf"] for part in self._parts if "multipleOf" in part]
        return all(is_multiple(value, step) and value / step == int(value / step) for step in steps)


def end(parts: list[Schema], closed: str, opened: str, strictest: Any) -> tuple[Fraction | None, bool]:
    """The strictest end of an interval and whether it is open, in either draft's spelling."""
    ends: list[tuple[Fraction, bool]] = []
    for part in parts:
        if closed in part:
            ends.append((Fraction(repr(part[closed])), part.get(opened) is True))
        if opened in part and not isinstance(part[opened], bool):
            ends.append((Fraction(repr(part[opened])), True))
    if not ends:
        return None, False
    value = strictest(limit for limit, _ in ends)
    return value, any(is_open for limit, is_open in ends if limit == value)


def grid(parts: list[Schema], low: Fraction | None, high: Fraction | None, *, integer: bool) -> Fraction:
    """The distance between candidates: what ``multipleOf`` says, else one that fits between the limits."""
    steps = [Fraction(repr(part["multipleOf"])) for part in parts if "multipleOf" in part]
    if integer:
        steps.append(Fraction(1))
    if not steps:
        step = Fraction(1, 10)
        while low is not None and high is not None and high > low and (high - low) / step < 4:
            step /= 10
        if low is not None and low == high and (low / step).denominator != 1:
            return abs(low)
        return step
    common = steps[0]
    for step in steps[1:]:
        common = Fraction(math.lcm(common.numerator, step.numerator), math.gcd(common.denominator, step.denominator))
    return common
