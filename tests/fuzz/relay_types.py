"""Every wrong value for every place in a request to an endpoint that is relayed, from the gateway's own tables."""

from collections.abc import Iterator
from typing import Any

from tests.fuzz.chat_types import KINDS, Wrong, good, wrong
from tollhouse.validate.hosts import HOST_FIELDS
from tollhouse.validate.relay import ENDPOINTS, TOKEN_ID, Inputs
from tollhouse.validate.rules import Nullable, Rule, Text

ABSENT = object()
OTHERS = {"text": "1", "token": 1, "tokens": [1], "object": {"type": "text", "text": "1"}}
"""What a batch of inputs may hold, but only one of these."""


def wrong_inputs(rule: Inputs) -> Iterator[tuple[str, Any]]:
    """Values that a prompt, an input or a batch of them is not."""
    yield from (("", value) for kind, value in KINDS.items() if kind not in {"string", "array"})
    yield from (("", value) for value in ([], ["1"] * (rule.high + 1)))
    if isinstance(rule.text, Text) and rule.text.low:
        yield from (("", ""), ("[0]", [""]))
    yield from (("[0]", [KINDS[kind]]) for kind in ("null", "boolean", "decimal"))
    if list in rule.rules:
        yield from ((f"[0]{path}", [value]) for path, value in wrong(TOKEN_ID) if type(value) is int)
        yield from ((f"[0][1]{path}", [[1, value]]) for path, value in wrong(TOKEN_ID))
    yield "[0]", [[]]
    for first, item in OTHERS.items():
        at = "[1]" if type(item) in rule.rules else "[0]"
        yield from ((at, [item, other]) for second, other in OTHERS.items() if first != second)


def body(endpoint: str, model: str, spoil: Wrong | None = None) -> dict[str, Any]:
    """The least good body, with something wrong in it."""
    record = ENDPOINTS[endpoint].record
    texts = {"model": model, "prompt": "1", "input": "1"}
    fields = {name: texts[name] if name in texts else good(record.fields[name]) for name in record.required}
    fields |= {"model": model} | ({spoil.field: spoil.value} if spoil is not None else {})
    return {name: value for name, value in fields.items() if value is not ABSENT}


def spoiled(rule: Rule) -> Iterator[tuple[str, Any]]:
    """The wrong values of one field."""
    inner = rule.rule if isinstance(rule, Nullable) else rule
    return wrong_inputs(inner) if isinstance(inner, Inputs) else wrong(rule)


def collect() -> Iterator[tuple[str, Wrong]]:
    """Everything: the endpoint, and a field with something wrong in it."""
    for endpoint, table in ENDPOINTS.items():
        yield from ((endpoint, Wrong(name, name, ABSENT)) for name in table.required if name != "model")
        for name, rule in table.record.fields.items():
            if name != "model" and name not in HOST_FIELDS:  # OpenAI words a missing model in its own way
                yield from ((endpoint, Wrong(name, name + path, value)) for path, value in spoiled(rule))
        yield from ((endpoint, Wrong(name, name, "x")) for name in HOST_FIELDS)


WRONG = tuple(collect())
