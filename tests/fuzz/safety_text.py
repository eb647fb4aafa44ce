"""Fuzzes the local safety classifier: folding, windows, views, base64, and reading in pieces.

What must hold: no text raises; a text that comes in pieces reads bit for bit as the whole; looking ahead says what an
end there would, and leaves no trace; scores are probabilities and spans lie in the text.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from tests.fuzz.engine import Case
from tests.safety.classifier_kit import PARTS, random_classifier

_PLANES = ((0, 0x80), (0x80, 0x600), (0x2000, 0x2100), (0xFB00, 0x10000), (0x1D400, 0x1D800))
_FAR = ((0xE0000, 0xE0200), (0x1F100, 0x1F200), (0x30000, 0x110000))


def _wild(random: Random) -> str:
    first, end = random.choice(_PLANES + _FAR)
    return "".join(chr(random.randrange(first, end)) for _ in range(random.choice((1, 3, 30))))


class SafetyText:
    """The target."""

    fixed = 0

    def make(self, random: Random) -> Case:
        """Pieces of a text of parts that are hard to cut and of wild characters."""
        parts = [
            random.choice(PARTS) * random.choice((1, 1, 1, 9)) if random.random() < 0.7 else _wild(random)
            for _ in range(random.randint(1, 60))
        ]
        text, pieces = "".join(parts), []
        while text:
            size = random.choice((1, 2, 7, 60, 256, 900))
            pieces.append(text[:size].encode("utf-8", "replace"))
            text = text[size:]
        return tuple(pieces)

    async def check(self, case: Case) -> None:
        """In the pieces of the case, as a whole, and looked at between."""
        pieces = [piece.decode("utf-8", "replace") for piece in case]
        text, classifier = "".join(pieces), random_classifier()
        whole, reader = classifier.read(text), classifier.reader()
        for place, piece in enumerate(pieces):
            reader.feed(piece)
            if place % 3 == 0:
                assert reader.peek() == classifier.read("".join(pieces[: place + 1]))
        assert reader.finish() == whole
        assert all(0 <= score <= 1 for score in whole.scores)
        assert all(0 <= start <= end <= len(text) for start, end in whole.spans)


@asynccontextmanager
async def opened() -> AsyncIterator[SafetyText]:
    """The target."""
    yield SafetyText()
