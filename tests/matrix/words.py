"""What the matrix speaks of, in nobody's dialect: what is asked, what a model says, what a host got, a client heard.

`clients` write what is asked and read what is heard; `upstreams` read what they got and write what is said. The names
of what is asked are those of the inner form, as losses have them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJeLjz9MKdHJhaWxlcgo8PD4+CiUlRU9GCg=="
TOOLS: Mapping[str, dict[str, Any]] = {
    "get_weather": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
    "get_time": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"sky": {"type": "string", "enum": ["sun", "rain"]}, "degrees": {"type": "integer"}},
    "required": ["sky", "degrees"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Call:
    """A tool call."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Result:
    """What a tool gave. ``id`` is the call's."""

    id: str
    name: str
    text: str
    failed: bool = False
    picture: bool = False


@dataclass(frozen=True)
class Turn:
    """One turn. ``raw`` is a model's, as the client got it and brings it back; the rest is then empty."""

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    pictures: int = 0
    documents: int = 0
    raw: Any = None


@dataclass(frozen=True)
class Asked:
    """A request."""

    turns: tuple[Turn, ...]
    system: str = ""
    tools: tuple[str, ...] = ()
    choice: str = ""
    """``required``, ``none`` or a tool's name."""
    wishes: Mapping[str, Any] = field(default_factory=dict)
    """Sampling and the like by their names in the inner form."""
    schema: dict[str, Any] | None = None
    thinks: bool = False
    cached: bool = False
    """There is a marker for the cache on the system prompt and on the first text of the user."""


@dataclass(frozen=True)
class Counts:
    """Tokens. ``prompt`` has all of the prompt's, ``output`` all of the answer's."""

    prompt: int
    output: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Said:
    """What a model says, or how its host fails."""

    text: str = ""
    thought: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"
    stop: str = ""
    """The stop string that ended it."""
    fault: str = ""
    """``rate_limit``, ``auth``, ``too_long``, ``missing``, ``crash``, or ``cut`` in the middle of a stream."""

    @property
    def pieces(self) -> list[str]:
        """The text as a stream has it."""
        return cut(self.text)


@dataclass
class Got:
    """What a host was sent, as far as it concerns the matrix."""

    system: str = ""
    turns: list[Turn] = field(default_factory=list)
    tools: dict[str, Any] = field(default_factory=dict)
    wishes: dict[str, Any] = field(default_factory=dict)
    """By the names of the inner form, as ``Asked.wishes``; also ``tool_choice`` and ``response_format``."""
    markers: int = 0
    proofs: list[str] = field(default_factory=list)
    """The signatures of its own that came back."""
    thinks: bool = False
    shows: bool = False
    """What it thinks is told."""
    stream: bool = False


@dataclass
class Heard:
    """What a client was told."""

    text: str = ""
    thought: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = ""
    stop: str = ""
    refusal: str = ""
    logprobs: bool = False
    texts: list[str] = field(default_factory=list)
    """Of every choice."""
    counts: Counts | None = None
    raw: Any = None
    """The model's turn, to be brought back."""


def cut(text: str, size: int = 3) -> list[str]:
    """A text in small pieces."""
    return [text[start : start + size] for start in range(0, len(text), size)]
