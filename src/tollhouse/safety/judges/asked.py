"""What passes between a judge's family and those who ask it: the matter, the questions, and what was said. Pure.

Every module of this package that stands for a kind of judge has a function ``ask(judge, matter)`` that gives its
questions. Whoever asks them gives each answer to the question's ``read``, which says what was found, or raises
`Unreadable`: an answer that is not one is a failure of the judge, never a clean bill.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tollhouse.settings.judges import JudgeSettings
from tollhouse.types.calls import Loss
from tollhouse.types.safety import COMPLETION, HIGH, PROMPT

CHAT, RELAY, HTTP = "chat", "relay", "http"
"""How a question goes: a chat completion, OpenAI's moderations, or plain HTTP to the judge's own address."""
_MOST_DOCUMENTS = 5
_MARKERS = (
    *("<|", "[INST]", "[/INST]", "<<SYS>>", "<BEGIN ", "<END ", "<start_of_", "<end_of_", "<guardian>", "<think>"),
    *("</think>", "<score>", "</score>", "<s>", "</s>"),
)
"""What guard models' prompts are built of: a text that holds them could write its own verdict into the prompt."""


class Unreadable(Exception):
    """A judge's answer that says nothing that can be relied on. Its text never repeats the answer."""


class Matter(Struct, frozen=True):
    """What is to be judged: a prompt, or an answer to it."""

    prompt: str
    """What the user said last; for an answer, what it answers."""
    completion: str | None = None
    """The answer, where it is the answer that is judged."""
    documents: tuple[str, ...] = ()
    """What the prompt quotes of others: results of tools, retrieved texts. Azure alone looks at them apart."""

    @property
    def side(self) -> str:
        """`PROMPT` or `COMPLETION`."""
        return PROMPT if self.completion is None else COMPLETION

    @property
    def text(self) -> str:
        """The text that is judged."""
        return self.prompt if self.completion is None else self.completion


class Said(Struct, frozen=True):
    """One thing that a judge said, in its own words."""

    label: str
    """Its own name of the category."""
    level: int
    """What that means where the operator has set no thresholds: an index of `SEVERITIES`."""
    score: float | None = None
    """How sure it is, from 0 to 1."""


class Question(Struct, frozen=True):
    """One request to a judge."""

    to: str
    """`CHAT`, `RELAY` or `HTTP`."""
    body: dict[str, Any]
    read: Callable[[Any], tuple[Said, ...]]
    """Reads the answer's JSON; that of a chat is in the inner form. Raises `Unreadable`."""
    path: str = ""
    """Below the judge's own address."""


def cut(matter: Matter, judge: JudgeSettings) -> Matter:
    """The matter as far as the judge looks at it: the end of each text that is too long for it."""
    most = judge.max_chars
    whole = matter.completion
    if len(matter.prompt) <= most and len(whole or "") <= most and not matter.documents:
        return matter
    documents = tuple([text[-most:] for text in matter.documents[:_MOST_DOCUMENTS]])
    return Matter(matter.prompt[-most:], None if whole is None else whole[-most:], documents)


def losses(matter: Matter, judge: JudgeSettings) -> tuple[Loss, ...]:
    """What of the judged text the judge did not see."""
    length = len(matter.text)
    if length <= judge.max_chars:
        return ()
    return (Loss(matter.side, "changed", f"judged were the last {judge.max_chars} of {length} characters"),)


def defused(text: str) -> str:
    """A text without what could close its place in a guard model's prompt: a space breaks each marker."""
    if "<" not in text and "[" not in text:
        return text
    for marker in _MARKERS:
        text = text.replace(marker, f"{marker[0]} {marker[1:]}")
    return text


def as_object(value: Any) -> Mapping[str, Any]:
    """The value, which has to be a JSON object."""
    if not isinstance(value, dict):
        raise Unreadable("the answer is not a JSON object")
    return value


def as_list(value: Any, name: str) -> list[Any]:
    """The value, which has to be a list."""
    if not isinstance(value, list):
        raise Unreadable(f"{name} is not a list")
    return value


def as_flag(value: Any, name: str) -> bool:
    """The value, which has to be true or false."""
    if not isinstance(value, bool):
        raise Unreadable(f"{name} is not true or false")
    return value


def as_share(value: Any, name: str) -> float:
    """The value, which has to be a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Unreadable(f"{name} is not a number from 0 to 1")
    return float(value)


def detected(label: str, *, found: bool) -> tuple[Said, ...]:
    """What a detector said that knows no degrees."""
    return (Said(label, HIGH),) if found else ()
