"""GET /v1/safety: the counts of what was found, as JSON and CSV, and nobody else's."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.counting_house import USD, Asking, House, asking, opened_house
from tests.gateway.test_usage import SEEN, family
from tollhouse.errors import InvalidRequest, Unauthorized
from tollhouse.gateway.safety_usage import SafetyPage
from tollhouse.types.tenancy import Principal

ATTACK = (("prompt", "jailbreak", 3, True),)
BOTH = (("prompt", "violence", 1, False), ("completion", "violence", 2, False))


async def ask(house: House, who: Principal, query: str = "", **headers: str) -> Asking:
    """GET /v1/safety."""
    given = {name.encode(): value.encode() for name, value in headers.items()}
    asked = asking(key=house.texts[who.key_id], query=query.encode(), headers=given)
    await house.landed()
    await SafetyPage(house.keyring, house.ledger, now=lambda: house.ledger.clock_us() / 1e6)(asked.exchange)
    return asked


def found(house: House, who: Principal, request_id: str, rows: Any) -> None:
    """A blocked request in which this was found."""
    hold = house.hold(who, request_id, amount=USD // 100)
    hold.found = rows
    hold.release()


async def caller(house: House, **fields: Any) -> Principal:
    """A key of a new organisation."""
    org = await house.node("org")
    await house.grant(org, USD)
    return await house.key(org, **fields)


async def test_what_was_found_is_counted(tmp_path: Path) -> None:
    """By side, category and severity, prompts first, with totals and the number of answered requests."""
    async with opened_house(tmp_path) as house:
        who = await caller(house)
        for number in range(3):
            found(house, who, f"req_{number}", BOTH)
        found(house, who, "req_3", ATTACK)
        page = (await ask(house, who)).json
        day = page.pop("to")
        assert page == {
            "object": "safety",
            "from": page["from"],
            "group_by": ["side", "category", "severity"],
            "data": [
                {"side": "prompt", "category": "jailbreak", "severity": "high", "findings": 1, "filtered": 1},
                {"side": "prompt", "category": "violence", "severity": "low", "findings": 3, "filtered": 0},
                {"side": "completion", "category": "violence", "severity": "medium", "findings": 3, "filtered": 0},
            ],
            "has_more": False,
            "totals": {"findings": 7, "filtered": 1},
            "answered_requests": 0,
        }
        page = (await ask(house, who, f"group_by=outcome,day&from={day}&limit=1")).json
        assert (page["group_by"], page["has_more"]) == (["day", "outcome"], True)
        assert page["data"] == [{"day": day, "outcome": "annotated", "findings": 6, "filtered": 0}]
        assert (await ask(house, who, "group_by=&to=2020-01-01")).json["totals"] == {"findings": 0, "filtered": 0}


async def test_csv_has_the_same_lines(tmp_path: Path) -> None:
    """CSV has the lines of the JSON page under the same names; a key's name runs no formula."""
    async with opened_house(tmp_path) as house:
        who = await caller(house, name="=1+1")
        found(house, who, "req_1", ATTACK)
        asked = await ask(house, who, "group_by=key,category", accept="text/csv")
        assert "content-type: text/csv; charset=utf-8" in asked.head
        assert 'content-disposition: attachment; filename="tollhouse-safety-' in asked.head
        (row,) = csv.DictReader(io.StringIO(asked.body.decode(), newline=""))
        (line,) = (await ask(house, who, "group_by=key,category")).json["data"]
        assert row == {**{name: str(value) for name, value in line.items()}, "key_name": "'=1+1"}


@pytest.mark.parametrize("name", sorted(SEEN))
async def test_everybody_sees_their_own(tmp_path: Path, name: str) -> None:
    """A key sees what was found in its own requests, an admin key what was in those of its parent's subtree."""
    async with opened_house(tmp_path) as house:
        keys = await family(house)
        for other, who in keys.items():
            found(house, who, f"req_found_{other}", ATTACK)
        page = (await ask(house, keys[name], "group_by=key")).json
        ids = {line["key"] for line in page["data"]}
        assert {other for other, principal in keys.items() if principal.key_id in ids} == SEEN[name]
        assert page["totals"]["findings"] == page["answered_requests"] == len(SEEN[name])


@pytest.mark.parametrize(
    ("query", "param"),
    [("group_by=model", "group_by"), ("recent=1", "recent"), ("under=org_1", "under"), ("limit=0", "limit")],
)
async def test_any_other_query_is_refused(tmp_path: Path, query: str, param: str) -> None:
    """What usage alone takes, or the operator alone, is a 400 that names the parameter."""
    async with opened_house(tmp_path) as house:
        who = await caller(house)
        with pytest.raises(InvalidRequest) as caught:
            await ask(house, who, query)
        assert (caught.value.status, caught.value.param) == (400, param)


async def test_nobody_sees_anything_without_a_key(tmp_path: Path) -> None:
    """The page wants a key."""
    async with opened_house(tmp_path) as house:
        await house.node("org")
        with pytest.raises(Unauthorized):
            await SafetyPage(house.keyring, house.ledger)(asking(key="sk-th-wrong").exchange)
