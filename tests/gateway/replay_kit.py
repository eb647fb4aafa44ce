"""Requests that want answers of before, for tests of ``[replay]``."""

from pathlib import Path
from typing import Any

import msgspec

from tests.fakes.chaos import ChaosUpstream
from tests.fakes.door import Answer, Door
from tests.gateway.kit import ASK, SECRET, hosts
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader

BOTH = "[replay]\nseed = true\ncache = true\n"
_PRICES = "input_usd_per_1m = 3\noutput_usd_per_1m = 15\ncontext_tokens = 1000\n"
"""7 tokens of prompt and 3 of answer, as the fake upstream says, are 66,000 nano-USD."""
COST_NUSD = 66_000
SEED: dict[str, Any] = {**ASK, "seed": 7}
MONEY = ("_remaining_credits", "_balance_warning")


def kept(*upstreams: ChaosUpstream, replay: str = BOTH, more: str = "") -> str:
    """Settings with hosts that have answers kept."""
    return hosts(*upstreams, more=f"{replay}{more}")


def priced(upstream: ChaosUpstream, replay: str, more: str = "") -> str:
    """Settings with a host that has a price."""
    host = (
        f'[providers.up0]\nbase_url = "{upstream.url}/v1"\napi_key = "{SECRET}"\n[providers.up0.models."m"]\n{_PRICES}'
    )
    return f'{more}[replay]\nseed = true\ncache = true\n{replay}{host}[models]\nboth = "up0/m"\n'


def said(answer: Answer) -> bytes:
    """The bytes of an answer, without what it says of money: all that is to be the same again."""
    assert answer.status == 200, answer.body
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return msgspec.json.encode(_plain(answer.json))
    return b"\n".join(
        [line if line == b"[DONE]" else msgspec.json.encode(_plain(msgspec.json.decode(line))) for line in answer.lines]
    )


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    plain = {name: held for name, held in value.items() if name not in MONEY}
    if isinstance(usage := plain.get("usage"), dict):
        plain["usage"] = {name: count for name, count in usage.items() if name != "cost"}
    return plain


def replay_of(answer: Answer) -> tuple[str | None, str | None]:
    """What an answer says that it is a replay by, and of."""
    return answer.headers.get("x-tollhouse-replay"), answer.headers.get("x-tollhouse-replay-of")


async def receipt(door: Door, answer: Answer) -> Any:
    """The receipt of the request that got an answer."""
    return (await door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json


def is_sound(door: Door) -> bool:
    """Whether the ledger proves itself."""
    path: Path = door.app.parts.books.store.path
    with open_reader(path) as reader:
        report = verify(reader, now_s=door.app.ledger.clock_us() / 1e6, thorough=True)
    assert report.findings == []
    return True


def rows(door: Door) -> int:
    """How many answers are kept."""
    return len(door.app.parts.books.store.read_now(lambda db: db.execute("SELECT id FROM replay").fetchall()))
