"""Needs: bounds of a request that hold for any target, read from its body."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.errors import InvalidRequest
from tollhouse.gateway.needs import CAP_FIELDS, cap_body, chat_needs, form_needs, relay_needs
from tollhouse.types.calls import ChatCall
from tollhouse.validate.multipart import read_upload

DATA_URL = "data:image/png;base64," + "A" * 400_000
TEXT = {"type": "text", "text": "What is this?"}
IMAGE = {"type": "image_url", "image_url": {"url": DATA_URL}}
SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 240_000, "format": "mp3"}}


def chat(content: Any = "hi", **fields: Any) -> ChatCall:
    """A call with one message."""
    return ChatCall("m", {"model": "m", "messages": [{"role": "user", "content": content}], **fields}, False, False)


def upload(kind: str, file: bytes, **fields: str) -> Any:
    """A form with a file."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    name = "image" if kind.startswith("images") else "file"
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode()
    body = b"".join(parts) + head + file + b"\r\n--b--\r\n"
    return read_upload(kind, "multipart/form-data; boundary=b", body)


@given(st.lists(st.text(max_size=200), min_size=1, max_size=5), st.text(max_size=50))
def test_the_bound_of_a_text_is_at_least_its_bytes(texts: list[str], tool: str) -> None:
    """No byte-level vocabulary makes more tokens of a body's texts than their bytes, and the chat format fits too."""
    messages = [{"role": "user", "content": text} for text in texts]
    tools = [{"type": "function", "function": {"name": "f", "description": tool}}]
    call = ChatCall("m", {"model": "m", "messages": messages, "tools": tools}, False, False)
    said = sum(len(text.encode("utf-8", "replace")) for text in [*texts, tool])
    assert chat_needs(call).text >= said + 10 * len(messages)
    assert chat_needs(call, 10**6).text >= 10**6


def test_the_length_of_the_body_that_came_is_taken_where_it_is_known() -> None:
    """Nothing is encoded to be measured."""
    assert chat_needs(chat(), 500).text == chat_needs(chat(), 400).text + 100


def test_media_count_by_their_own_worst_case_and_not_by_their_bytes() -> None:
    """An image or a recording inside a body is not billed as base64 text."""
    needs = chat_needs(chat([TEXT, IMAGE, IMAGE, SOUND]))
    assert needs.text < 1000
    assert (needs.images, needs.audio, needs.sounds, needs.unseen) == (2, 10_001, True, False)


@pytest.mark.parametrize(
    "content",
    [
        [TEXT, {"type": "file", "file": {"file_data": "A" * 100}}],
        [{"type": "video_url", "video_url": {"url": "https://a.example/v.mp4"}}],
        [{"type": "something_new"}],
    ],
)
def test_what_cannot_be_measured_may_fill_the_context(content: Any) -> None:
    """A document, a film, or a part of an unknown kind has no bound of its own."""
    assert chat_needs(chat(content)).unseen


def test_an_earlier_spoken_answer_may_fill_the_context() -> None:
    """A message that points to audio by its id says nothing of its length."""
    body = {"messages": [{"role": "assistant", "content": "", "audio": {"id": "a"}}]}
    assert chat_needs(ChatCall("m", body, False, False)).unseen


def test_the_stricter_of_two_caps_counts() -> None:
    """A client that sends both fields is held to the smaller."""
    assert chat_needs(chat(max_tokens=5, max_completion_tokens=9)).cap == 5
    assert chat_needs(chat(max_tokens=None)).cap is None


def test_every_choice_and_what_stands_beside_the_answers_is_counted() -> None:
    """Several answers are several; a prediction that is rejected is billed as output."""
    needs = chat_needs(chat(n=3, prediction={"type": "content", "content": "x" * 500}))
    assert needs.choices == 3
    assert needs.beside > 500


@pytest.mark.parametrize(
    ("fields", "hosted"),
    [
        ({"web_search_options": {}}, "web_search_options"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"enable_search": False}, None),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {}}]}, None),
    ],
)
def test_work_that_the_host_charges_for_beside_tokens_is_named(fields: dict[str, Any], hosted: str | None) -> None:
    """A search is not a token; the tools of the client are."""
    assert chat_needs(chat(**fields)).hosted == hosted


def test_audio_that_is_asked_for_is_counted_at_audio_prices() -> None:
    """An answer in audio meets the price of audio."""
    assert chat_needs(chat(modalities=["text", "audio"])).sounds
    assert not chat_needs(chat(modalities=["text"])).sounds


def test_completions_multiply_prompts_by_answers_and_echo() -> None:
    """Each of a batch of prompts has its own answers, the best of several costs them all, and echoes are output."""
    needs = relay_needs("completions", {"prompt": ["a", "b"], "n": 2, "best_of": 5, "max_tokens": 7, "echo": True})
    assert (needs.prompts, needs.choices, needs.cap) == (2, 10, 7)
    assert needs.beside == 5 * needs.text
    assert relay_needs("completions", {"prompt": [1, 2, 3]}).choices == 1
    assert relay_needs("completions", {"prompt": [[1], [2]]}).choices == 2


@pytest.mark.parametrize("given_input", ["text", ["a", "b", "c"], [1, 2, 3], [[1, 2], [3]]])
def test_embeddings_have_no_answer_and_bound_their_input(given_input: Any) -> None:
    """Texts and tokens alike are no more tokens than bytes."""
    body = {"model": "m", "input": given_input}
    needs = relay_needs("embeddings", body)
    assert needs.fixed == 0
    assert needs.text >= len(msgspec.json.encode(given_input))


@pytest.mark.parametrize(
    ("fields", "unseen"),
    [
        ({"input": "hi"}, False),
        ({"input": "hi", "previous_response_id": "resp_1"}, True),
        ({"input": "hi", "conversation": "conv_1"}, True),
        ({"prompt": {"id": "pmpt_1"}}, True),
        ({"input": [{"type": "item_reference", "id": "x"}]}, True),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, True),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}, False),
        ({"input": "hi", "tools": [{"type": "file_search"}]}, True),
        ({"input": "hi", "tools": [{"type": "function", "name": "f"}]}, False),
    ],
)
def test_a_response_that_builds_on_what_is_stored_may_fill_the_context(fields: dict[str, Any], unseen: bool) -> None:
    """Stored conversations, files and the results of hosted tools have no size here."""
    assert relay_needs("responses", fields).unseen is unseen


def test_a_response_in_the_background_shows_no_usage() -> None:
    """Its answer comes before its work is done."""
    assert relay_needs("responses", {"input": "hi", "background": True}).unmetered == "background"
    picture = {"role": "user", "content": [{"type": "input_image", "image_url": DATA_URL}]}
    needs = relay_needs("responses", {"input": [picture], "max_output_tokens": 100})
    assert (needs.images, needs.cap, needs.unmetered) == (1, 100, None)
    assert needs.text < 1000


def test_images_are_counted_and_bounded() -> None:
    """A picture costs its piece, or its tokens."""
    needs = relay_needs("images/generations", {"prompt": "a cat", "n": 3})
    assert (needs.images_made, needs.fixed) == (3, 3 * 16_384)
    edited = form_needs(upload("images/edits", b"png", prompt="x", n="2", model="m"))
    assert (edited.images, edited.images_made) == (1, 2)


@pytest.mark.parametrize("n", ["0", "-1", "11", "1e3", "", "\u0661", "999999999"])
def test_s43_an_absurd_number_of_images_is_refused(n: str) -> None:
    """The n of a form is 1 to 10, or the request is wrong."""
    if n == "":
        assert form_needs(upload("images/edits", b"png", prompt="x", n=n, model="m")).images_made == 1
        return
    with pytest.raises(InvalidRequest) as caught:
        form_needs(upload("images/edits", b"png", prompt="x", n=n, model="m"))
    assert caught.value.param == "n"


def test_speech_is_bounded_by_its_text_and_speed() -> None:
    """Slow speech is long."""
    usual, slow = (relay_needs("audio/speech", {"input": "x" * 100, "speed": speed}).fixed for speed in (2, 0.25))
    assert usual is not None
    assert slow is not None
    assert usual == 100 * 16 + 64
    assert slow == 4 * 1600 + 64


def test_a_recording_is_bounded_by_the_longest_that_its_bytes_can_last() -> None:
    """24,000 bytes are 32 seconds of speech at the lowest rate in use, and no more than 1,000 tokens."""
    needs = form_needs(upload("audio/transcriptions", b"x" * 24_000, model="m"))
    assert needs.audio == 1001
    assert needs.fixed == 1001 + 64
    assert needs.sounds


def test_the_parts_of_a_moderation_are_read() -> None:
    """Images among the parts are images, text is text."""
    parts = [TEXT, {"type": "image_url", "image_url": {"url": DATA_URL}}]
    needs = relay_needs("moderations", {"input": parts})
    assert needs.images == 1
    assert needs.text < 1000


@pytest.mark.parametrize("kind", sorted(CAP_FIELDS))
def test_the_cap_goes_where_the_endpoint_takes_it(kind: str) -> None:
    """A cap replaces the client's own; without one the body is the client's."""
    body = {CAP_FIELDS[kind]: 900, "model": "m"}
    assert cap_body(kind, body, 100) == {CAP_FIELDS[kind]: 100, "model": "m"}
    assert cap_body(kind, body, None) is body
    assert body[CAP_FIELDS[kind]] == 900
    assert cap_body("embeddings", body, 100) is body


def test_what_stands_in_an_images_place_and_is_none_may_fill_the_context() -> None:
    """Some hosts read a document or a film from ``image_url``: it has not the tokens of an image."""
    document = {"type": "image_url", "image_url": {"url": "data:application/pdf;base64,QUJD"}}
    assert chat_needs(chat([TEXT, document])).unseen
    assert relay_needs(
        "responses", {"input": [{"content": [{"type": "input_image", "image_url": " Data:video/mp4,x"}]}]}
    ).unseen
    assert not chat_needs(chat([TEXT, IMAGE, {"type": "image_url", "image_url": {"url": "https://a.test/x"}}])).unseen


@pytest.mark.parametrize(("more", "choices"), [({"best_of": 5}, 5), ({"n": 7, "best_of": 5}, 7), ({"best_of": "5"}, 1)])
def test_answers_that_are_written_and_not_shown_count(more: dict[str, Any], choices: int) -> None:
    """A host that takes ``best_of`` in a chat writes that many answers."""
    assert chat_needs(chat(**more)).choices == choices


@pytest.mark.parametrize("tier", ["auto", "default", "flex", None, {"odd": 1}])
def test_the_usual_service_tiers_ask_for_nothing_dearer(tier: object) -> None:
    """Only being served first costs more than tokens do at their price."""
    assert relay_needs("responses", {"input": "hi", "service_tier": tier}).hosted is None
    assert relay_needs("responses", {"input": "hi", "service_tier": "Priority"}).hosted == "service_tier"
