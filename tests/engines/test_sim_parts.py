"""The small parts of `tollhouse.engines.sim`: tokens, draws, hints, media, scripts, speech."""

import base64
import io
import math
import struct
import wave
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.engines.sim import media, script, speech, tokens
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.refusal import Refusal


@given(st.text())
def test_tokens_are_reversible(text: str) -> None:
    """The tokens of a text, joined, are the text; their number is what is counted."""
    found = tokens.split(text)
    assert "".join(found) == text
    assert tokens.count(text) == len(found) == len(list(tokens.stream(text)))


@given(st.text(min_size=1, max_size=12), st.integers(0, 20), st.integers())
def test_probabilities_are_well_formed(token: str, top: int, key: int) -> None:
    """Log probabilities are at most 0, sorted, with the chosen token among them, and sum to at most 1."""
    found = tokens.probability(token, Draws(str(key)), top)
    listed = found["top_logprobs"]
    assert len(listed) == top
    assert found["logprob"] <= 0
    assert bytes(found["bytes"]).decode() == token
    values = [entry["logprob"] for entry in listed]
    assert values == sorted(values, reverse=True)
    assert sum(math.exp(value) for value in values) <= 1.0001
    assert len({entry["token"] for entry in listed}) == top
    if top:
        assert {"token": token, "logprob": found["logprob"], "bytes": found["bytes"]} in listed


def test_draws_repeat() -> None:
    """A key gives the same draws on every machine and version."""
    draws = Draws("key")
    assert [draws.below(1000) for _ in range(4)] == [685, 789, 700, 594]
    assert 0 <= draws.unit() < 1
    assert Draws("a").name(12) != Draws("b").name(12)


@pytest.mark.parametrize(("text", "names"), [
    ("What is the weather in Paris and New York?", ["Paris", "New York"]),
    ("Flights from Rome to S\u00e3o Paulo", ["Rome", "S\u00e3o Paulo"]),
    ("Weather in Oslo's harbour", ["Oslo"]),
    ("Tell me a joke. Please.", []),
    ("Paris and Rome", ["Paris", "Rome"]),
    ("", []),
])  # fmt: skip
def test_names_of_a_text(text: str, names: list[str]) -> None:
    """Capitalised words are names, unless they merely begin a sentence."""
    assert Hints(text).names == names


@pytest.mark.parametrize(("text", "name", "value"), [
    ("a=3, b=4", "b", "4"), ("set limit: 20 please", "limit", "20"), ('title = "My day" now', "title", "My day"),
    ("the mode is fast.", "mode", "fast"), ("nothing here", "mode", None), ("remodel is x", "mode", None),
    ('{"depth": 7}', "depth", "7"), ("mode", "mode", None), ("x=", "x", None), ("", "", None),
])  # fmt: skip
def test_stated_values(text: str, name: str, value: str | None) -> None:
    """A value that the text states for a name is found."""
    assert Hints(text).stated(name) == value


def test_numbers_are_handed_out_in_order() -> None:
    """Two numbers of a text go to two parameters in their order."""
    hints = Hints("add 17 and -2.5")
    assert hints.figures("a")[0] == 17
    assert hints.figures("b")[0] == -2.5


# --- media ---------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    """A whole grey PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x11\x08\x01\x2c\x02\x58\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9"
)
GIF = b"GIF89a" + struct.pack("<HH", 20, 10) + b"\0" * 10
WEBP = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (319).to_bytes(3, "little") + (239).to_bytes(3, "little") + b"\0"


def data_url(data: bytes, kind: str) -> str:
    """A data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(("data", "kind", "size", "count"), [
    (png(64, 32), "image/png", "64x32", 85 + 170),
    (png(1, 1), "image/png", "1x1", 85 + 170),
    (JPEG, "image/jpeg", "600x300", 85 + 170 * 2),
    (GIF, "image/gif", "20x10", 85 + 170),
    (WEBP, "image/webp", "320x240", 85 + 170),
    (png(2000, 1000), "image/png", "2000x1000", 85 + 170 * 6),
    (b"not an image", "image/png", "could not be read", 765),
    (b"\xff\xd8\xff", "image/jpeg", "could not be read", 765),
])  # fmt: skip
def test_images(data: bytes, kind: str, size: str, count: int) -> None:
    """An image is described by what its header says, and counted by its tiles."""
    part = {"type": "image_url", "image_url": {"url": data_url(data, kind)}}
    found = media.image(part, "p")
    assert size in found.about
    assert kind in found.about
    assert found.tokens == count
    assert media.image({"image_url": {"url": data_url(data, kind), "detail": "low"}}, "p").tokens == 85


def test_linked_images_are_not_fetched() -> None:
    """A linked image is said not to have been fetched."""
    found = media.image({"image_url": {"url": "https://example.com/x.png"}}, "p")
    assert "not fetched" in found.about
    assert found.tokens == 765


def sound(seconds: float) -> bytes:
    """A WAV of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(int(16000 * seconds)))
    return file.getvalue()


def test_audio() -> None:
    """A WAV is described and counted by its length, 10 tokens a second; what cannot be read is said so."""
    part = {"input_audio": {"data": base64.b64encode(sound(1.5)).decode(), "format": "wav"}}
    assert media.audio(part, "p") == media.Medium("audio", "wav, 1.50 seconds", 15)
    long = {"input_audio": {"data": base64.b64encode(sound(60)).decode(), "format": "wav"}}
    assert media.audio(long, "p").tokens == 600
    mp3 = {"input_audio": {"data": base64.b64encode(bytes(16000)).decode(), "format": "mp3"}}
    assert media.audio(mp3, "p").tokens == 10
    broken = {"input_audio": {"data": "!!!", "format": "wav"}}
    assert "could not be read" in media.audio(broken, "p").about


def test_files() -> None:
    """A file is described by name, type and size, and counts a token per 4 bytes."""
    found = media.file({"file": {"filename": "a.pdf", "file_data": data_url(bytes(40), "application/pdf")}}, "p")
    assert found == media.Medium("file", "a.pdf, application/pdf, 40 bytes", 10)
    assert media.file({"file": {"file_id": "file-1"}}, "p").tokens == 0


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF89a", b"RIFF0000WEBPVP8X",
                                                 b"RIFF0000WEBPVP8L", b"RIFF0000WAVEfmt "]))  # fmt: skip
def test_broken_media(data: bytes, head: bytes) -> None:
    """No bytes in an image's or a sound's place raise anything."""
    media.image({"image_url": {"url": data_url(head + data, "image/png")}}, "p")
    media.audio({"input_audio": {"data": base64.b64encode(head + data).decode(), "format": "wav"}}, "p")


def test_speech_is_a_wav() -> None:
    """The voice is a real WAV whose length goes with the words and whose tone goes with the name."""
    with wave.open(io.BytesIO(speech.wav(speech.pcm16("alloy", 10)))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
        assert file.getnframes() == 4800
    assert speech.pcm16("alloy", 10) != speech.pcm16("echo", 10)
    assert len(speech.pcm16("alloy", 10_000)) == 48_000
    assert speech.tokens(speech.pcm16("alloy", 10_000)) == 20


# --- scripts -------------------------------------------------------------------------------------------------------


def test_directive_is_read_and_not_heard() -> None:
    """A directive in the text sets the knobs and is not part of what was said."""
    text = 'Hi! [sim: ttft_ms=500 tps=2.5, tokens=300 error=429 reply="a \\"b\\"]\\n" tool=f] Bye'
    knobs, heard = script.read({}, text)
    assert heard == "Hi! Bye"
    assert knobs == script.Script(ttft_ms=500, tps=2.5, tokens=300, error=429, reply='a "b"]\n', tool="f")


def test_field_wins_over_directive() -> None:
    """Where both say something, the request field counts."""
    knobs, _ = script.read({"tollhouse_sim": {"tokens": 5, "tps": None}}, "[sim: tokens=9 ttft_ms=1]")
    assert (knobs.tokens, knobs.ttft_ms, knobs.tps) == (5, 1, None)


@pytest.mark.parametrize(("knobs", "param"), [
    ({"ttft_ms": -1}, "ttft_ms"), ({"ttft_ms": 600_001}, "ttft_ms"), ({"tps": 0}, "tps"), ({"tps": "x"}, "tps"),
    ({"tokens": 0}, "tokens"), ({"tokens": 100_001}, "tokens"), ({"tokens": True}, "tokens"),
    ({"tokens": 1.5}, "tokens"),
    ({"error": 200}, "error"), ({"error": 600}, "error"), ({"retry_after": -1}, "retry_after"),
    ({"cut_after": "x"}, "cut_after"),
    ({"stall_after": -1}, "stall_after"), ({"error_after": []}, "error_after"), ({"reply": 3}, "reply"),
    ({"finish_reason": "done"}, "finish_reason"), ({"tool": 1}, "tool"), ({"speed": 1}, "speed"),
])  # fmt: skip
def test_bad_knobs_are_named(knobs: dict[str, object], param: str) -> None:
    """A knob that does not exist or is out of range is a 400 that names it."""
    with pytest.raises(Refusal) as refused:
        script.read({"tollhouse_sim": knobs}, "")
    assert refused.value.param == f"tollhouse_sim.{param}"
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "text", ["[sim: tokens=5", "[sim: tokens]", "[sim: =5]", '[sim: reply="x]', "[sim: tokens=5 ?]"]
)
def test_broken_directives(text: str) -> None:
    """A directive that cannot be read is a 400, not something that is said."""
    with pytest.raises(Refusal):
        script.read({}, text)


def test_script_has_to_be_an_object() -> None:
    """The field is an object or nothing."""
    with pytest.raises(Refusal):
        script.read({"tollhouse_sim": "fast"}, "")
    assert script.read({"tollhouse_sim": None}, "x") == (script.Script(), "x")
