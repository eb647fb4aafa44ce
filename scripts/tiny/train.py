"""Trains `tollhouse/tiny` and writes the GGUF and its model card. Run it through ``scripts/train-tiny``.

The steps and all random choices are fixed by ``--seed``; the time depends on the machine. The figures of the card are
measured on the written file, in llama.cpp, not on the float weights.
"""
# ruff: noqa: S311 (chance, not secrecy)

import argparse
import time
from functools import partial
from pathlib import Path
from random import Random

import bpe
import export
import jax
import jax.numpy as jnp
import optimise
import words
from batches import Source, batches
from card import Run, write_card
from dialogues import copying, dialogue
from examine import examine
from model import Params, Shape, count, hidden_states, init

LONG_EVERY = 12
"""Every so many steps the batch is made of long, chained rows."""
COPYING_SHARE = 0.2
"""In this first part of training every other batch only teaches to copy, which all of JSON, calls and echo build on."""


def loss(params: Params, shape: Shape, tokens: jax.Array, segments: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted cross-entropy of the next token."""
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    logits = hidden_states(params, shape, tokens, segments, positions)[:, :-1] @ params["output"].T
    chosen = jnp.take_along_axis(logits, tokens[:, 1:, None], axis=-1)[..., 0]
    surprise = jax.nn.logsumexp(logits, axis=-1) - chosen
    return jnp.sum(surprise * weights[:, 1:]) / jnp.sum(weights[:, 1:])


@partial(jax.jit, static_argnames="shape", donate_argnums=(0, 1))
def update(
    params: Params, state: optimise.State, shape: Shape, batch: tuple[jax.Array, jax.Array, jax.Array], clock: jax.Array
) -> tuple[Params, optimise.State, jax.Array]:
    """One training step. ``clock`` is ``(step number from 1, learning rate factor)``."""
    value, gradients = jax.value_and_grad(loss)(params, shape, *batch)
    params, state = optimise.step(params, gradients, state, clock[0], clock[1])
    return params, state, value


def schedule(step: int, steps: int) -> float:
    """Warm-up over 50 steps, level, then down to nothing over the last 60 %."""
    return min(1.0, step / 50, (steps - step + 1) / (0.6 * steps))


def fit(shape: Shape, tokenizer: bpe.Tokenizer, steps: int, seed: int) -> tuple[Params, int]:
    """Trained weights, and how many tokens they saw."""
    params = init(shape, seed)
    state = optimise.begin(params)
    print(f"{count(params):,} parameters")
    short, long, copies = (
        batches(Random(seed + number), tokenizer, source)
        for number, source in enumerate(
            (Source(dialogue, 12, 256), Source(dialogue, 5, 512, chained=True), Source(copying, 12, 256))
        )
    )
    began, seen, mean = time.monotonic(), 0, 0.0
    for step in range(1, steps + 1):
        early = step < COPYING_SHARE * steps and step % 2
        batch = next(copies if early else long if step % LONG_EVERY == 0 else short)
        clock = jnp.asarray([step, schedule(step, steps)], jnp.float32)
        arrays = tuple(jnp.asarray(part) for part in (batch.tokens, batch.segments, batch.weights))
        params, state, value = update(params, state, shape, arrays, clock)
        seen += batch.tokens.size
        mean = float(value) if step == 1 else 0.97 * mean + 0.03 * float(value)
        if step % 100 == 0 or step == steps:
            taken = time.monotonic() - began
            print(f"step {step}/{steps}  loss {mean:.4f}  {seen / taken:,.0f} tokens/s  {taken:.0f} s", flush=True)
    return params, seen


def main() -> None:
    """Tokenizer, training, GGUF, probes, card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder of tiny.gguf and MODEL_CARD.md")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    shape = Shape()
    rng = Random(options.seed)
    texts = [text for _ in range(20_000) for _, text in dialogue(rng)]
    tokenizer = bpe.train(texts, shape.vocab)
    params, tokens = fit(shape, tokenizer, options.steps, options.seed)
    minutes = (time.monotonic() - began) / 60
    path = options.out / "tiny.gguf"
    export.write(path, params, shape, tokenizer)
    findings = examine(path, tokenizer)
    for probe, given in findings.misses:
        print(f"missed ({probe.area}): {probe.turns[-1][1]!r} -> {given!r}")
    run = Run(count(params), options.steps, tokens, minutes, options.seed, len(words.CAPITALS))
    write_card(options.out / "MODEL_CARD.md", path, shape, run, findings)
    print((options.out / "MODEL_CARD.md").read_text())


if __name__ == "__main__":
    main()
