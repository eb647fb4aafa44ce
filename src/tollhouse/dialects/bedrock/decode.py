"""An answer of the Converse API, whole or streamed, in the inner form. `providers.bedrock` makes one for each attempt.

Theory of operation
-------------------
A stream is messages of `eventstream`: ``messageStart``, then blocks (``contentBlockStart`` where there is something to
say of it, ``contentBlockDelta``, ``contentBlockStop``), ``messageStop`` with the reason, and last ``metadata`` with the
usage. The chunk with the reason waits for the metadata, for what that tells (a guardrail's trace) rides on it. A body
that ends after ``messageStop`` is whole, though its usage is not known; one that ends before was cut. Events of kinds
not known here are passed over, as the vendor's own SDKs do.

Text and the arguments of calls go on as they come. What only makes sense whole waits for the end of its block: the
input of a custom tool, an image, and citations, which are about the text of their block.

What the host runs itself (``server_tool_use`` and its result) is no call of the client's, and is not told.

Thoughts of Claude are signed as they are at Anthropic. ``redactedContent`` is bytes, which JSON has in base64: for
Claude they are the text that Anthropic's own API calls ``data``.
"""

from base64 import b64decode
from typing import Any

from tollhouse.dialects.answers import AnswerReader, Chunk, chunk_of, member, objects, text
from tollhouse.dialects.bedrock.eventstream import MAX_EVENT_BYTES, MessageParser
from tollhouse.dialects.bedrock.faults import fault_of, fault_of_exception
from tollhouse.dialects.bedrock.guardrail import results_of
from tollhouse.dialects.bedrock.usage import usage_of
from tollhouse.dialects.bedrock.words import CLAUDE_FORMAT, FINISH_OF_STOP, OTHER_FORMAT
from tollhouse.dialects.filtered import PROMPT, RESULTS, of_prompt
from tollhouse.dialects.replies import json_object, tidy_reply
from tollhouse.dialects.tools import arguments_text
from tollhouse.dialects.wishes import custom_input
from tollhouse.errors import UpstreamBadResponse

_HOSTED = "server_tool_use"
_TOLD = ("trace", "metrics", "performanceConfig", "additionalModelResponseFields")
"""Members that go to the client as they are."""
_STOP_SEQUENCE = "stop_sequence"


class ConverseReader(AnswerReader):
    """One answer. ``claude`` says whose thoughts are in it, ``custom`` which tools take free text."""

    __slots__ = ("_blocks", "_calls", "_chars", "_custom", "_ending", "_extras", "_format", "_parser", "_spoken")

    def __init__(self, *, claude: bool, custom: frozenset[str], max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__()
        self._parser = MessageParser(max_event_bytes)
        self._format = CLAUDE_FORMAT if claude else OTHER_FORMAT
        self._custom = custom
        self._blocks: dict[int, _Block] = {}
        """Blocks that hold something beside text and thoughts."""
        self._calls = self._chars = 0
        self._spoken: tuple[object, int] = (None, 0)
        """The block of the last text, and where in the text it begins."""
        self._ending: Chunk | None = None
        self._extras: dict[str, Any] | None = None
        """What the metadata told."""

    # --- whole ---

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer. See `protocol.ChatDecoder`."""
        answer = json_object(body)
        if "output" not in answer:
            raise _fault_of_body(answer)
        self._take_usage(answer)
        message: dict[str, Any] = {"role": "assistant", "content": None}
        for index, block in enumerate(objects(member(answer, "output", "message"), "content")):
            self._take_block(block, index, message)
        choice = {"index": 0, "message": message, **_reason_of(answer)}
        reply = {"object": "chat.completion", "choices": [choice], **_extras_of(answer)}
        _add_results(reply)
        tidy_reply(reply, "")
        if self.usage is not None:
            reply["usage"] = self.usage
        return reply

    def _take_block(self, block: dict[str, Any], index: int, message: dict[str, Any]) -> None:
        """One block of a whole answer, into the message."""
        delta: dict[str, Any] = {}
        if "text" in block:
            delta = {"content": text(block, "text")}
        elif "toolUse" in block:
            delta = self._take_call(member(block, "toolUse"))
        elif "reasoningContent" in block:
            thought = member(block, "reasoningContent")
            delta = self._thought({**thought, **member(thought, "reasoningText")}, index)
        elif "citationsContent" in block:
            delta = self._take_cited(member(block, "citationsContent"))
        elif "image" in block:
            image = member(block, "image")
            delta = _image(text(image, "format"), text(member(image, "source"), "bytes"))
        self._chars += len(delta.get("content", ""))
        for name, value in delta.items():
            message[name] = value if message.get(name) is None else message[name] + value

    def _take_call(self, call: dict[str, Any]) -> dict[str, Any]:
        if call.get("type") == _HOSTED:
            return {}
        name, call_id, given = text(call, "name"), text(call, "toolUseId"), call.get("input")
        arguments = arguments_text({} if given is None else given)
        return {"tool_calls": [_call(name, call_id, arguments, custom=name in self._custom)]}

    def _take_cited(self, block: dict[str, Any]) -> dict[str, Any]:
        said = "".join([text(part, "text") for part in objects(block, "content")])
        start = self._chars
        notes = [_annotation(citation, start, start + len(said)) for citation in objects(block, "citations")]
        return {"content": said, "annotations": notes} if notes else {"content": said}

    # --- streamed ---

    def _read(self, data: bytes, chunks: list[Chunk]) -> None:
        for kind, name, payload in self._parser.read(data):
            if kind in ("exception", "error"):
                raise fault_of_exception(name, payload)
            self._take(name, json_object(payload), chunks)
            if self.done:
                return

    def _take(self, name: str, event: dict[str, Any], chunks: list[Chunk]) -> None:
        match name:
            case "contentBlockDelta":
                self._take_delta(event, chunks)
            case "contentBlockStart":
                self._take_start(event, chunks)
            case "contentBlockStop":
                self._take_stop(event, chunks)
            case "messageStop":
                self._take_message_stop(event, chunks)
            case "metadata":
                self._take_metadata(event, chunks)

    def _close(self, chunks: list[Chunk]) -> None:
        if self._ending is not None:
            self._end(chunks)

    def _take_delta(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        delta = event.get("delta")
        if type(delta) is not dict:
            raise UpstreamBadResponse("The upstream's answer has a delta that is not an object.")
        said = delta.get("text")
        if type(said) is str:
            if (index := event.get("contentBlockIndex")) != self._spoken[0]:
                self._spoken = (index, self._chars)
            self._chars += len(said)
            if said:
                chunks.append({"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": None}]})
            return
        index = _index(event)
        if "reasoningContent" in delta:
            if thought := self._thought(member(delta, "reasoningContent"), index):
                chunks.append(chunk_of(thought))
        elif "toolUse" in delta:
            self._take_arguments(text(member(delta, "toolUse"), "input"), index, chunks)
        elif "citation" in delta:
            self._block(index).citations.append(member(delta, "citation"))
        elif "image" in delta:
            self._block(index).held += text(member(delta, "image", "source"), "bytes")
        elif said is not None:
            raise UpstreamBadResponse("The upstream's answer has a text that is not text.")

    def _take_start(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        start, index = member(event, "start"), _index(event)
        if "image" in start:
            self._block(index).image = text(member(start, "image"), "format")
        if "toolUse" not in start:
            return
        call = member(start, "toolUse")
        block = self._block(index)
        block.name, block.call_id = text(call, "name"), text(call, "toolUseId")
        if call.get("type") == _HOSTED:
            return
        block.call = self._calls
        self._calls += 1
        if block.name not in self._custom:
            chunks.append(_call_chunk(block.call, _call(block.name, block.call_id, "", custom=False)))

    def _take_arguments(self, piece: str, index: int, chunks: list[Chunk]) -> None:
        block = self._block(index)
        if block.name in self._custom:
            block.held += piece
        elif piece and block.call is not None:
            chunks.append(_call_chunk(block.call, {"function": {"arguments": piece}}))

    def _take_stop(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        block = self._blocks.pop(_index(event), None)
        if block is not None:
            self._end_block(block, chunks)

    def _end_block(self, block: "_Block", chunks: list[Chunk]) -> None:
        if block.call is not None and block.name in self._custom:
            chunks.append(_call_chunk(block.call, _call(block.name, block.call_id, block.held, custom=True)))
        if block.image and block.held:
            chunks.append(chunk_of(_image(block.image, block.held)))
        if block.citations:
            notes = [_annotation(citation, block.start, self._chars) for citation in block.citations]
            chunks.append(chunk_of({"annotations": notes}))

    def _take_message_stop(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        for block in self._blocks.values():
            self._end_block(block, chunks)
        self._blocks.clear()
        reason = _reason_of(event)
        self._ending = {**_extras_of(event), **chunk_of({}, reason.pop("finish_reason"), **reason)}
        if self._extras is not None:
            self._end(chunks)

    def _take_metadata(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        self._take_usage(event)
        self._extras = _extras_of(event)
        if self._ending is not None:
            self._end(chunks)

    def _end(self, chunks: list[Chunk]) -> None:
        self.done = True
        last = {**(self._extras or {}), **(self._ending or {})}
        _add_results(last)
        chunks.append(last)

    # --- both ---

    def _block(self, index: int) -> "_Block":
        block = self._blocks.get(index)
        if block is None:
            spoken, start = self._spoken
            block = self._blocks[index] = _Block(start if spoken == index else self._chars)
        return block

    def _thought(self, thought: dict[str, Any], index: int) -> dict[str, Any]:
        """A piece of a thought: some of its text, its signature, both, or all of what is not shown."""
        said, signature, hidden = (text(thought, name) for name in ("text", "signature", "redactedContent"))
        delta: dict[str, Any] = {"reasoning_content": said} if said else {}
        detail: dict[str, Any] = {"format": self._format, "index": index}
        if hidden:
            data = _plain(hidden) if self._format == CLAUDE_FORMAT else hidden
            return {"reasoning_details": [{"type": "reasoning.encrypted", "data": data, **detail}]}
        if not said and not signature:
            return {}
        if signature:
            detail["signature"] = signature
        return {**delta, "reasoning_details": [{"type": "reasoning.text", "text": said, **detail}]}

    def _take_usage(self, event: dict[str, Any]) -> None:
        usage = usage_of(member(event, "usage"))
        if usage:
            self.usage = {**(self.usage or {}), **usage}


class _Block:
    """One block of a stream that is not told as it comes."""

    __slots__ = ("call", "call_id", "citations", "held", "image", "name", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        """Where in the answer's text it begins."""
        self.name = self.call_id = self.held = self.image = ""
        self.call: int | None = None
        """Its place among the client's calls."""
        self.citations: list[dict[str, Any]] = []


def _reason_of(answer: dict[str, Any]) -> dict[str, Any]:
    word = text(answer, "stopReason")
    reason: dict[str, Any] = {"finish_reason": FINISH_OF_STOP.get(word, "stop"), "native_finish_reason": word}
    more = answer.get("additionalModelResponseFields")
    if isinstance(more, dict) and isinstance(sequence := more.get(_STOP_SEQUENCE), str):
        reason[_STOP_SEQUENCE] = sequence
    return reason


def _extras_of(answer: dict[str, Any]) -> dict[str, Any]:
    extras = {name: answer[name] for name in _TOLD if answer.get(name)}
    tier = answer.get("serviceTier")
    if isinstance(tier, dict) and isinstance(tier.get("type"), str):
        extras["service_tier"] = tier["type"]
    return extras


def _add_results(answer: dict[str, Any]) -> None:
    """Tells what a guardrail found, of an answer or its last chunk, in place."""
    choice = answer["choices"][0]
    asked, said = results_of(answer.get("trace"), choice["native_finish_reason"])
    if asked:
        answer[PROMPT] = of_prompt(asked)
    if said:
        choice[RESULTS] = said


def _index(event: dict[str, Any]) -> int:
    index = event.get("contentBlockIndex")
    if type(index) is not int:
        raise UpstreamBadResponse("The upstream's answer has a block without a place.")
    return index


def _call(name: str, call_id: str, arguments: str, *, custom: bool) -> dict[str, Any]:
    if not name:
        raise UpstreamBadResponse("The upstream's answer has a tool call without a name.")
    if custom:
        return {"id": call_id, "type": "custom", "custom": {"name": name, "input": custom_input(arguments)}}
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _call_chunk(place: int, fragment: dict[str, Any]) -> Chunk:
    return chunk_of({"tool_calls": [{"index": place, **fragment}]})


def _image(kind: str, data: str) -> dict[str, Any]:
    url = f"data:image/{kind or 'png'};base64,{data}"
    return {"images": [{"type": "image_url", "image_url": {"url": url}}]} if data else {}


def _annotation(citation: dict[str, Any], start: int, end: int) -> dict[str, Any]:
    """A citation as OpenAI's; one of a document has that document's name for its address."""
    web = member(citation, "location", "web")
    url = text(web, "url") or text(citation, "source")
    said = {"url": url, "title": text(citation, "title") or text(web, "domain"), "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": said}


def _plain(data: str) -> str:
    try:
        return b64decode(data, validate=True).decode("ascii")
    except ValueError:
        return data


def _fault_of_body(answer: dict[str, Any]) -> Exception:
    name = answer.get("__type")
    if isinstance(name, str) or isinstance(answer.get("message"), str):
        return fault_of(str(name or ""), 503, answer, {})
    return UpstreamBadResponse("The upstream's answer has no output.")
