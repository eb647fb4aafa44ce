"""The text of files that stand inside a request or an answer, so that a file is no way around a policy. Pure.

`spoken_words` calls this. It is lenient, as hosts are: what some host would read as text is read here, padded or not,
in either alphabet of base64, percent-encoded, in UTF-8 or UTF-16. What is no text (images, sound, PDF) is not read.
"""

import re
from base64 import b64decode
from urllib.parse import unquote_to_bytes

_URL = re.compile(r"data:([^,;]{0,128})((?:;[^,;]{0,128}){0,8}),", re.IGNORECASE)
"""A data URL up to its data (RFC 2397)."""
_TEXTUAL = re.compile(
    r"text/|application/(?:json|xml|javascript|ecmascript|x-ndjson|jsonl|yaml|x-yaml|toml|sql|rtf)|image/svg"
    r"|[^/]*/[^/]*\+(?:json|xml)",
    re.IGNORECASE,
)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PADDING = b"= \t\r\n"
_SAMPLE_CHARS, _LEAST_CHARS = 64, 8
_BLANKS = frozenset("\t\n\r\f")


def is_text(mime: str) -> bool:
    """Whether a media type is one of text. A data URL that names none is of ``text/plain``."""
    return not mime or _TEXTUAL.match(mime.strip()) is not None


def text_of_file(data: str) -> str:
    """The text of a data URL, or of bare base64 that begins like text; empty where it is none."""
    found = _URL.match(data)
    if found is None:
        return _bare(data)
    held = data[found.end() :]
    if not is_text(found[1]):
        return ""
    return text_in_base64(held) if "base64" in found[2].lower() else _decoded(unquote_to_bytes(held))


def text_of_url(url: str) -> str | None:
    """The same of what may be a data URL; None where it is not one."""
    return text_of_file(url) if _URL.match(url) is not None else None


def text_in_base64(data: str) -> str:
    """What base64 says, as text."""
    return _decoded(_bytes_of(data))


def _bare(data: str) -> str:
    """Hosts exist that take a file without the head of a data URL."""
    sample = _bytes_of(data[:_SAMPLE_CHARS]).removeprefix(b"\xef\xbb\xbf")
    told = _decoded(sample).rstrip("\ufffd")  # the sample may end in the middle of a character
    is_plain = told.isascii() or len(told) >= _LEAST_CHARS
    if not told or not is_plain or told.startswith("%PDF") or "\ufffd" in told:
        return ""
    return text_in_base64(data) if all(char.isprintable() or char in _BLANKS for char in told) else ""


def _bytes_of(data: str) -> bytes:
    """The bytes that base64 stands for. A last letter that says nothing is left out."""
    letters = (unquote_to_bytes(data) if "%" in data else data.encode("utf-8", "replace")).translate(_STANDARD)
    letters = letters.rstrip(_PADDING)
    for end in (len(letters), len(letters) - 1):
        try:
            return b64decode(letters[:end] + b"==")
        except ValueError:
            continue
    return b""


def _decoded(data: bytes) -> str:
    head = data[:_SAMPLE_CHARS]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if head.count(0) * 3 >= len(head) > 1:  # letters of which every other byte is 0
        return data.decode("utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be", "replace")
    return data.decode("utf-8", "replace")
