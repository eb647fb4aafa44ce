"""What one trial asks its target for, and what of the answer is made sure of before anybody sees it.

`gateway.pipeline` calls `complete` and `open_stream` in each attempt. A plain call goes straight through. One that asks
for JSON has its promise kept here (`json_answers`), and one that asks for several choices of a target that gives one at
a time is asked that many times at once.
"""

from collections.abc import Awaitable
from typing import Any, Final

from tollhouse.dialects.replies import split_reply
from tollhouse.errors import JsonCutShort, UpstreamBadJson, UpstreamFault
from tollhouse.gateway.choices import complete_several, open_several
from tollhouse.gateway.continuation import Transcript
from tollhouse.gateway.json_answers import JsonForm, asked_form, instructed
from tollhouse.gateway.trial import OpenStream, Trial, WholeReply
from tollhouse.types.calls import ChatCall, Loss

_OF_STREAMS: Final = frozenset({"stream", "stream_options"})


def complete(trial: Trial, call: ChatCall) -> Awaitable[WholeReply]:
    """A whole answer. Awaiting it raises `UpstreamFault`."""
    form = asked_form(call.body) if "response_format" in call.body else None
    if form is None:
        return _ask(trial, call)
    return _complete_json(trial, call, form, told=not _enforces(trial, call, form))


async def open_stream(trial: Trial, call: ChatCall) -> OpenStream:
    """A stream that has begun to say something. Raises `UpstreamFault`."""
    form = asked_form(call.body) if "response_format" in call.body else None
    if form is None or _enforces(trial, call, form):
        stream = await (open_several(trial, call) if _asks_several(trial, call) else trial.open(call))
        stream.several = (call.body.get("n") or 1) > 1
        return stream
    body = {name: value for name, value in call.body.items() if name not in _OF_STREAMS}
    whole = await _complete_json(trial, call.but(body=body, stream=False, native=None), form, told=True)
    return OpenStream.of_reply(trial, split_reply(whole.reply), whole.decoder)


def check_stream(call: ChatCall, transcript: Transcript) -> None:
    """Raises `UpstreamBadJson` or `JsonCutShort` where a stream that has ended is not the JSON that was asked for."""
    form = asked_form(call.body)
    if form is None or not transcript.plain or transcript.reason == "content_filter":
        return
    if (problem := form.problem(transcript.text)) is not None:
        raise _broken(problem, transcript.reason)


def _ask(trial: Trial, call: ChatCall) -> Awaitable[WholeReply]:
    return complete_several(trial, call) if _asks_several(trial, call) else trial.complete(call)


def _asks_several(trial: Trial, call: ChatCall) -> bool:
    return "n" in call.body and (call.body["n"] or 1) > 1 and not trial.target.choices


def _enforces(trial: Trial, call: ChatCall, form: JsonForm) -> bool:
    """Whether the target makes sure of what is asked, as far as its host says, and has not been wrong already."""
    level = trial.target.host.quirks.schema
    enough = level == "schema" or (level == "object" and form.schema is None)
    return enough and trial.turn == 0 and not trial.loses(call, "response_format")


async def _complete_json(trial: Trial, call: ChatCall, form: JsonForm, *, told: bool) -> WholeReply:
    """``told`` is whether the model has to be told what to write, for its host does not make sure of it."""
    level = trial.target.host.quirks.schema
    whole = await _ask(trial, instructed(call, form, "none" if level == "none" else "object") if told else call)
    if whole.native:
        return whole
    if told:
        trial.losses += (Loss("response_format", "emulated", "the target was told the schema, and its answer checked"),)
    for choice in whole.reply["choices"]:
        _keep(choice, form)
    return whole


def _keep(choice: dict[str, Any], form: JsonForm) -> None:
    """Makes the content of a choice the JSON that it holds, in place."""
    message, reason = choice["message"], choice.get("finish_reason")
    if message.get("tool_calls") or message.get("refusal") or reason == "content_filter":
        return
    text = message.get("content") or ""
    if (problem := form.problem(text)) is None:
        return
    found = form.found(text)
    if found is None:
        raise _broken(problem, reason)
    message["content"] = found


def _broken(problem: str, reason: object) -> UpstreamFault:
    if reason == "length":
        return JsonCutShort(
            "The answer reached its cap before its JSON was complete. Raise max_completion_tokens, or ask for less."
        )
    return UpstreamBadJson(f"The model was asked for JSON, and its answer was none: {problem}.")
