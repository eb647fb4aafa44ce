"""Contents of a Gemini request as messages."""

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest

from tests.dialects.gemini.test_read import CALL, HI, RESULT, lost, read
from tollhouse.dialects.gemini.seals import seal, with_marks
from tollhouse.dialects.gemini.words import NO_SIGNATURE
from tollhouse.types.calls import ChatCall

CLAUDE = {"type": "reasoning.text", "signature": "SIG", "format": "anthropic-claude-v1"}


def talk(*turns: dict[str, Any]) -> ChatCall:
    """A request with these contents."""
    return read({"contents": list(turns)})


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    """A turn of the model's."""
    return {"role": "model", "parts": list(parts)}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """A turn of the user's."""
    return {"role": "user", "parts": list(parts)}


def test_the_pieces_of_a_stream_are_one_message() -> None:
    """Clients send each chunk of a stream back as a content of its own."""
    messages = talk(*HI, model({"text": "He"}), model({"text": "llo"}), model({"text": ""}), *HI).body["messages"]
    assert messages[1] == {"role": "assistant", "content": "Hello"}
    assert len(messages) == 3


def test_a_call_without_id_is_matched_by_name_and_order() -> None:
    """Results come before what else the user says in that turn."""
    messages = talk(
        *HI,
        model({"text": "Look:"}, CALL, CALL, {"functionCall": {"name": "hear"}}),
        user(
            {"text": "Well?"},
            {"functionResponse": {"name": "hear", "response": {"a": 1}}},
            RESULT,
            {"functionResponse": {"name": "look", "response": {"error": "no"}}},
        ),
    ).body["messages"]
    first, second, third = (call["id"] for call in messages[1]["tool_calls"])
    assert len({first, second, third}) == 3
    assert messages[1]["content"] == "Look:"
    assert json.loads(messages[1]["tool_calls"][0]["function"]["arguments"]) == {"city": "Rome"}
    assert messages[1]["tool_calls"][2]["function"]["arguments"] == "{}"
    assert messages[2:] == [
        {"role": "tool", "tool_call_id": third, "content": '{"a":1}'},
        {"role": "tool", "tool_call_id": first, "content": "sun"},
        {"role": "tool", "tool_call_id": second, "content": "no", "is_error": True},
        {"role": "user", "content": "Well?"},
    ]


def test_ids_that_are_given_are_kept() -> None:
    """They tell calls of one name apart; the same conversation always has the same ids."""
    calls = [{"functionCall": {"id": f"c{n}", "name": "f", "args": {}}} for n in (1, 2)]
    results = [{"functionResponse": {"id": f"c{n}", "name": "f", "response": {"output": str(n)}}} for n in (2, 1)]
    turns = [*HI, model(*calls), user(*results)]
    messages = talk(*turns).body["messages"]
    assert [message["tool_call_id"] for message in messages[2:]] == ["c2", "c1"]
    assert [message["content"] for message in messages[2:]] == ["2", "1"]
    unnamed = [*HI, model(CALL), user(RESULT)]
    assert talk(*unnamed).body == talk(*unnamed).body


def test_a_result_with_media_has_parts() -> None:
    """Its own words come first."""
    shown = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
    result = {"functionResponse": {"name": "look", "response": {"result": "see"}, "parts": [shown]}}
    assert talk(*HI, model(CALL), user(result)).body["messages"][2]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": "QU-_"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QU+/"}},
        ),
        (
            {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "QQ=="}},
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "pcm16"}},
        ),
        (
            {"inlineData": {"mimeType": "audio/mpeg", "data": "QQ=="}},
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "QQ==", "displayName": "a.pdf"}},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}},
        ),
        (
            {"inlineData": {"mimeType": "video/mp4", "data": "QQ=="}},
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,QQ=="}},
        ),
        (
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/a"}},
            {"type": "image_url", "image_url": {"url": "https://x/a"}},
        ),
        ({"fileData": {"fileUri": "gs://b/a.PNG"}}, {"type": "image_url", "image_url": {"url": "gs://b/a.PNG"}}),
        (
            {"fileData": {"fileUri": "https://youtu.be/x"}},
            {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}},
        ),
        ({"fileData": {"fileUri": "https://x/doc"}}, {"type": "file", "file": {"file_data": "https://x/doc"}}),
    ],
)
def test_media(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each kind has its own part; addresses stay addresses."""
    assert talk(user(part)).body["messages"] == [{"role": "user", "content": [expected]}]


def test_the_resolution_of_an_image() -> None:
    """That of the part wins over that of the request; what has no word is lost."""
    image = {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}
    parts: list[dict[str, Any]] = [
        image,
        {**image, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
        {**image, "mediaResolution": {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"}, "videoMetadata": {"fps": 1}},
    ]
    config = {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    call = read({"contents": [user(*parts)], "generationConfig": config})
    assert [part["image_url"].get("detail") for part in call.body["messages"][0]["content"]] == ["low", "high", None]
    assert set(lost(call)) == {"contents[0].parts[2].videoMetadata", "contents[0].parts[2].mediaResolution"}


def test_instructions_are_text() -> None:
    """Of a system turn as of ``systemInstruction``."""
    asked = {
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}, {"inlineData": {"mimeType": "x", "data": ""}}]}
    }
    call = read(asked)
    assert call.body["messages"][0] == {"role": "system", "content": "a\n\nb"}
    assert lost(call) == {"systemInstruction.parts": "dropped"}


def test_a_picture_of_the_models_is_shown_again_by_the_user() -> None:
    """Other hosts take none from assistants."""
    drawn = {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}
    call = talk(*HI, model({"text": "Here"}, drawn), *HI)
    assert [message["role"] for message in call.body["messages"]] == ["user", "assistant", "user"]
    assert [part["type"] for part in call.body["messages"][2]["content"]] == ["image_url", "text"]
    assert lost(call) == {"contents[1].parts[1]": "changed"}
    assert talk(*HI, model(drawn)).body["messages"][-1]["content"][0]["type"] == "image_url"


def test_what_googles_tools_did_is_told_or_lost() -> None:
    """Code as text, searches not at all."""
    did = [
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB"}},
    ]
    call = talk(*HI, model(*did))
    assert call.body["messages"][1]["content"] == "\n```\n1+1\n```\n\n```\n2\n```\n"
    assert list(lost(call).values()) == ["changed", "changed", "dropped"]


# --- thoughts --------------------------------------------------------------------------------------------------------


def test_geminis_own_thoughts() -> None:
    """Signatures of thoughts, of text and of calls each have their place."""
    call = talk(
        *HI,
        model(
            {"text": "Hm", "thought": True, "thoughtSignature": "A"},
            {"text": "Yes", "thoughtSignature": "B"},
            {**CALL, "thoughtSignature": "C"},
        ),
    )
    message = call.body["messages"][1]
    assert message["reasoning_content"] == "Hm"
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm", "signature": "A", "format": "google-gemini-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "B", "format": "google-gemini-v1", "index": 1},
    ]
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "C"}}
    assert call.native is not None
    assert call.native["contents"][1]["parts"][0]["thoughtSignature"] == "A"


@pytest.mark.parametrize("spell", [b64encode, urlsafe_b64encode])
def test_a_foreign_thought_is_restored_and_never_sent_to_google(spell: Any) -> None:
    """Pieces before the seal are its text; both alphabets of base64 come back from SDKs."""
    word = spell(b"tollhouse.v1." + json.dumps([{**CLAUDE, "signature": "?>" * 9}]).encode()).decode()
    call = talk(
        *HI,
        model({"text": "Let ", "thought": True}),
        model({"text": "me see", "thought": True}, {"text": "", "thought": True, "thoughtSignature": word}),
        model({**CALL, "thoughtSignature": seal([{**CLAUDE, "text": "More", "index": 3}])}),
        model({"text": "Yes", "thoughtSignature": seal([{"type": "reasoning.encrypted", "data": "D", "format": "f"}])}),
    )
    message = call.body["messages"][1]
    assert message["reasoning_content"] == "Let me seeMore"
    assert message["reasoning_details"] == [
        {**CLAUDE, "signature": "?>" * 9, "text": "Let me see", "index": 0},
        {**CLAUDE, "text": "More", "index": 1},
        {"type": "reasoning.encrypted", "data": "D", "format": "f", "index": 2},
    ]
    assert "extra_content" not in message["tool_calls"][0]
    assert call.native is not None
    assert call.native["contents"][1:] == [
        model({"text": "Let ", "thought": True}),
        model({"text": "me see", "thought": True}),
        model({**CALL, "thoughtSignature": NO_SIGNATURE}),
        model({"text": "Yes"}),
    ]


@pytest.mark.parametrize(
    "word", ["dG9sbGhvdXNlLnYx", "dG9sbGhvdXNlLnYxLg==", seal([])[:-3] + "!!!", "dG9sbGhvdXNlLnYxLjE="]
)
def test_a_seal_that_was_tampered_with_is_empty(word: str) -> None:
    """And still does not get to Google."""
    call = talk(*HI, model({"text": "x", "thought": True, "thoughtSignature": word}))
    assert "reasoning_details" not in call.body["messages"][1]
    assert call.native is not None
    assert call.native["contents"][1] == model({"text": "x", "thought": True})


def test_a_seal_holds_no_more_than_strings_of_an_entry() -> None:
    """Whatever a client puts into one."""
    word = seal([{"type": "reasoning.text", "text": {"a": 1}, "format": 3, "evil": "x"}, {"type": "other"}])
    message = talk(*HI, model({"text": "t", "thought": True, "thoughtSignature": word})).body["messages"][1]
    assert message["reasoning_details"] == [{"type": "reasoning.text", "text": "t", "index": 0}]


def test_thoughts_without_a_format_are_text_alone() -> None:
    """Hosts that sign nothing want their ``reasoning_content`` back with their calls."""
    word = seal([{"type": "reasoning.text", "text": "because"}])
    message = talk(*HI, model({**CALL, "thoughtSignature": word})).body["messages"][1]
    assert message["reasoning_content"] == "because"
    assert "reasoning_details" not in message


def test_gemini_is_not_told_its_own_placeholder() -> None:
    """The mark of a call that another model made is no signature."""
    message = talk(*HI, model({**CALL, "thoughtSignature": NO_SIGNATURE})).body["messages"][1]
    assert "extra_content" not in message["tool_calls"][0]


def test_calls_of_other_models_are_marked() -> None:
    """A model that refuses calls without a signature is sent one for the first call of each answer that has none."""
    signed = {**CALL, "thoughtSignature": "c2ln"}
    marked = {**CALL, "thoughtSignature": NO_SIGNATURE}
    said = {"role": "user", "parts": [{"text": "x"}]}
    turns = [said, model({"text": "I look."}, CALL, CALL), model(CALL), said, model(signed), model(CALL), said]
    before = json.dumps(turns)
    assert with_marks(turns) == [
        *(said, model({"text": "I look."}, marked, CALL), model(CALL)),
        *(said, model(signed), model(CALL), said),
    ]
    assert json.dumps(turns) == before
    assert with_marks([{"role": "model"}]) == [{"role": "model"}]
