"""What a seed stands for, expanded: a seed alone does not tell what ran, and another version may draw otherwise."""

from dataclasses import dataclass, fields
from random import Random

from tests.simulator.upstream import BEFORE, STREAMED, WHOLE

USD = 10**9


@dataclass(frozen=True)
class Options:
    """One scenario. Times are seconds after its start; ``*_percent`` are shares."""

    seed: int
    clients: int
    span_s: float
    plays: tuple[str, ...]
    stream_percent: int
    leave_percent: int
    repeat_percent: int
    """Requests that are sent more than once under one Idempotency-Key."""
    drain: bool
    """Whether the second host's answers are read to their end."""
    balance_nusd: int
    budget_nusd: int
    key_limits: tuple[int, int, int]
    """Requests and tokens per minute, requests at once."""
    disk_fail_percent: int
    disk_lose_percent: int
    disk_slow_percent: int
    disk_full_at: tuple[float, ...]
    crashes_at: tuple[float, ...]
    revokes_at: tuple[float, ...]
    prices_at: tuple[float, ...]
    reloads_at: tuple[float, ...]
    budgets_at: tuple[float, ...]
    topups_at: tuple[float, ...]
    clock_steps_at: tuple[float, ...]
    heartbeat_s: float

    def __str__(self) -> str:
        return "\n".join(f"  {spec.name} = {getattr(self, spec.name)!r}" for spec in fields(self))


def expand(seed: int) -> Options:
    """The scenario of a seed."""
    chance = Random(f"options/{seed}")  # noqa: S311 - a scenario, not a secret
    span_s = chance.choice((3.0, 10.0, 40.0, 90.0))

    def times(most: int) -> tuple[float, ...]:
        count = chance.randrange(most + 1) if chance.random() < 0.6 else 0
        return tuple(sorted(round(chance.uniform(0.05, span_s), 3) for _ in range(count)))

    faults = chance.sample((*BEFORE, *STREAMED, *WHOLE), chance.randrange(0, 10))
    return Options(
        seed=seed,
        clients=chance.choice((8, 25, 40, 60)),
        span_s=span_s,
        plays=("fine",) * chance.choice((1, 4, 12)) + tuple(faults),
        stream_percent=chance.choice((0, 50, 80, 100)),
        leave_percent=chance.choice((0, 15, 60)),
        repeat_percent=chance.choice((0, 0, 20, 60)),
        drain=chance.random() < 0.4,
        balance_nusd=chance.choice((USD // 200, USD // 20, 5 * USD)),
        budget_nusd=chance.choice((USD // 500, USD, 100 * USD)),
        key_limits=chance.choice(((10**6, 10**9, 1000), (20, 50_000, 6), (1000, 10**9, 3))),
        disk_fail_percent=chance.choice((0, 0, 5, 30)),
        disk_lose_percent=chance.choice((0, 0, 5, 30)),
        disk_slow_percent=chance.choice((0, 0, 3, 30)),
        disk_full_at=times(2),
        crashes_at=times(3),
        revokes_at=times(2),
        prices_at=times(4),
        reloads_at=times(3),
        budgets_at=times(3),
        topups_at=times(4),
        clock_steps_at=times(2),
        heartbeat_s=chance.choice((0.5, 15.0)),
    )
