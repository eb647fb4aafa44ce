"""What holds for every endpoint of the admin API, asked of each of them."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.control.admin_kit import ADMIN_KEY, Bureau, bureau
from tollhouse.control.admin.api import routes
from tollhouse.control.admin.table import Asked, Endpoint
from tollhouse.control.admin.tree import Tree
from tollhouse.errors import StorageUnavailable
from tollhouse.tenancy.directory import Directory

METHODS_THAT_WRITE = {"POST", "PATCH"}


def filled(template: str, node: str = "none") -> str:
    """A path for a template."""
    before, brace, after = template.partition("{")
    return f"{before}{node}{after.partition('}')[2]}" if brace else template


async def untouched(desk: Bureau) -> bool:
    """Whether nobody has done anything."""
    return not desk.rows_of("SELECT id FROM audit") and not desk.rows_of("SELECT id FROM tx")


async def test_routes_table_and_document_are_the_same_rows(tmp_path: Path) -> None:
    """S04: every route is declared for the admin alone, and the document has exactly the operations that are served."""
    async with bureau(tmp_path) as desk:
        served = {(route.method, route.path) for route in routes(desk.parts)}
        assert {route.access for route in routes(desk.parts)} == {"admin"}
        assert served == set(desk.rows)
        document = await desk.get("/admin/openapi.json")
        described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
        assert described == served
        operations = [operation for item in document["paths"].values() for operation in item.values()]
        names = [operation["operationId"] for operation in operations]
        assert len(set(names)) == len(names) == len(served)
        for operation in operations:
            assert operation["security"] == [{"admin_key": []}]
            assert operation["summary"].endswith(".")
            assert {"401", "403"} <= set(operation["responses"])
            assert any(status.startswith("2") for status in operation["responses"])


async def test_without_the_key_nothing_is_read_and_nothing_done(tmp_path: Path) -> None:
    """S06: the key is asked for before path, query and body are looked at, on every endpoint."""
    async with bureau(tmp_path) as desk:
        for method, path in desk.rows:
            for given, status in (("", 401), ("Bearer wrong", 403), (f"Basic {ADMIN_KEY}", 403)):
                answer = await desk.ask(method, f"{filled(path)}?no=%ff", b"{broken", authorization=given)
                assert answer.status == status, (method, path)
                assert ADMIN_KEY.encode() not in answer.body
        assert await untouched(desk)


async def test_no_endpoint_takes_a_field_or_parameter_that_it_does_not_know(tmp_path: Path) -> None:
    """S07: an unknown field is refused by name and nothing of the request is done; the same for the query."""
    async with bureau(tmp_path) as desk:
        for (method, path), row in desk.rows.items():
            answer = await desk.ask(method, f"{filled(path, 'org_default')}?role=admin", {} if row.body else None)
            assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unknown_parameter", "role")
            if method in METHODS_THAT_WRITE:
                answer = await desk.ask(method, filled(path, "org_default"), {**sample(row), "role": "admin"})
                assert (answer.status, answer.error["code"]) == (400, "unknown_parameter"), (method, path)
        assert await untouched(desk)


async def test_mass_assignment_reaches_no_column(tmp_path: Path) -> None:
    """S07: not one column of the tables behind it, beyond the documented fields, can be written through a body."""
    async with bureau(tmp_path) as desk:
        tables = ("node", "key_details", "key_secret", "account", "tx", "price")
        columns = {column[1] for table in tables for column in desk.rows_of(f"PRAGMA table_info({table})")}
        for (method, path), row in desk.rows.items():
            known = set() if row.body is None else {field.name for field in msgspec.structs.fields(row.body)}
            for column in sorted(columns - known) if method in METHODS_THAT_WRITE else ():
                answer = await desk.ask(method, filled(path, "org_default"), {**sample(row), column: 1})
                assert (answer.status, answer.error["code"]) == (400, "unknown_parameter"), (method, path, column)
        assert await untouched(desk)


async def test_a_write_says_that_its_body_is_json(tmp_path: Path) -> None:
    """S13: what a form of a web page could send is no write here, whatever it holds."""
    async with bureau(tmp_path) as desk:
        writes = [(one, row) for one, row in desk.rows.items() if one[0] in METHODS_THAT_WRITE]
        for (method, path), row in writes:
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
                answer = await desk.ask(method, filled(path, "org_default"), sample(row), content_type=kind)
                assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type"), (method, path)
        assert await untouched(desk)
        made = await desk.ask("POST", "/admin/organizations", {"name": "a"}, content_type="Application/JSON; charset=x")
        assert made.status == 201


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b'{"name": "a", "name": "b"}', b'{"name": NaN}', b"\xff", b'{"name": "\\ud800"}']
)
async def test_a_body_means_one_thing_or_is_refused(tmp_path: Path, body: bytes) -> None:
    """Broken, repeated and non-finite JSON is a 400 here as it is for clients."""
    async with bureau(tmp_path) as desk:
        answer = await desk.ask("POST", "/admin/organizations", body)
        assert answer.status == 400
        assert await untouched(desk)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "limit=%ff", "after=nobody"])
async def test_a_query_is_judged_like_a_body(tmp_path: Path, query: str) -> None:
    """Out of range, repeated, undecodable and unknown values of parameters are refused by name."""
    async with bureau(tmp_path) as desk:
        answer = await desk.ask("GET", f"/admin/teams?{query}")
        assert answer.status in {400, 404}
        assert answer.error["error_id"] in {"INVALID_REQUEST", "NOT_FOUND"}


async def test_an_id_that_nothing_has_is_not_found_and_never_a_fault(tmp_path: Path) -> None:
    """S09: an unknown id, and the id of another kind of thing, are the same 404 on every endpoint that takes one."""
    async with bureau(tmp_path) as desk:
        key = await desk.post("/admin/keys", {"name": "k"})
        before = len(await desk.audit())
        for (method, path), row in desk.rows.items():
            if "{id}" not in path:
                continue
            wrong_kind = key["id"] if "/keys/" not in path else "org_default"
            for node in ("none", "%00", "a%2fb", "x" * 300, wrong_kind, "'%20OR%201=1--"):
                answer = await desk.ask(method, filled(path, node), sample(row) if method != "GET" else None)
                assert (answer.status, answer.error["error_id"]) == (404, "NOT_FOUND"), (method, path, node)
        assert len(await desk.audit()) == before


async def test_answers_are_never_kept_by_a_cache(tmp_path: Path) -> None:
    """Keys and money are in them: each says no-store, CSV too."""
    async with bureau(tmp_path) as desk:
        for path in ("/admin/keys", "/admin/usage?format=csv", "/admin/openapi.json"):
            assert (await desk.ask("GET", path)).headers["cache-control"] == "no-store"


def sample(row: Endpoint) -> dict[str, Any]:
    """A body that an endpoint takes."""
    samples: dict[str, dict[str, Any]] = {
        "organizations": {"name": "a"},
        "teams": {"name": "a", "organization_id": "org_default"},
        "users": {"name": "a", "parent_id": "org_default"},
        "grants": {"amount_usd": "1"},
        "refunds": {"amount_usd": "1", "reason": "r"},
        "adjustments": {"amount_usd": "1", "reason": "r"},
        "prices": {"host": "up", "model": "m", "input_usd_per_1m": "3", "output_usd_per_1m": "15"},
    }
    return samples.get(row.path.rpartition("/")[2], {}) if row.body else {}


async def test_a_write_is_finished_although_its_caller_leaves(tmp_path: Path) -> None:
    """What the database has is in force, and the wallet knows it: nobody's leaving comes between the two."""
    async with bureau(tmp_path) as desk:
        entered, go, adopted = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def adopt(directory: Directory) -> None:
            entered.set()
            await go.wait()
            await desk.books.ledger.adopt(directory.nodes)
            adopted.set()

        desk.parts.office._adopt = adopt
        rows = {row.name: row for row in Tree(desk.parts.office).endpoints()}
        body = b'{"budget": {"limit_usd": "1"}}'
        asked = Asked(actor="admin", id="org_default", content_type=b"application/json", body=body)
        caller = asyncio.create_task(rows["update_organization"].perform(asked))
        await entered.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        go.set()
        await asyncio.wait_for(adopted.wait(), 5)
        assert (await desk.get("/admin/organizations/org_default/balance"))["available_usd"] == "1.00"


async def test_a_write_without_a_store_is_refused_and_may_be_tried_again(tmp_path: Path) -> None:
    """F89: 503 while nothing can be promised, with nothing done; reads of the tree go on."""
    async with bureau(tmp_path) as desk:
        await desk.books.journal.durable(desk.books.journal.appended)  # what lands later would show that it works
        desk.books.journal.failing = StorageUnavailable("The database does not answer.")
        for path, body in (("/admin/keys", {}), ("/admin/organizations/org_default/grants", {"amount_usd": "1"})):
            answer = await desk.ask("POST", path, body)
            assert (answer.status, answer.error["error_id"]) == (503, "STORAGE_UNAVAILABLE")
            assert answer.headers["retry-after"] == "1"
        assert (await desk.get("/admin/keys"))["data"] == []
        desk.books.journal.failing = None
        assert await untouched(desk)
        await desk.post("/admin/keys")
