"""Judges a text as it comes: `Reader` takes pieces of any size and always knows the worst of what it has read.

Called by `safety.classifier`, by the gateway for streamed answers, and by itself for what base64 hides. The rule it
keeps: what `finish` says does not depend on the pieces, and nothing is read twice.

## Theory of operation

Pieces are folded (`safety.text`) and cut into blocks of 128 folded bytes, counted from the text's start. Full blocks
are counted (`safety.features`), summed (`safety.weights`) and seen in windows of one to eight (`safety.windows`). Sums
are of whole numbers and features look back only, so cuts leave no trace. A block that looks written to hide is also
read as `safety.views` has it; its other sums stand in for its own in windows of that view. Base64 (`safety.unwrap`) is
fed to another reader. At the end of the text, two blanks end the last word.

State is never changed in place but replaced, so a shallow copy can be finished without a trace: that is `peek`.
"""

from collections.abc import Sequence
from copy import copy
from math import exp
from operator import lt

import numpy as np
from msgspec import Struct

from tollhouse.safety.features import BLANK_TAIL, NO_WORD, TAIL, features
from tollhouse.safety.lexicon import NONE, Lexicon
from tollhouse.safety.text import START, Bytes, folded, last_two
from tollhouse.safety.unwrap import Unwrapper
from tollhouse.safety.views import REACH, VIEWS, View, kinds
from tollhouse.safety.weights import BLOCK, HEADS, Numbers, Sums, Weights
from tollhouse.safety.windows import NO_BLOCKS, PENALTIES, SIZES, windows

_LOWER = bytes(range(256)).lower()
_AT_ONCE = 64 * BLOCK
"""Bytes counted at once: what keeps the arrays in the processor's cache."""
_PORTION = 2 * BLOCK
"""Characters that are waited for: reading a block costs little more than reading nothing."""
_END = b"  "
_FAR_BACK = b" " * REACH
_NO_LOGITS = (float("-inf"),) * len(HEADS)
_NOWHERE = ((0, 0),) * len(HEADS)
_LEAST_LOGIT = -700.0
_EACH_HEAD = np.arange(len(HEADS))
_NO_BLOCKS = (NO_BLOCKS,) * (1 + len(VIEWS))


class Reading(Struct, frozen=True):
    """What a text's worst windows say."""

    scores: tuple[float, ...]
    """For each of `HEADS`, the probability of its worst window."""
    spans: tuple[tuple[int, int], ...]
    """For each, where that window begins and ends, in characters of the text as given."""
    profanity: int
    """The worst swear word: 0 none, 1 mild, 2 strong, 3 severe."""


CLEAN_READING = Reading((0.0,) * len(HEADS), _NOWHERE, NONE)
"""What a text without a single visible character says."""


class Model(Struct, frozen=True):
    """What a reader judges with."""

    weights: Weights
    lexicon: Lexicon
    folding: Bytes


class Reader:
    """One text, being read."""

    __slots__ = (
        *("_before", "_blocks", "_context", "_fed", "_folded", "_hidden", "_logits", "_model", "_pending", "_places"),
        *("_profanity", "_raw", "_seen", "_starts", "_unwrapper", "_waiting", "_word"),
    )

    def __init__(self, model: Model, *, unwrap: bool = True) -> None:
        """A text of which nothing has come. ``unwrap``: whether to read what base64 in it says."""
        self._model = model
        self._fed: tuple[str, ...] = ()
        self._waiting = 0
        self._raw = 0
        self._before = START
        self._pending = b""
        self._folded = 0
        self._starts: list[int] = []
        self._context = _FAR_BACK
        self._word = NO_WORD
        self._seen = 0
        self._blocks: tuple[Sums, ...] = _NO_BLOCKS
        self._logits = _NO_LOGITS
        self._places = _NOWHERE
        self._profanity = NONE
        self._unwrapper = Unwrapper() if unwrap else None
        self._hidden: Reader | None = None

    @property
    def judged(self) -> int:
        """How many characters from the start stand in blocks that were read: it never falls."""
        return self._starts[self._seen] if self._seen < len(self._starts) else self._raw

    def feed(self, text: str) -> None:
        """The next piece of the text."""
        if not text:
            return
        self._fed = (*self._fed, text)
        self._waiting += len(text)
        if self._waiting >= _PORTION:
            self._fold()
            self._read_full_blocks()

    def reading(self) -> Reading:
        """The worst so far, of what was `judged`."""
        scores = [1 / (1 + exp(-logit)) if logit > _LEAST_LOGIT else 0.0 for logit in self._logits]
        spans = [self._span(first, last) for first, last in self._places]
        profanity = self._profanity
        if self._hidden is not None:
            hidden = self._hidden.reading()
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
        return self.reading() if self._folded else CLEAN_READING

    def stays_below(self, logits: Sequence[float], profanity: int) -> bool:
        """Whether no window that was read comes to these logits, and no word to this profanity. Where it is so, nobody
        has to ask for a `reading`.
        """
        if self._hidden is not None or self._profanity >= profanity:
            return False
        return all(map(lt, self._logits, logits))

    def end(self, rest: str = "") -> None:
        """`finish` without saying what the text says."""
        self._fed = (*self._fed, rest)
        self._fold()
        if not self._folded:
            return
        start = 0
        while len(self._pending) - start > _AT_ONCE:
            self._read(self._pending[start : start + _AT_ONCE], last=False)
            start += _AT_ONCE
        self._read(self._pending[start:], last=True)
        self._pending = b""
        if self._hidden is not None:
            self._hidden.finish()

    def twin(self) -> "Reader":
        """A copy that goes its own way."""
        twin = copy(self)
        twin._replace_shared()  # noqa: SLF001 (its own kind)
        return twin

    def _replace_shared(self) -> None:
        """What grows in place is not shared with the reader that this was copied from."""
        self._starts = self._starts.copy()
        self._unwrapper = self._unwrapper and self._unwrapper.twin()
        self._hidden = self._hidden and self._hidden.twin()

    def _fold(self) -> None:
        text = self._fed[0] if len(self._fed) == 1 else "".join(self._fed)
        if not text:
            return
        piece, places = folded(text, self._before, self._model.folding)
        for start in range(-self._folded % BLOCK, len(piece), BLOCK):
            self._starts.append(self._raw + (start if places is None else int(places[start])))
        self._before = last_two(self._before, piece)
        self._folded += len(piece)
        self._raw += len(text)
        self._pending += piece
        self._fed, self._waiting = (), 0

    def _read_full_blocks(self) -> None:
        full = len(self._pending) // BLOCK * BLOCK
        for start in range(0, full, _AT_ONCE):
            self._read(self._pending[start : min(start + _AT_ONCE, full)], last=False)
        self._pending = self._pending[full:]

    def _read(self, piece: bytes, *, last: bool) -> None:
        """Reads whole blocks, or the rest of the text."""
        if self._unwrapper is not None:
            self._read_hidden(self._unwrapper.take(piece, last=last))
        context = (self._context + piece + (_END if last else b"")).translate(_LOWER)
        starts = np.arange(0, len(piece) + last, BLOCK)
        found = features(context[REACH - TAIL : REACH], context[REACH:], self._word)
        rows = self._model.weights.sums(found, starts)
        self._word = found.last_word
        if len(found.ends):
            self._profanity = max(self._profanity, self._model.lexicon.worst(found))
        told = kinds(context)
        plain = self._blocks[0]
        after = [self._judge(plain, rows)]
        for view, before in zip(VIEWS, self._blocks[1:], strict=True):
            blocks = self._seen_so(view, told, context, rows)
            same = blocks is rows and before is plain
            after.append(after[0] if same else self._judge(before, blocks))
        self._blocks = tuple(after)
        self._context = context[-REACH - len(_END) : -len(_END)] if last else context[-REACH:]
        self._seen += len(starts)

    def _judge(self, before: Sums, blocks: Sums) -> Sums:
        """Judges the windows that end with these blocks; what the next ones are to be given as those before them."""
        sums, rest = windows(before, blocks)
        logits = self._model.weights.logits(sums)
        if sums.shape[1] > 1:
            logits -= PENALTIES
        self._note(logits)
        return rest

    def _seen_so(self, view: View, told: bytes, context: bytes, rows: Sums) -> Sums:
        """The sums of the blocks as a view has them: ``rows`` itself if none is written so."""
        if not view.found_in(told):
            return rows
        changed = rows.copy()
        for block, start in enumerate(range(0, len(rows) * BLOCK, BLOCK)):
            end = start + REACH + BLOCK if block + 1 < len(rows) else len(context)
            if view.found_in(told[start:end]):
                changed[block] = self._sums_so(view, context[start:end])
        return changed

    def _sums_so(self, view: View, context: bytes) -> Sums:
        read, kept = view.read(context)
        reach = REACH if kept is None else int(np.count_nonzero(kept[:REACH]))
        found = features(BLANK_TAIL, read, NO_WORD)
        self._profanity = max(self._profanity, self._model.lexicon.worst(found))
        sums: Sums = self._model.weights.sums(found, np.array([0, reach]))[1]
        return sums

    def _read_hidden(self, said: str) -> None:
        if not said:
            return
        if self._hidden is None:
            self._hidden = Reader(self._model, unwrap=False)
        self._hidden.feed(said)

    def _note(self, logits: Numbers) -> None:
        """Keeps the worst windows, given ``[block, size, head]``; of equals the first, and of these the longest."""
        sizes = logits.shape[1]
        flat = logits.reshape(-1, len(HEADS))
        where = flat.argmax(axis=0)
        worst, places = list(self._logits), list(self._places)
        for head, (place, logit) in enumerate(zip(where.tolist(), flat[where, _EACH_HEAD].tolist(), strict=True)):
            last = self._seen + place // sizes
            if logit > worst[head] or (logit == worst[head] and last < places[head][1]):
                worst[head], places[head] = logit, (max(last - SIZES[place % sizes] + 1, 0), last)
        self._logits, self._places = tuple(worst), tuple(places)

    def _span(self, first: int, last: int) -> tuple[int, int]:
        """Where blocks stand in the text, from the start of the first to the end of the last."""
        if not self._starts:
            return 0, 0
        return self._starts[min(first, len(self._starts) - 1)], self._starts[last + 1] if last + 1 < len(
            self._starts
        ) else self._raw

    def _span_of_hidden(self, span: tuple[int, int]) -> tuple[int, int]:
        first, last = (self._unwrapper.place(place) // BLOCK for place in span) if self._unwrapper else (0, 0)
        return self._span(first, last)
