"""A request of Anthropic's Messages API as a `ChatCall`: what was sent, and the same in the inner form. Pure.

Called by `client`. ``native`` is the parsed body, for hosts that speak the dialect, without what is under seal
(`seals`); ``body`` is for all others. What only ``native`` can say is in ``losses``: nothing is dropped silently.
"""

from typing import Any

from tollhouse.dialects.anthropic.offers import hosted_tool, read_choice, read_tools
from tollhouse.dialects.anthropic.read_turns import ReadTurns
from tollhouse.dialects.anthropic.seals import without_seals
from tollhouse.types.calls import ChatCall, Loss
from tollhouse.validate.messages_api import read_messages

NAME = "anthropic"
_SAME = ("max_tokens", "temperature", "top_p", "top_k")
_READ = frozenset(
    {
        *("model", "messages", "system", "stream", "stop_sequences", "tools", "tool_choice", "thinking"),
        *("output_config", "output_format", "metadata", "service_tier", *_SAME),
    }
)
"""The rest is Anthropic's alone. ``service_tier`` chooses between capacities that only Anthropic sells."""
_NOTHING: tuple[Any, ...] = (None, [], {})
_OURS = "tollhouse_"
"""How fields begin that are meant for the models inside this process (`docs/sim.md`)."""
_WIRE = ("anthropic-version", "anthropic-beta")
_DEARER = ("mcp_servers", "inference_geo")


def read_call(body: bytes, headers: dict[bytes, bytes], *, counted: bool = False) -> ChatCall:
    """The call of a request; ``counted`` for one that only wants its tokens counted. Raises `InvalidRequest`."""
    asked = read_messages(body, counted=counted)
    rest = [name for name, value in asked.items() if name not in _READ and value not in _NOTHING]
    losses = [Loss(name, "dropped", "known to Anthropic alone") for name in rest if not name.startswith(_OURS)]
    turns = ReadTurns(losses)
    if system := asked.get("system"):
        turns.system(system)
    for place, turn in enumerate(asked["messages"]):
        turns.add(turn, place)
    inner: dict[str, Any] = {"model": asked["model"], "messages": turns.messages}
    inner |= {name: asked[name] for name in rest if name.startswith(_OURS)}
    for name in _SAME:
        if asked.get(name) is not None:
            inner[name] = asked[name]
    if stops := asked.get("stop_sequences"):
        inner["stop"] = stops
    if user := (asked.get("metadata") or {}).get("user_id"):
        inner["user"] = user
    _read_reasoning(asked, inner)
    hosted = _read_tools(asked, inner, losses) or _dearer(asked)
    native = without_seals(asked) if turns.sealed else asked
    wire = tuple([(name, headers[key].decode("latin-1")) for name, key in _WIRE_KEYS if key in headers])
    stream = asked.get("stream") is True
    model = asked["model"]
    call = ChatCall(model, inner, stream, stream, NAME, native)
    call.wire_headers, call.losses, call.hosted, call.unseen = wire, tuple(losses), hosted, turns.unseen
    return call


_WIRE_KEYS = tuple([(name, name.encode()) for name in _WIRE])


def _read_tools(asked: dict[str, Any], inner: dict[str, Any], losses: list[Loss]) -> str | None:
    """Puts the tools into the inner form; the type of one that the host runs."""
    tools = asked.get("tools")
    if tools and (offered := read_tools(tools, losses)):
        inner["tools"] = offered
    if choice := asked.get("tool_choice"):
        read_choice(choice, inner, losses)
    return hosted_tool(tools) if tools else None


def _dearer(asked: dict[str, Any]) -> str | None:
    """The first field that makes the same tokens dearer, or has the host's servers work on their own."""
    if asked.get("speed") == "fast":
        return "speed"
    if _compacts(asked.get("context_management")):
        return "context_management"
    return next((name for name in _DEARER if asked.get(name)), None)


def _compacts(management: object) -> bool:
    """Whether the host may sum up the conversation before it answers: it reads the prompt twice, and writes more than
    ``max_tokens`` says (https://platform.claude.com/docs/en/build-with-claude/compaction).
    """
    edits = management.get("edits") if type(management) is dict else None
    return type(edits) is list and any(
        type(edit) is dict and str(edit.get("type")).startswith("compact") for edit in edits
    )


def _read_reasoning(asked: dict[str, Any], inner: dict[str, Any]) -> None:
    """``thinking``, ``output_config`` and the ``output_format`` of an earlier beta."""
    config = asked.get("output_config") or {}
    if effort := config.get("effort"):
        inner["reasoning_effort"] = effort
    thinking = asked.get("thinking")
    if thinking:
        wanted: dict[str, Any] = {"enabled": thinking["type"] != "disabled"}
        if type(budget := thinking.get("budget_tokens")) is int and budget:
            wanted["max_tokens"] = budget
        if thinking.get("display") == "summarized":
            wanted["summary"] = "auto"
        inner["reasoning"] = wanted
    form = config.get("format") or asked.get("output_format")
    if form and form["type"] == "json_schema":
        schema = {"name": "output", "schema": form["schema"], "strict": True}
        inner["response_format"] = {"type": "json_schema", "json_schema": schema}
