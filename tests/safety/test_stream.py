"""Reading in pieces: nothing depends on the pieces, nothing is read twice, looking ahead leaves no trace."""

from base64 import b64encode
from collections.abc import Iterator, Sequence, Sized
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import (
    PARTS,
    VENOM,
    in_pieces,
    mixed_text,
    random_classifier,
    random_weights,
    texts,
    venom_classifier,
)
from tollhouse.safety.classifier import CLEAN_READING, Classifier, Reading
from tollhouse.safety.lexicon import SEVERE, STRONG, shipped_lexicon
from tollhouse.safety.stream import Model
from tollhouse.safety.text import shipped_folding
from tollhouse.safety.vocabulary import Known, Vocabulary
from tollhouse.safety.weights import BLOCK

CLASSIFIER = random_classifier()
PORTION, AT_ONCE = 256, 8192
"""Characters that are waited for, and that are split at once: where seams may be."""
FILLER = "a fine day is at hand " * 400
ENCODED = b64encode(b"a long line of words, and of more words, for all to read. " * 3).decode()
HARD = {
    "base64": f"see {ENCODED}, ok",
    "base64s": " ".join(b64encode(b"some twenty letters %d" % n).decode() for n in range(9)),
    "leet": "th3 b1g b4d w0lf 4nd th3 l1ttl3 p1gs, s1r " * 3,
    "spaced": "k i l l  t h e m  a l l ,  s.h.i.t  I a I a " * 3,
    "long": "x" * 200 + " " + "y" * 64 + " " + "z" * 65 + " " + "w" * 23 + " " + "v" * 24 + " end",
    "blanks": "a\u3000b\u2003\u00a0c\u2028d\x1ce\x85f  \n\n g" * 4,
    "foreign": "\u65e5\u672c \u0441\u0430t e\u0301\u0301 \ufdfa " * 6,
    "surrogates": "\ud800\udc00 x\udfff y\ud800 \U000e0041\U000e0042 \x00 \x7f" * 4,
    "hidden": "\u200b x\u200b\u200by\u0301 \u200b\u200b z\u200b \u2003\u0301 " * 3,
    "tags": "\U000e0020w\U000e0041\U000e0020\U000e0001 \U000e0100v \U000e0062\U000e0063\U000e0020" * 3,
    "much hidden": ("\u200b" * 64).join("abc") + "\u0301" * 65 + "c \U000e0101" + "d\u200b" * 66 + " \u200b\u200be ",
    "base64 hidden": ENCODED[:32] + "\u200b" * 70 + ENCODED[32:48] + " " + "\u0301".join(ENCODED[:32]) + ", ok",
    "hidden and null": "x \x00 y\u200b \x00\u200b \x00\u0301\x00 " * 4,
    "swearing": "damn sod off, fuck this, sod off " * 4,
}


class CountingVocabulary(Vocabulary):
    """A vocabulary that notes how much it is asked."""

    __slots__ = ("asked", "calls", "letters")

    def __init__(self) -> None:
        super().__init__(random_weights(), shipped_lexicon(), shipped_folding())
        self.calls = 0
        self.asked = 0
        self.letters = 0

    def met(self, words: list[str]) -> list[Known] | None:
        """As always."""
        self._note(words)
        return super().met(words)

    def known(self, words: list[str]) -> list[Known]:
        """As always."""
        self._note(words)
        return super().known(words)

    def folded(self, text: str) -> bytes:
        """As always."""
        self._note([text])
        return super().folded(text)

    def known_cores(self, words: list[bytes]) -> list[Known]:
        """As always."""
        self._note(words)
        return super().known_cores(words)

    def level_of_pairs(self, words: list[bytes]) -> int:
        """As always."""
        self._note(words)
        return super().level_of_pairs(words)

    def _note(self, words: Sequence[Sized]) -> None:
        self.calls += 1
        self.asked += len(words)
        self.letters += sum(map(len, words))


def pieces(text: str, seed: int) -> Iterator[str]:
    """A text in pieces of all sizes, empty ones among them."""
    chance, start = Random(seed), 0  # noqa: S311 - chance for tests
    while start < len(text):
        size = chance.choice([0, 1, 1, 2, 5, 40, 255, 256, 257, 3000, 9000])
        yield text[start : start + size]
        start += size


def read(parts: list[str], classifier: Classifier = CLASSIFIER) -> Reading:
    """What a text says that comes so."""
    reader = classifier.reader()
    for part in parts:
        reader.feed(part)
    return reader.finish()


@pytest.mark.parametrize("seed", range(8))
def test_a_text_in_any_pieces_reads_as_the_whole(seed: int) -> None:
    """Scores, spans and profanity are bit for bit those of the text at once."""
    text = mixed_text(seed, 400)
    assert read(list(pieces(text, seed))) == CLASSIFIER.read(text)


@settings(deadline=None, max_examples=80)
@given(texts(), st.integers(PORTION, 600), st.integers(0, 600), st.sampled_from(PARTS))
def test_any_text_in_pieces_of_any_size_reads_as_the_whole(text: str, size: int, before: int, more: str) -> None:
    """Also where it is told at the end, and where much came before it."""
    text = FILLER[:before] + text + more * 40
    whole = CLASSIFIER.read(text)
    assert read(in_pieces(text, size)) == whole
    reader = CLASSIFIER.reader()
    reader.feed(text[:size])
    assert reader.finish(text[size:]) == whole


@pytest.mark.parametrize("text", HARD.values(), ids=list(HARD))
def test_a_cut_at_every_character_changes_nothing(text: str) -> None:
    """Two pieces, and three, cut everywhere where what was fed is split."""
    text = FILLER[:PORTION] + text + " " + FILLER[: 2 * PORTION]
    whole = CLASSIFIER.read(text)
    for cut in range(PORTION, len(text) - PORTION):
        assert read([text[:cut], text[cut:]]) == whole, cut
        assert read([text[:cut], text[cut : cut + PORTION], text[cut + PORTION :]]) == whole, cut


@pytest.mark.parametrize("text", HARD.values(), ids=list(HARD))
def test_where_a_long_text_is_split_changes_nothing(text: str) -> None:
    """A text that comes at once is split too: every character of it stands at that seam once."""
    for place in range(0, len(text), 3):
        whole = FILLER[: AT_ONCE - place] + text
        assert read(in_pieces(whole, 700)) == CLASSIFIER.read(whole), place


@pytest.mark.parametrize("size", [257, 300, 700, 1000])
@pytest.mark.parametrize("gap", [1, 64, 65, 70])
def test_base64_with_gaps_that_are_not_seen_is_read_alike_in_any_pieces(size: int, gap: int) -> None:
    """Whether a word of its piece is long or not."""
    letters = b64encode(f"All of this is about the {VENOM} of a friend of mine.".encode()).decode()
    text = ("\u200b" * gap).join(in_pieces(letters, 20)) + " so on" * 90 + " " + "x" * 30
    assert read(in_pieces(text, size), venom_classifier()) == venom_classifier().read(text)


@settings(deadline=None, max_examples=60)
@given(texts(), st.integers(0, 700), st.data())
def test_looking_ahead_says_what_ending_here_would_and_leaves_no_trace(
    text: str, before: int, data: st.DataObject
) -> None:
    """`peek` equals the reading of what came so far, and the end is as if nobody had looked."""
    text = FILLER[:before] + text
    cut = data.draw(st.integers(0, len(text)))
    reader = CLASSIFIER.reader()
    reader.feed(text[:cut])
    so_far = CLASSIFIER.read(text[:cut])
    assert reader.peek() == so_far
    assert reader.peek() == so_far
    reader.feed(text[cut:])
    assert reader.peek() == reader.finish() == CLASSIFIER.read(text)


@pytest.mark.parametrize("text", HARD.values(), ids=list(HARD))
def test_a_reader_and_its_twin_go_their_own_ways(text: str) -> None:
    """Each reads what it is fed, as if there were no other."""
    start = FILLER[:PORTION] + text
    for cut in range(PORTION, len(start), 7):
        reader = CLASSIFIER.reader()
        reader.feed(start[:cut])
        twin = reader.twin()
        twin.feed(FILLER[:300])
        reader.feed(start[cut:] + FILLER[7:307])
        assert twin.finish() == CLASSIFIER.read(start[:cut] + FILLER[:300]), cut
        assert reader.finish() == CLASSIFIER.read(start + FILLER[7:307]), cut


@pytest.mark.parametrize("seed", range(3))
def test_a_reading_only_worsens(seed: int) -> None:
    """While a text comes, no score falls and no swear word is forgotten; the spans lie in what was fed."""
    text = mixed_text(seed, 300)
    reader, fed, before = CLASSIFIER.reader(), 0, CLEAN_READING
    for piece in [*pieces(text, seed), ""]:
        reader.feed(piece)
        fed += len(piece)
        now = reader.reading()
        assert all(new >= old for new, old in zip(now.scores, before.scores, strict=True))
        assert now.profanity >= before.profanity
        assert all(0 <= start <= end <= fed for start, end in now.spans)
        before = now
    last = reader.finish()
    assert all(new >= old for new, old in zip(last.scores, before.scores, strict=True))
    assert before.scores != CLEAN_READING.scores


def test_what_comes_is_judged_soon() -> None:
    """Where each character comes alone, no more than those of a portion and of a block wait to be read."""
    reader = CLASSIFIER.reader()
    text = "a " * (PORTION // 2) + "fuck " + "a " * PORTION
    for place, character in enumerate(text):
        reader.feed(character)
        if place >= PORTION + 5 + 2 * BLOCK + PORTION:
            break
    assert reader.reading().profanity == STRONG


@pytest.mark.parametrize("text", ["", " ", "\n" * 999, " \t\x1c\u3000\u2028" * 200])
def test_a_blank_text_says_nothing(text: str) -> None:
    """Nothing and blanks read as clean, in any pieces."""
    assert CLASSIFIER.read(text) == CLEAN_READING
    assert read(in_pieces(text, 300)) == CLEAN_READING


@pytest.mark.parametrize("text", ["\u200b" * 999, "\u0301" * 999, "\ud800 \u200b", "\U000e0001"])
def test_a_text_without_a_visible_character_says_nothing(text: str) -> None:
    """Invisible characters read as clean, in any pieces."""
    assert CLASSIFIER.read(text) == CLEAN_READING
    assert read(in_pieces(text, 300)) == CLEAN_READING


@settings(deadline=None)
@given(texts(20), st.integers(0, SEVERE), st.floats(-3, 3))
def test_a_text_stays_below_what_it_does_not_reach(text: str, profanity: int, logit: float) -> None:
    """Nobody has to ask for a reading only where it says less, in every head and in swearing."""
    reader = CLASSIFIER.reader()
    reader.end(text)
    reading = reader.reading()
    least = 1 / (1 + 2.718281828459045**-logit)
    if reader.stays_below((logit,) * 5, profanity):
        assert max(reading.scores) <= least + 1e-9
        assert reading.profanity < profanity
    elif reading.profanity < profanity:
        assert max(reading.scores) >= least - 1e-9 or len(text) > 20


HOSTILE = [
    *("x" * 20_000, " " * 20_000, "\u0301" * 20_000, "a\u0301" * 10_000, "aGVsbG8g" * 2_500, "a\u0431" * 10_000),
    *("\ufdfa" * 20_000, "a1a" * 7_000, "a1a " * 5_000, "a " * 10_000, "b " * 10_000, "sod off " * 2_500),
    *("aGVsbG8gdGhlcmUgbXkgZ29vZCBmcmllbmQ= " * 540, "a" * 23 + " " + ("b" * 23 + " ") * 850),
    *(" ".join(f"w{number}" for number in range(3_500)), "b.c.d.e.f.g.h.i " * 1_250, "x" * 63 + " y" * 9_000),
    *("a " + "\u200b" * 20_000, "a" + "\u200b" * 20_000, ("a" + "\u200b" * 64) * 300, "x \U0001f600\u200b " * 4_000),
    *("\U000e0041" * 20_000, "\U000e0041\U000e0020" * 10_000, "\u0301 " * 10_000, "a\u200b " * 7_000),
]


@pytest.mark.interpreted
@pytest.mark.parametrize("size", [1, 300, 20_000])
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:8]))
def test_work_grows_with_the_text_and_not_faster(text: str, size: int) -> None:
    """Counted, not timed: a text twice as long asks at most twice as much, with a constant to spare, in any pieces."""
    work = []
    for part in (text[: len(text) // 2], text):
        vocabulary = CountingVocabulary()
        reader = Classifier(Model(random_weights(), vocabulary)).reader()
        for piece in in_pieces(part, size):
            reader.feed(piece)
        reader.finish()
        split = sum(len(piece[3]) for piece in reader._trail._pieces)
        work.append((vocabulary.calls, vocabulary.asked, vocabulary.letters, split))
    for half, whole in zip(*work, strict=True):
        assert whole <= 2.2 * half + 4 * BLOCK
    calls, asked, letters, split = work[1]
    assert calls <= len(text) / 4 + 9
    assert asked <= 5 * len(text) + 4 * BLOCK
    assert letters <= 9 * len(text) + 4 * PORTION
    assert split <= 10 * len(text) + 4 * PORTION
