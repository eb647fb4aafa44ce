"""Reading what a GGUF file says of itself, and refusing what is not one."""

import struct
from pathlib import Path

import pytest

from tollhouse.engines.local import TINY_PATH, LocalEngine
from tollhouse.engines.local_gguf import read_facts
from tollhouse.engines.local_loader import LocalEngineError

TEXT, ARRAY, U32, BOOL = 8, 9, 4, 7


def text(value: str) -> bytes:
    """A GGUF string."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    """A key-value pair."""
    return text(key) + struct.pack("<I", kind) + value


def header(*pairs: bytes, count: int | None = None, version: int = 3) -> bytes:
    """A file with these pairs and no tensors."""
    return struct.pack("<4sIQQ", b"GGUF", version, 0, len(pairs) if count is None else count) + b"".join(pairs)


EMBEDDER = (
    pair("general.architecture", TEXT, text("bert")),
    pair("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", TEXT, 2) + text("a") + text("bc")),
    pair("tokenizer.ggml.scores", ARRAY, struct.pack("<IQff", 6, 2, 0.5, 0.25)),
    pair("nested", ARRAY, struct.pack("<IQ", ARRAY, 1) + struct.pack("<IQB", 0, 1, 7)),
    pair("bert.context_length", U32, struct.pack("<I", 512)),
    pair("bert.pooling_type", U32, struct.pack("<I", 1)),
    pair("bert.attention.causal", BOOL, b"\x00"),
)


def test_an_embedding_model_is_recognised(tmp_path: Path) -> None:
    """A model that pools, or looks both ways, is not offered for chat; arrays on the way are passed over."""
    path = tmp_path / "e.gguf"
    path.write_bytes(header(*EMBEDDER))
    facts = read_facts(path)
    assert (facts.architecture, facts.context_tokens, facts.pooling, facts.causal) == ("bert", 512, 1, False)
    assert not facts.can_chat
    assert (facts.name, facts.chat_template) == ("", "")


def test_the_shipped_file_says_what_it_is() -> None:
    """The shipped model names itself and carries its chat template."""
    facts = read_facts(TINY_PATH)
    assert facts.name == "tollhouse/tiny"
    assert "<|assistant|>" in facts.chat_template


def test_every_cut_of_a_header_is_refused(tmp_path: Path) -> None:
    """A file that was not copied to its end is refused, wherever it was cut."""
    whole, path = header(*EMBEDDER), tmp_path / "cut.gguf"
    arrays_end = whole.index(text("bert.context_length"))
    for size in [*range(arrays_end), *range(arrays_end + 1, len(whole))]:
        path.write_bytes(whole[:size])
        with pytest.raises(LocalEngineError, match="not a whole GGUF file"):
            read_facts(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04" + bytes(40), "does not begin with GGUF"),
        (header(version=1), "version 1"),
        (header(count=2**40), "metadata pairs"),
        (header(struct.pack("<Q", 2**50)), "too long"),
        (header(pair("k", 99, b"")), "unknown type 99"),
        (header(pair("k", ARRAY, struct.pack("<IQ", U32, 2**60))), "too large"),
    ],
)
def test_nonsense_is_refused_without_reading_gigabytes(tmp_path: Path, content: bytes, why: str) -> None:
    """A file that lies about its sizes costs neither memory nor time."""
    path = tmp_path / "nonsense.gguf"
    path.write_bytes(content)
    with pytest.raises(LocalEngineError, match=why):
        read_facts(path)


def test_nested_arrays_end(tmp_path: Path) -> None:
    """Arrays inside arrays are followed only so deep."""
    path = tmp_path / "deep.gguf"
    path.write_bytes(header(pair("k", ARRAY, struct.pack("<IQ", ARRAY, 1) * 50)))
    with pytest.raises(LocalEngineError, match="too large"):
        read_facts(path)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message for a wrong path has the path in it."""
    with pytest.raises(LocalEngineError, match=r"nowhere\.gguf cannot be read"):
        await LocalEngine.start(tmp_path / "nowhere.gguf")


async def test_a_file_that_the_engine_refuses_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A well-formed file without a model is refused with its path, and the engine's own reason is on stderr."""
    path = tmp_path / "hollow.gguf"
    path.write_bytes(header(*EMBEDDER))
    with pytest.raises(LocalEngineError, match=r"cannot run .*hollow\.gguf"):
        await LocalEngine.start(path)
    assert "hollow.gguf" in capfd.readouterr().err
