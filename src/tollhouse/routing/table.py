"""Every name of a snapshot as a route: its candidates in groups by priority, with all that can be worked out before a
request comes. Made by `snapshot.build`; names are resolved when they are first asked for, and kept.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import structs

from tollhouse.catalog.names import Names
from tollhouse.routing import abilities
from tollhouse.routing.auto import AUTO, AutoTable, chats
from tollhouse.routing.candidates import Candidate, make_candidate
from tollhouse.routing.patterns import Patterns
from tollhouse.routing.wishes import Wishes
from tollhouse.settings.routing import DEFAULT_POLICY, RouteEntry, RoutePolicy, Routing
from tollhouse.types.calls import Host, Plan, Target

CACHE_ROUTES: Final = 4096
CACHE_WISHES: Final = 64
_PUSD_PER_USD_PER_1M: Final = 1_000_000
_AUTO_STRATEGY: Final = "auto"


class Group:
    """Candidates of one priority: their positions, and what the strategies need of them."""

    __slots__ = ("at", "by_cost", "cumulative", "digests", "equal", "reserve", "weights")

    def __init__(self, at: Sequence[int], candidates: Sequence[Candidate]) -> None:
        self.at = tuple([i for i in at if candidates[i].weight > 0])
        self.reserve = tuple([i for i in at if candidates[i].weight <= 0])
        """Those of weight 0: only when the others fail."""
        self.weights = tuple([candidates[i].weight for i in self.at])
        self.equal = len(set(self.weights)) <= 1
        self.digests = tuple([candidates[i].digest for i in self.at])
        total = 0.0
        self.cumulative = tuple([total := total + weight for weight in self.weights])
        prices = {i: candidates[i].blended_pusd for i in self.at}
        self.by_cost = tuple(sorted(self.at, key=lambda i: (prices[i] is None, prices[i] or 0)))


class Route:
    """What one name means."""

    __slots__ = (
        *(
            "_lacking",
            "_narrowed",
            "auto",
            "auto_at",
            "barred",
            "by_need",
            "candidates",
            "common",
            "groups",
            "least_context",
        ),
        *("name", "only", "own", "policy"),
    )

    def __init__(
        self, name: str, policy: RoutePolicy, candidates: tuple[Candidate, ...], own: int, routing: Routing
    ) -> None:
        """``own`` candidates are the name's; those after them are there for `auto` to choose from."""
        self.name = name
        self.policy = policy
        self.candidates = candidates
        self.own = own
        self._narrowed: dict[Wishes, dict[int, str]] = {}
        self._lacking: dict[int, dict[int, str]] = {}
        self.auto_at = next((at for at in range(own) if candidates[at].host == AUTO), -1)
        self.barred: dict[int, str] = _bar(policy, candidates)
        """Positions that the operator's own rules leave out, and why."""
        listed = [at for at in range(own) if at not in self.barred]
        priorities = sorted({candidates[at].priority for at in listed})
        self.groups = tuple(
            [Group([at for at in listed if candidates[at].priority == priority], candidates) for priority in priorities]
        )
        self.common = abilities.ALL
        self.least_context = 1 << 62
        for at in listed:
            if at == self.auto_at:
                continue
            self.common &= candidates[at].may
            self.least_context = min(self.least_context, candidates[at].context_tokens)
        self.auto = self._table(routing, own)
        self.by_need = self.auto is not None and self.auto_at < 0
        """Whether `auto` chooses among the name's own targets, and nothing else."""
        self.only = self._only()
        """All there is to try, where a request leaves nothing to choose: one target, with one key; else None."""

    def _only(self) -> Plan | None:
        one = self.candidates[0] if len(self.candidates) == 1 else None
        if one is None or self.barred or self.auto_at >= 0 or self.by_need or len(one.variants) > 1:
            return None
        return Plan(self.name, one.variants)

    def _table(self, routing: Routing, own: int) -> AutoTable | None:
        """What `auto` chooses from: the name's own targets where that is its strategy, else every model there is."""
        if self.auto_at < 0 and self.policy.strategy != _AUTO_STRATEGY:
            return None
        own_alone = self.auto_at < 0
        members = {}
        for at in range(own) if own_alone else range(own, len(self.candidates)):
            one = self.candidates[at]
            code = self.barred.get(at) or ("" if own_alone else _bar_auto(one, self.policy, routing))
            if code:
                self.barred[at] = code
            else:
                members[at] = one
        grown = {at: one for at, one in members.items() if not one.is_toy}
        return AutoTable(grown or members)

    def lacking(self, need: int) -> dict[int, str]:
        """The positions of the name's own that are known to lack any of these `abilities`. Kept: needs are few."""
        found = self._lacking.get(need)
        if found is None:
            own = enumerate(self.candidates[: self.own])
            found = {at: "lacks" for at, one in own if need & ~one.may and at != self.auto_at}
            self._lacking[need] = found
        return found

    def narrowed(self, wishes: Wishes) -> dict[int, str]:
        """The positions that the operator's rules or a client's lists and prices leave out, and why. Kept."""
        key = structs.replace(wishes, prefer="")
        found = self._narrowed.get(key)
        if found is None:
            if len(self._narrowed) >= CACHE_WISHES:
                self._narrowed.clear()
            found = self._narrowed[key] = _bar(wishes, self.candidates) | self.barred
        return found

    @property
    def wants_difficulty(self) -> bool:
        """Whether a decision depends on how hard the request is."""
        return self.auto is not None

    @property
    def targets(self) -> tuple[Target, ...]:
        """The name's own targets, in the order of the operator."""
        return tuple([one.target for one in self.candidates if one.host != AUTO])


class Routes:
    """The routes of one snapshot."""

    def __init__(
        self,
        names: Names,
        policies: Mapping[str, RoutePolicy],
        routing: Routing,
        slots: Mapping[str, tuple[Host, ...]],
    ) -> None:
        """``slots`` are the rows of hosts with several keys, for the keys from the second on."""
        self._names = names
        self._policies = policies
        self._slots = slots
        self.routing = routing
        self._known: dict[str, Route | None] = {}
        self._chat: tuple[Candidate, ...] | None = None

    def find(self, name: str) -> Route | None:
        """The route of a name; None where it means nothing."""
        if name in self._known:
            return self._known[name]
        steps = self._names.steps(name)
        route = self._make(name, *steps) if any(steps[1]) else None
        if len(self._known) >= CACHE_ROUTES:
            self._known.clear()
        self._known[name] = route
        return route

    def hosts(self) -> list[Host]:
        """The rows of every host and key."""
        return [
            *(offer.host for offer in self._names.offers),
            *(host for more in self._slots.values() for host in more),
        ]

    def _make(self, name: str, alias: str, steps: tuple[tuple[Target, ...], ...]) -> Route:
        policy = self._policies.get(alias, DEFAULT_POLICY)
        stated = {entry.target: entry for entry in policy.entries}
        named = self._names.aliases.get(alias, ("",))
        entries = [stated.get(target) or RouteEntry(target) for target in named]
        found: dict[str, Candidate] = {}
        for entry, targets in zip(entries, steps, strict=True):
            for target in targets:  # several where a bare name is offered by several hosts: they share the weight
                if target.id not in found:
                    weight = entry.weight / len(targets)
                    found[target.id] = make_candidate(target, self._slots, weight, entry.priority)
        own = tuple(found.values())
        more = self._chat_models() if AUTO in found else ()
        return Route(name, policy, own + more, len(own), self.routing)

    def _chat_models(self) -> tuple[Candidate, ...]:
        """Every model that `auto` may choose from."""
        if self._chat is None:
            every = (
                make_candidate(Target(offer.host, model, facts), self._slots)
                for offer in self._names.offers
                for model, facts in offer.models.items()
                if offer.host.name != AUTO
            )
            self._chat = tuple([one for one in every if chats(one)])
        return self._chat


def _bar(policy: RoutePolicy | Wishes, candidates: Sequence[Candidate]) -> dict[int, str]:
    """The positions that lists and prices leave out, and why."""
    if not policy.allow and not policy.deny and policy.max_input_pusd is None and policy.max_output_pusd is None:
        return {}
    allow = Patterns(policy.allow) if policy.allow else None
    deny = Patterns(policy.deny)
    barred = {}
    for at, one in enumerate(candidates):
        if one.host == AUTO:
            continue
        if deny.fits(one.target):
            barred[at] = "denied"
        elif allow is not None and not allow.fits(one.target):
            barred[at] = "not_allowed"
        elif over_price(one, policy.max_input_pusd, policy.max_output_pusd):
            barred[at] = "too_dear"
    return barred


def _bar_auto(one: Candidate, policy: RoutePolicy, routing: Routing) -> str:
    """Why the operator's settings keep a model from `auto`; empty where they do not."""
    if routing.auto_deny and Patterns(routing.auto_deny).fits(one.target):
        return "denied"
    if routing.auto_allow and not policy.allow and not Patterns(routing.auto_allow).fits(one.target):
        return "not_allowed"
    if one.blended_pusd is None:
        return "unpriced"
    if one.is_free_offer and not (
        Patterns(policy.allow).fits(one.target) or Patterns(routing.auto_allow).fits(one.target)
    ):
        return "free_offer"
    most = int(routing.auto_max_output_usd_per_1m * _PUSD_PER_USD_PER_1M) or None
    return "too_dear" if policy.max_output_pusd is None and over_price(one, None, most) else ""


def over_price(one: Candidate, max_input_pusd: int | None, max_output_pusd: int | None) -> bool:
    """Whether a candidate costs more than either; one without a price does."""
    return (max_input_pusd is not None and (one.input_pusd is None or one.input_pusd > max_input_pusd)) or (
        max_output_pusd is not None and (one.output_pusd is None or one.output_pusd > max_output_pusd)
    )
