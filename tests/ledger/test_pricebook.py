"""Which price counts: who said it, for exactly which model, from when."""

import pytest

from tollhouse.errors import Unpriced
from tollhouse.ledger.pricebook import MAX_KNOWN, PriceBook
from tollhouse.ledger.prices import PriceVersion, make_price
from tollhouse.types.calls import Host, ModelFacts, Prices, PriceTier, Target, Usage

FAR = Host("far", "https://api.far.example/v1")
NEAR = Host("near", "http://127.0.0.1:8000/v1")
LISTED = ModelFacts("m", "m", prices=Prices(input=100, output=200))


def admin(rate: int, effective_from: int = 0, *, host: str = "far", model: str = "m") -> PriceVersion:
    """A price that an admin has set."""
    version = make_price(host, model, Prices(rate, rate), source="admin", effective_from=effective_from)
    assert version is not None
    return version


def host(name: str = "far", *, free: bool | None = None, free_kinds: tuple[str, ...] = ()) -> Host:
    """A host far away."""
    return Host(name, "https://api.far.example/v1", free=free, free_kinds=free_kinds)


def test_the_catalogue_prices_what_nobody_else_did() -> None:
    """A listed model has its listed price, tiers included."""
    facts = ModelFacts("m", "m", prices=LISTED.prices, tiers=(PriceTier(1000, Prices(input=300)),))
    version = PriceBook().of(Target(FAR, "m", facts), 0)
    assert (version.source, version.rates.input, version.tiers[0].rates.input) == ("catalogue", 100, 300)


def test_the_admins_price_goes_before_all_others() -> None:
    """What an admin set counts over the file, the catalogue and a free host."""
    stated = ModelFacts("m", "m", prices=Prices(1, 1), prices_from="config")
    for target in (Target(FAR, "m", LISTED), Target(host(free=True), "m", stated)):
        assert PriceBook([admin(7)]).of(target, 0).source == "admin"


def test_f112_the_latest_effective_price_counts_and_the_version_of_a_hold_stays() -> None:
    """A price takes effect at its second; whoever holds the version before keeps it."""
    book = PriceBook([admin(2, 200), admin(1, 100)])
    target = Target(FAR, "m", LISTED)
    assert [book.of(target, at_s).rates.input for at_s in (99, 100, 199, 200, 10**10, 150, 0)] == [
        *(100, 1, 1, 2, 2, 1, 100)
    ]
    held = book.of(target, 150)
    book.add(admin(9, 100))
    assert book.of(target, 150).rates.input == 9
    assert held.rates.input == 1


@pytest.mark.parametrize(("name", "model"), [("far", "m-mini"), ("far", "M"), ("far", "vendor/m"), ("farther", "m")])
def test_a9_a_price_is_of_exactly_one_host_and_model(name: str, model: str) -> None:
    """No prefix, case or vendor's name makes one model's price another's."""
    with pytest.raises(Unpriced):
        PriceBook([admin(1)]).of(Target(host(name), model), 0)


def test_a8_an_unpriced_model_is_refused_and_told_how_to_price_it() -> None:
    """A model without a price is never free by accident."""
    with pytest.raises(Unpriced) as caught:
        PriceBook().of(Target(FAR, "new-model"), 0)
    assert caught.value.status == 403
    assert caught.value.code == "model_unpriced"
    assert "input_usd_per_1m" in caught.value.message
    assert PriceBook(unpriced="free").of(Target(FAR, "new-model"), 0).free


def test_a_model_with_charges_of_unknown_unit_is_unpriced() -> None:
    """The catalogue's charge for each request has no unit, so its tokens' prices are not the whole price."""
    facts = ModelFacts("m", "m", prices=LISTED.prices, unstated_prices=("request",))
    with pytest.raises(Unpriced):
        PriceBook().of(Target(FAR, "m", facts), 0)
    stated = ModelFacts("m", "m", prices=LISTED.prices, unstated_prices=("request",), prices_from="config")
    assert PriceBook().of(Target(FAR, "m", stated), 0).source == "config"


def test_a_host_of_this_machine_is_free_where_nothing_prices_it() -> None:
    """A local engine costs nothing, unless the operator says otherwise or the model has a price."""
    assert PriceBook().of(Target(NEAR, "anything"), 0).free
    assert not PriceBook().of(Target(NEAR, "m", LISTED), 0).free
    with pytest.raises(Unpriced):
        PriceBook().of(Target(Host("near", NEAR.base_url, free=False), "anything"), 0)


def test_a_host_called_free_is_free_but_for_what_the_operator_priced() -> None:
    """``free = true`` puts the catalogue aside; a model priced in the same file keeps its price."""
    gift = host(free=True)
    assert PriceBook().of(Target(gift, "m", LISTED), 0).free
    stated = ModelFacts("m", "m", prices=Prices(1, 1), prices_from="config")
    assert PriceBook().of(Target(gift, "m", stated), 0).rates.input == 1


def test_an_endpoint_that_the_vendor_gives_away_is_free() -> None:
    """OpenAI's moderations cost nothing, listed or not; its other endpoints do."""
    openai = host("openai", free_kinds=("moderations",))
    book = PriceBook()
    for target in (Target(openai, "omni-moderation-latest"), Target(openai, "m", LISTED)):
        assert book.of(target, 0, "moderations").free
        assert book.of(target, 0, "moderations") is book.of(target, 0, "moderations")
    assert not book.of(Target(openai, "m", LISTED), 0, "embeddings").free
    priced = PriceBook([admin(5, host="openai")])
    assert priced.of(Target(openai, "m", LISTED), 0, "moderations").rates.input == 5


def test_a_price_is_found_once_and_a_change_is_seen_at_once() -> None:
    """The same version comes back for the same target; replacing the admin's prices forgets it."""
    book, target = PriceBook(), Target(FAR, "m", LISTED)
    first = book.of(target, 1)
    assert book.of(target, 2) is first
    book.replace([admin(3)])
    assert book.of(target, 2).rates.input == 3
    book.replace([])
    assert book.of(target, 2).digest == first.digest


def test_invented_models_do_not_fill_the_memory() -> None:
    """However many targets are asked for, a bounded number is remembered."""
    book = PriceBook()
    kept = [Target(host(free_kinds=("moderations",)), f"m{number}") for number in range(MAX_KNOWN + 10)]
    for target in kept:
        assert book.of(target, 0, "moderations").free
    assert len(book._known) <= MAX_KNOWN
    assert len(book._free) <= MAX_KNOWN


def test_models_that_clients_invent_share_one_free_version() -> None:
    """A version is written down for ever: names that nobody knows, on a host that is free, do not make one each."""
    book = PriceBook()
    first, second = (book.of(Target(NEAR, name), 0) for name in ("invented", "another"))
    known = book.of(Target(NEAR, "known", ModelFacts("known", "known")), 0)
    assert first.digest == second.digest
    assert known.digest != first.digest
    assert all(version.charge(Usage(input=9, output=9)) == 0 for version in (first, second, known))
