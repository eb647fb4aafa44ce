"""Finds the sections of the documentation that speak of a question. Pure; built once by `guide.model`.

Theory of operation. Markdown pages are cut at their headings (not inside fenced code). A question is ranked against
the sections with Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009); words of a
heading count several times. BM25 always finds something, so a second figure decides whether it is an answer: the
share of the question's weight, rare words weighing most, that the section knows (`Hit.coverage`).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

K1 = 1.2
B = 0.75
HEADING_WEIGHT = 4
WORD = re.compile(r"[^\W_]+(?:[_\-.][^\W_]+)*")
PART = re.compile(r"[^\W_]+")
HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FENCE = re.compile(r"\s{0,3}(```|~~~)")
COMMON_TEXT = (
    "a about an and any anything are as at be been but by can could did do does for from get give had has have how i "
    "if in into is it its just let like make may me might mine my no not of on one or our please should show so some "
    "something tell than that the their them then there these they this those to too us use used user using want was "
    "way we were what when where which who why will with work works would you your tollhouse gateway explain mean"
)
COMMON = frozenset(COMMON_TEXT.split())


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading. ``trail`` are the headings above it, the page's title first, its own last."""

    file: str
    trail: tuple[str, ...]
    text: str

    @property
    def heading(self) -> str:
        """Its own heading."""
        return self.trail[-1]


@dataclass(frozen=True, slots=True)
class Hit:
    """A section found for a question. ``coverage`` is the share, 0 to 1, of the question that it knows."""

    section: Section
    score: float
    coverage: float


class Index:
    """All sections, ready to be asked."""

    __slots__ = ("_counts", "_lengths", "_mean", "_weights", "sections")

    def __init__(self, pages: Mapping[str, str]) -> None:
        """``pages`` are Markdown texts by file name."""
        self.sections = [section for file, text in sorted(pages.items()) for section in cut(file, text)]
        self._counts = [weighed(section) for section in self.sections]
        self._lengths = [counts.total() for counts in self._counts]
        self._mean = sum(self._lengths) / max(1, len(self._lengths))
        total = len(self.sections)
        known = Counter(term for counts in self._counts for term in counts)
        self._weights = {term: math.log(1 + (total - count + 0.5) / (count + 0.5)) for term, count in known.items()}

    def titled(self, question: str) -> list[Hit]:
        """The sections whose heading is the question itself, common words and all."""
        asked = WORD.findall(question.lower())
        return [Hit(one, 1.0, 1.0) for one in self.sections if asked and WORD.findall(one.heading.lower()) == asked]

    def find(self, question: str, most: int) -> list[Hit]:
        """The best sections, best first; none when not one word is known."""
        asked = list(dict.fromkeys(terms(question)))
        unknown = max(self._weights.values(), default=1.0)
        weight = sum(self._weights.get(term, unknown) for term in asked)
        hits = [self._hit(number, asked, weight) for number in range(len(self.sections))]
        found = [hit for hit in hits if hit.score > 0]
        found.sort(key=lambda hit: (-hit.score, hit.section.file, hit.section.trail))
        return found[:most]

    def _hit(self, number: int, asked: list[str], weight: float) -> Hit:
        counts, length = self._counts[number], self._lengths[number]
        score = known = 0.0
        for term in asked:
            count = counts[term]
            if count:
                known += self._weights[term]
                score += self._weights[term] * count * (K1 + 1) / (count + K1 * (1 - B + B * length / self._mean))
        return Hit(self.sections[number], score, known / weight if weight else 0.0)


def cut(file: str, text: str) -> list[Section]:
    """The sections of a page. What stands before the first heading belongs to the page's name."""
    sections: list[Section] = []
    trail: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""
    for line in [*COMMENT.sub("", text).splitlines(), "# end"]:
        mark = FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        heading = None if fence and line != "# end" else HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        if body := "\n".join(lines).strip():
            sections.append(Section(file, tuple(name for _, name in trail) or (file,), body))
        lines = []
        level = len(heading[1])
        trail = [*[(above, name) for above, name in trail if above < level], (level, heading[2])]
    return sections


def terms(text: str) -> Iterable[str]:
    """The stems of the words that say something; of ``max_tokens`` the whole and its parts."""
    for found in WORD.findall(text.lower()):
        parts = PART.findall(found)
        for word in dict.fromkeys([found, *parts]):
            if word not in COMMON:
                yield stem(word)


def stem(word: str) -> str:
    """A word without the commonest endings of English, so that "keys" finds "key" and "streaming" finds "stream"."""
    if not word.isalpha() or len(word) < 4:
        return word
    for ending, put, least in (("ies", "y", 5), ("ing", "", 6), ("ed", "", 5), ("es", "e", 5), ("s", "", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word.removesuffix(ending) + put
            break
    return word.removesuffix("e") if len(word) > 4 else word


def weighed(section: Section) -> Counter[str]:
    """How often each term stands in a section, its headings counted several times."""
    counts = Counter(terms(section.text))
    for term in terms(section.heading):
        counts[term] += HEADING_WEIGHT
    for above in section.trail[:-1]:
        counts.update(terms(above))
    return counts


def excerpt(section: Section, question: str, most: int) -> str:
    """A short section whole; of a long one the blocks that speak of the question, about ``most`` characters."""
    if len(section.text) <= most:
        return section.text
    asked = set(terms(question))
    blocks = [shortened(block, asked, most) for block in split_blocks(section.text)]
    scored = [(len(asked & set(terms(block))), -number) for number, block in enumerate(blocks)]
    chosen: list[int] = []
    length = 0
    for score, place in sorted(scored, reverse=True):
        block = blocks[-place]
        if chosen and (length + len(block) > most or score == 0):
            continue
        chosen.append(-place)
        length += len(block)
    return "\n\n".join(blocks[number] for number in sorted(chosen))


def shortened(block: str, asked: set[str], most: int) -> str:
    """A block that is too long: its first lines, and those further down that speak of the question."""
    lines = block.splitlines()
    if len(block) <= most or FENCE.match(lines[0]):
        return block
    first = 2 if lines[0].startswith("|") else 1
    scored = [(len(asked & set(terms(line))), -number) for number, line in enumerate(lines[first:], first)]
    chosen = list(range(first))
    length = sum(len(line) for line in lines[:first])
    for score, place in sorted(scored, reverse=True):
        length += len(lines[-place])
        if score == 0 or length > most:
            break
        chosen.append(-place)
    return "\n".join(lines[number] for number in sorted(chosen))


def split_blocks(text: str) -> list[str]:
    """Paragraphs, lists and fenced code; fences are kept whole."""
    blocks: list[str] = []
    lines: list[str] = []
    fence = ""
    for line in [*text.splitlines(), ""]:
        mark = FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        if line.strip() or fence:
            lines.append(line)
        elif lines:
            blocks.append("\n".join(lines))
            lines = []
    return [*blocks, "\n".join(lines)] if lines else blocks
