"""Sound that Gemini makes: raw samples, made what the client asked for. Called by `candidate` and `decode`.

Gemini's voices answer with 16-bit samples at 24 kHz and no header (``audio/L16;codec=pcm;rate=24000``), which is
OpenAI's ``pcm16`` (https://ai.google.dev/gemini-api/docs/speech-generation).
"""

import re
from base64 import b64decode, b64encode
from struct import pack

from tollhouse.errors import UpstreamBadResponse

_RATE = re.compile(r"rate=(\d{4,6})")
_PCM = ("audio/l16", "audio/pcm")


def is_pcm(mime: str) -> bool:
    """Whether sound of this media type, in lower case, is samples alone."""
    return mime.startswith(_PCM)


def joined(pieces: list[str], mime: str, *, wav: bool) -> str:
    """Pieces of base64 as one; ``wav`` puts a RIFF header before samples. Raises `UpstreamBadResponse`."""
    if len(pieces) == 1 and not (wav and is_pcm(mime)):
        return pieces[0]
    try:
        samples = b"".join([b64decode(piece, validate=True) for piece in pieces])
    except ValueError as problem:
        raise UpstreamBadResponse("The upstream's answer has sound that is not base64.") from problem
    if wav and is_pcm(mime):
        samples = _header(mime, len(samples)) + samples
    return b64encode(samples).decode()


def _header(mime: str, size: int) -> bytes:
    """One channel of 16 bits (http://soundfile.sapp.org/doc/WaveFormat/)."""
    match = _RATE.search(mime)
    rate = int(match[1]) if match else 24_000
    riff = pack("<4sI4s", b"RIFF", min(36 + size, 2**32 - 1), b"WAVE")
    form = pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return riff + form + pack("<4sI", b"data", min(size, 2**32 - 1))
