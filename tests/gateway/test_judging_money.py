"""What judges cost is on the ledger: the operator's, never the customer's, and every check of the books agrees."""

import time
from fractions import Fraction
from pathlib import Path

from tests.fakes.chaos import ChaosUpstream
from tests.gateway.counting_house import USD, House, opened_house
from tests.gateway.judges_kit import answered, benched, host, said
from tollhouse.ledger.invoice import Line
from tollhouse.ledger.reconcile import reconcile
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import AttemptRecord

ANSWERED = AttemptRecord("up/m", "ok", "chatcmpl-answer", 100)
GUARD = """
[providers.up.models.guard]
input_usd_per_1m = 2.0
output_usd_per_1m = 10.0
[safety.judges.guard]
kind = "llama_guard"
model = "up/guard"
"""


async def judged_records() -> tuple[AttemptRecord, ...]:
    """The records of a guard model and a webhook that were asked."""
    async with ChaosUpstream(said("safe")) as model, ChaosUpstream(answered({"findings": []})) as hook:
        own = f'[safety.judges.own]\nkind = "webhook"\nurl = "{hook.url}"\ncost_usd = 0.0001\n'
        async with benched(host(model, "[]").replace("models = []\n", "") + GUARD + own) as bench:
            _, records = await bench.judge()
    return records


async def booked(house: House) -> dict[str, int]:
    """What each account of costs holds."""
    await house.landed()
    query = (
        "SELECT account.name, sum(entry.amount) FROM entry JOIN account ON account.id = entry.account"
        " WHERE account.name LIKE 'provider:%' OR account.name = 'sys:absorbed' GROUP BY account.name"
    )
    return house.store.read_now(lambda db: {str(name): int(amount) for name, amount in db.execute(query)})


async def test_judges_are_the_operators_cost_whether_the_request_is_charged_or_not(tmp_path: Path) -> None:
    """A settled request and a released one both book their judges by provider, charge the customer for the answer
    alone, and leave books that every check agrees with.
    """
    records = await judged_records()
    assert [one.cost_nusd for one in records] == [44_000, 100_000]
    async with opened_house(tmp_path) as house:
        org = await house.node("org", name="Acme")
        await house.grant(org, 2 * USD)
        key = await house.key(org)
        first = house.hold(key, "req_1")
        charge = first.settle(first.bids[0], Usage(input=1000, output=10), (*records, ANSWERED))
        house.hold(key, "req_2").release(records)
        assert charge == 3_150_000
        assert house.ledger.standing(key).balance_nusd == 2 * USD - charge
        assert await booked(house) == {
            "provider:up:cost": 88_000,
            "provider:judge:own:cost": 200_000,
            "sys:absorbed": -288_000,
        }
    with open_reader(tmp_path / "house.db") as reader:
        assert verify(reader, now_s=time.time(), thorough=True).findings == []


async def test_records_of_judges_in_front_leave_the_charged_answer_the_last(tmp_path: Path) -> None:
    """An invoice is compared with the answer's tokens and the judge's cost, each under its own id."""
    records = await judged_records()
    async with opened_house(tmp_path) as house:
        org = await house.node("org", name="Acme")
        await house.grant(org, USD)
        hold = house.hold(await house.key(org), "req_1")
        hold.settle(hold.bids[0], Usage(input=1000, output=10), (*records, ANSWERED))
        await house.landed()
    lines = [
        Line(1, "chatcmpl-answer", "m", None, 1000, 10, Fraction(3_150_000)),
        Line(2, str(records[0].upstream_id), "guard", None, None, None, Fraction(44_000)),
    ]
    with open_reader(tmp_path / "house.db") as reader:
        outcome = reconcile(reader, lines, "up")
    assert outcome.matched == 2
    assert outcome.differences == []
