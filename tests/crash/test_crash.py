"""A real gateway, killed with SIGKILL under real load (F80, F82, I17, I18): ten times here, 200 in `scripts/crash`."""

from pathlib import Path

import pytest

from tests.crash.launcher import POINTS, SABOTAGE
from tests.crash.rig import EVERYWHERE, session
from tests.crash.upstream import Job, PaidHost


async def test_nothing_acknowledged_is_lost_wherever_it_dies(tmp_path: Path) -> None:
    """At each of the nine points of F80 and at a random moment: what a client saw whole is charged once and exactly,
    no hold stays open, a top-up that was confirmed is there once, and the ledger verifies.
    """
    async with PaidHost() as host:
        outcome = await session(tmp_path, host.port, 20_261_121, list(EVERYWHERE))
    assert outcome.problems == []
    assert [crash.point for crash in outcome.crashes if crash.reached] == list(EVERYWHERE)
    assert any(crash.again for crash in outcome.crashes), "recovery was never killed"
    assert sum(crash.open_holds for crash in outcome.crashes) > len(POINTS)
    assert outcome.acknowledged > 100


@pytest.mark.parametrize("kind", SABOTAGE)
async def test_the_rig_sees_a_gateway_that_is_wrong(tmp_path: Path, kind: str) -> None:
    """One that answers before it has written, and one that leaves holds open, are found out."""
    async with PaidHost() as host:
        for seed in range(7, 11):  # whether an answer is out when the process dies is for the machine to say
            folder = tmp_path / str(seed)
            folder.mkdir()
            outcome = await session(folder, host.port, seed, [kind] * 3)
            if outcome.problems:
                return
    pytest.fail("it was not found out")


@pytest.mark.parametrize("number", range(0, 500, 7))
def test_a_job_is_priced_by_hand(number: int) -> None:
    """2.5 and 10 dollars a million tokens: 2,500 and 10,000 nano-USD a token."""
    job = Job(number)
    assert job.cost_nusd == job.prompt_tokens * 2500 + len(job.words) * 10_000
