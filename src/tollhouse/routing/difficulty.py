"""How hard a request looks: a number from 0 to 1 by a stated formula, the same for the same request. Pure.

It is a sum of signs, each with its weight in `WEIGHTS`, cut at 1. It reads the shape of the request and a bounded part
of its text (both ends of the last user message), never all of it. It is no judge of a question: it tells a greeting
from a proof, and it never changes what is asked.
"""

from collections.abc import Mapping
from typing import Any

from tollhouse.routing.abilities import FILES, SCHEMA, TOOLS, VISION
from tollhouse.routing.features import Features

WEIGHTS: Mapping[str, float] = {
    "base": 0.10,
    "question": 0.15,
    "prompt": 0.20,
    "turns": 0.10,
    "code": 0.20,
    "maths": 0.20,
    "steps": 0.15,
    "other_language": 0.05,
    "tools": 0.15,
    "schema": 0.05,
    "media": 0.10,
    "long_answer": 0.05,
    "effort": 0.50,
}
"""What each sign adds. ``question``, ``prompt`` and ``turns`` grow with the length up to their weight; ``effort`` is
added in full for ``xhigh``, in part for less, and taken away for ``none`` and ``minimal``.
"""
TEXT_CHARS = 1000
"""How much of the question's beginning and of its end is looked at."""
QUESTION_CHARS = 1500
"""A question of this length has the full weight of its sign."""
PROMPT_TOKENS = 32_000
TURNS = 12
LONG_ANSWER_TOKENS = 4000
_EFFORTS = {"none": -0.5, "minimal": -0.3, "low": 0.0, "medium": 0.4, "high": 0.8, "xhigh": 1.0, "max": 1.0}
_CODE = (
    "```",
    "def ",
    "class ",
    "function ",
    "import ",
    "#include",
    "SELECT ",
    "Traceback",
    "();",
    "</",
    "=> {",
    "refactor",
)
_MATHS = (
    "\\frac",
    "\\int",
    "\\sum",
    "$$",
    "theorem",
    "prove ",
    "proof",
    "integral",
    "derivative",
    "equation",
    "∑",
    "∫",
    "√",
)
_STEPS = (
    *(
        "step by step",
        "step-by-step",
        "analyze",
        "analyse",
        "compare",
        "design ",
        "architecture",
        "trade-off",
        "optimi",
    ),
    *("debug", "root cause", "why does", "explain why", "evaluate", "strategy", "plan "),
)


class Signs(dict[str, float]):
    """What each sign added, by its name: the reason for people. Their sum, cut to [0, 1], is the difficulty."""

    @property
    def difficulty(self) -> float:
        """From 0 to 1."""
        return min(max(sum(self.values()), 0.0), 1.0)


def estimate(body: Mapping[str, Any], features: Features) -> Signs:
    """The signs of a request in the inner form."""
    signs = Signs(base=WEIGHTS["base"])
    text = question(body)
    if text:
        signs["question"] = WEIGHTS["question"] * min(len(text) / QUESTION_CHARS, 1.0)
        _read_text(text if len(text) <= 2 * TEXT_CHARS else text[:TEXT_CHARS] + text[-TEXT_CHARS:], signs)
    signs["prompt"] = WEIGHTS["prompt"] * min(features.prompt_tokens / PROMPT_TOKENS, 1.0)
    if features.turns > 1:
        signs["turns"] = WEIGHTS["turns"] * min(features.turns / TURNS, 1.0)
    need = features.need
    if need & TOOLS:
        signs["tools"] = WEIGHTS["tools"]
    if need & SCHEMA:
        signs["schema"] = WEIGHTS["schema"]
    if need & (VISION | FILES):
        signs["media"] = WEIGHTS["media"]
    if features.output_tokens >= LONG_ANSWER_TOKENS:
        signs["long_answer"] = WEIGHTS["long_answer"]
    if features.effort:
        signs["effort"] = WEIGHTS["effort"] * _EFFORTS.get(features.effort, 0.4)
    return signs


def _read_text(text: str, signs: Signs) -> None:
    if any(word in text for word in _CODE):
        signs["code"] = WEIGHTS["code"]
    lower = text.lower()
    if any(word in lower for word in _MATHS):
        signs["maths"] = WEIGHTS["maths"]
    if any(word in lower for word in _STEPS):
        signs["steps"] = WEIGHTS["steps"]
    if not text.isascii() and len(text.encode("utf-8", "replace")) > 1.1 * len(text):
        signs["other_language"] = WEIGHTS["other_language"]


def question(body: Mapping[str, Any]) -> str:
    """The text of the last user message."""
    for message in reversed(body.get("messages", ())):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if content.__class__ is str:
            return str(content)
        if content.__class__ is not list:
            return ""
        texts = [part.get("text") for part in content if part.__class__ is dict and part.get("type") == "text"]
        return " ".join([text for text in texts if text.__class__ is str])
    return ""
