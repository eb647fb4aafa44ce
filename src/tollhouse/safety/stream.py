"""Judges a text as it comes: `Reader` takes pieces of any size and always knows the worst of what it has read.

Called by `safety.classifier`, by the gateway for streamed answers, and by itself for what base64 hides. The rule it
keeps: what `finish` says does not depend on the pieces, and nothing is read twice.

## Theory of operation

A text is split at blanks. What is counted in a word is known from when the word was met first (`safety.vocabulary`),
and what is counted between two words is one row of a table. So a block of 24 words is two sums of whole numbers, which
add all heads at once (`safety.weights`). Blocks are seen in windows of one and of eight (`safety.windows`).

The same sums count what is conspicuous. A block that looks written to hide is also read as `safety.views` has it; its
other sum stands in for its own in windows of that view. A text with long words is shown to `safety.unwrap`: what their
base64 says is fed to another reader.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import exp
from operator import itemgetter, lt, xor
from typing import Final

from tollhouse.safety.features import LONGEST, NO_RUN
from tollhouse.safety.lexicon import NONE
from tollhouse.safety.text import seen
from tollhouse.safety.trail import WORD, Origins, Placed, Trail
from tollhouse.safety.unwrap import LEAST, Unwrapper
from tollhouse.safety.views import ENOUGH_LEET, ENOUGH_SINGLES, from_leet, from_spaced, is_spaced
from tollhouse.safety.vocabulary import Known, Vocabulary
from tollhouse.safety.weights import BLOCK, HEADS, LEET, Weights, level_of, marks
from tollhouse.safety.windows import LONG, Windows, Worst
from tollhouse.types.values import Value

_AT_ONCE: Final = 8192
"""Characters that are split at once."""
_PORTION: Final = 256
"""Characters that are waited for: reading some words costs little more than reading one."""
_LEAST_LOGIT: Final = -700.0
_EVERY: Final = (float("-inf"),) * len(HEADS)
_CONTEXT: Final = 8
"""Words before a block that are read with it where it looks written to hide."""
_LEET, _SPACED = range(2)


class Reading(Value, frozen=True):
    """What a text's worst windows say."""

    scores: tuple[float, ...]
    """For each of `HEADS`, the probability of its worst window."""
    spans: tuple[tuple[int, int], ...]
    """For each, where that window begins and ends, in characters of the text as given."""
    profanity: int
    """The worst swear word: 0 none, 1 mild, 2 strong, 3 severe."""


CLEAN_READING = Reading((0.0,) * len(HEADS), ((0, 0),) * len(HEADS), NONE)
"""What a text without a single visible character says."""


class Model(Value, frozen=True):
    """What a reader judges with."""

    weights: Weights
    vocabulary: Vocabulary


class Reader:
    """One text, being read."""

    __slots__ = (
        *("_before", "_changed", "_fed", "_hidden", "_model", "_open", "_origins", "_pending"),
        *("_plain", "_profanity", "_seen", "_shown", "_shown_at", "_trail", "_unwrapper", "_views", "_vocabulary"),
        *("_waiting", "_worst"),
    )

    def __init__(self, model: Model, *, unwrap: bool = True) -> None:
        """A text of which nothing has come. ``unwrap``: whether to read what base64 in it says."""
        self._model = model
        self._vocabulary: Vocabulary = model.vocabulary
        self._fed: list[str] = []
        self._waiting = 0
        self._seen = 0
        self._open = ""
        self._trail = Trail()
        self._origins = Origins()
        self._pending: list[Known] = []
        self._before = NO_RUN
        self._plain = Windows([0])
        self._views: list[Windows | None] = [None, None]
        self._changed = [0, 0]
        self._worst = Worst(model.weights.scales, model.weights.biases)
        self._profanity = NONE
        self._unwrapper = Unwrapper() if unwrap else None
        self._shown = 0
        self._shown_at: list[tuple[int, int]] = []
        self._hidden: Reader | None = None

    def feed(self, text: str) -> None:
        """The next piece of the text."""
        if not text:
            return
        self._fed.append(text)
        self._waiting += len(text)
        if self._waiting >= _PORTION:
            self._take(last=False)

    def reading(self, logits: Sequence[float] = _EVERY) -> Reading:
        """The worst so far, of what was judged, and where it stands for each head that comes to its logit."""
        found = self._worst.logits()
        scores = [1 / (1 + exp(-logit)) if logit > _LEAST_LOGIT else 0.0 for logit in found]
        places = zip(found, logits, self._worst.places, strict=True)
        spans = [self._span(*place) if logit >= least else (0, 0) for logit, least, place in places]
        profanity = self._profanity
        if self._hidden is not None:
            hidden = self._hidden.reading(logits)
            profanity = max(profanity, hidden.profanity)
            for head, score in enumerate(hidden.scores):
                if score > scores[head]:
                    scores[head], spans[head] = score, self._span_of_hidden(hidden.spans[head])
        return Reading(tuple(scores), tuple(spans), profanity)

    def peek(self) -> Reading:
        """What `finish` would say if the text ended here; the text may go on."""
        return self.twin().finish()

    def finish(self, rest: str = "") -> Reading:
        """What the whole text says, ``rest`` being its last piece. Nothing may be fed after it."""
        self.end(rest)
        return self.reading() if len(self._plain) else CLEAN_READING

    def stays_below(self, logits: Sequence[float], profanity: int) -> bool:
        """Whether no window that was read comes to these logits, and no word to this profanity. Where it is so, nobody
        has to ask for a `reading`.
        """
        if self._hidden is not None or self._profanity >= profanity:
            return False
        return all(map(lt, self._worst.logits(), logits))

    def end(self, rest: str = "") -> None:
        """`finish` without saying what the text says."""
        self._fed.append(rest)
        self._take(last=True)
        if self._hidden is not None:
            self._hidden.end()

    def twin(self) -> "Reader":
        """A copy that goes its own way."""
        twin = Reader(self._model, unwrap=False)
        twin._fed, twin._waiting, twin._seen, twin._open = self._fed.copy(), self._waiting, self._seen, self._open
        twin._trail, twin._origins = self._trail.twin(), self._origins.twin()
        twin._pending, twin._before = self._pending.copy(), self._before
        twin._plain, twin._changed = self._plain.twin(), self._changed.copy()
        twin._views = [view.twin() if view is not None else None for view in self._views]
        twin._worst, twin._profanity = self._worst.twin(), self._profanity
        twin._unwrapper = self._unwrapper.twin() if self._unwrapper is not None else None
        twin._shown, twin._shown_at = self._shown, self._shown_at.copy()
        twin._hidden = self._hidden.twin() if self._hidden is not None else None
        return twin

    def _take(self, *, last: bool) -> None:
        text = self._fed[0] if len(self._fed) == 1 else "".join(self._fed)
        self._fed, self._waiting = [], 0
        start = 0
        while len(text) - start > _AT_ONCE:
            self._split(text[start : start + _AT_ONCE], last=False)
            start += _AT_ONCE
        self._split(text[start:] if start else text, last=last)

    def _split(self, given: str, *, last: bool) -> None:
        """Splits the next piece into words, and reads the blocks that are full: of the last piece, all words."""
        piece = seen(given)
        self._origins.add(given, piece)
        text = self._open + piece if self._open else piece
        words = text.split()
        is_open = bool(words) and not last and not text[-1].isspace()
        following = words.pop() if is_open else ""
        known = None if len(following) >= LEAST or self._is_showing() else self._vocabulary.met(words)
        if known is None:
            longest = max(map(len, [*words, following]), default=0)
            if longest >= LEAST or self._is_showing():
                self._show(text, last=last)
            if longest > LONGEST:
                words = WORD.findall(text)
                following = words.pop() if is_open else ""
            known = self._vocabulary.known(words)
        self._trail.add(self._seen - len(self._open), text, words)
        self._seen += len(piece)
        self._open = following
        pending = self._pending + known if self._pending else known
        full = len(pending) if last else len(pending) - len(pending) % BLOCK
        if full:
            self._read(pending[:full])
            self._trail.forget(len(self._plain) * BLOCK - _CONTEXT)
        self._pending = pending[full:]

    def _is_showing(self) -> bool:
        """Whether a word is open of which the unwrapper has seen the beginning."""
        return bool(self._open) and self._shown == self._seen

    def _show(self, text: str, *, last: bool) -> None:
        """Shows what was split to the unwrapper, but for what it has seen already."""
        if self._unwrapper is None:
            return
        start = self._seen - len(self._open)
        if self._shown < start or not self._shown_at:
            self._unwrapper.take(b" ", last=False)
            self._shown_at.append((self._unwrapper.seen, start))
            self._shown = start
        fresh = self._vocabulary.folded(text[self._shown - start :])
        self._shown = start + len(text)
        said = self._unwrapper.take(fresh + b" " if last else fresh, last=last)
        if said:
            if self._hidden is None:
                self._hidden = Reader(self._model, unwrap=False)
            self._hidden.feed(said)

    def _read(self, known: list[Known]) -> None:
        """Reads whole blocks, or the rest of the text."""
        rows, pairs = self._rows_of(known, self._before)
        self._before = known[-1][2]
        for start in range(0, len(known), BLOCK):
            self._note(sum(rows[start : start + BLOCK]) + sum(pairs[start : start + BLOCK]))

    def _rows_of(self, known: list[Known], before: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The rows of some words, and of each of them with the word before it."""
        rows, firsts, lasts = zip(*known, strict=True)
        return rows, tuple(map(self._vocabulary.pairs.__getitem__, map(xor, (before, *lasts), firsts)))

    def _note(self, total: int) -> None:
        """The next block."""
        number = len(self._plain)
        self._plain.add(total)
        self._plain.judge(self._worst)
        if total >= LEET:
            self._look_closer(number, total)
        for place, view in enumerate(self._views):
            if view is not None:
                if len(view) == number:
                    view.add(total)
                if number - self._changed[place] < LONG:
                    view.judge(self._worst)

    def _look_closer(self, number: int, total: int) -> None:
        """At a block that has marks, and at the end of the one before it: what is hidden may begin there."""
        leet, singles, *swearing, pairs = marks(total)
        self._profanity = max(self._profanity, level_of(swearing))
        leet_before, singles_before, *_ = marks(self._plain.block(number - 1) if number else 0)
        is_leet, is_single = leet + leet_before >= ENOUGH_LEET, singles + singles_before >= ENOUGH_SINGLES
        if not pairs and not is_leet and not is_single:
            return
        first, end = number * BLOCK, number * BLOCK + BLOCK
        words = self._trail.words(first - _CONTEXT, end)
        lower = self._vocabulary.folded(" ".join(words)).lower()
        if pairs:
            self._profanity = max(self._profanity, self._vocabulary.level_of_pairs(lower.split(b" ")))
        if is_leet and leet:
            self._see(_LEET, number, from_leet(lower))
        if is_single and singles and is_spaced(lower):
            spread = _spread(self._trail.placed(first - _CONTEXT, end))
            self._see(_SPACED, number, from_spaced(self._vocabulary.folded(spread).lower()))

    def _see(self, place: int, number: int, lower: bytes) -> None:
        """A block as a view has it, with some words before it."""
        words = [word[at : at + LONGEST] for word in lower.split(b" ") for at in range(0, len(word), LONGEST)]
        if not words:
            return
        rows, pairs = self._rows_of(self._vocabulary.known_cores(words), NO_RUN)
        total = sum(rows) + sum(pairs)
        _, _, *swearing, told_pairs = marks(total)
        self._profanity = max(self._profanity, level_of(swearing))
        if told_pairs:
            self._profanity = max(self._profanity, self._vocabulary.level_of_pairs(words))
        view = self._views[place]
        if view is None:
            view = self._views[place] = self._plain.without_last()
        view.add(total)
        self._changed[place] = number

    def _span(self, first: int, last: int) -> tuple[int, int]:
        """Where blocks stand in the text, from the start of the first to where the next one begins."""
        ends = self._trail.start_of(first * BLOCK), self._trail.start_of((last + 1) * BLOCK)
        return self._origins.place(ends[0]), self._origins.place(ends[1])

    def _span_of_hidden(self, span: tuple[int, int]) -> tuple[int, int]:
        if self._unwrapper is None:
            return 0, 0
        first, end = self._unwrapper.place(span[0]), self._unwrapper.place(span[1])
        return self._place_of(first), self._place_of(max(end - 1, first)) + 1

    def _place_of(self, shown: int) -> int:
        """Where in the text a byte stands that the unwrapper was shown."""
        before, start = self._shown_at[max(bisect_right(self._shown_at, shown, key=itemgetter(0)) - 1, 0)]
        return self._origins.place(min(start + shown - before, self._seen - 1))


def _spread(words: Placed) -> str:
    """Words with one blank where there was one, and two where there were more."""
    text, end = "", 0
    for word, start in words:
        text += (" " if start == end + 1 else "  ") + word
        end = start + len(word)
    return text
