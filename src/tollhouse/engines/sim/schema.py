"""Makes an instance of a JSON Schema: valid, or a `SchemaProblem` that says why not. Pure.

Theory of operation. A value has to keep several schemas at once (``allOf``, a ``$ref`` beside other keywords, a
property that two schemas speak of), so a node is always made from a *list* of schemas. `Maker.flatten` resolves
references and picks one way through ``anyOf``, ``oneOf`` and ``if`` until only plain limits are left; the value is
made from their conjunction and then checked against the list by `check.fits`. Where the check fails (``not``,
``oneOf`` whose branches overlap) or a picked way is a dead end, the next way is tried. Below `DEEP` levels the
shortest way is taken, so recursive schemas end. `Document.spend` bounds the whole.
"""

import functools
from collections.abc import Callable
from typing import Any

from tollhouse.engines.sim import check, structures
from tollhouse.engines.sim.document import Document, SchemaProblem, awaited
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.leaves import Number, Schema, Text, Unsatisfied
from tollhouse.engines.sim.pattern import Unsupported

DEEP = 3
BOTTOM = 24
WAYS_MAX = 64
SCALARS = ("string", "integer", "number", "boolean")
IMPLIED = (
    ("object", ("properties", "required", "additionalProperties", "patternProperties", "minProperties",
                "maxProperties", "propertyNames", "dependentRequired", "dependentSchemas", "dependencies")),
    ("array", ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains")),
    ("string", ("pattern", "format", "minLength", "maxLength")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)  # fmt: skip


def instance(schema: Any, hints: Hints, draws: Draws, *, also: Any = True, gone: Callable[[], bool] = awaited) -> Any:
    """A valid instance of the schema, with values from the conversation where they fit.

    ``also`` is a further schema that it keeps; one without references, for those are read in ``schema``.
    ``gone`` tells that nobody waits for the instance any more.

    Raises `SchemaProblem` when the schema is malformed, asks for what is not kept here, or has no instance that was
    found. Raises `Abandoned` once ``gone`` is true.
    """
    doc = Document(schema, gone)
    try:
        return Maker(doc, hints, draws).make([schema, also], "", 0)
    except Unsatisfied as problem:
        raise SchemaProblem(problem.keyword, problem.why) from None
    except Unsupported as problem:
        raise SchemaProblem("pattern", str(problem)) from None


class Ways:
    """Which of several ways is taken at each fork of one attempt."""

    __slots__ = ("_attempt", "_deep", "_draws", "most")

    def __init__(self, attempt: int, draws: Draws, *, deep: bool) -> None:
        self._attempt = attempt
        self._deep = deep
        self._draws = draws
        self.most = 1
        """How many ways the widest fork had; 1 when there was none."""

    def take(self, ways: list[Any], effort: Callable[[Any], int]) -> Any:
        """The first fork is walked through in order, later ones at random; deep down the least effort goes first."""
        first_fork = self.most == 1
        self.most = max(self.most, len(ways))
        ordered = sorted(ways, key=effort)
        if self._deep:
            return ordered[self._attempt % len(ways)] if first_fork else ordered[0]
        if not first_fork:
            return self._draws.pick(ways)
        # An empty value is seldom what a caller wants to see: the ways that lead to one come last.
        solid = [way for way in ways if effort(way) > 0] or ways
        if self._attempt < len(solid):
            return solid[(self._attempt + self._draws.below(len(solid))) % len(solid)]
        return ordered[self._attempt % len(ways)]

    def turn(self, ways: list[Any]) -> Any:
        """One after the other, in the order given."""
        self.most = max(self.most, len(ways))
        return ways[self._attempt % len(ways)]


class Maker:
    """Makes values for one document."""

    def __init__(self, doc: Document, hints: Hints, draws: Draws) -> None:
        self.doc = doc
        self.hints = hints
        self.draws = draws

    def make(self, schemas: list[Any], name: str, depth: int, avoid: list[Any] | None = None) -> Any:
        """A value that keeps all ``schemas`` and equals none of ``avoid``. Raises `Unsatisfied`, `SchemaProblem`."""
        if depth > BOTTOM:
            raise Unsatisfied("$ref", f"every instance is nested deeper than {BOTTOM}")
        problem: Unsatisfied | None = None
        attempt, attempts = 0, 1
        while attempt < attempts:
            ways = Ways(attempt, self.draws, deep=depth >= DEEP)
            try:
                self.doc.spend(len(avoid or ()) // 8)
                with self.doc.deeper():
                    value = self._attempt(schemas, name, depth, avoid or [], ways)
                if self._keeps(value, schemas, avoid or []):
                    return value
                attempts = max(attempts, 12)
            except Unsatisfied as dead_end:
                problem = problem or dead_end
            attempts = max(attempts, min(WAYS_MAX, 4 * ways.most if ways.most > 1 else 1))
            attempt += 1
        suspect = "uniqueItems" if avoid else self._suspect(schemas)
        raise problem or Unsatisfied(suspect, "no instance that keeps it along with the rest was found")

    def _attempt(self, schemas: list[Any], name: str, depth: int, avoid: list[Any], ways: Ways) -> Any:
        parts: list[Schema] = []
        for schema in schemas:
            self.flatten(schema, ways, parts)
        self._bring_dependent(ways, parts)
        if any("enum" in part or "const" in part for part in parts):
            return self._listed(parts, avoid)
        kind = self._kind(parts, ways)
        match kind:
            case "string":
                return Text(parts, self.doc, self.draws, avoid).make(name, self.hints)
            case "number" | "integer":
                return Number(parts, self.draws, avoid, integer=kind == "integer").make(name, self.hints)
            case "boolean":
                return self._flag(name, avoid)
            case "object":
                return structures.make_object(self, parts, depth)
        return structures.make_array(self, parts, name, depth) if kind == "array" else None

    def flatten(self, schema: Any, ways: Ways, parts: list[Schema]) -> None:
        """Adds the plain limits on one way through a schema to ``parts``."""
        self.doc.spend()
        if schema is False:
            raise Unsatisfied("false", "a schema that is false takes no value")
        if schema is True:
            return
        with self.doc.deeper():
            parts.append(schema)
            if "$ref" in schema:
                self.flatten(self.doc.resolve(schema["$ref"]), ways, parts)
            for inner in schema.get("allOf", ()):
                self.flatten(inner, ways, parts)
            for fork in ("anyOf", "oneOf"):
                if fork in schema:
                    self.flatten(self._fork(schema[fork], fork, ways), ways, parts)
            if "if" in schema:
                yes = {"allOf": [schema["if"], schema.get("then", True)]}
                self.flatten(ways.take([yes, schema.get("else", True)], lambda _way: 1), ways, parts)

    def _bring_dependent(self, ways: Ways, parts: list[Schema]) -> None:
        """Adds the schemas that required properties bring with them, and what those require in turn."""
        brought: set[int] = set()
        while fresh := [schema for schema in structures.brought_schemas(parts, self.doc) if id(schema) not in brought]:
            brought.update(map(id, fresh))
            for schema in fresh:
                self.flatten(schema, ways, parts)

    def _fork(self, options: list[Any], keyword: str, ways: Ways) -> Any:
        open_options = [option for option in options if option is not False]
        if not open_options:
            raise Unsatisfied(keyword, "none of its schemas takes a value")
        return ways.take(open_options, self._effort)

    def _effort(self, schema: Any) -> int:
        """How much a way asks for: 0 nothing (null), 1 a scalar, 2 a structure, 3 perhaps one without end."""
        if not isinstance(schema, dict):
            return 1
        if schema.get("type") == "null" or schema.get("const", 0) is None:
            return 0
        scalar = schema.get("type") in SCALARS or "enum" in schema or "const" in schema
        if scalar and "$ref" not in schema:
            return 1
        return 3 if self._refers(schema) else 2

    def _refers(self, schema: Any) -> bool:
        """Whether there is a reference somewhere in it."""
        self.doc.spend()
        if isinstance(schema, dict):
            return "$ref" in schema or any(self._refers(item) for item in schema.values())
        return isinstance(schema, list) and any(self._refers(item) for item in schema)

    def _kind(self, parts: list[Schema], ways: Ways) -> str:
        stated = [
            part["type"] if isinstance(part["type"], list) else [part["type"]] for part in parts if "type" in part
        ]
        if not stated:
            implied = [kind for kind, keys in IMPLIED if any(key in part for part in parts for key in keys)]
            return str(ways.turn(implied or ["string", "integer", "object", "array", "boolean", "null"]))
        allowed = functools.reduce(both, stated)
        if not allowed:
            raise Unsatisfied("type", "no value is of all the types that are asked for")
        efforts = {"null": 0, "object": 2, "array": 2}
        return str(ways.take(allowed, lambda kind: efforts.get(kind, 1)))

    def _listed(self, parts: list[Schema], avoid: list[Any]) -> Any:
        """One of the values that ``enum`` and ``const`` leave, one that the text speaks of if there is one."""
        lists = [part["enum"] for part in parts if "enum" in part] + [[p["const"]] for p in parts if "const" in p]
        taken = {self.doc.key(value) for value in avoid}
        values = [value for value in lists[0] if not taken or self.doc.key(value) not in taken]
        values = [value for value in values if all(check.fits(value, part, self.doc) for part in parts)]
        if not values:
            keyword = "enum" if any("enum" in part for part in parts) else "const"
            raise Unsatisfied(keyword, "none of its values keeps the other limits")
        return self.draws.pick(self.hints.mentioned(values) or values)

    def _flag(self, name: str, avoid: list[Any]) -> bool:
        stated = self.hints.flag(name)
        value = self.draws.below(2) == 0 if stated is None else stated
        return not value if any(check.same(value, other) for other in avoid) else value

    def _keeps(self, value: Any, schemas: list[Any], avoid: list[Any]) -> bool:
        if any(check.same(value, other) for other in avoid):
            return False
        return all(check.fits(value, schema, self.doc) for schema in schemas)

    def _suspect(self, schemas: list[Any]) -> str:
        """The keyword to name when an instance was made but kept failing the check."""
        keys = {key for schema in schemas if isinstance(schema, dict) for key in schema}
        likely = ("not", "oneOf", "if", "contains", "maxContains", "uniqueItems", "dependentSchemas", "allOf", "anyOf")
        return next((key for key in likely if key in keys), next(iter(sorted(keys)), "schema"))


def both(first: list[str], second: list[str]) -> list[str]:
    """The types in both lists, where an integer is a number too."""
    found = [name for name in first if name in second or (name == "integer" and "number" in second)]
    if "integer" in second and "number" in first and "integer" not in first:
        found.append("integer")
    return found
