"""The OpenAPI 3.1 document of the admin API, made from the rows that the router serves and the structs they name.

`control.admin` answers ``GET /admin/openapi.json`` with it. Nothing is written by hand here, so it cannot differ from
what is served: a body that the document allows is read by the very struct that described it.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse import __version__
from tollhouse.control.admin.table import Endpoint

_REF = "#/components/schemas/{name}"
_ERRORS = {
    "400": "A parameter is missing, unknown, of the wrong type or out of range.",
    "401": "No admin key was sent.",
    "403": "The key is not the admin key.",
    "404": "There is no such object.",
    "409": "The object's state, or an Idempotency-Key that was used for something else, does not allow it.",
    "415": "The body is not declared as application/json.",
    "503": "The database does not answer; try again.",
}
_ACTOR = {
    "name": "x-tollhouse-actor",
    "in": "header",
    "description": "Who acts, for the audit: a name beside the key.",
    "schema": {"type": "string", "maxLength": 64},
}
_EVENT = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "What this caller calls its deed. Sent again, nothing more happens.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


class ErrorBody(msgspec.Struct):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str | None
    error_id: str
    request_id: str


class ErrorReply(msgspec.Struct):
    """The body of every refusal."""

    error: ErrorBody


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document, ready to be encoded."""
    rows = tuple(endpoints)
    kinds = [kind for row in rows for kind in (row.answer, row.body) if kind is not None]
    refs, schemas = msgspec.json.schema_components([*kinds, ErrorReply], ref_template=_REF)
    named = dict(zip(map(_key, [*kinds, ErrorReply]), refs, strict=True))
    paths: dict[str, Any] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollhouse admin API",
            "version": __version__,
            "description": "For the operator: tenants, keys, money, prices, usage. On a listener of its own.",
        },
        "security": [{"admin_key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"admin_key": {"type": "http", "scheme": "bearer", "description": "admin.key"}},
        },
    }


def _key(kind: Any) -> str:
    """A type's name with its parameters, by which its schema is found again."""
    return repr(kind)


def _operation(row: Endpoint, named: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"application/json": {"schema": named[_key(row.answer)]}}
    if row.csv:
        success["text/csv"] = {"schema": {"type": "string"}}
    errors = {status: _error(text, named) for status, text in _ERRORS.items() if _may_answer(row, status)}
    described: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.summary,
        "tags": [row.path.split("/")[2].removesuffix(".json")],
        "security": [{"admin_key": []}],
        "parameters": [*_parameters(row)],
        "responses": {str(row.status): {"description": "Done.", "content": success}, **errors},
    }
    if row.body is not None:
        content = {"application/json": {"schema": named[_key(row.body)]}}
        described["requestBody"] = {"required": _needs_body(row.body), "content": content}
    return described


def _may_answer(row: Endpoint, status: str) -> bool:
    if status == "404":
        return "{" in row.path or row.body is not None or row.query is not None
    return row.method != "GET" or status not in {"409", "415"}


def _error(text: str, named: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": named[_key(ErrorReply)]}}}


def _parameters(row: Endpoint) -> Iterable[dict[str, Any]]:
    for name in _PATH_PARAMETER.findall(row.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if row.query is not None:
        yield from _query_parameters(row.query)
    if row.method != "GET":
        yield _ACTOR
    if row.repeatable:
        yield _EVENT


def _query_parameters(kind: type[msgspec.Struct]) -> Iterable[dict[str, Any]]:
    (_,), schemas = msgspec.json.schema_components([kind], ref_template=_REF)
    described = schemas[kind.__name__]
    for name, schema in described["properties"].items():
        plain = dict(schema)
        text = plain.pop("description", None)
        parameter = {"name": name, "in": "query", "required": name in described["required"], "schema": plain}
        yield {**parameter, "description": text} if text else parameter


def _needs_body(kind: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(kind))
