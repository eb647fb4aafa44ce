"""Turns dialogues into batches of packed rows, called by `train`. A row holds several dialogues, told apart by
``segments``.

Only what the assistant says is learned at full weight; the rest counts a little, so that its words get good embeddings
too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
from bpe import Tokenizer
from dialogues import Turn
from numpy.typing import NDArray

OTHER_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays of (rows, time): token ids, which dialogue a token belongs to, and how much it counts as a target."""

    tokens: NDArray[np.int32]
    segments: NDArray[np.int32]
    weights: NDArray[np.float32]


def encode(turns: list[Turn], tokenizer: Tokenizer) -> tuple[list[int], list[float]]:
    """The ids and target weights of a dialogue, as the chat template writes it: ``<|role|>text<|end|>`` per turn."""
    numbers: list[int] = []
    weights: list[float] = []
    for role, text in turns:
        said = [*tokenizer.encode(text), tokenizer.ids["<|end|>"]]
        numbers += [tokenizer.ids[f"<|{role}|>"], *said]
        weights += [0.0, *([1.0 if role == "assistant" else OTHER_WEIGHT] * len(said))]
    return numbers, weights


@dataclass(frozen=True, slots=True)
class Source:
    """What a kind of batch is made of."""

    make: Callable[[Random], list[Turn]]
    rows: int
    time: int
    chained: bool = False


def batches(rng: Random, tokenizer: Tokenizer, source: Source) -> Iterator[Batch]:
    """Endless batches. ``chained`` joins the dialogues of a row into one long conversation, to teach long distances."""
    rows, time = source.rows, source.time
    waiting: tuple[list[int], list[float]] | None = None
    while True:
        batch = Batch(
            np.full((rows, time), tokenizer.ids["<|pad|>"], np.int32),
            np.full((rows, time), -1, np.int32),
            np.zeros((rows, time), np.float32),
        )
        for row in range(rows):
            at, segment = 0, 0
            while True:
                numbers, weights = waiting or encode(source.make(rng), tokenizer)
                waiting = None
                if len(numbers) > time:
                    continue
                if at + len(numbers) > time:
                    waiting = numbers, weights
                    break
                place = slice(at, at + len(numbers))
                batch.tokens[row, place], batch.weights[row, place] = numbers, weights
                batch.segments[row, place] = 0 if source.chained else segment
                at, segment = at + len(numbers), segment + 1
        yield batch
