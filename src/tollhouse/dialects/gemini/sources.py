"""OpenAI's annotations as Gemini's ``groundingMetadata``: the way back of `citations`. Used by `write`.

OpenAI counts characters, Gemini bytes of UTF-8 (https://ai.google.dev/api/generate-content#Segment).
"""

from typing import Any


def grounding_of(annotations: object, text: str) -> dict[str, Any]:
    """``{"groundingMetadata": {...}}`` for the ``url_citation`` among them; empty where there is none."""
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    plain = text.isascii()
    for one in annotations if isinstance(annotations, list) else ():
        cited = one.get("url_citation") if isinstance(one, dict) else None
        url = cited.get("url") if isinstance(cited, dict) else None
        if not isinstance(cited, dict) or not isinstance(url, str):
            continue
        if url not in known:
            known[url] = len(chunks)
            title = cited.get("title")
            chunks.append({"web": {"uri": url, "title": title if isinstance(title, str) else url}})
        start, end = cited.get("start_index"), cited.get("end_index")
        if type(start) is int and type(end) is int and 0 <= start < end <= len(text):
            quoted = text[start:end]
            before = start if plain else len(text[:start].encode("utf-8", "surrogatepass"))
            size = len(quoted.encode("utf-8", "surrogatepass"))
            segment = {"startIndex": before, "endIndex": before + size, "text": quoted}
            supports.append({"segment": segment, "groundingChunkIndices": [known[url]]})
    if not chunks:
        return {}
    return {"groundingMetadata": {"groundingChunks": chunks, **({"groundingSupports": supports} if supports else {})}}
