"""The forward pass of a small BERT in numpy: word pieces in, one unit vector out. `safety.embedding` calls it.

Theory of operation
-------------------
This is inference only, for the one architecture of all-MiniLM-L6-v2: embeddings, layers of self-attention and a GELU
network with a layer norm after each, the mean over all pieces, length 1 (Devlin et al. 2019; Reimers, Gurevych 2019).
A batch holds texts of equal length only, so there is no padding and no mask, and a text's vector does not depend on its
neighbours. Matrix products go to BLAS, which releases the GIL; the rest is element-wise and worked in place.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tollhouse.safety.embedding_weights import WEIGHTS, EmbeddingFilesError, FloatArray

WIDTH_PER_HEAD = 32
EPSILON = np.float32(1e-12)
BLOCK = 24_576
"""Numbers that GELU works on at a time: they stay in the core's own cache, which makes it four times as fast."""
ERF_SCALE = np.float32(0.3275911)
ERF_TERMS = tuple(map(np.float32, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)))
"""Abramowitz and Stegun 1964, formula 7.1.26: erf within 1.5e-7, about what 32 bits hold. numpy has no erf."""

PieceArray = NDArray[np.int64]


class Bert:
    """The weights of one model, ready to embed."""

    def __init__(self, tensors: Mapping[str, FloatArray]) -> None:
        """Takes arrays under the names of Hugging Face's ``BertModel``. Raises `EmbeddingFilesError`."""
        self._tensors = tensors
        try:
            words = tensors["embeddings.word_embeddings.weight"]
            self.vocabulary_size, self.width = words.shape
            self.longest = len(tensors["embeddings.position_embeddings.weight"])
            self._check()
        except (KeyError, ValueError) as error:
            raise EmbeddingFilesError(f"{WEIGHTS} is not a BERT that is known here: {error}") from error

    def _check(self) -> None:
        """One tiny pass, so that a missing array or a wrong shape shows at the start and not on a request."""
        self.layers = sum(name.endswith("attention.self.query.weight") for name in self._tensors)
        if self.width % WIDTH_PER_HEAD or not self.layers:
            raise ValueError(f"{self.layers} layers of width {self.width}")
        self.embed(np.zeros((1, 1), np.int64))

    def embed(self, pieces: PieceArray, layers: Sequence[int] = ()) -> FloatArray:
        """For each of some layers, counted from 1, a unit vector of each text, side by side; of the last by default.

        Takes piece numbers ``[texts, length]``, `longest` a text at most; gives ``[texts, width * layers]``.
        """
        texts, length = pieces.shape
        hidden = self._tensors["embeddings.word_embeddings.weight"][pieces]
        hidden += self._tensors["embeddings.position_embeddings.weight"][:length]
        hidden += self._tensors["embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm("embeddings.LayerNorm", hidden.reshape(texts * length, self.width))
        layers = layers or (self.layers,)
        vectors = []
        for number in range(max(layers)):
            hidden = self._layer(f"encoder.layer.{number}", hidden, texts)
            if number + 1 in layers:
                vectors.append(unit(hidden.reshape(texts, length, self.width).mean(axis=1)))
        return np.concatenate(vectors, axis=1)

    def _layer(self, name: str, hidden: FloatArray, texts: int) -> FloatArray:
        seen = self._attend(f"{name}.attention.self", hidden, texts)
        hidden += self._linear(f"{name}.attention.output.dense", seen)
        hidden = self._norm(f"{name}.attention.output.LayerNorm", hidden)
        wide = self._linear(f"{name}.intermediate.dense", hidden)
        gelu(wide)
        hidden += self._linear(f"{name}.output.dense", wide)
        return self._norm(f"{name}.output.LayerNorm", hidden)

    def _linear(self, name: str, hidden: FloatArray) -> FloatArray:
        out: FloatArray = hidden @ self._tensors[f"{name}.weight"].T
        out += self._tensors[f"{name}.bias"]
        return out

    def _norm(self, name: str, hidden: FloatArray) -> FloatArray:
        hidden -= hidden.mean(axis=1, keepdims=True)
        spread: FloatArray = np.einsum("ij,ij->i", hidden, hidden)[:, None] / np.float32(self.width)
        hidden /= np.sqrt(spread + EPSILON)
        hidden *= self._tensors[f"{name}.weight"]
        hidden += self._tensors[f"{name}.bias"]
        return hidden

    def _attend(self, name: str, hidden: FloatArray, texts: int) -> FloatArray:
        """Every piece's view of the others in its text, ``[texts * length, width]``."""
        heads = self.width // WIDTH_PER_HEAD
        shape = (texts, len(hidden) // texts, heads, WIDTH_PER_HEAD)
        query, key, value = (
            self._linear(f"{name}.{part}", hidden).reshape(shape).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        weights: FloatArray = query @ key.transpose(0, 1, 3, 2)
        weights *= np.float32(WIDTH_PER_HEAD**-0.5)
        weights -= weights.max(axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(hidden.shape)


def unit(rows: FloatArray) -> FloatArray:
    """The rows, brought in place to length 1, so that a dot product is a cosine."""
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    rows /= np.maximum(lengths, EPSILON)
    return rows


def gelu(values: FloatArray) -> None:
    """``x / 2 * (1 + erf(x / sqrt 2))``, in place, within 4e-7."""
    flat = values.reshape(-1)
    for place in range(0, flat.size, BLOCK):
        _gelu_block(flat[place : place + BLOCK])


def _gelu_block(values: FloatArray) -> None:
    """As ``max(x, 0) - |x| / 2 * erfc(|x| / sqrt 2)``: erfc is where the formula is precise, and nothing cancels."""
    size = np.abs(values)
    scaled: FloatArray = size * np.float32(0.5**0.5)
    step: FloatArray = np.reciprocal(scaled * ERF_SCALE + np.float32(1))
    tail: FloatArray = step * ERF_TERMS[0]
    for term in ERF_TERMS[1:]:
        tail += term
        tail *= step
    scaled *= scaled
    np.negative(scaled, out=scaled)
    tail *= np.exp(scaled, out=scaled)
    tail *= size
    tail *= np.float32(0.5)
    np.maximum(values, np.float32(0), out=values)
    values -= tail
