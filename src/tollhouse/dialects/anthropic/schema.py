"""JSON schemas cut to what Anthropic compiles into a grammar. Called by `encode` for answers, by `toolbox` for tools.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations: every object is
closed, bounds and patterns are refused with a 400, so are references that lead back to themselves. What can only be
narrowed is narrowed, and a bound that must go is told to the model in the description, as the vendor's own SDKs do.
"""

from typing import Any

import msgspec

_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "$anchor", "examples", "deprecated", "readOnly", "writeOnly"})
_KEPT = frozenset({"title", "description", "default"})
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_HOLDERS = {
    **dict.fromkeys(("properties", "additionalProperties", "required", "patternProperties", "propertyNames"), "object"),
    **dict.fromkeys(("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems"), "array"),
}
"""Words that say something of values of one type alone."""
_encode = msgspec.json.Encoder().encode


class Unfit(ValueError):
    """The schema says something that no grammar of Anthropic's can."""


class Fitted(msgspec.Struct, frozen=True):
    """A schema that Anthropic takes."""

    schema: dict[str, Any]
    whole: bool
    """Whether all that it demands is enforced; if not, some of it is only told to the model."""


def fit(schema: object) -> Fitted:
    """Raises `Unfit`."""
    maker = _Maker()
    try:
        made = maker.make(schema)
        _refuse_cycles(made)
    except RecursionError:
        raise Unfit("it is nested too deeply") from None
    return Fitted(made, maker.whole)


class _Maker:
    __slots__ = ("whole",)

    def __init__(self) -> None:
        self.whole = True

    def make(self, given: object) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise Unfit("it allows anything somewhere")
        rest = {name: value for name, value in given.items() if name not in _ANNOTATIONS}
        made: dict[str, Any] = {}
        for name in ("$defs", "definitions"):
            if isinstance(found := rest.pop(name, None), dict):
                made[name] = {key: self.make(value) for key, value in found.items()}
        if "$ref" in rest:
            return {**made, "$ref": rest["$ref"]}
        made |= {name: rest.pop(name) for name in _KEPT & rest.keys()}
        self._shape(rest, made)
        if rest:
            self.whole = False
            told = ", ".join([f"{name}: {_text(value)}" for name, value in rest.items()])
            made["description"] = f"{made['description']}\n\n{{{told}}}" if made.get("description") else f"{{{told}}}"
        return made

    def _shape(self, rest: dict[str, Any], made: dict[str, Any]) -> None:
        """Moves what says which values there are from one to the other."""
        kind = rest.pop("type", None)
        literal = [name for name in ("enum", "const") if name in rest]
        if literal:
            made |= {name: rest.pop(name) for name in literal}
            return
        for name in ("anyOf", "oneOf", "allOf"):
            if isinstance(rest.get(name), list):
                made["allOf" if name == "allOf" else "anyOf"] = [self.make(one) for one in rest.pop(name)]
                if kind == "object" and "properties" in rest:
                    raise Unfit("it has both properties and alternatives")
                return
        if isinstance(kind, list):
            if not all(type(one) is str and one in _TYPES for one in kind):
                raise Unfit("it allows anything somewhere")
            made["anyOf"] = [self.make(_of_type(rest, one)) for one in dict.fromkeys(kind)]
            rest.clear()
            return
        if not isinstance(kind, str) or kind not in _TYPES:
            raise Unfit("it allows anything somewhere")
        made["type"] = kind
        if kind == "object":
            self._object(rest, made)
        elif kind == "array":
            self._array(rest, made)
        elif kind == "string" and rest.get("format") in _FORMATS:
            made["format"] = rest.pop("format")

    def _object(self, rest: dict[str, Any], made: dict[str, Any]) -> None:
        properties = rest.pop("properties", None)
        others = rest.pop("additionalProperties", None)
        if not isinstance(properties, dict) or isinstance(others, dict):
            if others is not False:
                raise Unfit("it has an object with any members")
            properties = {}
        made["properties"] = {name: self.make(value) for name, value in properties.items()}
        made["additionalProperties"] = False
        if "required" in rest:
            made["required"] = rest.pop("required")

    def _array(self, rest: dict[str, Any], made: dict[str, Any]) -> None:
        if "items" in rest:
            made["items"] = self.make(rest.pop("items"))
        if rest.get("minItems") in (0, 1):
            made["minItems"] = rest.pop("minItems")


def _of_type(words: dict[str, Any], kind: str) -> dict[str, Any]:
    """What a schema of several types says of one of them. What is inside of it is said once: else each level of a
    schema would be as many as it has types.
    """
    if kind == "null":
        return {"type": kind}
    return {"type": kind} | {name: value for name, value in words.items() if _HOLDERS.get(name, kind) == kind}


def _text(value: object) -> str:
    return _encode(value).decode()


def _refuse_cycles(schema: dict[str, Any]) -> None:
    """Raises `Unfit` for references to the outside, and for those that lead back to where they stand."""
    leads: dict[str, set[str]] = {"#": _references({k: v for k, v in schema.items() if k not in _DEFINITIONS})}
    for holder in _DEFINITIONS & schema.keys():
        leads |= {f"#/{holder}/{name}": _references(one) for name, one in schema[holder].items()}
    left = dict(leads)
    while left:  # takes away what leads only to what is taken away already, until nothing is left or all of it turns
        ends = [name for name, to in left.items() if not to & left.keys()]
        if not ends:
            raise Unfit("it is recursive")
        for name in ends:
            if not left.pop(name) <= leads.keys():
                raise Unfit("it refers to what is not there")


_DEFINITIONS = frozenset({"$defs", "definitions"})


def _references(schema: object) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "$ref" in item:
                found.add(str(item["$ref"]))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return found
