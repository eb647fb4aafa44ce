"""Base64: found, decoded and told the same in any pieces; everything else is left alone."""

from base64 import b64encode, urlsafe_b64encode
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.safety.unwrap import LEAST, Unwrapper

SAID = "This is what the letters say, more than once. "


def unwrapped(text: bytes, cuts: list[int]) -> str:
    """What base64 in a text says, the text cut there."""
    unwrapper, said = Unwrapper(), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        said.append(unwrapper.take(text[start:end], last=end == len(text)))
    return "".join(said)


@pytest.mark.parametrize("length", range(18, 60))
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("padded", [True, False])
def test_base64_of_any_length_and_padding_is_decoded(length: int, encode: object, padded: bool) -> None:
    """Both alphabets, with and without the signs at the end."""
    assert callable(encode)
    plain = (SAID * 2)[:length].encode()
    letters = encode(plain) if padded else encode(plain).rstrip(b"=")
    assert unwrapped(b"Look: " + letters + b" and go", []).strip() == plain.decode().strip()


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [b64encode(SAID.encode()), b64encode(bytes(range(80))), b" ", b"word", b"x" * 23, b"=", b"-"]
            ),
            st.binary(max_size=30).map(b64encode),
        ),
        max_size=12,
    ).map(b"".join),
    st.integers(0, 1 << 32),
)
def test_cuts_change_nothing(text: bytes, seed: int) -> None:
    """Any pieces say what the whole says."""
    chance = Random(seed)  # noqa: S311 - chance for tests
    cuts = sorted(chance.randint(0, max(len(text) - 1, 0)) for _ in range(chance.randint(0, 6)))
    assert unwrapped(text, cuts) == unwrapped(text, [])


@pytest.mark.parametrize(
    "text",
    [
        b"A perfectly ordinary sentence with no very long words in it at all, though it goes on for some time.",
        b"/usr/local/lib/python3.11/site-packages/numpy/core/multiarray and internationalization",
        b"sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        b64encode(bytes(range(128, 200))),
        b"x" * 500,
        b64encode(SAID.encode())[: LEAST - 1],
    ],
)
def test_what_is_no_text_in_base64_is_left_alone(text: bytes) -> None:
    """Paths, digests, pictures and short runs say nothing."""
    assert unwrapped(text, []) == ""


def test_decoding_stops_at_the_first_byte_that_is_no_text() -> None:
    """What stands before it counts; the rest of the run does not."""
    assert unwrapped(b64encode(SAID.encode() + b"\xff\x00" + SAID.encode()), []) == SAID + " "


def test_every_decoded_byte_knows_where_it_comes_from() -> None:
    """Places lie within the run that says them."""
    letters = b64encode(SAID.encode())
    text = b"one " + letters + b" two " + letters
    unwrapper = Unwrapper()
    said = unwrapper.take(text, last=True)
    assert unwrapper.place(0) == 4
    second = said.index(SAID, 1)
    assert unwrapper.place(second) == 4 + len(letters) + 5


def test_a_copy_goes_its_own_way() -> None:
    """What a twin takes, the first never saw."""
    letters = b64encode(SAID.encode())
    unwrapper = Unwrapper()
    first = unwrapper.take(letters[:30], last=False)
    twin = unwrapper.twin()
    assert twin.take(letters[30:], last=True) == unwrapper.take(letters[30:], last=True)
    assert first


def test_what_was_taken_is_counted() -> None:
    """In bytes, of whatever kind."""
    unwrapper = Unwrapper()
    taken = 0
    for piece in (b"", b"one ", b64encode(SAID.encode())[:30], b64encode(SAID.encode())[30:], b"\xff ", b"x" * 99):
        unwrapper.take(piece, last=False)
        taken += len(piece)
        assert unwrapper.seen == taken
    assert unwrapper.twin().seen == taken
