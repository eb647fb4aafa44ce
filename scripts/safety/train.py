"""Trains the local safety classifier: weights, thresholds, figures, card. Run it through ``scripts/train-safety``.

Bit for bit the same for the same data, packages and machine: one thread, fixed orders, and weights that are whole
numbers. The figures are of cross-validation: five models that have not seen a fifth of OpenAI's moderation rows judge
that fifth. The shipped weights have seen all five.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sample
import scipy.sparse as sp
import student
from card import write_card
from data import CROSS_VALIDATED, FOLDS, OPENINGS, ORDINARY, PLAIN, TWINS, Rows, folds, read_rows
from evaluate import chosen_thresholds, figures, scores_of
from student import Examples, Head, balanced, fit
from teacher import chances, embeddings, is_taught, words_and_pieces

from tollhouse.safety.classifier import Classifier, model_of
from tollhouse.safety.weights import HEADS, read_weights, weights_file

STRENGTHS = {"jailbreak": 30.0}
"""The regression's C. Jailbreaks have nothing soft about them: every label is known."""
STRENGTH = 10.0
"""The same of all other heads."""
BOOST, HATE_BOOST = 160.0, 960.0
"""How much more the moderation rows count than their number. Of hate they have a notion of their own."""
UNKNOWN_SHARE, WORDS_SHARE, PIECES_SHARE = 2.0, 2.0, 1.5
"""What texts of unknown label, words, and pieces of texts count, all together, beside all texts of public sets."""
ORDINARY_BOOST = 3.0
"""The same of our own ordinary texts, which are few and stand for most of what is ever judged."""
SHARES = {f"{ORDINARY}_talk": 4.0, f"{ORDINARY}_groups": 2.0, OPENINGS: 2.0}
"""What our short texts count, each kind all together, beside all texts of public sets."""
PARTS_OF_SHARES = {"hate": 0.55, "jailbreak": 0.05}
"""How much of that for heads that need less: jailbreaks begin as role plays do."""


class PlainShares(NamedTuple):
    """What our plain lines count, all together, beside all texts of public sets."""

    harmful: float
    twins: float
    others: float
    """Lines that do another harm than the head's."""


PLAIN_SHARES = {"hate": PlainShares(1.5, 5.0, 0.5), "jailbreak": PlainShares(0.02, 0.08, 0.01)}
MOST_PLAIN_SHARES = PlainShares(2.0, 16.0, 1.0)
"""The same of all other heads."""
HATE, JAILBREAK = HEADS.index("hate"), HEADS.index("jailbreak")


class Lessons(NamedTuple):
    """What all heads and folds share."""

    rows: Rows
    hits: sp.csr_matrix
    """Of all rows, then of the words, then of the pieces."""
    embedded: np.ndarray
    """Of the same; zero where it is never asked for."""
    words: int
    pieces: int


def lessons(rows: Rows, cache: Path) -> Lessons:
    """Counts and embeds everything."""
    words, pieces = words_and_pieces(rows)
    hits = student.matrix([*rows.texts, *words, *pieces])
    asked = np.flatnonzero(np.concatenate([is_taught(rows), np.ones(len(words + pieces), bool)]))
    texts = [*rows.texts, *words, *pieces]
    embedded = np.zeros((len(texts), 384), np.float32)
    embedded[asked] = embeddings([texts[place] for place in asked], cache)
    return Lessons(rows, hits, embedded, len(words), len(pieces))


def examples(from_: Lessons, head: int, moderated: np.ndarray) -> Examples:
    """What one head learns from: labelled rows, and what the teacher says of texts, words and pieces."""
    rows = from_.rows
    shared = rows.of(*SHARES)
    public = np.flatnonzero(~rows.held_out & ~shared & ~rows.of(PLAIN))
    labels = rows.labels[:, head]
    known = np.concatenate([public, moderated])
    known = known[labels[known] >= 0]
    weights = balanced(labels[known], rows.sources[known], CROSS_VALIDATED, HATE_BOOST if head == HATE else BOOST)
    whole = weights[(rows.sources[known] != CROSS_VALIDATED)].sum()
    weights[rows.of(ORDINARY)[known]] *= ORDINARY_BOOST
    public_weight = weights[rows.sources[known] != CROSS_VALIDATED].sum()
    short = np.flatnonzero(shared)
    counts = dict(zip(*np.unique(rows.sources[short], return_counts=True), strict=True))
    short_weights = np.array([SHARES[source] * whole / counts[source] for source in rows.sources[short]])
    short_weights *= PARTS_OF_SHARES.get(HEADS[head], 1.0)
    parts = [
        Examples(known, labels[known].astype(float), weights),
        Examples(short, np.zeros(len(short)), short_weights),
        plain_examples(rows, head, public_weight),
    ]
    if head != JAILBREAK:
        parts.insert(1, taught_examples(from_, head, known, public, public_weight))
    return Examples(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def plain_examples(rows: Rows, head: int, public_weight: float) -> Examples:
    """What one head learns from our plain lines."""
    ours, twins, labels = rows.of(PLAIN), rows.of(TWINS), rows.labels[:, head]
    kinds = [np.flatnonzero(ours & of) for of in (labels == 1, (labels == 0) & twins, (labels == 0) & ~twins)]
    shares = PLAIN_SHARES.get(HEADS[head], MOST_PLAIN_SHARES)
    counts = [np.full(len(kind), share * public_weight / len(kind)) for kind, share in zip(kinds, shares, strict=True)]
    places = np.concatenate(kinds)
    return Examples(places, labels[places].astype(float), np.concatenate(counts))


def taught_examples(from_: Lessons, head: int, known: np.ndarray, public: np.ndarray, public_weight: float) -> Examples:
    """What the teacher, who has seen the known labels, says of texts without one, of words and of pieces."""
    rows = from_.rows
    labels = rows.labels[:, head]
    taught = is_taught(rows)
    learned = known[taught[known]]
    unknown = public[(labels[public] < 0) & taught[public]]
    of_texts = balanced(labels[unknown], rows.sources[unknown], "", 1.0)
    words = len(rows.texts) + np.arange(from_.words)
    pieces = len(rows.texts) + from_.words + np.arange(from_.pieces)
    asked = np.concatenate([unknown, words, pieces])
    said = chances(from_.embedded[learned], labels[learned], rows.sources[learned], from_.embedded[asked])
    asked_weights = np.concatenate(
        [
            of_texts / of_texts.sum() * UNKNOWN_SHARE,
            np.full(len(words), WORDS_SHARE / len(words)),
            np.full(len(pieces), PIECES_SHARE / len(pieces)),
        ]
    )
    return Examples(asked, said, asked_weights * public_weight)


def trained(from_: Lessons, moderated: np.ndarray, jailbreak: Head | None = None) -> list[Head]:
    """All heads. No moderation row says anything of jailbreaks, so that head is the same in every fold."""
    heads = [learned(from_, head, moderated) for head in range(JAILBREAK)]
    return [*heads, jailbreak or learned(from_, JAILBREAK, moderated)]


def learned(from_: Lessons, head: int, moderated: np.ndarray) -> Head:
    """One head."""
    return fit(from_.hits, examples(from_, head, moderated), STRENGTHS.get(HEADS[head], STRENGTH))


def classifier(data: bytes) -> Classifier:
    """The classifier that a weights file makes."""
    return Classifier(model_of(data))


def file_of(heads: list[Head], thresholds: np.ndarray) -> bytes:
    """The weights file of trained heads."""
    planes = [head.weights.tolist() for head in heads]
    return weights_file(planes, [head.scale for head in heads], [head.bias for head in heads], thresholds.tolist())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--out", type=Path, default=Path("src/tollhouse/safety/data"))
    parser.add_argument("--card", type=Path, default=Path("src/tollhouse/docs/safety-model.md"))
    parser.add_argument("--sample", type=Path, default=Path("tests/fixtures/safety_sample.jsonl"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/safety"))
    options = parser.parse_args()
    rows = read_rows(options.data)
    material = lessons(rows, options.cache)
    moderated = np.flatnonzero(rows.sources == CROSS_VALIDATED)
    fold = folds([rows.texts[place] for place in moderated])
    unset = np.ones((len(HEADS), 3))
    shipped = trained(material, moderated)
    crossed = np.zeros((len(moderated), len(HEADS)))
    for number in range(FOLDS):
        part = file_of(trained(material, moderated[fold != number], shipped[JAILBREAK]), unset)
        texts = [rows.texts[place] for place in moderated[fold == number]]
        crossed[fold == number] = scores_of(classifier(part), texts)
        print(f"fold {number + 1} of {FOLDS}", flush=True)
    np.save(options.cache / "crossed.npy", crossed)
    data = file_of(shipped, chosen_thresholds(classifier(file_of(shipped, unset)), rows))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "weights.bin").write_bytes(data)
    found = figures(classifier(data), rows, moderated, crossed)
    found["sample"] = sample.write(options.sample, rows, read_weights(data))
    (options.out / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    write_card(options.card, found, rows, data)


if __name__ == "__main__":
    main()
