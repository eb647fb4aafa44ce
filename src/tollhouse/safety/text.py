"""What a text becomes before it is judged: one byte for each character that counts. Pure; called by `safety.stream`.

Folding undoes what is done to hide words: look-alike letters of other scripts, full-width and mathematical letters and
accents become plain letters, invisible characters go, tag characters (U+E0000, which models read and people do not see)
become what they stand for, and of a run of blanks two stay. Case is kept, because base64 needs it.

The rule it keeps: each character is folded by itself, from a table made once by ``scripts/safety/folding.py``, with no
look at its neighbours but for blanks. So a text may be fed in any pieces, no character ever expands, and the answer
does not depend on the Unicode version of the Python that runs.
"""

from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

BLANK = 32
GONE = 0
"""In the table: this character is dropped."""
TABLE_SIZE = 0x20000
TAGS_AT = 0x1FD00
"""Where the table keeps U+E0000 to U+E01FF: in a range that Unicode leaves empty."""
BEYOND = 0x1FFFF
"""Where it keeps every other character above U+1FFFF."""
_TAGS_FIRST, _TAGS_END = 0xE0000, 0xE0200

_ASCII = bytes(BLANK if code < BLANK or code == 0x7F else code for code in range(256))
_RUN = b" " * 3
START = b"  "
"""What stands before the first piece: blanks that a text begins with are dropped."""

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]


def folding_table() -> Bytes:
    """The byte of every character: `TABLE_SIZE` of them, `GONE` for those that are dropped."""
    packed = files("tollhouse.safety").joinpath("data/folding.npz").read_bytes()
    with np.load(BytesIO(packed), allow_pickle=False) as arrays:
        table: Bytes = arrays["table"]
    return table


def folded(text: str, before: bytes, table: Bytes) -> tuple[bytes, Places | None]:
    """The bytes of a piece of text, and the place in the piece that each comes from: None where none was dropped.

    ``before`` is the last two bytes of the piece before, as `last_two` has them.
    """
    if text.isascii():
        plain = text.encode().translate(_ASCII)
        if _RUN not in before + plain:
            return plain, None
        return _without_runs(np.frombuffer(plain, np.uint8), None, before)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    looked_up = table[_in_table(codes)]
    places = np.flatnonzero(looked_up)
    kept = looked_up[places]
    if _RUN in before + kept.tobytes():
        return _without_runs(kept, places, before)
    return kept.tobytes(), places


def last_two(before: bytes, piece: bytes) -> bytes:
    """What the next piece needs to know of the blanks before it."""
    return (before + piece)[-2:]


def _in_table(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    if int(codes.max()) < TABLE_SIZE:
        return codes
    tags = (codes >= _TAGS_FIRST) & (codes < _TAGS_END)
    moved = np.where(tags, codes - np.uint32(_TAGS_FIRST - TAGS_AT), np.uint32(BEYOND))
    within: NDArray[np.uint32] = np.where(codes < TABLE_SIZE, codes, moved)
    return within


def _without_runs(piece: Bytes, places: Places | None, before: bytes) -> tuple[bytes, Places]:
    blank = np.frombuffer(before + piece.tobytes(), np.uint8) == BLANK
    keep = np.flatnonzero(~(blank[2:] & blank[1:-1] & blank[:-2]))
    return piece[keep].tobytes(), keep if places is None else places[keep]
