"""`tollhouse.engines.sim.schema`: instances are valid, or the schema is refused by name."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollhouse.engines.sim.check import fits
from tollhouse.engines.sim.document import Document, SchemaProblem
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.formats import FORMATS
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.schema import instance

CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER
QUIET = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def made(schema: Any, text: str = "", key: str = "1") -> Any:
    """An instance, held against the reference validator."""
    value = instance(schema, Hints(text), Draws(key))
    jsonschema.Draft202012Validator(schema, format_checker=CHECKER).validate(value)
    json.dumps(value, allow_nan=False)
    return value


FORMAT_NAMES = sorted(FORMATS)


SATISFIABLE: list[Any] = [
    True,
    {},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"type": "integer", "minimum": 7, "maximum": 7},
    {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 3},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-9},
    {"type": "number", "multipleOf": 0.25, "minimum": 0.3, "maximum": 0.6},
    {"allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "type": "integer", "minimum": 1},
    {"type": "number", "minimum": 1e300},
    {"type": "integer", "maximum": -1000000000000000},
    {"type": "string", "minLength": 200},
    {"type": "string", "maxLength": 0},
    {"type": "string", "minLength": 3, "maxLength": 3},
    {"type": "string", "pattern": "^(?=.*[A-Z])(?=.*\\d)(?!.*admin)[A-Za-z\\d]{8,12}$"},
    {"type": "string", "pattern": "^\\+?[1-9]\\d{1,14}$"},
    {"type": "string", "pattern": "^(?:[0-9]{1,3}\\.){3}[0-9]{1,3}$"},
    {"type": "string", "pattern": "(a+)+$", "minLength": 30},
    {"type": "string", "pattern": "^[^\\s@]+@[^\\s@]+$", "maxLength": 5},
    {"type": "string", "allOf": [{"pattern": "^ab"}, {"pattern": "yz$"}, {"pattern": "\\d{2}"}]},
    {"type": "string", "pattern": "^$"},
    {"type": "string", "format": "date", "pattern": "^202[45]-"},
    {"enum": [1, "two", None, {"three": 3}]},
    {"enum": ["a", "bb", "ccc"], "minLength": 3},
    {"const": {"a": [1, True]}},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    {"type": "array", "contains": {"const": 5}, "minContains": 2, "items": {"type": "integer"}},
    {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 100}, "maxContains": 1, "minItems": 3},
    {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "integer"}}},
    {"type": "object", "minProperties": 4},
    {"type": "object", "minProperties": 3, "patternProperties": {"^x_": {"type": "integer"}},
     "additionalProperties": False},
    {"type": "object", "minProperties": 2, "propertyNames": {"pattern": "^[a-z]{3}$"}},
    {"type": "object", "properties": {"a": {}, "b": {}}, "maxProperties": 1},
    {"type": "object", "required": ["card"], "properties": {"card": {"type": "integer"}},
     "dependentRequired": {"card": ["address"]}},
    {"type": "object", "required": ["card"], "dependentSchemas": {"card": {"required": ["owner"]}}},
    {"anyOf": [{"type": "string", "minLength": 9, "maxLength": 3}, {"type": "integer"}]},
    {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]},
               {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}]},
    {"not": {"type": "string"}},
    {"type": "string", "pattern": "^[ab]{40}$", "not": {"pattern": "a"}},
    {"type": "object", "properties": {"a": {}, "b": {}}, "dependentSchemas": {"a": {"required": ["b"]}},
     "dependentRequired": {"b": ["c"]}, "minProperties": 2},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "dependencies": {"a": ["b"]}, "required": ["a"]},
    {"type": "array", "items": False},
    {"type": "array", "minItems": 300, "uniqueItems": True, "items": {"type": "integer", "minimum": 5}},
    {"type": "string", "format": "hostname", "minLength": 60},
    {"type": "string", "format": "email", "minLength": 90},
    {"type": "number", "minimum": 0.123, "maximum": 0.123},
    {"type": "integer", "multipleOf": 7, "maximum": -1},
    {"type": "object", "properties": {"a": {"type": "string"}}, "not": {"required": ["a"]}},
    {"type": "object", "properties": {"k": {"enum": ["x", "y"]}}, "required": ["k"],
     "if": {"properties": {"k": {"const": "x"}}}, "then": {"required": ["a"]}, "else": {"required": ["b"]}},
    {"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "integer"}}},
    {"$ref": "#here", "$defs": {"x": {"$anchor": "here", "type": "integer"}}},
    {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
    {"$defs": {"node": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                        "required": ["kids"]}}, "$ref": "#/$defs/node"},
    {"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}, "minItems": 1},
               "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]}}, "$ref": "#/$defs/a"},
    {"type": "object", "properties": {"a": False, "b": True}, "additionalProperties": False},
]  # fmt: skip


@pytest.mark.parametrize("schema", SATISFIABLE, ids=lambda schema: json.dumps(schema)[:60])
def test_instances_are_valid(schema: Any) -> None:
    """Whatever the draws, an instance passes the reference validator."""
    for key in range(8):
        made(schema, "Compare Paris and Rome, 3 and 17.5, email a@b.example.", str(key))


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_formats(name: str) -> None:
    """Every format of the specification is kept, also where a least length is asked for."""
    for low in (0, 12):
        if low <= {"ipv4": 0, "date": 0, "time": 0}.get(name, 99):
            made({"type": "string", "format": name, "minLength": low}, "Write to x@example.com on 2026-02-03.")


UNSATISFIABLE: list[tuple[Any, str]] = [
    (False, "false"),
    ({"type": "string", "minLength": 5, "maxLength": 3}, "maxLength"),
    ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum"),
    ({"type": "integer", "multipleOf": 10, "minimum": 1, "maximum": 9}, "multipleOf"),
    ({"type": "string", "pattern": "^a$", "minLength": 2}, "pattern"),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type"),
    ({"enum": [1, 2], "type": "string"}, "enum"),
    ({"anyOf": [False]}, "anyOf"),
    ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "maxProperties"),
    ({"type": "object", "required": ["A"], "propertyNames": {"pattern": "^a$"}}, "propertyNames"),
    ({"type": "object", "minProperties": 2, "properties": {"a": {}}, "additionalProperties": False}, "minProperties"),
    ({"type": "string", "format": "ipv4", "minLength": 99}, "format"),
    ({"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True}, "boolean|uniqueItems|items"),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "maxItems"),
    ({"type": "object", "required": ["a"], "additionalProperties": False}, "additionalProperties"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, r"\$ref"),
    ({"$ref": "#"}, r"\$ref"),
    ({"type": "string", "not": {"minLength": 0}}, "not"),
]  # fmt: skip
REFUSED: list[tuple[Any, str]] = [
    ({"type": "text"}, "type"),
    ({"minLength": "3"}, "minLength"),
    ({"minLength": -1}, "minLength"),
    ({"multipleOf": 0}, "multipleOf"),
    ({"required": "a"}, "required"),
    ({"properties": []}, "properties"),
    ({"enum": []}, "enum"),
    ({"items": 3}, "items"),
    ({"$ref": "https://example.com/schema"}, r"\$ref"),
    ({"$ref": "#/$defs/missing"}, r"\$ref"),
    ({"unevaluatedProperties": False}, "unevaluatedProperties"),
    ({"$dynamicRef": "#x"}, r"\$dynamicRef"),
    ({"pattern": "(?<=a)b"}, "pattern"),
    ({"pattern": "(a)\\1"}, "pattern"),
    ({"pattern": "a{99999}"}, "pattern"),
    ({"pattern": "(((a{100}){100}){100})"}, "pattern"),
    ({"minItems": 1000000}, "minItems"),
    ({"properties": {"a": {"pattern": "("}}}, "pattern"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "keyword"), [*UNSATISFIABLE, *REFUSED], ids=lambda value: json.dumps(value)[:60])
def test_refusals_name_the_keyword(schema: Any, keyword: str) -> None:
    """A schema that cannot be honoured is refused with the keyword that stands in the way."""
    with pytest.raises(SchemaProblem, match=keyword):
        instance(schema, Hints(""), Draws("1"))


def test_refusal_names_the_place() -> None:
    """A refusal says where in the schema the keyword stands."""
    with pytest.raises(SchemaProblem, match=r"'properties', 'a', 'items'"):
        instance({"properties": {"a": {"items": {"pattern": "["}}}}, Hints(""), Draws("1"))


def test_s35_catastrophic_patterns_cost_nothing() -> None:
    """Expressions that make backtracking engines hang are matched in linear time."""
    schema = {"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$", "minLength": 40}
    made(schema)
    doc = Document({"pattern": "^(a|a?)+$"})
    assert not fits("a" * 3000 + "!", doc.root, doc)


def test_values_come_from_the_text() -> None:
    """Arguments are taken from the conversation where they fit."""
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}, "days": {"type": "integer"},
            "email": {"type": "string", "format": "email"}, "on": {"type": "string", "format": "date"},
            "note": {"type": "string"}, "loud": {"type": "boolean"}, "ratio": {"type": "number"},
        },
        "required": ["city", "unit", "days", "email", "on", "note", "loud", "ratio"],
    }  # fmt: skip
    text = "Weather in S\u00e3o Paulo in fahrenheit for 5 days, mail me@example.org, "
    text += 'loud: true, note="be brief", ratio is 0.5'
    value = made(schema, text)
    assert value["city"] == "S\u00e3o Paulo"
    assert value["unit"] == "fahrenheit"
    assert value["days"] == 5
    assert value["email"] == "me@example.org"
    assert (value["note"], value["loud"], value["ratio"]) == ("be brief", True, 0.5)


def test_offers_that_do_not_fit_are_left() -> None:
    """What the text offers is never used against the schema."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}, "required": ["n"]}
    assert made(schema, "Give me 42 of them")["n"] <= 3


def test_recursion_is_bounded() -> None:
    """A recursive schema gives a small instance."""
    tree = {"$defs": {"t": {"type": "object", "properties": {"l": {"$ref": "#/$defs/t"}, "r": {"$ref": "#/$defs/t"}}}},
            "$ref": "#/$defs/t"}  # fmt: skip
    assert len(json.dumps(made(tree))) < 2000


def test_same_draws_same_instance() -> None:
    """One key gives one instance, another key usually another."""
    schema = {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{12}$"}, "minItems": 2}
    assert made(schema, key="x") == made(schema, key="x")
    assert made(schema, key="x") != made(schema, key="y")


@pytest.mark.parametrize("schema", [
    {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False, "minItems": 2},
    {"type": "integer", "minimum": 5, "exclusiveMinimum": True, "maximum": 6},
    {"type": "object", "required": ["a"], "dependencies": {"a": ["b"], "b": {"required": ["c"]}}},
])  # fmt: skip
def test_older_drafts(schema: Any) -> None:
    """Schemas in the spelling of older drafts are kept as their drafts mean them."""
    value = instance(schema, Hints(""), Draws("1"))
    draft = jsonschema.Draft4Validator if schema.get("exclusiveMinimum") is True else jsonschema.Draft7Validator
    draft(schema).validate(value)


SCALARS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda low, more, step: {"type": "integer", "minimum": low, "maximum": low + more + step, "multipleOf": step},
        st.integers(-1000, 1000), st.integers(0, 50), st.integers(1, 9),
    ),
    st.builds(
        lambda low, more: {"type": "number", "minimum": low, "exclusiveMaximum": low + more},
        st.floats(-1e6, 1e6), st.floats(0.01, 100),
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 40), st.integers(0, 20),
    ),
    st.sampled_from(["^[a-f0-9]{8}$", "^x-", "\\d+$", "^(yes|no)$", "[A-Z]{2}-\\d{3}"]).map(
        lambda text: {"type": "string", "pattern": text}
    ),
    st.sampled_from(["date", "date-time", "email", "uuid", "ipv4", "uri"]).map(
        lambda name: {"type": "string", "format": name}
    ),
    st.lists(st.one_of(st.integers(), st.text(max_size=5), st.none()), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    ),
)  # fmt: skip


def structures(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas around schemas."""
    names = st.sampled_from(["city", "count", "note", "a b", "\u00e9", "x"])
    return st.one_of(
        st.dictionaries(names, inner, max_size=4).flatmap(
            lambda found: st.fixed_dictionaries({
                "type": st.just("object"), "properties": st.just(found),
                "required": st.lists(st.sampled_from(sorted(found)), unique=True) if found else st.just([]),
                "additionalProperties": st.booleans(),
            })
        ),
        st.builds(
            lambda item, low, more: {"type": "array", "items": item, "minItems": low, "maxItems": low + more},
            inner, st.integers(0, 3), st.integers(0, 2),
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: {"anyOf": found}),
        st.builds(lambda found, other: {"anyOf": [found, {"$ref": "#/$defs/d"}], "$defs": {"d": other}}, inner, inner),
        inner.map(lambda found: {"allOf": [found, {}, {"not": {"const": "never"}}]}),
    )  # fmt: skip


@QUIET
@given(st.recursive(SCALARS, structures, max_leaves=8), st.text(max_size=60), st.integers())
def test_any_sane_schema(schema: dict[str, Any], text: str, key: int) -> None:
    """For any schema of these kinds an instance is found and passes the reference validator."""
    whole = {"type": "object", "properties": {"it": rooted(schema, "#/properties/it")}, "required": ["it"]}
    made(whole, text, str(key))


def rooted(schema: Any, place: str) -> Any:
    """The schema with its references made good for a place further down."""
    if isinstance(schema, dict):
        inside = {key: rooted(value, f"{place}/{key}".replace(" ", "%20")) for key, value in schema.items()}
        if "$defs" in schema and "anyOf" in schema:
            inside["anyOf"] = [inside["anyOf"][0], {"$ref": f"{place}/$defs/d"}]
        return inside
    if isinstance(schema, list):
        return [rooted(value, f"{place}/{index}") for index, value in enumerate(schema)]
    return schema


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
KEYWORDS = st.sampled_from([
    "type", "enum", "const", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern", "format", "items",
    "prefixItems", "minItems", "uniqueItems", "contains", "properties", "required", "additionalProperties", "anyOf",
    "oneOf", "allOf", "not", "if", "then", "$ref", "$defs", "dependentRequired", "propertyNames", "patternProperties",
])  # fmt: skip
WILD = st.recursive(
    st.dictionaries(KEYWORDS, JSON_VALUES, max_size=4),
    lambda inner: st.dictionaries(
        KEYWORDS, st.one_of(inner, st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3))
    ),
    max_leaves=6,
)


@QUIET
@given(WILD)
def test_wild_schemas(schema: Any) -> None:
    """Any JSON in a schema's place gives a valid instance or a refusal, never another error."""
    try:
        value = instance(schema, Hints("3 Paris"), Draws("1"))
    except SchemaProblem:
        return
    older = '"items": [' in json.dumps(schema)
    (jsonschema.Draft7Validator if older else jsonschema.Draft202012Validator)(schema).validate(value)
