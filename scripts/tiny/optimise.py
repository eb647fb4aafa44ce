"""The optimiser, called by `train`: Muon for the matrices of the blocks, Adam for embeddings and norms.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/): the momentum of a matrix is made nearly
orthogonal before it is applied. At this size it learns about twice as fast per token as Adam alone.
"""

import jax
import jax.numpy as jnp
from model import Params

State = dict[str, tuple[jax.Array, jax.Array]]
MUON_RATE, ADAM_RATE, DECAY = 0.02, 4e-3, 0.01
BETA_ONE, BETA_TWO, MOMENTUM, TINY = 0.9, 0.98, 0.95, 1e-8


def uses_muon(name: str, value: jax.Array) -> bool:
    """Matrices inside the blocks; everything else is Adam's."""
    return name.startswith("blk.") and value.ndim == 2


def begin(params: Params) -> State:
    """Zero moments."""
    return {name: (jnp.zeros_like(value), jnp.zeros_like(value)) for name, value in params.items()}


def orthogonal(matrix: jax.Array) -> jax.Array:
    """Five Newton-Schulz steps towards the nearest orthogonal matrix; the coefficients are Muon's."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (jnp.linalg.norm(wide) + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def step(params: Params, gradients: Params, state: State, number: jax.Array, scale: jax.Array) -> tuple[Params, State]:
    """One update. ``number`` counts from 1, ``scale`` is the schedule's factor in [0, 1]."""
    size = jnp.sqrt(sum(jnp.sum(value * value) for value in gradients.values()))
    clip = jnp.minimum(1.0, 1.0 / (size + 1e-6))
    new_params, new_state = {}, {}
    for name, value in params.items():
        gradient, (first, second) = gradients[name] * clip, state[name]
        if uses_muon(name, value):
            first = MOMENTUM * first + gradient
            change = orthogonal(gradient + MOMENTUM * first) * max(1.0, value.shape[0] / value.shape[1]) ** 0.5
            new_params[name] = value * (1 - MUON_RATE * scale * DECAY) - MUON_RATE * scale * change
        else:
            first = BETA_ONE * first + (1 - BETA_ONE) * gradient
            second = BETA_TWO * second + (1 - BETA_TWO) * gradient * gradient
            change = (first / (1 - BETA_ONE**number)) / (jnp.sqrt(second / (1 - BETA_TWO**number)) + TINY)
            new_params[name] = value - ADAM_RATE * scale * change
        new_state[name] = (first, second)
    return new_params, new_state
