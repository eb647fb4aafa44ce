"""Several routes behind the alias ``both``, each with a price, and what is on record when a request is over.

    async with ChaosUpstream(...) as a, ChaosUpstream(...) as b, served(a, b) as door:
        answer = await door.post(ASK)
        record = await settled(door, answer)

``up0/m``, ``up1/m``... cost $3 and $15 for a million tokens; the client is an organisation that has paid $20.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.fakes.chaos import ChaosUpstream, Deaf, Step
from tests.fakes.door import HELLO, Answer, Door, eventually, opened
from tests.faults.kit import BILLED_NUSD, HoldRow, judged, pays
from tollhouse.routing.health import Health
from tollhouse.routing.tracks import KeyView, TargetView

ASK: dict[str, Any] = {"model": "both", **HELLO, "max_tokens": 50}
STREAM: dict[str, Any] = {**ASK, "stream": True}
QUICK = "[timeouts]\nconnect_s = 0.5\nfirst_byte_s = 0.4\nidle_s = 0.4\ntotal_s = 5.0\n"
PATIENT = "[timeouts]\nfirst_byte_s = 20.0\nidle_s = 20.0\n"
AGAIN = "[routing]\nsame_target_retries = 1\nbackoff_base_s = 0.01\nbackoff_max_s = 1.0\n"
"""Settings under which a target is asked again where no other is left."""
Upstream = ChaosUpstream | Deaf | int | str

__all__ = ["BILLED_NUSD", "HoldRow", "judged"]


def routes(
    *upstreams: Upstream, alias: str = "", more: str = QUICK, hosts: Sequence[str] = (), targets: str = ""
) -> str:
    """Settings. ``alias`` are lines of the alias, ``hosts`` lines for each host; ``targets`` in place of all."""
    text = more
    for number, upstream in enumerate(upstreams):
        base = upstream if isinstance(upstream, str) else f"http://127.0.0.1:{getattr(upstream, 'port', upstream)}/v1"
        own = hosts[number] if number < len(hosts) else ""
        key = "" if "api_keys" in own else f'api_key = "sk-{number}"\n'
        text += (
            f'[providers.up{number}]\nbase_url = "{base}"\n{key}{own}\n[providers.up{number}.models."m"]\n'
            "input_usd_per_1m = 3\noutput_usd_per_1m = 15\ncontext_tokens = 100000\n"
        )
    named = targets or ", ".join([f'"up{number}/m"' for number in range(len(upstreams))])
    return f"{text}[models.both]\ntargets = [{named}]\n{alias}\n"


@asynccontextmanager
async def served(*upstreams: Upstream, **settings: Any) -> AsyncIterator[Door]:
    """A gateway over these upstreams whose client has paid $20. At its end nothing of any request is left."""
    async with opened(routes(*upstreams, **settings)) as door:
        await pays(door)
        before = asyncio.all_tasks()
        yield door
        await rested(door)
        await eventually(lambda: not [task for task in asyncio.all_tasks() - before if _is_ours(task)])


def _is_ours(task: "asyncio.Task[Any]") -> bool:
    """Whether a task runs the gateway's code, not a test's."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "tollhouse" in code.co_filename


async def rested(door: Door) -> None:
    """Waits until nothing is served, held, or under way anywhere."""
    await eventually(lambda: door.idle and not under_way(health(door)))


def health(door: Door) -> Health:
    """What the gateway knows of its hosts."""
    return door.app.parts.live.health


def under_way(known: Health) -> int:
    """Attempts that have begun and not ended, by target and by key."""
    tracks = [track.in_flight for state in known.hosts.values() for track in state.tracks.values()]
    keys = [key.in_flight for state in known.hosts.values() for key in state.keys.values()]
    assert min([0, *tracks, *keys]) == 0
    return sum(tracks) + sum(keys)


def now() -> float:
    """The clock of routing."""
    return asyncio.get_running_loop().time()


def view(door: Door, host: str) -> TargetView:
    """What is known of a host's model."""
    return next(one for one in health(door).views(now()) if one.host == host)


def key_view(door: Door, host: str, slot: int = 0) -> KeyView:
    """What is known of a host's key."""
    return next(one for one in health(door).keys(now()) if (one.host, one.slot) == (host, slot))


async def settled(door: Door, answer: Answer) -> dict[str, Any]:
    """The receipt of a request, when it is over."""
    await judged(door)
    receipt = (await door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json
    assert isinstance(receipt, dict)
    return receipt


def outcomes(receipt: dict[str, Any]) -> list[tuple[str, str]]:
    """The attempts on record: host and outcome."""
    return [(attempt["target"].removesuffix("/m"), attempt["outcome"]) for attempt in receipt["attempts"]]


def said(answer: Answer) -> str:
    """What a whole answer says, or a stream."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return answer.text
    return str(answer.json["choices"][0]["message"]["content"])


def plays(*steps: Step) -> list[Step]:
    """A play."""
    return list(steps)
