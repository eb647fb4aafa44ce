"""The rules by themselves, where no table of parameters shows them."""

import pytest

from tollhouse.validate.problems import Problem
from tollhouse.validate.rules import Integer, Nullable
from tollhouse.validate.shapes import Array
from tollhouse.validate.spelling import join_path, join_words


def test_items_of_an_array_may_be_nullable() -> None:
    """A rule that takes null does so anywhere, not only in a field of an object."""
    rule = Array(Nullable(Integer(0, 1)))
    rule.check([None, 1])
    with pytest.raises(Problem) as caught:
        rule.check([None, 2])
    assert caught.value.as_error().param == "[1]"


def test_paths_are_spelled_as_openai_spells_them() -> None:
    """Keys are joined by dots, indexes stand in brackets, and nobody's key makes a path long."""
    assert join_path(["messages", 0, "content", 1, "image_url", "url"]) == "messages[0].content[1].image_url.url"
    assert join_path(["k" * 64, "k" * 65]) == "k" * 64 + "." + "k" * 61 + "..."
    assert join_path([]) == ""


def test_words_are_listed_as_openai_lists_them() -> None:
    """One, two or more words read as a sentence."""
    assert join_words(["a"]) == "'a'"
    assert join_words(["a", "b"]) == "'a' and 'b'"
    assert join_words(["a", "b", "c"]) == "'a', 'b', and 'c'"
