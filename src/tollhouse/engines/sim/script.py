"""What a request asks the simulated model to do besides answering: be slow, break off, fail. Pure.

Two places say so, the first wins: the request field ``tollhouse_sim``, and for those who can only edit text a
directive in the last user message, ``[sim: ttft_ms=500 error=429 reply="all good"]``, which is not heard otherwise.
"""

import re
from dataclasses import dataclass
from typing import Any

from tollhouse.engines.sim.refusal import Refusal, wrong_type

FIELD = "tollhouse_sim"
TOKENS_MAX = 100_000
TTFT_MAX_MS = 600_000
TPS_MAX = 1_000_000
CHUNKS_MAX = 1_000_000
RETRY_AFTER_MAX_S = 3600
REPLY_MAX = 400_000
DIRECTIVE_MAX = 20_000
FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")
START = re.compile(r"\[sim:", re.IGNORECASE)
PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s\]\",]+)\s*,?")
ESCAPES = {"n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Script:
    """All knobs; ``None`` leaves a thing alone. ``*_after`` counts the events of a stream, the role's included."""

    ttft_ms: int = 0
    tps: float | None = None
    tokens: int | None = None
    error: int | None = None
    retry_after: int | None = None
    error_after: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    reply: str | None = None
    finish_reason: str | None = None
    tool: str | None = None


RANGES: dict[str, tuple[int, int]] = {
    "ttft_ms": (0, TTFT_MAX_MS),
    "tokens": (1, TOKENS_MAX),
    "error": (400, 599),
    "retry_after": (0, RETRY_AFTER_MAX_S),
    "error_after": (0, CHUNKS_MAX),
    "cut_after": (0, CHUNKS_MAX),
    "stall_after": (0, CHUNKS_MAX),
}


def read(body: dict[str, Any], user_text: str) -> tuple[Script, str]:
    """The script of a request, and the user's text without the directive. Raises `Refusal` that names a bad knob."""
    said, rest = directive(user_text)
    field = body.get(FIELD)
    if field is not None and not isinstance(field, dict):
        raise wrong_type(FIELD, "an object")
    knobs = {**said, **(field or {})}
    return Script(**{name: value(name, given) for name, given in knobs.items() if given is not None}), rest


def directive(text: str) -> tuple[dict[str, Any], str]:
    """The pairs of the first ``[sim: ...]`` and the text around it. Raises `Refusal` when it is not closed."""
    start = START.search(text)
    if start is None:
        return {}, text
    pairs: dict[str, Any] = {}
    at = start.end()
    while at - start.end() < DIRECTIVE_MAX and (pair := PAIR.match(text, at)):
        pairs[pair[1].lower()] = unquoted(pair[2])
        at = pair.end()
    rest = text[at:].lstrip()
    if not rest.startswith("]"):
        raise Refusal(
            f"The [sim: ...] directive is not of the form name=value ... ] near {rest[:40]!r}.",
            param=FIELD,
            code="invalid_value",
        )
    return pairs, (text[: start.start()].rstrip() + " " + rest[1:].lstrip()).strip()


def unquoted(text: str) -> str:
    """A value without its quotes and backslashes."""
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), text[1:-1], flags=re.DOTALL)


def value(name: str, given: Any) -> Any:
    """A knob's value in its own type, from JSON or from text. Raises `Refusal`."""
    if name in RANGES:
        low, high = RANGES[name]
        number = integer(given)
        if number is None or not low <= number <= high:
            raise bad(name, f"an integer from {low} to {high}")
        return number
    if name == "tps":
        rate = decimal(given)
        if rate is None or not 0 < rate <= TPS_MAX:
            raise bad(name, f"a number above 0 and up to {TPS_MAX}")
        return rate
    if name == "finish_reason" and given in FINISH_REASONS:
        return given
    if name in ("reply", "tool") and isinstance(given, str) and len(given) <= REPLY_MAX:
        return given
    expected = {
        "finish_reason": "one of " + ", ".join(FINISH_REASONS),
        "reply": f"a string of at most {REPLY_MAX} characters",
        "tool": "the name of a tool",
    }
    if name in expected:
        raise bad(name, expected[name])
    known = ", ".join(Script.__dataclass_fields__)
    raise Refusal(f"Unknown knob '{name}' in '{FIELD}'. There are: {known}.", param=f"{FIELD}.{name}",
                  code="unknown_parameter")  # fmt: skip


def bad(name: str, expected: str) -> Refusal:
    """A knob with a value that it cannot have."""
    return Refusal(f"Invalid '{FIELD}.{name}': expected {expected}.", param=f"{FIELD}.{name}", code="invalid_value")


def integer(given: Any) -> int | None:
    """An integer from JSON or from its digits; None when it is none."""
    if isinstance(given, str) and len(given) <= 12 and given.isascii() and given.isdigit():
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def decimal(given: Any) -> float | None:
    """A number from JSON or from its digits; None when it is none."""
    if isinstance(given, str):
        return float(given) if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", given) else None
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) else None
