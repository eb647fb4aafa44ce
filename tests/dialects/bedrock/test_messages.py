"""Conversations become turns that Converse takes, whatever their history looks like."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.dialects.bedrock.families import family_of
from tollhouse.dialects.bedrock.messages import NOTHING, Written, write_messages
from tollhouse.dialects.wishes import Losses

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
MISTRAL = "mistral.mistral-large-3-675b-instruct"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
USE = {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
HI = {"role": "user", "content": "Hi"}
PDF = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}}


def write(*messages: dict[str, Any], model: str = CLAUDE, losses: Losses | None = None) -> Written:
    """The turns of these messages."""
    return write_messages(list(messages), model, family_of(model), {} if losses is None else losses)


def assistant(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A message of the assistant's."""
    return {"role": "assistant", "content": None, **({"tool_calls": list(calls)} if calls else {}), **more}


def turns(*messages: dict[str, Any], model: str = CLAUDE) -> list[tuple[str, list[Any]]]:
    """Each turn's role and blocks."""
    return [(turn["role"], turn["content"]) for turn in write(*messages, model=model).turns]


def test_system_messages_leave_the_conversation() -> None:
    """Instructions go to ``system`` from wherever they stand."""
    written = write({"role": "system", "content": "a"}, HI, {"role": "developer", "content": "b"})
    assert written.system == [{"text": "a"}, {"text": "b"}]
    assert [turn["role"] for turn in written.turns] == ["user"]


def test_neighbours_of_one_role_are_one_turn() -> None:
    """Empty messages vanish, and what then stands together becomes one turn."""
    assert turns(HI, assistant(), {"role": "assistant", "content": " "}, HI) == [("user", [{"text": "Hi"}] * 2)]


def test_results_answer_the_turn_before_them_and_come_first() -> None:
    """Results of one turn's calls are one turn, before whatever the user adds."""
    second = {**CALL, "id": "c2"}
    found = turns(HI, assistant(CALL, second), HI, RESULT, {**RESULT, "tool_call_id": "c2", "is_error": True})
    assert found[2] == (
        "user",
        [
            {"toolResult": {"toolUseId": "c1", "content": [{"text": "ok"}]}},
            {"toolResult": {"toolUseId": "c2", "content": [{"text": "ok"}], "status": "error"}},
            {"text": "Hi"},
        ],
    )


def test_a_result_without_a_call_is_told_as_text() -> None:
    """What a client left of a cut history is said, in a form that the host takes, and reported."""
    losses: Losses = {}
    written = write(HI, RESULT, losses=losses)
    assert written.turns == [{"role": "user", "content": [{"text": "Hi"}, {"text": "ok"}]}]
    assert "messages[1].tool_call_id" in losses
    assert turns(HI, assistant(CALL), RESULT, RESULT)[2][1][-1] == {"text": "ok"}


def test_a_call_without_a_result_gets_one() -> None:
    """Calls that nobody answered do not make the request fail."""
    for history in ((HI, assistant(CALL)), (HI, assistant(CALL), HI)):
        blocks = turns(*history)[2][1]
        assert blocks[0] == {"toolResult": {"toolUseId": "c1", "content": [{"text": "(no result)"}]}}


def test_models_that_mix_nothing_get_a_turn_between() -> None:
    """Where results stand alone, what the user adds is a turn of its own, after one that says nothing."""
    found = turns(HI, assistant(CALL), RESULT, {"role": "user", "content": "So?"}, model=LLAMA)
    assert [role for role, _ in found] == ["user", "assistant", "user", "assistant", "user"]
    assert found[3][1] == [{"text": NOTHING}]
    assert found[4][1] == [{"text": "So?"}]


def test_media_that_a_result_may_not_hold_stand_after_it() -> None:
    """An image in a result of a model that takes none there follows it."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    block = {"image": {"format": "png", "source": {"bytes": "iVBO"}}}
    result = {**RESULT, "content": [{"type": "text", "text": "see"}, image]}
    assert turns(HI, assistant(CALL), result)[2][1] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "see"}, block]}}
    ]
    assert turns(HI, assistant(CALL), result, model=LLAMA)[4][1] == [block]


def test_results_are_json_where_they_have_to_be() -> None:
    """Mistral's models take results as JSON objects."""
    for content, value in (("ok", {"result": "ok"}), ('{"a":1}', {"a": 1}), ("[1]", {"result": "[1]"})):
        found = turns(HI, assistant(CALL), {**RESULT, "content": content}, model=MISTRAL)
        assert found[2][1][0]["toolResult"]["content"] == [{"json": value}]


def test_a_failure_that_cannot_be_told_is_reported() -> None:
    """Only some models are told that a tool failed."""
    losses: Losses = {}
    write(HI, assistant(CALL), {**RESULT, "is_error": True}, model=LLAMA, losses=losses)
    assert losses["messages[2].is_error"].how == "dropped"


def test_an_empty_result_says_so() -> None:
    """The host refuses an empty text."""
    assert turns(HI, assistant(CALL), {**RESULT, "content": ""})[2][1][0]["toolResult"]["content"] == [
        {"text": "(no output)"}
    ]


def test_the_last_generations_calls_are_calls() -> None:
    """``function_call`` and the role ``function`` are calls and results."""
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    found = turns(HI, legacy, {"role": "function", "name": "f", "content": "ok"})
    assert found[1][1][0]["toolUse"]["toolUseId"] == found[2][1][0]["toolResult"]["toolUseId"] == "call_f"


def test_odd_ids_are_spelled_the_same_for_call_and_result() -> None:
    """An id that Bedrock would refuse becomes another, everywhere the same."""
    for odd in ("call/1", "x" * 65, "", "é"):
        found = turns(HI, assistant({**CALL, "id": odd}), {**RESULT, "tool_call_id": odd})
        assert found[1][1][0]["toolUse"]["toolUseId"] == found[2][1][0]["toolResult"]["toolUseId"] != odd


def test_arguments_that_are_no_object_are_told() -> None:
    """A model's broken JSON stays in the history as a text."""
    for text in ("{", "[1]", '"x"'):
        call = {**CALL, "function": {"name": "f", "arguments": text}}
        assert turns(HI, assistant(call), RESULT)[1][1][0]["toolUse"]["input"] == {"arguments": text}
    custom = {"id": "c1", "type": "custom", "custom": {"name": "f", "input": "ls"}}
    assert turns(HI, assistant(custom), RESULT)[1][1][0]["toolUse"]["input"] == {"input": "ls"}


def test_claude_gets_its_own_thoughts_back() -> None:
    """Signed thoughts come first in their turn, put together from pieces; those of others and unsigned ones do not."""
    claude = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    details = [
        {**claude, "text": "a"},
        {**claude, "text": "b"},
        {**claude, "text": "", "signature": "S"},
        {**claude, "index": 1, "text": "unsigned"},
        {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "data": "EtkEC", "index": 2},
        {"type": "reasoning.text", "format": "google-gemini-v1", "text": "x", "signature": "y"},
        "nonsense",
    ]
    message = {"role": "assistant", "content": "c", "reasoning_details": details}
    thoughts = [
        {"reasoningContent": {"reasoningText": {"text": "ab", "signature": "S"}}},
        {"reasoningContent": {"redactedContent": "RXRrRUM="}},
    ]
    assert turns(HI, message)[1][1] == [*thoughts, {"text": "c"}]
    assert turns(HI, message, model=LLAMA)[1][1] == [{"text": "c"}]
    assert turns(HI, message, model="anthropic.claude-3-haiku-20240307-v1:0")[1][1] == [{"text": "c"}]


def test_a_conversation_begins_with_the_user() -> None:
    """Only Claude takes one that the assistant begins; instructions alone are said by the user."""
    said = {"role": "assistant", "content": "a"}
    assert [role for role, _ in turns(said, HI)] == ["assistant", "user"]
    assert turns(said, HI, model=LLAMA)[0] == ("user", [{"text": NOTHING}])
    written = write({"role": "system", "content": "a"})
    assert (written.turns, written.system) == ([{"role": "user", "content": [{"text": "a"}]}], [])


def test_an_answer_that_was_begun_ends_without_blanks() -> None:
    """Claude goes on after a text that ends in no blank."""
    assert turns(HI, {"role": "assistant", "content": "a \n"})[1][1] == [{"text": "a"}]


def test_a_document_has_a_text_beside_it() -> None:
    """The host refuses a document alone."""
    assert turns({"role": "user", "content": [PDF]})[0][1][-1] == {"text": "a"}


parts = st.sampled_from([None, "", " ", "text", [{"type": "text", "text": ""}], [{"type": "text", "text": "t"}], [PDF]])
ids = st.sampled_from(["c1", "c2", "c/3"])
calls = st.lists(ids.map(lambda one: {**CALL, "id": one}), unique_by=lambda call: str(call["id"]), max_size=3)
message = st.one_of(
    st.builds(lambda content: {"role": "user", "content": content or "x"}, parts),
    st.builds(lambda content: {"role": "system", "content": content or ""}, parts.filter(lambda p: p != [PDF])),
    st.builds(
        lambda content, made: {"role": "assistant", "content": content, "tool_calls": made},
        parts.filter(lambda p: p != [PDF]),
        calls,
    ),
    st.builds(lambda one, content: {"role": "tool", "tool_call_id": one, "content": content or ""}, ids, parts),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(message, max_size=8), st.sampled_from([CLAUDE, LLAMA, MISTRAL, "amazon.nova-pro-v1:0"]))
def test_every_history_is_a_valid_conversation(history: list[dict[str, Any]], model: str) -> None:
    """Turns alternate, no block is empty, and each call has exactly one result in the turn after it."""
    written = write(*history, model=model)
    waiting: list[str] = []
    for place, turn in enumerate(written.turns):
        blocks = turn["content"]
        assert blocks
        assert place == 0 or turn["role"] != written.turns[place - 1]["role"]
        assert all(block["text"].strip() for block in blocks if "text" in block)
        results = [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
        assert sorted(results) == sorted(waiting)
        assert all(block["toolResult"]["content"] for block in blocks if "toolResult" in block)
        waiting = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
        assert not (waiting and turn["role"] == "user")
        if model == LLAMA and results:
            assert len(blocks) == len(results)
    assert not waiting
