"""The pages of models."""

import pytest

from tests.fakes.door import opened
from tollhouse.gateway.models import decimal_usd, price_list
from tollhouse.types.calls import Prices

CONFIG = '[providers.openai]\napi_key = "sk-test-0123456789"\n[models]\nfast-chat = "openai/gpt-4o-mini"\n'


async def test_every_listed_name_can_be_retrieved_and_says_what_it_costs() -> None:
    """Each id of the list is a page of its own, with OpenAI's fields and the catalogue's."""
    async with opened(CONFIG) as door:
        listed = (await door.get("/v1/models")).json
        assert listed["object"] == "list"
        ids = [model["id"] for model in listed["data"]]
        assert ids[0] == "fast-chat"
        assert {"openai/gpt-4o-mini", "tollhouse/sim"} <= set(ids)
        assert len(ids) == len(set(ids))
        for model in listed["data"]:
            assert {"id", "object", "created", "owned_by"} <= set(model)
            assert model["object"] == "model"
            assert (await door.get(f"/v1/models/{model['id']}")).json == model


async def test_an_alias_shows_where_it_leads() -> None:
    """The page of an alias holds the limits, prices and abilities of its target."""
    async with opened(CONFIG) as door:
        model = (await door.get("/v1/models/fast-chat")).json
        assert model["targets"] == ["openai/gpt-4o-mini"]
        assert model["context_length"] == 128_000
        assert model["pricing"]["input"] == "0.00000015"
        assert model["abilities"]["tools"] is True
        assert (await door.get("/models//fast-chat/")).json == model


async def test_an_unknown_model_has_no_page() -> None:
    """A name that cannot be called is a 404, for DELETE too, which is not a method here."""
    async with opened(CONFIG) as door:
        answer = await door.get("/v1/models/nope")
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("pico", "text"),
    [(0, "0"), (150_000, "0.00000015"), (37_500, "0.0000000375"), (10**12, "1"), (1, "0.000000000001")],
)
def test_prices_are_exact_decimals(pico: int, text: str) -> None:
    """A price is shown as the decimal it is."""
    assert decimal_usd(pico) == text


def test_a_missing_price_is_not_a_price_of_zero() -> None:
    """Unknown classes are left out; a model without any price has none."""
    assert price_list(Prices()) is None
    assert price_list(Prices(input=0)) == {"input": "0"}
