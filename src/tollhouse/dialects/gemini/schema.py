"""JSON Schemas as Gemini takes them. Called by `functions` and `encode`.

Theory of operation
-------------------
``parametersJsonSchema`` and ``responseJsonSchema`` take JSON Schema, "not all features are supported": the keywords in
`_KEPT` are (https://ai.google.dev/api/generate-content#GenerationConfig, responseJsonSchema), and others are a 400 or
are passed over. So each schema is written anew, and each keyword of the client's has one of four fates:

- it is kept, or said with those that are (``const`` as ``enum``, ``allOf`` as one schema, an integer's bounds);
- it tells the model something: it is told in the description and, if it forbids values, reported as ``emulated``;
- it cannot be said: it is left out and reported as ``dropped``;
- it says nothing about values (``$schema``, ``$comment``): it is left out.

References are written out in place, for ``$ref`` may have no neighbours there and older models know none at all. What
refers to itself stays a reference, and so does everything once the schema would become much larger than it came: a
kilobyte of references to references stands for more than any memory holds, and the client pays for what is sent.
"""

from typing import Any

import msgspec

from tollhouse.dialects.wishes import Losses, lose

Schema = dict[str, Any]

_KEPT = frozenset({"type", "title", "description", "minItems", "maxItems", "minimum", "maximum", "propertyOrdering"})
_SAYS_NOTHING = frozenset(
    {
        *("$schema", "$id", "$anchor", "$comment", "$vocabulary", "$dynamicAnchor", "$defs", "definitions"),
        *("deprecated", "readOnly", "writeOnly", "discriminator", "nullable", "strict"),
    }
)
_TOLD = (
    *("pattern", "minLength", "maxLength", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"),
    *("minProperties", "maxProperties", "default", "example", "examples", "format", "enum", "const"),
    *("contentMediaType", "contentEncoding"),
)
_NOTES = frozenset({"default", "example", "examples"})
"""Those of them that allow and forbid nothing: once told, nothing of them is lost."""
_FORMATS = frozenset({"date-time", "date", "time", "enum", "float", "double", "int32", "int64"})
_TYPE_NAMES = {str: "string", int: "integer", float: "number"}
_MOST_DEPTH = 64
_MOST_MERGES = 8
_MORE_BYTES = 8 * 1024
"""What references may add to a schema beyond its own length."""
_encode = msgspec.json.Encoder().encode


def clean_schema(schema: Schema, where: str, losses: Losses) -> Schema:
    """The schema to send. ``where`` is its path in the request; what is lost is told once for each keyword."""
    return _Cleaner(schema, where, losses).clean()


class _Cleaner:
    """One schema, written anew."""

    __slots__ = ("_kept", "_left", "_losses", "_root", "_sizes", "_where")

    def __init__(self, root: Schema, where: str, losses: Losses) -> None:
        self._root = root
        self._where = where
        self._losses = losses
        self._left = -1
        """How many bytes may still be written out in place of references; unknown before the first."""
        self._sizes: dict[int, int] = {}
        """The bytes of what is referred to, by its ``id``: one thing has many pointers."""
        self._kept: dict[int, tuple[str, Schema, str]] = {}
        """References that stay, by the ``id`` of what they refer to: the pointer, that, and its name in ``$defs``."""

    def clean(self) -> Schema:
        made = self._read(self._root, ("#",))
        definitions: Schema = {}
        room = 2 * self._size(self._root) if self._kept else 0
        while len(definitions) < len(self._kept):
            for pointer, target, name in list(self._kept.values())[len(definitions) :]:
                room -= self._size(target)
                if room < 0:
                    self._lose("$ref", "changed")
                definitions[name] = self._read(target, (pointer,)) if room >= 0 else {}
        return {**made, "$defs": definitions} if definitions else made

    def _size(self, target: Schema) -> int:
        known = self._sizes.get(id(target))
        if known is None:
            known = self._sizes[id(target)] = len(_encode(target))
        return known

    def _affords(self, target: Schema) -> bool:
        """Whether this may be written out in place of a reference."""
        if self._left < 0:
            self._left = self._size(self._root) + _MORE_BYTES
        self._left = max(0, self._left - self._size(target))
        return self._left > 0

    def _lose(self, keyword: str, how: str = "dropped") -> None:
        why = "told in the description" if how == "emulated" else "Gemini does not know it"
        lose(self._losses, f"{self._where}.{keyword}", why, how)

    def _read(self, schema: Any, stack: tuple[str, ...]) -> Schema:
        """One schema; ``stack`` are the references that lead to it."""
        if type(schema) is not dict:
            if schema is False:
                self._lose("false")
            return {}
        if len(stack) > _MOST_DEPTH:
            self._lose("(deeper)")
            return {}
        if "$ref" in schema:
            return self._refer(schema, stack)
        if "allOf" in schema:
            schema = self._merged(schema, stack)
        if "const" in schema and "enum" not in schema:
            schema = {**schema, "enum": [schema["const"]]}
            del schema["const"]
        made: Schema = {}
        told: list[str] = []
        for name, value in schema.items():
            if name in _KEPT:
                made[name] = value
            elif (read := _READERS.get(name)) is not None:
                read(self, made, value, schema, (*stack, ""))
            elif name not in _SAYS_NOTHING and name not in _TOLD:
                self._lose(name)
        self._tell(schema, made, told)
        if schema.get("nullable") is True and isinstance(kind := made.get("type"), str):
            made["type"] = [kind, "null"]
        return made

    # --- references ---

    def _refer(self, schema: Schema, stack: tuple[str, ...]) -> Schema:
        pointer = schema["$ref"]
        target = self._target(pointer) if type(pointer) is str else None
        if target is None:
            self._lose("$ref")
            return self._read({name: value for name, value in schema.items() if name != "$ref"}, stack)
        if pointer in stack or not self._affords(target):
            if len(schema) > 1:
                self._lose("$ref", "changed")
            kept = self._kept.get(id(target))
            if kept is None:
                name = f"{pointer.rpartition('/')[2].strip('#')[:64] or 'root'}_{len(self._kept)}"
                kept = self._kept[id(target)] = (pointer, target, name)
            return {"$ref": f"#/$defs/{kept[2]}"}
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        return self._read({**target, **beside}, (*stack, pointer))

    def _target(self, pointer: str) -> Schema | None:
        """What a reference within the schema leads to."""
        if not pointer.startswith("#"):
            return None
        found: Any = self._root
        for step in pointer[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if type(found) is list and key.isdigit() and len(key) < 6 and int(key) < len(found):
                found = found[int(key)]
            else:
                found = found.get(key) if type(found) is dict else None
        return found if type(found) is dict else None

    def _merged(self, schema: Schema, stack: tuple[str, ...]) -> Schema:
        """A schema and all that ``allOf`` adds to it, as one. Of two words on one thing the first counts."""
        whole = schema
        own: set[str] = set()
        for _ in range(_MOST_MERGES):
            parts = whole.get("allOf")
            whole = {name: value for name, value in whole.items() if name != "allOf"}
            for one in parts if type(parts) is list else ():
                self._merge(whole, self._added(one, stack), own)
            own.discard("allOf")
            if "allOf" not in whole:
                return whole
        self._lose("allOf", "changed")
        return {name: value for name, value in whole.items() if name != "allOf"}

    def _added(self, one: Any, stack: tuple[str, ...]) -> Schema:
        if type(one) is not dict:
            return {}
        pointer = one.get("$ref")
        if type(pointer) is not str or pointer in stack:
            return one
        target = self._target(pointer) or {}
        if not self._affords(target):
            self._lose("allOf", "changed")
            target = {}
        return {**target, **{name: value for name, value in one.items() if name != "$ref"}}

    def _merge(self, whole: Schema, added: Schema, own: set[str]) -> None:
        """``own`` are the members of ``whole`` that are no longer the client's, and may be changed."""
        for name, value in added.items():
            known = whole.get(name)
            if known is None:
                whole[name] = value
            elif type(known) is dict and type(value) is dict:
                if name not in own:
                    known = whole[name] = dict(known)
                    own.add(name)
                for member, item in value.items():
                    known.setdefault(member, item)
            elif name in ("required", "allOf") and type(known) is list and type(value) is list:
                whole[name] = known if name in own else list(known)
                own.add(name)
                whole[name] += value
            elif known != value and name not in _SAYS_NOTHING:
                self._lose("allOf", "changed")

    # --- keywords ---

    def _properties(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        del schema
        if type(value) is dict:
            made["properties"] = {name: self._read(one, stack) for name, one in value.items()}

    def _required(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        """Names that no property has are a 400."""
        del stack
        known = schema.get("properties")
        if type(value) is list and type(known) is dict:
            made["required"] = list(dict.fromkeys(name for name in value if type(name) is str and name in known))
            if len(made["required"]) < len(value):
                self._lose("required", "changed")

    def _items(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        del schema
        if type(value) is list:  # a tuple, before JSON Schema 2020-12
            made["prefixItems"] = [self._read(one, stack) for one in value]
        else:
            made["items"] = self._read(value, stack)

    def _prefix(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        del schema
        if type(value) is list:
            made["prefixItems"] = [self._read(one, stack) for one in value]

    def _more(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        del schema
        made["additionalProperties"] = value if type(value) is bool else self._read(value, stack)

    def _any(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        """``oneOf`` is "interpreted the same as anyOf" there."""
        del schema
        if type(value) is list:
            made.setdefault("anyOf", []).extend([self._read(one, stack) for one in value])

    def _one(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        lose(self._losses, f"{self._where}.oneOf", "read as anyOf", "changed")
        self._any(made, value, schema, stack)

    def _enum(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        """Values of an ``enum`` are texts and numbers there."""
        del stack
        values = value if type(value) is list else []
        kept = [one for one in values if type(one) in _TYPE_NAMES]
        if not kept or len(kept) + values.count(None) < len(values):
            return
        kind = schema.get("type") or _TYPE_NAMES[type(kept[0])]
        if None not in values:
            made |= {"type": kind, "enum": kept}
            return
        kinds = [one for one in (kind if type(kind) is list else [kind]) if one != "null"]
        made["anyOf"] = [{"type": kinds[0] if kinds else "string", "enum": kept}, {"type": "null"}]

    def _format(self, made: Schema, value: Any, schema: Schema, stack: tuple[str, ...]) -> None:
        del schema, stack
        if type(value) is str and value in _FORMATS:
            made["format"] = value

    def _tell(self, schema: Schema, made: Schema, told: list[str]) -> None:
        """Puts what cannot be said otherwise into the description."""
        if "anyOf" in made and "enum" in schema:
            made.pop("type", None)
        for name in _TOLD if not schema.keys().isdisjoint(_TOLD) else ():
            value = schema.get(name)
            if value is None or name in made or (name == "enum" and "anyOf" in made):
                continue
            if name in _EXACT and schema.get("type") == "integer" and type(value) is int:
                bound, step = _EXACT[name]
                made.setdefault(bound, value + step)
                continue
            told.append(f"{name}: {_encode(value).decode()}")
            if name not in _NOTES:
                self._lose(name, "emulated")
        if told:
            given = made.get("description")
            made["description"] = f"{given if type(given) is str else ''} ({', '.join(told)})".strip()


_EXACT = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}
"""For integers these say the same."""
_READERS = {
    "properties": _Cleaner._properties,  # noqa: SLF001  of the class above
    "required": _Cleaner._required,  # noqa: SLF001
    "items": _Cleaner._items,  # noqa: SLF001
    "prefixItems": _Cleaner._prefix,  # noqa: SLF001
    "additionalProperties": _Cleaner._more,  # noqa: SLF001
    "anyOf": _Cleaner._any,  # noqa: SLF001
    "oneOf": _Cleaner._one,  # noqa: SLF001
    "enum": _Cleaner._enum,  # noqa: SLF001
    "format": _Cleaner._format,  # noqa: SLF001
}
