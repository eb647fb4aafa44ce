"""Matches a text against read patterns, and finds texts that fit them, in time bounded by construction. Pure.

Theory of operation. A pattern becomes a nondeterministic automaton (Thompson's construction) whose set of live states
is advanced one character at a time: time is states x characters, whatever the pattern. To find a text, `search` walks
the product of all patterns at once, breadth first, over one sample character of each class that the patterns tell
apart; so several patterns, look-aheads and length limits are met together, or it is known that they cannot be.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from tollhouse.engines.sim import charsets
from tollhouse.engines.sim.charsets import Ranges
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.pattern import Anchor, Chars, Choice, Node, Pattern, Repeat, Sequence, Unsupported

STATES_MAX = 8_000
WORK_MAX = 600_000
VISITS_MAX = 12_000
CLASSES_MAX = 40
AT_START = ("start",)
AT_END = ("end",)

States = frozenset[int]


class Work:
    """How much is left to be done on the patterns of one request, in states looked at."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = WORK_MAX

    def spend(self, states: int) -> None:
        """Raises `Unsupported` when too much was done."""
        self._left -= states
        if self._left < 0:
            raise Unsupported("it takes too long to match")


class Machine:
    """The automaton of one node, found anywhere in the text."""

    __slots__ = ("_accept", "_chars", "_free", "_guarded", "_work", "first")

    def __init__(self, node: Node, work: Work) -> None:
        self._chars: list[tuple[Ranges, int] | None] = []
        self._free: list[list[int]] = []
        self._guarded: list[list[tuple[str, int]]] = []
        self._work = work
        lead, begin, self._accept = self._state(), self._state(), self._state()
        self._chars[lead] = (charsets.ANY, lead)
        self._free[lead].append(begin)
        self._free[self._build(node, begin)].append(self._accept)
        self._chars[self._accept] = (charsets.ANY, self._accept)
        self.first = self._close((lead,), AT_START)

    def step(self, states: States, code: int) -> States:
        """The live states after one more character."""
        ends = []
        for state in states:
            edge = self._chars[state]
            if edge is not None and charsets.contains(edge[0], code):
                ends.append(edge[1])
        return self._close(ends, ())

    def accepts(self, states: States) -> bool:
        """Whether the text may end here."""
        return self._accept in states or self._accept in self._close(states, AT_END)

    def settled(self, states: States) -> bool:
        """Whether the node has been found, whatever follows."""
        return self._accept in states

    def matches(self, text: str) -> bool:
        """Whether the node is found in the text."""
        states = self.first
        for char in text:
            states = self.step(states, ord(char))
        if not text:
            return self._accept in self._close(states, AT_START + AT_END)
        return self.accepts(states)

    def classes(self) -> Iterable[Ranges]:
        """The sets of characters on its edges."""
        return (edge[0] for edge in self._chars if edge is not None)

    def _state(self) -> int:
        if len(self._chars) >= STATES_MAX:
            raise Unsupported("it is too large")
        self._chars.append(None)
        self._free.append([])
        self._guarded.append([])
        return len(self._chars) - 1

    def _build(self, node: Node, begin: int) -> int:
        """Adds the node behind ``begin``; returns the state in which it has been matched."""
        self._work.spend(4)
        match node:
            case Chars(ranges):
                end = self._state()
                start = self._state()
                self._free[begin].append(start)
                self._chars[start] = (ranges, end)
                return end
            case Anchor(place):
                end = self._state()
                self._guarded[begin].append((place, end))
                return end
            case Sequence(parts):
                for part in parts:
                    begin = self._build(part, begin)
                return begin
            case Choice(options):
                end = self._state()
                for option in options:
                    start = self._state()
                    self._free[begin].append(start)
                    self._free[self._build(option, start)].append(end)
                return end
            case Repeat():
                return self._build_repeat(node, begin)

    def _build_repeat(self, node: Repeat, begin: int) -> int:
        for _ in range(node.low):
            begin = self._build(node.node, begin)
        end = self._state()
        self._free[begin].append(end)
        if node.high is None:
            loop = self._state()
            self._free[begin].append(loop)
            last = self._build(node.node, loop)
            self._free[last] += [loop, end]
            return end
        for _ in range(node.high - node.low):
            begin = self._build(node.node, begin)
            self._free[begin].append(end)
        return end

    def _close(self, states: Iterable[int], places: tuple[str, ...]) -> States:
        """Everything that is reached without a character, through anchors of ``places`` too."""
        seen = set(states)
        waiting = list(seen)
        while waiting:
            state = waiting.pop()
            follow = self._free[state] + [end for where, end in self._guarded[state] if where in places]
            fresh = [end for end in follow if end not in seen]
            seen.update(fresh)
            waiting += fresh
        self._work.spend(len(seen))
        return frozenset(seen)


@dataclass(frozen=True, slots=True)
class Fit:
    """What a text has to fit: patterns found and not found in it, and its length in characters."""

    found: tuple[Machine, ...] = ()
    absent: tuple[Machine, ...] = ()
    low: int = 0
    high: int | None = None

    def holds(self, text: str) -> bool:
        """Whether the text fits."""
        long_enough = self.low <= len(text) and (self.high is None or len(text) <= self.high)
        return (
            long_enough
            and all(machine.matches(text) for machine in self.found)
            and not any(machine.matches(text) for machine in self.absent)
        )


def machines(pattern: Pattern, work: Work) -> tuple[tuple[Machine, ...], tuple[Machine, ...]]:
    """The automata that must match, and those that must not. Raises `Unsupported` for what is too large."""
    found = tuple(Machine(node, work) for node in (pattern.body, *pattern.also))
    return found, tuple(Machine(node, work) for node in pattern.never)


@dataclass(slots=True)
class Trail:
    """How a point of the product was reached."""

    states: tuple[States, ...]
    length: int
    char: str = ""
    back: "Trail | None" = field(default=None, repr=False)

    def text(self) -> str:
        """The characters from the start to here."""
        chars: list[str] = []
        here: Trail | None = self
        while here is not None:
            chars.append(here.char)
            here = here.back
        return "".join(reversed(chars))


def search(fit: Fit, draws: Draws) -> str | None:
    """A shortest text that fits, or None when there is none within the bounds of the walk."""
    every = (*fit.found, *fit.absent)
    alphabet = samples(every, draws)
    layer = [Trail(tuple(machine.first for machine in every), 0)]
    seen: set[tuple[tuple[States, ...], int]] = set()
    visits = 0
    while layer and visits < VISITS_MAX:
        following: list[Trail] = []
        for trail in layer:
            if ends(fit, trail) and fit.holds(text := trail.text()):
                return text
            visits += 1
            following += steps(every, trail, alphabet, seen, fit)
        layer = following
    return None


def ends(fit: Fit, trail: Trail) -> bool:
    """Whether the text of the trail looks finished; `Fit.holds` has the last word (the empty text is special)."""
    if trail.length < fit.low:
        return False
    paired = list(zip((*fit.found, *fit.absent), trail.states, strict=True))
    wanted = len(fit.found)
    if trail.length == 0:
        return True
    return all(machine.accepts(states) for machine, states in paired[:wanted]) and not any(
        machine.accepts(states) for machine, states in paired[wanted:]
    )


def steps(
    every: tuple[Machine, ...],
    trail: Trail,
    alphabet: str,
    seen: set[tuple[tuple[States, ...], int]],
    fit: Fit,
) -> list[Trail]:
    """The trails one character longer that reach a point not seen before."""
    if fit.high is not None and trail.length >= fit.high:
        return []
    longer: list[Trail] = []
    for char in alphabet:
        states = tuple(machine.step(live, ord(char)) for machine, live in zip(every, trail.states, strict=True))
        point = (states, min(trail.length + 1, fit.low))
        lost = any(machine.settled(live) for machine, live in zip(fit.absent, states[len(fit.found) :], strict=True))
        if point not in seen and not lost:
            seen.add(point)
            longer.append(Trail(states, trail.length + 1, char, trail))
    return longer


def samples(every: tuple[Machine, ...], draws: Draws) -> str:
    """One character of each class that some pattern tells apart, readable ones first."""
    borders = {0, charsets.TOP + 1}
    for ranges in {ranges for machine in every for ranges in machine.classes()}:
        for low, high in ranges:
            borders |= {low, high + 1}
    edges = sorted(borders)
    pieces = [charsets.overlap(((low, after - 1),), charsets.ANY) for low, after in itertools.pairwise(edges)]
    found = {charsets.sample(piece, draws) for piece in pieces if piece}
    return "".join(sorted(found, key=lambda char: (not char.isalnum(), not char.isascii(), char))[:CLASSES_MAX])
