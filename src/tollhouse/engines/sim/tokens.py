"""The simulated model's own tokens, and made-up but well-formed probabilities for them. Pure.

A token is up to twelve word characters or one other character, with at most one blank before it; joined, the tokens
of a text are the text. Usage counts exactly these, and a stream sends them one at a time.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from tollhouse.engines.sim.draws import Draws

TOKEN = re.compile(r" ?\w{1,12}| ?[^\w\s]|\s")
ALTERNATIVES = (
    " the", " a", " of", " and", " to", " in", " is", " it", " that", " for", " on", " with", " as", " this", " be",
    " at", " by", " an", " or", " from", ".", ",",
)  # fmt: skip


def split(text: str) -> list[str]:
    """The tokens of a text; ``"".join`` gives it back."""
    return TOKEN.findall(text)


def stream(text: str) -> Iterator[str]:
    """The same, one at a time."""
    return (found.group() for found in TOKEN.finditer(text))


def count(text: str) -> int:
    """How many tokens a text has. Iterates, so that other threads get their turn within a long text."""
    return sum(1 for _ in TOKEN.finditer(text))


def probability(token: str, draws: Draws, top: int) -> dict[str, Any]:
    """OpenAI's logprob object for a chosen token, with ``top`` candidates, likeliest first, the chosen one among them.

    The chosen token is always the likeliest; what remains is halved from one alternative to the next.
    """
    chosen = 0.5 + 0.499 * draws.unit()
    others = [other for other in ALTERNATIVES if other != token][: max(0, top - 1)]
    shares = [(1 - chosen) * 0.5 ** (rank + 1) for rank in range(len(others))]
    ranked = [entry(token, chosen), *(entry(other, share) for other, share in zip(others, shares, strict=True))]
    return {**entry(token, chosen), "top_logprobs": ranked[:top]}


def entry(token: str, probability: float) -> dict[str, Any]:
    """One token with its log probability and its bytes."""
    return {"token": token, "logprob": round(math.log(probability), 6), "bytes": list(token.encode())}
