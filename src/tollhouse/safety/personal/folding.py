"""A text as the detectors read it: of the same length, so that every offset stands in both. Pure.

Full-width letters and digits, as East Asian keyboards write them, become ASCII; the unusual blanks and hyphens that
typesetting puts into numbers become plain ones; and the two characters that stand for a line break inside JSON or
source code become blanks, lest their second be taken for a letter of what follows.
"""

import re

_UNUSUAL = re.compile("[\uff10-\uff19\uff20-\uff3a\uff41-\uff5a\uff0b\u00a0\u2007\u2009\u202f\u2010-\u2013\u2212]")
_FULL_WIDTH_SHIFT = 0xFEE0
_PLAIN: dict[int, str] = {
    **{code: chr(code - _FULL_WIDTH_SHIFT) for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0xA0, 0x2007, 0x2009, 0x202F), " "),
    **dict.fromkeys((*range(0x2010, 0x2014), 0x2212), "-"),
}
_BREAKS = (r"\n", r"\r", r"\t")


def fold(text: str) -> str:
    """The text in plain characters; the same object where it has no others."""
    if not text.isascii() and _UNUSUAL.search(text) is not None:
        text = text.translate(_PLAIN)
    if "\\" in text:
        for pair in _BREAKS:
            text = text.replace(pair, "  ")
    return text
