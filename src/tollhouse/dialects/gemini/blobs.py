"""Media of the inner form as Gemini's parts. Called by `contents`.

What is inline is ``inlineData``. An address is ``fileData``, which the host fetches: its own files, Cloud Storage and
YouTube always, any public address where the model is new enough (https://ai.google.dev/gemini-api/docs/file-input-methods)
or on Vertex. Nothing is fetched here. A part that cannot be sent raises `UpstreamUnfit`: an answer without it would be
the answer to another question, and the next target may take it.
"""

from base64 import b64encode
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from tollhouse.dialects.gemini.words import AUDIO_TYPES
from tollhouse.errors import UpstreamUnfit

Part = dict[str, Any]

_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "bmp": "image/bmp", "pdf": "application/pdf", "txt": "text/plain",
    "md": "text/markdown", "html": "text/html", "htm": "text/html", "css": "text/css", "csv": "text/csv",
    "xml": "text/xml", "rtf": "text/rtf", "json": "application/json", "js": "text/javascript", "py": "text/x-python",
    "mp4": "video/mp4", "mpeg": "video/mpeg", "mpg": "video/mpg", "mov": "video/mov", "avi": "video/avi",
    "webm": "video/webm", "wmv": "video/wmv", "flv": "video/x-flv", "3gp": "video/3gpp", "wav": "audio/wav",
    "mp3": "audio/mp3", "aiff": "audio/aiff", "aac": "audio/aac", "ogg": "audio/ogg", "flac": "audio/flac",
    "m4a": "audio/m4a",
}  # fmt: skip
"""By the end of a name (docs/image-understanding, document-processing, video-understanding, audio)."""
_OWN_HOST = "generativelanguage.googleapis.com"
_FILMS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})
_USUAL = {"image_url": "image/jpeg", "video_url": "video/mp4", "file": "application/pdf"}


def blob_of(part: Part, where: str, *, fetches: bool) -> Part:
    """The part for one that is no text. ``fetches``: the model reads public addresses."""
    kind = part.get("type")
    if kind in ("image_url", "video_url"):
        held = part.get(kind)
        url = held.get("url") if isinstance(held, dict) else held
        return address_part(url, where, _USUAL[kind], fetches=fetches)
    if kind == "input_audio":
        sound = part["input_audio"]
        word = str(sound["format"])
        return _inline(AUDIO_TYPES.get(word, f"audio/{word}"), sound["data"])
    if kind == "file":
        file = part["file"]
        if isinstance(file.get("file_data"), str):
            usual = _type_of(str(file.get("filename") or "")) or _USUAL["file"]
            return address_part(file["file_data"], where, usual, fetches=fetches)
        return _stored(str(file.get("file_id") or ""), where, fetches=fetches)
    if kind == "google_part" and isinstance(part.get("google_part"), dict):
        return dict(part["google_part"])
    raise _unfit("The host takes no content of this kind.", where)


def address_part(url: object, where: str, usual: str, *, fetches: bool) -> Part:
    """The part for a data URL, bare base64, or an address; ``usual`` is the type of what does not say its own."""
    if not isinstance(url, str) or not url:
        raise _unfit("This content has neither data nor an address.", where)
    if url.startswith("data:"):
        return _data_part(url, where, usual)
    if "://" not in url[:16]:
        return _inline(usual, url)
    parts = urlsplit(url) if len(url) < 8192 else None
    host = parts.hostname if parts is not None and _is_clean(url) else None
    if parts is None or (host is None and parts.scheme != "gs"):
        raise _unfit("This address cannot be sent.", where)
    mime = _type_of(parts.path)
    if host == _OWN_HOST or host in _FILMS:
        return {"fileData": {"fileUri": url, **({"mimeType": mime} if mime else {})}}
    if parts.scheme != "gs" and not fetches:
        raise _unfit("The model reads no public addresses: send the data itself.", where)
    return {"fileData": {"fileUri": url, "mimeType": mime or usual}}


def _is_clean(url: str) -> bool:
    return url.isascii() and url.isprintable()


def _data_part(url: str, where: str, usual: str) -> Part:
    head, comma, data = url.partition(",")
    if not comma:
        raise _unfit("This data URL has no data.", where)
    mime, *options = head[5:].split(";")
    if "base64" not in [option.strip().lower() for option in options]:
        data = b64encode(unquote_to_bytes(data)).decode()
    return _inline(mime.strip().lower() or usual, data)


def _inline(mime: str, data: str) -> Part:
    return {"inlineData": {"mimeType": mime, "data": data}}


def _stored(file_id: str, where: str, *, fetches: bool) -> Part:
    """A file that was uploaded to Google before, by its name or its address."""
    if file_id.startswith("files/"):
        return {"fileData": {"fileUri": f"https://{_OWN_HOST}/v1beta/{file_id}"}}
    if "://" in file_id:
        return address_part(file_id, where, _USUAL["file"], fetches=fetches)
    raise _unfit("The host has no file of this id.", where)


def _type_of(path: str) -> str | None:
    return _TYPES.get(path.rpartition(".")[2].lower()) if "." in path[-8:] else None


def _unfit(message: str, where: str) -> UpstreamUnfit:
    return UpstreamUnfit(message, param=where)
