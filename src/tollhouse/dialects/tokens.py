"""Token counts without a tokenizer: an estimate from how many bytes of each kind a text holds.

Used where a host reports no usage and where an answer broke off. A linear fit over mixed English, code and JSON
against the o200k vocabulary is within 5 % for half of all texts and within 14 % for 95 %. Scripts outside that fit
(CJK) are less exact. Integers only; bounded time however long the text is.
"""

from typing import Final

TOKENS_PER_CALL: Final = 8
"""What a tool call is beside its function's name and its arguments, which are text; the median of what hosts report."""
_MILLI_PER_WORD: Final = 846
_CLASSES: Final[tuple[tuple[bytes, int], ...]] = (
    (bytes(range(ord("a"), ord("z") + 1)), 53),
    (bytes(range(ord("A"), ord("Z") + 1)), 163),
    (b"0123456789", 655),
    (b"\n\t", 453),
    (bytes(byte for byte in range(33, 127) if not chr(byte).isalnum()), 584),
    (bytes(range(0xC2, 0xE0)), 314),  # first bytes of two-byte characters
    (bytes(range(0xE0, 0xF5)), 888),  # of three- and four-byte ones
)
"""Kinds of bytes, and the thousandths of a token each byte of the kind counts."""

_SAMPLE_BYTES: Final = 16 * 1024
_SAMPLES: Final = 16


def estimate_tokens(text: str | bytes) -> int:
    """About how many tokens a text is; 0 only for an empty one."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if not raw:
        return 0
    return max(1, (_milli_tokens(raw) + 500) // 1000)


def _milli_tokens(raw: bytes) -> int:
    """Thousandths of tokens. A text of more than 256 KiB is judged by 16 samples spread over it."""
    if len(raw) > _SAMPLE_BYTES * _SAMPLES:
        stride = len(raw) // _SAMPLES
        sample = b" ".join([raw[start : start + _SAMPLE_BYTES] for start in range(0, stride * _SAMPLES, stride)])
        return _milli_tokens(sample[: _SAMPLE_BYTES * _SAMPLES]) * len(raw) // (_SAMPLE_BYTES * _SAMPLES)
    total = _MILLI_PER_WORD * len(raw.split())
    for kind, weight in _CLASSES:
        total += weight * (len(raw) - len(raw.translate(None, kind)))
    return total


class Tally:
    """The tokens of a text that arrives in pieces. Folded now and then, so its memory stays small."""

    __slots__ = ("_milli", "_pieces")

    FOLD_AT = 256

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._milli = 0

    def add(self, piece: str) -> None:
        """Counts one more piece."""
        self._pieces.append(piece)
        if len(self._pieces) >= self.FOLD_AT:
            self._fold()

    def tokens(self) -> int:
        """The estimate so far; 0 only if every piece was empty."""
        self._fold()
        return max(1, (self._milli + 500) // 1000) if self._milli else 0

    def _fold(self) -> None:
        raw = "".join(self._pieces).encode("utf-8", "replace")
        self._pieces.clear()
        if raw:
            self._milli += _milli_tokens(raw)
