"""Log probabilities hold an answer's words again: what a policy withholds is not told by them either."""

import json
from typing import Any

import pytest

from tests.fakes.chaos import chunked
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion
from tests.gateway.safety_kit import FILLER, PLAIN, of_choice, told, watched

ASKED: dict[str, Any] = {"logprobs": True, "top_logprobs": 1}


def tokens(*words: str) -> dict[str, Any]:
    """What a host says of these tokens."""
    one: dict[str, Any] = {"logprob": -0.5, "bytes": None, "top_logprobs": []}
    return {"content": [{"token": word, **one} for word in words], "refusal": None}


def said(text: str, *words: str) -> bytes:
    """A chunk of text with its tokens, or with others."""
    return of_choice(0, {"content": text}, logprobs=tokens(*(words or (text,))))


def tokens_of(choice: dict[str, Any]) -> list[str]:
    """The tokens that a client reads."""
    return [entry["token"] for entry in (choice.get("logprobs") or {"content": []})["content"]]


STREAMS = {
    "beside the text": [said(FILLER * 3), said("Now ve"), said("nom "), said(FILLER * 9), STOP],
    "before the text": [said("", "venom "), said("venom "), said(FILLER), STOP],
    "after the text": [said(FILLER), said("venom", ""), said("", "venom"), STOP],
    "at the end": [said(FILLER), said("venom"), of_choice(0, {}, "stop", logprobs=tokens("ven", "om"))],
    "alone": [said("Hello", "ven"), said(" there.", "om"), STOP],
}


@pytest.mark.parametrize("chunks", STREAMS.values(), ids=STREAMS)
async def test_a_stream_does_not_tell_by_its_tokens_what_is_withheld(chunks: list[bytes]) -> None:
    """Wherever a host puts the tokens of a word, beside it or apart from it, no client reads them."""
    async with watched() as house:
        answer = await house.ask("answers", chunked(ROLE, *chunks, LAST_USAGE, DONE), stream=True, **ASKED)
    read = "".join(["".join(tokens_of(one["choices"][0])) for one in answer.events if one["choices"]])
    assert "venom" not in read
    assert told(answer).reasons == {0: "content_filter"}


@pytest.mark.parametrize("words", [("a ", "venom"), ("a ", "ven", "om")], ids=["one", "two"])
async def test_a_whole_answer_does_not_either(words: tuple[str, ...]) -> None:
    """Also where its text does not hold the word, for a stop sequence or a parser of its host's has cut it off."""
    for text in ("a venom", PLAIN):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        async with watched() as house:
            answer = await house.ask("answers", completion(choices=[{**choice, "logprobs": tokens(*words)}]), **ASKED)
        (given,) = answer.json["choices"]
        assert (given["logprobs"], given["finish_reason"]) == (None, "content_filter")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("policy", ["answers", "told"])
async def test_the_tokens_of_an_answer_that_passes_are_its_own(policy: str, streamed: bool) -> None:
    """They come as the host gave them, each with its piece of text, and are not counted as words that were said."""
    pieces = ["Call ", "the ", "function."]
    choice = {"index": 0, "message": {"role": "assistant", "content": "".join(pieces)}, "finish_reason": "stop"}
    whole = completion(choices=[{**choice, "logprobs": tokens(*pieces)}])
    play = chunked(ROLE, *map(said, pieces), STOP, LAST_USAGE, DONE) if streamed else whole
    async with watched() as house:
        answer = await house.ask(policy, play, stream=streamed, **ASKED)
    given = [one["choices"][0] for one in (answer.events if streamed else [json.loads(answer.body)]) if one["choices"]]
    assert [word for one in given for word in tokens_of(one)] == pieces
    assert told(answer).texts == {0: "".join(pieces)}
