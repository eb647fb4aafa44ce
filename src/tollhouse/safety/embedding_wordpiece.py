"""Text to word pieces, as BERT's uncased tokenizer cuts it: the first step of `safety.embedding`.

The rules are those of ``BertNormalizer``, ``BertPreTokenizer`` and ``WordPiece`` in Hugging Face's ``tokenizers`` (and
of google-research/bert, ``tokenization.py``); the vocabulary comes from the model's own ``tokenizer.json``. That
package is not used because it brings twenty others with it. One difference is meant: ``[SEP]`` written in a text is
text here, not a control token, so nobody can end a text early by writing one.

Every character is looked at a bounded number of times, whatever the text.
"""

import unicodedata
from collections.abc import Mapping

UNKNOWN, START, END = "[UNK]", "[CLS]", "[SEP]"
LONGEST_WORD = 100
"""Characters; a longer word is one unknown piece."""
DROPPED = ("Cc", "Cf", "Co", "Cs", "Mn")
"""Controls, invisible ones, private ones, halves of surrogates, and accents."""
REMEMBERED = 20_000
"""Characters whose treatment is kept: what normal texts use, and a bound on what hostile ones can fill."""
IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
"""Each is a word of its own."""


class _Treatment(dict[int, str]):
    """What each character becomes before words are split, as `str.translate` wants it; worked out on first use."""

    def __missing__(self, code: int) -> str:
        treated = "".join(map(treat, unicodedata.normalize("NFD", chr(code))))
        if len(self) < REMEMBERED:
            self[code] = treated
        return treated


def treat(char: str) -> str:
    """One decomposed character: lower case, without accents and controls, and alone where it is a sign."""
    if char in "\t\n\r":
        return " "
    kind = unicodedata.category(char)
    code = ord(char)
    if kind in DROPPED or code == 0xFFFD:
        return ""
    if kind[0] == "Z":
        return " "
    signs = kind[0] == "P" or (code < 128 and not char.isalnum())
    if signs or any(first <= code <= last for first, last in IDEOGRAPHS):
        return f" {char} "
    return char.lower()


class WordPieces:
    """One vocabulary, ready to cut texts."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Raises `KeyError` where the vocabulary lacks `UNKNOWN`, `START` or `END`."""
        self.unknown, self.start, self.end = (vocabulary[name] for name in (UNKNOWN, START, END))
        self._whole = {piece: number for piece, number in vocabulary.items() if not piece.startswith("##")}
        self._rest = {piece[2:]: number for piece, number in vocabulary.items() if piece.startswith("##")}
        self._longest = max(map(len, vocabulary))
        self._treatment = _Treatment()

    def cut(self, text: str) -> list[int]:
        """The numbers of a text's pieces, without `START` and `END`."""
        pieces: list[int] = []
        for word in text.translate(self._treatment).split(" "):
            whole = self._whole.get(word)
            if whole is not None:
                pieces.append(whole)
            elif word:
                pieces += self._cut_word(word)
        return pieces

    def _cut_word(self, word: str) -> list[int]:
        """The longest piece that fits, then the longest that fits the rest, and so on."""
        if len(word) > LONGEST_WORD:
            return [self.unknown]
        pieces: list[int] = []
        place, known = 0, self._whole
        while place < len(word):
            for end in range(min(len(word), place + self._longest), place, -1):
                piece = known.get(word[place:end])
                if piece is not None:
                    break
            else:
                return [self.unknown]
            pieces.append(piece)
            place, known = end, self._rest
        return pieces
