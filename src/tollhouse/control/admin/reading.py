"""Reads what an operator sent into the struct that an endpoint declares. Called by `control.admin.table`.

A body passes the strict JSON of every other body, then the struct's own schema: an unknown field, at any depth, is
refused and never dropped (allow-list on every write), and so is an unknown or repeated parameter of the query.
"""

import re
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec

from tollhouse.errors import InvalidRequest, UnsupportedMedia
from tollhouse.validate.guard import parse
from tollhouse.validate.spelling import shorten

T = TypeVar("T", bound=msgspec.Struct)

_MOST = 32
_FAULTS = (
    (re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL), "Unknown parameter", "unknown_parameter"),
    (
        re.compile(r"Object missing required field `(?P<field>.*)`"),
        "Missing required parameter",
        "missing_required_parameter",
    ),
    (re.compile(r"Invalid enum value '?(?P<value>.*?)'?", re.DOTALL), "Invalid value", "invalid_value"),
    (re.compile(r"Expected `[^`]*`, got `[^`]*`"), "Invalid type", "invalid_type"),
)
"""What msgspec says, and what is said here, by the codes that errors have elsewhere."""
_JSON_NAMES = {"str": "string", "int": "integer", "bool": "boolean"}


def read_body(content_type: bytes, body: bytes, kind: type[T] | None) -> T | None:
    """The body as a struct; None for an endpoint that takes none. Raises `UnsupportedMedia`, `InvalidRequest`."""
    if body and content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise UnsupportedMedia("Send the body as JSON, with 'Content-Type: application/json'.")
    if kind is None:
        if body and parse(body):
            raise InvalidRequest("This endpoint takes no parameters in its body.", code="unknown_parameter")
        return None
    return fill(parse(body) if body else {}, kind)


def read_query(query: bytes, kind: type[T] | None) -> T | None:
    """The query's parameters as a struct; None for an endpoint that takes none. Raises `InvalidRequest`."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError as error:
        raise InvalidRequest("The query of the URL cannot be read.") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise InvalidRequest(f"The parameter '{shorten(twice)}' is given twice.", param=shorten(twice))
    if kind is not None:
        return fill(found, kind, strict=False)
    if found:
        name = shorten(next(iter(found)))
        raise InvalidRequest(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    return None


def fill(values: dict[str, Any], kind: type[T], *, strict: bool = True) -> T:
    """A struct of these values. Raises `InvalidRequest` that names the field."""
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        _refuse(str(error))


def _refuse(text: str) -> NoReturn:
    """The error of a field. msgspec writes ``what is wrong - at `$.path```, without the path for the top level."""
    what, _, where = text.rpartition(" - at `$") if " - at `$" in text else (text, "", "")
    path = where.rstrip("`").lstrip(".")
    for pattern, said, code in _FAULTS:
        match = pattern.fullmatch(what)
        if match is None:
            continue
        field = match.groupdict().get("field")
        if field is not None:
            path = f"{path}.{shorten(field)}".lstrip(".")
            raise InvalidRequest(f"{said}: '{path}'.", param=path, code=code)
        raise InvalidRequest(f"{said} for '{path}': {_plainly(what)}.", param=path or None, code=code)
    raise InvalidRequest(f"Invalid '{path}': {_plainly(what)}.", param=path or None, code="invalid_value")


def _plainly(what: str) -> str:
    """What msgspec says, with the types that JSON has."""
    names = re.sub(r"`(\w+)`", lambda match: f"`{_JSON_NAMES.get(match[1], match[1])}`", what)
    return shorten(names.replace("Expected", "expected", 1).replace("`", ""))
