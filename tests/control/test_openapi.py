"""The document of the admin API: well formed, and true of what is answered."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from tests.control.admin_kit import bureau
from tollhouse.control.admin.shapes import KeyChange, NewKeyShape
from tollhouse.control.openapi import ErrorReply

PARTS = ("parameters", "responses", "operationId", "summary", "tags", "security")


def walk(value: Any) -> Any:
    """Every object of a document."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def schema_of(document: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any]:
    """The schema of an answer, able to follow references."""
    content = document["paths"][path][method.lower()]["responses"][str(status)]["content"]
    return {**content["application/json"]["schema"], "components": document["components"]}


async def test_the_document_is_openapi_3_1_and_whole(tmp_path: Path) -> None:
    """Every reference leads to a schema that is valid JSON Schema, every operation has its parts, every parameter of a
    path is declared.
    """
    async with bureau(tmp_path) as desk:
        document = await desk.get("/admin/openapi.json")
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    refs = {found["$ref"] for found in walk(document) if "$ref" in found}
    assert refs <= {f"#/components/schemas/{name}" for name in schemas}
    assert len(refs) > 30
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert all(part in operation for part in PARTS), (method, path)
            declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert declared == ({path.partition("{")[2].partition("}")[0]} - {""})


async def test_bodies_are_described_closed_with_every_field(tmp_path: Path) -> None:
    """A body's schema allows what its reader takes and no further field; what is optional there is optional here."""
    async with bureau(tmp_path) as desk:
        document = await desk.get("/admin/openapi.json")
        for (method, path), row in desk.rows.items():
            operation = document["paths"][path][method.lower()]
            assert ("requestBody" in operation) is (row.body is not None)
            if row.body is None:
                continue
            ref = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = document["components"]["schemas"][ref.rpartition("/")[2]]
            fields = msgspec.structs.fields(row.body)
            assert schema["additionalProperties"] is False
            assert set(schema["properties"]) == {field.encode_name for field in fields}
            assert set(schema["required"]) == {field.encode_name for field in fields if field.required}
            assert operation["requestBody"]["required"] is bool(schema["required"])


async def test_answers_are_what_the_document_says(tmp_path: Path) -> None:
    """A whole life of an installation: every answer on the way, refusals too, is valid by the schema of its status."""
    seen: set[tuple[str, str]] = set()
    async with bureau(tmp_path) as desk:
        document = await desk.get("/admin/openapi.json")
        ids = {"none": "none"}

        async def step(method: str, path: str, body: object = None, status: int = 200, name: str = "none") -> Any:
            before, brace, after = path.partition("{")
            target = f"{before}{ids[name]}{after.partition('}')[2]}" if brace else path
            answer = await desk.ask(method, target, body)
            assert answer.status == status, answer.body
            template = path.partition("?")[0]
            Draft202012Validator(schema_of(document, method, template, status)).validate(answer.json)
            seen.add((method, template))
            return answer.json

        budget = {"limit_usd": "5", "period": "week", "zone": "Asia/Tokyo"}
        made = {"name": "Acme", "budget": budget, "models": ["up/*"], "tier": "paid"}
        ids["org"] = (await step("POST", "/admin/organizations", made, 201))["id"]
        team = {"name": "t", "organization_id": ids["org"]}
        ids["team"] = (await step("POST", "/admin/teams", team, 201))["id"]
        ids["user"] = (await step("POST", "/admin/users", {"name": "u", "parent_id": ids["team"]}, 201))["id"]
        ids["key"] = (await step("POST", "/admin/keys", {"parent_id": ids["user"], "owner": "o"}, 201))["id"]
        for word, plural in (("org", "organizations"), ("team", "teams"), ("user", "users"), ("key", "keys")):
            one = f"/admin/{plural}/{{id}}"
            await step("GET", f"/admin/{plural}?limit=1&under={ids['org']}")
            await step("GET", one, name=word)
            await step("GET", one, status=404)
            await step("PATCH", one, {"name": "other", "budget": None}, name=word)
            await step("PATCH", one, {"name": 1}, 400, name=word)
            await step("POST", f"{one}/disable", {"reason": "r"}, name=word)
            await step("POST", f"{one}/enable", name=word)
        await step("POST", "/admin/keys/{id}/rotate", {"overlap_s": 0}, name="key")
        await step("POST", "/admin/keys/{id}/revoke", name="key")
        await step("POST", "/admin/keys/{id}/enable", status=409, name="key")
        for kind in ("grants", "adjustments", "refunds"):
            body = {"amount_usd": "1.25", "reason": "r"}
            await step("POST", f"/admin/organizations/{{id}}/{kind}", body, 201, name="org")
            await step("POST", f"/admin/organizations/{{id}}/{kind}", {}, 400, name="org")
        await step("GET", "/admin/organizations/{id}/balance", name="org")
        price = {"host": "up", "model": "m", "input_usd_per_1m": "3", "output_usd_per_1m": "15"}
        tiers = [{"above_tokens": 200_000, "input_usd_per_1m": "6", "output_usd_per_1m": "22.5"}]
        await step("POST", "/admin/prices", {**price, "tiers": tiers}, 201)
        reports = ("prices", "prices/versions", "tiers", "usage", "safety", "audit", "ledger", "config", "health")
        for path in (*reports, "openapi.json"):
            await step("GET", f"/admin/{path}")
        await step("GET", "/admin/usage/{request_id}", status=404)
        await step("POST", "/admin/reload")
        assert seen == set(desk.rows)


def test_a_change_tells_absent_from_null() -> None:
    """In a PATCH null takes a restriction away and an absent field is left alone: the reader keeps the two apart."""
    assert msgspec.convert({}, KeyChange).tier is msgspec.UNSET
    assert msgspec.convert({"tier": None}, KeyChange).tier is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": None}, KeyChange)
    assert msgspec.convert({}, NewKeyShape).parent_id == "org_default"


async def test_refusals_have_the_documented_shape(tmp_path: Path) -> None:
    """401, 403, 404, 405 and 415 are the one error object that the document names."""
    async with bureau(tmp_path) as desk:
        for method, path, headers in (
            ("GET", "/admin/keys", {"authorization": ""}),
            ("GET", "/admin/keys", {"authorization": "Bearer x"}),
            ("GET", "/admin/nothing", {}),
            ("PUT", "/admin/keys", {}),
            ("POST", "/admin/keys", {"content_type": "text/plain"}),
        ):
            answer = await desk.ask(method, path, {"name": "x"}, **headers)
            assert answer.status >= 400
            assert msgspec.convert(answer.json, ErrorReply).error.request_id == answer.headers["x-request-id"]
