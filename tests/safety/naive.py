"""The classifier once more, slow and plain, to compare with: a whole text at once, lists of buckets, no memory.

It has the table of folding, the list of swear words and the rules of `views` from the package, and nothing else; base64
it does not read.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import exp, sqrt
from zlib import crc32

from tests.safety.classifier_kit import SIZE, random_planes, whole_word
from tollhouse.safety.features import BITS
from tollhouse.safety.lexicon import shipped_lexicon
from tollhouse.safety.text import shipped_folding
from tollhouse.safety.views import from_leet, from_spaced, is_spaced, leet_marks, single_marks

Place = tuple[int, int]
BLOCK, CONTEXT, LONG, PRIOR, LONGEST = 24, 8, 8, 32, 64
GRAMS, AROUND = (5, 6), b".,;:\"()[]*'"


def lower(text: str) -> bytes:
    """Folded, lower-case bytes."""
    return shipped_folding().of(text).encode("latin-1").lower()


def runs_of(folded: bytes) -> list[bytes]:
    """The runs of letters and digits in folded, lower-case bytes."""
    return re.findall(rb"[a-z0-9\x90-\xff]+", folded)


def counted(words: list[bytes], before: bytes | None = None) -> list[int]:
    """The bucket of everything that is counted in a row of words, given the run before them."""
    buckets: list[int] = []
    last = before
    for word in words:
        core = word.strip(AROUND)
        padded = b" " + core + b" "
        buckets += [crc32(padded[at : at + size]) % SIZE for size in GRAMS for at in range(len(padded) - size + 1)]
        runs = edges(core)
        buckets += [whole_word(run) for run in runs if run is not None]
        buckets += [pair(first, second) for first, second in pairwise([last, *runs])]
        last = runs[-1]
    return buckets


def edges(word: bytes) -> list[bytes | None]:
    """The runs of a word; of a word without any, None: nothing is a pair across it."""
    return [*runs_of(word)] or [None]


def pair(first: bytes | None, second: bytes | None) -> int:
    """The bucket of two runs that follow each other; None where none stands."""
    of_first = 0 if first is None else (crc32(first) * 0x85EBCA6B % (1 << 32)) >> (32 - BITS)
    return of_first ^ (0 if second is None else crc32(second) % SIZE)


def seen(text: str) -> str:
    """A text without what nobody sees, and with its tags as what they stand for."""
    return "".join(map(seen_one, text))


def seen_one(each: str) -> str:
    """One character of it."""
    folded = shipped_folding().of(each)
    return folded if 0xE0000 <= ord(each) < 0xE0200 else each if folded else ""


def standing(text: str) -> list[tuple[str, int]]:
    """The words of a text and where they stand among what is seen: what has more than 64 characters is cut."""
    found: list[tuple[str, int]] = []
    is_word = False
    for place, each in enumerate(seen(text)):
        if each.isspace():
            is_word = False
        elif is_word and len(found[-1][0]) < LONGEST:
            found[-1] = found[-1][0] + each, found[-1][1]
        else:
            found.append((each, place))
            is_word = True
    return found


def placed(text: str) -> list[tuple[str, int]]:
    """The same words, and where they stand in the text."""
    places = [place for place, each in enumerate(text) if seen_one(each)]
    return [(word, places[start]) for word, start in standing(text)]


def views_of(words: list[tuple[str, int]], number: int = 0) -> dict[str, list[bytes]]:
    """The other ways to read a block of a text: by the name of the way, the words that it sees."""
    first, end = number * BLOCK, number * BLOCK + BLOCK
    own, both = words[first:end], words[max(first - BLOCK, 0) : end]
    read = words[max(first - CONTEXT, 0) : end]
    plain = b" ".join(lower(word) for word, _ in read)
    views: dict[str, list[bytes]] = {}
    if marked(leet_marks, own) and marked(leet_marks, both) >= 2:
        views["leet"] = cut(from_leet(plain))
    if marked(single_marks, own) and marked(single_marks, both) >= 2 and is_spaced(plain):
        views["spaced"] = cut(from_spaced(lower(spread(read))))
    return views


def marked(marks: Callable[[bytes], int], words: list[tuple[str, int]]) -> int:
    """How many marks of a kind some words have."""
    return sum(marks(lower(word)) for word, _ in words)


def spread(words: list[tuple[str, int]]) -> str:
    """Words with one blank where the text has a single character between them, and two elsewhere."""
    text, end = "", 0
    for word, start in words:
        text += (" " if start == end + 1 else "  ") + word
        end = start + len(word)
    return text


def cut(text: bytes) -> list[bytes]:
    """The words of folded bytes: what is longer than 64 is cut."""
    return [word[at : at + LONGEST] for word in text.split() for at in range(0, len(word), LONGEST)]


def logits_of(buckets: list[int], scale: float = 0.001) -> list[float]:
    """What the random weights say of all buckets of a window."""
    root = sqrt(len(buckets) + PRIOR)
    return [sum(plane[bucket] for bucket in buckets) * scale / root for plane in random_planes()]


def windows_of(text: str) -> Iterator[tuple[Place, list[float]]]:
    """Every window of a text, in the order in which they are judged: its blocks, and what the random weights say."""
    words = standing(text)
    plain: list[list[int]] = []
    views: dict[str, dict[int, list[int]]] = {"leet": {}, "spaced": {}}
    before: bytes | None = None
    for last in range((len(words) + BLOCK - 1) // BLOCK):
        row = [lower(word) for word, _ in words[last * BLOCK : last * BLOCK + BLOCK]]
        plain.append(counted(row, before))
        before = edges(row[-1])[-1]
        yield from _ending(plain, last)
        for name, words_so in views_of(words, last).items():
            views[name][last] = counted(words_so)
        for changed in views.values():
            if any(block in changed for block in range(last - LONG + 1, last + 1)):
                yield from _ending([changed.get(place, block) for place, block in enumerate(plain)], last)


def _ending(blocks: list[list[int]], last: int) -> Iterator[tuple[Place, list[float]]]:
    first = max(last - LONG + 1, 0)
    yield (first, last), logits_of([bucket for block in blocks[first : last + 1] for bucket in block])
    if last:
        yield (last, last), [logit - 1.0 for logit in logits_of(blocks[last])]


def scores_of(text: str) -> list[float]:
    """For each head the probability of the worst window."""
    return [1 / (1 + exp(-max(column))) for column in zip(*(logits for _, logits in windows_of(text)), strict=True)]


def profanity_of(text: str) -> int:
    """The worst swear word of a text, in all ways to read it."""
    words = standing(text)
    rows = [[lower(word) for word, _ in words]]
    for number in range((len(words) + BLOCK - 1) // BLOCK):
        rows += views_of(words, number).values()
    return max(map(worst_of, rows))


def worst_of(words: list[bytes]) -> int:
    """The worst swear word of a row of words."""
    lexicon = shipped_lexicon()
    runs = [run for word in words for run in edges(word)]
    pairs = [lexicon.pairs.get((first, second), 0) for first, second in pairwise(runs) if first and second]
    return max(0, *pairs, *(lexicon.words.get(run, 0) for run in runs if run), 0)
