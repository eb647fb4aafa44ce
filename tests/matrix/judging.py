"""What of an exchange is not as it should be: compared by `test_cells` with what the cell reports as lost.

Each difference begins with the name of what differs; `FORGIVEN` says which of them a loss explains.
"""

from collections.abc import Mapping
from typing import Any

from tests.matrix.clients.every import CLIENTS
from tests.matrix.scenarios import Scenario
from tests.matrix.upstreams.server import Host
from tests.matrix.words import Asked, Counts, Got, Heard, Said, Turn

FORGIVEN: Mapping[str, tuple[str, ...]] = {
    "is_error": ("turns",),
    "messages": ("turns",),
    "tool_choice": ("tool_choice", "tools", "system", "response_format"),
    "reasoning": ("thinks",),
    "cache_control": ("markers",),
    "logprobs": ("logprobs",),
    "n": ("n",),
}
"""By a loss, what may differ because of it; any other explains a difference of its own name."""
UNMARKED = ("openai", "azure", "llamacpp")
"""They cache prompts without being told, so that a marker that is left out is no loss."""


def differences(client: str, host: Host, scenario: Scenario, heard: Heard) -> dict[str, Any]:
    """Everything that is not as asked or as said, by its name."""
    got = host.got[-1]
    found = {**_asked(scenario.asked, got), **_said(scenario.said, heard, got)}
    if host.name in UNMARKED:
        found.pop("markers", None)
    choices = scenario.asked.wishes.get("n", 1)
    if len(heard.texts) != choices and not heard.calls:
        found["n"] = heard.texts
    expected = CLIENTS[client].shown(counted(host, choices))
    if heard.counts != expected:
        found["usage"] = (heard.counts, expected)
    return found


def explained(losses: list[str]) -> set[str]:
    """What may differ where these parameters are lost."""
    names = [loss.rpartition(".")[2] if "messages[" in loss else loss.partition(".")[0] for loss in losses]
    return {name for one in names for name in FORGIVEN.get(one.removesuffix("_effort"), (one,))}


def counted(host: Host, choices: int) -> Counts:
    """What a host's counts of some choices come to, asked for at once or one by one."""
    one, requests = host.counts, len(host.got)
    if requests > 1:
        return Counts(
            *[getattr(one, name) * requests for name in ("prompt", "output", "cached", "written", "reasoning")]
        )
    if host.name in ("gemini", "vertex"):  # it counts its thoughts once
        return Counts(one.prompt, (one.output - one.reasoning) * choices + one.reasoning, one.cached, 0, one.reasoning)
    return Counts(one.prompt, one.output * choices, one.cached, one.written, one.reasoning)


def _asked(asked: Asked, got: Got) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in asked.wishes.items():
        if got.wishes.get(name) != value and not (name == "n" and name not in got.wishes):
            found[name] = got.wishes.get(name)
    unused = asked.choice == "none" and not got.tools  # it cannot use what it is not offered
    if got.wishes.get("tool_choice", "") != asked.choice and not unused:
        found["tool_choice"] = got.wishes.get("tool_choice")
    if set(got.tools) != set(asked.tools) and not unused:
        found["tools"] = sorted(got.tools)
    if bare(got.wishes.get("response_format")) != bare(asked.schema):
        found["response_format"] = got.wishes.get("response_format")
    if got.system != asked.system:
        found["system"] = got.system
    if told(got.turns) != told(list(asked.turns)):
        found["turns"] = told(got.turns)
    if got.thinks != asked.thinks:
        found["thinks"] = got.thinks
    if got.markers != (2 if asked.cached else 0):
        found["markers"] = got.markers
    return found


def _said(said: Said, heard: Heard, got: Got) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if said.finish == "refusal":  # a host's own text, or a word of ours beside what it had said before
        if said.text not in (heard.text, heard.refusal) and not heard.text.startswith(said.text):
            found["text"] = (heard.text, heard.refusal)
    elif set(heard.texts) != {said.text}:
        found["text"] = heard.texts
    if [(call.name, call.arguments) for call in heard.calls] != [(call.name, call.arguments) for call in said.calls]:
        found["calls"] = heard.calls
    finish = {"stop_sequence": ("stop",), "refusal": ("stop", "content_filter")}.get(said.finish, (said.finish,))
    if heard.finish not in finish:
        found["finish"] = heard.finish
    if heard.thought != (said.thought if got.shows and got.thinks else ""):
        found["thought"] = heard.thought
    if heard.logprobs != bool(got.wishes.get("logprobs")):
        found["logprobs"] = heard.logprobs
    if heard.stop not in ("", said.stop):
        found["stop"] = heard.stop
    return found


def told(turns: list[Turn]) -> list[Any]:
    """Turns without the ids of calls, which are the host's own; every result is a turn of its own."""
    rows: list[Any] = []
    for turn in turns:
        rows += [(one.name, one.text, one.failed, one.picture) for one in turn.results]
        if not turn.results:
            calls = [(call.name, call.arguments) for call in turn.calls]
            rows.append((turn.role, turn.text, calls, turn.pictures, turn.documents))
    return rows


def bare(schema: Any) -> Any:
    """A schema without the type that its ``enum`` says anyway: Anthropic's enforcement takes one of the two."""
    if not isinstance(schema, dict):
        return schema
    kept = {name: bare(value) for name, value in schema.items()}
    if "enum" in kept:
        kept.pop("type", None)
    return kept
