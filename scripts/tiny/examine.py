"""Puts the probes to the written GGUF, in llama.cpp. Called by `train`, or by hand: ``python examine.py tiny.gguf``."""

import sys
from dataclasses import dataclass
from pathlib import Path

import bpe
import xllamacpp
from dialogues import Turn
from probes import Probe, all_probes, score


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


def examine(path: Path, tokenizer: bpe.Tokenizer | None = None) -> Findings:
    """Greedy answers to every probe. With a tokenizer, checks first that llama.cpp splits text as training did."""
    server = serve(path)

    def answer(turns: tuple[Turn, ...]) -> str:
        messages = [{"role": role, "content": text} for role, text in turns]
        request = {"messages": messages, "temperature": 0.0, "max_tokens": 160}
        try:
            reply = server.handle_chat_completions(request)
        except RuntimeError as error:
            return f"(the engine failed: {error})"
        return str(reply["choices"][0]["message"]["content"])

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
