"""Providers are found by the name of their file."""

import pytest

from tollhouse.providers import NAMES, load


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_file_is_a_provider(name: str) -> None:
    """Each file of the package, but the protocol, has a provider with the three functions, and it is one instance."""
    provider = load(name)
    assert all(callable(getattr(provider, function)) for function in ("encode_chat", "decode_chat", "decode_error"))
    assert load(name) is provider


@pytest.mark.parametrize("name", ["nobody", "protocol", "", "../errors", "openai.OpenAI"])
def test_an_unknown_name_is_explained(name: str) -> None:
    """A name without a file raises an error that lists the names there are, and imports nothing."""
    with pytest.raises(ValueError, match=r"there are: .*openai"):
        load(name)
