"""A request of Gemini's generateContent as a `ChatCall`: what was sent, and the same in the inner form. Pure.

Called by `client`. ``native`` is the checked body in one spelling, for hosts that speak the dialect, without what is
under seal (`seals`); ``body`` is for all others. What only ``native`` can say is in ``losses``: nothing is dropped
silently. The model is no part of the body: it stands in the path, with the method after its last colon.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from tollhouse.dialects.gemini.offers import hosted_tool, json_schema, read_calling, read_tools
from tollhouse.dialects.gemini.seals import without_seals
from tollhouse.dialects.gemini.turns import Turns
from tollhouse.dialects.gemini.words import EFFORT_OF_LEVEL, KIND_OF_MODALITY
from tollhouse.errors import InvalidRequest, RouteNotFound
from tollhouse.types.calls import ChatCall, Loss
from tollhouse.validate.gemini_api import read_count, read_generate
from tollhouse.validate.model import MODEL
from tollhouse.validate.problems import Problem

NAME = "gemini"
GENERATE, STREAM, COUNT = "generateContent", "streamGenerateContent", "countTokens"
_ALONE = "known to Gemini alone"
_READ = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model"})
_DEARER = ("routingConfig", "modelSelectionConfig")
"""Members of ``generationConfig`` by which Vertex has another model answer."""
_PREFIX = re.compile(
    r"(?:(?:projects/)?[^/]+/locations/[^/]+/)?"
    r"(?:publishers/google/(?:models/)?|publishers/(?P<publisher>[^/]+)/(?:models/)?|models/)?"
)
_UNSAID_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def split_path(path: str) -> tuple[str, str]:
    """The model and the method that a path names, the method empty where there is no colon; percent-decoded once.

    ``models/`` and ``publishers/google/models/``, which Google's SDKs put in front, are no part of a name; another
    publisher is: ``publishers/openai/models/gpt-4o`` is ``openai/gpt-4o``. A name may hold colons of its own.
    """
    plain = unquote(path)
    name, _, method = plain.rpartition(":")
    if not name or "/" in method:
        name, method = plain, ""
    found = _PREFIX.match(name)
    rest = name[found.end() :] if found else name
    publisher = found["publisher"] if found else None
    return (f"{publisher}/{rest}" if publisher else rest), method


def read_path(path: str) -> tuple[str, str]:
    """As `split_path`. Raises `RouteNotFound` for a method that is not served, `InvalidRequest` for a bad name."""
    model, method = split_path(path)
    if method not in (GENERATE, STREAM, COUNT):
        what = f"the method '{method[:64]}'" if method else "no method after the model's name"
        raise RouteNotFound(
            f"Unknown URL: {what}. Served here are POST /v1beta/models/MODEL:{GENERATE}, :{STREAM} and :{COUNT}; "
            "embeddings, images and speech have OpenAI's endpoints under /v1."
        )
    try:
        MODEL.check(model)
    except Problem as problem:
        raise problem.at("model").as_error() from None
    return model, method


def read_call(body: bytes, path: str) -> ChatCall:
    """The call of a request. Raises `InvalidRequest`, `RouteNotFound`."""
    model, method = read_path(path)
    asked = read_count(body) if method == COUNT else read_generate(body)
    losses = [Loss(name, "dropped", _ALONE) for name in asked.keys() - _READ if asked[name] not in (None, [], {}, "")]
    config = asked.get("generationConfig") or {}
    turns = Turns(losses, config.get("mediaResolution"))
    if system := asked.get("systemInstruction"):
        turns.system(system)
    for place, content in enumerate(asked["contents"]):
        turns.add(content, place)
    turns.finish()
    if not turns.messages:
        raise InvalidRequest("'contents' says nothing: it needs a part with text, data or a call.", param="contents")
    inner: dict[str, Any] = {"model": model, "messages": turns.messages}
    stream = method == STREAM
    if stream:
        inner["stream"] = True
    hosted = None
    if tools := asked.get("tools"):
        hosted = hosted_tool(tools)
        if offered := read_tools(tools, losses):
            inner["tools"] = offered
    if choice := asked.get("toolConfig"):
        read_calling(choice, inner, losses)
    if config:
        _Config(config, inner, losses).read()
    hosted = hosted or _dearer(asked, config)
    asked["model"] = f"{model}:{method}"  # the path is part of what tells one request from another
    native = without_seals(asked) if turns.sealed else asked
    call = ChatCall(model, inner, stream, stream, NAME, native)
    call.losses, call.hosted, call.unseen = tuple(losses), hosted, turns.unseen
    return call


def _dearer(asked: dict[str, Any], config: dict[str, Any]) -> str | None:
    """The first field that makes the same tokens dearer, or has the host read what is not in the request."""
    if asked.get("cachedContent"):
        return "cachedContent"
    if "priority" in str(asked.get("serviceTier")).lower():  # https://ai.google.dev/gemini-api/docs/priority-inference
        return "serviceTier"
    return next((name for name in _DEARER if config.get(name)), None)


class _Config:
    """``generationConfig``, on its way into the inner form."""

    __slots__ = ("asked", "inner", "losses")

    def __init__(self, asked: dict[str, Any], inner: dict[str, Any], losses: list[Loss]) -> None:
        self.asked = asked
        self.inner = inner
        self.losses = losses

    def read(self) -> None:
        """Every member that is there."""
        for name, value in self.asked.items():
            if value is None:
                continue
            if (same := _SAME.get(name)) is not None:
                self.inner[same] = value
            elif (reader := _READERS.get(name)) is not None:
                reader(self, value)
            elif name not in _BESIDE:
                self.lose(name)

    def lose(self, name: str, how: str = "dropped", why: str = _ALONE) -> None:
        """Notes what other hosts are not told."""
        self.losses.append(Loss(f"generationConfig.{name}", how, why))

    def top_k(self, value: float) -> None:
        """Google has it as a float."""
        self.inner["top_k"] = int(value)

    def candidates(self, value: int) -> None:
        """One is what there is anyway."""
        if value > 1:
            self.inner["n"] = value

    def stops(self, value: list[str]) -> None:
        """None is none."""
        if value:
            self.inner["stop"] = value

    def media_type(self, value: str) -> None:
        """The form of the answer, with its schema."""
        asked = self.asked
        kind = value.partition(";")[0].strip().lower()
        schema = asked.get("responseJsonSchema")
        if schema is None and asked.get("responseSchema") is not None:
            schema = json_schema(asked["responseSchema"])
        if kind == "application/json" and schema is not None:
            title = schema.get("title")
            name = _UNSAID_NAME.sub("_", title)[:64] if type(title) is str and title else "response"
            form = {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
            self.inner["response_format"] = form
        elif kind == "application/json":
            self.inner["response_format"] = {"type": "json_object"}
        elif kind not in ("", "text/plain"):
            self.lose("responseMimeType")

    def schema(self, _value: dict[str, Any]) -> None:
        """Without a media type Google refuses a schema; what is meant is plain."""
        if not self.asked.get("responseMimeType"):
            self.media_type("application/json")

    def logprobs(self, value: int) -> None:
        """Google ignores the number unless they are asked for."""
        if self.asked.get("responseLogprobs"):
            self.inner["top_logprobs"] = value

    def thinking(self, value: dict[str, Any]) -> None:
        """A budget of 0 is none, and -1 as much as the model likes."""
        wanted: dict[str, Any] = {}
        budget, level = value.get("thinkingBudget"), value.get("thinkingLevel")
        if budget is not None:
            wanted["enabled"] = budget != 0
            if budget > 0:
                wanted["max_tokens"] = budget
        if value.get("includeThoughts"):
            wanted["summary"] = "auto"
        if level and (effort := EFFORT_OF_LEVEL.get(level.upper())):
            self.inner["reasoning_effort"] = effort
        if wanted:
            self.inner["reasoning"] = wanted

    def modalities(self, value: list[str]) -> None:
        """Text is what there is anyway."""
        kinds = [KIND_OF_MODALITY[word.upper()] for word in value if word.upper() in KIND_OF_MODALITY]
        if kinds not in ([], ["text"]):
            self.inner["modalities"] = kinds
        if len(kinds) < len(value):
            self.lose("responseModalities")

    def speech(self, value: dict[str, Any]) -> None:
        """One voice can be asked for by its name."""
        one = (value.get("voiceConfig") or {}).get("prebuiltVoiceConfig") or {}
        if name := one.get("voiceName"):
            self.inner["audio"] = {"voice": name, "format": "pcm16"}
        for other in value.keys() - {"voiceConfig"}:
            if value[other]:
                self.lose(f"speechConfig.{other}")


_SAME = {
    "temperature": "temperature",
    "topP": "top_p",
    "maxOutputTokens": "max_tokens",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
}
_READERS: dict[str, Callable[[_Config, Any], None]] = {
    "topK": _Config.top_k,
    "candidateCount": _Config.candidates,
    "stopSequences": _Config.stops,
    "responseMimeType": _Config.media_type,
    "responseSchema": _Config.schema,
    "responseJsonSchema": _Config.schema,
    "logprobs": _Config.logprobs,
    "thinkingConfig": _Config.thinking,
    "responseModalities": _Config.modalities,
    "speechConfig": _Config.speech,
}
_BESIDE = frozenset({"mediaResolution"})
"""Read by `turns`."""
