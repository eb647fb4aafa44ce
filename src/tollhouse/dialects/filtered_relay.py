"""Relayed requests and answers with some of their words changed: masked, restored, withheld, annotated. Pure.

`gateway.relay_watch` calls these. Where the words are is known to `spoken_relay`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace as struct_replace

from tollhouse.dialects.filtered import PROMPT, RESULTS
from tollhouse.dialects.spoken_relay import (
    ANSWERS,
    CHOICES,
    FIELDS,
    OPEN,
    OUTPUT,
    TRANSCRIPT,
    Call,
    index_of,
    says,
    spoken_parts,
)
from tollhouse.types.calls import RelayCall
from tollhouse.validate.multipart import Form, FormCall

Rewrite = Callable[[str], str]
_CODE = frozenset({"arguments"})
"""Members whose text is JSON."""
_DEEPEST = 64
"""As deep as a request may be (`validate.guard`)."""
_ECHOES = (OUTPUT, "output_text", "instructions", "prompt")
"""Where a response has words; the last two are the client's own, said again."""
_JSON_FORMATS = frozenset({"json_object", "json_schema"})
_KEPT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        CHOICES: frozenset({"created", "id", "model", "object", "service_tier", "system_fingerprint", "usage", PROMPT}),
        OUTPUT: frozenset(
            {
                *("background", "completed_at", "content_filters", "conversation", "created_at", "error", "id"),
                *("instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "object"),
                *("parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "reasoning"),
                *("safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools"),
                *("top_logprobs", "top_p", "truncation", "usage", "user"),
            }
        ),
        TRANSCRIPT: frozenset({"duration", "language", "task", "usage"}),
    }
)
"""What stays of an answer that is withheld: hosts may say its words again in members of their own."""
_FILTERED = "content_filter"


class Rewriter:
    """Rewrites every text that may be words: ``text`` what people and models say, ``code`` what is JSON."""

    __slots__ = ("_code", "_text")

    def __init__(self, text: Rewrite, code: Rewrite) -> None:
        self._text = text
        self._code = code

    def value(self, value: Any) -> Any:
        """A text, or an object or list of them; the given one stays as it is."""
        return self._value(value, 0, is_open=False)

    def _value(self, value: Any, depth: int, *, is_open: bool) -> Any:
        if type(value) is str:
            return self._text(value)
        if depth >= _DEEPEST:
            return value
        if type(value) is list:
            return [self._value(one, depth + 1, is_open=is_open) for one in value]
        if type(value) is dict:
            return {name: self._member(name, value, depth, is_open=is_open) for name in value}
        return value

    def _member(self, name: str, holder: dict[str, Any], depth: int, *, is_open: bool) -> Any:
        value = holder[name]
        if not (is_open or says(name, holder)):
            return value
        if name in _CODE and type(value) is str:
            return self._code(value)
        return self._value(value, depth + 1, is_open=is_open or name in OPEN)


# --- requests ----------------------------------------------------------------------------------------------------


def reworded(call: Call, rewriter: Rewriter) -> Call:
    """A call with its prompt rewritten."""
    if isinstance(call, FormCall):
        return replace(call, form=_reworded_form(call.form, rewriter))
    body = call.body
    changed = {name: rewriter.value(body[name]) for name in FIELDS[call.kind] if name in body}
    return struct_replace(call, body={**body, **changed})


def _reworded_form(form: Form, rewriter: Rewriter) -> Form:
    """The form with other texts in it, and every other byte as it was. Its texts are plain (`unreadable`)."""
    spoken = spoken_parts(form)
    pieces, parts, done, shift = [], [], 0, 0
    for part in form.parts:
        start = part.start + shift
        if part in spoken:
            text: str = rewriter.value(form.body[part.start : part.end].decode("utf-8", "replace"))
            value = text.encode()
            pieces += [form.body[done : part.start], value]
            done = part.end
            shift += len(value) - (part.end - part.start)
        parts.append(replace(part, start=start, end=part.end + shift))
    return Form(form.boundary, b"".join((*pieces, form.body[done:])), tuple(parts))


def asks_for_json(call: Call) -> bool:
    """Whether the words of the answer are to be JSON."""
    if not isinstance(call, RelayCall):
        return False
    text = call.body.get("text")
    form = text.get("format") if isinstance(text, dict) else call.body.get("response_format")
    return isinstance(form, dict) and form.get("type") in _JSON_FORMATS


# --- answers -----------------------------------------------------------------------------------------------------


def restored(kind: str, answer: dict[str, Any], rewriter: Rewriter) -> dict[str, Any]:
    """An answer with what was masked put back."""
    member = ANSWERS.get(kind)
    if member == TRANSCRIPT:
        restored_answer: dict[str, Any] = rewriter.value(answer)
        return restored_answer
    names = _ECHOES if member == OUTPUT else (CHOICES,)
    return {**answer, **{name: rewriter.value(answer[name]) for name in names if member and name in answer}}


def withheld(kind: str, answer: dict[str, Any], is_blocked: Callable[[int], bool]) -> dict[str, Any]:
    """An answer without the words of the choices that are blocked."""
    member = ANSWERS.get(kind, "")
    given = answer.get(member)
    if member == CHOICES:
        choices = given if type(given) is list else []
        left = [_withheld_choice(one, place, is_blocked) for place, one in enumerate(choices)]
        if all(one is other for one, other in zip(left, choices, strict=True)):
            return answer
        said: dict[str, Any] = {CHOICES: left}
    elif not member or not is_blocked(0):
        return answer
    elif member == TRANSCRIPT:
        said = {TRANSCRIPT: ""}
    else:
        said = {"status": "incomplete", "incomplete_details": {"reason": _FILTERED}, OUTPUT: []}
    return {**{name: value for name, value in answer.items() if name in _KEPT[member]}, **said}


def _withheld_choice(choice: Any, place: int, is_blocked: Callable[[int], bool]) -> Any:
    if not isinstance(choice, dict) or not is_blocked(index := index_of(choice, place)):
        return choice
    return {"index": index, "text": "", "logprobs": None, "finish_reason": _FILTERED}


def annotate_choices(events: Sequence[Mapping[str, Any]], results_of: Callable[[int], Mapping[str, Any]]) -> None:
    """Puts what was found in each choice into it, in place: in a whole answer, or where each ends in a stream's last
    events.
    """
    for event in events:
        choices = event.get(CHOICES)
        for place, choice in enumerate(choices if type(choices) is list else ()):
            if isinstance(choice, dict):
                choice[RESULTS] = results_of(index_of(choice, place))
