"""Swear words: which of a text's words are any, and how bad. Called by `safety.vocabulary`.

The list is ours, in `data/profanity.txt`: words of one or two parts under their severity. They are compared as whole
runs of letters, so Scunthorpe stays a town.
"""

from importlib.resources import files

from msgspec import Struct

NONE, MILD, STRONG, SEVERE = range(4)
_LEVELS = {"mild": MILD, "strong": STRONG, "severe": SEVERE}


class Lexicon(Struct, frozen=True):
    """Runs of letters, and two of them, by what they are."""

    words: dict[bytes, int]
    pairs: dict[tuple[bytes, bytes], int]


def read_lexicon(text: str) -> Lexicon:
    """The lexicon in a text: lines of ``level: word word ...``, with ``_`` between the parts of a pair."""
    lexicon = Lexicon({}, {})
    for line in text.splitlines():
        level, colon, words = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        for word in words.encode().split():
            first, pair, second = word.partition(b"_")
            if pair:
                lexicon.pairs.setdefault((first, second), _LEVELS[level])
            else:
                lexicon.words.setdefault(first, _LEVELS[level])
    return lexicon


def shipped_lexicon() -> Lexicon:
    """The lexicon that ships in the package."""
    return read_lexicon(files("tollhouse.safety").joinpath("data/profanity.txt").read_text("utf-8"))
