"""A gateway whose client pays, and what its ledger says afterwards.

One host, ``up/m``, at $3 and $15 for a million tokens; the client is an organisation that has paid $20. `judged` waits
until all that was decided is on disk, checks every promise of the ledger, and returns the holds.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.fakes.chaos import ChaosUpstream, Step
from tests.fakes.door import HELLO, Door, eventually, opened
from tollhouse.dialects.tokens import estimate_tokens
from tollhouse.gateway.meter import estimate_prompt
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader

INPUT_NUSD, OUTPUT_NUSD = 3_000, 15_000
"""A token."""
BILLED_NUSD = 7 * INPUT_NUSD + 3 * OUTPUT_NUSD
"""What the usage of `tests.fakes.openai_wire` comes to."""
ASK = {"model": "up/m", **HELLO, "max_tokens": 50}
STREAM = {**ASK, "stream": True}
PATIENT = "[timeouts]\nfirst_byte_s = 20.0\nidle_s = 20.0\n"
PAID_NUSD = 20 * 10**9


def priced(*upstreams: ChaosUpstream, more: str = PATIENT, policy: str = "cancel", output_usd: int = 15) -> str:
    """Settings: hosts ``up``, ``up1`` ... with a price, and the alias ``both`` that tries them in order."""
    text = more
    names = ["up", *(f"up{number}" for number in range(1, len(upstreams)))]
    for name, upstream in zip(names, upstreams, strict=True):
        text += (
            f'[providers.{name}]\nbase_url = "http://127.0.0.1:{upstream.port}/v1"\napi_key = "sk-x"\n'
            f'on_disconnect = "{policy}"\n[providers.{name}.models."m"]\n'
            f"input_usd_per_1m = 3\noutput_usd_per_1m = {output_usd}\ncontext_tokens = 1000\n"
        )
    targets = ", ".join([f'"{name}/m"' for name in names])
    return f"{text}[models]\nboth = [{targets}]\n"


async def pays(door: Door, amount_nusd: int = PAID_NUSD) -> str:
    """The door's key becomes that of a prepaid organisation, which has posted so much; the key's id."""
    books = door.app.parts.books
    org = await books.office.act("ada", lambda desk: desk.create_org({"name": "Acme", "billing": "prepaid"}))
    key = await books.office.act("ada", lambda desk: desk.create_key(org.node.id, {"name": "k"}))
    door.key = key.text.reveal()
    if amount_nusd:
        number = books.office.directory.numbers[org.node.id]
        await books.ledger.post("grant", number, amount_nusd, actor="ada", reason="welcome")
    return str(key.view.node.id)


@asynccontextmanager
async def till(
    *plays: Sequence[Step], more: str = PATIENT, policy: str = "cancel", **where: Any
) -> AsyncIterator[tuple[Door, ChaosUpstream]]:
    """A host that performs these plays, and a gateway whose client has paid $20."""
    async with ChaosUpstream(*plays) as up, opened(priced(up, more=more, policy=policy), **where) as door:
        await pays(door)
        yield door, up


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold as it is on disk."""

    state: str
    amount: int
    charge: int
    estimated: bool
    interrupted: bool
    output: int
    target: str


_HOLDS = "SELECT state, amount, charge, estimated, interrupted, output, target FROM hold ORDER BY id"


async def judged(door: Door, *, within_s: float = 5.0) -> list[HoldRow]:
    """Waits until nothing is served and all is durable; every invariant holds, and nothing is held. The holds."""
    ledger = door.app.ledger
    await eventually(lambda: door.idle and not len(door.app.gate.drains), within_s=within_s)
    await eventually(lambda: ledger.journal.landed == ledger.journal.appended, within_s=within_s)
    path = door.app.parts.books.store.path
    with open_reader(path) as reader:
        assert verify(reader, now_s=time.time(), max_age_s=0.001).findings == []
        assert list(reader.rows("PRAGMA integrity_check")) == [("ok",)]
        rows = [HoldRow(*row) for row in reader.rows(_HOLDS)]
        (posted,) = reader.row("SELECT sum(posted) FROM account WHERE name LIKE 'org:%'") or (0,)
    purses = ledger.wallet.purses.values()
    assert sum(purse.posted for purse in purses) == posted, "memory and disk differ"
    assert sum(purse.held for purse in purses) == 0
    return rows


def delivered_nusd(*texts: str, body: dict[str, Any] | None = None) -> int:
    """What the prompt and so much of an answer are charged where the host has not said."""
    prompt = estimate_prompt(body or ASK)
    return prompt * INPUT_NUSD + estimate_tokens("".join(texts)) * OUTPUT_NUSD
