"""Reads the regular expressions of JSON Schema (ECMA-262) and of custom tools into a small tree. Pure.

No expression of a client is ever given to `re`: its backtracking can take exponential time in the event loop. What is
read here is bounded in length, depth and repetition; `automaton` matches and generates from it in bounded time.
Look-behind, back-references, word borders and inline flags are refused by name (`Unsupported`). Look-ahead is read
where people use it, right after a leading ``^``, as further patterns that must (or must not) match as well.
"""

from dataclasses import dataclass

from tollhouse.engines.sim import charsets
from tollhouse.engines.sim.charsets import Ranges

LENGTH_MAX = 4096
DEPTH_MAX = 40
REPEAT_MAX = 10_000
ESCAPED_SETS: dict[str, Ranges] = {
    "d": charsets.DIGITS,
    "D": charsets.without(charsets.DIGITS),
    "w": charsets.WORDS,
    "W": charsets.without(charsets.WORDS),
    "s": charsets.SPACES,
    "S": charsets.without(charsets.SPACES),
}
ESCAPED_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0, "a": 7, "e": 27}
ANCHORS = {"A": "start", "z": "end", "Z": "end"}


class Unsupported(Exception):
    """The pattern is not one that is read here; the text says which part, and why."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """All parts, one after the other; empty for the empty string."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options."""

    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``low`` to ``high`` times; ``None`` is without end."""

    node: "Node"
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """Holds at one place only: ``start`` or ``end`` of the text."""

    place: str


Node = Chars | Sequence | Choice | Repeat | Anchor
START = Anchor("start")
END = Anchor("end")
SIGNS: dict[str, Node] = {".": Chars(charsets.NOT_LINE_END), "^": START, "$": END}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text fits when ``body`` is found in it, each of ``also`` too, and none of ``never``."""

    body: Node
    also: tuple[Node, ...] = ()
    never: tuple[Node, ...] = ()


def read(text: str) -> Pattern:
    """Raises `Unsupported`."""
    if len(text) > LENGTH_MAX:
        raise Unsupported(f"it is longer than {LENGTH_MAX} characters")
    return Reader(text).pattern()


class Reader:
    """Recursive descent over one expression; ``at`` is the next character."""

    __slots__ = ("at", "depth", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def pattern(self) -> Pattern:
        """The whole expression."""
        also: list[Node] = []
        never: list[Node] = []
        anchored = self.take("^")
        while anchored and self.text[self.at : self.at + 3] in ("(?=", "(?!"):
            found = also if self.text[self.at + 2] == "=" else never
            self.at += 3
            found.append(Sequence((START, self.group_rest())))
        body = self.choice()
        if self.at < len(self.text):
            raise Unsupported("it closes a group that is not open")
        if not anchored:
            return Pattern(body)
        if (also or never) and isinstance(body, Choice):
            raise Unsupported("look-ahead is read only before an expression without alternatives outside a group")
        first, *others = body.options if isinstance(body, Choice) else (body,)
        anchored_first = Sequence((START, first))
        return Pattern(Choice((anchored_first, *others)) if others else anchored_first, tuple(also), tuple(never))

    def choice(self) -> Node:
        """Alternatives, up to a closing bracket or the end."""
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Unsupported(f"its groups are nested deeper than {DEPTH_MAX}")
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        self.depth -= 1
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Node:
        """Pieces, up to ``|``, a closing bracket or the end."""
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.repeated(self.piece()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def piece(self) -> Node:
        """One character, set, group or anchor."""
        char = self.text[self.at]
        self.at += 1
        if char == "(":
            return self.group()
        if char == "[":
            return Chars(self.bracket())
        if char == "\\":
            return self.escaped()
        if char in ("*", "+", "?"):
            raise Unsupported(f"{char!r} has nothing to repeat")
        return SIGNS.get(char) or one(ord(char))

    def group(self) -> Node:
        """What follows ``(``."""
        if not self.take("?"):
            return self.group_rest()
        if self.take(":"):
            return self.group_rest()
        if self.take("P"):
            pass
        if self.text[self.at : self.at + 1] == "<" and self.text[self.at + 1 : self.at + 2] not in ("=", "!", ""):
            end = self.text.find(">", self.at)
            if end > 0:
                self.at = end + 1
                return self.group_rest()
        raise Unsupported(f"the group (?{self.text[self.at : self.at + 2]}...) is not read here")

    def group_rest(self) -> Node:
        """The inside of a group and its closing bracket."""
        inside = self.choice()
        if not self.take(")"):
            raise Unsupported("it opens a group that is not closed")
        return inside

    def repeated(self, node: Node) -> Node:
        """The quantifiers behind a piece. Laziness changes what is captured, never what matches."""
        bounds = self.bounds()
        if bounds is None:
            return node
        if isinstance(node, Anchor):
            raise Unsupported("it repeats an anchor")
        self.take("?")
        if self.text[self.at : self.at + 1] in ("*", "+", "?") and self.at < len(self.text):
            raise Unsupported("possessive and doubled quantifiers are not read here")
        return Repeat(node, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        """How often, or None where no quantifier stands. A brace that is no quantifier is a character."""
        for char, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(char):
                return bounds
        end = self.text.find("}", self.at)
        if self.text[self.at : self.at + 1] != "{" or end < 0:
            return None
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        if not is_number(low) or (high and not is_number(high)):
            return None
        self.at = end + 1
        least = int(low)
        most = int(high) if high else None if comma else least
        if max(least, most or 0) > REPEAT_MAX:
            raise Unsupported(f"it repeats more than {REPEAT_MAX} times")
        if most is not None and most < least:
            raise Unsupported("its repetition ends before it begins")
        return least, most

    def escaped(self) -> Node:
        """What follows a backslash, outside a set."""
        char = self.text[self.at : self.at + 1]
        if char in ANCHORS:
            self.at += 1
            return Anchor(ANCHORS[char])
        if char in ("b", "B", "k") or ("1" <= char <= "9"):
            raise Unsupported(f"\\{char} (a word border or back-reference) is not read here")
        return Chars(self.escape())

    def escape(self) -> Ranges:
        """The set that an escape stands for, inside or outside brackets."""
        if self.at >= len(self.text):
            raise Unsupported("it ends in a backslash")
        char = self.text[self.at]
        self.at += 1
        if char in ESCAPED_SETS:
            return ESCAPED_SETS[char]
        if char in ESCAPED_CONTROLS:
            return single(ESCAPED_CONTROLS[char])
        if char in ("p", "P"):
            return self.category(negated=char == "P")
        if char in ("x", "u"):
            return single(self.code(char))
        if char.isalnum():
            raise Unsupported(f"\\{char} is not read here")
        return single(ord(char))

    def code(self, kind: str) -> int:
        r"""The code point of ``\xHH``, ``\uHHHH`` or ``\u{H...}``."""
        if kind == "u" and self.take("{"):
            digits, self.at = self.text[self.at :].partition("}")[0], self.text.find("}", self.at) + 1
        else:
            width = 2 if kind == "x" else 4
            digits = self.text[self.at : self.at + width]
            self.at += width if len(digits) == width else 0
        if not 1 <= len(digits) <= 6 or not set(digits) <= set("0123456789abcdefABCDEF") or self.at == 0:
            raise Unsupported(f"\\{kind} is not followed by a code point")
        value = int(digits, 16)
        if value > charsets.TOP or 0xD800 <= value <= 0xDFFF:
            raise Unsupported(f"U+{value:X} is not a character")
        return value

    def category(self, *, negated: bool) -> Ranges:
        r"""``\p{L}`` and its kind: general categories only."""
        end = self.text.find("}", self.at)
        name = self.text[self.at + 1 : end] if self.text[self.at : self.at + 1] == "{" and end > 0 else ""
        ranges = charsets.category(name) if 1 <= len(name) <= 2 else ()
        if not ranges:
            raise Unsupported(f"the Unicode property {name!r} is not read here")
        self.at = end + 1
        return charsets.without(ranges) if negated else ranges

    def bracket(self) -> Ranges:
        """What follows ``[``, up to and with its ``]``."""
        negated = self.take("^")
        found: list[Ranges] = []
        while not self.take("]"):
            low = self.member()
            if self.text[self.at : self.at + 1] == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                found.append(spanned(low, self.member()))
            else:
                found.append(low)
        if not found and not negated:
            raise Unsupported("an empty set matches nothing")
        ranges = charsets.union(*found)
        return charsets.without(ranges) if negated else ranges

    def member(self) -> Ranges:
        """One character or escape inside a set."""
        if self.at >= len(self.text):
            raise Unsupported("it opens a set that is not closed")
        char = self.text[self.at]
        self.at += 1
        if char != "\\":
            return single(ord(char))
        if self.take("b"):
            return single(8)
        return self.escape()

    def take(self, char: str) -> bool:
        """Steps over ``char`` if it is next."""
        if self.text[self.at : self.at + 1] != char:
            return False
        self.at += 1
        return True


def single(code: int) -> Ranges:
    """The set of one character."""
    return ((code, code),)


def one(code: int) -> Chars:
    """The node of one character."""
    return Chars(single(code))


def spanned(low: Ranges, high: Ranges) -> Ranges:
    """The set of ``low-high`` in brackets."""
    if charsets.size(low) != 1 or charsets.size(high) != 1 or low[0][0] > high[0][0]:
        raise Unsupported("a range in brackets is out of order")
    return ((low[0][0], high[0][0]),)


def is_number(text: str) -> bool:
    """Plain ASCII digits, few enough to be a count."""
    return 0 < len(text) <= 6 and text.isascii() and text.isdigit()
