"""How a child stays inside its parent (CVE-2026-47101), as far as it can be said when it is written. Pure.

Called by `tenancy.desk` with the rows that the transaction sees. Tightening a parent is never refused for budgets,
models, kinds and safety policies: what a request may do is the meet of its chain, whatever the nodes below say. Of
tiers the nearest binds alone, so there a parent is not set below its children.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from tollhouse.errors import InvalidRequest
from tollhouse.tenancy.directory import covers
from tollhouse.tenancy.fields import Fields
from tollhouse.types.money import format_usd
from tollhouse.types.tenancy import PERIODS, Budget, Node, Rates, Tier
from tollhouse.validate.spelling import join_words, shorten

PARENTS: Mapping[str, tuple[str, ...]] = {
    "org": (),
    "team": ("org",),
    "user": ("org", "team"),
    "key": ("org", "team", "user"),
}
"""What a node of each kind may hang on."""
_INSIDE = {"total": ("total",), "month": ("month", "total"), "week": ("week", "total"), "day": PERIODS}
"""The periods that a period lies inside of: there two budgets can be compared by their amounts."""
_DIMENSIONS = (
    ("requests_per_minute", "requests"),
    ("tokens_per_minute", "tokens"),
    ("concurrent", "concurrent"),
)

Tiers = Mapping[str, Tier]


def check_parent(kind: str, parent: Node) -> None:
    """Raises `InvalidRequest` where a node cannot hang on another."""
    if parent.kind not in PARENTS[kind]:
        raise InvalidRequest(
            f"A {kind} cannot belong to a {parent.kind}; it belongs to one of: {', '.join(PARENTS[kind])}.",
            param="parent_id",
            code="invalid_value",
        )


def check_inside(fields: Fields, above: Sequence[Node], tiers: Tiers | None) -> None:
    """Raises `InvalidRequest` where fields exceed what the nodes above a node have, nearest first."""
    for parent in above:
        budget, outer = fields.get("budget"), parent.budget
        if budget is not None and outer is not None and exceeds(budget, outer):
            _refuse("budget", f"more than the {_spell(outer)} of {parent.id}")
        for name, stray in (
            ("models", stray_model(fields.get("models") or (), parent.models)),
            ("kinds", stray_kind(fields.get("kinds") or (), parent.kinds)),
        ):
            if stray is not None:
                _refuse(name, f"'{shorten(stray)}', which {parent.id} may not use")
        if (tier := fields.get("tier")) is not None and parent.tier is not None:
            check_tier(tier, parent.tier, parent.id, tiers)


def check_tiers_below(tier: str, below: Iterable[Node], tiers: Tiers | None) -> None:
    """Raises `InvalidRequest` where a node below has a tier of its own that is wider than the one to be set."""
    for node in below:
        if node.tier is not None and tiers is not None and is_wider(node.tier, tier, tiers):
            raise InvalidRequest(
                f"{node.id} below has the tier '{node.tier}', which is wider than '{tier}'. Change that one first.",
                param="tier",
                code="exceeds_parent",
            )


def check_tier(tier: str, outer: str, owner: str, tiers: Tiers | None) -> None:
    """Raises `InvalidRequest` where a tier is wider than that of a node above."""
    if tiers is not None and is_wider(tier, outer, tiers):
        _refuse("tier", f"wider than the tier '{outer}' of {owner}")


def check_known(
    fields: Fields, tiers: Tiers | None, kinds: frozenset[str] | None, policies: Collection[str] | None = None
) -> None:
    """Raises `InvalidRequest` for a tier, an endpoint kind or a safety policy that does not exist. Of None all pass."""
    policy = fields.get("safety")
    if policy is not None and policies is not None and policy not in policies:
        message = f"There is no safety policy '{shorten(policy)}'. Known are: {join_words(sorted(policies))}."
        raise InvalidRequest(message, param="safety", code="invalid_value")
    tier = fields.get("tier")
    if tier is not None and tiers is not None and tier not in tiers:
        known = join_words(sorted(tiers)) or "none, for no tier is set up"
        message = f"There is no tier '{shorten(tier)}'. Known are: {known}."
        raise InvalidRequest(message, param="tier", code="invalid_value")
    for entry in fields.get("kinds") or () if kinds is not None else ():
        if not any(covers(entry, kind) for kind in kinds or ()):
            message = f"There is no endpoint '{shorten(entry)}'. Known are: {join_words(sorted(kinds or ()))}."
            raise InvalidRequest(message, param="kinds", code="invalid_value")


# --- the comparisons ---------------------------------------------------------------------------------------------


def exceeds(budget: Budget, outer: Budget) -> bool:
    """Whether a budget allows more than another does, where their periods can be compared. Zones are not: two days
    that begin at different hours are both a day.
    """
    return outer.period in _INSIDE[budget.period] and budget.limit_nusd > outer.limit_nusd


def stray_model(entries: Iterable[str], outer: Sequence[str] | None) -> str | None:
    """The first entry that surely allows a model that a wider list does not; None where there is none.

    A model goes by more than one name, with its host (``host/model``) and without, so an entry of one form cannot be
    judged by a list that holds the other; then the meet at the time of a request decides.
    """
    if outer is None:
        return None
    for entry in entries:
        either = entry.endswith("*") and "/" not in entry
        comparable = either or all(("/" in other) == ("/" in entry) for other in outer)
        if comparable and not any(covers_entry(other, entry) for other in outer):
            return entry
    return None


def stray_kind(entries: Iterable[str], outer: Sequence[str] | None) -> str | None:
    """The first entry that allows an endpoint kind that a wider list does not. A kind has one name."""
    if outer is None:
        return None
    return next((entry for entry in entries if not any(covers_entry(other, entry) for other in outer)), None)


def covers_entry(outer: str, entry: str) -> bool:
    """Whether all that an entry allows is allowed by another."""
    return covers(outer, entry[:-1]) if entry.endswith("*") and outer.endswith("*") else covers(outer, entry)


def is_wider(tier: str, outer: str, tiers: Tiers) -> bool:
    """Whether a tier allows more than another in any dimension. One that is set up no longer cannot be compared."""
    if tier == outer or tier not in tiers or outer not in tiers:
        return False
    one, other = tiers[tier], tiers[outer]
    pairs = [(one.rates, other.rates), (one.per_model, other.per_model)]
    named = one.models.keys() | other.models.keys()
    pairs += [(one.models.get(model, one.per_model), other.models.get(model, other.per_model)) for model in named]
    return any(_wider(rates, most) for rates, most in pairs)


def _wider(rates: Rates, most: Rates) -> bool:
    for name, dimension in _DIMENSIONS:
        limit, bound = getattr(rates, name), getattr(most, name)
        if bound is None or dimension in most.soft:
            continue
        if limit is None or limit > bound or dimension in rates.soft:
            return True
    return False


def _spell(budget: Budget) -> str:
    each = "in total" if budget.period == "total" else f"a {budget.period}"
    return f"{format_usd(budget.limit_nusd)} dollars {each}"


def _refuse(param: str, what: str) -> None:
    message = f"What belongs to a parent cannot exceed it: '{param}' is {what}."
    raise InvalidRequest(message, param=param, code="exceeds_parent")
