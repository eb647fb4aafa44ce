"""What guard models have in common: the chat completion that asks one, and the reading of its first words. Pure.

Answers are in the inner form (OpenAI's chat completion), whatever host gave them. A probability is read where the
operator asked for it and the host gives it: the share of one word against another among the first tokens, which is how
the models' cards define their scores.
"""

import math
from typing import Any

from msgspec import Struct

from tollhouse.safety.judges.asked import CHAT, Matter, Question, Said, Unreadable, as_object, defused
from tollhouse.settings.judges import JudgeSettings
from tollhouse.types.safety import HIGH, LOW, MEDIUM, SAFE

Message = dict[str, str]
_TOP = 5
_TOKENS_READ = 32
"""A verdict's word is among these: templates put a line break or an empty tag before it."""
_MEDIUM, _HIGH = 0.75, 0.9
YES, NO = ("yes",), ("no",)
UNSAFE, SAFE_WORD = ("unsafe", "un"), ("safe",)
"""Some vocabularies cut unsafe in two."""


class Reply(Struct, frozen=True):
    """What a guard model said."""

    text: str
    """Without white space around it."""
    cut_short: bool
    """Whether it reached its cap."""
    tokens: tuple[dict[str, float], ...] = ()
    """For each of the first tokens, the words that might have stood there (lower case, bare) and their probabilities.
    """


def request(
    judge: JudgeSettings, messages: list[Message], read: Any, *, most_tokens: int, more: dict[str, Any] | None = None
) -> Question:
    """The question that a guard model is asked with these messages, in a way that leaves nothing to chance."""
    body: dict[str, Any] = {
        "model": judge.model,
        "messages": messages,
        "temperature": 0,
        "max_tokens": most_tokens,
        **(more or {}),
    }
    if judge.logprobs:
        body |= {"logprobs": True, "top_logprobs": _TOP}
    return Question(CHAT, body, read)


def turns(matter: Matter) -> list[Message]:
    """The matter as plain messages, for hosts that make a model's prompt themselves."""
    said = [{"role": "user", "content": defused(matter.prompt)}]
    if matter.completion is not None:
        said.append({"role": "assistant", "content": defused(matter.completion)})
    return said


def user(text: str) -> list[Message]:
    """A prompt that is written here, in one message."""
    return [{"role": "user", "content": text}]


def reply_of(answer: Any) -> Reply:
    """What an answer says. Raises `Unreadable` where it says nothing."""
    choices = as_object(answer).get("choices")
    if not isinstance(choices, list) or not choices:
        raise Unreadable("the answer has no choice")
    choice = as_object(choices[0])
    text = as_object(choice.get("message")).get("content")
    if not isinstance(text, str) or not text.strip():
        raise Unreadable("the answer is empty")
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    tokens = content[:_TOKENS_READ] if isinstance(content, list) else []
    return Reply(text.strip(), choice.get("finish_reason") == "length", tuple([_words(one) for one in tokens]))


def _words(token: Any) -> dict[str, float]:
    """The words that might have stood at one place. Those that are not sane are left out."""
    rows = [token, *(token.get("top_logprobs") or [])] if isinstance(token, dict) else []
    found: dict[str, float] = {}
    for row in rows:
        word, logprob = (row.get("token"), row.get("logprob")) if isinstance(row, dict) else (None, None)
        if isinstance(word, str) and isinstance(logprob, int | float) and -math.inf < logprob <= 0:
            found.setdefault(word.strip().lower(), math.exp(logprob))
    return found


def share(reply: Reply, words: tuple[str, ...], others: tuple[str, ...]) -> float | None:
    """How probable some words were against others where the first of them stands; None where nobody knows."""
    for place in reply.tokens:
        asked, other = (sum([place.get(word, 0.0) for word in group]) for group in (words, others))
        if asked or other:
            return asked / (asked + other)
    return None


def graded(label: str, judge: JudgeSettings, score: float | None, *, found: bool) -> Said:
    """A plain yes or no, by how sure it is; without that, what the operator says a yes means."""
    if not found:
        return Said(label, SAFE, score)
    if score is None:
        return Said(label, judge.level)
    return Said(label, HIGH if score >= _HIGH else MEDIUM if score >= _MEDIUM else LOW, score)
