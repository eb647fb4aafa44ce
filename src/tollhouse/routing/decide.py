"""The decision: which targets a request is tried on, in which order, and why. THE pure function: production calls it,
and so does ``tollhouse route explain``.

Theory of operation
-------------------
A name's candidates stand in groups by priority. Within a group the strategy says who is next, one at a time, and the
walk ends when enough have been found; so a decision looks at few of many. On the way a candidate is left out for what
it lacks (an ability, context, a price cap, a list), passed by while its circuit is open, its key refused or cooling,
and put behind the others while too many of its answers fail. A circuit that may be probed is no obstacle: the request
is the probe, and the targets after it are its safety net. Where everyone lacks something, nobody is left out for it:
the catalogue may be wrong, and the host will say so. Where everyone is in trouble there is nothing to try, and
`fault` says what the client is told at once: 429 when all are rate limited, 502 when all keys are refused, else 503.

A target whose host has several keys stands for several variants. One is drawn, or, for a conversation, chosen by its
key; the others follow it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import ceil, log

from msgspec import Struct

from tollhouse.errors import Fault, Forbidden, InvalidRequest, UpstreamAuth, UpstreamRateLimited, UpstreamUnavailable
from tollhouse.routing import abilities
from tollhouse.routing.auto import measured
from tollhouse.routing.candidates import Candidate
from tollhouse.routing.chance import Draws
from tollhouse.routing.health import Health
from tollhouse.routing.reasons import Reason, give_reasons, preference, summarize
from tollhouse.routing.request import Pick, RouteRequest, Skipped
from tollhouse.routing.sticky import rank, score
from tollhouse.routing.table import Group
from tollhouse.routing.tracks import Trouble
from tollhouse.types.calls import Target

_TRIES = 12
"""Draws by weight that may meet one already drawn before the rest is worked out exactly."""
_FINALISTS = 8
"""How many of the best of `auto` are compared by their measured speed."""
_MOST_RETRY_S = 60
"""A longer Retry-After makes SDKs give up (the OpenAI SDK's limit)."""


class Decision(Struct, frozen=True):
    """What was decided. ``picks`` is empty where nothing may be tried."""

    request: RouteRequest
    picks: tuple[Pick, ...]
    out: dict[int, str]
    """The candidates that were left out before their health was looked at, and a code for each (`reasons.WHY_NOT`)."""
    skipped: Skipped
    """Those that were passed by on the way."""
    everyone_lacks: bool = False
    """Whether all candidates lack what is needed, so that none was left out for it."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets in the order of trying, one for each key."""
        return tuple([pick.target for pick in self.picks])

    def summary(self, health: Health) -> str:
        """One line of ASCII for the ``x-tollhouse-route`` header and the log."""
        return summarize(self.request, self.picks, preference(self.request, health))

    def reasons(self, health: Health) -> tuple[Reason, ...]:
        """For every candidate and key, why it is tried or not. Slower: for people."""
        return give_reasons(
            self.request, self.picks, {**{(at, -1): c for at, c in self.out.items()}, **self.skipped}, health
        )

    def fault(self) -> Fault:
        """What a client is told where there are no targets."""
        troubles = [why for why in self.skipped.values() if isinstance(why, Trouble)]
        if not troubles and self.request.bound and set(self.out.values()) == {"not_allowed"}:
            message = f"This key may not use the model '{self.request.route.name}'."
            return Forbidden(message, param="model", code="model_not_allowed")
        if not troubles:
            return InvalidRequest(
                f"No target of '{self.request.route.name}' is left by the lists and prices of this request.",
                param="model",
            )
        codes = {trouble.code for trouble in troubles}
        name = self.request.route.name
        if codes <= {"key_refused"}:
            return UpstreamAuth(
                f"Every upstream host of '{name}' refuses the gateway's credential. The operator has to act.",
                headers={"x-should-retry": "false"},
            )
        wait_s = ceil(min([trouble.until for trouble in troubles]) - self.request.now)
        headers = {"retry-after": str(min(max(wait_s, 1), _MOST_RETRY_S))}
        if codes <= {"cooling"}:
            return UpstreamRateLimited(f"Every target of '{name}' is rate limited.", headers=headers)
        told = sorted({f"{trouble.code}" + (f" ({trouble.detail})" if trouble.detail else "") for trouble in troubles})
        return UpstreamUnavailable(
            f"No target of '{name}' can be tried now: {', '.join(told)}.", code="no_route_available", headers=headers
        )


def decide(request: RouteRequest, health: Health) -> Decision:
    """The targets of a request. Reads ``health``, and changes nothing."""
    out = _leave_out(request)
    everyone = bool(out) and _lacks_all(request, out)
    if everyone:
        out = {at: code for at, code in out.items() if code not in SOFT}
    walk = _Walk(request, health, out)
    walk.run()
    return Decision(request, tuple(walk.picks), out, walk.skipped, everyone)


def _leave_out(request: RouteRequest) -> dict[int, str]:
    """The positions left out before anybody's health is looked at, with a code for each."""
    route, features, wishes = request.route, request.features, request.wishes
    out = route.narrowed(wishes) if wishes.narrow else route.barred
    if request.barred:
        out = {**out, **request.barred}
    need, tokens = features.need & abilities.HARD, features.context_tokens
    if route.by_need or (not need & ~route.common and tokens <= route.least_context):
        return out
    lacking = route.lacking(need)
    out = {**lacking, **out} if out else lacking
    if tokens > route.least_context:
        own = enumerate(route.candidates[: route.own])
        out = {**{at: "too_small" for at, one in own if tokens > one.context_tokens and at != route.auto_at}, **out}
    return out


SOFT = frozenset({"lacks", "too_small"})
"""What a candidate is left out for only where another is not."""


def _lacks_all(request: RouteRequest, out: dict[int, str]) -> bool:
    """Whether nobody is left, and some only for what they lack."""
    own = range(request.route.own)
    return all(at in out for at in own) and any(out[at] in SOFT for at in own)


class _Walk:
    """One walk over a route's groups."""

    __slots__ = (
        "_behind",
        "_draws",
        "_health",
        "_hosts",
        "_now",
        "_out",
        "_request",
        "_route",
        "_taken",
        "picks",
        "skipped",
    )

    def __init__(self, request: RouteRequest, health: Health, out: dict[int, str]) -> None:
        self._request = request
        self._route = request.route
        self._health = health
        self._hosts = health.hosts
        self._now = request.now
        self._out = out
        self._draws = Draws(request.seed)
        self._taken = 0
        self._behind: list[tuple[int, Target, Trouble]] = []
        self.picks: list[Pick] = []
        self.skipped: Skipped = {}

    def run(self) -> None:
        """Picks until there are enough, then adds those put behind."""
        limit, out = self._request.limit, self._out
        if self._route.by_need:
            self._choose_auto()
            return
        for group in self._route.groups:
            most_behind = int(self._health.routing.ejection_max_share * len(group.at))
            for at in self._ordered(group):
                if at in out:
                    continue
                if at == self._route.auto_at:
                    self._choose_auto()
                else:
                    self._take(at, most_behind)
                if self._taken >= limit:
                    return
        for at, target, trouble in self._behind:
            if self._taken < limit:
                self.picks.append(Pick(target, at, trouble.code))
                self._taken += 1

    # --- who is next ---------------------------------------------------------------------------------------------

    def _ordered(self, group: Group) -> Iterator[int]:
        """The positions of a group, the next to try first."""
        strategy = self._route.policy.strategy
        if len(group.at) < 2:
            yield from group.at
        elif self._request.sticky_key:
            weights = None if group.equal else group.weights
            yield from [group.at[index] for index in rank(self._request.sticky_key, group.digests, weights)]
        elif strategy == "weighted":
            yield from self._by_weight(group)
        elif strategy == "latency":
            yield from self._by_latency(group)
        elif strategy == "cost":
            yield from group.by_cost
        elif strategy == "round-robin":
            turn = self._request.turn % len(group.at)
            yield from group.at[turn:] + group.at[:turn]
        else:
            yield from group.at
        yield from group.reserve

    def _by_weight(self, group: Group) -> Iterator[int]:
        """Draws by weight without putting back: what is passed by for its health leaves its share to the others."""
        total, drawn = group.cumulative[-1], set[int]()
        for _ in range(_TRIES):
            index = min(bisect_right(group.cumulative, self._draws.unit() * total), len(group.at) - 1)
            if index not in drawn:
                drawn.add(index)
                yield group.at[index]
        unit, weights = self._draws.unit, group.weights
        rest = [(-log(1.0 - unit()) / weights[i], i) for i in range(len(weights)) if i not in drawn]
        for _, index in sorted(rest):  # Efraimidis and Spirakis, 2006: the same chances, all at once
            yield group.at[index]

    def _by_latency(self, group: Group) -> Iterator[int]:
        """The cheaper of two drawn at random, again and again; those that are in trouble come last."""
        hosts, now, out, candidates = self._hosts, self._now, self._out, self._route.candidates
        left: list[int] = []
        last: list[int] = []
        for at in group.at:
            state = hosts.get(candidates[at].host)
            well = (
                state is None or now >= state.troubled_until or not self._is_blocked(candidates[at])
            ) and at not in out
            (left if well else last).append(at)
        draws, cost, stream = self._draws, self._health.cost, self._request.features.stream
        while len(left) > 1:
            first = draws.below(len(left))
            second = draws.below(len(left) - 1)
            second += second >= first
            one, other = left[first], left[second]
            cost_one = cost(candidates[one].target, now, stream=stream)
            better = first if cost_one <= cost(candidates[other].target, now, stream=stream) else second
            yield left.pop(better)
        yield from left
        yield from last

    def _is_blocked(self, candidate: Candidate) -> bool:
        for target in candidate.variants:
            trouble = self._health.trouble(target, self._now)
            if trouble is None:
                return False
        return True

    # --- whether it can be tried ---------------------------------------------------------------------------------

    def _take(self, at: int, most_behind: int) -> None:
        """Adds a candidate's keys that are well. Too many failures put it behind the others."""
        candidate = self._route.candidates[at]
        state = self._hosts.get(candidate.host)
        calm = state is None or self._now >= state.troubled_until
        variants = candidate.variants
        if len(variants) == 1 and calm:
            self.picks.append(Pick(candidate.target, at, "chosen"))
            self._taken += 1
            return
        passed = 0
        most = self._most_keys()
        for target in self._by_key(candidate) if len(variants) > 1 else variants:
            trouble = None if calm else self._health.trouble(target, self._now)
            if trouble is not None and trouble.blocks:
                self.skipped[at, target.host.slot] = trouble
            elif trouble is not None and trouble.code == "ejected" and len(self._behind) < most_behind:
                self._behind.append((at, target, trouble))
                return
            elif passed < most:
                passed += 1
                probe = trouble is not None and trouble.code == "probe"
                self.picks.append(Pick(target, at, "key" if passed > 1 else "probe" if probe else "chosen", probe))
        self._taken += passed > 0

    def _most_keys(self) -> int:
        """How many keys of one target are worth a try: there should be room for another target."""
        return self._request.limit if len(self._route.candidates) == 1 else 2

    def _by_key(self, candidate: Candidate) -> Sequence[Target]:
        """The target's keys: from one that is drawn, or is the conversation's, round."""
        variants = candidate.variants
        key = self._request.sticky_key
        first = score(key, candidate.digest) % len(variants) if key else self._draws.below(len(variants))
        return variants[first:] + variants[:first]

    # --- auto ----------------------------------------------------------------------------------------------------

    def _choose_auto(self) -> None:
        """Walks down the order of `auto`: the best finalists by measured speed, then the rest."""
        request, auto, out = self._request, self._route.auto, self._out
        if auto is None:
            return
        prefer = preference(request, self._health)
        tenths = min(ceil(request.difficulty * 10), 10)
        order = auto.order(request.features.need, prefer, tenths)
        finalists: list[tuple[float, int]] = []
        small: list[tuple[float, int]] = []
        tokens = request.features.context_tokens
        for place, at in enumerate(order.at):
            if at in out:
                continue
            candidate = self._route.candidates[at]
            if tokens > candidate.context_tokens:
                self.skipped[at, -1] = "too_small"
                small.append((-candidate.context_tokens, at))
                continue
            latency_s = self._health.latency_s(candidate.target, self._now, stream=request.features.stream)
            finalists.append((-measured(prefer, order.scores[place], auto.fast[at], latency_s), at))
            if len(finalists) == _FINALISTS:
                self._take_all(finalists)
                finalists = []
                if self._taken >= request.limit:
                    return
        self._take_all(finalists)
        if not self.picks and not any(isinstance(why, Trouble) for why in self.skipped.values()):
            self._take_all(small)  # the estimate may be wrong, and the host will say so

    def _take_all(self, finalists: list[tuple[float, int]]) -> None:
        finalists.sort()
        for _, at in finalists:
            if self._taken >= self._request.limit:
                return
            self._take(at, 0)
