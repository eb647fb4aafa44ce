"""Sets of characters as sorted, disjoint ranges of code points, and the ones that patterns name. Pure."""

import functools
import unicodedata

from tollhouse.engines.sim.draws import Draws

Ranges = tuple[tuple[int, int], ...]

TOP = 0x10FFFF
SURROGATES: Ranges = ((0xD800, 0xDFFF),)
DIGITS: Ranges = ((48, 57),)
WORDS: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACES: Ranges = (
    (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
LINE_ENDS: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
ALPHANUMERIC: Ranges = ((48, 57), (65, 90), (97, 122))
PRINTABLE: Ranges = ((32, 126),)
READABLE: tuple[Ranges, ...] = (ALPHANUMERIC, PRINTABLE, ((0xA1, 0x2FF),))


def union(*sets: Ranges) -> Ranges:
    """The characters in any of ``sets``."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(piece for ranges in sets for piece in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def without(ranges: Ranges) -> Ranges:
    """Every character that is not in ``ranges``. Surrogates are in no set: they are not characters."""
    result: list[tuple[int, int]] = []
    start = 0
    for low, high in union(ranges, SURROGATES):
        if start < low:
            result.append((start, low - 1))
        start = high + 1
    if start <= TOP:
        result.append((start, TOP))
    return tuple(result)


def overlap(first: Ranges, second: Ranges) -> Ranges:
    """The characters in both."""
    found = [
        (max(low, other_low), min(high, other_high))
        for low, high in first
        for other_low, other_high in second
        if max(low, other_low) <= min(high, other_high)
    ]
    return union(tuple(found))


def contains(ranges: Ranges, code: int) -> bool:
    """Whether the code point is in the set."""
    return any(low <= code <= high for low, high in ranges)


def sample(ranges: Ranges, draws: Draws) -> str:
    """One character of a set that is not empty: a letter or digit where it has one, else the most readable."""
    for pool in READABLE:
        if shared := overlap(ranges, pool):
            return nth(shared, draws.below(size(shared)))
    return nth(ranges, draws.below(min(size(ranges), 256)))


def size(ranges: Ranges) -> int:
    """How many characters are in the set."""
    return sum(high - low + 1 for low, high in ranges)


def nth(ranges: Ranges, index: int) -> str:
    """The character at ``index``, counted from the lowest."""
    for low, high in ranges:
        if index <= high - low:
            return chr(low + index)
        index -= high - low + 1
    raise IndexError(index)


@functools.lru_cache(maxsize=64)
def category(name: str) -> Ranges:
    """The characters of the basic plane in a Unicode general category, such as ``L`` or ``Lu``; empty if unknown."""
    codes = (code for code in range(0x10000) if unicodedata.category(chr(code)).startswith(name))
    return union(tuple((code, code) for code in codes if not 0xD800 <= code <= 0xDFFF))


ANY = without(())
NOT_LINE_END = without(LINE_ENDS)
