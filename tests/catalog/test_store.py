"""The shipped catalogue: its facts are whole, its prices are integers, its hosts can be reached or say why not."""

import re
from collections import defaultdict
from dataclasses import astuple, fields
from importlib.resources import files

import msgspec
import pytest

from tollhouse.catalog.store import Catalogue
from tollhouse.settings.provider_keys import QuirkKeys
from tollhouse.types.calls import Prices, Quirks

HOSTS = """
[hosts.open]
drop = ["store"]
[makers]
"""


def small(row: list[object], **provider: object) -> Catalogue:
    """A catalogue of one host with one model."""
    host = {"name": "Open", "wire": "@ai-sdk/openai-compatible", "api": "https://open.example/v1/", "env": ["OPEN_KEY"]}
    document = {"source": "test", "providers": {"open": {**host, **provider, "models": [row]}}}
    return Catalogue(msgspec.json.encode(document), HOSTS)


def test_every_provider_and_model_of_the_snapshot_is_there(catalogue: Catalogue) -> None:
    """The catalogue holds 147 hosts and 5,276 models."""
    assert len(catalogue.providers) == 147
    assert sum(len(catalogue.models(name)) for name in catalogue.providers) == 5276


def test_prices_are_exact_pico_usd_per_token(catalogue: Catalogue) -> None:
    """$2.50 for a million tokens is 2,500,000 pico-USD for one, and a class without a figure is None."""
    prices = catalogue.models("openai")["gpt-4o"].prices
    assert prices == Prices(input=2_500_000, output=10_000_000, cache_read=1_250_000)


def test_float_noise_of_the_snapshot_is_rounded_away(catalogue: Catalogue) -> None:
    """0.049999999999999996 in the snapshot is the $0.05 that the host charges."""
    prices = catalogue.models("amazon-bedrock")["google.gemma-3-12b-it"].prices
    assert (prices.input, prices.output) == (50_000, 100_000)


def test_misspelt_price_classes_of_the_snapshot_count(catalogue: Catalogue) -> None:
    """What the snapshot calls cache_input or cached_input at some hosts is the price of a cache read."""
    assert catalogue.models("siliconflow")["zai-org/GLM-5"].prices.cache_read == 200_000
    assert catalogue.models("minimax")["MiniMax-M2.1"].prices.cache_write == 375_000


def test_every_price_is_a_non_negative_integer(catalogue: Catalogue) -> None:
    """No price of the catalogue is a float or below zero."""
    for provider in catalogue.providers:
        for facts in catalogue.models(provider).values():
            for price in astuple(facts.prices):
                assert price is None or (type(price) is int and price >= 0), (provider, facts.id)


def test_an_unknown_limit_is_none(catalogue: Catalogue) -> None:
    """The snapshot writes 0 for a limit it does not know; the catalogue never says a model has a window of 0."""
    for provider in catalogue.providers:
        for facts in catalogue.models(provider).values():
            assert facts.context_tokens is None or facts.context_tokens > 0
            assert facts.output_tokens is None or facts.output_tokens > 0


def test_abilities_are_read_from_the_columns() -> None:
    """Kinds of content, abilities and dates are what the row says."""
    row = ["m", "", 0, 100, "ti", "t", "trsf", "2026-01-02", [1, None, 3]]
    facts = small(row).models("open")["m"]
    assert (facts.name, facts.context_tokens, facts.output_tokens) == ("m", None, 100)
    assert (facts.input_kinds, facts.output_kinds) == (("text", "image"), ("text",))
    assert (facts.tools, facts.reasoning, facts.structured_output, facts.temperature) == (True, True, True, False)
    assert facts.prices == Prices(1, None, 3)


def test_prices_for_long_prompts_are_kept(catalogue: Catalogue) -> None:
    """Above 272,000 tokens of prompt, gpt-5.4 costs twice as much to read."""
    (tier,) = catalogue.models("openai")["gpt-5.4"].tiers
    assert tier.above_tokens == 272_000
    assert tier.prices.input == 2 * (catalogue.models("openai")["gpt-5.4"].prices.input or 0)
    assert catalogue.models("openai")["gpt-4o"].tiers == ()


def test_charges_that_are_not_for_tokens_are_kept_apart(catalogue: Catalogue) -> None:
    """A charge for each request is never read as a price of tokens, nor lost."""
    assert catalogue.models("perplexity")["sonar-deep-research"].unstated_prices == ("citation", "request")
    assert catalogue.models("openai")["gpt-4o"].unstated_prices == ()


def test_a_model_that_is_another_at_each_call_has_no_price(catalogue: Catalogue) -> None:
    """What a router's own row says is not what the model behind it costs."""
    assert catalogue.models("azure")["model-router"].unstated_prices == ("model",)


def test_how_large_an_image_is_depends_on_the_model(catalogue: Catalogue) -> None:
    """The small gpt-4o makes more tokens of an image than any other, under any host's name for it."""
    assert catalogue.models("openai")["gpt-4o-mini"].image_tokens == 48_169
    assert catalogue.models("openrouter")["openai/gpt-4o-mini"].image_tokens == 48_169
    assert catalogue.models("openai")["gpt-4o"].image_tokens == 16_384


def test_what_openai_alone_does_is_a_row_of_data(catalogue: Catalogue) -> None:
    """Its moderations are free, and a cap goes by its newer name."""
    openai, groq = catalogue.providers["openai"], catalogue.providers["groq"]
    assert (openai.free_kinds, openai.cap_field) == (("moderations",), "max_completion_tokens")
    assert (groq.free_kinds, groq.cap_field) == ((), "max_tokens")


def test_every_host_is_reachable_or_says_why_not(catalogue: Catalogue) -> None:
    """A host has an address and a variable for its key, or a reason."""
    for row in catalogue.providers.values():
        assert (row.base_url is None) == (row.reason is not None), row.name
        if row.base_url is not None:
            assert row.key_vars, row.name
            assert re.fullmatch(r"(https://|http://(127\.0\.0\.1|localhost)|\$\{)[^?#\s]+[^/]", row.base_url), row.name


def test_most_hosts_are_reachable(catalogue: Catalogue) -> None:
    """All but a handful of the hosts can be called with the OpenAI dialect."""
    assert sum(row.base_url is not None for row in catalogue.providers.values()) >= 138


def test_one_variable_enables_one_host(catalogue: Catalogue) -> None:
    """A key in the environment never goes to two hosts by itself."""
    takers: defaultdict[str, list[str]] = defaultdict(list)
    for row in catalogue.providers.values():
        if row.base_url is not None and row.opt_in is None:
            for variable in row.key_vars:
                takers[variable].append(row.name)
    assert {variable: names for variable, names in takers.items() if len(names) > 1} == {}


def test_variables_in_an_address_are_not_keys(catalogue: Catalogue) -> None:
    """An account's name that is part of the URL is never sent as a key."""
    for row in catalogue.providers.values():
        inside = set(re.findall(r"\$\{(\w+)\}", row.base_url or ""))
        assert not inside & set(row.key_vars), row.name


def test_a_host_without_a_row_of_ours_is_reached_as_the_snapshot_says() -> None:
    """The snapshot's address counts where it is marked as OpenAI-compatible, without a trailing slash."""
    catalogue = small(["m", "", 0, 0, "t", "t", "", "", []])
    row = catalogue.providers["open"]
    assert (row.base_url, row.key_vars, row.auth, row.reason) == (
        "https://open.example/v1",
        ("OPEN_KEY",),
        "bearer",
        None,
    )
    assert row.quirks == Quirks(drop=("store",))


def test_another_dialect_is_a_reason() -> None:
    """An address that the snapshot marks with another dialect is not called with ours."""
    row = small(["m", "", 0, 0, "t", "t", "", "", []], wire="@ai-sdk/anthropic").providers["open"]
    assert row.base_url is None
    assert row.reason is not None


def test_a_misspelt_key_in_the_rows_of_ours_is_an_error() -> None:
    """A key in hosts.toml that means nothing cannot pass unseen."""
    with pytest.raises(msgspec.ValidationError, match="bas_url"):
        Catalogue(b'{"source":"","providers":{}}', '[hosts.a]\nbas_url = "x"\n[makers]\n')


def test_known_quirks_are_rows_of_data(catalogue: Catalogue) -> None:
    """Mistral refuses stream_options and takes max_tokens alone; Groq refuses logprobs."""
    mistral = catalogue.providers["mistral"].quirks
    assert (mistral.stream_usage, mistral.max_tokens_field) == (False, "max_tokens")
    groq = catalogue.providers["groq"].quirks
    assert "logprobs" in groq.drop
    assert (groq.choices, groq.prefix) == (False, "plain")
    assert catalogue.providers["deepseek"].quirks.schema == "object"
    assert catalogue.providers["moonshotai"].quirks.prefix == "partial"


def test_every_quirk_is_a_known_word(catalogue: Catalogue) -> None:
    """What a row says of a host is one of the words that the settings take."""
    words = {field.name: field.metadata["choices"] for field in fields(QuirkKeys) if field.metadata["choices"]}
    assert words.keys() == {"max_tokens_field", "schema", "prefix"}
    for row in catalogue.providers.values():
        for name, known in words.items():
            assert (getattr(row.quirks, name) or "") in known, row.name


@pytest.mark.parametrize(
    ("host", "model", "provider"),
    [
        ("openai", "gpt-5.1-codex-mini", "responses"),
        ("openai", "gpt-5-pro", "responses"),
        ("openai", "o1-pro", "responses"),
        ("openai", "o4-mini-deep-research", "responses"),
        ("openai", "gpt-5.5", "responses"),
        ("openai", "gpt-5.2", ""),
        ("openai", "gpt-4o", ""),
        ("openai", "o3", ""),
        ("openai", "gpt-5.3-chat-latest", ""),
        ("azure", "codex-mini", "responses"),
        ("azure", "deepseek-v4-pro", ""),
        ("azure", "codestral-2501", ""),
        ("xai", "grok-4.20-multi-agent-0309", "responses"),
        ("github-copilot", "gpt-5.3-codex", "responses"),
        ("opencode", "gpt-5-codex", "responses"),
        ("groq", "openai/gpt-oss-120b", ""),
    ],
)
def test_models_that_answer_at_another_endpoint_say_so(
    catalogue: Catalogue, host: str, model: str, provider: str
) -> None:
    """What is refused at /chat/completions is asked at /responses; the rest stays where it is."""
    assert catalogue.models(host)[model].provider == provider


def test_models_that_are_not_listed_follow_the_same_patterns(catalogue: Catalogue) -> None:
    """A maker's newest models are never in a snapshot."""
    assert catalogue.provider_of("openai", "gpt-5.6-sol") == "responses"
    assert catalogue.provider_of("openai", "computer-use-preview-2025-03-11") == "responses"
    assert catalogue.provider_of("openai", "gpt-9") == ""
    assert catalogue.provider_of("no-such-host", "gpt-5.6-sol") == ""


def test_every_pattern_of_models_means_one(catalogue: Catalogue) -> None:
    """A host whose every model is at another endpoint is a host of that provider, and needs no patterns."""
    for name, row in catalogue.providers.items():
        needed = {facts.provider for facts in catalogue.models(name).values()}
        assert needed <= {"", "responses"}, name
        assert row.provider != "responses" or needed == {""}, name


def test_rows_of_ours_name_hosts_of_the_snapshot(catalogue: Catalogue) -> None:
    """Every maker's host is a host of the catalogue."""
    for maker in catalogue.makers:
        assert set(maker.hosts) <= catalogue.providers.keys(), maker.name


def test_no_spelling_means_two_makers(catalogue: Catalogue) -> None:
    """A vendor's name in front of a slash means one maker, and so does a host."""
    spellings = [spelling for maker in catalogue.makers for spelling in maker.spellings]
    hosts = [host for maker in catalogue.makers for host in maker.hosts]
    assert len(spellings) == len(set(spellings))
    assert len(hosts) == len(set(hosts))


def test_the_hosts_that_offer_a_name_are_found(catalogue: Catalogue) -> None:
    """The maker's host and the routers that list a bare name are known before any of them is set up."""
    offering = catalogue.offering("GPT-4o")
    assert "openai" in offering
    assert len(offering) == len(set(offering)) > 5
    assert catalogue.offering("no-such-model") == ()


def test_a_host_that_is_not_there_offers_nothing(catalogue: Catalogue) -> None:
    """Asking for an unknown host's models gives none."""
    assert catalogue.models("no-such-host") == {}
    assert catalogue.model_ids("no-such-host") == ()


def test_the_page_on_providers_lists_every_host(catalogue: Catalogue) -> None:
    """The documentation names each host with its variable, its models and how it is enabled."""
    page = files("tollhouse").joinpath("docs", "providers.md").read_text("utf-8")
    for row in catalogue.providers.values():
        keys = ", ".join(f"`{variable}`" for variable in row.key_vars)
        how = (
            f"not yet: {row.reason}" if row.reason else f"declare it: {row.opt_in}" if row.opt_in else "by its variable"
        )
        models = len(catalogue.model_ids(row.name))
        assert f"| `{row.name}` | {row.label} | {keys} | {models} | {how} |" in page, row.name


def test_the_licence_of_the_facts_ships_with_them() -> None:
    """The notice of models.dev lies next to the data, in the package."""
    notice = files("tollhouse.catalog").joinpath("models.LICENSE").read_text("utf-8")
    assert "Copyright (c) 2025 spin.dev" in notice
    assert "Permission is hereby granted" in notice


def test_a_prompt_kept_for_an_hour_costs_what_anthropic_says(catalogue: Catalogue) -> None:
    """Twice the input, at every host of Claude that has a price for the shorter write, in every tier."""
    for host, model in (("anthropic", "claude-sonnet-4-5"), ("amazon-bedrock", "anthropic.claude-sonnet-4-6")):
        prices = catalogue.models(host)[model].prices
        assert (prices.cache_write, prices.cache_write_1h) == (3_750_000, 6_000_000)
    (tier,) = catalogue.models("google-vertex-anthropic")["claude-opus-4-6@default"].tiers
    assert tier.prices.cache_write_1h == 2 * (tier.prices.input or 0) == 20_000_000
    assert catalogue.models("openai")["gpt-4o"].prices.cache_write_1h is None
