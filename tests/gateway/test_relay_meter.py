"""Metering of the relayed endpoints: the host's word, else an estimate by what the endpoint does."""

from typing import Any

import pytest

from tests.gateway.needed import needs_of
from tollhouse.gateway.needs import relay_needs
from tollhouse.gateway.relay_meter import RelayMeter
from tollhouse.types.calls import Usage

SENTENCE = "The quick brown fox jumps over the lazy dog."


def metered(kind: str, body: dict[str, Any], *answers: object) -> Usage:
    """The usage of a request and the values that came back."""
    meter = RelayMeter(relay_needs(kind, body), body)
    for answer in answers:
        meter.see(answer)
    return meter.usage()


def heard(file_bytes: int, *answers: object, text: bytes = b"") -> Usage:
    """The usage of a transcription."""
    meter = RelayMeter(needs_of("audio/transcriptions", 100, audio=file_bytes // 24 + 1), {})
    for answer in answers:
        meter.see(answer)
    meter.hear(text)
    return meter.usage()


@pytest.mark.parametrize(
    "answer",
    [
        {"object": "text_completion", "usage": {"prompt_tokens": 8, "completion_tokens": 5}},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 8, "output_tokens": 5}}},
    ],
)
def test_what_a_host_says_is_taken(answer: dict[str, Any]) -> None:
    """Usage counts at the top of an answer and inside an event's response."""
    assert metered("responses", {"input": SENTENCE}, {"delta": "hello"}, answer) == Usage(8, 0, 0, 5)


def test_an_embedding_has_no_answer_to_estimate() -> None:
    """A usage without completion tokens is the whole usage there."""
    said = {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    assert metered("embeddings", {"input": SENTENCE}, said) == Usage(8)


@pytest.mark.parametrize(
    ("given_input", "least", "most"),
    [(SENTENCE, 8, 13), ([SENTENCE, SENTENCE], 16, 26), ([1, 2, 3], 3, 3), ([[1, 2], [3]], 3, 3)],
)
def test_an_unreported_input_is_estimated(given_input: Any, least: int, most: int) -> None:
    """Texts by their bytes, token ids by their number; marked so."""
    usage = metered("embeddings", {"input": given_input}, {"data": []})
    assert usage.estimated
    assert least <= usage.input <= most
    assert usage.output == 0


@pytest.mark.parametrize(
    "answers",
    [
        ({"choices": [{"text": SENTENCE}]},),
        ({"choices": [{"text": SENTENCE[:10]}]}, {"choices": [{"text": SENTENCE[10:]}]}),
        ({"type": "response.output_text.delta", "delta": SENTENCE},),
        ({"output": [{"type": "message", "content": [{"type": "output_text", "text": SENTENCE}]}]},),
        ({"output": [{"type": "function_call", "name": "f", "arguments": SENTENCE}]},),
    ],
)
def test_unreported_answers_are_estimated_by_their_text(answers: tuple[dict[str, Any], ...]) -> None:
    """Whole or in pieces, what was said is counted."""
    usage = metered("completions", {"prompt": SENTENCE}, *answers, "[DONE]")
    assert usage.estimated
    assert 7 <= usage.output <= 13


def test_images_are_counted() -> None:
    """Each image made counts, in an answer or in events, beside the tokens that the host reports."""
    stated = {"data": [{"url": "a"}, {"url": "b"}], "usage": {"input_tokens": 9, "output_tokens": 80}}
    assert metered("images/generations", {"prompt": "x", "n": 2}, stated) == Usage(9, 0, 0, 80, images=2)
    event = {"type": "image_generation.completed", "b64_json": "A"}
    partial = {"type": "image_generation.partial_image", "b64_json": "A"}
    streamed = metered("images/generations", {"prompt": "a cat"}, partial, event)
    assert (streamed.images, streamed.output, streamed.estimated) == (1, 4160, True)


def test_speech_is_metered_by_the_character_and_the_second() -> None:
    """15 characters are a second of speech, of 20 tokens; half the speed is twice the sound."""
    usage = metered("audio/speech", {"input": "x" * 150})
    assert usage == Usage(150, 0, 0, 0, estimated=True, output_audio=200)
    assert metered("audio/speech", {"input": "x" * 150, "speed": 0.5}).output_audio == 400
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 30, "output_tokens": 210, "total_tokens": 240}}
    assert metered("audio/speech", {"input": "x" * 150}, done) == Usage(30, output_audio=210)


def test_a_recordings_seconds_are_its_tokens() -> None:
    """Where a host counts seconds, one is one token of audio, rounded up."""
    assert heard(1000, {"text": "hi", "usage": {"type": "duration", "seconds": 9}}) == Usage(input_audio=9)
    assert heard(1000, {"usage": {"type": "duration", "seconds": 9.2}}).input_audio == 10


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "9", True, 2**40, None])
def test_i20_seconds_that_are_none_are_not_believed(seconds: object) -> None:
    """A length that is no sane number is estimated from the bytes."""
    usage = heard(16_000, {"text": SENTENCE, "usage": {"type": "duration", "seconds": seconds}})
    assert usage.estimated


def test_an_unreported_recording_is_estimated_by_its_bytes() -> None:
    """At 128 kbit/s ten tokens are a second; the text of the answer counts as its output."""
    usage = heard(160_000, text=SENTENCE.encode())
    assert usage.estimated
    assert 95 <= usage.input_audio <= 105
    assert 7 <= usage.output <= 13


@pytest.mark.parametrize("kind", ["completions", "responses", "images/generations", "audio/speech", "embeddings"])
def test_odd_answers_are_no_error(kind: str) -> None:
    """Whatever shape a host's answer has, it is metered."""
    odd = {"usage": 5, "choices": [5, {}], "output": [5, {"content": [5, {"text": 5}]}, {}], "data": 5, "delta": 5}
    usage = metered(kind, {"prompt": "x", "input": "x"}, odd, None, [], "x", {"response": 5, "text": 5, "output": 5})
    assert usage.estimated


def test_sound_is_not_text() -> None:
    """The bytes of speech are not read as words."""
    meter = RelayMeter(relay_needs("audio/speech", {"input": "hi"}), {"input": "hi"})
    meter.hear(bytes(10_000))
    assert meter.usage() == Usage(2, estimated=True, output_audio=3)
