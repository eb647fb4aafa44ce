"""Base64 in a text: finds it and decodes it as the text comes, so that what it says is judged too.

Called by `safety.stream` with the folded bytes of texts that have long words; gives the decoded text, piece by piece. A
run of `LEAST` letters of the alphabet is decoded if its first 18 bytes are plain text, and up to the first byte that is
not. The rules it keeps: what comes out does not depend on how the text was cut, every letter is decoded once, and no
more than `LEAST` letters are kept.
"""

import re
from base64 import b64decode
from bisect import bisect_right
from copy import copy

LEAST = 24
"""Letters that are taken for base64: no English word is as long."""
_ALPHABET = re.compile(rb"[A-Za-z0-9+/_-]+")
_LONG_RUN = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % LEAST)
_PATTERN = bytes(ord("b") if _ALPHABET.fullmatch(bytes([code])) else ord(" ") for code in range(256))
_LONG = b"b" * LEAST
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PLAIN = bytes([9, 10, 13, *range(32, 127)])
_QUARTET, _TRIPLET = 4, 3
_UNDECIDED, _DECODING, _REFUSED = range(3)


class Unwrapper:
    """The base64 of one text."""

    __slots__ = ("_decoded", "_open", "_place", "_runs", "_state")

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._open = b""
        self._state = _UNDECIDED
        self._place = 0
        self._decoded = 0
        self._runs: list[tuple[int, int]] = []

    @property
    def seen(self) -> int:
        """How many bytes were taken."""
        return self._place

    def twin(self) -> "Unwrapper":
        """A copy that goes its own way."""
        other = copy(self)
        other._runs = self._runs.copy()  # noqa: SLF001 (its own kind)
        return other

    def place(self, decoded: int) -> int:
        """Where in the folded text a byte of the decoded text comes from."""
        start, folded = self._runs[max(bisect_right(self._runs, (decoded, 1 << 62)) - 1, 0)]
        return folded + (decoded - start) * _QUARTET // _TRIPLET

    def take(self, piece: bytes, *, last: bool) -> str:
        """What base64 in the next piece of folded text says; empty for nearly every text."""
        told = piece.translate(_PATTERN)
        if self._state == _UNDECIDED and _LONG not in self._open.translate(_PATTERN) + told:
            self._pass_over(piece, told)
            return ""
        return self._read(piece, last=last)

    def _pass_over(self, piece: bytes, told: bytes) -> None:
        gap = told.rfind(b" ")
        self._open = self._open + piece if gap < 0 else piece[gap + 1 :]
        self._place += len(piece)

    def _read(self, piece: bytes, *, last: bool) -> str:
        joined = self._open + piece
        place = self._place - len(self._open)
        self._place += len(piece)
        said: list[str] = []
        end = self._go_on(joined, place, said, last=last)
        for run in _LONG_RUN.finditer(joined, end):
            end = run.end()
            self._decode(run[0], place + run.start(), said, ends=last or end < len(joined))
        if end < len(joined):
            self._open = joined[max(joined.translate(_PATTERN).rfind(b" ") + 1, end) :]
        return "".join(said)

    def _go_on(self, joined: bytes, place: int, said: list[str], *, last: bool) -> int:
        """Reads on in a run that was open; where it ends."""
        if self._state == _UNDECIDED:
            return 0
        run = _ALPHABET.match(joined, len(self._open))
        end = run.end() if run else len(self._open)
        self._decode(joined[:end], place, said, ends=last or end < len(joined))
        return end

    def _decode(self, letters: bytes, place: int, said: list[str], *, ends: bool) -> None:
        if self._state == _UNDECIDED:
            self._state = _REFUSED if _bytes_of(letters[:LEAST]).strip(_PLAIN) else _DECODING
            if self._state == _DECODING:
                self._runs.append((self._decoded, place))
        whole = len(letters) if ends else len(letters) // _QUARTET * _QUARTET
        self._open = letters[whole:]
        if self._state == _DECODING:
            data = _bytes_of(letters[:whole])
            plain = data[: len(data) - len(data.lstrip(_PLAIN))]
            if len(plain) < len(data):
                self._state = _REFUSED
            said.append(plain.decode("ascii") + (" " if ends or self._state == _REFUSED else ""))
            self._decoded += len(said[-1])
        if ends:
            self._state = _UNDECIDED


def _bytes_of(letters: bytes) -> bytes:
    """The bytes that base64 letters stand for; a last letter that says nothing is left out."""
    if len(letters) % _QUARTET == 1:
        letters = letters[:-1]
    return b64decode(letters.translate(_STANDARD) + b"=" * (-len(letters) % _QUARTET))
