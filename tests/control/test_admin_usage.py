"""Usage through the admin API: sums that agree with the ledger, single requests, CSV that runs no formula."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.control.admin_kit import Bureau, bureau
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.prices import Bid, make_price
from tollhouse.types.calls import Host, Prices, Target, Usage
from tollhouse.types.ledger import AttemptRecord

TARGET = Target(Host("up", "http://127.0.0.1:1/v1"), "m")
PRICE = make_price("up", "m", Prices(input=3_000_000, output=15_000_000), source="config")
USED = Usage(input=1000, output=100)
COST = "0.0045"
TODAY = datetime.now(UTC).date()


def hold(desk: Bureau, key: str, request_id: str, kind: str = "chat/completions") -> Hold:
    """A dollar held for a key's request."""
    assert PRICE is not None
    who = desk.books.keyring.identify({b"x-api-key": key.encode()})
    return desk.parts.ledger.reserve(request_id, who, kind, "m", (Bid(TARGET, PRICE, 10**9, None, 1000),))


async def spend(desk: Bureau, key: str, request_id: str, **more: Any) -> None:
    """A request that is served, settled and durable."""
    taken = hold(desk, key, request_id, **more)
    tries = (AttemptRecord("other/m", "upstream_timeout", "u-1", 12, 2_000), AttemptRecord("up/m", "ok", "u-2", 34))
    taken.settle(taken.bids[0], USED, tries)
    desk.parts.ledger.write_holds()
    await desk.parts.ledger.journal.durable(desk.parts.ledger.journal.appended)


async def test_sums_are_those_of_the_ledger(tmp_path: Path) -> None:
    """I25: lines by any grouping, the totals, and the entries of the ledger are one number; what runs is told apart."""
    async with bureau(tmp_path) as desk:
        one, two = [await desk.post("/admin/keys", {"name": name}) for name in ("one", "two")]
        for number, key in enumerate((one, one, two)):
            await spend(desk, key["key"], f"req_{number}", kind="responses" if number == 2 else "chat/completions")
        hold(desk, two["key"], "req_open")
        desk.parts.ledger.write_holds()
        await desk.parts.ledger.journal.durable(desk.parts.ledger.journal.appended)
        for group, names in (
            ("day", [TODAY.isoformat()]),
            ("model", ["up/m"]),
            ("kind", ["chat/completions", "responses"]),
            ("key", [one["id"], two["id"]]),
        ):
            report = await desk.get(f"/admin/usage?group_by={group}")
            assert [line[group] for line in report["data"]] == names
            assert sum(line["requests"] for line in report["data"]) == report["totals"]["requests"] == 3
            assert sum(float(line["cost_usd"]) for line in report["data"]) == pytest.approx(0.0135, abs=1e-12)
        (revenue,) = desk.rows_of("SELECT posted FROM account WHERE name = 'sys:revenue'")
        assert (report["totals"]["cost_usd"], revenue) == ("0.0135", (13_500_000,))
        assert report["open"] == {"requests": 1, "held_usd": "1.00"}
        (state,) = (await desk.get("/admin/ledger"))["holds"]["data"]
        assert (state["request_id"], state["key_id"], state["amount_usd"]) == ("req_open", two["id"], "1.00")


async def test_groups_may_be_named_in_any_order(tmp_path: Path) -> None:
    """Lines have the order of the groups, whatever the order in which they were asked for."""
    async with bureau(tmp_path) as desk:
        key = await desk.post("/admin/keys", {"name": "k"})
        await spend(desk, key["key"], "req_1")
        report = await desk.get("/admin/usage?group_by=key,model,day")
        assert report["group_by"] == ["day", "model", "key"]
        (line,) = report["data"]
        assert (line["day"], line["model"], line["key"]) == (TODAY.isoformat(), "up/m", key["id"])


async def test_a_subtree_is_summed_alone(tmp_path: Path) -> None:
    """S09: ``under`` counts what is below a node and nothing beside it; a key made of another tree adds nothing."""
    async with bureau(tmp_path) as desk:
        org = (await desk.post("/admin/organizations", {"name": "A", "billing": "postpaid"}))["id"]
        user = (await desk.post("/admin/users", {"name": "u", "parent_id": org}))["id"]
        inside = await desk.post("/admin/keys", {"parent_id": user})
        outside = await desk.post("/admin/keys", {"name": "other"})
        await spend(desk, inside["key"], "req_in")
        await spend(desk, outside["key"], "req_out")
        await desk.post(f"/admin/keys/{inside['id']}/revoke")
        for root, count in ((org, 1), (user, 1), (inside["id"], 1), (outside["id"], 1), ("org_default", 1)):
            assert (await desk.get(f"/admin/usage?under={root}"))["totals"]["requests"] == count
        assert (await desk.get("/admin/usage"))["totals"]["requests"] == 2
        assert (await desk.ask("GET", "/admin/usage?under=org_none")).status == 404


async def test_csv_says_the_same_and_runs_no_formula(tmp_path: Path) -> None:
    """S55: cells that a spreadsheet would take for a formula are quoted; all others are as in the JSON."""
    async with bureau(tmp_path) as desk:
        for name in ("=1+1", "+1", "-1", "@SUM(A1)", 'plain, "quoted"'):
            made = await desk.post("/admin/keys", {"name": name})
            await spend(desk, made["key"], f"req_{name[0].encode().hex()}")
        answer = await desk.ask("GET", "/admin/usage?group_by=day,key&format=csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"].startswith('attachment; filename="tollhouse-usage-')
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        assert [row["key_name"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", 'plain, "quoted"']
        lines = (await desk.get("/admin/usage?group_by=day,key"))["data"]
        for row, line in zip(rows, lines, strict=True):
            assert {name: str(value) for name, value in line.items() if name != "key_name"} == {
                name: value for name, value in row.items() if name != "key_name"
            }


async def test_one_request_is_shown_with_every_attempt_and_entry(tmp_path: Path) -> None:
    """A charge can be reckoned again from it, and a failed attempt's cost to the operator is there, in the record and
    as entries that sum to zero.
    """
    async with bureau(tmp_path) as desk:
        key = await desk.post("/admin/keys", {"name": "k"})
        await spend(desk, key["key"], "req_1")
        found = await desk.get("/admin/usage/req_1")
        assert (found["state"], found["cost_usd"], found["held_usd"], found["key"]) == (
            "settled",
            COST,
            "1.00",
            key["id"],
        )
        assert (found["tokens"]["input"], found["tokens"]["output"]) == (1000, 100)
        assert found["safety"] is None
        rates = found["price"]["rates"]
        assert (1000 * rates["input"] + 100 * rates["output"]) == 4_500_000_000
        assert [(one["outcome"], one["cost_usd"], one["upstream_request_id"]) for one in found["attempts"]] == [
            ("upstream_timeout", "0.000002", "u-1"),
            ("ok", "0.00", "u-2"),
        ]
        by_kind = {entry["account"]: entry["amount_usd"] for entry in found["entries"]}
        assert by_kind == {
            "org:org_default": f"-{COST}",
            "sys:revenue": COST,
            "provider:other:cost": "0.000002",
            "sys:absorbed": "-0.000002",
        }
        hold(desk, key["key"], "req_2")
        desk.parts.ledger.write_holds()
        await desk.parts.ledger.journal.durable(desk.parts.ledger.journal.appended)
        running = await desk.get("/admin/usage/req_2")
        assert (running["state"], running["duration_ms"], running["entries"]) == ("open", None, [])


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=2026-13-01", "from"),
        ("from=20260101", "from"),
        ("to=x", "to"),
        ("to=1969-12-31", "to"),
        ("from=2026-02-01&to=2026-01-01", "from"),
        ("from=2024-01-01&to=2026-01-01", "from"),
        ("group_by=day,day", "group_by"),
        ("group_by=prompt", "group_by"),
        ("format=xml", "format"),
        ("limit=10001", "limit"),
    ],
)
async def test_a_report_that_cannot_be_is_refused_by_name(tmp_path: Path, query: str, param: str) -> None:
    """Days, groups, formats and limits are judged; the parameter at fault is named."""
    async with bureau(tmp_path) as desk:
        answer = await desk.ask("GET", f"/admin/usage?{query}")
        assert (answer.status, answer.error["param"]) == (400, param)


async def test_days_are_bounded_and_default_to_the_last_thirty(tmp_path: Path) -> None:
    """Without days it is the last 30 with today; days before are left out; no groups give the totals alone."""
    async with bureau(tmp_path) as desk:
        key = await desk.post("/admin/keys", {"name": "k"})
        await spend(desk, key["key"], "req_1")
        report = await desk.get("/admin/usage")
        assert (report["from"], report["to"]) == ((TODAY - timedelta(days=29)).isoformat(), TODAY.isoformat())
        before = await desk.get(f"/admin/usage?to={TODAY - timedelta(days=1)}")
        assert (before["data"], before["totals"]["requests"]) == ([], 0)
        alone = await desk.get("/admin/usage?group_by=")
        assert (alone["data"], alone["totals"]["requests"]) == ([], 1)
        assert (await desk.get("/admin/usage?to=1970-01-02"))["from"] == "1970-01-01"
