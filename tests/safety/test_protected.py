"""Protected texts and code, and licence headers, in answers."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.safety.test_blocklists import pieces_of
from tollhouse.safety.licences import LICENCES, URLS
from tollhouse.safety.lists import Lists
from tollhouse.safety.policy import Policies
from tollhouse.safety.protected import SHINGLE, Protected, Shingles, read_protected, shingles_of
from tollhouse.settings.safety import Safety
from tollhouse.settings.safety_files import ProtectedFile
from tollhouse.types.safety import Finding

POEM = " ".join(f"Word{number}," for number in range(40))
CODE = """def walk(tree, seen):
    for leaf in tree:
        if leaf not in seen:
            yield from walk(leaf, seen)
"""
APACHE = """
// Copyright 2031 Nobody
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
"""
GPL = """# This program is free software: you can redistribute it and/or modify
# it under the terms of the GNU General Public License as published by
# the Free Software Foundation, either version 3 of the License, or
# (at your option) any later version."""

LEAST, MOST = -(1 << 63), (1 << 63) - 1
NUMBERS = st.integers(LEAST, MOST) | st.sampled_from([LEAST, MOST, -1, 0, 1])


def file(path: Path, text: str) -> ProtectedFile:
    """A protected file with a text."""
    path.write_text(text)
    row = path.stat()
    return ProtectedFile(path, row.st_size, row.st_mtime_ns)


def read(text: str, lists: Lists, pieces: list[str] | None = None) -> dict[str, Finding]:
    """What is found in an answer, by category."""
    reader = lists.reader(Policies(Safety()).resolve())
    assert reader is not None
    for piece in pieces or [text]:
        reader.feed(piece)
    return {finding.category: finding for finding in reader.finish()}


@pytest.fixture(name="lists")
def fixture_lists(tmp_path: Path) -> Lists:
    """A poem and some code."""
    return Lists(Safety(protected=(file(tmp_path / "poem.txt", POEM), file(tmp_path / "walk.py", CODE)), licences=True))


def test_twelve_words_in_a_row_are_found(lists: Lists) -> None:
    """From any word on, in any case and with other signs between; the place is told."""
    words = POEM.replace(",", "").split()
    for first in (0, 13, len(words) - SHINGLE):
        quoted = " / ".join(words[first : first + SHINGLE]).upper()
        finding = read(f"He said: {quoted}!", lists)["protected_material_text"]
        assert (finding.start, finding.end) == (9, 9 + len(quoted))


def test_eleven_are_not(lists: Lists) -> None:
    """Fewer words, words left out or in another order are no repetition."""
    words = POEM.replace(",", "").split()
    assert not read(" ".join(words[: SHINGLE - 1]), lists)
    assert not read(" ".join(words[::2]), lists)
    assert not read(" ".join(words[::-1]), lists)


def test_code_is_told_as_code(lists: Lists) -> None:
    """What comes from a file of code is code, however it is laid out."""
    assert list(read("```\n" + CODE.replace("    ", "\t") + "```", lists)) == ["protected_material_code"]


@pytest.mark.parametrize(("header", "licence"), [(APACHE, "Apache-2.0"), (GPL, "GPL-3.0")])
def test_a_licence_header_is_told(lists: Lists, header: str, licence: str) -> None:
    """Whatever signs of comments stand between its words, and with the licence's id."""
    assert read("x\n" + header, lists)["protected_material_code"].detail == licence


@pytest.mark.parametrize("licence", LICENCES, ids=lambda licence: f"{licence.id}-{len(licence.phrases[0])}")
def test_each_licence_is_told(lists: Lists, licence: object) -> None:
    """Its own phrases lead to it, and to no stricter one."""
    row = next(one for one in LICENCES if one is licence)
    finding = read(" ... ".join(row.phrases), lists)["protected_material_code"]
    assert finding.detail == row.id
    assert URLS[row.id].endswith(f"/{row.id}.html")


@pytest.mark.parametrize("seed", range(15))
def test_pieces_do_not_matter(lists: Lists, seed: int) -> None:
    """Any cutting gives what the whole gives."""
    text = "So it goes. " + POEM + "\n\n" + CODE + GPL
    assert read(text, lists, pieces_of(text, seed)) == read(text, lists)
    assert len(read(text, lists)) == 2


def test_an_index_is_kept_while_its_files_are_the_same(lists: Lists, tmp_path: Path) -> None:
    """A reload reads again only what has changed."""
    again = Lists(Safety(protected=lists.protected.files), lists)
    assert again.protected is lists.protected
    other = (file(tmp_path / "poem.txt", POEM + " and more"),)
    os.utime(other[0].path, ns=(1, 1))
    assert Lists(Safety(protected=other), lists).protected is not lists.protected


def test_a_file_that_is_gone_is_left_out(tmp_path: Path) -> None:
    """What was there when the settings were read may be gone by now; nothing is raised."""
    gone = ProtectedFile(tmp_path / "gone.txt", 5, 0)
    index = read_protected((gone,))
    assert len(index.text) == len(index.code) == 0
    assert len(Protected().text) == 0


def test_a_file_of_anything_may_be_named(tmp_path: Path) -> None:
    """Bytes that are no text are read as what they may be, and do no harm."""
    path = tmp_path / "x.txt"
    path.write_bytes(bytes(range(256)) * 100)
    assert len(read_protected((ProtectedFile(path, 25_600, 0),)).text) > 0


def test_nothing_is_found_by_chance(lists: Lists) -> None:
    """A hundred thousand other shingles are not taken for ours."""
    text = " ".join(f"word{number * 7919 % 100_003}" for number in range(100_000))
    assert not read(text, lists)


@given(st.lists(NUMBERS, max_size=40), st.lists(NUMBERS, max_size=40))
def test_every_number_is_found_and_no_other(held: list[int], asked: list[int]) -> None:
    """The first place whose number is held, whatever the numbers are, of whichever sign; each is held once."""
    index = Shingles([held, held[:5]])
    assert len(index) == len(set(held))
    assert index.find(asked) == next((place for place, number in enumerate(asked) if number in held), -1)
    assert all(index.find([number]) == 0 for number in held)


def test_shingles_are_the_words_in_a_row() -> None:
    """One for each word that eleven others follow, equal where the words are."""
    words = [f"w{number}" for number in range(SHINGLE + 2)]
    assert [len(shingles_of(words[:count])) for count in (0, SHINGLE - 1, SHINGLE, SHINGLE + 2)] == [0, 0, 1, 3]
    assert shingles_of(words)[1:] == shingles_of(words[1:])
    assert len(set(shingles_of(words * 3))) == len(words)
