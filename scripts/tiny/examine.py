"""Puts the probes to the written GGUF, in llama.cpp. Called by `train`, or by hand: ``python examine.py tiny.gguf``."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpe
import xllamacpp
from probes import FORCED_CALLS, Probe, all_probes, score
from shapes import FORCED


@dataclass(frozen=True, slots=True)
class Findings:
    """Right answers and probes per area, and the misses."""

    counts: dict[str, tuple[int, int]]
    misses: list[tuple[Probe, str]]


def serve(path: Path) -> xllamacpp.Server:
    """The model in llama.cpp, one slot."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 1024, 1, False, -1
    params.cpuparams.n_threads = 1
    return xllamacpp.Server(params)


def request_of(probe: Probe) -> dict[str, Any]:
    """The request, as Tollhouse makes it of llama.cpp: a forced call is asked for as JSON under a schema."""
    messages = [{"role": role, "content": text} for role, text in probe.turns]
    request: dict[str, Any] = {"messages": messages, "temperature": 0.0, "max_tokens": 160}
    if probe.area == FORCED_CALLS:
        text = f"{FORCED}\n{json.dumps(probe.functions)}"
        schema = {"anyOf": [schema_of(function) for function in probe.functions]}
        request["messages"] = [{"role": "system", "content": text}, *messages]
        request["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
    elif probe.functions:
        request["tools"] = [{"type": "function", "function": function} for function in probe.functions]
    return request


def schema_of(function: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a call of one function."""
    properties = {"name": {"const": function["name"]}, "arguments": function["parameters"]}
    return {
        "type": "object",
        "properties": properties,
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def examine(path: Path, tokenizer: bpe.Tokenizer | None = None) -> Findings:
    """Greedy answers to every probe. With a tokenizer, checks first that llama.cpp splits text as training did."""
    server = serve(path)

    def answer(probe: Probe) -> str:
        try:
            message = server.handle_chat_completions(request_of(probe))["choices"][0]["message"]
        except RuntimeError as error:
            return f"(the engine failed: {error})"
        if calls := message.get("tool_calls"):
            function = calls[0]["function"]
            return f'{{"name": "{function["name"]}", "arguments": {function["arguments"]}}}'
        return str(message["content"])

    probes = all_probes()
    if tokenizer is not None:
        for probe in probes:
            ids = tokenizer.encode(probe.turns[-1][1])
            counted = server.handle_completions({"prompt": probe.turns[-1][1], "max_tokens": 1})["usage"][
                "prompt_tokens"
            ]
            if counted != len(ids):
                raise AssertionError(f"llama.cpp splits this text otherwise: {probe.turns[-1][1]!r}")
    counts, misses = score(answer, probes)
    return Findings(counts, misses)


if __name__ == "__main__":
    found = examine(Path(sys.argv[1]))
    for probe, given in found.misses:
        print(f"{probe.area}: {probe.turns[-1][1]!r}\n    {given!r}")
    for area, (good, total) in found.counts.items():
        print(f"{area:24} {good}/{total}")
