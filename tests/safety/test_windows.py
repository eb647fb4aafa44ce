"""Windows: of one block and of eight, each judged once, the first of the worst kept."""

from math import sqrt
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.safety.weights import HEADS, LANES, OFFSET, PRIOR
from tollhouse.safety.windows import LONG, PENALTY, Windows, Worst

SCALES, BIASES = (0.01, 0.02, 0.03, 0.04, 0.05), (-2.0, -1.0, 0.0, 1.0, 2.0)


class Block(NamedTuple):
    """What is found in a block."""

    weights: tuple[int, ...]
    """For each head the sum of its weights."""
    hits: int

    @property
    def total(self) -> int:
        """The same as one sum of rows."""
        parts = [*(weight + OFFSET * self.hits for weight in self.weights), self.hits]
        return sum(part << 32 * lane for lane, part in enumerate(parts))


BLOCKS = st.lists(
    st.builds(Block, st.tuples(*[st.integers(-9000, 9000)] * len(HEADS)), st.integers(5, 300)), min_size=1, max_size=20
)


def judged(blocks: list[Block]) -> Worst:
    """The worst of a text of these blocks."""
    windows, worst = Windows([0]), Worst(SCALES, BIASES)
    for block in blocks:
        windows.add(block.total)
        windows.judge(worst)
    return worst


def logit(blocks: list[Block], head: int) -> float:
    """What one window says."""
    weight, count = sum(block.weights[head] for block in blocks), sum(block.hits for block in blocks)
    return weight * SCALES[head] * (1 / sqrt(count + PRIOR)) + BIASES[head]


def naive(blocks: list[Block], head: int) -> dict[tuple[int, int], float]:
    """All windows of one and of `LONG` blocks, in the order in which they end."""
    found: dict[tuple[int, int], float] = {}
    for last in range(len(blocks)):
        first = max(last - LONG + 1, 0)
        found[first, last] = logit(blocks[first : last + 1], head)
        found.setdefault((last, last), logit(blocks[last : last + 1], head) - PENALTY)
    return found


@settings(deadline=None, max_examples=40)
@given(BLOCKS)
def test_the_worst_is_that_of_all_windows(blocks: list[Block]) -> None:
    """For each head the greatest logit of any window of one block or eight, and where that window is."""
    worst = judged(blocks)
    for head in range(len(HEADS)):
        windows = naive(blocks, head)
        assert worst.logits()[head] == pytest.approx(max(windows.values()))
        assert windows[worst.places[head]] == pytest.approx(max(windows.values()))


@settings(deadline=None, max_examples=40)
@given(BLOCKS, st.integers(2, 4))
def test_of_equals_the_first_is_kept(blocks: list[Block], times: int) -> None:
    """What repeats is found where it stands first."""
    blocks = blocks[:1] * LONG + blocks
    once = judged(blocks)
    assert judged(blocks[:LONG] * times).places == judged(blocks[:LONG]).places
    for head in range(len(HEADS)):
        best = max(naive(blocks, head).values())
        first = next(place for place, told in naive(blocks, head).items() if told > best - 1e-9)
        assert once.places[head] <= first or naive(blocks, head)[once.places[head]] >= best - 1e-9
        assert once.places[head][1] <= first[1]


def test_a_single_block_is_judged_without_penalty_where_it_is_the_text() -> None:
    """A text of one block is its own long window; a later block has to say it more clearly than eight."""
    loud, silent = Block((500,) * 5, 20), Block((0,) * 5, 20)
    assert judged([loud]).logits()[2] == pytest.approx(logit([loud], 2))
    later = judged([silent] * 9 + [loud])
    assert later.logits()[2] == pytest.approx(max(logit([loud], 2) - PENALTY, logit([silent] * 7 + [loud], 2)))
    assert later.places[2] == (9, 9) if logit([loud], 2) - PENALTY > logit([silent] * 7 + [loud], 2) else (2, 9)
    assert PENALTY > 0


def test_the_long_window_is_of_eight_blocks() -> None:
    """What stands nine blocks back counts no more."""
    loud, silent = Block((9000,) * 5, 20), Block((0,) * 5, 20)
    worst = Worst(SCALES, BIASES)
    windows = Windows([0])
    for block in [loud] + [silent] * LONG:
        windows.add(block.total)
    windows.judge(worst)
    assert worst.logits() == pytest.approx(BIASES)
    assert worst.places == [(1, LONG)] * len(HEADS)
    assert len(windows) == LONG + 1


def test_nothing_is_worse_than_nothing() -> None:
    """Before the first block every logit is below all others; then it is what that block says, however little."""
    worst = Worst(SCALES, BIASES)
    assert worst.logits() == [float("-inf")] * len(HEADS)
    assert judged([Block((-9000,) * 5, 5)]).logits() == pytest.approx(
        [logit([Block((-9000,) * 5, 5)], head) for head in range(len(HEADS))]
    )
    assert len(HEADS) + 1 == LANES


@settings(deadline=None, max_examples=40)
@given(BLOCKS, BLOCKS)
def test_copies_go_their_own_way(blocks: list[Block], more: list[Block]) -> None:
    """What a twin sees, the first does not; and without its last block a text is as before that came."""
    windows, worst = Windows([0]), Worst(SCALES, BIASES)
    for block in blocks:
        windows.add(block.total)
        windows.judge(worst)
    said = (worst.logits().copy(), worst.places.copy())
    twin, its_worst, shorter = windows.twin(), worst.twin(), windows.without_last()
    for block in more:
        twin.add(block.total)
        twin.judge(its_worst)
    assert (worst.logits(), worst.places) == said
    assert (len(twin), len(windows), len(shorter)) == (len(blocks) + len(more), len(blocks), len(blocks) - 1)
    together = judged(blocks + more)
    assert (its_worst.logits(), its_worst.places) == (together.logits(), together.places)
    again = worst.twin()
    shorter.add(blocks[-1].total)
    shorter.judge(again)
    assert (again.logits(), again.places) == said
