"""Short plain lines that do harm, and harmless ones of the same words: "I will kill you", "I will kill the server".

The public sets have few threats, pleas and insults of one sentence, which is what people try first. Called by
``data.py``: the lines of four fifths of the sentences in ``plain.txt`` are trained on, those of the others are judged
only. No line is trained on that is alike one of the lists that are never trained on.
"""

import re
from pathlib import Path
from random import Random
from typing import NamedTuple

from ordinary import are_alike, is_held_out, lines_of

FILE = Path(__file__).parent / "plain.txt"
OF_EACH = 16
"""Lines that are made of a sentence, at most: those that come out equal are one."""
_ALIKE = 0.5
"""The part of their words that two lines share at least if they are alike."""
_DEFINITION = re.compile(r"\{(\w+)\} = (.*)")
_SECTION = re.compile(r"\[(.+)\](.*)")
_WORD = re.compile(r"[a-z0-9']+")


class Plain(NamedTuple):
    """One line."""

    text: str
    section: str
    labels: dict[str, int]
    """1 or 0 for every head but those of which nobody knows."""
    held_out: bool


class Section(NamedTuple):
    """Sentences that say the same of every head."""

    name: str
    labels: dict[str, int]
    sentences: list[str]


def plain_lines(heads: tuple[str, ...], never: list[str]) -> list[Plain]:
    """The same every time. What is held out is in it once, and nothing that is alike it or a line of ``never``."""
    words, sections = _read(heads)
    chance = Random(6)  # noqa: S311 (a fixed choice, no secret)
    made = [
        Plain(text, section.name, section.labels, is_held_out(place))
        for section in sections
        for place, sentence in enumerate(section.sentences)
        for text in _written(sentence, words, chance)
    ]
    held_out = {_plain(each.text): each for each in made if each.held_out}
    unseen = {_bag(line) for line in never}
    kept = [
        each
        for each in made
        if not each.held_out
        and _plain(each.text) not in held_out
        and not any(are_alike(_bag(each.text), bag, _ALIKE) for bag in unseen)
    ]
    return [*kept, *held_out.values()]


def _read(heads: tuple[str, ...]) -> tuple[dict[str, list[str]], list[Section]]:
    words: dict[str, list[str]] = {}
    sections: list[Section] = []
    for line in lines_of(FILE):
        if defined := _DEFINITION.fullmatch(line):
            words[defined[1]] = defined[2].split(" | ")
        elif begun := _SECTION.fullmatch(line):
            said = begun[2].split()
            labels = {head: int(head in said) for head in heads if f"?{head}" not in said}
            sections.append(Section(begun[1], labels, []))
        else:
            sections[-1].sentences.append(line)
    return words, sections


def _written(sentence: str, words: dict[str, list[str]], chance: Random) -> list[str]:
    """A sentence with words in it, in some of the ways in which people begin and end one."""
    made = []
    for _ in range(OF_EACH):
        text = re.sub(r"\{(\w+)\}", lambda found: chance.choice(words[found[1]]), sentence)
        if chance.random() < 0.5:
            text = text[0].upper() + text[1:]
        if text[-1] not in ".!?":
            text += chance.choice(("", "", ".", "!"))
        made.append(text)
    return made


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _bag(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
