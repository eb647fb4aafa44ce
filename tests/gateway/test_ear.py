"""What an answer says, heard whole and in pieces."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.spoken_answers import Said, said_in_reply
from tollhouse.gateway.ear import Ear
from tollhouse.types.safety import CLEAN, Verdict


class Notebook:
    """See `Bench`: every text that was judged."""

    def __init__(self) -> None:
        self.pages: list[list[str]] = []

    def listener(self) -> "Page":
        """For a text that comes in pieces."""
        self.pages.append([])
        return Page(self.pages[-1])

    def whole(self, text: str) -> Verdict:
        """A text that is here."""
        self.pages.append([text])
        return CLEAN

    @property
    def texts(self) -> list[str]:
        """What was judged, each channel's together."""
        return sorted("".join(page) for page in self.pages)


class Page:
    """See `Listener`."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces

    def feed(self, text: str) -> None:
        """More of it."""
        self.pieces.append(text)

    def peek(self) -> Verdict:
        """As if it ended here."""
        return CLEAN

    def finish(self) -> Verdict:
        """It has ended."""
        return CLEAN


TEXTS = st.text('ab \\"\n\u00e9\U0001d41a', min_size=1, max_size=20)
WRITTEN = st.builds(json.dumps, st.fixed_dictionaries({"q": TEXTS}), ensure_ascii=st.booleans())
ARGUMENTS = WRITTEN | st.text('\\u00dD83eEnt"{} ', min_size=1, max_size=30)
PATHS: list[list[str | int]] = [
    ["content"],
    ["refusal"],
    ["reasoning_content"],
    ["final"],
    ["audio", "transcript"],
    ["new", "inside", "deep"],
    ["reasoning_details", 0, "text"],
    ["reasoning_details", 1, "summary"],
    ["tool_calls", 0, "function", "name"],
    ["tool_calls", 0, "function", "arguments"],
    ["tool_calls", 1, "function", "arguments"],
    ["tool_calls", 2, "custom", "input"],
    ["function_call", "arguments"],
]


def built(path: list[str | int], text: str) -> Any:
    """A delta that says a text at a path; numbers are the index of an entry."""
    if not path:
        return text
    first, *rest = path
    return {first: built(rest, text)} if isinstance(first, str) else [{"index": first, **built(rest, text)}]


def merged(one: Any, other: Any) -> Any:
    """A message that says both."""
    if isinstance(one, list):
        same = [entry for entry in one if entry["index"] == other[0]["index"]]
        rest = [entry for entry in one if entry not in same]
        return [*rest, merged(same[0], other[0])] if same else [*one, *other]
    if not isinstance(one, dict):
        return other
    return {**one, **{name: merged(one[name], other[name]) if name in one else other[name] for name in other}}


@st.composite
def answers(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A message, and deltas that say the same: the pieces of each text in their order, texts in any."""
    message: dict[str, Any] = {"role": "assistant"}
    queues: list[list[dict[str, Any]]] = []
    for path in draw(st.lists(st.sampled_from(PATHS), unique_by=str, max_size=6)):
        text = draw(ARGUMENTS if path[-1] == "arguments" else TEXTS)
        text = f"D{text}" if path[0] == "reasoning_details" else text  # they do not just say again what was thought
        message = merged(message, built(path, text))
        cuts = sorted(draw(st.sets(st.integers(1, max(len(text) - 1, 1)), max_size=8)))
        edges = [0, *(cut for cut in cuts if cut < len(text)), len(text)]
        queues.append([built(path, text[at:to]) for at, to in pairwise(edges)])
    deltas = []
    while queues:
        queue = draw(st.sampled_from(queues))
        deltas.append(queue.pop(0))
        queues = [one for one in queues if one]
    return message, deltas


@given(answers(), st.sampled_from([1, 7, 1 << 30]))
def test_a_stream_says_what_the_whole_answer_says(answer: tuple[Any, Any], batch_chars: int) -> None:
    """In every channel, however it was cut: in the middle of a word, of an escape, of a pair of surrogates."""
    message, deltas = answer
    whole, pieces = Notebook(), Notebook()
    Ear(whole, batch_chars).hear_all(said_in_reply({"choices": [{"index": 0, "message": message}]}))
    ear = Ear(pieces, batch_chars)
    for delta in deltas:
        ear.hear_chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    ear.finish()
    assert pieces.texts == whole.texts


def heard(*said: Said) -> list[str]:
    """What is judged of these."""
    book = Notebook()
    Ear(book, 1 << 30).hear_all(said)
    return book.texts


def test_escapes_in_arguments_are_undone() -> None:
    """Also where a piece ends in the middle of one, and at the end of an answer."""
    assert heard(Said(0, "call0", '"\\u00'), Said(0, "call0", "7a\\"), Said(0, "call0", "nb\\u00")) == ['"z b\\u00']
    assert heard(Said(0, "text", "C:\\new")) == ["C:\\new"]


def test_names_are_judged_as_they_stand_in_a_call() -> None:
    """One word alone is easily taken for another."""
    assert heard(Said(0, "name0", "\nfi"), Said(0, "name0", "nd")) == ['{"name": "\nfind']


def test_channels_beyond_the_most_are_read_as_one() -> None:
    """Pieces of one that follow each other are one text, others are kept apart."""
    said = [Said(0, f"beside{number}", "x") for number in range(64)]
    more = [Said(0, "a", "ze"), Said(0, "a", "bra"), Said(0, "name1", "f"), Said(0, "name1", "g"), Said(0, "b", "y")]
    assert heard(*said, *more) == sorted(["x"] * 64 + ['\nzebra\n{"name": "fg\ny'])


@pytest.mark.parametrize(("channel", "tokens"), [("text", 1), ("again text", 0)])
def test_what_is_read_twice_is_counted_once(channel: str, tokens: int) -> None:
    """Its second reading is told to no other judge, and costs nothing."""
    ear = Ear(Notebook(), 1 << 30)
    ear.keeps_texts = True
    ear.hear([Said(0, channel, "hello")])
    assert (ear.tokens() > 0) == bool(tokens)
    assert ear.texts() == ({0: "hello"} if tokens else {})
