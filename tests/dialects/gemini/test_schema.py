"""JSON Schemas, written as Gemini takes them."""

import json
from typing import Any

import pytest

from tollhouse.dialects.gemini.schema import clean_schema
from tollhouse.types.calls import Loss


def clean(schema: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The schema to send, and what was lost."""
    losses: dict[str, Loss] = {}
    made = clean_schema(schema, "s", losses)
    return made, {param: loss.how for param, loss in losses.items()}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "$schema": "x", "$comment": "y"}, {"type": "string"}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"enum": ["a", None]}, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
        (
            {"type": ["string", "null"], "enum": ["a", None]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
            {"type": "integer", "minimum": 1, "maximum": 8},
        ),
        ({"type": "array", "items": [{"type": "string"}]}, {"type": "array", "prefixItems": [{"type": "string"}]}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"allOf": [{"type": "string"}]}, {"type": "string"}),
        (
            {"type": "object", "properties": {"a": True}, "required": ["a"]},
            {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ],
)
def test_what_can_be_said_is_said_without_loss(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    """In Gemini's own words where it has others."""
    assert clean(schema) == (expected, {})


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("pattern", "^a$", '(pattern: "^a$")'),
        ("minLength", 3, "(minLength: 3)"),
        ("format", "uuid", '(format: "uuid")'),
        ("exclusiveMinimum", 0.5, "(exclusiveMinimum: 0.5)"),
        ("enum", [True], "(enum: [true])"),
        ("const", {"a": 1}, None),
    ],
)
def test_what_cannot_be_said_is_told_in_words(keyword: str, value: Any, told: str | None) -> None:
    """The model reads it in the description, and it is reported."""
    made, losses = clean({"type": "string", "description": "D", keyword: value})
    assert made["description"] == (f"D {told}" if told else 'D (enum: [{"a":1}])')
    assert set(losses.values()) == {"emulated"}


def test_notes_are_told_and_nothing_is_lost() -> None:
    """A default and examples forbid nothing."""
    made = {"type": "string", "description": '(default: "b", examples: ["a"])'}
    assert clean({"type": "string", "default": "b", "examples": ["a"]}) == (made, {})
    assert clean({"type": "string", "default": None}) == ({"type": "string"}, {})


@pytest.mark.parametrize("keyword", ["not", "if", "patternProperties", "dependentRequired", "unheardOf"])
def test_what_cannot_be_told_is_dropped(keyword: str) -> None:
    """And reported, once for each keyword."""
    inner = {"type": "object", keyword: {}}
    assert clean({"type": "object", keyword: {}, "properties": {"a": inner}}) == (
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {f"s.{keyword}": "dropped"},
    )


def test_one_of_is_read_as_any_of() -> None:
    """Which is weaker, and therefore told."""
    assert clean({"oneOf": [{"type": "string"}]}) == ({"anyOf": [{"type": "string"}]}, {"s.oneOf": "changed"})


def test_references_are_written_out() -> None:
    """With what stands beside them, wherever they lead in the schema."""
    schema = {
        "$defs": {"P": {"type": "object", "properties": {"x": {"$ref": "#/definitions/a~1b"}}}},
        "definitions": {"a/b": {"type": "integer"}},
        "type": "object",
        "properties": {
            "p": {"$ref": "#/$defs/P", "description": "D"},
            "q": {"allOf": [{"$ref": "#/$defs/P"}], "title": "T"},
        },
    }
    point = {"type": "object", "properties": {"x": {"type": "integer"}}}
    made, losses = clean(schema)
    assert made == {"type": "object", "properties": {"p": {**point, "description": "D"}, "q": {**point, "title": "T"}}}
    assert losses == {}


@pytest.mark.parametrize("pointer", ["https://x/y", "#/$defs/none", "#/properties/a/enum/9", 7, "#nope/x"])
def test_a_reference_that_leads_nowhere_is_dropped(pointer: Any) -> None:
    """Nothing is fetched."""
    made, losses = clean({"type": "object", "properties": {"a": {"$ref": pointer, "enum": ["x"]}}})
    assert losses.keys() == {"s.$ref"}
    assert made["properties"]["a"]["enum"] == ["x"]


def test_what_refers_to_itself_stays_a_reference() -> None:
    """Its definition is sent along, once."""
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}
    made, losses = clean({"$defs": {"T": tree}, "$ref": "#/$defs/T"})
    name = made["properties"]["next"]["$ref"].removeprefix("#/$defs/")
    assert made["$defs"][name]["properties"]["next"] == {"$ref": f"#/$defs/{name}"}
    assert losses == {}


def test_a_schema_may_refer_to_its_root() -> None:
    """The root becomes a definition too."""
    made, _ = clean({"type": "array", "items": {"$ref": "#"}})
    name = made["items"]["$ref"].removeprefix("#/$defs/")
    assert made["$defs"][name]["type"] == "array"


def test_a_schema_that_would_explode_does_not() -> None:
    """Definitions that each refer twice to the next are kept as definitions once there are many."""
    chain = {
        f"D{n}": {
            "type": "object",
            "properties": {"a": {"$ref": f"#/$defs/D{n + 1}"}, "b": {"$ref": f"#/$defs/D{n + 1}"}},
        }
        for n in range(40)
    }
    chain["D40"] = {"type": "string"}
    made, _ = clean({"$defs": chain, "$ref": "#/$defs/D0"})
    assert len(str(made)) < 2_000_000
    assert "$defs" in made


@pytest.mark.parametrize(
    "schema",
    [
        {
            "allOf": [{"$ref": "#/$defs/A"}],
            "$defs": {"A": {"allOf": [{"$ref": "#/$defs/B"}]}, "B": {"allOf": [{"$ref": "#/$defs/A"}]}},
        },
        {"$ref": "#"},
        {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
        {"properties": 7, "items": 7, "anyOf": 7, "enum": 7, "required": 7, "type": 7, "allOf": 7, "format": 7},
        {"properties": {"a": 7}, "required": [7, "a", "b"], "anyOf": [7, None], "enum": [], "additionalProperties": 7},
        {"prefixItems": 7, "oneOf": {"a": 1}, "description": 7, "pattern": "x"},
    ],
)
def test_odd_schemas_raise_nothing(schema: dict[str, Any]) -> None:
    """A client's schema is its own, and may be anything."""
    assert isinstance(clean(schema)[0], dict)


def test_a_deep_schema_ends() -> None:
    """Nesting without end is cut and told."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    assert clean(schema)[1] == {"s.(deeper)": "dropped"}


def many(target: str, count: int = 1000) -> dict[str, Any]:
    """An object with so many members that refer to the same."""
    return {"type": "object", "properties": {f"p{place}": {"$ref": target} for place in range(count)}}


BOMBS: tuple[dict[str, Any], ...] = (
    {"$defs": {"E": {"enum": [f"a{place}" for place in range(2000)]}}, **many("#/$defs/E")},
    {"$defs": {"E": {"type": "string", "description": "x" * 20_000}}, **many("#/$defs/E")},
    {
        "$defs": {f"L{level}": {"allOf": [{"$ref": f"#/$defs/L{level + 1}"}] * 8} for level in range(9)},
        "allOf": [{"$ref": "#/$defs/L0"}],
    },
    {
        "$defs": {"E": {"properties": {"me": {"$ref": "#/$defs/E"}, "x": {"description": "x" * 9000}}}},
        "properties": {f"p{place}": {"$ref": f"#{place}/$defs/E"} for place in range(1000)},
    },
)


@pytest.mark.parametrize("bomb", BOMBS)
def test_references_make_no_schema_much_longer_than_it_came(bomb: dict[str, Any]) -> None:
    """What is written out is paid for by the client, and held in memory."""
    made, _ = clean(bomb)
    assert len(json.dumps(made)) < 3 * len(json.dumps(bomb)) + 16_384


def test_what_is_left_of_a_reference_is_still_defined() -> None:
    """Every reference that stays leads somewhere, and the first uses are written out."""
    made, _ = clean({"$defs": {"E": {"type": "string", "description": "x" * 2000}}, **many("#/$defs/E", 20)})
    kinds = [next(iter(one)) for one in made["properties"].values()]
    assert kinds[0] == "type"
    assert kinds[-1] == "$ref"
    assert [one["description"] for one in made["$defs"].values()] == ["x" * 2000]


def test_merging_changes_nothing_of_the_clients() -> None:
    """A schema that is merged is a copy."""
    given = {"allOf": [{"properties": {"b": {}}, "required": ["b"]}], "properties": {"a": {}}, "required": ["a"]}
    before = json.dumps(given)
    made, _ = clean(given)
    assert made["required"] == ["a", "b"]
    assert json.dumps(given) == before
