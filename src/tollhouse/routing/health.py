"""How the upstream hosts are: one registry for the process, that outlives reloads. Bounded in size.

Owned by `snapshot.Live`. The gateway calls `start`, `first_token` and `end` around each attempt; `routing.decide` only
reads. Every method takes the time, in seconds of one monotonic clock, and takes chance as an argument.

Theory of operation: `tracks` says what has its own state. Reading is made cheap for the usual case that all is well: a
host remembers until when anything of it is in trouble, and until then alone is it looked at closely.
"""

from collections.abc import Iterable
from typing import Final

from tollhouse.routing.breaker import Breaker, BreakerRules, key_rules, service_rules
from tollhouse.routing.outcomes import OK, SERVICE_FAULTS, Outcome
from tollhouse.routing.pace import Budget, Cooldown
from tollhouse.routing.tracks import HostState, KeyState, KeyView, TargetView, Track, Trouble
from tollhouse.settings.routing import Routing
from tollhouse.types.calls import Host, Target

MOST_TRACKS: Final = 4096
"""Models remembered; clients invent names. The longest unused half goes when there are more."""
HEDGE_WINDOW_S: Final = 60.0
"""The share of hedged requests is taken of so long: first tokens may be late by more than a retry's window."""
_SOON_S: Final = 1.0
"""What a caller is told to wait for while another request probes."""
_ALIVE: Final = frozenset(
    {
        *(Outcome.OK, Outcome.CLIENT, Outcome.TOO_LONG, Outcome.MISSING, Outcome.BAD_JSON),
        *(Outcome.RATE, Outcome.AUTH, Outcome.QUOTA),
    }
)
"""Outcomes that a host that is down cannot have."""


class Trial:
    """One attempt under way. Made by `Health.start`, given back to `Health.end` once."""

    __slots__ = ("began_at", "first_at", "host", "key", "probes", "stream", "target", "track")

    def __init__(
        self,
        target: Target,
        states: tuple[HostState, Track, KeyState],
        began_at: float,
        *,
        stream: bool,
        probes: tuple[Breaker, ...] = (),
    ) -> None:
        self.target = target
        self.host, self.track, self.key = states
        self.began_at = began_at
        self.stream = stream
        self.probes = probes
        """The circuits whose probe this is."""
        self.first_at = 0.0

    @property
    def slot_model(self) -> tuple[int, str]:
        """The key and the model, as cooldowns are kept."""
        return self.target.host.slot, self.target.model

    @property
    def is_probe(self) -> bool:
        """Whether it finds out if a circuit may close: hedge it early."""
        return bool(self.probes)


class Health:
    """The registry."""

    __slots__ = ("_count", "_key_rules", "_rules", "_turns", "hedges", "hosts", "retries", "routing")

    def __init__(self, routing: Routing) -> None:
        self.hosts: dict[str, HostState] = {}
        """By the host's name. Read by `routing.decide`, changed here alone."""
        self.retries = Budget(routing.retry_budget_ratio, routing.retry_min_rate, routing.retry_window_s)
        self.hedges = Budget(routing.hedge_max_share, 0.0, HEDGE_WINDOW_S)
        self._turns: dict[str, int] = {}
        self._count = 0
        self._take(routing)

    def _take(self, routing: Routing) -> None:
        self.routing = routing
        self._rules: BreakerRules = service_rules(routing)
        self._key_rules: BreakerRules = key_rules(routing)

    def adopt(self, routing: Routing, hosts: Iterable[Host]) -> None:
        """A reload: new constants; hosts that are gone are forgotten, and so is what was held against a key that was
        replaced. ``hosts`` are those of every slot.
        """
        self._take(routing)
        self.retries.tune(routing.retry_budget_ratio, routing.retry_min_rate, routing.retry_window_s)
        self.hedges.tune(routing.hedge_max_share, 0.0, HEDGE_WINDOW_S)
        known = {(host.name, host.slot): _fingerprint(host) for host in hosts}
        names = {name for name, _ in known}
        self.hosts = {name: state for name, state in self.hosts.items() if name in names}
        for name, state in self.hosts.items():
            state.keys = {slot: key for slot, key in state.keys.items() if known.get((name, slot)) == key.fingerprint}
            state.cooldowns = {at: each for at, each in state.cooldowns.items() if at[0] in state.keys}
        self._count = sum([len(state.tracks) for state in self.hosts.values()])

    # --- reading -------------------------------------------------------------------------------------------------

    def trouble(self, target: Target, now: float) -> Trouble | None:
        """Why a target is not as good as any; None where all is well."""
        state = self.hosts.get(target.host.name)
        return None if state is None or now >= state.troubled_until else _look(state, target, now)

    def cost(self, target: Target, now: float, *, stream: bool = True) -> float:
        """What one more request costs there, for the choice between two: seconds, times those under way."""
        state = self.hosts.get(target.host.name)
        track = state.tracks.get(target.model) if state is not None else None
        if track is None:
            return 0.0
        speed = track.stream if stream else track.whole
        return speed.average.cost(now, self.routing.latency_decay_s, track.in_flight)

    def latency_s(self, target: Target, now: float, *, stream: bool = True) -> float:
        """The average time to the first token there; 0 where unknown."""
        track = self._track(target)
        if track is None:
            return 0.0
        return (track.stream if stream else track.whole).average.latency_s(now, self.routing.latency_decay_s)

    def hedge_after_s(self, target: Target, *, stream: bool = True) -> float | None:
        """When a request there is late; None where too little is known."""
        track = self._track(target)
        recent = (track.stream if stream else track.whole).recent if track is not None else None
        if recent is None or recent.seen < self.routing.hedge_samples:
            return None
        return max(recent.quantile_s(self.routing.hedge_percentile), self.routing.hedge_min_s)

    def _track(self, target: Target) -> Track | None:
        state = self.hosts.get(target.host.name)
        return state.tracks.get(target.model) if state is not None else None

    def next_turn(self, name: str) -> int:
        """A number that rises by one with each call for a name, for round-robin."""
        if len(self._turns) >= MOST_TRACKS:
            self._turns.clear()
        turn = self._turns.get(name, -1) + 1
        self._turns[name] = turn
        return turn

    # --- writing -------------------------------------------------------------------------------------------------

    def deposit(self, now: float) -> None:
        """A client's request is sent upstream for the first time: the budgets are shares of these."""
        self.retries.deposit(now)
        self.hedges.deposit(now)

    def start(self, target: Target, now: float, *, stream: bool = True) -> Trial | None:
        """An attempt begins. None where nothing may be sent there now: the place of the probe is taken, or it has come
        to trouble since the decision (`Outcome.BUSY_PROBE`). Of models in this process nothing is kept.
        """
        host = target.host
        if host.inside:
            return Trial(target, (HostState(), Track(), KeyState(0)), now, stream=stream)
        state = self.hosts.get(host.name)
        if state is None:
            state = self.hosts[host.name] = HostState()
        track = state.tracks.get(target.model)
        if track is None:
            track = self._new_track(state, target.model, now)
        key = state.keys.get(host.slot)
        if key is None:
            key = state.keys[host.slot] = KeyState(_fingerprint(host))
        probes: tuple[Breaker, ...] = ()
        if now < state.troubled_until:
            trouble = _look(state, target, now)
            if trouble is not None and trouble.blocks:
                return None
            circuits = (state.breaker, track.breaker, key.breaker)
            probes = tuple([one for one in circuits if one.state != "closed" and one.enter(now)])
        track.used_at = now
        track.in_flight += 1
        key.in_flight += 1
        return Trial(target, (state, track, key), now, stream=stream, probes=probes)

    def _new_track(self, state: HostState, model: str, now: float) -> Track:
        if self._count >= MOST_TRACKS:
            used = sorted([track.used_at for one in self.hosts.values() for track in one.tracks.values()])
            for one in self.hosts.values():
                one.forget_idle(used[len(used) // 2] if used else now)
            self._count = sum([len(one.tracks) for one in self.hosts.values()])
        self._count += 1
        track = state.tracks[model] = Track()
        return track

    def first_token(self, trial: Trial, now: float) -> None:
        """The first content of a stream, or the whole of another answer, is here. A probe has found out what it was to
        find out: its answer may go on for minutes.
        """
        trial.first_at = now
        took_s = now - trial.began_at
        speed = trial.track.stream if trial.stream else trial.track.whole
        speed.average.observe(now, took_s, self.routing.latency_decay_s)
        speed.recent.add(took_s)
        if trial.probes:
            for circuit in trial.probes:
                rules = self._key_rules if circuit is trial.key.breaker else self._rules
                self._pass(trial, circuit, now, rules, probe=True)
            trial.probes = ()

    def end(
        self, trial: Trial, now: float, outcome: Outcome, draw: float = 0.5, retry_after_s: float | None = None
    ) -> None:
        """An attempt has ended. ``draw``, from [0, 1), spreads the time for which a circuit opens."""
        trial.track.in_flight -= 1
        trial.key.in_flight -= 1
        if outcome is OK and not trial.probes and trial.host.troubled_until <= now:  # the usual way
            track, rules = trial.track, self._rules
            if track.note(now, self.routing, failed=False):
                trial.host.trouble(track.ejected_until)
            trial.host.breaker.succeed(now, rules)
            track.breaker.succeed(now, rules)
            return
        self._end_of_connection(trial, now, outcome, draw)
        self._end_of_model(trial, now, outcome, draw)
        self._end_of_key(trial, now, outcome, draw)
        if outcome is Outcome.RATE or (outcome is Outcome.OVERLOAD and retry_after_s):
            self._cool(trial, now, retry_after_s)
        elif outcome is Outcome.OK and (cooldown := trial.host.cooldowns.get(trial.slot_model)) is not None:
            cooldown.succeed()

    def _count_answer(self, trial: Trial, now: float, *, failed: bool) -> None:
        if trial.track.note(now, self.routing, failed=failed):
            trial.host.trouble(trial.track.ejected_until)

    def _end_of_connection(self, trial: Trial, now: float, outcome: Outcome, draw: float) -> None:
        failed = outcome is Outcome.UNREACHABLE
        self._report(trial, trial.host.breaker, now, draw if failed else None, well=outcome in _ALIVE)

    def _end_of_model(self, trial: Trial, now: float, outcome: Outcome, draw: float) -> None:
        failed = outcome in SERVICE_FAULTS
        track = trial.track
        if failed:
            track.last_fault = outcome.value
            if outcome is Outcome.TIMEOUT and not trial.first_at:
                speed = track.stream if trial.stream else track.whole
                speed.average.observe(now, now - trial.began_at, self.routing.latency_decay_s)
        if failed or outcome is Outcome.OK:
            self._count_answer(trial, now, failed=failed)
        self._report(trial, track.breaker, now, draw if failed else None, well=outcome is Outcome.OK)

    def _end_of_key(self, trial: Trial, now: float, outcome: Outcome, draw: float) -> None:
        key = trial.key
        if outcome in {Outcome.AUTH, Outcome.QUOTA}:
            key.why = outcome.value
            if key.breaker.fail(now, self._key_rules, draw, probe=key.breaker in trial.probes):
                trial.host.trouble()
        elif key.breaker in trial.probes:
            if outcome in {Outcome.OK, Outcome.RATE}:
                self._pass(trial, key.breaker, now, self._key_rules, probe=True)
            else:
                key.breaker.leave()

    def _report(self, trial: Trial, circuit: Breaker, now: float, draw: float | None, *, well: bool) -> None:
        """Tells a circuit: a failure where there is a draw, a success where it is well, else nothing."""
        probe = circuit in trial.probes
        if draw is not None:
            if circuit.fail(now, self._rules, draw, probe=probe):
                trial.host.trouble()
        elif well:
            self._pass(trial, circuit, now, self._rules, probe=probe)
        elif probe:
            circuit.leave()

    def _pass(self, trial: Trial, circuit: Breaker, now: float, rules: BreakerRules, *, probe: bool) -> None:
        """A success, which may close the circuit."""
        if circuit.succeed(now, rules, probe=probe):
            trial.track.ejected_until = min(trial.track.ejected_until, now)  # a clean slate
            trial.host.recover(now)

    def _cool(self, trial: Trial, now: float, retry_after_s: float | None) -> None:
        cooldown = trial.host.cooldowns.get(trial.slot_model)
        if cooldown is None:
            cooldown = trial.host.cooldowns[trial.slot_model] = Cooldown()
        cooldown.start(now, retry_after_s, self.routing.cooldown_base_s, self.routing.cooldown_max_s)
        trial.host.trouble(cooldown.until)

    # --- showing -------------------------------------------------------------------------------------------------

    def views(self, now: float) -> tuple[TargetView, ...]:
        """Every model that has been asked."""
        return tuple(
            [
                self._view(name, model, track, now)
                for name, state in self.hosts.items()
                for model, track in state.tracks.items()
            ]
        )

    def _view(self, host: str, model: str, track: Track, now: float) -> TargetView:
        circuit, routing = track.breaker, self.routing
        return TargetView(
            host=host,
            model=model,
            state=circuit.state,
            ejected=now < track.ejected_until,
            open_for_s=max(circuit.open_until - now, 0.0) if circuit.state == "open" else 0.0,
            times_open=circuit.times_open,
            in_flight=track.in_flight,
            answers=track.answers,
            failures=track.failures,
            failures_in_row=circuit.failures,
            last_fault=track.last_fault,
            latency_s=track.stream.average.latency_s(now, routing.latency_decay_s),
            p95_s=track.stream.recent.quantile_s(routing.hedge_percentile),
        )

    def keys(self, now: float) -> tuple[KeyView, ...]:
        """Every key that has been used."""
        return tuple(
            [
                _key_view(name, slot, key, state, now)
                for name, state in self.hosts.items()
                for slot, key in state.keys.items()
            ]
        )


def _look(state: HostState, target: Target, now: float) -> Trouble | None:
    """The trouble of a target at a host that has some: what lasts whatever is done first, what is mild last."""
    model, slot = target.model, target.host.slot
    if state.cooldowns:
        cooldown = state.cooldowns.get((slot, model))
        if cooldown is not None and now < cooldown.until:
            return Trouble("cooling", cooldown.until)
    probes = False
    circuit = state.breaker
    if circuit.state != "closed":
        if not circuit.admits(now):
            return Trouble("host_down", max(circuit.open_until, now + _SOON_S), Outcome.UNREACHABLE.value)
        probes = True
    track = state.tracks.get(model)
    if track is not None and track.breaker.state != "closed":
        circuit = track.breaker
        if not circuit.admits(now):
            return Trouble("circuit_open", max(circuit.open_until, now + _SOON_S), track.last_fault)
        probes = True
    key = state.keys.get(slot)
    if key is not None and key.breaker.state != "closed":
        circuit = key.breaker
        if not circuit.admits(now):
            return Trouble(_key_code(key), max(circuit.open_until, now + _SOON_S))
        probes = True
    if probes:
        return Trouble("probe", now)
    if track is not None and now < track.ejected_until:
        return Trouble("ejected", track.ejected_until)
    return None


def _key_code(key: KeyState) -> str:
    return "key_empty" if key.why == Outcome.QUOTA else "key_refused"


def _key_view(host: str, slot: int, key: KeyState, state: HostState, now: float) -> KeyView:
    waits = [
        (model, each.until - now) for (at, model), each in state.cooldowns.items() if at == slot and each.until > now
    ]
    if key.breaker.state != "closed":
        name, left = _key_code(key).removeprefix("key_"), max(key.breaker.open_until - now, 0.0)
    else:
        name, left = ("cooling", max([wait for _, wait in waits])) if waits else ("ok", 0.0)
    return KeyView(host=host, slot=slot, state=name, for_s=left, in_flight=key.in_flight, cooling=tuple(waits))


def _fingerprint(host: Host) -> int:
    """What a key is known again by after a reload; never shown."""
    secrets = tuple([secret.reveal() for _, secret in host.secrets])
    return hash((host.credential.reveal() if host.credential is not None else None, secrets))
