"""Ways to write a text so that filters miss it: what ``evaluate.py`` measures the classifier on."""
# ruff: noqa: RUF001 (look-alike letters are what this is about)

import base64
from collections.abc import Callable
from random import Random
from types import MappingProxyType

_LEET = str.maketrans("aeiost", "431057")
_LOOK_ALIKES = str.maketrans("aceopxyiACEOPXB", "асеорхуіАСЕОРХВ")
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_TYPO_SHARE = 0.06


def _typos(text: str) -> str:
    chance = Random(1)  # noqa: S311 (a fixed shuffle, no secret)
    letters = list(text)
    for place in range(1, len(letters)):
        if chance.random() < _TYPO_SHARE and letters[place].isalpha():
            letters[place - 1], letters[place] = letters[place], letters[place - 1]
    return "".join(letters)


EVASIONS: MappingProxyType[str, Callable[[str], str]] = MappingProxyType(
    {
        "as it is": lambda text: text,
        "upper case": str.upper,
        "zero-width characters": "\u200b".join,
        "look-alike letters": lambda text: text.translate(_LOOK_ALIKES),
        "full-width letters": lambda text: text.translate(_WIDE),
        "tag characters": lambda text: "".join(chr(0xE0000 + ord(each)) if ord(each) < 0x7F else each for each in text),
        "accents": lambda text: "".join(each + "\u0301" if each.isalpha() else each for each in text),
        "leet": lambda text: text.lower().translate(_LEET),
        "s p a c e d": lambda text: "  ".join(" ".join(word) for word in text.split()),
        "base64": lambda text: base64.b64encode(text.encode()).decode(),
        "6 % letters swapped": _typos,
    }
)
