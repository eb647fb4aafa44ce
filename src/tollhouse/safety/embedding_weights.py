"""The files of all-MiniLM-L6-v2, found, verified and mapped: what `safety.embedding` stands on.

The weights are a safetensors file (https://github.com/huggingface/safetensors, "Format"): eight bytes with the length
of a JSON header, the header ``{name: {dtype, shape, data_offsets}}``, then the raw numbers. They are mapped, not read:
all processes of a host share one copy, and what is not touched is not loaded. A file whose SHA-256 is not the official
one is refused before a byte of it is understood.
"""

import hashlib
import math
import mmap
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tollhouse.safety.embedding_loader import INSTALL, PACKAGE, SecondTierError

FloatArray = NDArray[np.float32]

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
DIGESTS = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""SHA-256 of the two files in sentence-transformers/all-MiniLM-L6-v2."""
LONGEST_HEADER_BYTES = 1 << 20
"""The real one has 11,408."""


class EmbeddingFilesError(SecondTierError):
    """The model's files are missing or not the official ones; the message says what to install."""


class _Tensor(Struct):
    """One entry of the header; ``__metadata__`` has none of these and so is no array."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    data_offsets: tuple[int, int] = (0, 0)


class _Model(Struct):
    vocab: dict[str, int]


class _Tokenizer(Struct):
    """The part of ``tokenizer.json`` that is used."""

    model: _Model


def find_folder() -> Path:
    """Where the installed package keeps the files. Raises `EmbeddingFilesError`."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddingFilesError(f"The second tier's model is not installed: run {INSTALL}")
    return Path(found.origin).parent / "model"


def map_file(path: Path, digest: str) -> mmap.mmap:
    """A file's bytes, mapped read-only, with the SHA-256 that was expected. Raises `EmbeddingFilesError`."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise EmbeddingFilesError(f"{path} cannot be read ({error}): run {INSTALL}") from error
    if hashlib.sha256(mapped).hexdigest() != digest:
        raise EmbeddingFilesError(f"{path} is not the official file, its SHA-256 differs: run {INSTALL}")
    return mapped


def read_vocabulary(raw: mmap.mmap | bytes) -> dict[str, int]:
    """The pieces and their numbers. Raises `EmbeddingFilesError`."""
    try:
        return msgspec.json.decode(raw, type=_Tokenizer).model.vocab
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EmbeddingFilesError(f"{TOKENIZER} is not a tokenizer: {error}") from error


def read_tensors(raw: mmap.mmap | bytes) -> dict[str, FloatArray]:
    """The float32 arrays of a safetensors file, as views into it, no others. Raises `EmbeddingFilesError`."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or length > min(LONGEST_HEADER_BYTES, len(raw) - 8):
        raise EmbeddingFilesError(f"{WEIGHTS} is cut short, or its header is too long")
    try:
        header = msgspec.json.decode(raw[8 : 8 + length], type=dict[str, _Tensor])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EmbeddingFilesError(f"{WEIGHTS} has no sound header: {error}") from error
    body = memoryview(raw)[8 + length :]
    return {name: _view(name, entry, body) for name, entry in header.items() if entry.dtype == "F32"}


def _view(name: str, entry: _Tensor, body: memoryview) -> FloatArray:
    """One array, after its place was checked against its shape and the file's end."""
    begin, end = entry.data_offsets
    fits = 0 <= begin <= end <= len(body) and all(size >= 0 for size in entry.shape)
    if not fits or end - begin != 4 * math.prod(entry.shape):
        raise EmbeddingFilesError(f"{WEIGHTS} says of {name!r} what cannot be")
    return np.frombuffer(body[begin:end], "<f4").reshape(entry.shape)
