"""Short versions of what `scripts/soak` does for minutes or hours."""

from pathlib import Path

from tests.soak import idle, soak
from tests.soak.watch import Sample, Watch


async def test_mixed_traffic_leaves_nothing_behind(tmp_path: Path) -> None:
    """After ten seconds of everything that clients do, nothing is held, every request was counted once and with its
    status, descriptors and threads are as before, memory has not run away, and the log has no bug.
    """
    plan = soak.Plan(seconds=10, growth_kib=24 * 1024)
    result = await soak.soak(tmp_path, plan)
    soak.judge(result, plan)
    assert result.tally.kinds.total() > 500


async def test_f72_idle_connections_cost_little_and_are_closed_in_time(tmp_path: Path) -> None:
    """A thousand idle connections take at most 20 KiB each, others are served meanwhile, and each is closed when it has
    been idle for ``keep_alive_s``.
    """
    result = await idle.measure(tmp_path, 1000, keep_alive_s=2.0, requests=50)
    idle.judge(result, 2.0)


def test_growth_is_the_trend_after_the_warm_up() -> None:
    """A rise at the start and single peaks do not count; a steady leak does."""
    flat = [Sample(at, 50_000 + min(at, 40) * 500 + (at % 10 == 0) * 9000, 9, 1) for at in range(100)]
    leak = [Sample(at, sample.rss_kib + at * 100, 9, 1) for at, sample in enumerate(flat)]
    assert abs(Watch(1, flat).growth_kib(0.4)) < 100
    assert 5500 < Watch(1, leak).growth_kib(0.4) < 6500
