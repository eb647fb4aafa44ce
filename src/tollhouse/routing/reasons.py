"""Why: for every candidate of a decision a code for machines and one sentence for people. Made only when asked for."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tollhouse.routing import abilities
from tollhouse.routing.health import Health
from tollhouse.routing.quality import Prior
from tollhouse.routing.request import Pick, RouteRequest, Skipped
from tollhouse.routing.tracks import Trouble
from tollhouse.types.calls import Target

CHOSEN: Mapping[str, str] = {
    "chosen": "{order}",
    "key": "another key of the same host, for when the first is limited or refused",
    "probe": "its circuit may close again: this request finds out, with the next targets behind it",
    "ejected": "put behind the others: too many of its last answers failed",
}
"""The codes of a `Pick`."""
WHY_NOT: Mapping[str, str] = {
    "lacks": "it does not take {lacks}",
    "too_small": "its context of {context} tokens is less than the about {needed} that are needed",
    "too_dear": "it costs more than the price cap allows",
    "unpriced": "it has no price, and auto spends nothing unknown",
    "free_offer": "free by the catalogue alone: such offers are small, and auto takes them only where a list allows it",
    "denied": "a deny list names it",
    "not_allowed": "no allow list names it",
    "no_endpoint": "it does not serve this endpoint",
    "host_down": "its host takes no connections{for_s}",
    "circuit_open": "its circuit is open{for_s}, after failures ({detail})",
    "key_refused": "its host refuses this key{for_s}; the operator has to act",
    "key_empty": "the account of this key is out of quota{for_s}",
    "cooling": "the host's rate limit{for_s}",
    "toy": "the embedded models are chosen only where nothing else exists",
    "ranked_lower": "{count} targets come before it",
}
ORDERS: Mapping[str, str] = {
    "priority": "as the operator listed it",
    "weighted": "drawn by weight ({weight:g} of {total:g})",
    "latency": "the less loaded and faster of two drawn at random",
    "cost": "the cheapest first",
    "round-robin": "its turn",
    "sticky": "keeps the conversation where its prompt is cached",
    "auto": "the best fit by what is needed, {prefer}",
}


class Reason(Struct, frozen=True):
    """Why one target, with one key, is tried or not."""

    target: str
    slot: int
    place: int | None
    """Its place in the order of trying, from 0; None where it is not tried."""
    code: str
    sentence: str
    until_s: float | None = None
    """In how many seconds that changes, where it is known."""
    quality: float | None = None
    """From 0 to 100, where `auto` looked at it."""


def preference(request: RouteRequest, health: Health) -> str:
    """What `auto` goes by: the client's word, the alias', or the operator's."""
    return request.wishes.prefer or request.route.policy.prefer or health.routing.auto_prefer


def give_reasons(request: RouteRequest, picks: Sequence[Pick], skipped: Skipped, health: Health) -> tuple[Reason, ...]:
    """The reasons for every candidate and key, the chosen ones first."""
    places = {(pick.at, pick.target.host.slot): place for place, pick in enumerate(picks)}
    found = [_chosen(request, pick, place, health) for place, pick in enumerate(picks)]
    for at, candidate in enumerate(request.route.candidates):
        if at == request.route.auto_at:
            continue
        for target in candidate.variants:
            slot = target.host.slot
            if (at, slot) in places:
                continue
            why = skipped.get((at, slot)) or skipped.get((at, -1)) or _why_not(request, at, target, health)
            found.append(_refused(request, at, slot, why, len(picks)))
    return tuple(found)


def _chosen(request: RouteRequest, pick: Pick, place: int, health: Health) -> Reason:
    sentence = CHOSEN[pick.code]
    if pick.code == "chosen":
        sentence = order_words(request, pick.at, preference(request, health))
    points = _points(request, pick.at)
    return Reason(pick.target.id, pick.target.host.slot, place, pick.code, sentence, quality=points)


def order_words(request: RouteRequest, at: int, prefer: str) -> str:
    """Why a candidate comes where it comes."""
    route = request.route
    auto = route.auto is not None and at in route.auto.members and (route.by_need or at >= route.own)
    strategy = "auto" if auto else "sticky" if request.sticky_key else route.policy.strategy
    total = sum([one.weight for one in route.candidates[: route.own]])
    return ORDERS[strategy].format(weight=route.candidates[at].weight, total=total, prefer=prefer)


def _why_not(request: RouteRequest, at: int, target: Target, health: Health) -> Trouble | str:
    """Why a candidate that the walk did not come to would not have been chosen."""
    route = request.route
    one = route.candidates[at]
    trouble = health.trouble(target, request.now)
    if trouble is not None and trouble.blocks:
        return trouble
    if route.auto is not None and at >= route.own:
        if at not in route.auto.members:
            return "toy"
        if request.features.need & ~one.may:
            return "lacks"
    return "ranked_lower"


def _refused(request: RouteRequest, at: int, slot: int, why: Trouble | str, count: int) -> Reason:
    one = request.route.candidates[at]
    code, detail, until_s = why, "", None
    if isinstance(why, Trouble):
        code, detail, until_s = why.code, why.detail, max(why.until - request.now, 0.0)
    needed = request.features.need
    sentence = WHY_NOT[str(code)].format(
        lacks=abilities.words(needed & ~one.may),
        context=one.context_tokens,
        needed=request.features.context_tokens,
        for_s=f" for {until_s:.1f} s" if until_s is not None else "",
        detail=detail or "of its own",
        count=count,
    )
    return Reason(one.id, slot, None, str(code), sentence, until_s, _points(request, at))


def _points(request: RouteRequest, at: int) -> float | None:
    auto = request.route.auto
    known: Prior | None = auto.priors.get(at) if auto is not None else None
    return round(known.points, 1) if known is not None else None


def summarize(request: RouteRequest, picks: Sequence[Pick], prefer: str) -> str:
    """One line of ASCII: how it was chosen, and what comes next."""
    if not picks:
        return "refused"
    route, pick = request.route, picks[0]
    words = ["sticky" if request.sticky_key else route.policy.strategy]
    if route.auto is not None:
        words = ["auto", f"prefer={prefer}", f"difficulty={request.difficulty:.2f}"]
        words += [f"need={','.join(abilities.names(request.features.need))}"] if request.features.need else []
        points = _points(request, pick.at)
        words += [f"quality={points:g}"] if points is not None else []
    if pick.code != "chosen":
        words.append(pick.code)
    targets = list(dict.fromkeys([one.target.id for one in picks]))
    line = f"{' '.join(words)}; {', '.join(targets)}".replace("JSON schemas", "schema")
    return line.encode("ascii", "replace").decode()
