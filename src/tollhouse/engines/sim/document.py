"""One JSON Schema as it came in a request: surveyed once, its references and patterns resolved. Pure.

`survey` walks all of it before anything is generated: a keyword with a value of the wrong kind, a pattern that is not
read here, a reference that leads nowhere, or a keyword that is not kept here is a `SchemaProblem` that names it. A
wrong answer is worse than a refusal. Drafts 4 to 2020-12 are read alike where they agree; where they differ
(``items`` as a list, ``exclusiveMinimum`` as a boolean, ``dependencies``) the form of the value tells them apart.
"""

import contextlib
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Any
from urllib.parse import unquote

from tollhouse.engines.sim import automaton, pattern

NODES_MAX = 10_000
DEPTH_MAX = 64
STEPS_MAX = 60_000
COUNT_MAX = 10_000
TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")

Machines = tuple[tuple[automaton.Machine, ...], tuple[automaton.Machine, ...]]
Path = tuple[str, ...]


class SchemaProblem(Exception):
    """The schema cannot be honoured: which keyword, where, why."""

    def __init__(self, keyword: str, why: str, path: Path = ()) -> None:
        super().__init__(why)
        self.keyword = keyword
        self.why = why
        self.path = path

    def __str__(self) -> str:
        place = ", ".join(repr(part) for part in self.path)
        return f"In context=({place}), '{self.keyword}': {self.why}."


class Abandoned(Exception):
    """The work was given up, for nobody waits for it any more."""


def awaited() -> bool:
    """Whether nobody waits: somebody does."""
    return False


def is_count(value: Any) -> bool:
    """A non-negative integer; JSON's 3.0 is one."""
    return is_number(value) and value >= 0 and value == int(value)


def is_number(value: Any) -> bool:
    """A number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_schema(value: Any) -> bool:
    """A schema is an object or a boolean."""
    return isinstance(value, dict | bool)


def is_schemas(value: Any) -> bool:
    """A list of schemas."""
    return isinstance(value, list) and all(is_schema(item) for item in value)


def is_schema_map(value: Any) -> bool:
    """An object of schemas."""
    return isinstance(value, dict) and all(is_schema(item) for item in value.values())


def is_names(value: Any) -> bool:
    """A list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_types(value: Any) -> bool:
    """A type's name, or some of them."""
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def is_step(value: Any) -> bool:
    """A number above zero."""
    return is_number(value) and value > 0


def is_limit(value: Any) -> bool:
    """A number, or draft 4's boolean."""
    return is_number(value) or isinstance(value, bool)


def is_dependency_map(value: Any) -> bool:
    """Drafts 4 to 7: an object of schemas or lists of names."""
    return isinstance(value, dict) and all(is_schema(item) or is_names(item) for item in value.values())


def is_name_map(value: Any) -> bool:
    """An object of lists of names."""
    return isinstance(value, dict) and all(is_names(item) for item in value.values())


def is_items(value: Any) -> bool:
    """A schema, or (before 2020-12) a list of them."""
    return is_schema(value) or is_schemas(value)


def is_text(value: Any) -> bool:
    """A string."""
    return isinstance(value, str)


def is_flag(value: Any) -> bool:
    """A boolean."""
    return isinstance(value, bool)


def is_list(value: Any) -> bool:
    """A list with something in it."""
    return isinstance(value, list) and bool(value)


Kind = tuple[Callable[[Any], bool], str]
COUNT: Kind = (is_count, "an integer of at least 0")
NUMBER: Kind = (is_number, "a number")
LIMIT: Kind = (is_limit, "a number")
TEXT: Kind = (is_text, "a string")
SCHEMA: Kind = (is_schema, "a schema")
SCHEMAS: Kind = (is_schemas, "a list of schemas")
SCHEMA_MAP: Kind = (is_schema_map, "an object of schemas")
KINDS: dict[str, Kind] = {
    "$defs": SCHEMA_MAP,
    "$ref": TEXT,
    "additionalItems": SCHEMA,
    "additionalProperties": SCHEMA,
    "allOf": SCHEMAS,
    "anyOf": SCHEMAS,
    "contains": SCHEMA,
    "definitions": SCHEMA_MAP,
    "dependencies": (is_dependency_map, "an object of schemas or lists of names"),
    "dependentRequired": (is_name_map, "an object of lists of names"),
    "dependentSchemas": SCHEMA_MAP,
    "else": SCHEMA,
    "enum": (is_list, "a list that is not empty"),
    "exclusiveMaximum": LIMIT,
    "exclusiveMinimum": LIMIT,
    "format": TEXT,
    "if": SCHEMA,
    "items": (is_items, "a schema or a list of schemas"),
    "maxContains": COUNT,
    "maxItems": COUNT,
    "maxLength": COUNT,
    "maxProperties": COUNT,
    "maximum": NUMBER,
    "minContains": COUNT,
    "minItems": COUNT,
    "minLength": COUNT,
    "minProperties": COUNT,
    "minimum": NUMBER,
    "multipleOf": (is_step, "a number above 0"),
    "not": SCHEMA,
    "oneOf": SCHEMAS,
    "pattern": TEXT,
    "patternProperties": SCHEMA_MAP,
    "prefixItems": SCHEMAS,
    "properties": SCHEMA_MAP,
    "propertyNames": SCHEMA,
    "required": (is_names, "a list of names"),
    "then": SCHEMA,
    "type": (is_types, "the name of a type or a list of them"),
    "uniqueItems": (is_flag, "a boolean"),
}
NOT_KEPT = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef")
FLOORS = ("minLength", "minItems", "minProperties", "minContains")


class Document:
    """A surveyed schema. ``spend`` bounds all the work done on it, so that no schema holds the process up.

    ``gone`` tells, from another thread, that nobody waits for the instance.
    """

    __slots__ = ("_anchors", "_depth", "_gone", "_listed", "_machines", "_nodes", "_steps", "_work", "root")

    def __init__(self, root: Any, gone: Callable[[], bool] = awaited) -> None:
        self.root = root
        self._gone = gone
        self._listed: dict[int, tuple[list[Any], frozenset[Hashable]]] = {}
        self._anchors: dict[str, Any] = {}
        self._machines: dict[str, Machines] = {}
        self._depth = 0
        self._nodes = 0
        self._steps = 0
        self._work = automaton.Work()
        references: list[tuple[str, Path]] = []
        self._survey(root, (), references)
        for reference, path in references:
            self.resolve(reference, path)

    def spend(self, steps: int = 1) -> None:
        """Counts work. Raises `SchemaProblem` when there has been too much of it, `Abandoned` when nobody waits."""
        self._steps += steps
        if self._gone():
            raise Abandoned
        if self._steps > STEPS_MAX:
            raise SchemaProblem("schema", "no instance was found in a reasonable number of steps")

    @contextlib.contextmanager
    def deeper(self) -> Iterator[None]:
        """One step, one level further down. Raises `SchemaProblem` where references lead round and round."""
        self.spend()
        if self._depth >= DEPTH_MAX:
            raise SchemaProblem("$ref", f"a value was nested deeper than {DEPTH_MAX}, or the reference has no end")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def key(self, value: Any) -> Hashable:
        """The same for two values that JSON holds equal (1 and 1.0 are, 1 and true are not), and for no others."""
        if isinstance(value, list | dict):
            with self.deeper():
                self.spend(len(value) // 8)
                if isinstance(value, list):
                    return ("list", *[self.key(item) for item in value])
                return frozenset([(name, self.key(item)) for name, item in value.items()])
        if not is_number(value):
            return (value,) if isinstance(value, str) else repr(value)
        # Texts, for the hashes of numbers can be foreseen, and so be made to collide.
        whole = isinstance(value, int) or (math.isfinite(value) and value.is_integer())
        return hex(int(value)) if whole else float(value).hex()

    def lists(self, listed: list[Any], value: Any) -> bool:
        """Whether an ``enum`` of this document has the value."""
        if id(listed) not in self._listed:
            self.spend(len(listed) // 8)
            self._listed[id(listed)] = listed, frozenset([self.key(item) for item in listed])
        return self.key(value) in self._listed[id(listed)][1]

    def machines(self, text: str) -> Machines:
        """The automata of a pattern that occurs in this document."""
        return self._machines[text]

    def resolve(self, reference: str, path: Path = ()) -> Any:
        """The schema that a ``$ref`` names. Raises `SchemaProblem` when it is not in this document."""
        if reference == "#":
            return self.root
        if reference.startswith("#/"):
            found = follow(self.root, reference[2:])
            if is_schema(found):
                return found
        elif reference.startswith("#") and reference[1:] in self._anchors:
            return self._anchors[reference[1:]]
        raise SchemaProblem("$ref", f"{reference!r} is not in this document", path)

    def _survey(self, schema: Any, path: Path, references: list[tuple[str, Path]]) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX or len(path) > 2 * DEPTH_MAX:
            raise SchemaProblem("schema", "it is larger or deeper than is read here", path)
        if not isinstance(schema, dict):
            return
        for keyword, value in schema.items():
            self._survey_keyword(keyword, value, path)
            for name, inner in subschemas(keyword, value):
                self._survey(inner, (*path, keyword, *name), references)
        if "$ref" in schema:
            references.append((schema["$ref"], path))
        if isinstance(schema.get("$anchor"), str):
            self._anchors[schema["$anchor"]] = schema

    def _survey_keyword(self, keyword: str, value: Any, path: Path) -> None:
        if keyword in NOT_KEPT:
            raise SchemaProblem(keyword, "the simulated model does not keep it", path)
        kind = KINDS.get(keyword)
        if kind is not None and not kind[0](value):
            raise SchemaProblem(keyword, f"its value is not {kind[1]}", path)
        if keyword in FLOORS and value > COUNT_MAX:
            raise SchemaProblem(keyword, f"the simulated model makes at most {COUNT_MAX}", path)
        if keyword == "pattern":
            self._read_pattern(value, keyword, path)
        elif keyword == "patternProperties":
            for name in value:
                self._read_pattern(name, keyword, path)

    def _read_pattern(self, text: str, keyword: str, path: Path) -> None:
        try:
            self._machines[text] = automaton.machines(pattern.read(text), self._work)
        except pattern.Unsupported as problem:
            raise SchemaProblem(keyword, f"the pattern {text[:100]!r} is not kept: {problem}", path) from None


def subschemas(keyword: str, value: Any) -> list[tuple[Path, Any]]:
    """The schemas directly below a keyword, each with its place there."""
    kind = KINDS.get(keyword, (None, ""))[0]
    if kind in (is_schema, is_items) and is_schema(value):
        return [((), value)]
    if kind in (is_schemas, is_items):
        return [((str(index),), item) for index, item in enumerate(value)]
    if kind in (is_schema_map, is_dependency_map):
        return [((name,), item) for name, item in value.items() if is_schema(item)]
    return []


def follow(value: Any, pointer: str) -> Any:
    """What an RFC 6901 pointer without its first slash leads to; None when it leads nowhere."""
    for part in pointer.split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 6 and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
