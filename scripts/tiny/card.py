"""Writes the model card from what was measured. Called by `train`; nothing in the table is typed by hand."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from examine import Findings
from model import Shape

TEXT = """\
# tollhouse/tiny: model card

A chat model of {parameters:,} parameters that ships with Tollhouse, so that a fresh install can answer a chat request
with a real model: offline, in CI, and in the quickstart. It is a demo. It is not an assistant.

| | |
|---|---|
| file | `tiny.gguf`, {size:,} bytes, Q8_0, SHA-256 `{digest}` |
| architecture | llama: {layers} layers, width {width}, {heads} heads, SwiGLU of {hidden}, RMSNorm, rotary positions |
| tokenizer | byte-level BPE of {vocab:,} tokens, trained on the same dialogues; digits are single tokens |
| context | {context:,} tokens are accepted; training saw conversations of up to 512 |
| runs on | llama.cpp, one thread is plenty |
| licence | Apache-2.0, the weights and the data like the rest of Tollhouse |

## How it was made

From random weights, on dialogues that generators of ours write (`scripts/tiny`): no other model's output and nobody
else's text is in them. {steps:,} steps, {tokens:,} tokens (padding included), {minutes:.0f} minutes on two processor
cores that other work was using too, with `scripts/train-tiny`, seed {seed}. The optimiser is Muon for the matrices and
Adam for the rest.

## What it can do

Greet; say what it is; answer short questions about Tollhouse (how to start it, keys, base URL, curl, local models,
...); add and subtract numbers up to 10 and multiply up to 10 x 10, from a table it learned by heart; name the
capitals of {countries} countries; repeat words; make short lists; write small JSON objects; count; tell a short story
from a fixed stock; remember a name told earlier in the conversation; call a function that it is offered when the
question names it, with arguments copied from the question; repeat a tool's answer. To everything else it should
answer that it is only a small demo model, and that a provider should be connected.

## Measured

On the shipped file, in llama.cpp, at temperature 0. Topics, capitals, lists, sums and names are asked for in
wordings that training never used (but for the first row of sums, the table as training words it); unknown questions
use forms and words that training never used; phrases, JSON values and functions are drawn anew, in wordings of
training; calls are made through the engine's own tools or schema, as a client's are. "No call needed" asks for
capitals while functions that do not fit are offered. An answer counts only when it is exactly one of the expected
ones (JSON: equal as a value).

| area | right |
|---|---|
{rows}

## What it cannot do

- Anything not listed above. It has no knowledge of the world and no reasoning. Outside its topics it sometimes gives a
  wrong answer in place of the fallback; the table says how often on our probes, real users will find more.
- Languages other than English. Long conversations: it was trained on at most 512 tokens.
- Be safe to rely on. Every figure it gives should be taken as made up.
- With a JSON schema it produces *valid* JSON (the engine enforces that), but hardly ever *sensible* values.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be told of one training run."""

    parameters: int
    steps: int
    tokens: int
    minutes: float
    seed: int
    countries: int


def write_card(path: Path, model: Path, shape: Shape, run: Run, findings: Findings) -> None:
    """``MODEL_CARD.md``."""
    data = model.read_bytes()
    rows = [f"| {area} | {good} of {total} |" for area, (good, total) in findings.counts.items()]
    good, total = (sum(pair[place] for pair in findings.counts.values()) for place in (0, 1))
    text = TEXT.format(
        parameters=run.parameters,
        size=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        layers=shape.layers,
        width=shape.width,
        heads=shape.heads,
        hidden=shape.hidden,
        vocab=shape.vocab,
        context=shape.context,
        steps=run.steps,
        tokens=run.tokens,
        minutes=run.minutes,
        seed=run.seed,
        countries=run.countries,
        rows="\n".join([*rows, f"| **together** | **{good} of {total}** |"]),
    )
    path.write_text(text)
