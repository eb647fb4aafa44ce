"""Every cell of the matrix: what the host was sent, what the client heard, what was counted, what was told to be lost.

One gateway serves all of them; a cell costs about a millisecond and a half.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.door import Answer
from tests.matrix.clients.every import CLIENTS
from tests.matrix.judging import counted, differences, explained
from tests.matrix.losses import is_passed, is_refused, losses_of
from tests.matrix.rig import Rig, model_at, rigged
from tests.matrix.scenarios import SCENARIOS, Scenario
from tests.matrix.upstreams.every import HOSTS
from tests.matrix.upstreams.server import Host

pytestmark = pytest.mark.asyncio(loop_scope="module")
CELLS = [(scenario, client) for scenario in SCENARIOS for client in scenario.clients]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """The gateway, with all hosts behind it."""
    async with rigged() as made:
        yield made
        assert made.door.idle


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", HOSTS)
@pytest.mark.parametrize(("scenario", "client"), CELLS, ids=[f"{row.name}-{client}" for row, client in CELLS])
async def test_a_cell(rig: Rig, scenario: Scenario, client: str, upstream: str, streamed: bool) -> None:
    """The host gets what the client asked and the client hears what the host said, but for what the cell reports."""
    host = rig.hosts[upstream]
    host.says(scenario.said)
    answer = await rig.ask(client, model_at(host), scenario.asked, stream=streamed)
    if is_passed(client, upstream, scenario.name):
        check_passed(host, scenario, streamed)
        return
    if is_refused(upstream, scenario.name):
        assert answer.status == 400
        assert host.bodies == []
        return
    assert host.refused == []
    assert answer.status == 200
    lost = losses_of(client, upstream, scenario.name)
    assert answer.headers["x-tollhouse-fidelity"] == (lost or "full")
    reader = CLIENTS[client]
    heard = reader.read_stream(answer) if streamed else reader.read_whole(answer)
    found = differences(client, host, scenario, heard)
    names = explained([one.partition("=")[0] for one in lost.split("; ") if one])
    assert {name: value for name, value in found.items() if name not in names} == {}
    await check_receipt(rig, answer, host, scenario, lost)


def check_passed(host: Host, scenario: Scenario, streamed: bool) -> None:
    """The host was sent what the client sent."""
    _, body = CLIENTS["openai"].write(scenario.asked, host.model, stream=streamed)
    assert {name: value for name, value in host.bodies[0].items() if name != "stream_options"} == {
        name: value for name, value in body.items() if name != "stream_options"
    }


async def check_receipt(rig: Rig, answer: Answer, host: Host, scenario: Scenario, lost: str) -> None:
    """The record has every class of tokens, and the same losses with their reasons."""
    receipt = (await rig.door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json
    counts = counted(host, scenario.asked.wishes.get("n", 1))
    tokens = receipt["tokens"]
    classes = {name: tokens.get(name, 0) for name in ("input", "cache_read", "cache_write", "output", "reasoning")}
    assert classes == {
        "input": counts.prompt - counts.cached - counts.written,
        "cache_read": counts.cached,
        "cache_write": counts.written,
        "output": counts.output,
        "reasoning": counts.reasoning,
    }
    last = receipt["attempts"][-1]
    assert "; ".join([f"{one['param']}={one['how']}" for one in last.get("losses", [])]) == lost
    assert all(one.get("why") for one in last.get("losses", []))
