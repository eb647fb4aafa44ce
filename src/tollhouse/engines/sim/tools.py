"""The tools of a request, which of them are called, and with what. Pure.

When the choice is left to the model (``auto``), the rule is fixed and documented: the last message is a user's, and it
shares a word with the tool's name, or two words with its description and parameter names, or says "use the tool".
The best match is called. Two calls are made where parallel calls are allowed and the text asks for two things: two
tools match, or one tool that takes a text is asked about two names ("Paris and Rome").
"""

import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tollhouse.engines.sim import automaton, grammar, hints, pattern
from tollhouse.engines.sim.document import SchemaProblem
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.hints import Hints
from tollhouse.engines.sim.leaves import walk
from tollhouse.engines.sim.pattern import START, Anchor, Pattern, Sequence
from tollhouse.engines.sim.refusal import Refusal, wrong_type, wrong_value
from tollhouse.engines.sim.request import Request
from tollhouse.engines.sim.schema import instance

OBJECT = {"type": "object"}
USE = re.compile(
    r"\b(?:use|call|invoke|run) (?:the|a|your|any|one of the|these|those) (?:\w+ )?(?:tools?|functions?)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W_]+")
COMMON_TEXT = (
    "a about all an and any are as at be by can data do does for from function get given has have how i if in into "
    "information is it its list make me my of on one or return returns set some string that the their this to tool "
    "use used user using value values what when where which will with you your"
)
COMMON = frozenset(COMMON_TEXT.split())


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool on offer. ``schema`` is a function's; ``form`` is a custom tool's ``format``."""

    kind: str
    name: str
    description: str
    place: str
    schema: Any = True
    form: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is made: the tool, and its arguments as JSON or, for a custom tool, its input."""

    tool: Tool
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What the request leaves to the model: ``none``, ``auto`` or ``required``, among these tools."""

    mode: str
    tools: tuple[Tool, ...]


def offered(body: dict[str, Any]) -> list[Tool]:
    """The tools of a request, old spelling included. Raises `Refusal`."""
    for name in ("tools", "functions"):
        if body.get(name) is not None and not isinstance(body[name], list):
            raise wrong_type(name, "a list")
    found = [tool(item, f"tools[{index}]") for index, item in enumerate(body.get("tools") or ())]
    for index, item in enumerate(body.get("functions") or ()):
        found.append(tool({"type": "function", "function": item}, f"functions[{index}]"))
    return found


def tool(raw: Any, place: str) -> Tool:
    """One tool. Raises `Refusal`."""
    kind = raw.get("type") if isinstance(raw, dict) else None
    if kind not in ("function", "custom"):
        raise wrong_value(f"{place}.type", "expected function or custom.")
    spec = raw.get(kind)
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str) or not spec["name"]:
        raise wrong_type(f"{place}.{kind}.name", "a string")
    description = spec.get("description")
    description = description if isinstance(description, str) else ""
    if kind == "custom":
        form = spec.get("format")
        return Tool(kind, spec["name"], description, place, form=form if isinstance(form, dict) else None)
    schema = spec.get("parameters")
    return Tool(kind, spec["name"], description, place, schema=True if schema is None else schema)


def choice(request: Request) -> Choice:
    """Who decides, and among what. Raises `Refusal` when the choice names a tool that is not on offer."""
    tools = offered(request.body)
    if request.script.tool is not None:
        return Choice("required", named(tools, [request.script.tool], "tollhouse_sim.tool"))
    legacy = request.body.get("function_call")
    asked = request.body.get("tool_choice")
    asked = legacy if asked is None else asked
    if asked is None or asked in ("auto", "none"):
        return Choice(asked or "auto", tuple(tools))
    if asked == "required":
        if not tools:
            raise wrong_value("tool_choice", "it needs tools to choose from.")
        return Choice("required", tuple(tools))
    if not isinstance(asked, dict):
        raise wrong_value("tool_choice", "expected none, auto, required or an object.")
    if request.body.get("tool_choice") is None:
        return Choice("required", named(tools, [asked.get("name")], "function_call"))
    kind = asked.get("type")
    spec = asked.get(kind) if isinstance(kind, str) else None
    if kind not in ("function", "custom", "allowed_tools") or not isinstance(spec, dict):
        raise wrong_value("tool_choice", "expected an object of type function, custom or allowed_tools.")
    if kind != "allowed_tools":
        return Choice("required", named(tools, [spec.get("name")], "tool_choice"))
    return allowed(tools, spec)


def allowed(tools: list[Tool], spec: dict[str, Any]) -> Choice:
    """The choice of ``allowed_tools``. Raises `Refusal`."""
    listed = spec.get("tools")
    if spec.get("mode") not in ("auto", "required") or not isinstance(listed, list):
        raise wrong_value("tool_choice.allowed_tools", "expected a mode of auto or required, and a list of tools.")
    names = [name_of(item) for item in listed]
    return Choice(spec["mode"], named(tools, names, "tool_choice.allowed_tools.tools") if names else ())


def name_of(item: Any) -> Any:
    """The name in one entry of ``allowed_tools``."""
    if not isinstance(item, dict):
        return None
    inner = item.get(item["type"]) if isinstance(item.get("type"), str) else None
    return inner.get("name") if isinstance(inner, dict) else item.get("name")


def named(tools: list[Tool], names: list[Any], param: str) -> tuple[Tool, ...]:
    """The tools of these names. Raises `Refusal` for one that is not there."""
    by_name = {tool.name: tool for tool in tools}
    for name in names:
        if not isinstance(name, str) or name not in by_name:
            raise wrong_value(param, f"there is no tool named {name!r}.")
    return tuple(by_name[name] for name in names)


def calls(request: Request, draws: Draws) -> list[Call]:
    """The calls that are made; empty when the answer is text. Raises `Refusal`."""
    decided = choice(request)
    if decided.mode == "none" or not decided.tools:
        return []
    ranked = matches(decided.tools, request.heard)
    if decided.mode == "auto" and (not ranked or request.prompt.last.role != "user"):
        return []
    ranked = ranked or [decided.tools[0]]
    parallel = request.body.get("parallel_tool_calls") is not False and not request.body.get("functions")
    if not parallel:
        return [call(ranked[0], request, draws, skip=0)]
    if len(ranked) > 1:
        return [call(each, request, draws, skip=0) for each in ranked[:2]]
    twice = takes_text(ranked[0]) and len(hints.names(request.heard)) > 1 and joins_names(request.heard)
    return [call(ranked[0], request, draws, skip=skip) for skip in range(2 if twice else 1)]


def matches(tools: Iterable[Tool], text: str) -> list[Tool]:
    """The tools that the text asks for, best first."""
    spoken = {stem(word) for word in WORD.findall(text.lower())}
    scored: list[tuple[int, Tool]] = []
    for each in tools:
        by_name = keywords(hints.words(each.name)) & spoken
        properties = each.schema.get("properties") if isinstance(each.schema, dict) else None
        about = {word for name in (properties if isinstance(properties, dict) else ()) for word in hints.words(name)}
        about |= set(WORD.findall(each.description.lower()))
        by_about = (keywords(about) & spoken) - by_name
        if by_name or len(by_about) > 1 or each.name.lower() in text.lower():
            scored.append((-(3 * len(by_name) + len(by_about)), each))
    scored.sort(key=lambda pair: pair[0])
    best = scored[0][0] if scored else 0
    found = [each for score, each in scored if 2 * score <= best]
    return found or ([next(iter(tools))] if USE.search(text) else [])


def keywords(words: Iterable[str]) -> set[str]:
    """The stems of the words that say something."""
    return {stem(word) for word in words if len(word) > 2 and word not in COMMON}


def stem(word: str) -> str:
    """A word without a plural's ending."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def takes_text(tool: Tool) -> bool:
    """Whether a required parameter is a string."""
    schema = tool.schema if isinstance(tool.schema, dict) else {}
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    specs = [properties.get(name) for name in required if isinstance(name, str)]
    return any(isinstance(spec, dict) and spec.get("type") == "string" and "enum" not in spec for spec in specs)


def joins_names(text: str) -> bool:
    """Whether two of its names stand beside each other, joined by "and", a comma or the like."""
    found = hints.names(text)
    return any(
        re.search(rf"{re.escape(first)}\s*(?:,|&|and|,\s*and|or|vs\.?|versus)\s+{re.escape(second)}", text)
        for first, second in itertools.pairwise(found)
    )


def call(tool: Tool, request: Request, draws: Draws, *, skip: int) -> Call:
    """A call with its arguments. Raises `Refusal` when the tool's schema or grammar cannot be honoured."""
    offers = Hints(request.heard, skip=skip)
    if tool.kind == "custom":
        return Call(tool, custom_input(tool, offers, draws))
    try:
        return Call(tool, json_text(instance(tool.schema, offers, draws, also=OBJECT, gone=request.gone)))
    except SchemaProblem as problem:
        raise Refusal(
            f"Invalid schema for function '{tool.name}': {problem}",
            param=f"{tool.place}.function.parameters" if tool.place.startswith("tools") else f"{tool.place}.parameters",
            code="invalid_function_parameters",
        ) from None


def json_text(value: Any) -> str:
    """JSON as models write it, with blanks behind commas and colons."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def custom_input(tool: Tool, offers: Hints, draws: Draws) -> str:
    """The input of a custom tool: free text, or text of its grammar. Raises `Refusal`."""
    form = tool.form or {}
    if form.get("type", "text") == "text":
        return (offers.quoted or [offers.text or "simulated input"])[0]
    spec = form.get("grammar")
    if form.get("type") != "grammar" or not isinstance(spec, dict) or not isinstance(spec.get("definition"), str):
        raise wrong_value(f"{tool.place}.custom.format", "expected text, or a grammar with its definition.")
    try:
        if spec.get("syntax") == "regex":
            return from_expression(spec["definition"], draws)
        if spec.get("syntax") == "lark":
            return grammar.text(spec["definition"], draws)
    except pattern.Unsupported as problem:
        raise Refusal(
            f"Invalid grammar for tool '{tool.name}': {problem}.",
            param=f"{tool.place}.custom.format.grammar.definition",
            code="invalid_grammar",
        ) from None
    raise wrong_value(f"{tool.place}.custom.format.grammar.syntax", "expected lark or regex.")


def from_expression(text: str, draws: Draws) -> str:
    """A text that the whole expression matches. Raises `Unsupported`."""
    read = pattern.read(text)
    whole = Pattern(Sequence((START, read.body, Anchor("end"))), read.also, read.never)
    fit = automaton.Fit(*automaton.machines(whole, automaton.Work()))
    for stretch in (2, 1, 3, 0, 6):
        if fit.holds(found := walk(read.body, draws, stretch)):
            return found
    searched = automaton.search(fit, draws)
    if searched is None:
        raise pattern.Unsupported("no text that the expression matches was found")
    return searched
