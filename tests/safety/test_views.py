"""Views: leet and spaced letters are read as they are meant, and nothing else is touched."""

import pytest

from tests.safety.classifier_kit import shipped
from tollhouse.safety.views import VIEWS, kinds

LEET, SPACED = VIEWS


@pytest.mark.parametrize("text", [b"y0u 4r3 4 b4d p3rs0n", b"h3ll0 w0rld", b"p@ssw0rd l1st5 h4ck"])
def test_leet_is_noticed_and_read(text: bytes) -> None:
    """Digits and signs between letters are letters."""
    assert LEET.found_in(kinds(text))
    read, kept = LEET.read(text)
    assert kept is None
    assert len(read) == len(text)
    assert not set(b"013457@") & set(read)


def test_spaced_letters_are_noticed_and_joined() -> None:
    """One gap between single letters goes; what stands between words stays."""
    text = b" k i l l  y o u now, i am a cat"
    assert SPACED.found_in(kinds(text))
    read, kept = SPACED.read(text)
    assert read.startswith(b" kill you")
    assert kept is not None
    assert kept.sum() == len(read)


@pytest.mark.parametrize(
    "text",
    [
        b"the meeting is on 2026-11-21 at 10:30, call 555-0199",
        b"for i in range(10): x1 = a[i] + b[i]",
        b"use utf8 and mp3, not i18n",
        b"I am a doctor. A cat is an animal.",
    ],
)
def test_ordinary_text_is_not_read_otherwise(text: bytes) -> None:
    """Numbers, code and single letters here and there are no disguise."""
    assert not LEET.found_in(kinds(b" " + text.lower()))
    assert not SPACED.found_in(kinds(b" " + text.lower()))


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
