"""The published race (I3, F78, S42): ``scripts/budget-race``, as anybody would run it, against a real gateway."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from tests.crash.wire import ask, post
from tests.e2e.process import Gateway, running
from tests.fakes.chaos import closed_port
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader

SCRIPT = Path(__file__).parents[2] / "scripts" / "budget-race"
CONFIG = """
[models]
race = "host/race"
[providers.host]
base_url = "http://127.0.0.1:{port}/v1"
[providers.host.models.race]
input_usd_per_1m = 0
output_usd_per_1m = 10
"""
NUSD = 10**9


async def make_key(gateway: Gateway, folder: Path, kind: str, usd: str) -> str:
    """A key that may spend so much: out of credit, out of a budget of its own, or out of its team's."""
    admin = {"authorization": f"Bearer {(folder / 'data' / 'admin.key').read_text().strip()}"}

    async def make(path: str, **body: object) -> dict[str, str]:
        answer = await post(f"{gateway.admin_url}/admin/{path}", body, admin)
        assert answer.status == 201, answer.body
        return answer.json

    budget = {"limit_usd": usd, "period": "month", "zone": "Europe/Berlin"}
    org = (await make("organizations", name="o", billing="prepaid" if kind == "credit" else "postpaid"))["id"]
    if kind == "credit":
        await make(f"organizations/{org}/grants", amount_usd=usd, reason="race")
        return (await make("keys", parent_id=org))["key"]
    if kind == "team":
        team = (await make("teams", name="t", organization_id=org, budget=budget))["id"]
        return (await make("keys", parent_id=team))["key"]
    return (await make("keys", parent_id=org, budget=budget))["key"]


async def race(gateway: Gateway, port: int, key: str, *options: str) -> tuple[int, str]:
    """The script's exit code and words."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), "--url", gateway.url, "--key", key, "--upstream", str(port), *options),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def judge(folder: Path) -> int:
    """What the ledger says was charged, every promise kept."""
    with open_reader(folder / "data" / "tollhouse.db") as reader:
        assert verify(reader, now_s=time.time(), max_age_s=0.001).findings == []
        row = reader.row("SELECT coalesce(sum(charge), 0) FROM hold")
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(("kind", "options"), [("credit", ()), ("key", ("--stream",)), ("team", ())])
async def test_a_thousand_at_once_spend_five_dollars_and_not_more(
    tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    """Fifty answers of ten cents fit into 5 dollars, of credit or of a budget: exactly fifty are given, whole or in
    streams, and 950 are refused with 402.
    """
    port = closed_port()
    with running(tmp_path, CONFIG.format(port=port)) as gateway:
        key = await make_key(gateway, tmp_path, kind, "5")
        code, said = await race(gateway, port, key, *options)
        assert "50 answered; others: {'402': 950}" in said
        assert "spent $5.000000000 of $5.000000000: within the budget" in said
        assert code == 0
        answer = await ask("GET", f"{gateway.url}/credits", b"", {"authorization": f"Bearer {key}"})
        assert json.loads(answer.body)
        assert judge(tmp_path) == 5 * NUSD


async def test_five_hundred_race_for_the_last_cent(tmp_path: Path) -> None:
    """S42: with one cent left, of answers that may cost a tenth of a cent, ten are given."""
    port = closed_port()
    with running(tmp_path, CONFIG.format(port=port).replace("= 10", "= 0.1")) as gateway:
        key = await make_key(gateway, tmp_path, "credit", "0.01")
        options = ("--requests", "500", "--budget-usd", "0.01", "--output-usd-per-1m", "0.1")
        code, said = await race(gateway, port, key, *options)
        assert (code, "10 answered; others: {'402': 490}" in said) == (0, True)
        assert judge(tmp_path) == NUSD // 100


async def test_the_script_sees_a_gateway_that_overspends(tmp_path: Path) -> None:
    """With a key that may spend more than it is told of, it says so and exits with 1; where nothing answers, with 2."""
    port = closed_port()
    with running(tmp_path, CONFIG.format(port=port)) as gateway:
        key = await make_key(gateway, tmp_path, "credit", "50")
        code, said = await race(gateway, port, key, "--requests", "60", "--pause", "0.01")
        assert (code, "OVER THE BUDGET by $1.000000000" in said) == (1, True)
        code, said = await race(gateway, port, "sk-wrong", "--requests", "3")
        assert (code, "0 answered" in said) == (2, True)
