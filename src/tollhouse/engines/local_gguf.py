"""Reads what a GGUF file says of itself, without loading the model. `engines.local` asks before it starts an engine.

The format is little-endian: magic, version, counts, then typed key-value pairs
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Only the pairs are read; arrays are skipped over.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tollhouse.engines.local_loader import LocalEngineError

Value = int | float | bool | str | None

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_PAIRS, _MAX_STRING, _MAX_ITEMS, _MAX_DEPTH = 10_000, 16 * 1024 * 1024, 16 * 1024 * 1024, 4


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """A model as its file describes it. ``None`` and ``""`` where the file says nothing."""

    name: str
    architecture: str
    context_tokens: int | None
    chat_template: str
    pooling: int | None
    """llama.cpp's pooling type, which embedding models have: 1 mean, 2 first token, 3 last token, 4 rank."""
    causal: bool

    @property
    def can_chat(self) -> bool:
        """Whether it is a model that writes text: embedding models attend both ways or pool."""
        return self.causal and not self.pooling


def read_facts(path: Path) -> GgufFacts:
    """The facts of one file. Raises `LocalEngineError` when it cannot be read or is not GGUF."""
    try:
        with path.open("rb") as file:
            pairs = _pairs(file)
    except OSError as error:
        raise LocalEngineError(f"The model file {path} cannot be read: {error.strerror}.") from error
    except (struct.error, ValueError) as error:
        raise LocalEngineError(f"{path} is not a whole GGUF file: {error}.") from error
    architecture = str(pairs.get("general.architecture") or "")
    context = pairs.get(f"{architecture}.context_length")
    pooling = pairs.get(f"{architecture}.pooling_type")
    return GgufFacts(
        name=str(pairs.get("general.name") or ""),
        architecture=architecture,
        context_tokens=context if isinstance(context, int) else None,
        chat_template=str(pairs.get("tokenizer.chat_template") or ""),
        pooling=pooling if isinstance(pooling, int) else None,
        causal=pairs.get(f"{architecture}.attention.causal") is not False,
    )


def _pairs(file: BinaryIO) -> dict[str, Value]:
    magic, version, _tensors, count = _unpack(file, "4sIQQ")
    if magic != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    if version not in (2, 3):
        raise ValueError(f"its version {version} is not known")
    if count > _MAX_PAIRS:
        raise ValueError(f"it claims {count} metadata pairs")
    pairs: dict[str, Value] = {}
    for _ in range(count):
        key = _text(file)
        (kind,) = _unpack(file, "I")
        pairs[key] = _value(file, kind, 0)
    return pairs


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    form = "<" + form
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _text(file: BinaryIO) -> str:
    (size,) = _unpack(file, "Q")
    if size > _MAX_STRING:
        raise ValueError("a text in it is too long")
    data = file.read(size)
    if len(data) < size:
        raise ValueError("it ends too early")
    return data.decode(errors="replace")


def _value(file: BinaryIO, kind: int, depth: int) -> Value:
    if kind == _STRING:
        return _text(file)
    if kind == _ARRAY:
        _skip_array(file, depth)
        return None
    if kind not in _SCALARS:
        raise ValueError(f"a value in it has the unknown type {kind}")
    value: Value = _unpack(file, _SCALARS[kind])[0]
    return value


def _skip_array(file: BinaryIO, depth: int) -> None:
    kind, count = _unpack(file, "IQ")
    if count > _MAX_ITEMS or depth > _MAX_DEPTH:
        raise ValueError("an array in it is too large")
    if kind in _SCALARS:
        file.seek(struct.calcsize("<" + _SCALARS[kind]) * count, 1)
        return
    if kind == _STRING:
        for _ in range(count):
            (size,) = _unpack(file, "Q")
            file.seek(size, 1)
        return
    for _ in range(count):
        _value(file, kind, depth + 1)
