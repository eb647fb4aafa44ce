"""What a text becomes before it is judged: one character of one byte for each that counts. Called by `vocabulary`.

Folding undoes what is done to hide words: look-alike letters of other scripts, full-width and mathematical letters and
accents become plain letters, invisible characters go, and tag characters (U+E0000, which models read and people do not
see) become what they stand for. Case is kept, because base64 needs it.

The rule it keeps: each character is folded by itself, from a table made once by ``scripts/safety/folding.py``. So a
text may be fed in any pieces, no character ever expands, and the answer does not depend on the Unicode version of the
Python that runs.
"""

import re
from functools import cache
from importlib.resources import files
from zlib import decompress

BLANK = 32
GONE = 0
"""In the table: this character is dropped."""
TABLE_SIZE = 0x20000
TAGS_AT = 0x1FD00
"""Where the table keeps U+E0000 to U+E01FF: in a range that Unicode leaves empty."""
BEYOND = 0x1FFFF
"""Where it keeps every other character above U+1FFFF."""
_TAGS_FIRST, _TAGS_END = 0xE0000, 0xE0200
_PLAIN = 0x80
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_HIGH = re.compile("[\U00010000-\U0010ffff]")
_GONE = re.compile(rb"\0+")


class Folding(dict[int, str | None]):
    """What `str.translate` is to make of each character: looked up in the table once, then known."""

    def __init__(self, table: bytes) -> None:
        """``table``: the byte of every character, `TABLE_SIZE` of them, `GONE` for those that are dropped."""
        super().__init__()
        self._table = table

    def __missing__(self, code: int) -> str | None:
        """Looks a character up."""
        if code < _PLAIN:
            return chr(code)
        if code >= TAGS_AT and not _TAGS_FIRST <= code < _TAGS_END:
            return chr(self._table[BEYOND])
        byte = self._table[code if code < TAGS_AT else code - _TAGS_FIRST + TAGS_AT]
        found = self[code] = None if byte == GONE else chr(byte)
        return found

    def of(self, text: str) -> str:
        """The text in characters below U+0100: itself if it is plain ASCII."""
        return text if text.isascii() else text.translate(self)


@cache
def folding_table() -> bytes:
    """The byte of every character: `TABLE_SIZE` of them, `GONE` for those that are dropped."""
    return decompress(files("tollhouse.safety").joinpath("data/folding.bin").read_bytes())


@cache
def shipped_folding() -> Folding:
    """The folding that ships in the package: one for the process, for what it has looked up stays true."""
    return Folding(folding_table())


def seen(text: str) -> str:
    """A text without the characters that nobody sees, and with tags as what they stand for: itself if it has none."""
    if text.isascii() or _hidden().isdisjoint("".join(_FOREIGN.findall(text))):
        return text
    return _low_hidden().sub("", _HIGH.sub(_high_as_seen, text))


def _high_as_seen(high: re.Match[str]) -> str:
    return shipped_folding().of(high[0]) if high[0] in _hidden() else high[0]


@cache
def _low_hidden() -> re.Pattern[str]:
    """Characters below U+10000 that are not seen: a pattern of these alone is a quick one."""
    runs = _GONE.finditer(folding_table()[: 1 << 16])
    return re.compile(f"[{''.join(f'{chr(run.start())}-{chr(run.end() - 1)}' for run in runs)}]+")


@cache
def _hidden() -> frozenset[str]:
    """Every character that is not seen, tags among them."""
    runs = (range(*run.span()) for run in _GONE.finditer(folding_table()[:TAGS_AT]))
    return frozenset(map(chr, (*(code for run in runs for code in run), *range(_TAGS_FIRST, _TAGS_END))))
