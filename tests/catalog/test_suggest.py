"""What a client is told of a name that means nothing."""

import pytest

from tollhouse.catalog.names import Names, Offer
from tollhouse.catalog.store import Catalogue
from tollhouse.catalog.suggest import MAX_CANDIDATES, MAX_COMPARED_CHARS, MAX_TOLD, Suggestions, _comparable
from tollhouse.types.calls import Host


def suggestions(catalogue: Catalogue, *hosts: str) -> Suggestions:
    """Suggestions where these hosts are set up."""
    offers = [Offer(Host(name, f"https://{name}.example"), catalogue.models(name)) for name in hosts]
    return Suggestions(Names(offers, {"fast-chat": ("openai/gpt-4o-mini",)}, catalogue), catalogue)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("gpt-4o-mni", "openai/gpt-4o-mini"),
        ("gtp-4o", "openai/gpt-4o"),
        ("claude-4-5-sonet", "anthropic/claude-sonnet-4-5"),
        ("openai/gpt4.1", "openai/gpt-4.1"),
        ("fast-caht", "fast-chat"),
    ],
)
def test_a_slip_of_the_finger_is_understood(catalogue: Catalogue, asked: str, expected: str) -> None:
    """The name that was probably meant is among those suggested."""
    assert expected in suggestions(catalogue, "openai", "anthropic").closest(asked)


def test_at_most_three_names_are_suggested_and_all_can_be_called(catalogue: Catalogue) -> None:
    """Suggestions are few, and none of them is another 404."""
    offered = suggestions(catalogue, "openai", "openrouter")
    close = offered.closest("gpt-4")
    assert 0 < len(close) <= 3
    assert all(offered._names.resolve(name) for name in close)


def test_a_name_like_nothing_gets_no_suggestion(catalogue: Catalogue) -> None:
    """No suggestion is better than a silly one."""
    assert suggestions(catalogue, "openai").closest("zzzzzzzz") == ()
    assert suggestions(catalogue).closest("gpt-4o") == ()


def test_a_missing_key_is_named(catalogue: Catalogue) -> None:
    """A model of a host that is not set up is explained by the variable that its key is read from."""
    text = suggestions(catalogue, "openai").explain("claude-sonnet-4-5")
    assert "anthropic (set ANTHROPIC_API_KEY)" in text
    assert "MISTRAL_API_KEY" in suggestions(catalogue, "openai").explain("mistral/whatever")
    assert "GROQ_API_KEY" in suggestions(catalogue, "openai").explain("gpt-4o#groq")


def test_the_maker_is_named_before_those_who_resell(catalogue: Catalogue) -> None:
    """Of the many hosts that offer a model its maker's comes first."""
    assert "It is offered by google (" in suggestions(catalogue).explain("gemini-2.5-pro")


def test_a_host_that_cannot_be_reached_says_why(catalogue: Catalogue) -> None:
    """The reason why a host is not spoken to yet is part of the answer."""
    text = suggestions(catalogue, "openai").explain("amazon-bedrock/x")
    assert (catalogue.providers["amazon-bedrock"].reason or "-") in text


def test_a_host_that_must_be_declared_says_so(catalogue: Catalogue) -> None:
    """For a host that a variable alone does not enable, the settings are named."""
    assert "github-models (not declared in the settings)" in suggestions(catalogue).explain("github-models/x")


@pytest.mark.parametrize("name", ["", "x" * 5000, "#", "/", "#/#", "\x00\n\u202e", "a/b/c#d"])
def test_any_text_can_be_asked_for(catalogue: Catalogue, name: str) -> None:
    """Whatever a client sends as a name gets one short line of printable text."""
    text = suggestions(catalogue, "openai").explain(name)
    assert len(text) < 500
    assert text.isprintable()


def test_the_name_of_a_slash_model_at_an_unknown_host(catalogue: Catalogue) -> None:
    """A maker's prefix does not hide the hosts that list the bare name."""
    assert "OPENROUTER_API_KEY" in suggestions(catalogue, "openai").explain("openai/gpt-oss-120b#openrouter")
    assert "set " in suggestions(catalogue).explain("x-ai/grok-4.3")


def test_an_overlong_name_is_not_compared(catalogue: Catalogue) -> None:
    """A client cannot make the gateway compare a name of a million characters with all others."""
    assert suggestions(catalogue, "openai").closest("gpt-4o-" * 100_000) == ()


def test_a_second_question_is_answered_as_the_first(catalogue: Catalogue) -> None:
    """What is prepared for one answer serves the next."""
    offered = suggestions(catalogue, "openai")
    assert offered.closest("gpt-4o-mni") == offered.closest("gpt-4o-mni") != ()


def test_the_nearest_of_many_alike_is_suggested(catalogue: Catalogue) -> None:
    """Where hundreds of names share the same words, the one a letter away is among the few that are compared."""
    offered = suggestions(catalogue, "openrouter", "openai", "groq", "deepinfra")
    assert "openai/gpt-4o-mini" in offered.closest("gpt-4o-mni")


@pytest.mark.parametrize("name", ["gpt-4o-mni", "-".join(["gpt", "4o", "mini", "qwen", "large"] * 10), "qwenn"])
def test_few_names_are_compared(catalogue: Catalogue, name: str) -> None:
    """However many names are known and asked for in one, at most eight are compared, each by its first characters."""
    offered = suggestions(catalogue, "openrouter", "openai", "groq", "deepinfra")
    assert 0 < len(offered._candidates(name)) <= MAX_CANDIDATES == 8
    assert all(len(part) <= MAX_COMPARED_CHARS for part in _comparable(name * 4))


def test_one_wrong_name_is_explained_once(catalogue: Catalogue) -> None:
    """A client that repeats a wrong name gets the answer that was kept, and no number of names fills the memory."""
    offered = suggestions(catalogue, "groq")
    first = offered.explain("whispr-larg-v33")
    assert offered.explain("whispr-larg-v33") is first
    for number in range(MAX_TOLD + 10):
        offered.explain(f"zz{number}")
    offered.explain("y" * 100_000)
    assert len(offered._told) <= MAX_TOLD
    assert max(map(len, offered._told)) < 300
    assert offered.explain("whispr-larg-v33") == first


def test_a_slip_inside_the_only_word_is_understood(catalogue: Catalogue) -> None:
    """A name that shares no whole word with any other is still compared with those most alike."""
    assert "groq/whisper-large-v3" in suggestions(catalogue, "groq").closest("whispr-larg-v33")
