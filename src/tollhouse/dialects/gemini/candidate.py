"""One candidate of a Gemini answer, read part by part. Called by `decode`, for whole answers and for streams.

Theory of operation
-------------------
A candidate is a list of parts: text, thoughts (text with ``thought``), calls, media, and what Google's own tools did.
`Candidate.take` makes of the parts of one event one delta of the inner form; a whole answer is one such event.

A part may carry a ``thoughtSignature``, which has to come back on the same part
(https://ai.google.dev/gemini-api/docs/thought-signatures). Of a call it is told twice: in the call's ``extra_content``,
as Google's own compatible surface does, and in ``reasoning_details`` under the call's id, for clients that keep those.
Of text it is told in ``reasoning_details`` without an id. What has no counterpart at all (code that was run, a search)
becomes an entry of ``content_parts`` that holds the part as it is, and goes back so.
"""

from typing import Any

from tollhouse.dialects.filtered import RESULTS, Results
from tollhouse.dialects.gemini.citations import annotations_of
from tollhouse.dialects.gemini.ratings import add_ratings, candidate_results
from tollhouse.dialects.gemini.words import FINISH_OF_REASON, REASONING_FORMAT
from tollhouse.dialects.tools import arguments_text, mint_call_id
from tollhouse.dialects.wishes import custom_input
from tollhouse.errors import UpstreamBadResponse

Delta = dict[str, Any]

_ORDINARY = frozenset({"content", "index"})
_EXTRAS = (
    ("safetyRatings", "safety_ratings"),
    ("groundingMetadata", "grounding_metadata"),
    ("urlContextMetadata", "url_context_metadata"),
    ("citationMetadata", "citation_metadata"),
    ("finishMessage", "finish_message"),
    ("continuationToken", "continuation_token"),
)
"""Members of a candidate that are passed on as they are, and their names in the inner form."""


class Candidate:
    """What one candidate has said. ``custom`` are the names of the custom tools that the client offered."""

    __slots__ = (
        *("_custom", "_detail", "_extras", "_ids", "_images", "_open", "_rated", "_seed"),
        *("calls", "index", "reason", "said", "sound", "texts"),
    )

    def __init__(self, index: int, seed: str, custom: frozenset[str]) -> None:
        self.index = index
        self.reason: str | None = None
        """The host's own word for why it ended; None while it has not."""
        self.said = False
        self.calls = 0
        self.texts: list[str] = []
        self.sound: list[tuple[str, str]] = []
        """Pieces of sound: the media type, and base64."""
        self._seed = seed
        self._custom = custom
        self._ids: set[str] = set()
        self._images = 0
        self._detail = 0
        """The index of the next entry of ``reasoning_details``."""
        self._open = False
        """The entry before it is text that goes on."""
        self._extras: dict[str, Any] = {}
        self._rated: Results = {}
        """The worst of its safety ratings so far."""

    def take(self, candidate: dict[str, Any]) -> Delta:
        """What one event says of it. Raises `UpstreamBadResponse`."""
        delta: Delta = {}
        content = candidate.get("content")
        if type(content) is dict:
            parts = content.get("parts")
            if type(parts) is list:
                self._take_parts(parts, delta)
            elif parts is not None:
                raise UpstreamBadResponse("The upstream's answer has parts that are not a list.")
        elif content is not None:
            raise UpstreamBadResponse("The upstream's answer has content that is not an object.")
        if candidate.keys() - _ORDINARY:
            self._note(candidate)
        if delta:
            self.said = True
        return delta

    def ending(self) -> dict[str, Any]:
        """The members of the choice that come with its end."""
        word = self.reason or ""
        extras = {name: value for name, value in self._extras.items() if value}
        if results := candidate_results(self._rated, word):
            extras[RESULTS] = results
        return {"finish_reason": FINISH_OF_REASON.get(word, "stop"), "native_finish_reason": word, **extras}

    def annotations(self) -> list[dict[str, Any]]:
        """The sources of all that was said."""
        grounding, citation = self._extras.get("grounding_metadata"), self._extras.get("citation_metadata")
        if not grounding and not citation:
            return []
        return annotations_of("".join(self.texts), grounding, citation)

    def _note(self, candidate: dict[str, Any]) -> None:
        """Members beside the content. The last word on each counts, unless it is empty."""
        if (reason := candidate.get("finishReason")) is not None:
            self.reason = str(reason)[:128]
        if "safetyRatings" in candidate and candidate["safetyRatings"] != self._extras.get("safety_ratings"):
            add_ratings(self._rated, candidate["safetyRatings"])
        for name, ours in _EXTRAS:
            if value := candidate.get(name):
                self._extras[ours] = value

    def _take_parts(self, parts: list[Any], delta: Delta) -> None:
        for part in parts:
            if type(part) is not dict:
                raise UpstreamBadResponse("The upstream's answer has a part that is not an object.")
            text = part.get("text")
            if type(text) is str and (len(part) == 1 or "thought" in part or "thoughtSignature" in part):
                self._take_text(part, text, delta)
            elif "functionCall" in part:
                self._take_call(part, delta)
            elif "inlineData" in part:
                self._take_media(part, delta)
            elif part:
                delta.setdefault("content_parts", []).append({"type": "google_part", "google_part": part})

    def _take_text(self, part: dict[str, Any], text: str, delta: Delta) -> None:
        if len(part) > 1:
            signature = _signature(part)
            if part.get("thought") is True:
                self._think(text, signature, delta)
                return
            if signature:
                self._sign(signature, None, delta)
        if text:
            self.texts.append(text)
            delta["content"] = delta["content"] + text if "content" in delta else text

    def _think(self, text: str, signature: str, delta: Delta) -> None:
        delta["reasoning_content"] = delta.get("reasoning_content", "") + text
        details = delta.setdefault("reasoning_details", [])
        if self._open and details and details[-1]["type"] == "reasoning.text":
            details[-1]["text"] += text
        else:
            index = self._detail - 1 if self._open else self._next_detail()
            details.append({"type": "reasoning.text", "text": text, "format": REASONING_FORMAT, "index": index})
        if signature:
            details[-1]["signature"] = signature
        self._open = not signature

    def _sign(self, signature: str, call_id: str | None, delta: Delta) -> None:
        detail: dict[str, Any] = {"type": "reasoning.encrypted", "data": signature}
        if call_id is not None:
            detail["id"] = call_id
        detail |= {"format": REASONING_FORMAT, "index": self._next_detail()}
        self._open = False
        delta.setdefault("reasoning_details", []).append(detail)

    def _next_detail(self) -> int:
        self._detail += 1
        return self._detail - 1

    def _take_call(self, part: dict[str, Any], delta: Delta) -> None:
        given = part["functionCall"]
        name = given.get("name") if type(given) is dict else None
        if type(name) is not str or not name:
            raise UpstreamBadResponse("The upstream's answer has a function call without a name.")
        call_id = given.get("id")
        if type(call_id) is not str or not call_id or call_id in self._ids:
            call_id = mint_call_id(self._seed, self.index, self.calls)
        self._ids.add(call_id)
        arguments = arguments_text(given.get("args")) or "{}"
        call: dict[str, Any] = {"index": self.calls, "id": call_id}
        if name in self._custom:
            call |= {"type": "custom", "custom": {"name": name, "input": custom_input(arguments)}}
        else:
            call |= {"type": "function", "function": {"name": name, "arguments": arguments}}
        if signature := _signature(part):
            call["extra_content"] = {"google": {"thought_signature": signature}}
            self._sign(signature, call_id, delta)
        self.calls += 1
        delta.setdefault("tool_calls", []).append(call)

    def _take_media(self, part: dict[str, Any], delta: Delta) -> None:
        """An image, or sound. Of a model's thoughts only what it settles on is shown."""
        blob = part["inlineData"]
        mime, data = (blob.get("mimeType"), blob.get("data")) if type(blob) is dict else (None, None)
        if type(mime) is not str or type(data) is not str:
            raise UpstreamBadResponse("The upstream's answer has media without a type or data.")
        kind = mime.lower()
        if part.get("thought") is True or not kind.startswith(("image/", "audio/")):
            delta.setdefault("content_parts", []).append({"type": "google_part", "google_part": part})
        elif kind.startswith("audio/"):
            self.sound.append((kind, data))
            known = delta.setdefault("audio", {"id": f"audio_{self._seed[:64]}", "data": ""})
            known["data"] += data
        else:
            image: dict[str, Any] = {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
            image["index"] = self._images
            self._images += 1
            if signature := _signature(part):
                image["extra_content"] = {"google": {"thought_signature": signature}}
            delta.setdefault("images", []).append(image)


def _signature(part: dict[str, Any]) -> str:
    signature = part.get("thoughtSignature")
    return signature if type(signature) is str else ""
