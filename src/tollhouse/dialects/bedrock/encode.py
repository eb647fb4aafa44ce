"""A request in the inner form as the body of ``/model/{id}/converse``. Called by `providers.bedrock`.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. A member that Converse has under its
own name (``guardrailConfig``, ``performanceConfig``, ``additionalModelRequestFields``...) is passed on as the client
sent it; one that has no counterpart is a `Loss`. Nothing is sent that Claude is known to refuse
(`dialects.anthropic.models`), for a 400 would cost the client an answer that could be had.

A schema for the answer goes to ``outputConfig`` where the catalogue says that the model follows one; for the others it
is lost, and the gateway may see to it by other means.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tollhouse.dialects.anthropic.models import Traits, traits_of
from tollhouse.dialects.bedrock.blocks import Block, BlockWriter
from tollhouse.dialects.bedrock.families import Family, family_of
from tollhouse.dialects.bedrock.messages import Written, write_messages
from tollhouse.dialects.bedrock.thinking import THINKERS, Setting
from tollhouse.dialects.bedrock.words import SERVICE_TIERS
from tollhouse.dialects.forced import name_of
from tollhouse.dialects.wishes import (
    READ,
    Losses,
    Offer,
    clamp,
    functions_of,
    lose,
    lose_unread,
    most_tokens,
    offer_of,
    stops_of,
    thought_of,
)
from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Loss

_encode = msgspec.json.Encoder().encode

_GUARDRAIL = "guardrailConfig"
_PASSED: Mapping[str, str] = {
    _GUARDRAIL: _GUARDRAIL,
    "guardrail_config": _GUARDRAIL,
    "performanceConfig": "performanceConfig",
    "performance_config": "performanceConfig",
    "promptVariables": "promptVariables",
    "requestMetadata": "requestMetadata",
    "request_metadata": "requestMetadata",
    "serviceTier": "serviceTier",
    "outputConfig": "outputConfig",
    "additionalModelResponseFieldPaths": "additionalModelResponseFieldPaths",
    "additional_model_response_field_paths": "additionalModelResponseFieldPaths",
}
"""Converse's own members, in either spelling."""
_ADDITIONAL = ("additionalModelRequestFields", "additional_model_request_fields")
_KNOWN = READ | set(_PASSED) | set(_ADDITIONAL) | {
    *("temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "response_format", "service_tier"),
    *("reasoning", "reasoning_effort", "metadata"),
}  # fmt: skip
_CAPS = frozenset(
    {
        *("maxtokens", "maxnewtokens", "maxgenlen", "maxtokencount", "maxtokenstosample", "maxcompletiontokens"),
        *("maxoutputtokens", "maxlength", "n", "numgenerations", "numresults"),
    }
)
"""How the models' own APIs call the most tokens and the number of answers, without ``_`` and in lower case
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html).
"""
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}").fullmatch
_MOST_METADATA = 16
_LEAST_TOP_P = 0.95
"""What Claude takes while it thinks."""
_STOP_SEQUENCE_PATH = "/stop_sequence"


class Model(Struct, frozen=True):
    """What is known of the model that is asked."""

    name: str
    schema: bool = True
    """It follows a JSON Schema."""
    temperature: bool = True
    guardrail: str = ""
    """The operator's own, ``ID:VERSION``: every answer is given under it, and tells what it found."""


def write_body(body: Mapping[str, Any], model: Model, cap: int | None) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    """The body, and what of the client's wishes is not in it. Raises `UpstreamUnfit`.

    ``cap`` is the most tokens of the answer, in place of the client's own.
    """
    return _Encoder(body, model, cap).write()


class _Encoder:
    """One request."""

    __slots__ = ("_additional", "_body", "_cap", "_family", "_losses", "_model", "_traits")

    def __init__(self, body: Mapping[str, Any], model: Model, cap: int | None) -> None:
        self._body = body
        self._model = model
        self._cap = cap
        self._family: Family = family_of(model.name)
        self._traits: Traits = traits_of(model.name) if self._family.claude else Traits()
        self._losses: Losses = {}
        self._additional: dict[str, Any] = {}

    def write(self) -> tuple[dict[str, Any], tuple[Loss, ...]]:
        """See `write_body`."""
        body, losses = self._body, self._losses
        lose_unread(body, _KNOWN, losses)
        written = write_messages(body.get("messages") or [], self._model.name, self._family, losses)
        self._check_prefill(written)
        out: dict[str, Any] = {"messages": written.turns}
        if written.system:
            out["system"] = written.system
        most = most_tokens(body, self._cap)
        if tools := self._tools(written):
            out["toolConfig"] = tools
        forced = "any" in (choice := tools.get("toolChoice", {})) or "tool" in choice
        if (thought := thought_of(body, losses)).enabled is not None:
            setting = Setting(self._traits, most, forced, written.loose_call)
            self._additional |= THINKERS[self._family.thinking](thought, setting, losses)
        if config := self._inference(most):
            out["inferenceConfig"] = config
        self._top_k()
        self._put_output(out)
        self._put_own(out)
        return out, tuple(losses.values())

    def _check_prefill(self, written: Written) -> None:
        if not self._traits.prefill and written.turns and written.turns[-1]["role"] == "assistant":
            raise UpstreamUnfit("The model does not go on with an answer that was begun.", param="messages")

    # --- sampling ---

    @property
    def _thinks(self) -> bool:
        return self._additional.get("thinking", {}).get("type") in ("enabled", "adaptive")

    def _inference(self, most: int | None) -> dict[str, Any]:
        body, losses = self._body, self._losses
        config: dict[str, Any] = {}
        if most is not None:
            config["maxTokens"] = most
        for name, ours in (("temperature", "temperature"), ("top_p", "topP")):
            if (value := body.get(name)) is not None and self._samples(name, value, config):
                config[ours] = clamp(name, value, 0, 1, losses)
        stops = [stop for stop in stops_of(body) if stop.strip() or (stop and not self._family.claude)]
        if len(stops) < len(stops_of(body)):
            lose(losses, "stop", "the model takes no stop sequence of blanks alone")
        if stops:
            config["stopSequences"] = stops
        return config

    def _samples(self, name: str, value: float, config: dict[str, Any]) -> bool:
        """Whether the model can be given a value to sample with."""
        why = ""
        if not self._traits.sampling or (name == "temperature" and not self._model.temperature):
            why = "the model samples as it will"
        elif self._thinks and not (value == 1 or (name == "top_p" and value >= _LEAST_TOP_P)):
            why = "a model that thinks samples as it will"
        elif self._additional.get("reasoningConfig", {}).get("maxReasoningEffort") == "high":
            why = "a model that thinks with high effort samples as it will"
        elif name == "top_p" and self._traits.either and "temperature" in config:
            why = "the model takes temperature or top_p, not both"
        if why:
            lose(self._losses, name, why)
        return not why

    def _top_k(self) -> None:
        value, path = self._body.get("top_k"), self._family.top_k
        if value is None:
            return
        if not path or not self._traits.sampling or self._thinks:
            lose(self._losses, "top_k", "the model has no such parameter")
            return
        holder = self._additional
        for name in path[:-1]:
            holder = holder.setdefault(name, {})
        holder[path[-1]] = value

    # --- tools ---

    def _tools(self, written: Written) -> dict[str, Any]:
        """``toolConfig``; empty where there is nothing to call and nothing was called."""
        losses = self._losses
        kinds = self._family.choices if self._traits.forced else frozenset()
        named = _named(self._body.get("tool_choice")) if "tool" in kinds else ""
        offer = Offer(self._body.get("tools") or [], "required") if named else offer_of(self._body)
        if offer.mode == "none":
            how = ("the host has no such choice", "dropped") if written.called else ("no tool is sent", "emulated")
            lose(losses, "tool_choice", *how)
        tools = [] if offer.mode == "none" and not written.called else self._specs(offer.tools)
        if not tools:
            if written.called:  # Converse refuses a history of calls without the tools that were called
                lose(losses, "tools", "the host is told of the tools that were called", "changed")
                tools = [_spec({"name": name, "parameters": {"type": "object"}}) for name in written.called]
            return {"tools": tools} if tools else {}
        if self._body.get("parallel_tool_calls") is False:
            lose(losses, "parallel_tool_calls", "the host has no such parameter")
        config: dict[str, Any] = {"tools": tools}
        if offer.mode == "required" and kinds:
            config["toolChoice"] = {"tool": {"name": named}} if named else {"any": {}}
        elif offer.mode == "required":
            lose(losses, "tool_choice", "the model cannot be made to call a tool")
        if offer.narrowed:
            lose(losses, "tool_choice", "the other tools are not sent", "emulated")
        return config

    def _specs(self, tools: list[dict[str, Any]]) -> list[Block]:
        losses = self._losses
        points = BlockWriter(self._family, losses)
        specs: list[Block] = []
        for place, tool in enumerate(tools):
            plain = {name: value for name, value in tool.items() if name != "cache_control"}
            own: Losses = {}
            functions = functions_of([plain], own)
            for loss in own.values():
                lose(losses, loss.param.replace("tools[0]", f"tools[{place}]"), loss.why, loss.how)
            for function in functions:
                strict = (tool.get("function") or {}).get("strict") is True
                if strict and not (self._model.schema and self._family.claude):
                    lose(losses, f"tools[{place}].function.strict", "the model does not promise to follow a schema")
                    strict = False
                specs.append(_spec(function["function"], strict=strict))
            if specs and tool.get("cache_control") is not None:
                specs += points.cache_point(tool["cache_control"], "tools")
        return specs

    # --- the rest ---

    def _put_output(self, out: dict[str, Any]) -> None:
        wanted = self._body.get("response_format") or {}
        kind = wanted.get("type")
        if kind in (None, "text"):
            return
        given = wanted.get("json_schema") or {}
        if kind != "json_schema" or not self._model.schema or not isinstance(given.get("schema"), dict):
            lose(self._losses, "response_format", "the model does not promise to follow a schema")
            return
        told = {name: given[name] for name in ("name", "description") if given.get(name)}
        schema = given["schema"]
        if self._family.claude and (closed := _closed(schema)) != schema:
            lose(self._losses, "response_format", "objects have no members but those of the schema", "changed")
            schema = closed
        definition = {"schema": _encode(schema).decode(), **told}
        out["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}

    def _put_own(self, out: dict[str, Any]) -> None:
        """What Converse has under its own name, the client's word over ours."""
        body = self._body
        self._put_metadata(out)
        tier = body.get("service_tier")
        if isinstance(tier, str) and tier in SERVICE_TIERS:
            out["serviceTier"] = {"type": SERVICE_TIERS[tier]}
        elif tier not in (None, "auto"):
            lose(self._losses, "service_tier", "the host has no such tier")
        if self._family.claude and "stopSequences" in out.get("inferenceConfig", {}):
            out["additionalModelResponseFieldPaths"] = [_STOP_SEQUENCE_PATH]
        for name, ours in _PASSED.items():
            if body.get(name) is not None:
                out[ours] = body[name]
        self._guard(out)
        for name in _ADDITIONAL:
            if isinstance(given := body.get(name), dict):
                self._additional |= given if self._cap is None else self._capped(given, name)
        if self._additional:
            out["additionalModelRequestFields"] = self._additional

    def _guard(self, out: dict[str, Any]) -> None:
        """Puts the operator's guardrail in the place of any that the client names."""
        identifier, _, version = self._model.guardrail.partition(":")
        if identifier:
            if _GUARDRAIL in out:
                lose(self._losses, _GUARDRAIL, "the operator's guardrail is used", "changed")
            named = {"guardrailIdentifier": identifier, "guardrailVersion": version or "DRAFT"}
            out[_GUARDRAIL] = {**named, "trace": "enabled"}

    def _capped(self, fields: dict[str, Any], where: str) -> dict[str, Any]:
        """A model's own fields without those that say how much it may write: the cap is not the client's to lift."""
        kept: dict[str, Any] = {}
        for name, value in fields.items():
            if name.replace("_", "").lower() in _CAPS:
                lose(self._losses, f"{where}.{name}"[:128], "the gateway sets the most tokens of this answer")
            else:
                kept[name] = self._capped(value, where) if isinstance(value, dict) else value
        return kept

    def _put_metadata(self, out: dict[str, Any]) -> None:
        metadata = self._body.get("metadata")
        if not isinstance(metadata, dict) or not metadata:
            return
        words = [word for pair in metadata.items() for word in pair]
        if len(metadata) <= _MOST_METADATA and all(isinstance(word, str) and _METADATA(word) for word in words):
            out["requestMetadata"] = metadata
        else:
            lose(self._losses, "metadata", "the host takes 16 pairs of letters, digits and a few signs")


def _named(choice: object) -> str:
    """The tool that has to be called, where the client names one."""
    return name_of(choice) if isinstance(choice, dict) and choice.get("type") in ("function", "custom") else ""


def _spec(function: Mapping[str, Any], *, strict: bool = False) -> Block:
    spec: dict[str, Any] = {"name": function["name"]}
    if function.get("description"):
        spec["description"] = function["description"]
    spec["inputSchema"] = {"json": function["parameters"]}
    if strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _closed(schema: Any) -> Any:
    """A schema whose objects take no other members, as Claude demands it: a copy."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and schema.get("additionalProperties") is not False:
        closed["additionalProperties"] = False
    return closed
