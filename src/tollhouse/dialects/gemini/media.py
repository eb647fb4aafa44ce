"""Media of a Gemini request as content parts of the inner form. Used by `turns`.

What is inline becomes a data URL; what is a file stays an address, which the host fetches or refuses: an answer given
without the document that it is about would be worse than none.
"""

from typing import Any

from tollhouse.dialects.gemini.words import FORMAT_OF_AUDIO
from tollhouse.types.calls import Loss

_DETAIL = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_MEDIUM": "auto", "MEDIA_RESOLUTION_HIGH": "high"}
_ENDINGS = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "heic", "heif"), "image/"),
    **dict.fromkeys(("mp4", "mov", "webm", "mpeg", "mpg", "avi"), "video/"),
}
_FILMS = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")


def media_part(part: dict[str, Any], where: str, detail: str | None, losses: list[Loss]) -> dict[str, Any] | None:
    """The content part of one that holds ``inlineData`` or ``fileData``; None for one that holds neither.

    ``where`` is its path, ``detail`` the resolution that the whole request asks for.
    """
    if (blob := part.get("inlineData")) is not None:
        made = _inline(blob)
    elif (file := part.get("fileData")) is not None:
        made = _file(file)
    else:
        return None
    if part.get("videoMetadata"):
        losses.append(Loss(f"{where}.videoMetadata", "dropped", "known to Gemini alone"))
    own = part.get("mediaResolution")
    level = own.get("level") if isinstance(own, dict) else own
    if (level := level or detail) and made["type"] == "image_url" and type(level) is str:
        if word := _DETAIL.get(level.upper()):
            made["image_url"]["detail"] = word
        elif own:
            losses.append(Loss(f"{where}.mediaResolution", "dropped", "known to Gemini alone"))
    return made


def _inline(blob: dict[str, Any]) -> dict[str, Any]:
    mime, data = blob["mimeType"], blob["data"].replace("-", "+").replace("_", "/")  # Google takes both alphabets
    plain = mime.partition(";")[0].strip().lower()
    if plain.startswith("audio/"):
        form = FORMAT_OF_AUDIO.get(plain, plain.removeprefix("audio/"))
        return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    return _addressed(plain, f"data:{plain or 'application/octet-stream'};base64,{data}", blob.get("displayName"))


def _file(file: dict[str, Any]) -> dict[str, Any]:
    address = file["fileUri"]
    mime = (file.get("mimeType") or "").partition(";")[0].strip().lower()
    if not mime:
        ending = address.rpartition(".")[2].lower()
        mime = "video/" if address.startswith(_FILMS) else _ENDINGS.get(ending, "")
    return _addressed(mime, address, file.get("displayName"))


def _addressed(mime: str, address: str, name: str | None) -> dict[str, Any]:
    if mime.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": address}}
    if mime.startswith("video/"):
        return {"type": "video_url", "video_url": {"url": address}}
    if not name and address.startswith("data:"):  # OpenAI refuses data without a name
        name = "document.txt" if mime.startswith("text/") else "document.pdf"
    return {"type": "file", "file": {"file_data": address, **({"filename": name} if name else {})}}
