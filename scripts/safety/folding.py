"""Makes `src/tollhouse/safety/data/folding.bin`: the one byte that every character is folded to before judging.

Run by hand when the rules change: ``python scripts/safety/folding.py OUT``. The table is committed, so what it says
does not depend on the Unicode version of the Python that runs the gateway.
"""
# ruff: noqa: RUF001 (look-alike letters are what this is about)

import sys
import unicodedata
import zlib
from pathlib import Path

from tollhouse.safety.text import BEYOND, BLANK, GONE, TABLE_SIZE, TAGS_AT

LOOK_ALIKES = {
    "а": "a",
    "в": "b",
    "с": "c",
    "ԁ": "d",
    "е": "e",
    "ғ": "f",
    "һ": "h",
    "і": "i",
    "ј": "j",
    "к": "k",
    "ӏ": "l",
    "м": "m",
    "п": "n",
    "о": "o",
    "р": "p",
    "ԛ": "q",
    "г": "r",
    "ѕ": "s",
    "т": "t",
    "ц": "u",
    "ѵ": "v",
    "ԝ": "w",
    "х": "x",
    "у": "y",
    "ѐ": "e",
    "ё": "e",
    "ї": "i",
    "ʏ": "y",
    "А": "A",
    "В": "B",
    "С": "C",
    "Е": "E",
    "Н": "H",
    "І": "I",
    "Ј": "J",
    "К": "K",
    "М": "M",
    "О": "O",
    "Р": "P",
    "Ѕ": "S",
    "Т": "T",
    "Х": "X",
    "У": "Y",
    "Ү": "Y",
    "α": "a",
    "β": "b",
    "ϲ": "c",
    "δ": "d",
    "ε": "e",
    "η": "n",
    "ι": "i",
    "κ": "k",
    "ν": "v",
    "ο": "o",
    "ρ": "p",
    "σ": "o",
    "τ": "t",
    "υ": "u",
    "χ": "x",
    "ω": "w",
    "γ": "y",
    "Α": "A",
    "Β": "B",
    "Ε": "E",
    "Ζ": "Z",
    "Η": "H",
    "Ι": "I",
    "Κ": "K",
    "Μ": "M",
    "Ν": "N",
    "Ο": "O",
    "Ρ": "P",
    "Τ": "T",
    "Υ": "Y",
    "Χ": "X",
    "օ": "o",
    "ո": "n",
    "ս": "u",
    "հ": "h",
    "ց": "g",
    "ք": "p",
    "ı": "i",
    "ȷ": "j",
    "ɑ": "a",
    "ɡ": "g",
    "ɩ": "i",
    "ɪ": "i",
    "ʀ": "r",
    "ʙ": "b",
    "ɢ": "g",
    "ʜ": "h",
    "ʟ": "l",
    "ɴ": "n",
    "ꜰ": "f",
    "ꜱ": "s",
    "ᴀ": "a",
    "ᴄ": "c",
    "ᴅ": "d",
    "ᴇ": "e",
    "ᴊ": "j",
    "ᴋ": "k",
    "ᴍ": "m",
    "ᴏ": "o",
    "ᴘ": "p",
    "ᴛ": "t",
    "ᴜ": "u",
    "ᴠ": "v",
    "ᴡ": "w",
    "ᴢ": "z",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ħ": "h",
    "ŧ": "t",
    "ß": "s",
    "æ": "a",
    "Æ": "A",
    "œ": "o",
    "Œ": "O",
    "þ": "p",
    "ð": "d",
    "€": "e",
    "£": "l",
    "¢": "c",
    "¥": "y",
    "–": "-",
    "—": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "…": ".",
    "•": "*",
    "·": ".",
    "«": '"',
    "»": '"',
    "−": "-",
    "×": "x",
}
DROPPED = {"Mn", "Me", "Mc", "Cf", "Cs"}
BLANKS = {"Zs", "Zl", "Zp", "Cc"}
LETTERS = {"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Co", "Cn"}
FILLERS = {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800}
"""Letters by name that show nothing: Hangul fillers and the empty Braille cell."""
ENCLOSED = [(0x1F130, ord("A")), (0x1F150, ord("A")), (0x1F170, ord("A")), (0x1F1E6, ord("A"))]
"""Squared, circled and regional letters that Unicode gives no plain form."""


def folded_byte(code: int) -> int:
    """The byte of one character."""
    for first, letter in ENCLOSED:
        if first <= code < first + 26:
            return letter + code - first
    character = chr(code)
    if code in FILLERS:
        return GONE
    character = LOOK_ALIKES.get(character, character)
    plain = [each for each in unicodedata.normalize("NFKD", character) if unicodedata.category(each) not in DROPPED]
    if not plain:
        return GONE
    first_plain = LOOK_ALIKES.get(plain[0], plain[0])
    if first_plain == " " and len(plain) > 1:
        first_plain = plain[1]
    value, category = ord(first_plain), unicodedata.category(first_plain)
    if category in BLANKS:
        return BLANK
    if value < 0x80:
        return value
    if category in LETTERS:
        return 0x90 + value * 37 % 0x70
    return 0x80 + value % 0x10


def table() -> bytes:
    """The whole table."""
    made = bytearray(folded_byte(code) for code in range(TABLE_SIZE))
    made[TAGS_AT : TAGS_AT + 0x200] = bytes([GONE]) * 0x200
    made[TAGS_AT + 0x20 : TAGS_AT + 0x7F] = bytes(range(0x20, 0x7F))
    made[BEYOND] = 0x90
    return bytes(made)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(zlib.compress(table(), 9))
