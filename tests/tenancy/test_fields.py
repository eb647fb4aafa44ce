"""Single fields: what an operator may set, and what is refused before anything is looked at."""

from typing import Any

import pytest

from tests.tenancy.kit import CREATED, Base, family
from tollhouse.errors import InvalidRequest
from tollhouse.tenancy.fields import FIELDS, read_fields
from tollhouse.types.money import MAX_NUSD
from tollhouse.types.tenancy import Budget

COLUMNS = (
    "number", "id", "kind", "parent", "parent_id", "created_at", "budget_nusd", "budget_period", "budget_zone",
    "disabled_at", "disabled_reason", "digest", "hint", "key", "posted", "allow_debt", "role", "price", "payer",
)  # fmt: skip


@pytest.mark.parametrize("kind", FIELDS)
def test_s07_no_column_can_be_set_that_is_not_on_the_list(base: Base, kind: str) -> None:
    """Mass assignment fails for every other column, of every kind of node, on making and on changing, and writes
    nothing, also of the good fields beside it.
    """
    org, team, user, key, _ = family(base)
    own = {"org": org, "team": team, "user": user, "key": key}[kind]
    strange = [*COLUMNS, *(set().union(*FIELDS.values()) - set(FIELDS[kind])), "name; DROP TABLE node", "__class__"]
    before = base.dump()
    for column in strange:
        fields = {"name": "taken", column: 1}
        with pytest.raises(InvalidRequest) as caught:
            base.call("change", own, fields)
        assert (caught.value.param, caught.value.code) == (column, "unknown_parameter")
        with pytest.raises(InvalidRequest, match="Unknown parameter"):
            base.call(CREATED[kind], *(() if kind == "org" else (org,)), fields)
    assert base.dump() == before


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"name": ""}, "name", "empty_string"),
        ({"name": "   "}, "name", "invalid_value"),
        ({"name": "x" * 201}, "name", "string_above_max_length"),
        ({"name": "a\nb"}, "name", "invalid_value"),
        ({"name": "a\x1b[31m"}, "name", "invalid_value"),
        ({"name": "\u202egpj.exe"}, "name", "invalid_value"),
        ({"name": "\ud800"}, "name", "invalid_value"),
        ({"name": None}, "name", "invalid_type"),
        ({"name": 7}, "name", "invalid_type"),
        ({"owner": None}, "owner", "invalid_type"),
        ({"owner": "a\tb"}, "owner", "invalid_value"),
        ({"permission": "root"}, "permission", "invalid_value"),
        ({"permission": None}, "permission", "invalid_type"),
        ({"models": []}, "models", "empty_array"),
        ({"models": "openai/*"}, "models", "invalid_type"),
        ({"models": ["a b"]}, "models[0]", "invalid_value"),
        ({"models": ["ok", "a*b"]}, "models[1]", "invalid_value"),
        ({"models": ["a**"]}, "models[0]", "invalid_value"),
        ({"models": ["x" * 257]}, "models[0]", "string_above_max_length"),
        ({"models": ["m"] * 1001}, "models", "array_above_max_length"),
        ({"models": [1]}, "models[0]", "invalid_type"),
        ({"kinds": []}, "kinds", "empty_array"),
        ({"tier": ""}, "tier", "empty_string"),
        ({"expires_at": -1}, "expires_at", "integer_below_min_value"),
        ({"expires_at": 1 << 63}, "expires_at", "integer_above_max_value"),
        ({"expires_at": 1.5}, "expires_at", "invalid_type"),
        ({"expires_at": True}, "expires_at", "invalid_type"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(fields: dict[str, Any], param: str, code: str) -> None:
    """The error names the field, down to the item of a list, and the rule that it breaks."""
    with pytest.raises(InvalidRequest) as caught:
        read_fields("key", fields)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    ("budget", "param"),
    [
        ({"limit_usd": "-1"}, "budget.limit_usd"),
        ({"limit_usd": "0"}, "budget.limit_usd"),
        ({"limit_usd": "0.0000000001"}, "budget.limit_usd"),
        ({"limit_usd": "1000000000.000000001"}, "budget.limit_usd"),
        ({"limit_usd": "9" * 5000}, "budget.limit_usd"),
        ({"limit_usd": "9e999999"}, "budget.limit_usd"),
        ({"limit_usd": "NaN"}, "budget.limit_usd"),
        ({"limit_usd": "Infinity"}, "budget.limit_usd"),
        ({"limit_usd": "\u0661"}, "budget.limit_usd"),
        ({"limit_usd": ""}, "budget.limit_usd"),
        ({"limit_usd": 5}, "budget.limit_usd"),
        ({"limit_nusd": -1}, "budget.limit_nusd"),
        ({"limit_nusd": 0}, "budget.limit_nusd"),
        ({"limit_nusd": MAX_NUSD + 1}, "budget.limit_nusd"),
        ({"limit_nusd": 1.0}, "budget.limit_nusd"),
        ({"limit_nusd": True}, "budget.limit_nusd"),
        ({"limit_nusd": 1, "limit_usd": "1"}, "budget.limit_nusd"),
        ({}, "budget.limit_usd"),
        ({"limit_usd": "1", "period": "year"}, "budget.period"),
        ({"limit_usd": "1", "period": None}, "budget.period"),
        ({"limit_usd": "1", "zone": "Mars/Olympus"}, "budget.zone"),
        ({"limit_usd": "1", "zone": "../../etc/passwd"}, "budget.zone"),
        ({"limit_usd": "1", "zone": "/etc/localtime"}, "budget.zone"),
        ({"limit_usd": "1", "zone": "Europe"}, "budget.zone"),
        ({"limit_usd": "1", "zone": "localtime"}, "budget.zone"),
        ({"limit_usd": "1", "zone": "Europe/Berlin\0"}, "budget.zone"),
        ({"limit_usd": "1", "zone": ""}, "budget.zone"),
        ({"limit_usd": "1", "zone": 1}, "budget.zone"),
        ({"limit_usd": "1", "spent": 0}, "budget.spent"),
        ("5", "budget"),
        (Budget(0), "budget.limit_nusd"),
        (Budget(1, "total", "Nowhere"), "budget.zone"),
    ],
)
def test_s43_a_budget_is_a_sane_amount_in_a_known_period_and_zone(budget: Any, param: str) -> None:
    """Negative, zero, huge, fractional, unreadable and doubled amounts are refused, and so are zones that are none."""
    with pytest.raises(InvalidRequest) as caught:
        read_fields("team", {"budget": budget})
    assert caught.value.param == param
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("budget", "read"),
    [
        ({"limit_usd": "5"}, Budget(5_000_000_000)),
        (
            {"limit_usd": "0.000000001", "period": "day", "zone": "America/Sao_Paulo"},
            Budget(1, "day", "America/Sao_Paulo"),
        ),
        ({"limit_usd": "1000000000"}, Budget(MAX_NUSD)),
        ({"limit_nusd": 7, "period": "week"}, Budget(7, "week")),
        (Budget(7, "month", "Asia/Kolkata"), Budget(7, "month", "Asia/Kolkata")),
        (None, None),
    ],
)
def test_a_budget_is_read_to_the_billionth(budget: Any, read: Budget | None) -> None:
    """Dollars as text and nano-dollars as an integer say the same; null takes the budget away."""
    assert read_fields("team", {"budget": budget}) == {"budget": read}


def test_texts_are_trimmed_and_lists_hold_each_entry_once() -> None:
    """What is kept is what was meant, in the order given."""
    assert read_fields("key", {"name": " a b ", "owner": " x "}) == {"name": "a b", "owner": "x"}
    assert read_fields("key", {"models": ["b", "a/*", "b", "*"]}) == {"models": ("b", "a/*", "*")}
    assert read_fields("key", {"models": None, "kinds": None, "tier": None, "expires_at": None}) == dict.fromkeys(
        ("models", "kinds", "tier", "expires_at")
    )
