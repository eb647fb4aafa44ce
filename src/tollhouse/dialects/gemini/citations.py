"""What an answer of Gemini leans on, as OpenAI's annotations. Called by `candidate`, at the end of an answer.

``groundingSupports`` say which stretch of the answer rests on which ``groundingChunks``, counted in bytes of UTF-8;
OpenAI counts characters. ``citationMetadata`` names what was quoted
(https://ai.google.dev/api/generate-content#GroundingMetadata). What is of any other type than it should be is passed
over: an answer is not worth less without its sources.
"""

from typing import Any

Annotation = dict[str, Any]
_STEP = 4096
_CONTINUED = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that do not begin a character."""


def annotations_of(text: str, grounding: object, citation: object) -> list[Annotation]:
    """The sources of an answer."""
    places = _Places(text)
    found: list[Annotation] = []
    if isinstance(grounding, dict):
        found += _grounded(grounding, places)
    if isinstance(citation, dict):
        for source in _objects(citation.get("citationSources")) + _objects(citation.get("citations")):
            if isinstance(uri := source.get("uri"), str):
                found.append(_annotation(uri, source.get("title"), places, source))
    return found


def _grounded(grounding: dict[str, Any], places: "_Places") -> list[Annotation]:
    chunks = grounding.get("groundingChunks")
    sources = [_source(chunk) for chunk in chunks] if isinstance(chunks, list) else []
    found: list[Annotation] = []
    for support in _objects(grounding.get("groundingSupports")):
        segment = support.get("segment")
        indexes = support.get("groundingChunkIndices")
        for index in indexes if isinstance(indexes, list) else ():
            source = sources[index] if type(index) is int and 0 <= index < len(sources) else None
            if source is not None:
                found.append(_annotation(*source, places, segment if isinstance(segment, dict) else {}))
    if not found:
        found = [_annotation(*source, places, {}) for source in sources if source is not None]
    return found


def _source(chunk: object) -> tuple[str, object] | None:
    """Address and title of a chunk, whatever found it: a search, a map, a file store."""
    if not isinstance(chunk, dict):
        return None
    for kind in ("web", "maps", "retrievedContext", "image"):
        held = chunk.get(kind)
        if isinstance(held, dict):
            uri = held.get("uri") or held.get("fileSearchStore")
            return (uri, held.get("title")) if isinstance(uri, str) else None
    return None


def _annotation(uri: str, title: object, places: "_Places", segment: dict[str, Any]) -> Annotation:
    start, end = places.of(segment.get("startIndex")), places.of(segment.get("endIndex"))
    citation = {"start_index": start, "end_index": max(start, end), "url": uri, "title": _title(title, uri)}
    return {"type": "url_citation", "url_citation": citation}


def _title(title: object, uri: str) -> str:
    return title if isinstance(title, str) and title else uri


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class _Places:
    """Places in a text, from bytes to characters. Marks every few thousand bytes keep a long list of them cheap."""

    __slots__ = ("_bytes", "_marks", "_size")

    def __init__(self, text: str) -> None:
        self._size = len(text)
        self._bytes = None if text.isascii() else text.encode("utf-8", "surrogatepass")
        self._marks = [0]
        for at in range(0, len(self._bytes or b""), _STEP):
            self._marks.append(self._marks[-1] + _chars(self._bytes, at, at + _STEP))

    def of(self, place: object) -> int:
        if type(place) is not int or place <= 0:
            return 0
        if self._bytes is None:
            return min(place, self._size)
        place = min(place, len(self._bytes))
        mark = place // _STEP
        return self._marks[mark] + _chars(self._bytes, mark * _STEP, place)


def _chars(data: bytes | None, start: int, end: int) -> int:
    """The characters that begin in a stretch of UTF-8."""
    return len((data or b"")[start:end].translate(None, _CONTINUED))
