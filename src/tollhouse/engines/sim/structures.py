"""Objects and arrays that keep several schemas at once; `schema.Maker` makes what is in them. Pure."""

import math
from typing import Any, Protocol

from tollhouse.engines.sim import automaton, check
from tollhouse.engines.sim.document import COUNT_MAX, Document
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.leaves import Schema, Unsatisfied, largest, smallest

OPTIONAL_DEPTH = 3
NAMES = ("name", "value", "note", "detail", "kind", "label", "comment", "remark")


class Making(Protocol):
    """The part of `schema.Maker` that is used here."""

    doc: Document
    hints: Hints
    draws: Draws

    def make(self, schemas: list[Any], name: str, depth: int, avoid: list[Any] | None = None) -> Any:
        """A value that keeps all schemas and is none of ``avoid``."""


def make_object(maker: Making, parts: list[Schema], depth: int) -> dict[str, Any]:
    """An object: all that is required, and what is optional as far as it is not too deep. Raises `Unsatisfied`."""
    required = required_names(parts, maker.doc)
    least = int(largest(parts, "minProperties", 0))
    most = smallest(parts, "maxProperties", math.inf)
    if len(required) > most:
        raise Unsatisfied("maxProperties", "it allows fewer properties than are required")
    result: dict[str, Any] = {}
    for name in ordered(parts, required):
        if name in required:
            result[name] = make_property(maker, parts, name, depth)
        elif len(result) + len(required - result.keys()) < most and wanted(maker, parts, name, depth, missing=least):
            add_optional(maker, parts, result, name, depth)
    fill(maker, parts, result, depth, least)
    return result


def ordered(parts: list[Schema], required: set[str]) -> list[str]:
    """The names that the schemas speak of, in the order in which they do."""
    named = [name for part in parts for name in part.get("properties", {})]
    return list(dict.fromkeys([*named, *sorted(required)]))


def required_names(parts: list[Schema], doc: Document) -> set[str]:
    """The names that are required, with all that ``dependentRequired`` adds to them."""
    result: set[str] = set()
    bringing = [part for part in parts if "dependentRequired" in part or "dependencies" in part]
    waiting = [name for part in parts for name in part.get("required", ())]
    while waiting:
        name = waiting.pop()
        if name in result:
            continue
        result.add(name)
        doc.spend(len(bringing) // 8)
        for part in bringing:
            needed = part.get("dependentRequired", {}).get(name) or part.get("dependencies", {}).get(name)
            waiting += needed if isinstance(needed, list) else ()
    return result


def brought_schemas(parts: list[Schema], doc: Document) -> list[Any]:
    """The schemas that ``dependentSchemas`` brings in with the required names."""
    required = required_names(parts, doc)
    maps = [{**part.get("dependentSchemas", {}), **part.get("dependencies", {})} for part in parts]
    return [
        schema for found in maps for name, schema in found.items() if name in required and not isinstance(schema, list)
    ]


def wanted(maker: Making, parts: list[Schema], name: str, depth: int, *, missing: int) -> bool:
    """Whether an optional property is made: when the text speaks of it, the count needs it, else three in four."""
    if any(name in part.get(key, ()) for part in parts for key in ("dependentSchemas", "dependentRequired")):
        return False
    if any(name in part.get("dependencies", ()) for part in parts):
        return False
    listed = [value for part in parts for value in listed_values(part, name)]
    maker.doc.spend(len(listed) // 2)
    if missing > 0 or maker.hints.stated(name) is not None or maker.hints.mentioned(listed):
        return True
    return depth < OPTIONAL_DEPTH and maker.draws.below(4) > 0


def listed_values(part: Schema, name: str) -> list[Any]:
    """The ``enum`` of a property."""
    schema = part.get("properties", {}).get(name)
    return list(schema.get("enum", ())) if isinstance(schema, dict) else []


def make_property(maker: Making, parts: list[Schema], name: str, depth: int) -> Any:
    """The value of one property. Raises `Unsatisfied`."""
    for part in parts:
        if "propertyNames" in part and not check.fits(name, part["propertyNames"], maker.doc):
            raise Unsatisfied("propertyNames", f"the name {name!r} is required but not allowed")
    schemas = [schema for part in parts for schema in property_schemas(part, name, maker.doc)]
    if any(schema is False for schema in schemas):
        raise Unsatisfied("additionalProperties", f"the property {name!r} takes no value")
    return maker.make(schemas, name, depth + 1)


def property_schemas(part: Schema, name: str, doc: Document) -> list[Any]:
    """What one schema says of the property of a name."""
    found = [part["properties"][name]] if name in part.get("properties", {}) else []
    found += [schema for text, schema in part.get("patternProperties", {}).items() if check.text_fits(name, text, doc)]
    return found or [part.get("additionalProperties", True)]


def add_optional(maker: Making, parts: list[Schema], result: dict[str, Any], name: str, depth: int) -> None:
    """Adds a property that may be left out, unless nothing fits it."""
    try:
        result[name] = make_property(maker, parts, name, depth)
    except Unsatisfied:
        return


def fill(maker: Making, parts: list[Schema], result: dict[str, Any], depth: int, least: int) -> None:
    """Adds properties of other names until there are ``least``. Raises `Unsatisfied` when no name is left."""
    tries = 0
    while len(result) < least:
        name = spare_name(maker, parts, tries)
        tries += 1
        if name is not None and name not in result:
            add_optional(maker, parts, result, name, depth)
        if tries > 2 * least + 30:
            raise Unsatisfied("minProperties", f"no {least} properties that may be there were found")


def spare_name(maker: Making, parts: list[Schema], tries: int) -> str | None:
    """A name that no schema has in ``properties``: after ``propertyNames`` or a pattern where there is one."""
    for part in parts:
        if isinstance(part.get("propertyNames"), dict):
            return str(maker.make([{"type": "string"}, part["propertyNames"]], f"key{tries}", 0))
    patterns = [text for part in parts for text in part.get("patternProperties", {})]
    if patterns and tries % 2 == 0:
        found, absent = maker.doc.machines(patterns[tries // 2 % len(patterns)])
        # Asking for ever longer names gives ever different ones.
        return automaton.search(automaton.Fit(found, absent, tries // (2 * len(patterns))), maker.draws)
    return NAMES[tries] if tries < len(NAMES) else f"extra{tries}"


def make_array(maker: Making, parts: list[Schema], name: str, depth: int) -> list[Any]:
    """An array of a length within its limits. Raises `Unsatisfied`."""
    least, most = lengths(parts)
    unique = any(part.get("uniqueItems") is True for part in parts)
    needed = [part["contains"] for part in parts if "contains" in part for _ in range(int(part.get("minContains", 1)))]
    if len(needed) > COUNT_MAX or least > most:
        raise Unsatisfied("maxItems", f"no array has at least {least} and at most {most} items")
    length = least
    if depth < OPTIONAL_DEPTH:
        length = max(length, min(most, max(tuple_length(parts), maker.draws.between(1, 2))))
    length = max(length, min(most, len(needed)))
    result: list[Any] = []
    for index in range(length):
        schemas = item_schemas(parts, index)
        schemas += needed[index : index + 1]
        try:
            result.append(maker.make(schemas, name, depth + 1, result if unique else None))
        except Unsatisfied:
            if index < max(least, min(most, len(needed))):
                raise
            break
    return result


def lengths(parts: list[Schema]) -> tuple[int, int]:
    """The fewest and the most items."""
    most = int(min(smallest(parts, "maxItems", COUNT_MAX), COUNT_MAX))
    for part in parts:
        if isinstance(part.get("items"), list) and part.get("additionalItems") is False:
            most = min(most, len(part["items"]))
        elif part.get("items") is False:
            most = min(most, len(part.get("prefixItems", ())))
    return int(largest(parts, "minItems", 0)), most


def tuple_length(parts: list[Schema]) -> int:
    """How many items have a schema of their own."""
    return max((len(prefix(part)) for part in parts), default=0)


def prefix(part: Schema) -> list[Any]:
    """The schemas of single items, in either draft's spelling."""
    items = part.get("items")
    return items if isinstance(items, list) else part.get("prefixItems", [])


def item_schemas(parts: list[Schema], index: int) -> list[Any]:
    """What all schemas say of the item at ``index``."""
    found: list[Any] = []
    for part in parts:
        own = prefix(part)
        if index < len(own):
            found.append(own[index])
        elif isinstance(part.get("items"), list):
            found.append(part.get("additionalItems", True))
        else:
            found.append(part.get("items", True))
    return found
