"""The network: llama's architecture at 1.9 M parameters, in jax. Called by `train`; `export` writes the same weights as
GGUF.

RMSNorm before each half of a block, rotary positions on interleaved pairs (llama.cpp's ``LLAMA`` rope), SwiGLU, no
biases. A row of the batch packs several dialogues; ``segments`` keeps their attention apart.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

Params = dict[str, jax.Array]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network. ``width`` and ``hidden`` are multiples of 32, the block of Q8_0."""

    vocab: int = 2048
    width: int = 160
    layers: int = 4
    heads: int = 5
    hidden: int = 448
    context: int = 2048
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_width(self) -> int:
        """The width of one attention head."""
        return self.width // self.heads


def init(shape: Shape, seed: int) -> Params:
    """Fresh weights, float32. Matrices are (out, in), as GGUF stores them."""
    rng = np.random.default_rng(seed)

    def normal(rows: int, columns: int, scale: float) -> jax.Array:
        return jnp.asarray(rng.standard_normal((rows, columns)) * scale, jnp.float32)

    inward, outward = shape.width**-0.5, shape.width**-0.5 / (2 * shape.layers) ** 0.5
    params: Params = {
        "token_embd": normal(shape.vocab, shape.width, 0.02),
        "output": normal(shape.vocab, shape.width, 0.02),
        "output_norm": jnp.ones(shape.width),
    }
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v"):
            params[block + name] = normal(shape.width, shape.width, inward)
        params[block + "attn_output"] = normal(shape.width, shape.width, outward)
        params[block + "ffn_gate"] = normal(shape.hidden, shape.width, inward)
        params[block + "ffn_up"] = normal(shape.hidden, shape.width, inward)
        params[block + "ffn_down"] = normal(shape.width, shape.hidden, outward)
        params[block + "attn_norm"] = jnp.ones(shape.width)
        params[block + "ffn_norm"] = jnp.ones(shape.width)
    return params


def count(params: Params) -> int:
    """The number of parameters."""
    return sum(int(value.size) for value in params.values())


def norm(x: jax.Array, scale: jax.Array, eps: float) -> jax.Array:
    """RMSNorm."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * scale


def rotate(x: jax.Array, positions: jax.Array, base: float) -> jax.Array:
    """Rotary positions over interleaved pairs. ``x`` is (batch, time, heads, head width)."""
    width = x.shape[-1]
    frequency = base ** (-jnp.arange(0, width, 2) / width)
    angle = (positions[..., None] * frequency)[:, :, None, :]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack((even * cos - odd * sin, even * sin + odd * cos), axis=-1).reshape(x.shape)


def hidden_states(
    params: Params, shape: Shape, tokens: jax.Array, segments: jax.Array, positions: jax.Array
) -> jax.Array:
    """The last layer's normalised states, (batch, time, width)."""
    batch, time = tokens.shape
    x = params["token_embd"][tokens]
    allowed = (segments[:, :, None] == segments[:, None, :]) & jnp.tril(jnp.ones((time, time), bool))
    bias = jnp.where(allowed, 0.0, -1e9)[:, None]
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        h = norm(x, params[block + "attn_norm"], shape.norm_eps)
        query, key, value = (
            (h @ params[block + name].T).reshape(batch, time, shape.heads, shape.head_width)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        query, key = (rotate(part, positions, shape.rope_base) for part in (query, key))
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * shape.head_width**-0.5 + bias
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, axis=-1), value)
        x = x + mixed.reshape(batch, time, shape.width) @ params[block + "attn_output"].T
        h = norm(x, params[block + "ffn_norm"], shape.norm_eps)
        gate = jax.nn.silu(h @ params[block + "ffn_gate"].T)
        x = x + (gate * (h @ params[block + "ffn_up"].T)) @ params[block + "ffn_down"].T
    return norm(x, params["output_norm"], shape.norm_eps)
