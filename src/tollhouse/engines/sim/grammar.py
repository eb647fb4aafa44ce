"""Makes a text of a Lark grammar, as custom tools bring one. Pure.

Read: rules and terminals, ``|``, groups, ``[optional]``, ``? * + ~n ~n..m``, literal strings with the ``i`` flag,
``"a".."z"``, regular expressions as `pattern` reads them, aliases, priorities, comments, ``%ignore`` (nothing is
ignored, for nothing needs to be) and ``%import common.X`` of the terminals in `COMMON`. Templates, ``%declare``,
``%extend``, ``%override`` and imports of other grammars are refused by name. A text starts at ``start``.
https://lark-parser.readthedocs.io/en/stable/grammar.html

Theory of operation. Each rule becomes a tree of `pattern`'s nodes plus `Name`. The least number of names that have to
be opened below each rule is found first (a fixed point); beyond `DEEP` the alternatives of least height are taken, so
every text ends, and a rule that cannot end is refused.
"""

import functools
import math
import re
from dataclasses import dataclass

from tollhouse.engines.sim import charsets, pattern
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.pattern import Chars, Choice, Node, Repeat, Sequence, Unsupported

LENGTH_MAX = 20_000
RULES_MAX = 500
PARTS_MAX = 20_000
DEEP = 8
COMMON = {
    "DIGIT": "[0-9]", "HEXDIGIT": "[0-9a-fA-F]", "INT": "[0-9]+", "SIGNED_INT": "[+-]?[0-9]+",
    "DECIMAL": r"[0-9]+\.[0-9]+", "FLOAT": r"[0-9]+\.[0-9]+", "SIGNED_FLOAT": r"[+-]?[0-9]+\.[0-9]+",
    "NUMBER": r"[0-9]+(\.[0-9]+)?", "SIGNED_NUMBER": r"[+-]?[0-9]+(\.[0-9]+)?",
    "ESCAPED_STRING": '"[A-Za-z0-9 ]*"', "LCASE_LETTER": "[a-z]", "UCASE_LETTER": "[A-Z]", "LETTER": "[A-Za-z]",
    "WORD": "[A-Za-z]+", "CNAME": "[A-Za-z_][A-Za-z0-9_]*", "WS_INLINE": " +", "WS": " +", "CR": r"\r", "LF": r"\n",
    "NEWLINE": r"\n", "SH_COMMENT": "#[a-z ]*", "CPP_COMMENT": "//[a-z ]*", "C_COMMENT": r"/\*[a-z ]*\*/",
}  # fmt: skip
TOKEN = re.compile(
    r"(?P<blank>[ \t\r\f]+|//[^\n]*|#[^\n]*)|(?P<line>\n)"
    r"|(?P<text>\"(?:[^\"\\\n]|\\.)*\"i?)|(?P<expression>/(?!/)(?:[^/\\\n]|\\.)+/[imslux]*)"
    r"|(?P<arrow>->)|(?P<dots>\.\.)|(?P<priority>\.-?[0-9]+)|(?P<directive>%[a-z]+)"
    r"|(?P<name>[!?]*_?[A-Za-z][A-Za-z0-9_]*)|(?P<number>[0-9]+)|(?P<sign>[:|()\[\]?*+~.,{}])"
)


@dataclass(frozen=True, slots=True)
class Name:
    """A reference to a rule or terminal."""

    name: str


@dataclass(frozen=True, slots=True)
class Parts:
    """All, one after the other."""

    items: tuple["Piece", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of them."""

    items: tuple["Piece", ...]


@dataclass(frozen=True, slots=True)
class Times:
    """``low`` to ``high`` times."""

    item: "Piece"
    low: int
    high: int


Piece = Name | Parts | Either | Times | Chars | Choice | Sequence | Repeat | pattern.Anchor
REPEATS = {"?": (0, 1), "*": (0, 3), "+": (1, 3)}
Token = tuple[str, str]


def text(definition: str, draws: Draws) -> str:
    """A text of the grammar. Raises `Unsupported`."""
    if len(definition) > LENGTH_MAX:
        raise Unsupported(f"it is longer than {LENGTH_MAX} characters")
    rules = Reader(tokens(definition)).rules()
    if "start" not in rules:
        raise Unsupported("it has no rule named start")
    return Writer(rules, draws).write("start")


def tokens(definition: str) -> list[Token]:
    """The tokens of a grammar; a line that goes on with ``|`` or inside brackets is one line."""
    found: list[Token] = []
    at = depth = 0
    while at < len(definition):
        match = TOKEN.match(definition, at)
        if match is None:
            raise Unsupported(f"it cannot be read near {definition[at : at + 20]!r}")
        kind, value = str(match.lastgroup), match.group()
        at = match.end()
        depth += (value in "([") - (value in ")]") if kind == "sign" else 0
        if kind == "blank" or (kind == "line" and depth > 0):
            continue
        if kind == "sign" and value == "|":
            while found and found[-1][0] == "line":
                found.pop()
        found.append((kind, value))
    return [*found, ("line", "\n")]


class Reader:
    """Recursive descent over the tokens."""

    __slots__ = ("_at", "_depth", "_tokens")

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    def rules(self) -> dict[str, Piece]:
        """All rules and terminals by name."""
        found: dict[str, Piece] = {}
        while self._at < len(self._tokens):
            kind, value = self._next()
            if kind == "directive":
                self._directive(value, found)
            elif kind == "name":
                name = value.lstrip("!?")
                self._skip("priority")
                if not self._takes("sign", ":"):
                    raise Unsupported(f"the rule {name!r} has no colon, or is a template")
                found[name] = self._either()
                self._line_end(name)
            elif kind != "line":
                raise Unsupported(f"{value!r} is out of place")
            if len(found) > RULES_MAX:
                raise Unsupported(f"it has more than {RULES_MAX} rules")
        return found

    def _directive(self, value: str, found: dict[str, Piece]) -> None:
        words = []
        while self._tokens[self._at][0] != "line":
            words.append(self._next()[1])
        if value == "%ignore":
            return
        if value != "%import" or words[:1] != ["common"] or words[1:2] not in (["."], ["("]):
            raise Unsupported(f"{value} is not read here, but for imports from common")
        wanted = [word for word in words[1:] if word not in ".(),"]
        alias = wanted.pop() if "->" in wanted else None
        for name in wanted:
            if name == "->":
                continue
            if name not in COMMON:
                raise Unsupported(f"common.{name} is not known here")
            found[alias or name] = pattern.read(COMMON[name]).body

    def _either(self) -> Piece:
        self._depth += 1
        if self._depth > pattern.DEPTH_MAX:
            raise Unsupported("its groups are nested too deep")
        options = [self._parts()]
        while self._takes("sign", "|"):
            options.append(self._parts())
        self._depth -= 1
        return options[0] if len(options) == 1 else Either(tuple(options))

    def _parts(self) -> Piece:
        items: list[Piece] = []
        while self._peek() not in (("sign", "|"), ("sign", ")"), ("sign", "]")) and self._peek()[0] != "line":
            if self._skip("arrow"):
                self._next()
                break
            items.append(self._repeated(self._atom()))
        return items[0] if len(items) == 1 else Parts(tuple(items))

    def _repeated(self, item: Piece) -> Piece:
        kind, value = self._peek()
        if kind == "sign" and value in REPEATS:
            self._at += 1
            return Times(item, *REPEATS[value])
        if not self._takes("sign", "~"):
            return item
        low = self._number()
        high = self._number() if self._skip("dots") else low
        if not low <= high <= 1000:
            raise Unsupported("a repetition with ~ is out of order or over 1000")
        return Times(item, low, high)

    def _atom(self) -> Piece:
        kind, value = self._next()
        if kind == "text":
            return self._literal(value)
        if kind == "expression":
            return expression(value)
        if kind == "name":
            if self._peek() == ("sign", "{"):
                raise Unsupported(f"the template {value!r} is not read here")
            return Name(value.lstrip("!?"))
        if (kind, value) in (("sign", "("), ("sign", "[")):
            inside = self._either()
            if not self._takes("sign", ")" if value == "(" else "]"):
                raise Unsupported("it opens a group that is not closed")
            return inside if value == "(" else Times(inside, 0, 1)
        raise Unsupported(f"{value!r} is out of place")

    def _literal(self, value: str) -> Piece:
        first = unquoted(value)
        if not self._skip("dots"):
            return Sequence(tuple(pattern.one(ord(char)) for char in first))
        kind, second = self._next()
        last = unquoted(second) if kind == "text" else ""
        if len(first) != 1 or len(last) != 1 or first > last:
            raise Unsupported("a range of characters is out of order")
        return Chars(((ord(first), ord(last)),))

    def _number(self) -> int:
        kind, value = self._next()
        if kind != "number" or len(value) > 4:
            raise Unsupported(f"{value!r} is not a count")
        return int(value)

    def _line_end(self, name: str) -> None:
        if self._next()[0] != "line":
            raise Unsupported(f"the rule {name!r} does not end where its line does")

    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("line", "\n")

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _takes(self, kind: str, value: str) -> bool:
        found = self._peek() == (kind, value)
        self._at += found
        return found

    def _skip(self, kind: str) -> bool:
        found = self._peek()[0] == kind
        self._at += found
        return found


class Writer:
    """Writes a text of read rules."""

    __slots__ = ("_draws", "_heights", "_left", "_rules")

    def __init__(self, rules: dict[str, Piece], draws: Draws) -> None:
        self._rules = rules
        self._draws = draws
        self._left = PARTS_MAX
        self._heights = dict.fromkeys(rules, math.inf)
        for _ in rules:
            before = dict(self._heights)
            for name, piece in rules.items():
                self._heights[name] = 1 + self._height(piece)
            if before == self._heights:
                break

    def write(self, start: str) -> str:
        """A text of one rule. Raises `Unsupported` when it cannot end."""
        if math.isinf(self._heights[start]):
            raise Unsupported(f"no text of the rule {start!r} ever ends, or it names a rule that is not there")
        return self._write(Name(start), 0)

    def _height(self, piece: Piece) -> float:
        match piece:
            case Name(name):
                return self._heights.get(name, math.inf)
            case Parts(items):
                return max((self._height(item) for item in items), default=0)
            case Either(items):
                return min(self._height(item) for item in items)
            case Times(item, low, _):
                return self._height(item) if low else 0
        return 0

    def _write(self, piece: Piece, depth: int) -> str:
        self._spend()
        match piece:
            case Name(name):
                return self._write(self._rules[name], depth + 1)
            case Parts(items):
                return "".join(self._write(item, depth) for item in items)
            case Either(items):
                return self._write(self._option(items, depth), depth)
            case Times(item, low, high):
                most = low if depth >= DEEP or math.isinf(self._height(item)) else min(high, low + 3)
                return "".join(self._write(item, depth) for _ in range(self._draws.between(low, most)))
        return self._leaf(piece)

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Unsupported("its texts are too long")

    def _option(self, items: tuple[Piece, ...], depth: int) -> Piece:
        if depth >= DEEP:
            return min(items, key=self._height)
        return self._draws.pick([item for item in items if not math.isinf(self._height(item))])

    def _leaf(self, node: Node) -> str:
        self._spend()
        match node:
            case Chars(ranges):
                return charsets.sample(ranges, self._draws)
            case Sequence(parts):
                return "".join(self._leaf(part) for part in parts)
            case Choice(options):
                return self._leaf(self._draws.pick(options))
            case Repeat(inner, low, high):
                most = low + 3 if high is None else min(high, low + 3)
                return "".join(self._leaf(inner) for _ in range(self._draws.between(low, most)))
        return ""


@functools.lru_cache(maxsize=256)
def expression(value: str) -> Node:
    """The tree of ``/.../``. Look-ahead and flags other than none are refused, for nothing checks them here."""
    body, _, flags = value[1:].rpartition("/")
    read = pattern.read(body.replace("\\/", "/"))
    if read.also or read.never or flags.strip("u"):
        raise Unsupported(f"look-ahead and flags are not read in {value[:60]!r}")
    return read.body


def unquoted(value: str) -> str:
    """The characters of a literal, with its escapes read."""
    inside = value.removesuffix("i")[1:-1]
    escapes = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), inside)
