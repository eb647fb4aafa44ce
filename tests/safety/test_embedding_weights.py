"""`safety.embedding_weights`: the official files are found, verified and mapped, and others refused."""

import hashlib
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from tollhouse.safety import embedding_weights
from tollhouse.safety.embedding_loader import INSTALL, PACKAGE
from tollhouse.safety.embedding_weights import (
    DIGESTS,
    LONGEST_HEADER_BYTES,
    TOKENIZER,
    WEIGHTS,
    EmbeddingFilesError,
    find_folder,
    map_file,
    read_tensors,
    read_vocabulary,
)


def packed(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with any header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + body


def entry(shape: object, begin: object, end: object, dtype: object = "F32") -> dict[str, object]:
    """One array as the header describes it."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_arrays_are_read_by_name_and_shape() -> None:
    """Every 32-bit array is a view of its place in the file, whatever the order; other types are left out."""
    body = np.arange(10, dtype="<f4").tobytes() + bytes(8)
    header = {
        "__metadata__": {"format": "pt"},
        "late": entry([2, 2], 24, 40),
        "early": entry([2, 3], 0, 24),
        "scalar": entry([], 36, 40),
        "empty": entry([0, 5], 40, 40),
        "whole": entry([1], 40, 48, "I64"),
    }
    tensors = read_tensors(packed(header, body))
    assert set(tensors) == {"late", "early", "scalar", "empty"}
    assert tensors["early"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["late"].tolist() == [[6, 7], [8, 9]]
    assert tensors["scalar"].tolist() == 9
    assert tensors["empty"].shape == (0, 5)
    assert not tensors["early"].flags.writeable


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x02\x00\x00",
        packed({}, length=3),
        packed({}, length=2**63),
        packed({"a": entry([1], 0, 4)}),
        packed({"a": entry([1], 0, 8)}, bytes(4)),
        packed({"a": entry([1], 4, 0)}, bytes(8)),
        packed({"a": entry([1], -4, 0)}, bytes(8)),
        packed({"a": entry([2], 0, 4)}, bytes(4)),
        packed({"a": entry([-1, -1], 0, 4)}, bytes(4)),
        packed({"a": entry([2**40, 2**40], 0, 4)}, bytes(4)),
        packed({"a": entry([10**30], 0, 4)}, bytes(4)),
        packed({"a": entry([1.5], 0, 6)}, bytes(8)),
        packed({"a": entry("1", 0, 4)}, bytes(4)),
        packed({"a": entry([1], 0, "4")}, bytes(4)),
        packed({"a": entry([1], 0, 4, 32)}, bytes(4)),
        packed({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
        packed({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, bytes(4)),
        packed([1, 2]),
        packed(b"{"),
        packed(b'{"a\xff": 1}'),
        packed(b'{"__metadata__": {}} {}'),
        packed(b"[" * 100_000),
        packed(b'{"a": ' + b"[" * 100_000),
        packed(b" " * (LONGEST_HEADER_BYTES + 1)),
    ],
)
def test_a_hostile_file_of_weights_is_refused(raw: bytes) -> None:
    """Short files, headers that lie and headers that are no headers raise the one declared error."""
    with pytest.raises(EmbeddingFilesError, match=WEIGHTS):
        read_tensors(raw)


def test_chance_damage_raises_nothing_undeclared() -> None:
    """A thousand damaged files are read or refused; none raises anything else, none is read beyond its end."""
    chance = random.Random(5)  # noqa: S311 - damage, not secrets
    sound = packed({"a": entry([2, 2], 0, 16), "b": entry([1], 16, 20)}, bytes(20))
    for _ in range(1000):
        raw = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        try:
            tensors = read_tensors(bytes(raw[: chance.randint(0, len(raw))]))
        except EmbeddingFilesError:
            continue
        assert sum(tensor.nbytes for tensor in tensors.values()) <= 2 * len(raw)


def test_the_vocabulary_is_read() -> None:
    """Of the tokenizer's file only the numbers of the pieces are used."""
    assert read_vocabulary(b'{"model": {"type": "WordPiece", "vocab": {"a": 1}}, "version": "1.0"}') == {"a": 1}


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"model": 1}', b'{"model": {"vocab": {"a": "1"}}}', b'{"\xff', b"[" * 99999]
)
def test_a_hostile_tokenizer_is_refused(raw: bytes) -> None:
    """A file that is no tokenizer raises the declared error."""
    with pytest.raises(EmbeddingFilesError, match=TOKENIZER):
        read_vocabulary(raw)


def test_a_file_is_mapped_when_its_digest_is_the_expected_one(tmp_path: Path) -> None:
    """The bytes are those of the file, and another file is refused with the command that helps."""
    path = tmp_path / WEIGHTS
    path.write_bytes(b"weights")
    assert map_file(path, hashlib.sha256(b"weights").hexdigest())[:] == b"weights"
    with pytest.raises(EmbeddingFilesError, match="not the official file") as refused:
        map_file(path, DIGESTS[WEIGHTS])
    assert INSTALL in str(refused.value)


@pytest.mark.parametrize("kind", ["missing", "empty", "folder"])
def test_a_file_that_cannot_be_mapped_is_told(tmp_path: Path, kind: str) -> None:
    """A missing file, an empty one and a folder in its place raise the declared error."""
    path = tmp_path / WEIGHTS
    if kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(EmbeddingFilesError, match="cannot be read"):
        map_file(path, DIGESTS[WEIGHTS])


def test_the_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is known although importing it would fail, as it does without PyTorch."""
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    assert find_folder() == tmp_path / PACKAGE / "model"
    assert PACKAGE not in sys.modules


def test_without_the_package_the_operator_reads_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the command."""
    monkeypatch.setattr(embedding_weights, "PACKAGE", "a_package_nobody_has")
    with pytest.raises(EmbeddingFilesError) as told:
        find_folder()
    assert INSTALL in str(told.value)
