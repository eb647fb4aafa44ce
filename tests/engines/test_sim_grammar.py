"""`tollhouse.engines.sim.grammar`: texts of Lark grammars."""

import re

import pytest

from tollhouse.engines.sim import grammar
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.pattern import Unsupported

SUM = """
// sums with brackets
?start: sum
sum: product | sum "+" product -> add
   | sum "-" product
product: item ("*" item)*   # several
item: NUMBER | "(" sum ")"
NUMBER.2: /[0-9]+/
%ignore " "
"""


@pytest.mark.parametrize("key", range(30))
def test_sums(key: int) -> None:
    """Every text of a recursive grammar is one of its sentences, and ends."""
    text = grammar.text(SUM, Draws(str(key)))
    assert re.fullmatch(r"[0-9+\-*()]+", text)
    assert text.count("(") == text.count(")")
    eval(compile(re.sub(r"\b0+(?=\d)", "", text), "sum", "eval"), {})  # noqa: S307  digits, brackets and + - * only


@pytest.mark.parametrize(("definition", "expected"), [
    ('start: "a"~3', "aaa"),
    ('start: "a" ~ 2..4', "a{2,4}"),
    ('start: ["x"] "y"', "x?y"),
    ('start: ("a" | "b")+', "[ab]+"),
    ('start: "a".."f"', "[a-f]"),
    ('start: WORD " " INT\n%import common.WORD\n%import common.INT', "[A-Za-z]+ [0-9]+"),
    ("start: A\n%import common.NUMBER -> A", r"[0-9]+(\.[0-9]+)?"),
    ('start: A "-" B\n%import common (INT, LETTER)\nA: INT\nB: LETTER', "[0-9]+-[A-Za-z]"),
    ('start: "\\"quoted\\\\\\n\\""', r'"quoted\\\n"'),
    ("start: /\\/path\\/[a-z]{2}/", "/path/[a-z]{2}"),
    ('start: "SELECT"i " " name\n!name: /[a-z]+/', "SELECT [a-z]+"),
    ('start: a |\na: "x"', "x?"),
    ('start: start "a" | "b"', "ba*"),
])  # fmt: skip
def test_constructs(definition: str, expected: str) -> None:
    """Each construct of the language makes the texts it stands for."""
    for key in range(10):
        assert re.fullmatch(expected, grammar.text(definition, Draws(str(key))))


@pytest.mark.parametrize(("definition", "why"), [
    ("start: start", "ends"),
    ("start: missing", "not there"),
    ('other: "x"', "no rule named start"),
    ('start{x}: "a"', "template"),
    ('start: other{x}\nother: "a"', "template"),
    ("start: (", "out of place|not closed"),
    ('start: "a" )', "does not end"),
    ("%declare X\nstart: X", "not read"),
    ("%import common.NOPE\nstart: NOPE", "not known"),
    ("%import .other (X)\nstart: X", "not read"),
    ("start: /(?=a)b/", "not read"),
    ("start: /a/i", "flags"),
    ('start: "', "cannot be read"),
    ('start: "b".."a"', "order"),
    ('start: "a"~3..2', "order"),
    ('start: "a"~x', "not a count"),
    ("start: " + "(" * 60, "deep"),
    ('start: a a a a a a a a\na: b b b b b b b b\nb: c c c c c c c c\nc: d d d d d d d d\nd: e e e e e e e e\ne: "x"',
     "too long"),
    ("x" * 30_000, "longer"),
])  # fmt: skip
def test_refusals_say_why(definition: str, why: str) -> None:
    """A grammar that is not read here, or never ends, is refused in words."""
    with pytest.raises(Unsupported, match=why):
        grammar.text(definition, Draws("1"))
