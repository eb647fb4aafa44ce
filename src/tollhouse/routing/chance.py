"""Chance that is handed in: numbers that follow from a request's seed, so that a decision can be made again.

SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
"""

MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_UNIT = 1.0 / (1 << 53)


def mix(number: int) -> int:
    """64 bits that look like chance, from any 64 bits; a bijection."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


class Draws:
    """The draws of one seed, in order."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & MASK

    def unit(self) -> float:
        """From [0, 1)."""
        self._state = (self._state + _GAMMA) & MASK
        return (mix(self._state) >> 11) * _UNIT

    def below(self, count: int) -> int:
        """From 0 to ``count`` - 1."""
        return int(self.unit() * count)
