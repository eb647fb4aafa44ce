"""What an answer says, heard as it comes: each choice and channel judged by itself, nothing read twice.

`gateway.watch` makes one `Ear` for each answer. Texts are gathered until there are enough of them for the judge to be
worth calling: a few array operations cost the same for eighty characters as for eight.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from tollhouse.dialects.filtered import PROMPT, RESULTS, worse
from tollhouse.dialects.reported import PROMPT_SIDE, Reported
from tollhouse.dialects.spoken_answers import AGAIN, CALL, NAME, TEXT, Said, said_by_tokens, said_in_chunk, text_alone
from tollhouse.dialects.spoken_words import Unescaper
from tollhouse.dialects.tokens import Tally
from tollhouse.types.safety import CLEAN, Verdict, joined

Chunk = dict[str, Any]
_MOST_CHANNELS: Final = 64
"""Channels beyond these are read as one."""
_OTHERS: Final = "others"
_OF_CALLS: Final = (CALL, NAME)
_NAMED: Final = '{"name": "'
"""A name is judged as it stands in a call: a word without any context is easily taken for another."""


class Listener(Protocol):
    """Judges one text that comes in pieces."""

    def feed(self, text: str) -> None:
        """More of it."""

    def peek(self) -> Verdict:
        """As if it ended here."""

    def finish(self) -> Verdict:
        """It has ended. However it was cut into pieces, the verdict is the same."""


class Bench(Protocol):
    """Judges the texts of one answer."""

    def listener(self) -> Listener:
        """For a text that comes in pieces."""

    def whole(self, text: str) -> Verdict:
        """The verdict on a text that is here: that of a `listener`, sooner."""


class Ear:
    """One answer."""

    __slots__ = (
        *("_batch_chars", "_bench", "_chars", "_fed", "_final", "_found", "_heard", "_listeners", "_tally", "_texts"),
        *("_escapes", "_last_other", "choices", "hears_tokens", "keeps_texts", "upstream"),
    )

    def __init__(self, bench: Bench, batch_chars: int) -> None:
        self._bench = bench
        self._batch_chars = batch_chars
        self._listeners: dict[tuple[int, str], Listener] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        """What was heard and not yet judged."""
        self._escapes: dict[tuple[int, str], Unescaper] = {}
        """Of the channels that say JSON."""
        self._last_other: tuple[int, str] | None = None
        self._chars = 0
        self._tally = Tally()
        self.upstream: dict[int, dict[str, Any]] = {}
        """What the upstream itself says of each choice, in the inner form, and of the prompt as `PROMPT_SIDE`: the
        worst of all that it said.
        """
        self.keeps_texts = False
        """Whether somebody will ask for `texts`."""
        self.hears_tokens = False
        """Whether log probabilities are words: where the answer may be withheld, for they may run ahead of its text."""
        self._heard: dict[int, list[str]] = {}
        self._fed: set[tuple[int, str]] = set()
        """Where something was fed since the last verdict."""
        self._found: dict[tuple[int, str], Verdict] = {}
        self._final: dict[int, Verdict] | None = None
        self.choices = {0}
        """Those that were begun, whether or not they said anything. There is always a first."""

    def hear_chunk(self, chunk: Chunk) -> None:
        """A chunk of the inner form. What the upstream says of its safety is taken out: it is told in the end."""
        choices: list[dict[str, Any]] = chunk["choices"]
        if self.hears_tokens:
            self.hear(said_by_tokens(chunk))
        if len(choices) == 1 and PROMPT not in chunk and (text := text_alone(choices[0])) is not None:
            index: int = choices[0]["index"]
            self.choices.add(index)
            self._add((index, TEXT), text)
            return
        self.take_reports(chunk)
        self.hear(said_in_chunk(chunk))

    def take_reports(self, answer: Chunk) -> None:
        """Takes what the upstream says out of a chunk or a whole answer of the inner form."""
        for entry in answer.pop(PROMPT, ()):
            self.report((Reported(PROMPT_SIDE, entry[RESULTS]),))
        for choice in answer["choices"]:
            self.choices.add(choice["index"])
            if RESULTS in choice:
                self.report((Reported(choice["index"], choice.pop(RESULTS)),))

    def report(self, reports: Iterable[Reported]) -> None:
        """Notes what the upstream says."""
        for one in reports:
            known = self.upstream.get(one.choice)
            self.upstream[one.choice] = dict(one.results) if known is None else worse(known, one.results)

    def hear(self, pieces: Iterable[Said]) -> None:
        """Some words."""
        for said in pieces:
            self.choices.add(said.choice)
            place = (said.choice, said.channel)
            self._add(place, self._read(place, said.text) if said.channel.startswith(_OF_CALLS) else said.text)

    def _read(self, place: tuple[int, str], text: str) -> str:
        """A piece of JSON, or of a name, as it is judged."""
        if place[1].startswith(CALL):
            if place not in self._escapes:
                self._escapes[place] = Unescaper()
            return self._escapes[place].feed(text)
        return text if place in self._texts or place == self._last_other else f"{_NAMED}{text}"

    def hear_all(self, pieces: Iterable[Said]) -> None:
        """All the words of an answer, judged at once."""
        self.hear(pieces)
        self.finish()

    def _add(self, place: tuple[int, str], text: str) -> None:
        pieces = self._texts.get(place)
        if pieces is not None:
            pieces.append(text)
        elif len(self._texts) < _MOST_CHANNELS:
            self._texts[place] = [text]
        else:
            gap = "" if place == self._last_other else "\n"
            self._last_other = place
            self._texts.setdefault((place[0], _OTHERS), []).append(f"{gap}{text}")
        self._chars += len(text)
        if self._chars >= self._batch_chars:
            self.judge()

    @property
    def waiting_chars(self) -> int:
        """How much was heard since the last judgement."""
        return self._chars

    def judge(self) -> None:
        """Reads what was heard since."""
        for place, pieces in self._texts.items():
            if not pieces:
                continue
            text = self._take(place, pieces)
            if place not in self._listeners:
                self._listeners[place] = self._bench.listener()
            self._listeners[place].feed(text)
            self._fed.add(place)
        self._chars = 0

    def _take(self, place: tuple[int, str], pieces: list[str]) -> str:
        """What was heard since in one place."""
        text = "".join(pieces)
        pieces.clear()
        if place[1].startswith(AGAIN):
            return text
        self._tally.add(text)
        if self.keeps_texts:
            self._heard.setdefault(place[0], []).append(text)
        return text

    def so_far(self) -> dict[int, Verdict]:
        """The verdict on each choice, as if the answer ended here; where it has ended, what `finish` said."""
        if self._final is not None:
            return self._final
        self.judge()
        return self._verdicts(lambda listener: listener.peek())

    def finish(self) -> dict[int, Verdict]:
        """The same at its end, of every choice that was begun."""
        if self._final is None:
            for place, undone in self._escapes.items():
                self._add(place, undone.rest)
            for place, pieces in self._texts.items():
                if pieces and place not in self._listeners:
                    self._found[place] = self._bench.whole(self._take(place, pieces))
            self.judge()
            self._fed.update(self._listeners)
            found = self._verdicts(lambda listener: listener.finish())
            self._final = {choice: found.get(choice, CLEAN) for choice in sorted(self.choices)}
        return self._final

    def _verdicts(self, of: Callable[[Listener], Verdict]) -> dict[int, Verdict]:
        for place in self._fed:
            self._found[place] = of(self._listeners[place])
        self._fed.clear()
        found: dict[int, Verdict] = {}
        for (choice, _), verdict in self._found.items():
            found[choice] = joined(found[choice], verdict) if choice in found else verdict
        return found

    def texts(self) -> dict[int, str]:
        """What each choice said, in the order in which it was judged."""
        self.judge()
        return {choice: "".join(pieces) for choice, pieces in self._heard.items()}

    def tokens(self) -> int:
        """About how many tokens were heard, whether or not the client was given them."""
        self.judge()
        return self._tally.tokens()
