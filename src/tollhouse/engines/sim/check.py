"""Whether a JSON value fits a surveyed schema. Pure; called on every instance before it is sent.

``format`` is an annotation here, as in the specification; what is generated keeps it all the same (`strings`).
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tollhouse.engines.sim.automaton import Fit
from tollhouse.engines.sim.document import Document, is_number, is_schemas

PLAIN_TYPES: dict[str, type] = {
    "boolean": bool,
    "string": str,
    "array": list,
    "object": dict,
    "null": type(None),
}
Rule = Callable[[Any, Any, dict[str, Any], Document], bool]


def fits(value: Any, schema: Any, doc: Document) -> bool:
    """Raises `SchemaProblem` when the document's work is used up, `Unsupported` when a pattern's is."""
    if isinstance(schema, bool):
        return schema
    with doc.deeper():
        return all(RULES[keyword](value, limit, schema, doc) for keyword, limit in schema.items() if keyword in RULES)


def same(first: Any, second: Any) -> bool:
    """JSON equality: 1 is 1.0, but true is not 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if is_number(first) and is_number(second):
        return bool(first == second)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(item, second[name]) for name, item in first.items())
    return type(first) is type(second) and bool(first == second)


def has_type(value: Any, name: str) -> bool:
    """Whether the value is of a JSON Schema type."""
    if name == "integer":
        return is_number(value) and math.isfinite(value) and value == int(value)
    return is_number(value) if name == "number" else isinstance(value, PLAIN_TYPES[name])


def is_multiple(value: float, step: float) -> bool:
    """Exact, on the decimal numbers that the JSON texts show."""
    return Fraction(repr(value)) % Fraction(repr(step)) == 0


def text_fits(value: str, text: str, doc: Document) -> bool:
    """Whether a pattern of the document is found in the value."""
    found, absent = doc.machines(text)
    return Fit(found, absent).holds(value)


def differ(items: list[Any], doc: Document) -> bool:
    """Whether no two items are equal."""
    doc.spend(len(items) // 8)
    return len({doc.key(item) for item in items}) == len(items)


def number(rule: Callable[[Any, Any], bool]) -> Rule:
    """A rule that concerns numbers only."""
    return lambda value, limit, _schema, _doc: not is_number(value) or isinstance(limit, bool) or rule(value, limit)


def sized(kind: type[list[Any]] | type[dict[str, Any]] | type[str], rule: Callable[[int, Any], bool]) -> Rule:
    """A rule on the length of values of one kind."""
    return lambda value, limit, _schema, _doc: not isinstance(value, kind) or rule(len(value), limit)


def check_minimum(value: Any, limit: Any, schema: dict[str, Any], _doc: Document) -> bool:
    """With draft 4's boolean ``exclusiveMinimum`` too."""
    return not is_number(value) or (value > limit if schema.get("exclusiveMinimum") is True else value >= limit)


def check_maximum(value: Any, limit: Any, schema: dict[str, Any], _doc: Document) -> bool:
    """With draft 4's boolean ``exclusiveMaximum`` too."""
    return not is_number(value) or (value < limit if schema.get("exclusiveMaximum") is True else value <= limit)


def check_type(value: Any, limit: Any, _schema: dict[str, Any], _doc: Document) -> bool:
    """One of the named types."""
    return any(has_type(value, name) for name in (limit if isinstance(limit, list) else [limit]))


def check_properties(value: Any, limit: Any, _schema: dict[str, Any], doc: Document) -> bool:
    """Each named property that is there."""
    return not isinstance(value, dict) or all(fits(value[n], s, doc) for n, s in limit.items() if n in value)


def check_pattern_properties(value: Any, limit: Any, _schema: dict[str, Any], doc: Document) -> bool:
    """Each property whose name fits a pattern."""
    if not isinstance(value, dict):
        return True
    return all(fits(value[n], s, doc) for p, s in limit.items() for n in value if text_fits(n, p, doc))


def is_additional(name: str, schema: dict[str, Any], doc: Document) -> bool:
    """Whether ``additionalProperties`` of this schema speaks of the name."""
    if name in schema.get("properties", {}):
        return False
    return not any(text_fits(name, pattern, doc) for pattern in schema.get("patternProperties", {}))


def check_additional_properties(value: Any, limit: Any, schema: dict[str, Any], doc: Document) -> bool:
    """Each property that neither ``properties`` nor ``patternProperties`` names."""
    if not isinstance(value, dict):
        return True
    return all(fits(item, limit, doc) for name, item in value.items() if is_additional(name, schema, doc))


def check_names(value: Any, limit: Any, _schema: dict[str, Any], doc: Document) -> bool:
    """``propertyNames``."""
    return not isinstance(value, dict) or all(fits(name, limit, doc) for name in value)


def check_dependencies(value: Any, limit: Any, _schema: dict[str, Any], doc: Document) -> bool:
    """All three spellings: names that a name requires, or a schema that it brings."""
    if not isinstance(value, dict):
        return True
    for name, needed in limit.items():
        if name not in value:
            continue
        if not (all(other in value for other in needed) if isinstance(needed, list) else fits(value, needed, doc)):
            return False
    return True


def check_prefix_items(value: Any, limit: Any, _schema: dict[str, Any], doc: Document) -> bool:
    """Each item by its own schema, as far as there are some."""
    return not isinstance(value, list) or all(fits(i, s, doc) for i, s in zip(value, limit, strict=False))


def check_items(value: Any, limit: Any, schema: dict[str, Any], doc: Document) -> bool:
    """All items behind ``prefixItems``; as a list, it is what ``prefixItems`` is now."""
    if is_schemas(limit):
        return check_prefix_items(value, limit, schema, doc)
    first = len(schema.get("prefixItems", ()))
    return not isinstance(value, list) or all(fits(item, limit, doc) for item in value[first:])


def check_additional_items(value: Any, limit: Any, schema: dict[str, Any], doc: Document) -> bool:
    """All items behind ``items`` as a list; without that it says nothing."""
    if not isinstance(value, list) or not isinstance(schema.get("items"), list):
        return True
    return all(fits(item, limit, doc) for item in value[len(schema["items"]) :])


def check_contains(value: Any, limit: Any, schema: dict[str, Any], doc: Document) -> bool:
    """``contains`` with its two bounds."""
    if not isinstance(value, list):
        return True
    count = sum(fits(item, limit, doc) for item in value)
    return bool(schema.get("minContains", 1) <= count <= schema.get("maxContains", math.inf))


def check_if(value: Any, limit: Any, schema: dict[str, Any], doc: Document) -> bool:
    """``if`` with ``then`` and ``else``."""
    return fits(value, schema.get("then" if fits(value, limit, doc) else "else", True), doc)


RULES: dict[str, Rule] = {
    "type": check_type,
    "enum": lambda value, limit, _schema, doc: doc.lists(limit, value),
    "const": lambda value, limit, _schema, doc: doc.key(value) == doc.key(limit),
    "minimum": check_minimum,
    "maximum": check_maximum,
    "exclusiveMinimum": number(lambda value, limit: value > limit),
    "exclusiveMaximum": number(lambda value, limit: value < limit),
    "multipleOf": number(is_multiple),
    "minLength": sized(str, lambda size, limit: size >= limit),
    "maxLength": sized(str, lambda size, limit: size <= limit),
    "pattern": lambda value, limit, _schema, doc: not isinstance(value, str) or text_fits(value, limit, doc),
    "minItems": sized(list, lambda size, limit: size >= limit),
    "maxItems": sized(list, lambda size, limit: size <= limit),
    "uniqueItems": lambda value, limit, _s, doc: not limit or not isinstance(value, list) or differ(value, doc),
    "minProperties": sized(dict, lambda size, limit: size >= limit),
    "maxProperties": sized(dict, lambda size, limit: size <= limit),
    "required": lambda value, limit, _s, _d: not isinstance(value, dict) or all(name in value for name in limit),
    "properties": check_properties,
    "patternProperties": check_pattern_properties,
    "additionalProperties": check_additional_properties,
    "propertyNames": check_names,
    "dependentRequired": check_dependencies,
    "dependentSchemas": check_dependencies,
    "dependencies": check_dependencies,
    "prefixItems": check_prefix_items,
    "items": check_items,
    "additionalItems": check_additional_items,
    "contains": check_contains,
    "allOf": lambda value, limit, _schema, doc: all(fits(value, schema, doc) for schema in limit),
    "anyOf": lambda value, limit, _schema, doc: any(fits(value, schema, doc) for schema in limit),
    "oneOf": lambda value, limit, _schema, doc: sum(fits(value, schema, doc) for schema in limit) == 1,
    "not": lambda value, limit, _schema, doc: not fits(value, limit, doc),
    "if": check_if,
    "$ref": lambda value, limit, _schema, doc: fits(value, doc.resolve(limit), doc),
}
