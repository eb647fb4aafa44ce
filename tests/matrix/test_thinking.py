"""Loops of tools in which the model thinks: what proves its thoughts comes back to it, and to nobody else.

The hosts refuse a signature that is not theirs, one of another thought, and a call that should have one and has none;
the clients bring back a turn as they got it, as their SDKs do.
"""

from collections.abc import AsyncIterator
from itertools import permutations

import pytest
import pytest_asyncio

from tests.matrix.clients.every import CLIENTS
from tests.matrix.rig import Rig, model_at, rigged
from tests.matrix.scenarios import BOTH, HI, NOON, PARIS
from tests.matrix.upstreams.every import HOSTS
from tests.matrix.upstreams.server import Host
from tests.matrix.words import Asked, Heard, Result, Said, Turn

pytestmark = pytest.mark.asyncio(loop_scope="module")
SIGNERS = ("responses", "anthropic", "gemini", "vertex", "bedrock")
"""Those whose models prove their thoughts."""
CLAUDES = {"anthropic", "bedrock"}
"""The same models, each of which takes the other's signatures."""
PAIRS = list(permutations(("responses", "anthropic", "gemini", "bedrock"), 2))
FIRST = Said("I look.", thought="Paris, I guess.", calls=(PARIS,), finish="tool_calls")
SECOND = Said("", thought="Now the time.", calls=(NOON,), finish="tool_calls")
LAST = Said("Sunny at noon.", thought="Done.")
CRASH = Said(fault="crash")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """The gateway, with an alias for each pair of hosts: the second is asked when the first fails."""
    targets = {(a, b): f'["at-{a}/{HOSTS[a].model}", "at-{b}/{HOSTS[b].model}"]' for a, b in PAIRS}
    aliases = "".join([f"[models.{a}-{b}]\ntargets = {both}\n" for (a, b), both in targets.items()])
    calm = "[routing]\nejection_ratio = 1.0\nbreaker_ratio = 1.0\nretry_min_rate = 1000.0\n"
    async with rigged(calm + aliases) as made:
        yield made


class Talk:
    """A conversation of a client with one name of a model."""

    def __init__(self, rig: Rig, client: str, model: str, *, stream: bool) -> None:
        self.turns: list[Turn] = [HI]
        self._rig, self._client, self._model, self._stream = rig, client, model, stream

    async def ask(self) -> Heard:
        """Asks, remembers what the model said, and answers its calls."""
        asked = Asked(tuple(self.turns), tools=BOTH, thinks=True, wishes={"max_tokens": 6000})
        heard = await self._rig.chat(self._client, self._model, asked, stream=self._stream)
        self.turns.append(Turn("assistant", raw=heard.raw))
        if heard.calls:
            results = [Result(call.id, call.name, f"result of {call.name}") for call in heard.calls]
            self.turns.append(Turn("tool", results=tuple(results)))
        return heard


def texts(host: Host) -> list[str]:
    """What the last request says that the model has said."""
    return [turn.text for turn in host.got[-1].turns if turn.role == "assistant"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", HOSTS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_three_turns_with_one_host(rig: Rig, client: str, upstream: str, streamed: bool) -> None:
    """Every signature comes back with its own thought, in order, as often as the history has it."""
    host = rig.hosts[upstream]
    issued = len(host.issued)
    host.says(FIRST, SECOND, LAST)
    talk = Talk(rig, client, model_at(host), stream=streamed)
    heard = [await talk.ask() for _ in range(3)]
    assert host.refused == []
    assert [[call.name for call in one.calls] for one in heard] == [["get_weather"], ["get_time"], []]
    assert heard[2].text == LAST.text
    assert texts(host) == ["I look.", ""]
    if upstream in SIGNERS:
        first, second = list(host.issued)[issued : issued + 2]
        assert [got.proofs for got in host.got] == [[], [first], [first, second]]
    if host.got[0].shows:
        assert [one.thought for one in heard[:2]] == [FIRST.thought, SECOND.thought]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_fallback_and_back(rig: Rig, client: str, first: str, second: str, streamed: bool) -> None:
    """The host that steps in is sent no other's signature; the first gets its own again, and none of the second's."""
    one, other = rig.hosts[first], rig.hosts[second]
    issued = len(one.issued)
    one.says(FIRST, CRASH, LAST)
    other.says(SECOND)
    talk = Talk(rig, client, f"{first}-{second}", stream=streamed)
    heard = [await talk.ask() for _ in range(3)]
    assert (one.refused, other.refused) == ([], [])
    assert heard[1].calls[0].name == "get_time"
    assert heard[2].text == LAST.text
    proof = list(one.issued)[issued]
    shared = {first, second} == CLAUDES
    assert [got.proofs for got in other.got] == [[proof] if shared else []]
    assert [got.proofs for got in one.got[:2]] == [[], [proof]]
    last = one.got[-1]
    if shared:
        assert last.proofs == list(one.issued)[issued:][:2]
    elif last.thinks:
        assert last.proofs == [proof]
    else:  # Claude cannot think on from a call that was not its own, and says so
        assert first in CLAUDES
        assert set(last.proofs) <= {proof}
    assert [call.name for turn in one.got[-1].turns for call in turn.calls] == ["get_weather", "get_time"]
