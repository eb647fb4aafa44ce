"""The model card, the figures and the weights belong together: nothing in one is of an older version of another."""

import hashlib
import json
from operator import ge
from pathlib import Path

import pytest

from tests.safety.classifier_kit import shipped
from tollhouse.safety import __file__ as package
from tollhouse.safety.figures import average_precision, recall_at_fpr
from tollhouse.safety.weights import HEADS, weights_bytes

DATA = Path(package).parent / "data"
CARD = (Path(package).parents[1] / "docs" / "safety-model.md").read_text("utf-8")
SAMPLE = Path(__file__).parents[1] / "fixtures" / "safety_sample.jsonl"
EVERYDAY = Path(__file__).parents[2] / "scripts" / "safety" / "everyday.txt"
FIGURES = json.loads((DATA / "figures.json").read_text("utf-8"))


def test_the_card_is_of_the_shipped_weights() -> None:
    """It names their digest and their size."""
    data = weights_bytes()
    assert hashlib.sha256(data).hexdigest() in CARD
    assert f"{len(data):,} bytes" in CARD


def test_the_card_has_the_measured_figures() -> None:
    """AUPRC of each category and of any, jailbreaks, and every threshold, as the figures have them."""
    crossed = FIGURES["openai_cross_validated"]
    for head in HEADS[:4]:
        assert (
            f"| `{head}` | {crossed[head]['positive']} of {crossed[head]['rows']:,} | {crossed[head]['auprc']:.3f}"
            in CARD
        )
    assert f"**{crossed['any']['auprc']:.3f}**" in CARD
    assert f"AUPRC {FIGURES['jailbreak']['auprc']:.3f}" in CARD
    for head, cuts in FIGURES["thresholds"].items():
        assert f"| `{head}` | {' | '.join(format(cut, '.3f') for cut in cuts)} |" in CARD
        assert cuts == [round(cut, 4) for cut in shipped().thresholds[head]]


def test_the_figures_reach_what_was_asked() -> None:
    """The targets of issue 5: cross-validated AUPRC, known jailbreaks, and benign text that is flagged."""
    crossed = FIGURES["openai_cross_validated"]
    least = {"any": 0.69, "sexual": 0.86, "self_harm": 0.52}
    assert {name: figure for name, figure in least.items() if crossed[name]["auprc"] < figure} == {}
    assert max(crossed["hate"]["auprc"], crossed["hate_without_harassment"]["auprc"]) >= 0.53
    assert FIGURES["jailbreak"]["auprc"] >= 0.94
    assert FIGURES["jailbreak"]["recall_at_0.1_percent"] >= 0.88
    assert FIGURES["benign"]["all"]["at_least"][1] <= 0.01


def test_everyday_texts_are_seldom_flagged() -> None:
    """Every line of the list was judged; what is flagged of them does not grow unseen, and the card tells it."""
    everyday = FIGURES["everyday"]
    lines = [line for line in EVERYDAY.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert everyday["texts"] == len(set(lines)) >= 150
    assert max(len(line.split()) for line in lines) <= 12
    told = [shipped().read(line).scores for line in lines]
    for place, share in enumerate(everyday["at_least"]):
        cuts = [thresholds[place] for thresholds in shipped().thresholds.values()]
        flagged = sum(any(map(ge, scores, cuts)) for scores in told)
        assert share == round(flagged / len(lines), 4)
    assert all(share <= most for share, most in zip(everyday["at_least"], (0.14, 0.045, 0.015), strict=True))
    assert " | ".join(format(share, ".1%") for share in everyday["at_least"]) in CARD


def test_plain_lines_are_told_and_their_twins_less_often() -> None:
    """On held-out sentences: most harmful lines are medium at least, and the card tells what both kinds reach."""
    plain = FIGURES["plain"]
    for name, shares in plain.items():
        told = " | ".join(format(share, ".1%") for share in shares["at_least"])
        assert f"| {name} | {shares['texts']:,} | {told} |" in CARD
    harmful = [shares["at_least"][1] for name, shares in plain.items() if not name.startswith("twins")]
    assert min(harmful) >= 0.6


@pytest.mark.parametrize("head", HEADS)
def test_the_figures_of_the_sample_come_out_again(head: str) -> None:
    """Held-out rows, told as buckets, judged by the shipped weights: the committed figures to the last digit."""
    weights, place = shipped().model.weights, HEADS.index(head)
    rows = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    known = [row for row in rows if row["labels"][place] >= 0]
    truth = [row["labels"][place] for row in known]
    given = [weights.logits(sum(weights.rows[bucket] for bucket in row["buckets"]))[place] for row in known]
    assert FIGURES["sample"][head] == {
        "rows": len(known),
        "auprc": round(average_precision(truth, given), 3),
        "recall_at_5_percent": round(recall_at_fpr(truth, given, 0.05), 3),
    }
