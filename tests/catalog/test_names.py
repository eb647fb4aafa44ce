"""What a requested name leads to: exactly what the operator can foresee."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.catalog.names import CACHE_NAMES, Names, Offer
from tollhouse.catalog.spelling import loose, plain
from tollhouse.catalog.store import Catalogue
from tollhouse.types.calls import Host, ModelFacts

Aliases = Mapping[str, tuple[str, ...]]
EMPTY = Catalogue(b'{"source":"","providers":{}}', "[hosts]\n[makers]\n")


def offer(name: str, *models: str, closed: bool = False) -> Offer:
    """A host and the models it offers."""
    return Offer(Host(name, f"https://{name}.example/v1"), {m: ModelFacts(m, m) for m in models}, closed)


def known(catalogue: Catalogue, name: str) -> Offer:
    """A host with the models that the catalogue lists for it."""
    return Offer(Host(name, f"https://{name}.example/v1"), catalogue.models(name))


def ids(names: Names, name: str) -> list[str]:
    """Where a name leads, as host/model."""
    return [target.id for target in names.resolve(name)]


class TestHosts:
    """Names that say the host."""

    def test_a_host_and_a_model_it_offers(self, catalogue: Catalogue) -> None:
        """host/model goes to that host alone, though others offer the model too."""
        names = Names([known(catalogue, "openrouter"), known(catalogue, "openai")], {}, catalogue)
        assert ids(names, "openai/gpt-4o") == ["openai/gpt-4o"]

    def test_a_model_that_nobody_knows_is_passed_to_the_host(self, catalogue: Catalogue) -> None:
        """A host is asked for a model that came out after the catalogue was made."""
        names = Names([known(catalogue, "openai")], {}, catalogue)
        assert ids(names, "openai/gpt-99") == ["openai/gpt-99"]
        assert names.resolve("openai/gpt-99")[0].facts is None

    def test_a_closed_host_is_passed_nothing(self) -> None:
        """A host whose models the operator listed serves these and no others."""
        names = Names([offer("openai", "gpt-4o", closed=True)], {}, EMPTY)
        assert ids(names, "openai/gpt-4o") == ["openai/gpt-4o"]
        assert ids(names, "openai/gpt-99") == ids(names, "gpt-99#openai") == []

    def test_an_id_that_another_host_offers_whole_is_no_guess(self, catalogue: Catalogue) -> None:
        """openai/gpt-oss-120b is a model of Groq's; OpenAI's own host, which lacks it, is not asked for it."""
        names = Names([known(catalogue, "openai"), known(catalogue, "groq")], {}, catalogue)
        assert ids(names, "openai/gpt-oss-120b") == ["groq/openai/gpt-oss-120b"]

    def test_a_host_whose_ids_begin_with_its_own_name(self, catalogue: Catalogue) -> None:
        """openrouter/auto is OpenRouter's id as it stands."""
        names = Names([known(catalogue, "openrouter")], {}, catalogue)
        assert [target.model for target in names.resolve("openrouter/auto")] == ["openrouter/auto"]

    def test_a_model_with_a_slash_behind_a_host(self, catalogue: Catalogue) -> None:
        """The first part is the host, the rest is the model as the host knows it."""
        names = Names([known(catalogue, "openrouter")], {}, catalogue)
        assert ids(names, "openrouter/openai/gpt-4o") == ["openrouter/openai/gpt-4o"]

    def test_a_pin_picks_one_host(self, catalogue: Catalogue) -> None:
        """model#host is that model at that host, also where the maker runs its own."""
        names = Names([known(catalogue, "openai"), known(catalogue, "openrouter")], {}, catalogue)
        assert ids(names, "gpt-4o#openrouter") == ["openrouter/openai/gpt-4o"]
        assert ids(names, "openai/gpt-4o#openai") == ["openai/gpt-4o"]
        assert ids(names, "gpt-99#openai") == ["openai/gpt-99"]

    def test_a_pin_to_a_host_that_is_not_set_up_leads_nowhere(self, catalogue: Catalogue) -> None:
        """A pin is never answered by another host than the one it names."""
        names = Names([known(catalogue, "openai")], {}, catalogue)
        assert ids(names, "gpt-4o#groq") == ids(names, "#openai") == []

    def test_a_host_that_is_not_set_up_leads_nowhere(self, catalogue: Catalogue) -> None:
        """mistral/x is nothing while Mistral has no key."""
        assert ids(Names([known(catalogue, "openai")], {}, catalogue), "mistral/mistral-large-latest") == []


class TestBareNames:
    """Names that say the model alone, or its maker and it."""

    def test_the_maker_comes_first_then_the_operators_order(self, catalogue: Catalogue) -> None:
        """Every host that offers the model is tried, its maker's own before all."""
        hosts = ("openrouter", "302ai", "anthropic")
        names = Names([known(catalogue, name) for name in hosts], {}, catalogue)
        expected = [
            "anthropic/claude-sonnet-4-5",
            "openrouter/anthropic/claude-sonnet-4.5",
            "302ai/claude-sonnet-4-5",
        ]
        assert ids(names, "claude-sonnet-4-5") == expected

    @pytest.mark.parametrize(
        "name", ["claude-4.5-sonnet", "claude-4-5-sonnet", "Claude-Sonnet-4.5", "claude-sonnet-4-5"]
    )
    def test_the_spellings_in_use_are_one_model(self, catalogue: Catalogue, name: str) -> None:
        """claude-4.5-sonnet, claude-4-5-sonnet and claude-sonnet-4-5 are the same model."""
        names = Names([known(catalogue, "anthropic")], {}, catalogue)
        assert ids(names, name) == ids(names, f"anthropic/{name}") == ["anthropic/claude-sonnet-4-5"]

    @pytest.mark.parametrize(
        "name", ["gpt-5.3-instant", "gpt-4o-min", "gpt", "claude", "gpt-4o-mini-free", "gpt-4o ", ""]
    )
    def test_nothing_close_is_ever_taken(self, catalogue: Catalogue, name: str) -> None:
        """A name that is like another, or a part of it, leads nowhere."""
        hosts = ("openai", "anthropic", "openrouter")
        assert ids(Names([known(catalogue, host) for host in hosts], {}, catalogue), name) == []

    def test_a_maker_and_a_model_at_hosts_that_spell_the_maker_otherwise(self, catalogue: Catalogue) -> None:
        """xai/grok-4.3 is what OpenRouter calls x-ai/grok-4.3."""
        names = Names([known(catalogue, "openrouter")], {}, catalogue)
        assert ids(names, "xai/grok-4.3") == ids(names, "x-ai/grok-4.3") == ["openrouter/x-ai/grok-4.3"]

    def test_a_maker_and_a_model_at_a_host_with_bare_ids(self, catalogue: Catalogue) -> None:
        """anthropic/claude-sonnet-4-5 is found at a host that lists it without its maker."""
        names = Names([known(catalogue, "302ai")], {}, catalogue)
        assert ids(names, "anthropic/claude-sonnet-4.5") == ["302ai/claude-sonnet-4-5"]

    def test_another_makers_model_is_not_taken(self, catalogue: Catalogue) -> None:
        """google/claude-sonnet-4-5 is no model, for Google did not make it."""
        names = Names([known(catalogue, "302ai"), known(catalogue, "openrouter")], {}, catalogue)
        assert ids(names, "google/claude-sonnet-4-5") == []

    def test_a_prefix_that_is_no_maker_is_part_of_the_name(self, catalogue: Catalogue) -> None:
        """The model of an unknown vendor is found by its whole id, not by its tail."""
        names = Names([offer("router", "acme/rocket-1", "openai/gpt-4o")], {}, catalogue)
        assert ids(names, "acme/rocket-1") == ["router/acme/rocket-1"]
        assert ids(names, "rocket-1") == []
        assert ids(names, "gpt-4o") == ["router/openai/gpt-4o"]

    def test_two_models_behind_one_spelling_are_told_apart_by_their_ids(self) -> None:
        """Where a spelling fits two models of a host, only their exact ids lead to them."""
        names = Names([offer("host", "m-1.5", "m-1-5", "M-1.5")], {}, EMPTY)
        assert ids(names, "m-1.5") == ["host/m-1.5"]
        assert ids(names, "m-1-5") == ["host/m-1-5"]
        assert ids(names, "m-1.5".upper()) == ["host/M-1.5"]
        assert ids(names, "1.5-m") == []

    def test_two_orders_of_the_same_words_are_two_models(self) -> None:
        """A host that offers both orders of a name is asked for the one that was written."""
        names = Names([offer("host", "a-b-1", "b-a-1")], {}, EMPTY)
        assert ids(names, "A-B-1") == ["host/a-b-1"]
        assert ids(names, "1-a-b") == []


class TestAliases:
    """The operator's own names."""

    def test_an_alias_is_tried_in_its_order(self) -> None:
        """The targets of an alias are tried as they were written, each once."""
        aliases: Aliases = {"fast": ("b/y", "a/x", "b/y")}
        names = Names([offer("a", "x"), offer("b", "y")], aliases, EMPTY)
        assert ids(names, "fast") == ["b/y", "a/x"]

    def test_an_alias_goes_before_everything(self) -> None:
        """An alias hides a host's model of the same name, and an id with a slash or a pin."""
        aliases: Aliases = {"x": ("b/y",), "a/x": ("b/y",)}
        names = Names([offer("a", "x"), offer("b", "y")], aliases, EMPTY)
        assert ids(names, "x") == ids(names, "a/x") == ["b/y"]

    def test_an_alias_may_name_an_alias(self) -> None:
        """Targets that are aliases stand for their own targets."""
        aliases: Aliases = {"fast": ("a/x",), "any": ("fast", "b/y")}
        names = Names([offer("a", "x"), offer("b", "y")], aliases, EMPTY)
        assert ids(names, "any") == ["a/x", "b/y"]

    def test_an_alias_whose_hosts_are_not_set_up_leads_nowhere(self) -> None:
        """An alias is final: its name is not looked for elsewhere when its targets are missing."""
        names = Names([offer("a", "gpt-4o")], {"gpt-4o": ("azure/prod",)}, EMPTY)
        assert ids(names, "gpt-4o") == []
        assert names.unresolved() == (("gpt-4o", "azure/prod"),)

    def test_a_target_that_is_set_up_serves_for_those_that_are_not(self) -> None:
        """Of an alias's targets the missing ones are passed over, and reported."""
        names = Names([offer("a", "x")], {"fast": ("b/y", "a/x")}, EMPTY)
        assert ids(names, "fast") == ["a/x"]
        assert names.unresolved() == (("fast", "b/y"),)

    def test_a_pattern_passes_the_name_on(self) -> None:
        """gpt-* to a/* sends gpt-anything to host a under its own name."""
        names = Names([offer("a")], {"gpt-*": ("a/*",)}, EMPTY)
        assert ids(names, "gpt-77") == ["a/gpt-77"]
        assert ids(names, "claude") == []

    def test_the_longest_pattern_wins(self) -> None:
        """Of two patterns that fit, the more exact one counts."""
        aliases: Aliases = {"gpt-*": ("a/*",), "gpt-5*": ("b/*",)}
        names = Names([offer("a"), offer("b")], aliases, EMPTY)
        assert ids(names, "gpt-5-mini") == ["b/gpt-5-mini"]
        assert ids(names, "gpt-4") == ["a/gpt-4"]

    def test_the_lone_star_takes_what_is_left(self) -> None:
        """A name that means something else is never taken by the star."""
        names = Names([offer("a", "x"), offer("b")], {"*": ("b/*",)}, EMPTY)
        assert ids(names, "x") == ["a/x"]
        assert ids(names, "unheard-of") == ["b/unheard-of"]

    def test_no_pattern_catches_a_pinned_name(self) -> None:
        """model#host means that host whatever patterns there are, nothing where there is no such host, and only an
        alias of exactly that name says otherwise.
        """
        patterns: Aliases = {"gpt-*": ("b/*",), "*": ("b/*",)}
        names = Names([offer("a", "gpt-4o"), offer("b", "gpt-4o")], patterns, EMPTY)
        assert ids(names, "gpt-4o#a") == ["a/gpt-4o"]
        assert ids(names, "gpt-4o") == ["b/gpt-4o"]
        assert ids(names, "gpt-4o#gone") == ids(names, "x#gone") == []
        exact: Aliases = {**patterns, "gpt-4o#a": ("b/gpt-4o",)}
        assert ids(Names([offer("a"), offer("b")], exact, EMPTY), "gpt-4o#a") == ["b/gpt-4o"]

    def test_a_pattern_may_lead_to_one_model(self) -> None:
        """Every name that fits a pattern can stand for one model."""
        names = Names([offer("a", "x")], {"gpt-*": ("a/x",)}, EMPTY)
        assert ids(names, "gpt-4o") == ["a/x"]


class TestTheWhole:
    """Rules that hold for every name."""

    def test_all_that_is_listed_can_be_called(self, catalogue: Catalogue) -> None:
        """Each name of the model list leads to the target it is listed with."""
        hosts = ("openrouter", "openai", "groq", "nano-gpt", "github-models")
        names = Names([known(catalogue, name) for name in hosts], {"fast": ("openai/gpt-4o-mini",)}, catalogue)
        listed = names.listed()
        assert len(listed) > 1000
        for name, targets in listed.items():
            assert names.resolve(name) == targets, name

    def test_an_alias_that_leads_nowhere_is_not_listed(self) -> None:
        """The model list holds no name that would be refused."""
        names = Names([offer("a", "x")], {"good": ("a/x",), "bad": ("b/y",), "gpt-*": ("a/*",)}, EMPTY)
        assert list(names.listed()) == ["good", "a/x"]

    def test_invented_names_do_not_pile_up(self) -> None:
        """However many names clients invent, only so many are remembered."""
        names = Names([offer("a")], {}, EMPTY)
        for number in range(CACHE_NAMES * 2 + 10):
            names.resolve(f"a/{number}")
        assert len(names._known) <= CACHE_NAMES

    def test_an_overlong_name_leads_nowhere(self) -> None:
        """A name longer than any model's is not looked at, nor passed on, nor remembered."""
        names = Names([offer("a")], {"*": ("a/*",)}, EMPTY)
        assert ids(names, "a/" + "x" * 300) == []
        assert not names._known

    def test_a_name_leads_to_the_same_place_each_time(self, catalogue: Catalogue) -> None:
        """Remembering a name changes nothing about it."""
        names = Names([known(catalogue, "openai")], {}, catalogue)
        assert names.resolve("gpt-4o") == names.resolve("gpt-4o") != ()


MODEL = st.text("abAB01.-", min_size=1, max_size=7)


@given(st.lists(MODEL, min_size=1, max_size=8, unique=True), MODEL)
def test_no_two_models_of_a_host_share_a_spelling_silently(models: list[str], asked: str) -> None:
    """A name leads to a host's model only as written, or where its spelling fits that one model and no other."""
    found = Names([offer("host", *models, closed=True)], {}, EMPTY).resolve(asked)
    if asked in models:
        assert [target.model for target in found] == [asked]
        return
    by_plain = [model for model in models if plain(model) == plain(asked)]
    by_loose = [model for model in models if loose(model) == loose(asked)]
    fitting = by_plain or by_loose
    assert [target.model for target in found] == (fitting if len(fitting) == 1 else [])


@pytest.mark.parametrize("host", ["openrouter", "nano-gpt", "kilo", "vercel", "302ai", "poe", "llmgateway", "helicone"])
def test_every_id_of_the_catalogue_leads_to_itself(catalogue: Catalogue, host: str) -> None:
    """At each large host every id, asked for bare, with the host or with a pin, is that very model."""
    names = Names([known(catalogue, host)], {}, catalogue)
    for model in catalogue.models(host):
        for name in (model, f"{host}/{model}", f"{model}#{host}"):
            assert [target.model for target in names.resolve(name)] == [model], name
