"""The texts that the safety classifier is trained and examined on, as arrays. Called by ``train.py``, ``evaluate.py``.

DATA is a directory with ``train.jsonl`` and ``dev.jsonl``: rows of ``{text, labels, source, licence}``, where labels
are 0 or 1 per category and one that is absent is not known. Of ``dev.jsonl`` only the rows of OpenAI's moderation set
are ever trained on; everything else there is for choosing thresholds and for figures.
"""

import json
import re
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from ordinary import are_alike, everyday_texts, lines_of, ordinary_texts
from plain import Plain, plain_lines

from tollhouse.safety.weights import HEADS

CROSS_VALIDATED = "openai_mod"
FOLDS = 5
ORDINARY = "ordinary"
"""Our own rows."""
PLAIN, TWINS = "plain", "plain_twins"
"""Our own plain lines, and those of them that are the harmless twins of the others."""
HARMLESS = Path(__file__).parent / "harmless_prompts.txt"
OPENINGS, MOST_WORDS = "openings", 12
"""The first words of texts that are `BENIGN`, and how many at most: how short texts and streams begin."""
BENIGN = ("gpteacher_", "selfinstruct_seed", "awesome")
"""What people and models ordinarily write: thresholds are chosen on these rows of ``dev.jsonl``."""
KNOWN_JAILBREAKS = "inthewild"
_ALIKE = 0.4
"""Two texts that share this part of their words are near duplicates: they never stand in different folds."""


class Rows(NamedTuple):
    """Texts, and what is known of each."""

    texts: list[str]
    sources: np.ndarray
    licences: np.ndarray
    held_out: np.ndarray
    """Whether a row is of ``dev.jsonl``."""
    labels: np.ndarray
    """Per text and head: 1, 0, or -1 for not known. Harassment counts as hate."""
    hate_alone: np.ndarray
    """The label ``hate`` without harassment."""
    harmful: np.ndarray
    """Whether any label but ``jailbreak`` is 1."""

    def of(self, *prefixes: str) -> np.ndarray:
        """Whether each row's source begins so."""
        return np.array([source.startswith(prefixes) for source in self.sources])


def read_rows(directory: Path) -> Rows:
    """All rows, in the order of the files, then our own ordinary texts, then openings."""
    rows, held_out = [], []
    for name in ("train", "dev"):
        lines = (directory / f"{name}.jsonl").read_text("utf-8").rstrip("\n").split("\n")
        rows += [json.loads(line) for line in lines]
        held_out += [name == "dev"] * len(lines)
    harmless = dict.fromkeys(("hate", "harassment", "self_harm", "sexual", "violence", "jailbreak"), 0)
    ours = [
        {"text": each.text, "labels": harmless, "source": f"{ORDINARY}_{each.kind}", "licence": "own"}
        for each in ordinary_texts()
        if not each.held_out
    ]
    benign = [row for row, kept in zip(rows, held_out, strict=True) if not kept and row["source"].startswith(BENIGN)]
    ours += [
        {"text": text, "labels": harmless, "source": OPENINGS, "licence": "MIT, CC0"}
        for text in openings([row["text"] for row in benign])
    ]
    ours += [
        {"text": each.text, "labels": each.labels, "source": f"{PLAIN}_{each.section}", "licence": "own"}
        for each in our_plain_lines()
        if not each.held_out
    ]
    rows += ours
    held_out += [False] * len(ours)
    return Rows(
        [row["text"] for row in rows],
        np.array([row["source"] for row in rows]),
        np.array([row["licence"] for row in rows]),
        np.array(held_out),
        np.array([[_label(row["labels"], head) for head in HEADS] for row in rows]),
        np.array([row["labels"].get("hate", -1) for row in rows]),
        np.array([any(value for name, value in row["labels"].items() if name != "jailbreak") for row in rows]),
    )


def our_plain_lines() -> list[Plain]:
    """Our own plain lines, none to train on that is alike what is only judged."""
    return plain_lines(HEADS, [*everyday_texts(), *harmless_prompts()])


def harmless_prompts() -> list[str]:
    """Our own prompts that only look harmful."""
    return lines_of(HARMLESS)


def openings(texts: list[str]) -> list[str]:
    """Of each text the first words, one to `MOST_WORDS` of them; none twice."""
    chance = Random(4)  # noqa: S311 (a fixed choice, no secret)
    return list(
        dict.fromkeys(" ".join(text.split()[: chance.randint(1, MOST_WORDS)]) for text in texts if text.split())
    )


def _label(labels: dict[str, int], head: str) -> int:
    if head != "hate":
        return labels.get(head, -1)
    known = [labels[name] for name in ("hate", "harassment") if name in labels]
    return max(known) if known else -1


def folds(texts: list[str]) -> np.ndarray:
    """The fold of each text, from its words alone: near duplicates share theirs."""
    bags = [frozenset(re.findall(r"\w+", text.lower())) for text in texts]
    group = list(range(len(bags)))
    for later, bag in enumerate(bags):
        for earlier in range(later):
            if group[earlier] != group[later] and are_alike(bag, bags[earlier], _ALIKE):
                joined = group[later]
                group = [group[earlier] if each == joined else each for each in group]
    order = np.random.RandomState(7).permutation(len(bags))
    return order[np.array(group)] % FOLDS
