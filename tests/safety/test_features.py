"""Features: the same in any pieces, and of the same words whatever stands around them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.safety.features import BITS, BLANK_TAIL, NO_WORD, TAIL, Features, features

LOWER_BYTES = st.lists(
    st.one_of(
        st.sampled_from([b"the ", b"dog", b" ", b"a", b"-", b"x" * 40, b"it's ", b"\x90\xff", b"9"]),
        st.binary(max_size=5),
    ),
    max_size=40,
).map(b"".join)


def whole(piece: bytes) -> Features:
    """The features of a text that begins here."""
    return features(BLANK_TAIL, piece, NO_WORD)


@settings(deadline=None)
@given(LOWER_BYTES, st.data())
def test_features_do_not_depend_on_where_a_text_is_cut(piece: bytes, data: st.DataObject) -> None:
    """Two pieces have the features of the whole: each given the bytes and the word before it."""
    cut = data.draw(st.integers(0, len(piece)))
    all_of_it, first = whole(piece), whole(piece[:cut])
    rest = features((BLANK_TAIL + piece[:cut])[-TAIL:], piece[cut:], first.last_word)
    assert np.array_equal(np.concatenate([first.grams, rest.grams]), all_of_it.grams)
    assert np.array_equal(np.concatenate([first.hashes, rest.hashes], axis=1), all_of_it.hashes)
    assert np.array_equal(np.concatenate([first.ends, rest.ends + cut]), all_of_it.ends)
    assert rest.last_word == all_of_it.last_word


def test_a_byte_has_one_gram_and_a_word_ends_in_the_byte_after_it() -> None:
    """Three words and their ends; the last has none yet, for nothing ends it."""
    found = whole(b"one, two and")
    assert len(found.grams) == 12
    assert found.ends.tolist() == [3, 8]
    assert whole(b"one, two and ").ends.tolist() == [3, 8, 12]


def test_a_word_has_one_hash_wherever_it_stands() -> None:
    """The word's own hash does not depend on its neighbours; that of the pair does."""
    first, second = whole(b"a dog "), whole(b"(every dog) ")
    assert first.hashes[0, -1] == second.hashes[0, -1]
    assert first.hashes[1, -1] != second.hashes[1, -1]


def test_different_words_differ() -> None:
    """Words of up to eight letters never share a hash; longer ones are told apart by their end and length."""
    words = [b"a", b"b", b"ab", b"ba", b"aab", b"aaaaaaaa", b"aaaaaaaaa", b"baaaaaaaa", b"kill", b"skill", b"kills"]
    hashes = [int(whole(word + b" ").hashes[0, 0]) for word in words]
    assert hashes[6] == hashes[7]
    assert len(set(hashes)) == len(words) - 1


def test_a_word_without_end_is_a_word_of_sixteen_letters() -> None:
    """However long: no more than the tail is needed to know it."""
    assert whole(b"x" * 16 + b" ").hashes[0, 0] == whole(b"x" * 5000 + b" ").hashes[0, 0]
    assert whole(b"x" * 15 + b" ").hashes[0, 0] != whole(b"x" * 16 + b" ").hashes[0, 0]


def test_buckets_spread_evenly() -> None:
    """Of 50,000 different words no bucket holds more than a handful."""
    found = whole(b"".join(b"w%d " % number for number in range(50_000)))
    assert np.bincount(found.buckets[0], minlength=1 << BITS).max() <= 7
    assert found.grams.max() < 1 << BITS
    assert found.grams.min() >= 0
