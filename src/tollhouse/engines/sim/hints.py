"""What a conversation offers for values: the words, names, numbers and addresses of the last user message. Pure.

The simulated model fills arguments from here before it makes anything up, so that "the weather in Paris" calls
``get_weather`` with Paris. Only the last 4,000 characters are read.
"""

import re
from collections.abc import Sequence
from typing import Any

TEXT_MAX = 4000
LOOKS_MAX = 50  # places of a word that are looked at
QUOTED = re.compile(r"\"([^\"]{1,300})\"|\u201c([^\u201d]{1,300})\u201d|`([^`]{1,300})`")
URL = re.compile(r"https?://[^\s<>\"')\]]{1,500}")
EMAIL = re.compile(r"[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2}))?(?!\d)")
NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,9})?(?!\w|\.\d)")
TOKEN = re.compile(r"[\w'\u2019-]+|[^\w\s]|\n")
NAME_PART = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
# Words that begin a sentence with a capital without being the name of anything.
STARTERS_TEXT = (
    "a add after also am an and answer any apply are as ask at be before book both but by calculate call can compare "
    "compute could create describe did do does each explain extract fetch find first fix for from generate get give "
    "go hello help hey hi his how i i'd i'll i'm i've if in is it it's its json let let's list look make may multiply "
    "my name need next no not now of ok on one or our please plan print put read reply return run say search send set "
    "should show so some subtract summarize tell thank thanks that that's the their then there these they this those "
    "to translate try turn two use using was we were what what's when where which who who's why will with would "
    "write yes you your"
)
NAMES_TEXT = (
    "address airport author capital city company country customer destination from location name origin owner person "
    "place product recipient region sender state station title to town user"
)
TEXTS_TEXT = (
    "answer body code command content description expression input keyword message note prompt q query question "
    "reason request search sentence statement subject summary task text topic"
)
ADDRESSES_WANTED = {"email": EMAIL, "mail": EMAIL, "url": URL, "uri": URL, "link": URL, "href": URL, "date": DATE}


STARTERS = frozenset(STARTERS_TEXT.split())
NAMES_WANTED = frozenset(NAMES_TEXT.split())
TEXTS_WANTED = frozenset(TEXTS_TEXT.split())


SENTENCE_ENDS = (".", "!", "?", "\n")
PREPOSITIONS = ("at", "between", "by", "for", "from", "in", "of", "on", "to", "with")


class Hints:
    """The offers of one text. Names and numbers are handed out in the order in which they stand there."""

    __slots__ = ("_explicit", "_lower", "_names_taken", "_numbers_taken", "names", "numbers", "quoted", "text")

    def __init__(self, text: str, *, skip: int = 0) -> None:
        """``skip`` names are passed over: a second parallel call gets the second name."""
        self.text = text[-TEXT_MAX:].strip()
        self._lower = self.text.lower()
        self.quoted = ["".join(found) for found in QUOTED.findall(self.text)]
        self.names = names(self.text)
        self.numbers = [number(found) for found in NUMBER.findall(self.text)]
        self._names_taken = skip
        self._numbers_taken = 0
        self._explicit: dict[str, str | None] = {}

    def texts(self, name: str) -> list[str]:
        """Strings for a property of this name, best first; empty when the text offers nothing that suits."""
        offers: list[str] = []
        if (stated := self.stated(name)) is not None:
            offers.append(stated)
        parts = words(name)
        for kind in parts:
            if kind in ADDRESSES_WANTED:
                offers += ADDRESSES_WANTED[kind].findall(self.text)
        if parts & NAMES_WANTED and self.names:
            offers.append(self.names[self._names_taken % len(self.names)])
            self._names_taken += 1
            offers += self.names
        offers += self.quoted
        if parts & TEXTS_WANTED and self.text:
            offers.append(self.text)
        return offers

    def figures(self, name: str) -> list[int | float]:
        """Numbers for a property of this name, best first."""
        stated = self.stated(name)
        if stated is not None and NUMBER.fullmatch(stated):
            return [number(stated)]
        if not self.numbers:
            return []
        first = self._numbers_taken % len(self.numbers)
        self._numbers_taken += 1
        return self.numbers[first:] + self.numbers[:first]

    def flag(self, name: str) -> bool | None:
        """What the text states for a boolean of this name."""
        return {"true": True, "yes": True, "false": False, "no": False}.get((self.stated(name) or "").lower())

    def stated(self, name: str) -> str | None:
        """The value in ``name=value``, ``name: value`` or ``name is value``."""
        if name not in self._explicit:
            self._explicit[name] = self._find_stated(name)
        return self._explicit[name]

    def mentioned(self, values: Sequence[Any]) -> list[Any]:
        """Those strings among ``values`` that stand in the text as words of their own."""
        return [value for value in values if isinstance(value, str) and self._speaks_of(value.lower())]

    def _speaks_of(self, word: str) -> bool:
        if not word:
            return False
        at = self._lower.find(word)
        for _ in range(LOOKS_MAX):
            if at < 0:
                break
            before, after = self._lower[at - 1 : at] if at else "", self._lower[at + len(word) : at + len(word) + 1]
            if not before.isalnum() and not after.isalnum():
                return True
            at = self._lower.find(word, at + 1)
        return False

    def _find_stated(self, name: str) -> str | None:
        label = name.lower()
        at = self._lower.find(label) if label else -1
        while at >= 0:
            rest = self.text[at + len(label) :].lstrip(" \"'`*")
            alone = not self._lower[at - 1 : at].isalnum() if at else True
            if alone and rest[:1] in ("=", ":"):
                return value_at(rest[1:])
            if alone and rest[:3].lower() == "is ":
                return value_at(rest[3:])
            at = self._lower.find(label, at + 1)
        return None


def value_at(text: str) -> str | None:
    """The value at the start of a text: quoted, or up to a blank or a comma."""
    text = text.lstrip(" *")
    if found := QUOTED.match(text):
        return str(found[found.lastindex or 0])
    value = re.split(r"[\s,;]", text, maxsplit=1)[0].rstrip(".!?)]}\"'`*")
    return value or None


def names(text: str) -> list[str]:
    """Runs of words with a capital letter, without the words that merely begin a sentence."""
    found: list[str] = []
    run: list[str] = []
    before, first = ".", False
    for token in [*TOKEN.findall(text), "."]:
        word = token.removesuffix("'s").removesuffix("\u2019s")
        if word[:1].isupper() and (run or word.lower() not in STARTERS):
            first = first if run else before in SENTENCE_ENDS
            run.append(word)
        elif run:
            # "Flights to Rome": a single word before a preposition is the topic, not a name.
            if not (first and len(run) == 1 and token in PREPOSITIONS):
                found.append(" ".join(run))
            run = []
        before = token
    return list(dict.fromkeys(found))


def words(name: str) -> set[str]:
    """The lower-case words of an identifier in any spelling."""
    return {part.lower() for part in NAME_PART.findall(name)}


def number(text: str) -> int | float:
    """The number of a `NUMBER` match."""
    return float(text) if "." in text else int(text)
