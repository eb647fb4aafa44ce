"""A child inside its parent, as it is written (S08)."""

from typing import Any

import pytest

from tests.tenancy.kit import CREATED, TIERS, Base, family
from tollhouse.errors import InvalidRequest
from tollhouse.tenancy.rules import exceeds, is_wider, stray_kind, stray_model
from tollhouse.types.tenancy import Budget, Rates, Tier


def test_s08_a_budget_is_not_above_that_of_any_node_above(base: Base) -> None:
    """Not only the parent's: the organisation's binds a key three steps below, on making and on changing."""
    org, team, user, key, _ = family(base)
    base.do(lambda desk: desk.change(org, {"budget": {"limit_usd": "10", "period": "month"}}))
    for node_id in (team, user, key):
        with pytest.raises(InvalidRequest, match=r"more than the 10\.00 dollars a month") as caught:
            base.call("change", node_id, {"budget": {"limit_usd": "10.000000001", "period": "month"}})
        assert (caught.value.param, caught.value.code) == ("budget", "exceeds_parent")
    with pytest.raises(InvalidRequest):
        base.do(lambda desk: desk.create_key(user, {"name": "k", "budget": {"limit_usd": "11", "period": "day"}}))
    view = base.do(lambda desk: desk.change(key, {"budget": {"limit_usd": "10", "period": "month"}}))
    assert view.node.budget == Budget(10_000_000_000, "month")


@pytest.mark.parametrize(
    ("period", "outer", "comparable"),
    [
        ("day", "day", True),
        ("day", "week", True),
        ("day", "month", True),
        ("day", "total", True),
        ("week", "total", True),
        ("month", "total", True),
        ("total", "total", True),
        ("week", "month", False),
        ("month", "week", False),
        ("month", "day", False),
        ("total", "month", False),
    ],
)
def test_budgets_are_compared_where_one_period_lies_inside_the_other(
    period: str, outer: str, *, comparable: bool
) -> None:
    """A week may lie in two months and a month holds many days: there a larger amount can be less."""
    assert exceeds(Budget(2, period), Budget(1, outer)) is comparable
    assert not exceeds(Budget(1, period), Budget(1, outer))


@pytest.mark.parametrize(
    ("entries", "outer", "stray"),
    [
        (["gpt-4o"], None, None),
        (["gpt-4o"], ["gpt-4o", "o1"], None),
        (["gpt-5"], ["gpt-4o"], "gpt-5"),
        (["openai/gpt-4o"], ["openai/*"], None),
        (["anthropic/claude"], ["openai/*"], "anthropic/claude"),
        (["openai/gpt*"], ["openai/*"], None),
        (["openai/*"], ["openai/gpt*"], "openai/*"),
        (["openai/*"], ["openai/gpt-4o"], "openai/*"),
        (["openai/*"], ["*"], None),
        (["*"], ["*"], None),
        (["*"], ["openai/*"], "*"),
        (["gpt*"], ["gpt-4*"], "gpt*"),
        (["gpt-4*"], ["gpt*"], None),
        (["gpt"], ["gpt*"], None),
        (["openai/o1*"], ["openai/o1"], "openai/o1*"),
        (["gpt-4o"], ["openai/*"], None),
        (["openai/gpt-4o"], ["gpt-4o"], None),
        (["fast", "openai/x"], ["openai/*"], None),
        (["ok", "gpt-5"], ["ok"], "gpt-5"),
    ],
)
def test_s08_models_are_a_subset_where_that_can_be_said(
    entries: list[str], outer: list[str] | None, stray: str | None
) -> None:
    """Entries of one form are compared; of a model's name with its host and one without, the request decides."""
    assert stray_model(entries, outer) == stray


def test_s08_kinds_are_a_subset() -> None:
    """An endpoint has one name, so any that the wider list does not cover is outside it."""
    assert stray_kind(["embeddings"], None) is None
    assert stray_kind(["images/edits", "images/*"], ["images/*"]) is None
    assert stray_kind(["images/edits", "embeddings"], ["images/*"]) == "embeddings"
    assert stray_kind(["images/*"], ["images/edits"]) == "images/*"


def test_s08_models_and_kinds_of_a_child_are_inside_those_above(base: Base) -> None:
    """A key cannot be given a model or an endpoint that its organisation lacks, and null only inherits."""
    org, team, user, key, _ = family(base)
    base.do(lambda desk: desk.change(org, {"models": ["openai/*"], "kinds": ["chat/completions", "images/*"]}))
    for fields, param in (
        ({"models": ["openai/gpt-4o", "mistral/x"]}, "models"),
        ({"models": ["*"]}, "models"),
        ({"kinds": ["embeddings"]}, "kinds"),
        ({"kinds": ["*"]}, "kinds"),
    ):
        for work in ("change", "create_key"):
            target, given = (key, fields) if work == "change" else (user, {"name": "k", **fields})
            with pytest.raises(InvalidRequest) as caught:
                base.call(work, target, given)
            assert (caught.value.param, caught.value.code) == (param, "exceeds_parent")
    base.do(lambda desk: desk.change(team, {"models": None, "kinds": ["images/edits"]}))
    with pytest.raises(InvalidRequest):
        base.do(lambda desk: desk.change(key, {"kinds": ["images/*"]}))


def test_tightening_a_parent_is_never_refused_for_what_is_below(base: Base) -> None:
    """An operator can lower an organisation's budget and models at once; what is below keeps its rows, and is met."""
    org, _, _, key, _ = family(base)
    base.do(lambda desk: desk.change(key, {"budget": {"limit_usd": "9"}, "models": ["a/x"], "kinds": ["embeddings"]}))
    fields: dict[str, Any] = {"budget": {"limit_usd": "1"}, "models": ["b/*"], "kinds": ["chat/completions"]}
    view = base.do(lambda desk: desk.change(org, fields))
    assert view.node.budget == Budget(1_000_000_000)
    assert base.do(lambda desk: desk.change(key, {"name": "still"})).node.models == ("a/x",)


def test_s08_a_tier_is_not_wider_than_that_of_a_node_above(base: Base) -> None:
    """A key of a free organisation cannot be made paid; the organisation cannot fall below its keys' own tiers."""
    org, team, _, key, _ = family(base)
    base.do(lambda desk: desk.change(org, {"tier": "free"}))
    with pytest.raises(InvalidRequest, match="wider than the tier 'free'") as caught:
        base.do(lambda desk: desk.change(key, {"tier": "starter"}))
    assert caught.value.param == "tier"
    base.do(lambda desk: desk.change(org, {"tier": "starter"}))
    base.do(lambda desk: desk.change(key, {"tier": "starter"}))
    for node_id in (org, team):
        with pytest.raises(InvalidRequest, match="Change that one first"):
            base.call("change", node_id, {"tier": "free"})
    base.do(lambda desk: desk.change(key, {"tier": None}))
    base.do(lambda desk: desk.change(team, {"tier": "starter"}))
    with pytest.raises(InvalidRequest, match=team):
        base.do(lambda desk: desk.change(org, {"tier": "free"}))
    base.do(lambda desk: desk.change(team, {"tier": "free"}))
    base.do(lambda desk: desk.change(org, {"tier": "free"}))


@pytest.mark.parametrize(
    ("tier", "outer", "wider"),
    [
        ("free", "starter", False),
        ("starter", "free", True),
        ("free", "paid", False),
        ("paid", "free", True),
        ("free", "free", False),
        ("gone", "free", False),
        ("free", "gone", False),
    ],
)
def test_tiers_are_compared_in_each_dimension(tier: str, outer: str, *, wider: bool) -> None:
    """More of anything is wider; no limit is the most; a limit that is only flagged binds nobody."""
    assert is_wider(tier, outer, TIERS) is wider


def test_limits_of_single_models_count_in_the_comparison() -> None:
    """A tier that is equal in all but one model's limit is wider when that limit is."""
    narrow = Tier("narrow", per_model=Rates(requests_per_minute=5), models={"big": Rates(requests_per_minute=1)})
    same = Tier("same", per_model=Rates(requests_per_minute=5))
    soft = Tier("soft", per_model=Rates(requests_per_minute=5, soft=frozenset({"requests"})))
    tiers = {"narrow": narrow, "same": same, "soft": soft}
    assert is_wider("same", "narrow", tiers)
    assert not is_wider("narrow", "same", tiers)
    assert is_wider("soft", "same", tiers)
    assert not is_wider("same", "soft", tiers)


def test_a_tier_or_an_endpoint_that_does_not_exist_is_refused(base: Base) -> None:
    """A misspelt name is an error when it is written, not a key that may call nothing."""
    *_, key, _ = family(base)
    for fields, param in (
        ({"tier": "gold"}, "tier"),
        ({"kinds": ["embedding"]}, "kinds"),
        ({"kinds": ["x/*"]}, "kinds"),
    ):
        with pytest.raises(InvalidRequest, match="There is no") as caught:
            base.call("change", key, fields)
        assert (caught.value.param, caught.value.code) == (param, "invalid_value")
    assert base.do(lambda desk: desk.change(key, {"kinds": ["images/*", "embeddings"], "tier": "paid"})).node.kinds


@pytest.mark.parametrize(
    ("kind", "parent"),
    [("team", "team"), ("team", "user"), ("team", "key"), ("user", "user"), ("user", "key"), ("key", "key")],
)
def test_a_node_hangs_only_where_its_kind_may(base: Base, kind: str, parent: str) -> None:
    """A team belongs to an organisation, a user to a team or organisation, a key to any of the three."""
    org, team, user, key, _ = family(base)
    parents = {"org": org, "team": team, "user": user, "key": key}
    before = base.dump()
    with pytest.raises(InvalidRequest, match="cannot belong") as caught:
        base.call(CREATED[kind], parents[parent], {"name": "x"})
    assert caught.value.param == "parent_id"
    assert base.dump() == before
