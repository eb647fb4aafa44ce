"""`safety.embedding_bert`: the forward pass against a slow reference that shares no code with it."""

import math

import numpy as np
import pytest

from tests.safety.embedding_kit import VOCABULARY, WIDTH, tiny_tensors
from tollhouse.safety.embedding_bert import Bert, gelu
from tollhouse.safety.embedding_weights import EmbeddingFilesError, FloatArray

LAYERS, LONGEST = 2, 16
Rows = list[list[float]]


class Reference:
    """BERT in plain Python and double precision, one number at a time, after the paper."""

    def __init__(self, tensors: dict[str, FloatArray]) -> None:
        self.tensors = tensors

    def vector(self, name: str) -> list[float]:
        """One array of one dimension."""
        return [float(value) for value in self.tensors[name]]

    def matrix(self, name: str) -> Rows:
        """One array of two dimensions."""
        return [[float(value) for value in row] for row in self.tensors[name]]

    def linear(self, name: str, rows: Rows) -> Rows:
        """Weight and bias on every row."""
        weight, bias = self.matrix(f"{name}.weight"), self.vector(f"{name}.bias")
        return [
            [sum(a * b for a, b in zip(row, line, strict=True)) + add for line, add in zip(weight, bias, strict=True)]
            for row in rows
        ]

    def norm(self, name: str, rows: Rows) -> Rows:
        """A layer norm on every row."""
        weight, bias = self.vector(f"{name}.weight"), self.vector(f"{name}.bias")
        out = []
        for row in rows:
            mean = sum(row) / len(row)
            spread = math.sqrt(sum((value - mean) ** 2 for value in row) / len(row) + 1e-12)
            out.append([(v - mean) / spread * w + b for v, w, b in zip(row, weight, bias, strict=True)])
        return out

    def attend(self, name: str, rows: Rows) -> Rows:
        """Self-attention, head by head and place by place."""
        query, key, value = (self.linear(f"{name}.{part}", rows) for part in ("query", "key", "value"))
        out = [[0.0] * WIDTH for _ in rows]
        for first in range(0, WIDTH, 32):
            head = range(first, first + 32)
            for place in range(len(rows)):
                raw = [math.exp(sum(query[place][i] * other[i] for i in head) / math.sqrt(32)) for other in key]
                for i in head:
                    out[place][i] = sum(w * other[i] for w, other in zip(raw, value, strict=True)) / sum(raw)
        return out

    def embed(self, pieces: list[int]) -> list[list[float]]:
        """The unit vectors of one text, a layer each."""
        words = self.matrix("embeddings.word_embeddings.weight")
        places = self.matrix("embeddings.position_embeddings.weight")
        kind = self.matrix("embeddings.token_type_embeddings.weight")[0]
        rows = [
            [a + b + c for a, b, c in zip(words[piece], places[place], kind, strict=True)]
            for place, piece in enumerate(pieces)
        ]
        rows = self.norm("embeddings.LayerNorm", rows)
        vectors = []
        for number in range(LAYERS):
            name = f"encoder.layer.{number}"
            seen = self.linear(f"{name}.attention.output.dense", self.attend(f"{name}.attention.self", rows))
            rows = self.norm(f"{name}.attention.output.LayerNorm", added(rows, seen))
            wide = [
                [x / 2 * (1 + math.erf(x / math.sqrt(2))) for x in row]
                for row in self.linear(f"{name}.intermediate.dense", rows)
            ]
            rows = self.norm(f"{name}.output.LayerNorm", added(rows, self.linear(f"{name}.output.dense", wide)))
            mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
            length = math.sqrt(sum(value * value for value in mean))
            vectors.append([value / length for value in mean])
        return vectors


def added(first: Rows, second: Rows) -> Rows:
    """Two tables, number by number."""
    return [[a + b for a, b in zip(one, other, strict=True)] for one, other in zip(first, second, strict=True)]


@pytest.mark.parametrize("length", [1, 2, 5, LONGEST])
def test_the_forward_pass_equals_the_slow_reference(length: int) -> None:
    """For texts of every length and for each layer the vector is the reference's, within what 32-bit numbers hold."""
    tensors = tiny_tensors()
    chance = np.random.default_rng(length)
    pieces = chance.integers(0, VOCABULARY, (3, length))
    both, last = Bert(tensors).embed(pieces, (1, 2)), Bert(tensors).embed(pieces)
    assert both.shape == (3, 2 * WIDTH)
    assert both.dtype == np.float32
    for row, vector, vector_of_last in zip(pieces.tolist(), both, last, strict=True):
        first, second = Reference(tensors).embed(row)
        assert np.allclose(vector, first + second, rtol=0, atol=2e-6)
        assert np.allclose(vector_of_last, second, rtol=0, atol=2e-6)


def test_a_text_does_not_depend_on_its_neighbours() -> None:
    """The vector of a text is the same alone and in a batch."""
    model = Bert(tiny_tensors())
    pieces = np.arange(24).reshape(4, 6)
    together = model.embed(pieces)
    for row in range(4):
        assert np.allclose(model.embed(pieces[row : row + 1])[0], together[row], rtol=0, atol=1e-6)


def test_vectors_have_length_one() -> None:
    """So that a dot product is a cosine."""
    vectors = Bert(tiny_tensors()).embed(np.arange(10).reshape(5, 2))
    assert np.allclose((vectors * vectors).sum(axis=1), 1, atol=1e-6)


def test_gelu_is_precise_over_the_whole_range() -> None:
    """From far left to far right, over several blocks, within 4e-7 of the exact function and finite everywhere."""
    values = np.concatenate([np.linspace(-12, 12, 60_001), [-1e15, -1e9, 0.0, 1e9, 1e15]]).astype(np.float32)
    exact = [float(x) / 2 * (1 + math.erf(float(x) / math.sqrt(2))) for x in values[:-5]]
    found = values.reshape(3, -1).copy()
    gelu(found)
    flat = found.reshape(-1)
    assert np.abs(flat[:-5] - exact).max() < 4e-7
    assert flat[-5:].tolist() == [0.0, 0.0, 0.0, values[-2], values[-1]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors: tensors.clear(),
        lambda tensors: tensors.pop("encoder.layer.1.output.dense.bias"),
        lambda tensors: tensors.update({"encoder.layer.0.output.dense.weight": np.zeros((3, 3), np.float32)}),
        lambda tensors: tensors.update({"embeddings.word_embeddings.weight": np.zeros(8, np.float32)}),
        lambda tensors: tensors.update({"embeddings.word_embeddings.weight": np.zeros((8, 48), np.float32)}),
    ],
    ids=["nothing", "an array is missing", "a wrong shape", "flat words", "a width of no whole heads"],
)
def test_arrays_that_make_no_model_are_refused_at_the_start(spoil: object) -> None:
    """A missing array or a wrong shape is told when the model is made, not on a request."""
    tensors = tiny_tensors()
    assert callable(spoil)
    spoil(tensors)
    with pytest.raises(EmbeddingFilesError, match="not a BERT"):
        Bert(tensors)
