"""A chat call as the body of ``POST /v1/responses``. Called by `providers.responses`.

Theory of operation
-------------------
Every member of the request is looked up in one of three tables: what has the same name there (`_SAME`), what is written
otherwise (`_WRITERS`), and what has no counterpart (`_LOST`), which is reported. Any other member rides along, as it
does to a chat endpoint.

*No storage.* Unless the client asks for it, nothing is kept at the host (``store: false``). What a reasoning model
needs of its earlier thoughts comes back encrypted with the answer, travels through the client in ``reasoning_details``,
and is sent again as reasoning items, each before the call that followed it (`_thoughts`). Without them models think the
same again, at the operator's cost (https://platform.openai.com/docs/guides/reasoning#keeping-reasoning-items-in-context).

*Strictness.* A function is strict by default here and lax by default in a chat completion, so it is always said.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tollhouse.dialects.responses.turns import Turns
from tollhouse.dialects.responses.words import ENCRYPTED, LOGPROBS, MIN_OUTPUT_TOKENS
from tollhouse.dialects.wishes import effort_of
from tollhouse.types.calls import Loss


class Fit(Struct, frozen=True):
    """What a model takes."""

    reasons: bool = False
    """It gives its reasoning encrypted, and takes it again. Others refuse to be asked (pydantic-ai#2865)."""
    samples: bool = True
    """It takes ``temperature`` and its kin."""


class Request:
    """One request in the making."""

    __slots__ = ("body", "chat", "fit", "include", "losses", "reasoning", "text", "tools")

    def __init__(self, chat: Mapping[str, Any], fit: Fit) -> None:
        self.chat = chat
        self.fit = fit
        self.body: dict[str, Any] = {}
        self.include: list[Any] = [ENCRYPTED] if fit.reasons else []
        self.losses: dict[str, Loss] = {}
        self.reasoning: dict[str, Any] = {}
        self.text: dict[str, Any] = {}
        self.tools: list[dict[str, Any]] = []

    def lose(self, param: str, how: str, why: str) -> None:
        """Notes what is not honoured; the first reason counts."""
        self.losses.setdefault(param, Loss(param, how, why))


def encode_request(chat: Mapping[str, Any], fit: Fit) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    """The body, without ``model`` and ``stream``, and what of the call it does not honour."""
    request = Request(chat, fit)
    body = request.body
    for name, value in chat.items():
        if name in _SAME:
            if value is not None:
                body[name] = value
        elif name in _WRITERS:
            if value is not None:
                _WRITERS[name](request, value)
        elif name not in _LOST:
            body[name] = value
        elif value is not None and value not in _LOST[name][1]:
            request.lose(name, "dropped", _LOST[name][0])
    if not fit.samples and request.reasoning.get("effort") != "none":
        _drop_sampling(request)
    _cap(request)
    for name in ("reasoning", "text", "tools", "include"):
        if value := getattr(request, name):
            body[name] = value
    body.setdefault("store", False)
    return body, tuple(request.losses.values())


# --- what is the same, and what there is not ---------------------------------------------------------------------

_SAME = frozenset({
    "metadata", "moderation", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "safety_identifier", "service_tier", "store", "temperature", "top_p", "truncation",
    "user",
})  # fmt: skip
_ABSENT = "the Responses API has no such parameter"
_LOST: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "stop": (_ABSENT, ([], "")),
    "seed": (_ABSENT, ()),
    "n": ("the Responses API gives one answer", (1,)),
    "frequency_penalty": (_ABSENT, (0,)),
    "presence_penalty": (_ABSENT, (0,)),
    "logit_bias": (_ABSENT, ({},)),
    "prediction": (_ABSENT, ()),
    "audio": ("the Responses API answers in text", ()),
    "modalities": ("the Responses API answers in text", ([], ["text"])),
    "top_k": (_ABSENT, ()),
    "background": ("an answer in the background cannot be waited for", (False,)),
}
"""Why it is lost, and the values that say nothing, so that nothing is lost."""
_SAMPLING = ("temperature", "top_p", "top_logprobs")
_USUAL = {"temperature": 1, "top_p": 1, "top_logprobs": 0}


def _drop_sampling(request: Request) -> None:
    """Takes out what reasoning models refuse (https://platform.openai.com/docs/guides/latest-model)."""
    for name in _SAMPLING:
        if request.body.pop(name, _USUAL[name]) != _USUAL[name]:
            request.lose(name, "dropped", "a reasoning model refuses it")
    if LOGPROBS in request.include:
        request.include.remove(LOGPROBS)
        request.lose("logprobs", "dropped", "a reasoning model refuses it")


# --- what is written otherwise -----------------------------------------------------------------------------------


def _messages(request: Request, value: list[Any]) -> None:
    turns = Turns(request.lose, replays=request.fit.reasons)
    for message in value:
        turns.add(message)
    request.body["input"] = turns.items


def _cap(request: Request) -> None:
    """The stricter cap of the two that a chat completion has, as it is for `providers.openai`."""
    caps = {name: request.chat.get(name) for name in ("max_completion_tokens", "max_tokens")}
    known = [cap for cap in caps.values() if type(cap) is int]
    if not known:
        return
    cap = min(known)
    if cap < MIN_OUTPUT_TOKENS:
        name = next(name for name, value in caps.items() if value == cap)
        request.lose(name, "changed", f"the least is {MIN_OUTPUT_TOKENS}")
    request.body["max_output_tokens"] = max(cap, MIN_OUTPUT_TOKENS)


def _reasoning(request: Request, value: Any) -> None:
    if not isinstance(value, dict):
        return
    given = {name: value[name] for name in ("effort", "summary", "context", "mode") if value.get(name) is not None}
    if value.get("enabled") is False:
        given["effort"] = "none"
    budget = value.get("max_tokens")
    if type(budget) is int and "effort" not in given and request.chat.get("reasoning_effort") is None:
        given["effort"] = effort_of(budget)
        request.lose("reasoning.max_tokens", "changed", "told as an effort")
    elif budget is not None:
        request.lose("reasoning.max_tokens", "dropped", "effort is stated in words")
    request.reasoning = {**given, **request.reasoning}


def _effort(request: Request, value: Any) -> None:
    if value != "default":
        request.reasoning["effort"] = value


def _response_format(request: Request, value: dict[str, Any]) -> None:
    schema = value.get("json_schema")
    if value.get("type") == "json_schema" and isinstance(schema, dict):
        strict = {"strict": bool(schema.get("strict"))}
        request.text["format"] = {"type": "json_schema", "schema": {"type": "object"}, **schema, **strict}
    else:
        request.text["format"] = value


def _verbosity(request: Request, value: Any) -> None:
    request.text["verbosity"] = value


def _logprobs(request: Request, value: Any) -> None:
    if value is True and LOGPROBS not in request.include:
        request.include.append(LOGPROBS)


def _top_logprobs(request: Request, value: Any) -> None:
    if request.chat.get("logprobs") is True:
        request.body["top_logprobs"] = value


def _include(request: Request, value: Any) -> None:
    if isinstance(value, list):
        request.include += [one for one in value if one not in request.include]


def _stream_options(request: Request, value: dict[str, Any]) -> None:
    if (hidden := value.get("include_obfuscation")) is not None and request.chat.get("stream"):
        request.body["stream_options"] = {"include_obfuscation": hidden}


def _nothing(request: Request, value: Any) -> None:
    """What is written elsewhere."""


# --- tools -------------------------------------------------------------------------------------------------------

_NO_PARAMETERS = {"type": "object", "properties": {}}


def _tools(request: Request, value: list[dict[str, Any]]) -> None:
    for tool in value:
        if "cache_control" in tool:
            request.lose("cache_control", "emulated", "prompts are cached without being marked")
            tool = {name: part for name, part in tool.items() if name != "cache_control"}  # noqa: PLW2901
        kind = tool.get("type")
        inner = tool.get(kind) if isinstance(kind, str) else None
        if not isinstance(inner, dict):
            request.tools.append(tool)  # the host's own kinds, as web_search, are flat in both
        elif kind == "function":
            request.tools.append(_function(inner))
        else:
            request.tools.append({"type": kind, **inner, **_grammar(inner.get("format"))})


def _function(function: dict[str, Any]) -> dict[str, Any]:
    parameters = function.get("parameters") or _NO_PARAMETERS
    return {"type": "function", **function, "parameters": parameters, "strict": bool(function.get("strict"))}


def _grammar(written: Any) -> dict[str, Any]:
    """The ``format`` of a custom tool; a chat completion nests what a grammar is."""
    if isinstance(written, dict) and isinstance(grammar := written.get("grammar"), dict):
        return {"format": {"type": "grammar", **grammar}}
    return {}


def _functions(request: Request, value: list[dict[str, Any]]) -> None:
    """The older form of tools, of which an answer calls one at most."""
    request.tools += map(_function, value)
    request.body["parallel_tool_calls"] = False


def _function_call(request: Request, value: Any) -> None:
    request.body["tool_choice"] = {"type": "function", **value} if isinstance(value, dict) else value


def _tool_choice(request: Request, value: Any) -> None:
    chosen = _named(value)
    if isinstance(chosen, dict) and isinstance(tools := chosen.get("tools"), list):
        chosen["tools"] = [_named(tool) for tool in tools]
    request.body["tool_choice"] = chosen


def _named(choice: Any) -> Any:
    """``{"type": T, T: {...}}`` without the nesting."""
    if not isinstance(choice, dict):
        return choice
    kind = choice.get("type")
    inner = choice.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, dict) else choice


def _web_search(request: Request, value: dict[str, Any]) -> None:
    """https://platform.openai.com/docs/guides/tools-web-search: what search models do unasked is a tool here."""
    tool: dict[str, Any] = {"type": "web_search"}
    if (size := value.get("search_context_size")) is not None:
        tool["search_context_size"] = size
    place = value.get("user_location")
    if isinstance(place, dict):
        inner = place.get("approximate")
        tool["user_location"] = {"type": "approximate", **(inner if isinstance(inner, dict) else {})}
    request.tools.append(tool)


_WRITERS: Mapping[str, Callable[[Request, Any], None]] = {
    "messages": _messages,
    "max_tokens": _nothing,
    "max_completion_tokens": _nothing,
    "reasoning": _reasoning,
    "reasoning_effort": _effort,
    "response_format": _response_format,
    "verbosity": _verbosity,
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
    "include": _include,
    "stream_options": _stream_options,
    "tools": _tools,
    "functions": _functions,
    "function_call": _function_call,
    "tool_choice": _tool_choice,
    "web_search_options": _web_search,
    "model": _nothing,
    "stream": _nothing,
}
