"""JSON that was asked for is a promise: an answer that claims it parses, and fits its schema. Pure.

`gateway.asking` uses it for every call with a ``response_format`` of ``json_object`` or ``json_schema``. A host that
enforces it (`Quirks.schema`) is asked for it in its own way; one that does not, or whose answer was no good the first
time, is told in the system message what to write, and the JSON is taken out of what it says. What an answer with a tool
call or a refusal says is no JSON, and is not meant to be.

The schema is checked by the rules of `engines.sim.check`, which are bounded in work. Where they cannot read a schema,
or give up, the answer is known to parse, and no more.
"""

import re
from collections.abc import Iterator
from itertools import chain
from json import dumps
from typing import Any

import msgspec

from tollhouse.dialects.forced import with_system
from tollhouse.engines.sim.check import fits
from tollhouse.engines.sim.document import Abandoned, Document, SchemaProblem
from tollhouse.engines.sim.pattern import Unsupported
from tollhouse.types.calls import ChatCall

_decode = msgspec.json.Decoder().decode
_FENCE = re.compile(r"```[a-zA-Z]*[^\S\n]*\n(.*?)```", re.DOTALL)
_OBJECT_RULE = "Answer with one JSON object and nothing else: no explanation, no code fence."
_SCHEMA_RULE = "Answer with one JSON value that fits this JSON Schema, and nothing else: no explanation, no code fence."
_MOST_STARTS = 64
_MOST_CHARS = 1 << 24
"""How much of one answer is read in search of its JSON, all attempts together: a tenth of a second."""


class JsonForm:
    """What JSON a call asks for."""

    __slots__ = ("schema",)

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        """The JSON Schema; None where any object will do."""

    def problem(self, text: str) -> str | None:
        """Why a text is not what was asked for; None where it is."""
        try:
            value = _decode(text)
        except (ValueError, RecursionError):
            return "it is not valid JSON"
        if self.schema is None:
            return None if isinstance(value, dict) else "it is not a JSON object"
        return None if self._fits(value) else "it does not fit its JSON schema"

    def _fits(self, value: Any) -> bool:
        try:
            return fits(value, self.schema, Document(self.schema))
        except (SchemaProblem, Unsupported, Abandoned, RecursionError):
            return True

    def found(self, text: str) -> str | None:
        """The JSON that stands in a text, with whatever around it; None where there is none that is good."""
        fenced = (found[1].strip() for found in _FENCE.finditer(text))
        candidates = chain((text.strip(),), fenced, _spans(text))
        return next((one for one in candidates if one and self.problem(one) is None), None)


def asked_form(body: dict[str, Any]) -> JsonForm | None:
    """What JSON a call asks for; None where it asks for none."""
    wanted = body.get("response_format")
    kind = wanted.get("type") if wanted is not None else None
    if kind == "json_object":
        return JsonForm(None)
    if kind != "json_schema" or wanted is None:
        return None
    return JsonForm(wanted["json_schema"].get("schema"))


def instructed(call: ChatCall, form: JsonForm, level: str) -> ChatCall:
    """The call for a host that enforces no schema (``level`` is ``object``) or no JSON at all (``none``)."""
    body = {name: value for name, value in call.body.items() if name != "response_format"}
    if level == "object":
        body["response_format"] = {"type": "json_object"}
    rule = _OBJECT_RULE if form.schema is None else f"{_SCHEMA_RULE}\n{dumps(form.schema, ensure_ascii=False)}"
    body["messages"] = with_system(body["messages"], rule)
    return call.but(body=body, native=None)


def _spans(text: str) -> Iterator[str]:
    """The parts of a text from an opening bracket to the last closing one of its kind."""
    left = _MOST_CHARS
    for opening, closing in (("{", "}"), ("[", "]")):
        end = text.rfind(closing) + 1
        start = text.find(opening, 0, end)
        for _ in range(_MOST_STARTS):
            left -= end - start
            if start < 0 or left < 0:
                break
            yield text[start:end]
            start = text.find(opening, start + 1, end)
