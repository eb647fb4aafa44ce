"""The rules for arrays and objects. Each adds its own step to the path of a `Problem` that comes from inside it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollhouse.validate.problems import Problem, missing, refuse_length, refuse_type, refuse_word
from tollhouse.validate.rules import Nullable, Rule, Text


class Array:
    """A list of values that all keep one rule."""

    def __init__(self, item: Rule, low: int = 0, high: int | None = None) -> None:
        self.item = item
        self.low = low
        self.high = high
        self.kind = f"an array of {PLURALS[item.kind]}"
        size = "" if high is None and low == 0 else f"{low} or more " if high is None else f"{low} to {high} "
        self.says = f"array of {size}({item.says})"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not list:
            refuse_type(self.kind, value)
        if len(value) < self.low or (self.high is not None and len(value) > self.high):
            refuse_length(self.low, self.high, len(value))
        check = self.item.check
        index = 0
        try:
            for item in value:
                check(item)
                index += 1  # enumerate would make a tuple for every good item
        except Problem as problem:
            raise problem.at(index) from None


PLURALS: Final = {
    "a string": "strings",
    "an object": "objects",
    "an integer": "integers",
    "an array of integers": "arrays of integers",
}


class Record:
    """An object with known fields. Fields that the table does not name ride along unseen."""

    kind = "an object"

    def __init__(self, fields: Mapping[str, Rule], *, required: Sequence[str] = ()) -> None:
        self.fields = fields
        self.required = tuple(required)
        self.nullable = frozenset(name for name, rule in fields.items() if isinstance(rule, Nullable))
        self.checks = {
            name: rule.rule.check if isinstance(rule, Nullable) else rule.check for name, rule in fields.items()
        }
        names = [f"`{name}`" if name in self.required else f"`{name}`?" for name in fields]
        self.says = f"object {{{', '.join(names)}}}" if names else "object"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not dict:
            refuse_type(self.kind, value)
        for name in self.required:
            if name not in value:
                raise missing(name)
        checks = self.checks
        name = ""
        try:
            for name, item in value.items():
                check = checks.get(name)
                if check is not None and (item is not None or name not in self.nullable):
                    check(item)
        except Problem as problem:
            raise problem.at(name) from None


OBJECT: Final = Record({})


class Pairs:
    """An object whose keys are the client's own: keys and values each to a rule, at most ``high`` of them."""

    kind = "an object"

    def __init__(self, key: Text, item: Rule, high: int | None = None) -> None:
        self.key = key
        self.item = item
        self.high = high
        size = "" if high is None else f" of at most {high} pairs"
        self.says = f"object{size}: key {key.says}, value {item.says}"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not dict:
            refuse_type(self.kind, value)
        if self.high is not None and len(value) > self.high:
            after = (
                f": object has too many properties. Expected an object with at most {self.high} properties, "
                f"but got an object with {len(value)} properties instead."
            )
            raise Problem("Invalid", after, "object_above_max_properties")
        key = ""
        try:
            for key, item in value.items():
                self.key.check(key)
                self.item.check(item)
        except Problem as problem:
            raise problem.at(key) from None


class Variant:
    """An object told by a word in its field ``tag``; each word has its own rule.

    ``extensible`` lets other words pass: hosts extend some of these unions (``video_url`` parts, tools of their own),
    and a gateway that refused them would break clients that work with the host directly.
    """

    kind = "an object"

    def __init__(self, variants: Mapping[str, Rule], *, tag: str = "type", extensible: bool = False) -> None:
        self.variants = variants
        self.tag = tag
        self.extensible = extensible
        self.checks = {word: rule.check for word, rule in variants.items()}
        self.says = f"object with `{tag}` " + ", ".join(f"`{word}`" for word in variants)
        if extensible:
            self.says += " or a host's own"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not dict:
            refuse_type(self.kind, value)
        word = value.get(self.tag)
        check = self.checks.get(word) if type(word) is str else None
        if check is not None:
            check(value)
        elif type(word) is not str or not self.extensible:
            self.refuse_tag(value)

    def refuse_tag(self, value: dict[str, Any]) -> None:
        """The tag is absent, or not a string, or not a known word."""
        if self.tag not in value:
            raise missing(self.tag)
        word = value[self.tag]
        try:
            if type(word) is not str:
                refuse_type("a string", word)
            refuse_word(word, tuple(self.variants))
        except Problem as problem:
            raise problem.at(self.tag) from None


class OneOf:
    """A value told by its JSON type: a string or an array, for instance."""

    def __init__(self, choices: Mapping[type, Rule]) -> None:
        self.choices = choices
        self.checks = {kind: rule.check for kind, rule in choices.items()}
        first, *others = (rule.kind for rule in choices.values())
        self.kind = " or ".join([f"one of {first}", *(kind.split(" ", 1)[1] for kind in others)])
        self.says = " or ".join(rule.says for rule in choices.values())

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        check = self.checks.get(type(value))
        if check is None:
            refuse_type(self.kind, value)
        check(value)
