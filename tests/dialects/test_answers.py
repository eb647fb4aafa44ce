"""The outside of a decoder, with the smallest inside: each byte is a chunk, ``!`` is a fault, ``.`` the end."""

from typing import Any

import pytest

from tollhouse.dialects.answers import AnswerReader, Chunk, chunk_of, is_json, member, objects, text
from tollhouse.dialects.replies import json_object
from tollhouse.errors import UpstreamBadResponse, UpstreamInterrupted


class Letters(AnswerReader):
    """A decoder."""

    __slots__ = ("_last",)

    def _read(self, data: bytes, chunks: list[Chunk]) -> None:
        for letter in data.decode():
            if letter == "!":
                raise UpstreamBadResponse("!")
            chunks.append(chunk_of({"content": letter}))
            if letter == ".":
                self.done = True
                return

    def _close(self, chunks: list[Chunk]) -> None:
        del chunks


def said(chunks: list[Chunk]) -> str:
    """The text of chunks."""
    return "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)


def test_nothing_is_read_after_the_end() -> None:
    """And the end is whole."""
    reader = Letters()
    assert said(reader.feed(b"ab.!")) == "ab."
    assert (reader.feed(b"!"), reader.finish(), reader.done) == ([], [], True)
    assert reader.commits(chunk_of({"content": "a"}))
    assert not reader.commits(chunk_of({"role": "assistant"}))


def test_an_answer_without_an_end_is_interrupted() -> None:
    """However much of it came."""
    reader = Letters()
    reader.feed(b"ab")
    with pytest.raises(UpstreamInterrupted):
        reader.finish()


@pytest.mark.parametrize("pieces", [[b"ab!"], [b"ab", b"!"], [b"a", b"b!"]])
def test_a_fault_is_raised_once_all_before_it_is_given_out(pieces: list[bytes]) -> None:
    """Where reads are cut changes nothing, and it is raised for as long as it is asked for."""
    reader, got = Letters(), ""
    try:
        for piece in pieces:
            got += said(reader.feed(piece))
    except UpstreamBadResponse:
        assert pieces[-1] == b"!"
    assert (got, reader.done) == ("ab", True)
    for again in (reader.finish, lambda: reader.feed(b"")):
        with pytest.raises(UpstreamBadResponse):
            again()


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"NaN", b'"\xff"', b'{"a":' * 100_000, b"{} {}"])
def test_what_is_no_object_is_a_bad_answer(data: bytes) -> None:
    """Endless nesting too."""
    with pytest.raises(UpstreamBadResponse):
        json_object(data)


def test_members_have_their_types_or_are_missing() -> None:
    """Null is missing; anything else of another type is a bad answer."""
    holder: dict[str, Any] = {"a": {"b": {"c": "x"}}, "none": None, "list": [{}, {}], "number": 5}
    assert member(holder, "a", "b") == {"c": "x"}
    assert (member(holder, "none"), member(holder, "a", "x", "y")) == ({}, {})
    assert (text(holder["a"]["b"], "c"), text(holder, "none")) == ("x", "")
    assert (objects(holder, "list"), objects(holder, "a"), objects(holder, "none")) == ([{}, {}], [holder["a"]], [])
    for read in (member, text, objects):
        with pytest.raises(UpstreamBadResponse):
            read(holder, "number")
    assert (is_json(b"{}"), is_json(b"{")) == (True, False)
