"""The words of a value of JSON, whatever its shape: what `spoken`, `spoken_answers` and `spoken_relay` share. Pure.

Theory of operation. Words are found by exclusion: there are names that hold none (ids, types, URLs, signatures,
encrypted data), and every other text is read, so a new type of part or a member that only some host knows is no way
around a policy. Below a member whose names somebody has chosen (`OPEN`: arguments, schemas, variables) no name is
silent, and the names are words themselves. A data URL of text is read wherever it stands.

Nobody knows how a host joins parts: with a line between them, or with nothing. Where a word could go on from one part
to the next they are read both ways.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tollhouse.dialects.spoken_files import is_text, text_in_base64, text_of_file, text_of_url

_SILENT = frozenset(
    {
        *("encrypted_content", "encrypted_index", "data", "file_uri", "fileUri", "format", "id", "object", "role"),
        *("signature", "status", "thoughtSignature", "thought_signature", "type", "uri", "url", "call_id", "detail"),
        *("finish_reason", "finishReason", "native_finish_reason", "stop_reason", "language", "effort", "mode"),
        *("media_type", "mime_type", "mimeType", "responseMimeType", "response_mime_type", "file_data"),
    }
)
"""Names of texts that are no words."""
OPAQUE = frozenset(
    {
        *("cache_control", "content_filter_result", "content_filter_results", "logprobs", "prompt_cache_breakpoint"),
        *("prompt_filter_results", "prompt_logprobs", "safetyRatings", "safety_ratings", "token_ids"),
    }
)
"""Names of values in which nothing is words."""
OPEN = frozenset(
    {
        *("args", "arguments", "input", "input_schema", "parameters", "parametersJsonSchema", "properties"),
        *("response", "responseJsonSchema", "responseSchema", "response_schema", "schema", "variables"),
    }
)
"""Names of objects whose members somebody has named."""
_MIME = ("mimeType", "mime_type", "media_type")
_JSON = "arguments"
"""The name of a text that is JSON."""
_FILE = "file_data"


def words_in(value: object, *, is_open: bool = False) -> Iterator[str]:
    """Every text of a value that may be words, in its order. ``is_open``: somebody has named its members."""
    waiting = [(value, is_open)]
    while waiting:
        one, is_open = waiting.pop()
        if type(one) is str:
            if one and (told := _of_text(one) if is_open else one):
                yield told
        elif type(one) is list:
            waiting += [(item, is_open) for item in reversed(one)]
        elif type(one) is dict:
            waiting += list(_of_open(one) if is_open else _members(one))[::-1]


def is_silent(name: str) -> bool:
    """Whether a text under this name is no words."""
    return name in _SILENT or name.endswith(("_id", "_url", "Id", "Uri"))


def text_of_silent(name: str, text: str, holder: dict[str, Any]) -> str:
    """What a text says that stands under a silent name: nothing, unless it is a file of text, or has blanks, which ids,
    types, addresses and base64 have not.
    """
    told = _of_data(text, holder) if name == "data" else text_of_url(text)
    if told is None and name == _FILE:
        told = text_of_file(text) or None
    if told is None:
        return text if " " in text else ""
    return told


def _of_text(text: str) -> str:
    """A text that may as well be a file."""
    return text if (told := text_of_url(text)) is None else told


def _of_open(holder: dict[str, Any]) -> Iterator[tuple[object, bool]]:
    for name, value in holder.items():
        yield name, True
        yield value, True


def _members(holder: dict[str, Any]) -> Iterator[tuple[object, bool]]:
    for name, value in holder.items():
        if type(value) is not str:
            if value and name not in OPAQUE:
                yield value, name in OPEN
        elif is_silent(name):
            yield text_of_silent(name, value, holder), False
        else:
            yield unescaped(value) if name == _JSON else value, False


def _of_data(data: str, holder: dict[str, Any]) -> str | None:
    """The text of ``data`` beside a media type: plain in Anthropic's documents that say so, else base64."""
    if holder.get("type") == "text":
        return data
    mime = next((mime for name in _MIME if type(mime := holder.get(name)) is str), None)
    if mime:
        return text_in_base64(data) if is_text(mime) else ""
    return text_of_url(data)


def joined_parts(texts: list[str]) -> Iterator[str]:
    """Parts as one text; also with nothing between them, where a word could go on from one to the next."""
    texts = [text for text in texts if text]
    if texts:
        yield "\n".join(texts)
    if any(not (one[-1].isspace() or other[0].isspace()) for one, other in pairwise(texts)):
        yield "".join(texts)


# --- JSON inside a text ------------------------------------------------------------------------------------------

_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?\Z)"
    r"|u([0-9a-fA-F]{4})|(u[0-9a-fA-F]{0,3}\Z|\Z)|(.))",
    re.DOTALL,
)
"""A pair of surrogates; the beginning of one; a letter; the beginning of one; anything else."""
_BLANKS = frozenset("ntrbf")


class Unescaper:
    """What pieces of JSON say once the escapes in its strings are undone, however it was cut into pieces."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = ""
        """What may be the beginning of an escape: at most eleven characters."""

    def feed(self, piece: str) -> str:
        """What one more piece says."""
        text = self.rest + piece
        self.rest = ""
        return _ESCAPE.sub(self._letter, text) if "\\" in text else text

    def _letter(self, found: re.Match[str]) -> str:
        high, low, open_pair, code, opening, other = found.groups()
        if high:
            return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
        if code:
            return chr(number) if not 0xD800 <= (number := int(code, 16)) < 0xE000 else " "
        if open_pair is not None or opening is not None:
            self.rest = found[0]
            return ""
        return " " if other in _BLANKS else other


def unescaped(text: str) -> str:
    """The same of a whole text of JSON. An escape that was cut off stays as it is."""
    if "\\" not in text:
        return text
    undone = Unescaper()
    return undone.feed(text) + undone.rest
