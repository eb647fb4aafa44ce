"""GET /v1/usage, /v1/usage/{request_id} and /v1/credits: the same numbers as the ledger's, and nobody else's."""

import csv
import io
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.counting_house import USD, Asking, House, asking, opened_house
from tollhouse.errors import InvalidRequest, ObjectNotFound, Unauthorized
from tollhouse.gateway.credits import CreditsPage
from tollhouse.gateway.usage import UsagePages, read_query, safe_cell, visible_keys
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Principal

DAY = date(2026, 11, 21)
FIRST = Usage(input=1000, cache_read=200, output=50, reasoning=20)
SECOND = Usage(input=7, output=1, estimated=True)


def pages(house: House) -> UsagePages:
    """The pages of a house."""
    return UsagePages(house.live, house.keyring, house.ledger, now=lambda: house.ledger.clock_us() / 1e6)


async def ask(house: House, who: Principal, query: str = "", **headers: str) -> Asking:
    """GET /v1/usage."""
    named = {name.encode(): value.encode() for name, value in headers.items()}
    asked = asking(key=house.texts[who.key_id], query=query.encode(), headers=named)
    await house.landed()
    await pages(house).list(asked.exchange)
    return asked


async def receipt(house: House, who: Principal, request_id: str) -> Any:
    """GET /v1/usage/{request_id}."""
    asked = asking(key=house.texts[who.key_id], rest=request_id.encode())
    await house.landed()
    await pages(house).retrieve(asked.exchange)
    return asked.json


async def spender(house: House, **fields: Any) -> Principal:
    """A key of a new organisation that has $10."""
    org = await house.node("org")
    await house.grant(org, 10 * USD)
    return await house.key(org, **fields)


# --- the query ---------------------------------------------------------------------------------------------------


def test_the_query_has_defaults() -> None:
    """Without parameters the last thirty days come, by day, as JSON."""
    asked = read_query(b"", b"*/*", DAY)
    assert (asked.first, asked.last, asked.group_by) == (date(2026, 10, 23), DAY, ("day",))
    assert (asked.limit, asked.recent, asked.csv) == (1000, 0, False)


def test_the_query_is_read() -> None:
    """Days, groups, limit and form are the caller's to choose."""
    asked = read_query(b"from=2025-11-21&to=2026-11-21&group_by=key,model&limit=5&recent=2&format=csv", b"", DAY)
    assert (asked.first, asked.last, asked.group_by) == (date(2025, 11, 21), DAY, ("model", "key"))
    assert (asked.limit, asked.recent, asked.csv) == (5, 2, True)
    assert read_query(b"group_by=", b"", DAY).group_by == ()
    assert read_query(b"", b"text/csv;q=0.9, */*", DAY).csv
    assert not read_query(b"format=json", b"text/csv", DAY).csv
    assert read_query(b"to=1970-01-02", b"", DAY).first == date(1970, 1, 1)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        (b"from=2026-11-22", "from"),
        (b"from=2025-11-20&to=2026-11-21", "from"),
        (b"from=20261121", "from"),
        (b"from=2026-13-01", "from"),
        (b"to=1969-12-31", "to"),
        (b"to=", "to"),
        (b"group_by=day,day", "group_by"),
        (b"group_by=node.name", "group_by"),
        (b"limit=0", "limit"),
        (b"limit=10001", "limit"),
        (b"limit=-1", "limit"),
        (b"limit=%D9%A3", "limit"),
        (b"limit=9999999999", "limit"),
        (b"recent=101", "recent"),
        (b"format=xml", "format"),
        (b"limit=1&limit=2", "limit"),
        (b"key=key_1", "key"),
        (b"%ff=1", None),
        (b"\xff", None),
    ],
)
def test_any_other_query_is_refused(query: bytes, param: str | None) -> None:
    """What is unknown, given twice or out of range is a 400 that names the parameter."""
    with pytest.raises(InvalidRequest) as caught:
        read_query(query, b"", DAY)
    assert (caught.value.status, caught.value.param) == (400, param)


# --- the sums ----------------------------------------------------------------------------------------------------


async def test_the_sums_are_the_ledgers(tmp_path: Path) -> None:
    """Requests, tokens of each class and cost are those behind the charge entries, to the nano-USD (I25)."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        cost = house.spend(who, "req_1", FIRST) + house.spend(who, "req_2", SECOND)
        page = (await ask(house, who)).json
        (line,) = page["data"]
        assert line["day"] == page["to"]
        counts = {
            "requests": 2,
            "estimated_requests": 1,
            "input_tokens": 1007,
            "cache_read_tokens": 200,
            "cache_write_tokens": 0,
            "cache_write_1h_tokens": 0,
            "output_tokens": 51,
            "reasoning_tokens": 20,
            "input_audio_tokens": 0,
            "output_audio_tokens": 0,
            "images": 0,
        }
        assert {name: line[name] for name in counts} == counts
        assert Decimal(line["cost_usd"]) * USD == cost
        assert (
            house.count("SELECT sum(amount) FROM entry JOIN account ON id = account WHERE name = 'sys:revenue'") == cost
        )
        totals = {name: value for name, value in line.items() if name != "day"}
        assert page["totals"] == totals
        assert page["has_more"] is False


async def test_an_answer_that_was_taken_back_costs_nothing(tmp_path: Path) -> None:
    """A charge that was reversed is in no sum, though the request and its tokens are."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        hold = house.hold(who, "req_1")
        hold.settle(hold.bids[0], FIRST)
        hold.undo()
        page = (await ask(house, who)).json
        assert (page["totals"]["requests"], page["totals"]["cost_usd"]) == (1, "0.00")
        entries = (await receipt(house, who, "req_1"))["entries"]
        assert [entry["kind"] for entry in entries] == ["charge", "charge", "reversal", "reversal"]
        assert sum(Decimal(entry["amount_usd"]) for entry in entries) == 0


async def test_the_groups(tmp_path: Path) -> None:
    """Lines are per day, model, kind and key as asked for, in order; without a group there are totals alone."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        house.spend(who, "req_1", FIRST)
        house.spend(who, "req_2", SECOND, kind="embeddings")
        page = (await ask(house, who, "group_by=kind,model,key")).json
        assert [
            (line["kind"], line["model"], line["key"], line["key_name"], line["requests"]) for line in page["data"]
        ] == [
            ("chat/completions", "up/m", who.key_id, "key", 1),
            ("embeddings", "up/m", who.key_id, "key", 1),
        ]
        assert "day" not in page["data"][0]
        page = (await ask(house, who, "group_by=")).json
        assert (page["data"], page["totals"]["requests"]) == ([], 2)


async def test_the_limit_cuts_lines_not_totals(tmp_path: Path) -> None:
    """A page that is cut says so, and its totals are still of everything."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        house.spend(who, "req_1", FIRST)
        house.spend(who, "req_2", SECOND, kind="embeddings")
        page = (await ask(house, who, "group_by=kind&limit=1")).json
        assert [line["kind"] for line in page["data"]] == ["chat/completions"]
        assert page["has_more"] is True
        assert page["totals"]["requests"] == 2
        assert (await ask(house, who, "group_by=kind&limit=2")).json["has_more"] is False


async def test_other_days_are_left_out(tmp_path: Path) -> None:
    """Only the days that were asked for are counted, both ends included."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        house.spend(who, "req_1", FIRST)
        today = (await ask(house, who)).json["to"]
        assert (await ask(house, who, f"from={today}&to={today}")).json["totals"]["requests"] == 1
        assert (await ask(house, who, "from=2020-01-01&to=2020-12-31")).json["totals"]["requests"] == 0


async def test_what_runs_is_told_apart(tmp_path: Path) -> None:
    """Requests that run are not in the sums; how many they are and what they hold is said beside them."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        hold = house.hold(who, "req_1", amount=USD // 4)
        page = (await ask(house, who)).json
        assert page["open"] == {"requests": 1, "held_usd": "0.25", "held_credits": 25.0}
        assert page["totals"]["requests"] == 0
        hold.release()
        page = (await ask(house, who, "recent=5")).json
        assert page["open"]["requests"] == 0
        assert [(one["id"], one["state"]) for one in page["recent"]] == [("req_1", "released")]


async def test_recent_requests(tmp_path: Path) -> None:
    """The newest requests come with the page where they are asked for, newest first."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        for number in range(5):
            house.spend(who, f"req_{number}", SECOND)
        page = (await ask(house, who, "recent=2")).json
        assert [one["id"] for one in page["recent"]] == ["req_4", "req_3"]
        assert "recent" not in (await ask(house, who)).json


# --- CSV ---------------------------------------------------------------------------------------------------------


async def test_csv_has_the_same_lines(tmp_path: Path) -> None:
    """CSV has the lines of the JSON page under the same names, as a file to be saved."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        house.spend(who, "req_1", FIRST)
        asked = await ask(house, who, "group_by=day,model,kind,key", accept="text/csv")
        assert "content-type: text/csv; charset=utf-8" in asked.head
        assert 'content-disposition: attachment; filename="tollhouse-usage-' in asked.head
        (row,) = csv.DictReader(io.StringIO(asked.body.decode(), newline=""))
        (line,) = (await ask(house, who, "group_by=day,model,kind,key")).json["data"]
        del line["cost"], line["cost_credits"]
        assert row == {name: str(value) for name, value in line.items()}
        assert asked.body.count(b"\r\n") == 2


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_is_a_formula(name: str) -> None:
    """A cell that a spreadsheet would reckon with is made text (S55)."""
    assert safe_cell(name) == f"'{name}"


async def test_a_key_named_like_a_formula_is_text_in_csv(tmp_path: Path) -> None:
    """The one free text of the page, a key's name, cannot carry a formula into a spreadsheet."""
    async with opened_house(tmp_path) as house:
        who = await spender(house, name='=HYPERLINK("http://x","y")')
        house.spend(who, "req_1", FIRST)
        asked = await ask(house, who, "group_by=key&format=csv")
        rows = list(csv.reader(io.StringIO(asked.body.decode(), newline="")))
        assert rows[1][1] == """'=HYPERLINK("http://x","y")"""


# --- who sees what -------------------------------------------------------------------------------------------------


async def family(house: House) -> dict[str, Principal]:
    """Keys at every place of two organisations; ``boss`` and ``lead`` may see the usage around them."""
    one, other = await house.node("org"), await house.node("org")
    team = await house.node("team", one)
    user = await house.node("user", team)
    keys = {
        "boss": await house.key(one, permission="admin"),
        "plain": await house.key(one),
        "lead": await house.key(team, permission="admin"),
        "mate": await house.key(user),
        "stranger": await house.key(other, permission="admin"),
    }
    for org in (one, other):
        await house.grant(org, USD)
    for name, who in keys.items():
        hold = house.hold(who, f"req_{name}", amount=USD // 10)
        hold.settle(hold.bids[0], SECOND)
    return keys


SEEN = {
    "boss": {"boss", "plain", "lead", "mate"},
    "plain": {"plain"},
    "lead": {"lead", "mate"},
    "mate": {"mate"},
    "stranger": {"stranger"},
}


@pytest.mark.parametrize("name", sorted(SEEN))
async def test_everybody_sees_their_own(tmp_path: Path, name: str) -> None:
    """A key sees its own usage, an admin key that of its parent's subtree; of every other request the answer is that
    it does not exist (S09).
    """
    async with opened_house(tmp_path) as house:
        keys = await family(house)
        who = keys[name]
        page = (await ask(house, who, "group_by=key&recent=100")).json
        seen = {
            other for other, principal in keys.items() if principal.key_id in {line["key"] for line in page["data"]}
        }
        assert seen == SEEN[name]
        assert page["totals"]["requests"] == len(SEEN[name])
        assert {one["id"] for one in page["recent"]} == {f"req_{other}" for other in SEEN[name]}
        for other in keys:
            if other in SEEN[name]:
                assert (await receipt(house, who, f"req_{other}"))["key"] == keys[other].key_id
                continue
            with pytest.raises(ObjectNotFound) as caught:
                await receipt(house, who, f"req_{other}")
            assert caught.value.status == 404


async def test_a_revoked_keys_usage_stays_visible(tmp_path: Path) -> None:
    """What a revoked key used is still part of what its organisation's admins see."""
    async with opened_house(tmp_path) as house:
        keys = await family(house)
        await house.office.act("ada", lambda desk: desk.revoke(keys["plain"].key_id))
        assert keys["plain"].number in visible_keys(keys["boss"], house.office.directory)


async def test_nobody_sees_anything_without_a_key(tmp_path: Path) -> None:
    """All three pages want a key."""
    async with opened_house(tmp_path) as house:
        await house.node("org")
        credits_page = CreditsPage(house.live, house.keyring, house.ledger)
        for page in (pages(house).list, pages(house).retrieve, credits_page.show):
            with pytest.raises(Unauthorized):
                await page(asking(key="sk-th-wrong").exchange)
