"""What the tests of the families share: a judge of a kind, its questions, and answers in the inner form."""

import math
from typing import Any

from tollhouse.safety.judges.asked import Matter, Question, Said, Unreadable
from tollhouse.safety.judges.findings import findings
from tollhouse.safety.judges.kinds import KINDS
from tollhouse.settings.judges import FORMS, JudgeSettings
from tollhouse.types.safety import Finding

PROMPT = Matter("the prompt")
ANSWER = Matter("the prompt", "the answer")
GARBAGE: tuple[Any, ...] = (
    *(None, 7, "", "text", [], [[]], {}, {"choices": None}, {"choices": []}, {"choices": [None]}, {"choices": [{}]}),
    {"choices": [{"message": None}]},
    {"choices": [{"message": {"content": None}}]},
    {"choices": [{"message": {"content": ""}}]},
    {"choices": [{"message": {"content": "  \n "}}]},
    {"choices": [{"message": {"content": ["safe"]}}]},
    {"choices": [{"message": {"content": 1}}]},
    {"results": None},
    {"results": [{}, {}]},
    {"categoriesAnalysis": [None]},
    {"findings": [None]},
)
"""Answers that are none, whatever was asked."""


def judge(kind: str, **more: Any) -> JudgeSettings:
    """A judge as its settings would make it where nothing else is stated."""
    form = FORMS[kind]
    stated = {
        "model": form.model or "up/guard",
        "version": (form.versions or ("",))[-1],
        "template": (form.templates or ("",))[0],
        "asks": form.usual,
    }
    return JudgeSettings(**{"name": "j", "kind": kind, **stated, **more})


def reply(text: Any, finish_reason: str = "stop", logprobs: Any = None) -> dict[str, Any]:
    """A guard model's answer in the inner form."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return {"choices": [{**choice, "logprobs": logprobs}]}


def tokens(*places: dict[str, float]) -> dict[str, Any]:
    """The logprobs of first tokens, each given by the words that might have stood there."""
    content = []
    for place in places:
        rows = [{"token": word, "logprob": math.log(share), "bytes": None} for word, share in place.items()]
        content.append({**rows[0], "top_logprobs": rows})
    return {"content": content, "refusal": None}


def question(of: JudgeSettings, matter: Matter = PROMPT) -> Question:
    """The one question of a judge."""
    (found,) = KINDS[of.kind].ask(of, matter)
    return found


def content(of: JudgeSettings, matter: Matter = PROMPT) -> str:
    """The one message of a judge's one question."""
    (message,) = question(of, matter).body["messages"]
    assert message["role"] == "user"
    return str(message["content"])


def found(of: JudgeSettings, answer: Any, matter: Matter = PROMPT) -> dict[str, tuple[int, Any]]:
    """The level and the score of each category that a judge finds by one answer to its first question."""
    first = KINDS[of.kind].ask(of, matter)[0]
    said = first.read(answer)
    return {one.category: (one.level, one.score) for one in as_findings(of, said)}


def as_findings(of: JudgeSettings, said: tuple[Said, ...]) -> tuple[Finding, ...]:
    """The findings of what was said."""
    return findings(said, of, KINDS[of.kind].table(of))


def is_unreadable(of: JudgeSettings, answer: Any, matter: Matter = PROMPT) -> bool:
    """Whether no question of a judge takes an answer, and none fails in any other way."""
    refused = []
    for one in KINDS[of.kind].ask(of, matter):
        try:
            one.read(answer)
        except Unreadable as problem:
            refused.append(str(problem))
    return len(refused) == len(KINDS[of.kind].ask(of, matter)) and all("CANARY" not in text for text in refused)
