"""What is asked in each row of the matrix, and what the model says to it."""

from dataclasses import dataclass
from typing import Any

from tests.matrix.words import SCHEMA, Asked, Call, Result, Said, Turn

HI = Turn("user", "Weather?")
PARIS = Call("get_weather", {"city": "Paris", "days": 2}, "call_1")
ROME = Call("get_weather", {"city": "Rome"}, "call_2")
NOON = Call("get_time", {"zone": "UTC"}, "call_3")
BOTH = ("get_weather", "get_time")
FINE = Said("It is sunny: 21 °C ☀.")


@dataclass(frozen=True)
class Scenario:
    """One row. ``feature`` is its name in the table of the documentation; ``clients``: who can ask for it."""

    name: str
    feature: str
    asked: Asked
    said: Said = FINE
    clients: tuple[str, ...] = ("openai", "anthropic", "gemini")


def _ask(*turns: Turn, **more: Any) -> Asked:
    return Asked(turns or (HI,), **more)


def _answered(*results: Result, calls: tuple[Call, ...]) -> tuple[Turn, ...]:
    return HI, Turn("assistant", "I look.", calls), Turn("tool", results=results)


SCENARIOS = (
    Scenario("text", "text", _ask()),
    Scenario("system", "system prompts", _ask(system="Be brief.")),
    Scenario(
        "turns", "several turns", _ask(HI, Turn("assistant", "Where?"), Turn("user", "In Paris."), system="Be brief.")
    ),
    Scenario(
        "tools",
        "parallel tool calls, arguments streamed",
        _ask(tools=BOTH),
        Said("", calls=(PARIS, NOON), finish="tool_calls"),
    ),
    Scenario(
        "spoken tools",
        "text before a tool call",
        _ask(tools=BOTH),
        Said("I look.", calls=(PARIS,), finish="tool_calls"),
    ),
    Scenario(
        "results",
        "tool results",
        _ask(
            *_answered(
                Result("call_1", "get_weather", "sun"), Result("call_2", "get_weather", "rain"), calls=(PARIS, ROME)
            ),
            tools=BOTH,
        ),
    ),
    Scenario(
        "failed result",
        "tool errors",
        _ask(*_answered(Result("call_1", "get_weather", "no such city", failed=True), calls=(PARIS,)), tools=BOTH),
    ),
    Scenario(
        "picture result",
        "images in tool results",
        _ask(*_answered(Result("call_1", "get_weather", "a map", picture=True), calls=(PARIS,)), tools=BOTH),
    ),
    Scenario(
        "forced tool",
        "a forced tool",
        _ask(tools=("get_weather",), choice="required"),
        Said("", calls=(PARIS,), finish="tool_calls"),
    ),
    Scenario(
        "named tool", "a named tool", _ask(tools=BOTH, choice="get_time"), Said("", calls=(NOON,), finish="tool_calls")
    ),
    Scenario("no tool", "tools that must not be used", _ask(tools=BOTH, choice="none")),
    Scenario(
        "one tool at a time",
        "one tool at a time",
        _ask(tools=BOTH, wishes={"parallel_tool_calls": False}),
        Said("", calls=(PARIS,), finish="tool_calls"),
        clients=("openai", "anthropic"),
    ),
    Scenario("vision", "images", _ask(Turn("user", "What is it?", pictures=2))),
    Scenario("documents", "documents (PDF)", _ask(Turn("user", "Sum it up.", documents=1))),
    Scenario("schema", "JSON schema", _ask(schema=SCHEMA), Said('{"sky": "sun", "degrees": 21}')),
    Scenario(
        "thinking", "reasoning", _ask(thinks=True, wishes={"max_tokens": 4000}), Said("Sunny.", thought="Let me see.")
    ),
    Scenario(
        "cache",
        "prompt-cache markers",
        _ask(Turn("user", "A long text. " * 9), system="A long prompt.", cached=True),
        clients=("openai", "anthropic"),
    ),
    Scenario("cap", "output limit", _ask(wishes={"max_tokens": 300}), Said("It is", finish="length")),
    Scenario("sampling", "temperature, top_p", _ask(wishes={"temperature": 0.5, "top_p": 0.9})),
    Scenario("top_k", "top_k", _ask(wishes={"top_k": 20})),
    Scenario(
        "stop",
        "stop strings",
        _ask(wishes={"stop": ["END", "FIN"]}),
        Said("It is ", finish="stop_sequence", stop="END"),
    ),
    Scenario("seed", "seed", _ask(wishes={"seed": 7}), clients=("openai", "gemini")),
    Scenario("logprobs", "logprobs", _ask(wishes={"logprobs": True}), clients=("openai", "gemini")),
    Scenario("n", "several choices", _ask(wishes={"n": 2}), clients=("openai", "gemini")),
    Scenario("refusal", "refusals", _ask(), Said("I cannot help with that.", finish="refusal")),
)
