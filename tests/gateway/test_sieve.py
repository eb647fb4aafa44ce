"""A streamed answer that may be cut: what passes, what waits, what is never given."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.gateway.ear import Chunk, Ear
from tollhouse.gateway.sieve import EVERYTHING, LOOK_CHARS, Sieve
from tollhouse.types.safety import CLEAN, HIGH, Finding, Verdict

BAD = "venom"


class Spotter:
    """See `Listener`: finds one word, however it is cut."""

    def __init__(self) -> None:
        self.text = ""

    def feed(self, text: str) -> None:
        """More of it."""
        self.text += text

    def peek(self) -> Verdict:
        """As if it ended here."""
        return Verdict((Finding("hate", HIGH),)) if BAD in self.text else CLEAN

    def finish(self) -> Verdict:
        """It has ended."""
        return self.peek()


class Spotters:
    """See `Bench`."""

    def listener(self) -> Spotter:
        """A new one."""
        return Spotter()

    def whole(self, text: str) -> Verdict:
        """What a new one says of a text."""
        one = Spotter()
        one.feed(text)
        return one.finish()


def sieve(hold_chars: int = 8, choices: int = 1) -> Sieve:
    """A sieve that cuts what is not clean."""
    return Sieve(Ear(Spotters(), EVERYTHING), lambda _, verdict: verdict is CLEAN, hold_chars, choices)


def said(text: str, index: int = 0, reason: str | None = None) -> Chunk:
    """A chunk of text."""
    return {"choices": [{"index": index, "delta": {"content": text} if text else {}, "finish_reason": reason}]}


def text_of(chunks: list[Chunk], index: int = 0) -> str:
    """What is said of one choice."""
    held = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content", "") for choice in held)


def reasons(chunks: list[Chunk]) -> dict[int, Any]:
    """How each choice ended."""
    held = [choice for chunk in chunks for choice in chunk["choices"]]
    return {choice["index"]: choice["finish_reason"] for choice in held if choice["finish_reason"]}


def test_text_waits_until_enough_has_come() -> None:
    """What was judged goes on when as much has come after it and was judged too, in its order."""
    one = sieve()
    assert one.take([said("abc")]) == []
    assert one.take([said("def"), said("ghi")]) == []
    assert one.take([said("jkl")]) == []
    given = one.take([said("mnopqr")])
    assert [text_of([chunk]) for chunk in given] == ["abc", "def", "ghi"]
    assert text_of(one.finish()) == "jklmnopqr"


def test_a_choice_that_ends_is_judged_at_once() -> None:
    """A short answer does not wait for more that will not come."""
    given = sieve().take([said("abc"), said("", reason="stop")])
    assert text_of(given) == "abc"
    assert reasons(given) == {0: "stop"}


def test_what_is_filtered_is_never_given() -> None:
    """Of a window with a hit no character leaves, nor of what comes after; the choice ends as filtered."""
    one = sieve()
    given = one.take([said("harmless words. ")]) + one.take([said("and more ")])
    given += (
        one.take([said("then ve")]) + one.take([said("nom and")]) + one.take([said(" so on and on")]) + one.finish()
    )
    assert text_of(given) == "harmless words. "
    assert reasons(given) == {0: "content_filter"}
    assert one.cut
    assert one.filtered == {0}


def test_other_choices_go_on() -> None:
    """One choice that is cut leaves the others as they are, and the answer goes on for them."""
    one = sieve(choices=2)
    given = one.take([said("venom!!!", 0)])
    assert not one.cut
    given += one.take([said("flower", 1)])
    assert not one.cut
    given += one.take([said("venom!!!", 0), said(" garden", 1, "stop")]) + one.finish()
    assert text_of(given, 0) == ""
    assert text_of(given, 1) == "flower garden"
    assert reasons(given) == {0: "content_filter", 1: "stop"}


def test_async_gives_at_once_and_cuts_behind() -> None:
    """Without a hold each piece leaves as it comes, until the look that finds a hit."""
    one = sieve(hold_chars=0)
    given = one.take([said("ve")])
    assert text_of(given) == "ve"
    assert reasons(one.take([said("nom, and more")])) == {}
    given += one.take([said("." * LOOK_CHARS)])
    assert reasons(given) == {0: "content_filter"}
    assert one.cut
    assert one.take([said("more")]) == []


def test_what_is_no_text_passes_when_nothing_waits() -> None:
    """The role that opens a choice is not held; behind text that waits it keeps its place."""
    one = sieve()
    opener = {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}
    assert one.take([opener]) == [opener]
    assert one.take([said("abc")]) == []
    assert one.take([opener]) == []
    assert len(one.finish()) == 2


@given(st.text("venom ab", max_size=60), st.lists(st.integers(1, 9), max_size=60), st.integers(0, 12))
def test_no_split_lets_a_hit_through(text: str, sizes: list[int], hold_chars: int) -> None:
    """However a text is cut, held text with a hit in it is never given whole, and clean text always is."""
    one = sieve(hold_chars=hold_chars)
    given: list[Chunk] = []
    at = 0
    for size in [*sizes, len(text)]:
        piece = text[at : at + size]
        at += size
        if piece:
            given += one.take([said(piece)])
    given += one.take([said("", reason="stop")]) + one.finish()
    if BAD in text:
        assert reasons(given) == {0: "content_filter"}
        assert not hold_chars or text[: text.index(BAD)].startswith(text_of(given)) or len(BAD) > hold_chars
    else:
        assert text_of(given) == text
        assert reasons(given) == {0: "stop"}


def test_a_host_that_ends_and_goes_on_is_held_all_the_same() -> None:
    """Only the first end gives what waits; what comes after it waits again, and is cut like any other."""
    one = sieve()
    given = one.take([said("fine", reason="stop")])
    assert text_of(given) == "fine"
    assert text_of(one.take([said(" ve", reason="stop")]) + one.take([said("nom", reason="stop")])) == ""
    assert reasons(one.finish()) == {0: "content_filter"}


def test_the_end_of_one_choice_does_not_give_what_waits_of_another() -> None:
    """With several choices all of them have to end."""
    one = sieve(choices=2)
    assert one.take([said("ve", 0)]) == []
    assert one.take([said("flower", 1, "stop")]) == []
    given = one.take([said("nom", 0)]) + one.finish()
    assert (text_of(given, 0), text_of(given, 1)) == ("", "flower")
