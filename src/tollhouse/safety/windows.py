"""Sliding windows over the blocks of a text: what the last block says, and what the last eight say together.

A window is what is judged: long texts are not diluted, and where the worst of it stands is known. The long window sees
what a text is about; in the short one a single line among many others still weighs enough, but chance finds more in it
too, so it has to say it more clearly. Both end with every block, from the first on, so what a block says is known as
soon as it is full. Called by `safety.stream`.
"""

from typing import Final

from tollhouse.safety.weights import levels

LONG: Final = 8
"""Blocks in the long window."""
PENALTY: Final = 1.0
"""What is taken off the logit of every head for the short one."""
_NOTHING: Final = float("-inf")


class Worst:
    """The worst windows of a text: for each head its level and the first and the last block of the window."""

    __slots__ = ("_biases", "_levels", "_penalties", "_scales", "places")

    def __init__(self, scales: tuple[float, ...], biases: tuple[float, ...]) -> None:
        self._scales = scales
        self._biases = biases
        self._penalties = [PENALTY / scale if scale else 0.0 for scale in scales]
        self._levels = [_NOTHING] * len(scales)
        self.places = [(0, 0)] * len(scales)

    def twin(self) -> "Worst":
        """A copy that goes its own way."""
        twin = Worst(self._scales, self._biases)
        twin._levels, twin.places = self._levels.copy(), self.places.copy()
        return twin

    def logits(self) -> list[float]:
        """For each head the logit of its worst window."""
        told = zip(self._levels, self._scales, self._biases, strict=True)
        return [level * scale + bias for level, scale, bias in told]

    def see(self, total: int, first: int, last: int, *, is_short: bool) -> None:
        """One window, as the sum of its rows. Levels are compared before they are scaled: most windows are no news."""
        worst = self._levels
        for head, level in enumerate(levels(total)):
            told = level - self._penalties[head] if is_short else level
            if told > worst[head]:
                worst[head] = told
                self.places[head] = (first, last)


class Windows:
    """The blocks of a text as running sums."""

    __slots__ = ("_sums",)

    def __init__(self, sums: list[int]) -> None:
        """``sums``: of all blocks before each, and of all."""
        self._sums = sums

    def __len__(self) -> int:
        """How many blocks there are."""
        return len(self._sums) - 1

    def twin(self) -> "Windows":
        """A copy that goes its own way."""
        return Windows(self._sums.copy())

    def block(self, number: int) -> int:
        """The sum of the rows of one block."""
        return self._sums[number + 1] - self._sums[number]

    def without_last(self) -> "Windows":
        """A copy without the last block."""
        return Windows(self._sums[:-1])

    def add(self, total: int) -> None:
        """The next block, as the sum of its rows."""
        self._sums.append(self._sums[-1] + total)

    def judge(self, worst: Worst) -> None:
        """Shows the windows that end with the last block."""
        sums = self._sums
        end = len(sums) - 1
        first = end - LONG if end > LONG else 0
        worst.see(sums[end] - sums[first], first, end - 1, is_short=False)
        if end > 1:
            worst.see(sums[end] - sums[end - 1], end - 1, end - 1, is_short=True)
