"""What an operator says of prices: dollars per million, exact, and nothing that could be a slip of the unit."""

from pathlib import Path

import pytest

from tests.settings.reader import faults, read
from tollhouse.settings.provider_keys import ModelPatch
from tollhouse.types.calls import Prices, PriceTier

HEAD = '[providers.openai]\napi_key = "k"\n[providers.openai.models.m]\n'


def patch(folder: Path, rows: str) -> ModelPatch:
    """What these rows say of a model."""
    return read(folder, HEAD + rows).providers["openai"].models["m"]


def test_every_class_of_price_can_be_stated(tmp_path: Path) -> None:
    """Tokens per million, images and requests by the piece, all kept as integer pico-USD."""
    rows = """
    input_usd_per_1m = 1
    output_usd_per_1m = 2
    cache_read_usd_per_1m = 0.1
    cache_write_usd_per_1m = 1.25
    cache_write_1h_usd_per_1m = 2
    reasoning_usd_per_1m = 3
    input_audio_usd_per_1m = 40
    output_audio_usd_per_1m = 80.000001
    usd_per_image = 0.04
    usd_per_request = 0.000000000001
    """
    stated = Prices(**patch(tmp_path, rows).prices)
    assert stated == Prices(
        input=1_000_000,
        output=2_000_000,
        cache_read=100_000,
        cache_write=1_250_000,
        cache_write_1h=2_000_000,
        reasoning=3_000_000,
        input_audio=40_000_000,
        output_audio=80_000_001,
        image=40_000_000_000,
        request=1,
    )


def test_a_model_says_by_which_api_it_is_asked(tmp_path: Path) -> None:
    """``provider`` is a fact of the model, over what the catalogue says of it."""
    assert patch(tmp_path, 'provider = "responses"').facts == {"provider": "responses"}
    assert "providers.openai.models.m.provider" in faults(tmp_path, HEAD + 'provider = "nobody"')


def test_tiers_are_read_by_rising_length(tmp_path: Path) -> None:
    """Each tier says from which length on its prices count."""
    rows = "tiers = [{above_tokens = 200000, input_usd_per_1m = 6}, {above_tokens = 100, output_usd_per_1m = 3}]"
    assert patch(tmp_path, rows).tiers == (
        PriceTier(100, Prices(output=3_000_000)),
        PriceTier(200_000, Prices(input=6_000_000)),
    )


def test_the_catalogues_tiers_go_with_the_catalogues_prices(tmp_path: Path) -> None:
    """Who states the price of input or output states all of it; another class leaves the tiers as they are."""
    assert patch(tmp_path, "input_usd_per_1m = 1").tiers == ()
    assert patch(tmp_path, "cache_read_usd_per_1m = 1").tiers is None
    assert patch(tmp_path, "context_tokens = 5").tiers is None
    assert patch(tmp_path, "tiers = []").tiers == ()


@pytest.mark.parametrize(
    "row",
    [
        "input_usd_per_1m = 0.0000025",
        "input_usd_per_1m = 2000000",
        "input_usd_per_1m = nan",
        "input_usd_per_1m = inf",
        "usd_per_image = -1",
        "usd_per_image = 1e-13",
        "usd_per_request = 20000",
        "tiers = 5",
        "tiers = [5]",
        "tiers = [{}]",
        "tiers = [{input_usd_per_1m = 5}]",
        "tiers = [{above_tokens = 0}]",
        "tiers = [{above_tokens = 5, usd_per_image = 1}]",
        "tiers = [{above_tokens = 5}, {above_tokens = 5}]",
        "tiers = [{above_tokens = 5, input_usd_per_1m = -1}]",
        "usd_per_1m = 5",
    ],
)
def test_s43_a_price_that_cannot_be_meant_is_refused(tmp_path: Path, row: str) -> None:
    """Negative, endless, absurd or misplaced prices are faults of the file, each with its path."""
    assert all(path.startswith("providers.openai.models.m.") for path in faults(tmp_path, HEAD + row))


def test_a10_a_price_per_token_is_recognised(tmp_path: Path) -> None:
    """Whoever writes dollars per token is told the unit."""
    (problem,) = faults(tmp_path, HEAD + "input_usd_per_1m = 0.0000025").values()
    assert "per 1M tokens" in problem.fix


def test_a_host_may_be_free_or_not_or_say_nothing(tmp_path: Path) -> None:
    """Only what is written is taken for a statement."""
    text = '[providers.openai]\napi_key = "k"\n'
    found = [read(tmp_path, text + row).providers["openai"].free for row in ("free = true", "free = false", "")]
    assert found == [True, False, None]


def test_what_happens_when_a_client_leaves_is_a_hosts_own(tmp_path: Path) -> None:
    """A5: cancel by default, drain for a host that bills the whole answer."""
    text = '[providers.openai]\napi_key = "k"\n'
    assert read(tmp_path, text).providers["openai"].on_disconnect == "cancel"
    assert read(tmp_path, text + 'on_disconnect = "drain"').providers["openai"].on_disconnect == "drain"
    assert "providers.openai.on_disconnect" in faults(tmp_path, text + 'on_disconnect = "pay"')
