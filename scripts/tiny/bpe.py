"""A byte-level BPE trainer and encoder, called by `train`. It makes the same pieces as llama.cpp's ``qwen2``
pre-tokenizer (single digits, words with one leading space), so the GGUF's vocabulary means the same in both.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

# llama.cpp, src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_QWEN2; \p{L} and \p{N} spelled for Python's re.
LETTER, OTHER = r"[^\W\d_]", r"[^\s\w]|_"
PIECES = re.compile(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    rf"|(?:[^\r\n\w]|_)?{LETTER}+|\d| ?(?:{OTHER})+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIALS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|pad|>")


def byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte, the alphabet in which GGUF spells byte-level tokens."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(plain))
    return letters


LETTERS = byte_letters()


def spell(piece: str) -> tuple[str, ...]:
    """The piece's UTF-8 bytes as stand-in letters."""
    return tuple(LETTERS[byte] for byte in piece.encode())


@dataclass(slots=True)
class Tokenizer:
    """Tokens in id order (specials last) and the merges in order of rank."""

    tokens: list[str]
    merges: list[tuple[str, str]]
    ids: dict[str, int] = field(init=False)
    ranks: dict[tuple[str, str], int] = field(init=False)
    seen: dict[str, tuple[int, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}

    def encode_piece(self, piece: str) -> tuple[int, ...]:
        """The ids of one piece: the lowest-ranked pair is merged until none is left."""
        if piece in self.seen:
            return self.seen[piece]
        parts = list(spell(piece))
        while len(parts) > 1:
            ranked = [(self.ranks.get(pair, len(self.ranks)), at) for at, pair in enumerate(pairwise(parts))]
            rank, at = min(ranked)
            if rank == len(self.ranks):
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        self.seen[piece] = tuple(self.ids[part] for part in parts)
        return self.seen[piece]

    def encode(self, text: str) -> list[int]:
        """The ids of plain text (special tokens are not recognised here)."""
        return [number for piece in PIECES.findall(text) for number in self.encode_piece(piece)]

    def decode(self, numbers: list[int]) -> str:
        """The text of ids."""
        back = {letter: byte for byte, letter in LETTERS.items()}
        text = bytes(
            back[letter] for number in numbers if self.tokens[number] not in SPECIALS for letter in self.tokens[number]
        )
        return text.decode(errors="replace")


def train(texts: list[str], size: int) -> Tokenizer:
    """A vocabulary of ``size`` tokens: 256 bytes, merges by pair frequency (ties by text), the specials."""
    counts = Counter(piece for text in texts for piece in PIECES.findall(text))
    words = [(list(spell(piece)), count) for piece, count in sorted(counts.items())]
    pairs: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for number, (parts, count) in enumerate(words):
        for pair in pairwise(parts):
            pairs[pair] += count
            where[pair].add(number)
    merges: list[tuple[str, str]] = []
    while len(merges) < size - 256 - len(SPECIALS):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for number in sorted(where.pop(best)):
            merge_word(words[number], number, best, pairs, where)
        del pairs[best]
    alphabet = [LETTERS[byte] for byte in range(256)]
    return Tokenizer([*alphabet, *(left + right for left, right in merges), *SPECIALS], merges)


def merge_word(
    word: tuple[list[str], int],
    number: int,
    best: tuple[str, str],
    pairs: Counter[tuple[str, str]],
    where: defaultdict[tuple[str, str], set[int]],
) -> None:
    """Merges ``best`` inside one word, in place, and keeps the pair counts true."""
    parts, count = word
    for pair in pairwise(parts):
        pairs[pair] -= count
    at = 0
    while at < len(parts) - 1:
        if (parts[at], parts[at + 1]) == best:
            parts[at : at + 2] = [best[0] + best[1]]
        at += 1
    for pair in pairwise(parts):
        pairs[pair] += count
        where[pair].add(number)
