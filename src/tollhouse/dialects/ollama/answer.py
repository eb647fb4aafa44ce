"""Ollama's answers in the inner form: a whole one, and the lines of a stream, which are made alike.

`providers.ollama` makes one `OllamaReader` for each answer. Each line has a piece of a message: ``content``,
``thinking``, ``tool_calls``, which are whole and often without an id. The last has ``done``, why, and the counts.

``prompt_eval_count`` holds the cached tokens, of which ``prompt_eval_cached_count`` tells
(https://github.com/ollama/ollama/blob/main/api/types.go). Older engines left it out where all of the prompt was cached:
then there is no ``prompt_tokens`` here, and the gateway estimates them, which is better than none.
"""

from typing import Any

from tollhouse.dialects.answers import AnswerReader, Chunk, chunk_of, is_json, member, objects, text
from tollhouse.dialects.forced import CallText, joined_calls
from tollhouse.dialects.ndjson import LineParser
from tollhouse.dialects.ollama.faults import fault_of_line
from tollhouse.dialects.replies import json_object
from tollhouse.dialects.tools import arguments_text, mint_call_id
from tollhouse.dialects.usage import sane
from tollhouse.dialects.wishes import custom_input
from tollhouse.errors import UpstreamBadResponse

_UNANSWERED = frozenset({"load", "unload"})
_FINISH = {"length": "length"}


class OllamaReader(AnswerReader):
    """One answer. ``custom`` are the names of free-text tools; ``forced``: the text is the JSON of a call."""

    __slots__ = ("_called", "_custom", "_forced", "_lines", "_seed", "_sniffed", "_unread")

    def __init__(self, max_line_bytes: int, custom: frozenset[str], *, forced: bool) -> None:
        super().__init__()
        self._lines = LineParser(max_line_bytes)
        self._sniffed = False
        self._custom = custom
        self._forced = CallText(custom) if forced else None
        self._unread: list[str] = []
        """Text that was to be a call, until it is known to be one: some engines keep to no schema."""
        self._seed = ""
        """When the answer began, as its host says: ids of calls are minted from it."""
        self._called = 0

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer. Raises `UpstreamBadResponse`, or the fault that it stands for."""
        answer = json_object(body)
        chunks: list[Chunk] = []
        self._take(answer, chunks)
        if not self.done:
            raise UpstreamBadResponse("The upstream's answer is only a part of one.")
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        calls: list[dict[str, Any]] = []
        choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None}
        for part in (chunk["choices"][0] for chunk in chunks):
            calls += part["delta"].pop("tool_calls", ())
            message.update(part.pop("delta"))
            choice.update(part)
        if calls:
            message["tool_calls"] = joined_calls(calls)
        elif message["content"] is None:
            message["content"] = ""
        reply: dict[str, Any] = {"choices": [choice]}
        if self.usage is not None and "total_tokens" in self.usage:  # of half a count the gateway makes a whole one
            reply["usage"] = self.usage
        return reply

    def _read(self, data: bytes, chunks: list[Chunk]) -> None:
        if not self._sniffed and (body := data.lstrip()):
            if not body.startswith(b"{"):
                raise UpstreamBadResponse("The upstream answered with something that is not JSON.")
            self._sniffed = True
        for line in self._lines.feed(data):
            self._take(json_object(line), chunks)
            if self.done:
                return

    def _close(self, chunks: list[Chunk]) -> None:
        last = self._lines.finish()
        if last and is_json(last):
            self._take(json_object(last), chunks)

    def _take(self, line: dict[str, Any], chunks: list[Chunk]) -> None:
        """One line, or a whole answer."""
        if error := line.get("error"):
            raise fault_of_line(error)
        message = member(line, "message")
        said, thought = text(message, "content"), text(message, "thinking")
        if not self._seed:
            self._seed = text(line, "created_at")
        if thought:
            chunks.append(chunk_of({"reasoning_content": thought}))
        if said:
            self._say(said, line, chunks)
        if "tool_calls" in message:
            self._call(objects(message, "tool_calls"), chunks)
        if line.get("done") is True:
            self._end(line, chunks)

    def _say(self, said: str, line: dict[str, Any], chunks: list[Chunk]) -> None:
        """Text: of the answer, or of the call that was forced."""
        if self._forced is not None and (self._called or self._may_call(said)):
            self._tell(self._forced.feed(said), chunks)
            return
        if self._unread:
            said = "".join(self._unread)
            self._unread, self._forced = [], None
        chunk = chunk_of({"content": said})
        if "logprobs" in line and (entries := objects(line, "logprobs")):
            chunk["choices"][0]["logprobs"] = {"content": entries, "refusal": None}
        chunks.append(chunk)

    def _may_call(self, said: str) -> bool:
        """Whether the text so far may still become a call; it is kept until then."""
        blank = all(map(str.isspace, self._unread))
        self._unread.append(said)
        return not blank or said.isspace() or said.lstrip().startswith("{")

    def _tell(self, fragments: list[dict[str, Any]], chunks: list[Chunk]) -> None:
        for fragment in fragments:
            if "type" in fragment:
                fragment["id"] = mint_call_id(self._seed, 0, self._called)
                self._called += 1
            fragment["index"] = self._called - 1
            chunks.append(chunk_of({"tool_calls": [fragment]}))

    def _call(self, calls: list[dict[str, Any]], chunks: list[Chunk]) -> None:
        for call in calls:
            function = member(call, "function")
            name, place = text(function, "name"), self._called
            if not name:
                raise UpstreamBadResponse("The upstream's answer has a tool call without a name.")
            arguments = arguments_text(function.get("arguments")) or "{}"
            self._called += 1
            head = {"index": place, "id": text(call, "id") or mint_call_id(self._seed, 0, place)}
            kind, key, given = "function", "arguments", arguments
            if name in self._custom:
                kind, key, given = "custom", "input", custom_input(arguments)
            chunks.append(chunk_of({"tool_calls": [{**head, "type": kind, kind: {"name": name, key: ""}}]}))
            if given:
                chunks.append(chunk_of({"tool_calls": [{"index": place, kind: {key: given}}]}))

    def _end(self, line: dict[str, Any], chunks: list[Chunk]) -> None:
        self.usage = usage_of(line) or self.usage
        word = line.get("done_reason")
        if str(word) in _UNANSWERED and not chunks and not self._called:
            raise UpstreamBadResponse("The upstream loaded or unloaded the model, and said nothing.")
        if self._forced is not None:
            self._tell(self._forced.close(), chunks)
            if self._unread and not self._called:
                chunks.append(chunk_of({"content": "".join(self._unread)}))
        reason = _FINISH.get(str(word)) or ("tool_calls" if self._called else "stop")
        native = {"native_finish_reason": word} if isinstance(word, str) else {}
        chunks.append(chunk_of({}, reason, **native))
        self.done = True


def usage_of(line: dict[str, Any]) -> dict[str, Any] | None:
    """The counts of the last line in OpenAI's form; None where there are none."""
    usage: dict[str, Any] = {}
    for ours, theirs in (("prompt_tokens", "prompt_eval_count"), ("completion_tokens", "eval_count")):
        if (count := sane(line.get(theirs))) is not None:
            usage[ours] = count
    if len(usage) == 2:
        usage["total_tokens"] = sum(usage.values())
    if (cached := sane(line.get("prompt_eval_cached_count"))) is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return usage or None
