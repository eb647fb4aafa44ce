"""Damage: how good bytes and good JSON become bad ones. Every function takes its chance from outside."""

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

BYTES = (b"\x00", b"\r", b"\n", b"\r\n", b" ", b"\t", b"\x0b", b"\x7f", b"\xff", b"\xc3\x28", b":", b"0", b"-1")
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 0.5, -2.5, 1e308, 1e-320),
    *("", "x", "\x00", "\u2028", "\U0001f600" * 40, "a" * 3000, "user", "function", "data:image/png;base64,AAAA"),
    *([], {}, [[]], [None], {"type": "text"}, {"type": 1}, [{}], {"a": {"b": [1, {"c": None}]}}),
)


def damage(random: Random, data: bytes, words: Sequence[bytes] = BYTES, most: int = 4) -> bytes:
    """The bytes after one to ``most`` edits."""
    for _ in range(random.randint(1, most)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.choice((0, 1, 1, 2, 4, 16, 64)))
        piece = data[start:end]
        match random.randrange(8):
            case 0:
                new = b""
            case 1:
                new = piece * random.choice((2, 3, 50))
            case 2 | 3:
                new = random.choice(words)
            case 4:
                new = piece + random.choice(words)
            case 5:
                new = random.randbytes(random.randint(1, 6))
            case 6:
                other = random.randint(0, len(data))
                new = data[other : other + random.randint(0, 40)]
            case _:
                new = bytes(byte ^ (1 << random.randrange(8)) for byte in piece)
        data = data[:start] + new + data[end:]
    return data


def cut(random: Random, data: bytes, most: int = 8) -> tuple[bytes, ...]:
    """The bytes in pieces: whole, in a few, or one by one."""
    if len(data) < 300 and random.randrange(10) == 0:
        return tuple(data[index : index + 1] for index in range(len(data)))
    places = sorted(random.sample(range(1, max(2, len(data))), min(random.randrange(most), max(0, len(data) - 1))))
    return tuple(data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if b > a)


def spoil(random: Random, value: Any, most: int = 3) -> Any:
    """A JSON value after one to ``most`` changes somewhere inside: replaced, removed, doubled, moved."""
    value = copy.deepcopy(value)
    for _ in range(random.randint(1, most)):
        parents = [parent for parent in containers(value) if parent]
        if not parents:
            return value
        change(random, random.choice(parents), random.choice(parents))
    return value


def containers(value: Any) -> list[Any]:
    """Every array and object of a value, itself included."""
    found = [value] if isinstance(value, dict | list) else []
    for parent in found:
        items = parent.values() if isinstance(parent, dict) else parent
        found += [item for item in items if isinstance(item, dict | list)]
    return found


def change(random: Random, parent: Any, other: Any) -> None:
    """One change to an item of ``parent``; ``other`` is where a second value may come from."""
    key = random.choice(list(parent)) if isinstance(parent, dict) else random.randrange(len(parent))
    match random.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        case 2:
            items = list(other.values()) if isinstance(other, dict) else other
            parent[key] = copy.deepcopy(random.choice(items)) if items else None
        case 3:
            parent[key] = [parent[key]]
        case _:
            parent[key] = copy.deepcopy(random.choice(ODD))


def to_json(random: Random, value: Any) -> bytes:
    """A value as some client would write it: compact, spaced or indented, with escapes or without."""
    layout: dict[str, Any] = random.choice(({"separators": (",", ":")}, {}, {"indent": 1}))
    return json.dumps(value, ensure_ascii=random.random() < 0.5, **layout).encode("utf-8", "surrogatepass")
