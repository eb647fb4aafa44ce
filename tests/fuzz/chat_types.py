"""Every wrong value for every place in a chat request, made from the gateway's own table of rules.

`WRONG` holds, for each rule that a table reaches, one good value of the field with one place in it spoiled: by each
JSON type that the rule does not take, and by values of the right type beyond its limits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tollhouse.validate.chat import FIELDS
from tollhouse.validate.hosts import HOST_FIELDS
from tollhouse.validate.messages import MESSAGE, Messages
from tollhouse.validate.model import ModelName
from tollhouse.validate.rules import Boolean, Integer, Nullable, Number, Refused, Rule, Text, Word
from tollhouse.validate.shapes import Array, OneOf, Pairs, Record, Variant

KINDS: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "decimal": 7.5,
    "string": "x",
    "array": [[1]],
    "object": {"x": 1},
}
TAKES: dict[type, set[str]] = {
    Boolean: {"boolean"},
    Integer: {"integer"},
    Number: {"integer", "decimal"},
    Text: {"string"},
    ModelName: {"string"},
    Word: {"string"},
    Array: {"array"},
    Messages: {"array"},
    Record: {"object"},
    Pairs: {"object"},
    Variant: {"object"},
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A field's value with something wrong at ``path``, which begins with the field."""

    field: str
    path: str
    value: Any


def takes(rule: Rule) -> set[str]:
    """The JSON types of a rule."""
    if isinstance(rule, Nullable):
        return takes(rule.rule) | {"null"}
    if isinstance(rule, OneOf):
        return set().union(*(takes(choice) for choice in rule.choices.values()))
    return TAKES[type(rule)]


def good(rule: Rule) -> Any:
    """A value that the rule takes."""
    match rule:
        case Nullable():
            return good(rule.rule)
        case OneOf():
            return good(next(iter(rule.choices.values())))
        case Boolean():
            return True
        case Integer() | Number():
            return max(rule.low, min(rule.high, 1))
        case Text():
            return "1"
        case Word():
            return rule.words[0]
        case Messages():
            return [{"role": "user", "content": "hi"}]
        case Array():
            return [good(rule.item)]
        case Record():
            return {name: good(rule.fields[name]) for name in rule.required}
        case Pairs():
            return {good(rule.key): good(rule.item)}
        case Variant():
            return tagged(rule, next(iter(rule.variants)))
    raise TypeError(rule)


def tagged(rule: Variant, word: str) -> dict[str, Any]:
    """A good value of one variant."""
    return {rule.tag: word, **good(rule.variants[word])}


def wrong(rule: Rule) -> Iterator[tuple[str, Any]]:
    """Values that the rule refuses, each with the path inside it of what is wrong."""
    allowed = takes(rule)
    yield from (("", value) for kind, value in KINDS.items() if kind not in allowed)
    yield from (("", value) for value in beyond(rule))
    match rule:
        case Nullable():
            yield from (pair for pair in wrong(rule.rule) if pair != ("", None))
        case OneOf():
            for choice in rule.choices.values():
                yield from (pair for pair in wrong(choice) if pair[0] or kind_of(pair[1]) in takes(choice))
        case Messages():
            yield from ((f"[0]{path}", [value]) for path, value in wrong(MESSAGE))
        case Array():
            yield from ((f"[0]{path}", [value]) for path, value in wrong(rule.item))
        case Record():
            yield from wrong_fields(rule, good(rule))
        case Pairs():
            yield from ((f".1{path}", {"1": value}) for path, value in wrong(rule.item))
        case Variant():
            yield from wrong_variants(rule)


def beyond(rule: Rule) -> list[Any]:
    """Values of the right type beyond the rule's limits."""
    match rule:
        case Integer() | Number():
            return [rule.low - 1, rule.high + 1]
        case Text(high=int(high)):
            return ["1" * (high + 1)]
        case Word():
            return ["no such word"]
        case Messages():
            return [[]]
        case Array(high=int(high)):
            return [[good(rule.item)] * (high + 1)]
    return []


def wrong_fields(rule: Record, base: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """A record with one field absent or spoiled."""
    for name in rule.required:
        yield f".{name}", {key: value for key, value in base.items() if key != name}
    for name, inner in rule.fields.items():
        yield from ((f".{name}{path}", {**base, name: value}) for path, value in wrong(inner))


def wrong_variants(rule: Variant) -> Iterator[tuple[str, Any]]:
    """An object without its word, with a word of another type, and each variant spoiled."""
    yield f".{rule.tag}", {}
    yield from ((f".{rule.tag}", {rule.tag: value}) for kind, value in KINDS.items() if kind != "string")
    if not rule.extensible:
        yield f".{rule.tag}", {rule.tag: "no such word"}
    for word, variant in rule.variants.items():
        assert isinstance(variant, Record)
        yield from wrong_fields(variant, tagged(rule, word))


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    names = {bool: "boolean", int: "integer", float: "decimal", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def collect() -> Iterator[Wrong]:
    """Everything, field by field."""
    for name, rule in FIELDS.items():
        if name == "model":  # OpenAI words a missing model in its own way
            continue
        yield from (Wrong(name, name + path, value) for path, value in wrong(rule))
    for name, refused in HOST_FIELDS.items():
        assert isinstance(refused, Refused)
        yield Wrong(name, name, "x")


WRONG = tuple(collect())
