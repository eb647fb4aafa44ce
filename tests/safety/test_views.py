"""Views: leet and spaced letters are read as they are meant, and nothing else is touched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import PARTS, VENOM, random_classifier, shipped, texts, venom_classifier
from tests.safety.naive import lower, profanity_of, scores_of, standing, views_of
from tollhouse.safety.stream import Reader
from tollhouse.safety.views import (
    ENOUGH_LEET,
    ENOUGH_SINGLES,
    from_leet,
    from_spaced,
    is_spaced,
    leet_marks,
    single_marks,
)
from tollhouse.safety.weights import BLOCK


@pytest.mark.parametrize("text", ["y0u 4r3 4 b4d p3rs0n", "h3ll0 w0rld", "p@ssw0rd l1st5 h4ck", "st0p, k!ll 4 m@n"])
def test_leet_is_noticed_and_read(text: str) -> None:
    """Digits and signs between letters are letters: one for one."""
    assert sum(leet_marks(word) for word in lower(text).split()) >= ENOUGH_LEET
    read = from_leet(text.encode())
    assert len(read) == len(text)
    assert not set(b"01345@!") & set(read)
    assert read.decode() == text.translate(str.maketrans("01345@!", "oieasai"))


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("k", 1),
        ("k.i.l.l", 3),
        ("(x)", 1),
        ("i", 0),
        ("a", 0),
        ("i,a,i", 0),
        ("kill", 0),
        ("x.yz", 0),
        ("7", 0),
        ("", 0),
        ("\u65e5", 1),
        ("...", 0),
    ],
)
def test_letters_that_stand_alone_are_counted(text: str, marks: int) -> None:
    """But for those that are English words, and none in a word that has two together."""
    assert single_marks(lower(text)) == marks


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b" k i l l  y o u now, i am a cat", b" kill  you now, i am a cat"),
        (b"k.i.l.l now", b"kill now"),
        (b"k-i-l-l them", b"kill them"),
        (b"so k i l l", b"so kill"),
        (b"k1i1l1l", b"kill"),
        (b"\x90 \xff k\x80i ab", b"\x90\xffki ab"),
    ],
)
def test_spaced_letters_are_noticed_and_joined(text: bytes, read: bytes) -> None:
    """Of four in a row each single gap goes; what stands between words stays."""
    assert is_spaced(text)
    assert from_spaced(text) == read


@pytest.mark.parametrize(
    "text", [b"k i l", b"a b and c d", b"k  i  l  l", b"kill me", b"x yz a b", b"1 2 3 4", b"\x8f \x80 \x8f \x80", b""]
)
def test_fewer_than_four_in_a_row_are_not_spaced(text: bytes) -> None:
    """Nor are letters with wider gaps, and digits."""
    assert not is_spaced(text)


@pytest.mark.parametrize(
    "text",
    [
        "the meeting is on 2026-11-21 at 10:30, call 555-0199",
        "for i in range(10): x1 = a[i] + b[i]",
        "use utf8 and mp3, not i18n",
        "I am a doctor. A cat is an animal.",
        "I a I a I a I a I a I",
        "plan b, or plan c",
    ],
)
def test_ordinary_text_is_not_read_otherwise(text: str) -> None:
    """Numbers, code and single letters here and there are no disguise."""
    assert views_of(standing(text)) == {}
    assert ENOUGH_SINGLES > 1


ASCII = st.one_of(
    st.sampled_from([part for part in PARTS if part.isascii() and len(part) < 60]),
    st.sampled_from(["b4d b0y ", "s p e l l ", "w.o.r.d ", "n1c3, ", "I a ", "plain words ", "a1a"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
)
FOREIGN = st.one_of(
    st.sampled_from(["b4d b0y ", "s p e l l ", "w.o.r.d "]),
    st.text("\u65e5\u672c\u0636\u05d0\u0e01\u00df\u0434 x1", max_size=8),
)


def check(text: str) -> None:
    """A text reads as the slow and plain model has it."""
    reading = Reader(random_classifier().model, unwrap=False).finish(text)
    if standing(text):
        assert list(reading.scores) == pytest.approx(scores_of(text))
    assert reading.profanity == profanity_of(text)


@settings(deadline=None, max_examples=60)
@given(st.lists(ASCII, max_size=60).map("".join))
def test_a_text_is_read_in_every_view_as_the_plain_model_reads_it(text: str) -> None:
    """All windows of all views of all blocks: the scores are those of a model that looks at the text as a whole."""
    check(text)


@settings(deadline=None, max_examples=60)
@given(st.lists(FOREIGN, max_size=30).map("".join))
def test_views_leave_letters_of_other_scripts_as_they_are(text: str) -> None:
    """Between disguised words they count as they count elsewhere."""
    check(text)


@settings(deadline=None, max_examples=60)
@given(texts(40))
def test_any_text_is_read_as_the_plain_model_reads_it(text: str) -> None:
    """Also one with characters that are not seen, of any kind and number, in words and between them."""
    check(text)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(["word " * 5, "f u c k ", "sh1t ", "b0y ", "a.b.c.d ", "x ", "sod ", "off, ", "- ", "s0d "])
    )
)
def test_what_hides_across_blocks_is_read_as_the_plain_model_reads_it(parts: list[str]) -> None:
    """Marks of two blocks together, words before a block, and pairs of swear words with nothing else between them."""
    check("".join(parts))


@pytest.mark.parametrize("text", ["a.b.c.d.e.f.g.h " * 9, "b c d e f.g.h.j " * 20, "k.i.l.l t.h.e.m a.l.l " * 8])
def test_all_that_a_view_joins_is_read(text: str) -> None:
    """Letters that make a word longer than any are read to the last."""
    check(text)


@pytest.mark.parametrize("letter", ["\u4e20", "\u4e05", "\u65e5", "\u00b5"])
@pytest.mark.parametrize("form", ["{0} {0} {0} {0}", "{0}1{0} {0}1{0}", "{0}.{0}.{0}.{0}"])
def test_a_view_of_any_letters_is_read(letter: str, form: str) -> None:
    """Also of letters whose folded byte would be a blank if it were a character."""
    check(form.format(letter))


@pytest.mark.parametrize(
    "written",
    [
        "v3n0m v3n0m",
        "V3N0M and b4d",
        "v e n o m",
        "v.e.n.o.m",
        "v-e-n-o-m  i s  b a d",
        "\uff56 \uff45 \uff4e \uff4f \uff4d",
        "x" * 63 + " v e n o m",
        "the " * (BLOCK + 3) + "v e n o m " + "the " * (BLOCK - 12),
        "the " * (3 * BLOCK + 3) + "v3n0m w4t3r " + "the " * BLOCK * 9,
    ],
)
def test_disguised_words_are_read_as_words(written: str) -> None:
    """In whichever block they stand."""
    assert venom_classifier().judge(written).level("self_harm")


@pytest.mark.parametrize("text", ["v3n0m", "I a I a v I", "v e n", "the end of venomous 4n1m4l5 " * 3, "v  e  n  o  m"])
def test_what_is_no_disguise_is_not_read_so(text: str) -> None:
    """A single digit in a single word, wide gaps, and words that only begin so."""
    assert not venom_classifier().judge(text).findings


HIDDEN = {
    "upper": VENOM.upper(),
    "zero-width": "\u200b".join(VENOM),
    "as many zero-width as may be": ("\u200b" * 64).join(VENOM),
    "many zero-width": ("\u200b" * 70).join(VENOM),
    "look-alike": VENOM.translate(str.maketrans("eo", "\u0435\u043e")),
    "full-width": VENOM.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}),
    "accents": "\u0301".join(VENOM),
    "many accents": ("\u0301" * 70).join(VENOM),
    "tags": "".join(chr(0xE0000 + ord(each)) for each in VENOM),
    "tags after a long start": "".join(chr(0xE0000 + ord(each)) for each in "so " * 20 + "x " + VENOM + " is here"),
    "signs around": f'"({VENOM})"',
    "quoted": "\u201c" + VENOM + "\u201d,",
    "halves": VENOM[:2] + "\ud800" + VENOM[2:],
}


@pytest.mark.parametrize("written", HIDDEN.values(), ids=list(HIDDEN))
def test_what_hides_letters_hides_no_word(written: str) -> None:
    """Alone, and among other words: a word is what a reader sees."""
    assert venom_classifier().judge(written).level("self_harm")
    assert venom_classifier().judge(f"Of course {written} is here").level("self_harm")


PLAIN = "I am going to kill myself tonight and nobody can stop me"


@pytest.mark.parametrize(
    "written",
    [
        PLAIN.upper(),
        "\u200b".join(PLAIN),
        PLAIN.translate(str.maketrans("aeo", "\u0430\u0435\u043e")),
        PLAIN.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}),
        PLAIN.translate(str.maketrans("aeio", "4310")),
        "  ".join(" ".join(word) for word in PLAIN.split()),
        "SSBhbSBnb2luZyB0byBraWxsIG15c2VsZiB0b25pZ2h0IGFuZCBub2JvZHkgY2FuIHN0b3AgbWU=",
    ],
    ids=["upper", "zero-width", "look-alike", "full-width", "leet", "spaced", "base64"],
)
def test_what_is_found_plain_is_found_disguised(written: str) -> None:
    """Every disguise that the model card lists is seen through for one plain sentence of self-harm."""
    classifier = shipped()
    assert classifier.verdict(classifier.read(PLAIN)).level("self_harm") >= 2
    assert classifier.verdict(classifier.read(written)).level("self_harm") >= 2
