"""An answer of Gemini's, read into the inner form. `providers.gemini` and `providers.vertex` make one for each answer.

Theory of operation
-------------------
Each event of a stream is a whole ``GenerateContentResponse`` that holds the next piece of each candidate; a whole
answer is one such event. There is no end marker: it is whole when the body has ended and every candidate has given its
``finishReason``. Because events go on after it (with usage, with sources), the reasons are told at the end of the body.

Usage stands in every event; the last value of each member counts. A prompt that was blocked has no candidates and a
``blockReason``: an answer that ends with ``content_filter``. A candidate that ends because the model made a mistake, as
with a call that is no JSON, and that has said nothing, is a failure: another target may do better.
"""

from typing import Any

import msgspec
from msgspec import Struct

from tollhouse.dialects.answers import AnswerReader, Chunk, is_json
from tollhouse.dialects.filtered import PROMPT, RESULTS, Results, of_prompt, worse
from tollhouse.dialects.gemini.candidate import Candidate, Delta
from tollhouse.dialects.gemini.counts import usage_of
from tollhouse.dialects.gemini.faults import event_fault
from tollhouse.dialects.gemini.logprobs import logprobs_of
from tollhouse.dialects.gemini.ratings import prompt_results
from tollhouse.dialects.gemini.sound import joined
from tollhouse.dialects.gemini.words import BROKEN_REASONS
from tollhouse.dialects.replies import split_reply, tidy_reply
from tollhouse.dialects.sse import MAX_EVENT_BYTES, EventParser
from tollhouse.dialects.tools import mint_call_id
from tollhouse.dialects.whole_body import BLANK, WholeBody, is_events
from tollhouse.errors import UpstreamBadResponse

MAX_WHOLE_BYTES = 64 * 1024 * 1024
"""What a host may send where it answers a request for a stream with JSON alone."""
_decode = msgspec.json.Decoder().decode


class Wanted(Struct, frozen=True):
    """What a client asked for, as far as its answer depends on it."""

    custom: frozenset[str] = frozenset()
    """The names of its custom tools."""
    legacy: bool = False
    """It offered ``functions``, and waits for a ``function_call``."""
    wav: bool = False
    """Its sound shall be ``wav``."""


class EventReader(AnswerReader):
    """The outside of both readers: events, or JSON where the host sent no stream, as objects. See `AnswerReader`.

    A subclass has `_take`, for one object, `_end`, for the end of a stream, and `_split`.
    """

    __slots__ = ("_events", "_meta", "_sniffed", "_whole")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__()
        self._events = EventParser(max_event_bytes)
        self._meta: dict[str, Any] | None = None
        self._sniffed = False
        self._whole: WholeBody | None = None

    def _read(self, data: bytes, chunks: list[Chunk]) -> None:
        if not self._sniffed and not self._sniff(data):
            return
        if self._whole is not None:
            self._whole.add(data)
            return
        for event, _ in self._events.feed(data):
            self._take_event(event, chunks)

    def _close(self, chunks: list[Chunk]) -> None:
        if self._whole is not None:
            chunks += self._split(self._whole.join())
            self.done = True
            return
        for event, _ in self._events.finish():
            if is_json(event):
                self._take_event(event, chunks)
        self._end(chunks)

    def _sniff(self, data: bytes) -> bool:
        """Whether anything has come; JSON in place of events is told by its first byte."""
        events = is_events(data, (b"{", b"["))
        if events is False:
            self._whole = WholeBody(MAX_WHOLE_BYTES)
        self._sniffed = events is not None
        return self._sniffed

    def _take_event(self, event: bytes, chunks: list[Chunk]) -> None:
        try:
            value = _decode(event)
        except (ValueError, RecursionError) as problem:
            if not event.strip():
                return
            raise UpstreamBadResponse("The upstream sent an event that is not valid JSON.") from problem
        if type(value) is not dict:
            if value:
                raise UpstreamBadResponse("The upstream sent an event that is not a JSON object.")
            return  # a keep-alive
        self._open(value)
        if (chunk := self._take(value)) is not None:
            chunks.append(chunk)

    def _open(self, value: dict[str, Any]) -> None:
        """Raises the fault of an error, and takes the usage."""
        if value.get("error"):
            raise event_fault(value["error"])
        meta = value.get("usageMetadata")
        if type(meta) is dict:
            if self._meta is not None:
                meta = {**self._meta, **meta}
            self._meta = meta
            self.usage = usage_of(meta)

    def _take(self, value: dict[str, Any]) -> Chunk | None:
        """The chunk of one object of a stream."""
        raise NotImplementedError

    def _end(self, chunks: list[Chunk]) -> None:
        """The end of a stream; sets `done` if it is whole."""
        raise NotImplementedError

    def _split(self, body: bytes) -> list[Chunk]:
        """The chunks of a whole answer that came in place of a stream."""
        raise NotImplementedError


def objects_of(body: bytes) -> list[dict[str, Any]]:
    """The JSON object of a body, or those of its list. Raises `UpstreamBadResponse`."""
    try:
        value = _decode(body.lstrip(BLANK))
    except (ValueError, RecursionError) as problem:
        raise UpstreamBadResponse("The upstream's answer is not valid JSON.") from problem
    objects = value if type(value) is list else [value]
    if not objects or any(type(one) is not dict for one in objects):
        raise UpstreamBadResponse("The upstream's answer is not a JSON object.")
    return objects


class GeminiReader(EventReader):
    """One answer in the inner form. See `protocol.ChatDecoder`."""

    __slots__ = ("_asked", "_blocked", "_candidates", "_head", "_seed", "_told", "_wanted")

    def __init__(self, wanted: Wanted, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__(max_event_bytes)
        self._wanted = wanted
        self._candidates: dict[int, Candidate] = {}
        self._blocked: dict[str, Any] | None = None
        """Why the prompt was refused."""
        self._asked: Results = {}
        """What was found in the prompt."""
        self._told = True
        """Whether a chunk has told it."""
        self._seed = ""
        self._head: dict[str, Any] = {}

    def reply(self, body: bytes) -> Chunk:
        """A whole answer. See `protocol.ChatDecoder`."""
        deltas: dict[int, list[dict[str, Any]]] = {}
        for value in objects_of(body):
            self._open(value)
            chunk = self._take(value)
            for choice in chunk["choices"] if chunk is not None else ():
                deltas.setdefault(choice["index"], []).append(choice)
        if not self._candidates and self._blocked is None:
            raise UpstreamBadResponse("The upstream's answer is empty.")
        choices = [self._whole_choice(one, deltas.get(one.index, [])) for one in self._ordered()]
        reply: Chunk = {**self._head, "choices": choices}
        self._told = not self._asked
        self._tell(reply)
        tidy_reply(reply, self._seed)
        if self.usage is not None:
            reply["usage"] = self.usage
        return reply

    def _split(self, body: bytes) -> list[Chunk]:
        return split_reply(self.reply(body))

    def _take(self, value: dict[str, Any]) -> Chunk | None:
        candidates = value.get("candidates")
        if not self._seed:
            self._begin(value)
        if "promptFeedback" in value:
            self._take_feedback(value["promptFeedback"], blocks=not candidates)
        if not candidates:
            return None
        if type(candidates) is not list:
            raise UpstreamBadResponse("The upstream's answer has candidates that are not a list.")
        choices = []
        for position, candidate in enumerate(candidates):
            if (choice := self._choice(candidate, position)) is not None:
                choices.append(choice)
        if not choices:
            return None
        chunk: Chunk = {"choices": choices}
        self._tell(chunk)
        return chunk

    def _take_feedback(self, feedback: object, *, blocks: bool) -> None:
        """What was found in the prompt. ``blocks``: there are no candidates, so that it may have been refused."""
        if type(feedback) is dict:
            if found := prompt_results(feedback):
                self._asked, self._told = worse(self._asked, found), False
            if blocks and feedback.get("blockReason"):
                self._blocked = feedback

    def _tell(self, answer: dict[str, Any]) -> None:
        """Puts what was found in the prompt on an answer, or on the first chunk."""
        if not self._told:
            answer[PROMPT] = of_prompt(self._asked)
            self._told = True

    def _begin(self, value: dict[str, Any]) -> None:
        answer_id = value.get("responseId")
        self._seed = answer_id if type(answer_id) is str and answer_id else mint_call_id(repr(value), 0, 0)
        self._head["id"] = self._seed[:128]
        if type(model := value.get("modelVersion")) is str:
            self._head["model"] = model

    def _choice(self, candidate: Any, position: int) -> dict[str, Any] | None:
        """One candidate's piece; None when it tells the client nothing yet."""
        if type(candidate) is not dict:
            raise UpstreamBadResponse("The upstream's answer has a candidate that is not an object.")
        index = candidate.get("index", position)
        if type(index) is not int or not 0 <= index < 256:
            index = position
        state = self._candidates.get(index)
        if state is None:
            state = self._candidates[index] = Candidate(index, self._seed, self._wanted.custom)
        delta = state.take(candidate)
        logprobs = logprobs_of(candidate["logprobsResult"]) if "logprobsResult" in candidate else None
        if not delta and logprobs is None:
            return None
        if self._wanted.legacy and "tool_calls" in delta:
            _make_legacy(delta)
        choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": None}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        return choice

    def _ordered(self) -> list[Candidate]:
        """The candidates; for a prompt that was refused, one that has said nothing."""
        if not self._candidates and self._blocked is not None:
            refused = self._candidates[0] = Candidate(0, self._seed, frozenset())
            refused.take({"safetyRatings": self._blocked.get("safetyRatings")})
        return [self._candidates[index] for index in sorted(self._candidates)]

    def _ending(self, state: Candidate) -> dict[str, Any]:
        """The end of a choice. Raises `UpstreamBadResponse` where there is nothing but a mistake of the model's."""
        if self._blocked is not None and state.reason is None:
            why = str(self._blocked.get("blockReason"))[:128]
            ending = {**state.ending(), "finish_reason": "content_filter", "native_finish_reason": why}
            ending.pop(RESULTS, None)  # they are the prompt's
            return {**ending, "prompt_feedback": self._blocked}
        if not state.said and state.reason in BROKEN_REASONS:
            raise UpstreamBadResponse(f"The model failed to answer ({state.reason}).")
        return state.ending()

    def _end(self, chunks: list[Chunk]) -> None:
        states = self._ordered()
        if not states or any(state.reason is None for state in states if self._blocked is None):
            return
        for state in states:
            delta: Delta = {}
            if annotations := state.annotations():
                delta["annotations"] = annotations
            chunk: Chunk = {"choices": [{"index": state.index, "delta": delta, **self._ending(state)}]}
            self._tell(chunk)
            chunks.append(chunk)
        self.done = True

    def _whole_choice(self, state: Candidate, pieces: list[dict[str, Any]]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant"}
        choice: dict[str, Any] = {"index": state.index, "message": message, "logprobs": None}
        for piece in pieces:
            for name, value in piece["delta"].items():
                known = message.get(name)
                message[name] = value if known is None or name in ("audio", "function_call") else known + value
            choice["logprobs"] = piece.get("logprobs") or choice["logprobs"]
        if "content" not in message:
            message["content"] = None if len(message) > 1 else ""
        if state.sound:
            kind = state.sound[0][0]
            data = joined([piece for _, piece in state.sound], kind, wav=self._wanted.wav)
            message["audio"] = {"id": message["audio"]["id"], "data": data, "expires_at": 0, "transcript": ""}
        if annotations := state.annotations():
            message["annotations"] = annotations
        return {**choice, **self._ending(state)}


def _make_legacy(delta: Delta) -> None:
    """The first call as the ``function_call`` that clients of ``functions`` know; they can take no more than one."""
    calls = delta.pop("tool_calls")
    if calls[0]["index"] == 0 and "function" in calls[0]:
        delta["function_call"] = calls[0]["function"]
