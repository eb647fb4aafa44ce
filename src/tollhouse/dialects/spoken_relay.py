"""The words of the endpoints that are relayed, and of their answers: what a judge of their safety reads. Pure.

`gateway.relay_watch` calls these, as `gateway.watch` calls `spoken` for chat. Theory of operation: what a client says
is read wherever it may stand. Of the fields that hold a prompt (`FIELDS`) and of fields that nobody here knows, for a
host may, every text is read but those under names that hold no words (`_SILENT`): so no new type of item is a way
around a policy. A prompt in tokens cannot be read; `unreadable` says so. What is no text (images, sound, files, what a
host has stored) is not judged, as in chat.

An answer has channels: a field of a choice, an item of a response. Of a streamed response pieces are read as they come,
and of what is told again whole in the end only what no piece has told.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tollhouse.dialects.filtered import PROMPT, RESULTS, results_in, tidy_prompt
from tollhouse.dialects.reported import PROMPT_SIDE, Reported, reported_by_responses
from tollhouse.dialects.spoken import Asked
from tollhouse.dialects.spoken_answers import AGAIN, NAME, TEXT, Said, said_in
from tollhouse.dialects.spoken_words import Unescaper, joined_parts, text_of_silent, unescaped
from tollhouse.types.calls import RelayCall
from tollhouse.validate.multipart import Form, FormCall, Part

Call = RelayCall | FormCall

USER, SYSTEM, ASSISTANT, TOOL = "user", "system", "assistant", "tool"
_PROMPTED: Mapping[str, str] = MappingProxyType({"prompt": USER})
FIELDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "completions": {"prompt": USER, "suffix": USER},
        "responses": {"instructions": SYSTEM, "prompt": USER, "input": USER},
        "embeddings": {"input": USER},
        "images/generations": _PROMPTED,
        "images/edits": _PROMPTED,
        "images/variations": _PROMPTED,
        "audio/speech": {"input": USER, "instructions": USER},
        "audio/transcriptions": _PROMPTED,
        "audio/translations": _PROMPTED,
    }
)
"""The endpoints that are judged; of each, the fields that hold words, and whose they are."""
CHOICES, OUTPUT, TRANSCRIPT = "choices", "output", "text"
ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        "completions": CHOICES,
        "responses": OUTPUT,
        "audio/transcriptions": TRANSCRIPT,
        "audio/translations": TRANSCRIPT,
    }
)
"""The member that holds the words of an answer; endpoints that are not here answer with something else."""

_SILENT = frozenset(
    {
        *("annotations", "audio", "call_id", "data", "detail", "encrypted_content", "file_data", "filename"),
        *("finish_reason", "format", "id", "image", "image_url", "index", "logprobs", "media_type", "name"),
        *("object", "phase", "prompt_logprobs", "role", "signature", "status", "stop_reason", "token_ids", "type"),
        *("url", "version", RESULTS, "content_filter_result"),
    }
)
"""Names, in items, parts and choices, of what is no words."""
OPEN = frozenset({"arguments", "schema", "variables"})
"""Members under which any name may hold words: the client, or the model, has chosen it."""
_CALLED_WITH, _NAMES = "arguments", ("name", "filename")
_NO_PROMPT = frozenset(
    {
        *("background", "chunking_strategy", "conversation", "context_management", "encoding_format"),
        *("images", "include", "input_fidelity", "input_type", "known_speaker_references", "language", "logit_bias"),
        *("mask", "metadata", "model", "models", "moderation", "n", "negative_prompt", "output_compression"),
        *("output_format", "plugins", "previous_response_id", "prompt_cache_key", "prompt_cache_retention"),
        *("provider", "quality", "reasoning", "safety_identifier", "service_tier", "size"),
        *("stop", "stream", "stream_format", "stream_options", "style", "temperature"),
        *("timestamp_granularities", "text", "tool_choice", "truncate", "truncation", "user", "voice"),
    }
)
"""Fields of requests that ask for something, and say nothing."""
_TOLD = frozenset({"functions", "response_format", "tools"})
"""Fields that a model reads beside the prompt, and that stand for themselves."""
_STORED = ("previous_response_id", "conversation")
_TOKENS = frozenset({"input_ids", "prompt_embeds", "prompt_token_ids"})
"""Fields in which some hosts take a prompt that is not text."""


def texts_in(value: object, *, is_open: bool = False, named: bool = False) -> Iterator[str]:
    """Every text of a value that may be words, in its order. ``is_open``: whatever the names of its members.
    ``named``: also what people, functions and files are called.
    """
    waiting = [(value, is_open)]
    while waiting:
        one, is_open = waiting.pop()
        if type(one) is str:
            if one:
                yield one
        elif type(one) is list:
            waiting += [(item, is_open) for item in reversed(one)]
        elif type(one) is dict:
            waiting += list(_members(one, is_open=is_open, named=named))[::-1]


def _members(holder: dict[str, Any], *, is_open: bool, named: bool) -> Iterator[tuple[object, bool]]:
    for name, value in holder.items():
        if name == _CALLED_WITH and type(value) is str:
            yield unescaped(value), False
        elif is_open or (named and name in _NAMES) or says(name, holder):
            yield value, is_open or name in OPEN
        elif type(value) is str:
            yield text_of_silent(name, value, holder), False


def says(name: str, holder: Mapping[str, Any]) -> bool:
    """Whether a member of an item, a part or a choice may hold words that are more than a name."""
    if name in _SILENT or name.endswith(("_id", "_url")):
        return False
    return name != "result" or holder.get("type") != "image_generation_call"


# --- what is asked -----------------------------------------------------------------------------------------------


def asked(call: Call) -> list[Asked]:
    """The texts of a request."""
    return list(_asked_in_form(call.form) if isinstance(call, FormCall) else _asked_in(call))


def _asked_in(call: RelayCall) -> Iterator[Asked]:
    body, fields = call.body, FIELDS[call.kind]
    for name, role in fields.items():
        given = body.get(name)
        if type(given) is str:
            if given:
                yield Asked(role, given)
        elif type(given) is list:
            for item in given:
                yield from _asked_of(role_of(item, role), item)
        elif given:
            yield from _asked_of(role, given)
    for name in sorted(_TOLD & body.keys()):
        if text := "\n".join(texts_in(body.get(name), is_open=True)):
            yield Asked(name, text)
    settings = body.get("text")
    form = settings.get("format") if isinstance(settings, dict) else None
    if isinstance(form, dict) and len(form) > 1:  # a schema, and not only a type
        yield Asked("text", "\n".join(texts_in(form, is_open=True)))
    for name in sorted(body.keys() - fields.keys() - _NO_PROMPT - _TOLD):
        yield from _asked_of(USER, {name: body[name]})


def _asked_of(role: str, value: object) -> Iterator[Asked]:
    """The texts of one item together. A call's are no parts of one text."""
    texts = list(texts_in(value, named=True))
    if texts and isinstance(value, dict) and _CALLED_WITH in value:
        yield Asked(role, "\n".join(texts))
        return
    for text in joined_parts(texts):
        yield Asked(role, text)


def role_of(item: object, role: str) -> str:
    """Whose an item of a list is: what a tool gives is the tool's, what calls one or thinks the model's."""
    if not isinstance(item, dict):
        return role
    kind, given = item.get("type"), item.get("role")
    if isinstance(kind, str) and kind.endswith(("_output", "mcp_call")):
        return TOOL
    if isinstance(given, str) and given:
        return given
    return ASSISTANT if isinstance(kind, str) and (kind.endswith("_call") or kind == "reasoning") else role


def spoken_parts(form: Form) -> list[Part]:
    """The fields of a form that hold words: prompts, and what nobody here knows unless it is a file."""
    return [
        part
        for part in form.parts
        if (name := _plain_name(part)) in _PROMPTED or (part.filename is None and _may(name))
    ]


def _plain_name(part: Part) -> str:
    """Some hosts read ``prompt[]`` as ``prompt``."""
    return part.name.partition("[")[0]


def _may(name: str) -> bool:
    return name not in _NO_PROMPT and name not in _SILENT


def _asked_in_form(form: Form) -> Iterator[Asked]:
    for part in spoken_parts(form):
        if text := form.body[part.start : part.end].decode("utf-8", "replace"):
            yield Asked(USER, text)


def unreadable(call: Call) -> str:
    """The field that holds a prompt which cannot be read, for it is tokens or no plain UTF-8; empty where all can."""
    if isinstance(call, FormCall):
        return next((part.name for part in spoken_parts(call.form) if not _is_readable(call.form, part)), "")
    body = call.body
    if not body.keys().isdisjoint(_TOKENS):
        return min(body.keys() & _TOKENS)
    given = ((name, body.get(name)) for name in FIELDS[call.kind])
    return next((name for name, value in given if type(value) is list and value and type(value[0]) in (int, list)), "")


def stored(call: Call) -> str:
    """The field that names a conversation which its host has kept; empty where there is none."""
    if isinstance(call, FormCall):
        return ""
    return next((name for name in _STORED if call.body.get(name)), "")


def _is_readable(form: Form, part: Part) -> bool:
    if not part.plain:
        return False
    try:
        form.body[part.start : part.end].decode()
    except UnicodeDecodeError:
        return False
    return True


# --- what is answered --------------------------------------------------------------------------------------------


def said(kind: str, answer: Mapping[str, Any]) -> Iterator[Said]:
    """The texts of a whole answer. Of completions, also of an event."""
    member = ANSWERS.get(kind, "")
    given = answer.get(member)
    if member == TRANSCRIPT:
        if type(given) is str and given:
            yield Said(0, TEXT, given)
    elif type(given) is list:
        for place, one in enumerate(given):
            if isinstance(one, dict):
                yield from (
                    _said_by_choice(index_of(one, place), one) if member == CHOICES else _said_by_item(place, one)
                )


def index_of(choice: Mapping[str, Any], place: int) -> int:
    """Which choice it is."""
    index = choice.get("index")
    return index if type(index) is int else place


def _said_by_choice(index: int, choice: Mapping[str, Any]) -> Iterator[Said]:
    for name, value in choice.items():
        if type(value) is str and name == TEXT:
            if value:
                yield Said(index, TEXT, value)
        elif value and says(name, choice):
            yield from said_in(index, "choice", {name: value})


def _said_by_item(place: int, item: object) -> Iterator[Said]:
    for text in texts_in(item):
        yield Said(0, str(place), text)
    yield from _said_about(place, item)


def _said_about(place: int, item: object) -> Iterator[Said]:
    """What an item calls: functions, and what it cites. Its parts once more, where a word could seem to go on."""
    if not isinstance(item, dict):
        return
    if len(read := list(joined_parts(list(texts_in(item))))) > 1:
        yield Said(0, f"{AGAIN} {place}", read[0])
    if type(name := item.get("name")) is str and name:
        yield Said(0, f"{NAME}{place}", name)
    content = item.get("content")
    for part in content if type(content) is list else ():
        if isinstance(part, dict):
            for text in texts_in(part.get("annotations"), named=True):
                yield Said(0, f"cited{place}", f"{text}\n")


class Stream:
    """What one stream says."""

    __slots__ = ("_arguments", "_heard_chars", "_kind", "_told")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._arguments: dict[int, Unescaper] = {}
        self._told: set[int] = set()
        """Of which items `_said_about` was told."""
        self._heard_chars: dict[int, int] = {}
        """Of each item of a response."""

    def said(self, event: Mapping[str, Any]) -> Iterator[Said]:
        """What an event adds."""
        member = ANSWERS.get(self._kind)
        if member == CHOICES:
            yield from said(self._kind, event)
        elif member is not None:
            yield from self._said(str(event.get("type")), event)

    def _said(self, kind: str, event: Mapping[str, Any]) -> Iterator[Said]:
        piece, place = event.get("delta"), event.get("output_index")
        place = place if type(place) is int else 0
        if type(piece) is str and kind.endswith(".delta"):
            if piece and not kind.endswith("audio.delta"):
                if kind.endswith("arguments.delta"):
                    piece = self._arguments.setdefault(place, Unescaper()).feed(piece)
                self._heard_chars[place] = self._heard_chars.get(place, 0) + len(piece)
                if piece:
                    yield Said(0, str(place), piece)
        elif kind == "response.output_item.done":
            yield from self._rest(place, event.get("item"))
        elif kind == "transcript.text.done":
            yield from self._rest(0, event.get("text"))
        elif isinstance(response := event.get("response"), dict) and isinstance(items := response.get(OUTPUT), list):
            for at, item in enumerate(items):
                yield from self._rest(at, item)

    def _rest(self, place: int, item: object) -> Iterator[Said]:
        """What of a whole item no piece has told."""
        text = "".join(texts_in(item))
        heard = self._heard_chars.get(place, 0)
        if len(text) > heard:
            self._heard_chars[place] = len(text)
            yield Said(0, str(place), text[heard:])
        if place not in self._told:
            self._told.add(place)
            yield from _said_about(place, item)


def reported(kind: str, piece: Mapping[str, Any]) -> Iterator[Reported]:
    """What the host says of safety in a whole answer, or in an event."""
    if ANSWERS.get(kind) == OUTPUT:
        yield from reported_by_responses(piece)
        return
    for entry in tidy_prompt(piece.get(PROMPT)) if PROMPT in piece else ():
        yield Reported(PROMPT_SIDE, entry[RESULTS])
    choices = piece.get(CHOICES)
    for place, choice in enumerate(choices if type(choices) is list else ()):
        if isinstance(choice, dict) and (results := results_in(choice)):
            yield Reported(index_of(choice, place), results)
