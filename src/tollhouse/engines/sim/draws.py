"""Repeatable draws. Everything the simulated model chooses comes from here, so one seed gives one answer.

The sequence is SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): the
standard library's `random` does not promise the same choices from one Python version to the next.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
MASK = (1 << 64) - 1


class Draws:
    """A stream of draws that depends on its key alone."""

    __slots__ = ("_state",)

    def __init__(self, key: str) -> None:
        self._state = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())

    def below(self, bound: int) -> int:
        """An integer from 0 to ``bound - 1``; ``bound`` is at least 1."""
        return (self._next() << 64 | self._next()) % bound

    def between(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def unit(self) -> float:
        """A number from 0 up to but not including 1."""
        return (self._next() >> 11) / (1 << 53)

    def pick(self, choices: Sequence[T]) -> T:
        """One of ``choices``, which is not empty."""
        return choices[self.below(len(choices))]

    def fork(self) -> "Draws":
        """A stream of its own, so that what one part draws does not shift what another part gets."""
        return Draws(f"{self._next():x}")

    def name(self, length: int) -> str:
        """``length`` letters and digits, for identifiers."""
        alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        return "".join(self.pick(alphabet) for _ in range(length))

    def _next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        return mixed ^ (mixed >> 31)
