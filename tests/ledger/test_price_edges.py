"""Prices at their edges: what is stated by nobody, what costs nothing, and what is remembered of them."""

import pytest

from tollhouse.errors import Unpriced
from tollhouse.ledger.price_bodies import Rates, Tier
from tollhouse.ledger.pricebook import EVERY_MODEL, MAX_KNOWN, PriceBook
from tollhouse.ledger.prices import MOST_TOKENS, PriceVersion, free_price, make_price
from tollhouse.types.calls import Host, ModelFacts, Prices, PriceTier, Target, Usage

CLASSES = Rates.__struct_fields__
FAR = Host("far", "https://api.far.example/v1")
LISTED = ModelFacts("m", "m", prices=Prices(input=100, output=200))


def made(prices: Prices, *tiers: PriceTier) -> PriceVersion:
    """The version of these prices."""
    version = make_price("h", "m", prices, source="config", tiers=tiers)
    assert version is not None
    return version


def test_what_nobody_stated_is_zero() -> None:
    """A version without a time has always been so; without tokens, images or requests priced, those cost nothing."""
    version = made(Prices(image=5))
    assert (version.effective_from, version.rates, version.tiers) == (0, Rates(*[0] * 8), ())
    assert (version.image, version.request, version.free) == (5, 0, False)
    version = made(Prices(request=7))
    assert (version.image, version.request, version.rates) == (0, 7, Rates())
    version = made(Prices(input=1, output=2))
    assert (version.image, version.request) == (0, 0)


def test_what_is_free_has_no_price_in_any_class() -> None:
    """Each class by itself, images and requests too, for ever."""
    version = free_price("h", "m")
    assert (version.effective_from, version.image, version.request, version.source) == (0, 0, 0, "free")
    assert [getattr(version.rates, name) for name in CLASSES] == [0] * len(CLASSES)
    assert (version.host, version.model, version.free, version.tiers) == ("h", "m", True, ())


def test_tiers_are_sorted_by_length() -> None:
    """In whatever order they are stated, the longest prompt has the last."""
    long, longer = PriceTier(200, Prices(input=3_000)), PriceTier(900, Prices(input=5_000))
    version = made(Prices(input=1_000, output=2_000), longer, long)
    assert [tier.above_tokens for tier in version.tiers] == [200, 900]
    assert [version.charge(Usage(input=count)) for count in (200, 201, 900, 901)] == [200, 603, 2_700, 4_505]
    assert version.digest == made(Prices(input=1_000, output=2_000), long, longer).digest


def test_a_model_without_token_prices_has_no_tiers() -> None:
    """Tiers of what is charged by the image alone mean nothing."""
    assert made(Prices(image=5), PriceTier(200, Prices(input=3_000))).tiers == ()


@pytest.mark.parametrize(
    ("prices", "tiers", "by_image", "nothing"),
    [
        (Prices(0, 0), (), True, True),
        (Prices(1, 0), (), False, False),
        (Prices(0, 1), (), False, False),
        (Prices(0, 0, input_audio=1), (), False, False),
        (Prices(0, 0, output_audio=1), (), False, False),
        (Prices(0, 0), (PriceTier(9, Prices(input=1)),), False, False),
        (Prices(0, 0), (PriceTier(9, Prices(output=1)),), False, False),
        (Prices(0, 0, image=1), (), True, False),
        (Prices(0, 0, request=1), (), True, False),
        (Prices(1, 1, image=1, request=1), (), False, False),
    ],
)
def test_what_costs_nothing_is_known(
    prices: Prices, tiers: tuple[PriceTier, ...], *, by_image: bool, nothing: bool
) -> None:
    """Only where no class in any tier, no image and no request has a price."""
    version = made(prices, *tiers)
    assert (version.by_image, version.nothing) == (by_image, nothing)


def test_what_is_left_bounds_the_answer() -> None:
    """Of one answer, unless several are asked for; 0 where not even the prompt is affordable, to the nano-USD."""
    version = made(Prices(input=1_000, output=2_000, request=3_000))
    assert version.affordable_output(10, 33) == 10
    assert version.affordable_output(10, 33, 2) == 5
    assert version.affordable_output(10, 13) == 0
    assert version.affordable_output(10, 12) == 0
    assert version.affordable_output(10, 15) == 1
    assert made(Prices(input=1_000, output=0)).affordable_output(10, 10) == MOST_TOKENS
    assert made(Prices(input=1_000, output=0)).affordable_output(10, 9) == 0
    assert made(Prices(input=1, output=2)).affordable_output(1_001, 1) == 0
    assert made(Prices(input=0, output=1)).affordable_output(10, 10**9) == MOST_TOKENS


def test_the_bound_of_an_empty_prompt_is_that_of_the_answer() -> None:
    """A prompt of no token meets the lowest tier."""
    version = made(Prices(input=1_000, output=2_000), PriceTier(5, Prices(output=9_000)))
    assert (version.bound(0, 1), version.bound(5, 1), version.bound(6, 1)) == (2, 7, 15)
    assert version.tiers == (Tier(5, version.tiers[0].rates),)


# --- what a book remembers -----------------------------------------------------------------------------------------


def free_host() -> Host:
    """A host that gives an endpoint away."""
    return Host("far", "https://api.far.example/v1", free_kinds=("moderations",))


def test_the_prices_of_several_targets_are_remembered() -> None:
    """The same version comes back after others were asked for, of paid and of free endpoints."""
    book = PriceBook()
    one, other = Target(FAR, "m", LISTED), Target(FAR, "n", LISTED)
    first = book.of(one, 0)
    assert book.of(other, 0).model == "n"
    assert book.of(one, 0) is first
    gift, second = Target(free_host(), "m"), Target(free_host(), "n")
    given = book.of(gift, 0, "moderations")
    assert book.of(second, 0, "moderations").model == "n"
    assert book.of(gift, 0, "moderations") is given


def test_exactly_so_many_targets_are_remembered() -> None:
    """With one more the memory is emptied before it is kept."""
    book = PriceBook()
    targets = [Target(free_host(), f"m{number}") for number in range(MAX_KNOWN + 1)]
    for target in targets[:-1]:
        book.of(target, 0, "moderations")
    assert (len(book._known), len(book._free)) == (MAX_KNOWN, MAX_KNOWN)
    book.of(targets[-1], 0, "moderations")
    assert (len(book._known), len(book._free)) == (1, 1)


def test_a_target_that_has_the_address_of_another_is_not_taken_for_it() -> None:
    """Addresses are used again: what is remembered is of the very target that was asked for."""
    book = PriceBook()
    gone, here = Target(FAR, "gone", LISTED), Target(FAR, "here", LISTED)
    book.of(gone, 0)
    book._known[id(here)] = book._known[id(gone)]
    assert book.of(here, 0).model == "here"
    gift, taker = Target(free_host(), "gone"), Target(free_host(), "here")
    book._free[id(taker)] = (gift, book.of(gift, 0, "moderations"))
    assert book.of(taker, 0, "moderations").model == "here"


# --- hosts of this machine -----------------------------------------------------------------------------------------


def local(prices: Prices | None, source: str = "config", *, free: bool | None = None) -> Target:
    """A model of a host on this machine."""
    facts = None if prices is None else ModelFacts("m", "m", prices=prices, prices_from=source)
    return Target(Host("near", "http://127.0.0.1:8000/v1", free=free), "m", facts)


def test_half_a_price_in_the_file_is_not_taken_for_a_gift() -> None:
    """Who writes one of two prices for a local model wants it paid: it is refused, unless the host is called free."""
    with pytest.raises(Unpriced):
        PriceBook().of(local(Prices(input=3)), 0)
    assert PriceBook().of(local(Prices(input=3), free=True), 0).free
    assert PriceBook(unpriced="free").of(local(Prices(input=3)), 0).free
    for known in (local(Prices(input=3), "catalogue"), local(Prices(), "catalogue"), local(None)):
        assert PriceBook().of(known, 0).free
    whole = PriceBook().of(local(Prices(input=3, output=4)), 0)
    assert (whole.free, whole.rates.input) == (False, 3)


def test_free_models_that_nobody_knows_share_one_version() -> None:
    """A version is for ever: names that clients invent make no new ones; a model that is known has its own."""
    host = Host("near", "http://127.0.0.1:8000/v1")
    invented = [PriceBook().of(Target(host, name), 0) for name in ("a", "b")]
    assert invented[0].digest == invented[1].digest
    assert invented[0].model == EVERY_MODEL
    assert PriceBook().of(local(Prices(), "catalogue"), 0).model == "m"


def test_a_bound_is_of_the_dearest_that_a_request_can_meet() -> None:
    """Of audio unless it is said that there is none, and of images where there are some; what is left buys as much."""
    version = made(Prices(input=1_000, output=2_000, input_audio=5_000, output_audio=7_000, image=11_000))
    assert version.bound(10, 20) == 10 * 5 + 20 * 7
    assert version.bound(10, 20, 3) == 10 * 5 + 20 * 7 + 3 * 11
    assert version.bound(10, 20, audio=False) == 10 + 20 * 2
    assert version.affordable_output(10, 190) == 20
    assert version.affordable_output(10, 190, 2) == 10
    assert version.affordable_output(10, 190, audio=False) == 90
