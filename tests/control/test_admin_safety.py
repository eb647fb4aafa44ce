"""What was found, through the admin API: counts by any grouping, of any subtree, and of one request, without a word."""

import csv
import io
from pathlib import Path

import pytest

from tests.control.admin_kit import Bureau, bureau
from tests.control.test_admin_usage import TODAY, hold, spend

Rows = tuple[tuple[str, str, int, bool], ...]
HATE: Rows = (("prompt", "hate", 1, False), ("completion", "hate", 3, True))
ATTACK: Rows = (("prompt", "jailbreak", 3, True),)


async def found(desk: Bureau, key: str, request_id: str, rows: Rows, *, settled: bool = True) -> None:
    """A request in which this was found: answered, or blocked before anything was sent."""
    taken = hold(desk, key, request_id)
    taken.found, taken.safety = rows, '{"policy":"p","prompt":{"hate":"low"}}'
    if not settled:
        taken.release()
    await desk.parts.ledger.journal.durable(desk.parts.ledger.journal.appended)


async def test_findings_are_counted_by_what_is_asked_for(tmp_path: Path) -> None:
    """By default by side, category and severity, prompts first; blocked requests count as those that were answered."""
    async with bureau(tmp_path) as desk:
        key = await desk.post("/admin/keys", {"name": "k"})
        await found(desk, key["key"], "req_1", ATTACK, settled=False)
        await found(desk, key["key"], "req_2", HATE, settled=False)
        await spend(desk, key["key"], "req_3")
        report = await desk.get("/admin/safety")
        assert report["data"] == [
            {"side": "prompt", "category": "hate", "severity": "low", "findings": 1, "filtered": 0},
            {"side": "prompt", "category": "jailbreak", "severity": "high", "findings": 1, "filtered": 1},
            {"side": "completion", "category": "hate", "severity": "high", "findings": 1, "filtered": 1},
        ]
        assert report["totals"] == {"findings": 3, "filtered": 2}
        assert (report["object"], report["answered_requests"], report["has_more"]) == ("safety", 1, False)
        by_key = await desk.get("/admin/safety?group_by=outcome,key,day&limit=1")
        assert by_key["group_by"] == ["day", "key", "outcome"]
        names = {"day": TODAY.isoformat(), "key": key["id"], "key_name": "k", "outcome": "annotated"}
        assert by_key["data"] == [{**names, "findings": 1, "filtered": 0}]
        assert by_key["has_more"] is True
        before = await desk.get("/admin/safety?group_by=&to=2020-01-01")
        assert (before["data"], before["totals"]) == ([], {"findings": 0, "filtered": 0})


async def test_a_subtree_is_counted_alone(tmp_path: Path) -> None:
    """``under`` counts what is below a node and nothing beside it; what is not there is a 404."""
    async with bureau(tmp_path) as desk:
        org = (await desk.post("/admin/organizations", {"name": "A", "billing": "postpaid"}))["id"]
        inside = await desk.post("/admin/keys", {"parent_id": org})
        outside = await desk.post("/admin/keys", {"name": "other"})
        await found(desk, inside["key"], "req_in", ATTACK, settled=False)
        await found(desk, outside["key"], "req_out", HATE, settled=False)
        for root, count in ((org, 1), (inside["id"], 1), (outside["id"], 2), ("org_default", 2)):
            assert (await desk.get(f"/admin/safety?under={root}"))["totals"]["findings"] == count
        assert (await desk.ask("GET", "/admin/safety?under=org_none")).status == 404


async def test_csv_says_the_same_and_runs_no_formula(tmp_path: Path) -> None:
    """The lines of the JSON under their names; a cell that a spreadsheet would take for a formula is quoted."""
    async with bureau(tmp_path) as desk:
        key = await desk.post("/admin/keys", {"name": "=1+1"})
        await found(desk, key["key"], "req_1", ATTACK, settled=False)
        answer = await desk.ask("GET", "/admin/safety?group_by=key,category&format=csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert 'filename="tollhouse-safety-' in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        names = {"key": key["id"], "key_name": "'=1+1", "category": "jailbreak"}
        assert rows == [{**names, "findings": "1", "filtered": "1"}]


async def test_one_request_tells_what_was_found_in_it(tmp_path: Path) -> None:
    """The page of a request has what its record has: the policy and severities by category."""
    async with bureau(tmp_path) as desk:
        key = await desk.post("/admin/keys", {"name": "k"})
        await found(desk, key["key"], "req_1", HATE, settled=False)
        assert (await desk.get("/admin/usage/req_1"))["safety"] == {"policy": "p", "prompt": {"hate": "low"}}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=2026-13-01", "from"),
        ("from=2024-01-01&to=2026-01-01", "from"),
        ("group_by=model", "group_by"),
        ("group_by=day,day", "group_by"),
        ("format=xml", "format"),
        ("limit=10001", "limit"),
        ("text=1", "text"),
    ],
)
async def test_a_report_that_cannot_be_is_refused_by_name(tmp_path: Path, query: str, param: str) -> None:
    """Days, groups, formats and limits are judged; the parameter at fault is named."""
    async with bureau(tmp_path) as desk:
        answer = await desk.ask("GET", f"/admin/safety?{query}")
        assert (answer.status, answer.error["param"]) == (400, param)
