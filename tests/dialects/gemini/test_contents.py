"""Messages of the inner form as Gemini's turns: roles, calls and results, signatures, media."""

from typing import Any

import pytest

from tests.dialects.gemini.asking import HI, PNG, call, called, lost, result, sent, turns
from tollhouse.errors import UpstreamUnfit

# --- messages ---


def test_instructions_go_to_their_own_place() -> None:
    """One that stands later is moved, and told."""
    messages = [
        {"role": "system", "content": "a"},
        HI,
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
    ]
    assert sent(messages=messages)["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert lost(messages=messages) == {"messages[2]": "changed"}


def test_a_conversation_begins_with_the_user() -> None:
    """Instructions alone become the user's turn, and one that begins with the model gets a turn before it."""
    assert turns({"role": "system", "content": "a"}) == [{"role": "user", "parts": [{"text": "a"}]}]
    begun = turns({"role": "assistant", "content": "x"}, HI)
    assert [turn["role"] for turn in begun] == ["user", "model", "user"]
    assert turns({"role": "user", "content": ""}) == [{"role": "user", "parts": [{"text": " "}]}]


def test_a_model_without_instructions_reads_them_in_the_first_turn() -> None:
    """Gemma 3 takes no systemInstruction."""
    made = sent("gemma-3-27b-it", messages=[{"role": "system", "content": "a"}, HI])
    assert made["contents"] == [{"role": "user", "parts": [{"text": "a"}, {"text": "Hi"}]}]
    assert "systemInstruction" not in made


def test_what_says_nothing_is_left_out() -> None:
    """Empty texts are a 400 there."""
    said = turns(
        HI, {"role": "assistant", "content": ""}, {"role": "user", "content": [{"type": "text", "text": ""}]}, HI
    )
    assert said == [{"role": "user", "parts": [{"text": "Hi"}]}] * 2


def test_results_are_one_turn_and_name_their_functions() -> None:
    """Parallel results stand together, in the order in which they came; the later call of one id counts."""
    said = turns(
        HI, called(call("a", "f"), call("b", "g")), result("b", '{"x":1}'), result("a", "no", is_error=True), HI
    )
    assert [part["functionResponse"] for part in said[2]["parts"]] == [
        {"id": "b", "name": "g", "response": {"x": 1}},
        {"id": "a", "name": "f", "response": {"error": "no"}},
    ]
    assert said[3] == {"role": "user", "parts": [{"text": "Hi"}]}
    again = turns(HI, called(call("a", "f")), result("a"), called(call("a", "g")), result("a"))
    assert [again[place]["parts"][0]["functionResponse"]["name"] for place in (2, 4)] == ["f", "g"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", {"output": "plain"}),
        ("", {"output": ""}),
        ('{"a":', {"output": '{"a":'}),
        ("[1]", {"output": "[1]"}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": "a\nb"}),
    ],
)
def test_a_result_is_an_object(content: Any, expected: dict[str, Any]) -> None:
    """An object stays one, and all else is wrapped."""
    assert turns(HI, called(call("a")), result("a", content))[2]["parts"][0]["functionResponse"]["response"] == expected


def test_calls_and_results_that_do_not_match_are_mended() -> None:
    """A call without a result gets one, and a result without a call is told as text; both are reported."""
    messages = [HI, called(call("a"), call("b")), result("a"), result("z", "late"), HI]
    said = turns(*messages)
    assert [part["functionResponse"]["id"] for part in said[2]["parts"]] == ["a", "b"]
    assert said[3]["parts"] == [{"text": "z returned:"}, {"text": "late"}]
    assert lost(messages=messages) == {"messages[3]": "changed", "messages[4]": "changed"}
    assert turns(HI, called(call("a")))[2]["parts"][0]["functionResponse"]["id"] == "a"


def test_media_in_a_result_follow_where_the_model_cannot_see_them() -> None:
    """Gemini 3 sees them in the result, older models in a turn of the user's."""
    messages = [HI, called(call("a")), result("a", [{"type": "image_url", "image_url": {"url": PNG}}])]
    blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert turns(*messages, model="gemini-3-pro-preview")[2]["parts"][0]["functionResponse"]["parts"] == [blob]
    assert turns(*messages)[3] == {"role": "user", "parts": [{"text": "What f returned:"}, blob]}


@pytest.mark.parametrize(("model", "expected"), [("gemini-3-pro-preview", True), ("gemini-2.5-pro", False)])
def test_a_call_of_another_model_passes_the_validator(model: str, expected: bool) -> None:
    """Gemini 3 is given the documented value on the first call of a turn; older models need none."""
    parts = turns(HI, called(call("a"), call("b")), result("a"), result("b"), model=model)[1]["parts"]
    assert [part.get("thoughtSignature") == "skip_thought_signature_validator" for part in parts] == [expected, False]


def test_signatures_return_to_where_they_came_from() -> None:
    """From the call itself or from the details under its id; another maker's never."""
    details = [
        {"type": "reasoning.encrypted", "data": "text", "format": "google-gemini-v1"},
        {"type": "reasoning.encrypted", "data": "s2", "id": "b", "format": "google-gemini-v1"},
        {"type": "reasoning.encrypted", "data": "no", "id": "c", "format": "openai-responses-v1"},
        {"type": "reasoning.text", "text": "hm", "signature": "s3", "format": "google-gemini-v1"},
        {"type": "reasoning.text", "text": "unsigned", "format": "google-gemini-v1"},
        7,
    ]
    signed = call("a", extra_content={"google": {"thought_signature": "s1"}})
    messages = [HI, {**called(signed, call("b"), call("c")), "content": "x", "reasoning_details": details}]
    parts = turns(*messages, model="gemini-3-pro-preview")[1]["parts"]
    assert parts[0] == {"text": "hm", "thought": True, "thoughtSignature": "s3"}
    assert parts[1] == {"text": "x", "thoughtSignature": "text"}
    assert [part.get("thoughtSignature") for part in parts[2:]] == ["s1", "s2", None]


@pytest.mark.parametrize("odd", [7, [], {"google": 7}, {"google": {"thought_signature": 7}}, None])
def test_odd_extras_are_no_signature(odd: Any) -> None:
    """What stands where a signature may is of any type."""
    parts = turns(HI, called(call("a", extra_content=odd), reasoning_details=odd, images=odd, content_parts=odd))[1][
        "parts"
    ]
    assert "thoughtSignature" not in parts[0]


@pytest.mark.parametrize("arguments", ["", "{oops", "[1]", "7"])
def test_arguments_are_an_object(arguments: str) -> None:
    """Models break their own JSON, and it comes back with the history."""
    broken = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    args = turns(HI, called(broken))[1]["parts"][0]["functionCall"]["args"]
    assert isinstance(args, dict)
    assert bool(args) == bool(arguments)


def test_what_the_model_made_goes_back() -> None:
    """Its images, the parts that only Google has, and a refusal."""
    made = {"role": "assistant", "content": None, "images": [{"type": "image_url", "image_url": {"url": PNG}}]}
    made["content_parts"] = [{"type": "google_part", "google_part": {"executableCode": {"code": "1"}}}]
    parts = turns(HI, made)[1]["parts"]
    assert parts == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"executableCode": {"code": "1"}}]
    assert turns(HI, {"role": "assistant", "content": None, "refusal": "no"})[1]["parts"] == [{"text": "no"}]


def test_functions_of_the_older_form_are_tools() -> None:
    """functions, function_call and the role function."""
    messages = [HI, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]
    messages.append({"role": "function", "name": "f", "content": "1"})
    made = sent(messages=messages, functions=[{"name": "f"}], function_call={"name": "f"})
    assert made["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert made["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
    assert made["contents"][2]["parts"][0]["functionResponse"]["name"] == "f"


# --- media ---


def part_of(kind: str, held: Any, model: str = "gemini-2.5-flash", *, vertex: bool = False) -> Any:
    """The part for one part."""
    messages = [{"role": "user", "content": [{"type": kind, kind: held}]}]
    return sent(model, vertex=vertex, messages=messages)["contents"][0]["parts"][0]


@pytest.mark.parametrize(
    ("kind", "held", "expected"),
    [
        ("image_url", {"url": "data:,a%20b"}, {"inlineData": {"mimeType": "image/jpeg", "data": "YSBi"}}),
        (
            "image_url",
            {"url": "https://x/a.PNG?q=1"},
            {"fileData": {"fileUri": "https://x/a.PNG?q=1", "mimeType": "image/png"}},
        ),
        ("image_url", {"url": "https://x/a"}, {"fileData": {"fileUri": "https://x/a", "mimeType": "image/jpeg"}}),
        ("image_url", {"url": "gs://b/a.webp"}, {"fileData": {"fileUri": "gs://b/a.webp", "mimeType": "image/webp"}}),
        (
            "file",
            {"file_id": "files/abc"},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
        ("file", {"file_data": "QQ==", "filename": "a.csv"}, {"inlineData": {"mimeType": "text/csv", "data": "QQ=="}}),
        ("input_audio", {"data": "QQ==", "format": "wav"}, {"inlineData": {"mimeType": "audio/wav", "data": "QQ=="}}),
    ],
)
def test_media_are_data_or_an_address(kind: str, held: Any, expected: Any) -> None:
    """What is inline is sent so, and what the host can fetch is left to it."""
    assert part_of(kind, held) == expected


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("image_url", {"url": "https://x/a.png"}),
        ("image_url", {"url": "https://"}),
        ("image_url", {"url": "data:image/png"}),
        ("image_url", {"url": ""}),
        ("image_url", {"url": "https://x/\u00e9"}),
        ("file", {"file_id": "file-abc"}),
        ("file", {"filename": "x"}),
        ("video_url", 7),
        ("sculpture", {}),
    ],
)
def test_content_that_cannot_be_sent_is_another_hosts(kind: str, held: Any) -> None:
    """Nothing is left out of a question: the next target may take it."""
    with pytest.raises(UpstreamUnfit) as caught:
        part_of(kind, held, "gemini-2.0-flash")
    assert caught.value.param == "messages[0].content[0]"
    assert caught.value.retryable


def test_vertex_fetches_for_every_model() -> None:
    """Public addresses are read there by older models too."""
    assert "fileData" in part_of("image_url", {"url": "https://x/a.png"}, "gemini-2.0-flash", vertex=True)


@pytest.mark.parametrize(
    ("details", "level", "losses"),
    [
        (("low", "low"), "MEDIA_RESOLUTION_LOW", {}),
        (("high",), "MEDIA_RESOLUTION_HIGH", {}),
        (("auto", None), None, {}),
        (("low", "high"), None, {"messages.image_url.detail": "dropped"}),
    ],
)
def test_detail_counts_where_all_images_agree(details: tuple[Any, ...], level: str | None, losses: Any) -> None:
    """The host takes one for the whole request."""
    parts = [{"type": "image_url", "image_url": {"url": PNG, "detail": detail}} for detail in details]
    messages = [{"role": "user", "content": parts}]
    assert sent(messages=messages).get("generationConfig", {}).get("mediaResolution") == level
    assert lost(messages=messages) == losses
