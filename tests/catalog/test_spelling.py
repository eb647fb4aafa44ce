"""Which spellings are one name, and which never are."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tollhouse.catalog.spelling import loose, plain, words

WORD = st.text("abcdefgh", min_size=1, max_size=5)
VERSION = st.lists(st.integers(0, 99), min_size=1, max_size=2).map(lambda parts: "-".join(map(str, parts)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("claude-4.5-sonnet", "claude-4-5-sonnet"),
        ("Claude-Sonnet-4.5", "claude-sonnet-4-5"),
        ("GPT-4o", "gpt-4o"),
        ("gemini-2.5-flash", "gemini-2-5-flash"),
    ],
)
def test_case_and_dots_are_forgiven(one: str, other: str) -> None:
    """Two spellings that differ in case, or in a dot for a dash, are one name."""
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("claude-4.5-sonnet", "claude-sonnet-4-5"),
        ("claude-3-5-haiku-20241022", "claude-haiku-3.5-20241022"),
        ("claude-4-5-sonnet-20250929", "claude-sonnet-4-5-20250929"),
        ("llama-70b-3.3", "llama-3.3-70b"),
    ],
)
def test_the_order_of_words_is_forgiven(one: str, other: str) -> None:
    """A version may stand before or after the words it belongs to."""
    assert loose(one) == loose(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4.5", "gpt-5.4"),
        ("gpt-5", "gpt-5-mini"),
        ("gpt-5.3-instant", "gpt-5"),
        ("claude-4-sonnet-5", "claude-sonnet-4-5"),
        ("qwen3-14b", "qwen3-1-4b"),
        ("gemini-2.5-flash-1", "gemini-1-flash-2.5"),
        ("glm-4.5", "glm-4.5-air"),
        ("model-free", "model"),
        ("model:free", "model-free"),
        ("o1", "o3"),
        ("gpt-4-0613", "gpt-4-1106"),
    ],
)
def test_different_models_never_share_a_key(one: str, other: str) -> None:
    """A version is never read in another order, and no part of a name is left out."""
    assert loose(one) != loose(other)
    assert plain(one) != plain(other)


@given(st.text(max_size=30))
def test_the_two_keys_never_meet(name: str) -> None:
    """A loose key is never equal to the plain key of a name that can be asked for."""
    assume("|" not in name)
    assert loose(name) != plain(name)
    assert "|" in loose(name)


@given(st.lists(WORD, min_size=1, max_size=4, unique=True), VERSION, st.randoms(use_true_random=False))
def test_a_permutation_of_words_keeps_the_loose_key(parts: list[str], version: str, random: st.DataObject) -> None:
    """However the words stand around one version, it is the same name."""
    shuffled = [*parts, version]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert loose("-".join(shuffled)) == loose("-".join([*parts, version]))


@given(WORD, st.integers(0, 999), st.integers(0, 999))
def test_versions_in_another_order_are_another_model(word: str, major: int, minor: int) -> None:
    """4.5 is not 5.4."""
    assume(major != minor)
    assert loose(f"{word}-{major}.{minor}") != loose(f"{word}-{minor}.{major}")


def test_words_of_a_name() -> None:
    """A name's words are its parts at dashes, slashes and colons."""
    assert words("openai/GPT-4o-mini:free") == {"openai", "gpt", "4o", "mini", "free"}
