"""A tiny random model of the same architecture as all-MiniLM-L6-v2, for the tests of the second tier."""

import numpy as np

from tollhouse.safety.embedding_bert import Bert
from tollhouse.safety.embedding_vectors import WINDOW, Embedder
from tollhouse.safety.embedding_weights import FloatArray
from tollhouse.safety.embedding_wordpiece import WordPieces

WIDTH, VOCABULARY = 64, 40
NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop")


def tiny_tensors(layers: int = 2, longest: int = 16) -> dict[str, FloatArray]:
    """Arrays of random numbers: layers of width 64 with two heads of 32."""
    chance = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (longest, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for number in range(layers):
        name = f"encoder.layer.{number}"
        linear = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        linear |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (4 * WIDTH, WIDTH)}
        linear |= {"output.dense": (WIDTH, 4 * WIDTH)}
        for part, shape in linear.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{name}.{part}.weight": (WIDTH,), f"{name}.{part}.bias": (WIDTH,)}
    return {name: chance.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def tiny_embedder() -> Embedder:
    """Six layers, positions for a whole window, and sixteen letters as words."""
    pieces = WordPieces({name: number for number, name in enumerate(NAMES)})
    return Embedder(pieces, Bert(tiny_tensors(6, WINDOW)))
