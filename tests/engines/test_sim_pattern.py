"""`tollhouse.engines.sim.pattern` and `automaton`: regular expressions, read and matched without `re`."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.engines.sim import automaton, charsets, pattern
from tollhouse.engines.sim.automaton import Fit, Machine, Work, machines, search
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.leaves import walk

EXPRESSIONS = [
    "", "a", "^a$", "a|b", "^(?:ab|cd)+$", "^a{2,3}$", "^a{2,}b?$", "^[a-c]+[^a-c]$", "^\\d+(\\.\\d{1,2})?$", "a.c",
    "^\\w+@\\w+\\.com$", "^(a|ab)(c|bcd)$", "x*", "^x*$", "(?P<year>\\d{4})-(?P<month>\\d\\d)", "^[\\w.-]+$", "^\\s*$",
    "^[\\]\\-\\\\]$", "^\\x41\\u0042$", "^[+-]?\\d+$", "^a\\.b$", "^{a}$", "^[A-Z][a-z]*(?: [A-Z][a-z]*)*$",
    "^(a?){3}$",
    "^(?=.*b)(?!.*c)[a-d]{2,4}$", "^a$|^b$", "$", "^", "a^b", "a$b", "^[^a]$", "^.$", "(|a)b", "^(a*)*$",
]  # fmt: skip
TEXTS = [
    "", "a", "b", "ab", "abc", "aa", "aaa", "aaaa", "cd", "abcd", "c", "12", "1.5", "1.555", "me@x.com", "2024-05",
    "x y",
    "A", "AB", "{a}", "]", "-", "\\", "+7", "a.b", "a\nc", " ", "Ab Cd", "bb", "bcd", "abd", "xxx", "aab", "aaab",
]  # fmt: skip


def made(text: str) -> tuple[tuple[Machine, ...], tuple[Machine, ...]]:
    """The automata of an expression."""
    return machines(pattern.read(text), Work())


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_matches_as_re_does(text: str) -> None:
    """An expression finds the same texts as Python's own engine does."""
    found, absent = made(text)
    for sample in TEXTS:
        assert Fit(found, absent).holds(sample) == (re.search(text, sample) is not None), sample


@pytest.mark.parametrize("text", [text for text in EXPRESSIONS if text not in ("a^b", "a$b")])
def test_search_finds_a_text(text: str) -> None:
    """For every expression that some text fits, a text is found."""
    found = search(Fit(*made(text)), Draws("1"))
    assert found is not None
    assert re.search(text, found)


@pytest.mark.parametrize("text", ["a^b", "a$b", "^a$", "^[a-c]{2}$"])
def test_search_knows_when_there_is_none(text: str) -> None:
    """When no text of the length fits, none is made up."""
    assert search(Fit(*made(text), 5), Draws("1")) is None


def test_search_meets_lengths_and_patterns_together() -> None:
    """Several patterns and a length are met by one text."""
    first, _ = made("^ab")
    second, _ = made("\\d$")
    third, _ = made("zz")
    found = search(Fit(first + second, third, 6, 6), Draws("1"))
    assert found is not None
    assert re.search("^ab.{3}\\d$", found)


@pytest.mark.parametrize(("text", "why"), [
    ("(", "not closed"), (")", "not open"), ("[a", "not closed"), ("*a", "nothing to repeat"), ("a**", "doubled"),
    ("a++", "possessive"), ("(?<=a)b", "not read"), ("(?<!a)b", "not read"), ("(a)\\1", "back-reference"),
    ("\\bword", "word border"), ("(?i)a", "not read"), ("\\", "backslash"), ("a{3,2}", "ends before"),
    ("[b-a]", "order"),
    ("a(?=b)", "not read"), ("^(?=a)b|c", "alternatives"), ("^*", "repeat"), ("a$*", "anchor"), ("[]", "empty set"),
    ("\\q", "not read"),
    ("\\xZZ", "code point"), ("\\u{110000}", "not a character"), ("\\uD800", "not a character"),
    ("\\p{Nope}", "property"),
    ("\\p{", "property"), ("a{20000}", "repeats more"), ("(" * 60 + ")" * 60, "deeper"), ("a" * 5000, "longer"),
    ("(?", "not read"), ("\\u{", "code point"), ("\\c", "not read"),
])  # fmt: skip
def test_refusals_say_why(text: str, why: str) -> None:
    """What is not read here is refused in words."""
    with pytest.raises(pattern.Unsupported, match=why):
        pattern.read(text)


@pytest.mark.parametrize("text", ["((a{50}){50}){50}", "((){10000}){10000}", "(((((a?){9}){9}){9}){9}){9}"])
def test_large_automata_are_refused(text: str) -> None:
    """Repetitions of repetitions cannot take the memory of the process."""
    with pytest.raises(pattern.Unsupported, match=r"too large|too long"):
        made(text)


def test_work_is_bounded() -> None:
    """A pattern that is slow to match on a long text is refused before it holds anything up."""
    found, _ = made("^(a?){2000}$")
    with pytest.raises(pattern.Unsupported, match="too long"):
        found[0].matches("a" * 5000)


@pytest.mark.parametrize(("text", "inside", "outside"), [
    ("^\\p{L}$", "\u00e9", "1"), ("^\\p{Lu}$", "\u00c9", "\u00e9"), ("^\\P{L}$", "1", "a"), ("^[^\\d]$", "\u00e9", "4"),
    ("^\\u{1F600}$", "\U0001f600", "x"), ("^[\\b]$", "\b", "b"), ("^(?<m>\\d)$", "1", "m"), ("^\\S$", "x", "\u2003"),
    ("^\\W$", "-", "_"),
])  # fmt: skip
def test_classes(text: str, inside: str, outside: str) -> None:
    """Classes, categories and escapes mean what ECMA-262 has them mean."""
    fit = Fit(*made(text))
    assert fit.holds(inside)
    assert not fit.holds(outside)


@given(st.sampled_from([text for text in EXPRESSIONS if "(?=" not in text and "^b" not in text and "$b" not in text]),
       st.integers(0, 8), st.integers())  # fmt: skip
def test_walks_fit(text: str, stretch: int, key: int) -> None:
    """A text made by walking an expression fits it."""
    assert re.search(text, walk(pattern.read(text).body, Draws(str(key)), stretch))


@given(st.lists(st.tuples(st.integers(0, 0x10FFFF), st.integers(0, 50)), max_size=6))
def test_complement(pairs: list[tuple[int, int]]) -> None:
    """A set and its complement share nothing, and leave out only surrogates."""
    ranges = charsets.union(*[((low, min(low + more, charsets.TOP)),) for low, more in pairs])
    outside = charsets.without(ranges)
    assert charsets.overlap(ranges, outside) == ()
    real = charsets.overlap(ranges, charsets.ANY)
    assert charsets.size(real) + charsets.size(outside) == 0x110000 - 0x800


@settings(deadline=None)
@given(st.text(alphabet="ab01|()[]{}^$*+?.\\d-,:=!<>", max_size=14), st.text(alphabet="ab01-,", max_size=6))
def test_any_text_is_read_or_refused(text: str, sample: str) -> None:
    """Whatever is given as an expression is read as Python reads it, or refused; nothing else happens."""
    try:
        fit = Fit(*made(text))
    except pattern.Unsupported:
        return
    try:
        expected = re.search(text, sample) is not None
    except (re.error, FutureWarning):
        return
    assert fit.holds(sample) == expected


def test_samples_are_readable() -> None:
    """Where a letter or digit fits, one is chosen."""
    assert charsets.sample(charsets.ANY, Draws("1")).isalnum()
    assert charsets.sample(((0x4E00, 0x4E05),), Draws("1")) in "".join(map(chr, range(0x4E00, 0x4E06)))
    assert automaton.Fit().holds("")
