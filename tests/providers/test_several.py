"""Several answers to one request: every provider either asks for them, or is known to have no such parameter."""

import json
import pkgutil
from importlib import import_module

import pytest

from tests.fakes.door import CATALOGUE
from tollhouse import providers
from tollhouse.catalog.names import Offer
from tollhouse.config import Settings
from tollhouse.discovery import declared
from tollhouse.settings.provider_keys import ModelPatch, ProviderSettings
from tollhouse.types.calls import ChatCall, Host, Quirks, Target

NAMES = [name for _, name, _ in pkgutil.iter_modules(providers.__path__) if name != "protocol"]
CALL = ChatCall("m", {"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 2}, False, False)


@pytest.mark.parametrize("name", NAMES)
def test_n_is_sent_or_known_to_be_missing(name: str) -> None:
    """A host that gives one answer is asked several times, and what that costs is held for."""
    host = Host("own", "https://own.example/v1", provider=name, quirks=CATALOGUE.quirks(name))
    target = Target(host, "gemini-2.5-pro")
    encoded = import_module(f"tollhouse.providers.{name}").PROVIDER.encode_chat(CALL, target)
    sent = json.loads(encoded.outgoing.body)
    asked = sent.get("n", sent.get("generationConfig", {}).get("candidateCount"))
    assert (asked == 2) == target.choices
    assert ("n" in encoded.dropped) == (not target.choices)


def offered(**fields: object) -> Offer:
    """What a host that the operator declares under a name of his own comes to."""
    stated = ProviderSettings("own", "https://own.example/v1", **fields)  # type: ignore[arg-type]
    ((offer,), _) = declared(Settings(providers={"own": stated}), CATALOGUE)
    return offer


@pytest.mark.parametrize("quirks", [None, Quirks(drop=("seed",)), Quirks(choices=True)])
def test_a_declared_host_lacks_what_its_dialect_lacks(quirks: Quirks | None) -> None:
    """Whatever the operator says of it, for the parameter is not sent."""
    assert not offered(provider="anthropic", quirks=quirks).host.quirks.choices
    assert offered(provider="openai", quirks=quirks).host.quirks.choices


def test_a_model_that_is_asked_in_another_dialect_lacks_what_that_one_lacks() -> None:
    """Be it the operator who says so, or the catalogue."""
    patch = ModelPatch({"provider": "responses"})
    offer = offered(models={"m": patch, "k": ModelPatch()})
    assert not Target(offer.host, "m", offer.models["m"]).choices
    assert Target(offer.host, "k", offer.models["k"]).choices
    models = CATALOGUE.models("openai")
    host = Host("openai", "https://api.openai.com/v1", quirks=CATALOGUE.providers["openai"].quirks)
    assert not Target(host, "gpt-5.5-pro", models["gpt-5.5-pro"]).choices
    assert Target(host, "gpt-4o", models["gpt-4o"]).choices


@pytest.mark.parametrize("name", ["anthropic", "cohere", "amazon-bedrock", "ollama-cloud", "freemodel"])
def test_the_catalogues_hosts_lack_what_their_dialects_lack(name: str) -> None:
    """Their rows need not say so."""
    assert not CATALOGUE.providers[name].quirks.choices
